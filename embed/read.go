package embed

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"rtpjet/embed/internal/names"
)

// Since returns the entries of one key after sequence after, oldest first, and the sequence at which the key ends: 0 if
// it has no entry at all (any more), which is then what an append has to expect. It asks the stream's leader, so it sees
// everything that was confirmed before the call; without a leader it waits for one, for as long as ctx allows. It reads one
// entry a request: it is for catching up, not for replay.
func (l *Log) Since(ctx context.Context, key string, after uint64) (entries []Entry, last uint64, err error) {
	ctx, cancel := withDeadline(ctx, appendTimeout)
	defer cancel()
	for next := after + 1; ; {
		e, err := l.get(ctx, key, fmt.Sprintf(`{"seq":%d,"next_by_subj":%q}`, next, l.prefix+key))
		if err != nil {
			return nil, 0, err
		}
		if e.found {
			entries = append(entries, e.Entry)
			next = e.Seq + 1
			continue
		}
		if len(entries) > 0 {
			return entries, entries[len(entries)-1].Seq, nil
		}
		e, err = l.get(ctx, key, fmt.Sprintf(`{"last_by_subj":%q}`, l.prefix+key))
		switch {
		case err != nil:
			return nil, 0, err
		case e.Seq > after:
			continue // written since we asked for it
		case e.Seq > 0 && e.Seq < after:
			return nil, 0, fmt.Errorf("read %s: %w: the leader is behind what it has confirmed", key, ErrUnavailable)
		}
		return nil, e.Seq, nil
	}
}

// stored is an entry that may not be there.
type stored struct {
	Entry
	header []byte
	found  bool
}

// msgReply answers STREAM.MSG.GET.
type msgReply struct {
	answer
	Message struct {
		Seq    uint64    `json:"seq"`
		Header []byte    `json:"hdrs"`
		Data   []byte    `json:"data"`
		Time   time.Time `json:"time"`
	} `json:"message"`
}

// get reads one message from the leader of the live stream.
func (l *Log) get(ctx context.Context, key, req string) (stored, error) {
	return l.getFrom(ctx, l.callsStream(), key, req)
}

// getFrom reads one message from the leader of a stream: a direct get might be answered by a replica that is behind.
func (l *Log) getFrom(ctx context.Context, stream, key, req string) (stored, error) {
	var reply msgReply
	for {
		err := l.callAPI(ctx, "read", key, "STREAM.MSG.GET."+stream, []byte(req), &reply)
		switch {
		case err == nil:
			m := reply.Message
			return stored{Entry: Entry{Seq: m.Seq, Key: key, Data: m.Data, Time: m.Time}, header: m.Header, found: true}, nil
		case hasCode(err, codeNoMessage):
			return stored{}, nil
		case !l.opened || !hasCode(err, codeStreamNotFound) || stream == names.Index(l.cfg.Region):
			return stored{}, err
		}
		// It is there, since Open has seen to it. A server that has just begun to lead the list of streams may not have read it yet.
		if err = fmt.Errorf("%w: %w", ErrUnavailable, err); !l.tryAgain(ctx, err) {
			return stored{}, err
		}
	}
}

// Purge removes the entries of key up to and including sequence upto from the live stream, archived or not. [Log.Retire]
// is the careful form.
func (l *Log) Purge(ctx context.Context, key string, upto uint64) error {
	return l.purge(ctx, key, fmt.Sprintf(`{"filter":%q,"seq":%d}`, l.prefix+key, upto+1))
}

func (l *Log) purge(ctx context.Context, key, req string) error {
	return l.purgeStream(ctx, l.callsStream(), key, req)
}

func (l *Log) purgeStream(ctx context.Context, stream, key, req string) error {
	ctx, cancel := withDeadline(ctx, appendTimeout)
	defer cancel()
	var reply struct {
		Error *apiFault `json:"error"`
	}
	if err := l.call(ctx, "STREAM.PURGE."+stream, []byte(req), &reply); err != nil {
		return requestError("purge", key, err)
	}
	if f := reply.Error; f != nil {
		return apiError("purge", key, f.Code, f.ErrCode, f.Description)
	}
	return nil
}

// History returns all entries of a key that are still there, archived and live, oldest first. It reads the whole index of the
// archive for it, so it is for people, not for the handling of calls.
func (l *Log) History(ctx context.Context, key string) ([]Entry, error) {
	found, err := l.archived(ctx, key)
	if err != nil {
		return nil, err
	}
	live, _, err := l.Since(ctx, key, 0)
	if err != nil {
		return nil, err
	}
	found = append(found, live...)
	slices.SortStableFunc(found, func(a, b Entry) int {
		if c := a.Time.Compare(b.Time); c != 0 {
			return c
		}
		return int(int64(a.Seq - b.Seq))
	})
	return slices.CompactFunc(found, func(a, b Entry) bool { return a.Seq == b.Seq && a.Time.Equal(b.Time) }), nil
}

// archivedTries is how often History begins to read the archive: its consumer is on one server, which may go.
// archivedPatience is how long each try waits for that.
const (
	archivedTries    = 4
	archivedPatience = 2 * time.Second
)

// archived finds the entries of a key in the archive.
func (l *Log) archived(ctx context.Context, key string) (found []Entry, err error) {
	for range archivedTries {
		found, err = l.readArchive(ctx, key)
		if !errors.Is(err, jetstream.ErrNoHeartbeat) && !errors.Is(err, jetstream.ErrConsumerDeleted) &&
			!errors.Is(err, jetstream.ErrConsumerNotFound) && !errors.Is(err, ErrUnavailable) || ctx.Err() != nil {
			break
		}
	}
	return found, err
}

// readArchive is one attempt of archived: it reads what the index names, and all that the index does not know.
func (l *Log) readArchive(ctx context.Context, key string) (entries []Entry, err error) {
	stream := names.Archive(l.cfg.Region)
	subject := names.ArchiveSubject(l.cfg.Region, partition(key))
	info := &streamReply{}
	if err := l.callAPI(ctx, "read the end of", stream, "STREAM.INFO."+stream, nil, info); err != nil {
		return nil, err
	}
	first, last := info.State.FirstSeq, info.State.LastSeq
	if info.State.Messages == 0 || last < first {
		return nil, nil
	}
	take := func(data []byte) {
		if err := eachArchived(data, func(e Entry) {
			if e.Key == key {
				e.Data = slices.Clone(e.Data)
				entries = append(entries, e)
			}
		}); err != nil {
			l.log.Warn("an archive message cannot be read", "stream", stream, "err", err)
		}
	}
	known, err := l.lookUp(ctx, key, first, last)
	if err != nil { // an archive of a release without an index
		l.log.Debug("the archive has no index that can be read", "stream", stream, "err", err)
		known = found{gaps: [][2]uint64{{first, last}}}
	}
	if len(known.seqs) > manyFound || len(known.gaps) > manyGaps {
		known = found{gaps: [][2]uint64{{first, last}}}
	}
	for _, seq := range known.seqs {
		m, err := l.getFrom(ctx, stream, key, fmt.Sprintf(`{"seq":%d}`, seq))
		if err != nil {
			return nil, err
		}
		if m.found {
			take(m.Data)
		}
	}
	for _, gap := range known.gaps {
		e, err := l.getFrom(ctx, stream, key, fmt.Sprintf(`{"seq":%d,"next_by_subj":%q}`, gap[0], subject))
		if err != nil {
			return nil, err
		}
		if !e.found || e.Seq > gap[1] {
			continue
		}
		if err := l.readStream(ctx, stream, subject, e.Seq, func(seq uint64, data []byte) error {
			if seq > gap[1] {
				return errRead
			}
			take(data)
			return nil
		}); err != nil {
			return nil, err
		}
	}
	return entries, nil
}

// manyFound messages are better read in one go than one by one, and so are manyGaps parts of the archive.
const (
	manyFound = 2000
	manyGaps  = 8
)

// errRead ends readStream before the end of the stream, without an error.
var errRead = errors.New("read far enough")

// readStream reads the messages of a subject from a sequence on to what is now the last one.
func (l *Log) readStream(ctx context.Context, stream, subject string, from uint64, f func(seq uint64, data []byte) error) error {
	cfg := jetstream.ConsumerConfig{}
	if from > 0 {
		cfg.DeliverPolicy, cfg.OptStartSeq = jetstream.DeliverByStartSequencePolicy, from
	}
	return l.readStreamFrom(ctx, stream, subject, cfg, f)
}

// readStreamFrom is readStream from where cfg says.
func (l *Log) readStreamFrom(ctx context.Context, stream, subject string, cfg jetstream.ConsumerConfig, f func(seq uint64, data []byte) error) error {
	last, err := l.lastOf(ctx, stream, subject)
	if err != nil || last == 0 || last < cfg.OptStartSeq {
		return err
	}
	cctx, cancel := context.WithTimeout(ctx, archivedPatience) // a request is lost if its leader is
	defer cancel()
	cfg.AckPolicy, cfg.FilterSubject = jetstream.AckNonePolicy, subject
	cfg.MemoryStorage, cfg.Replicas, cfg.InactiveThreshold = true, 1, 10*time.Second
	cons, err := l.js.CreateConsumer(cctx, stream, cfg)
	if err != nil {
		return requestError("read", stream, err)
	}
	defer l.dropConsumer(stream, cons.CachedInfo().Name)
	if cons.CachedInfo().NumPending == 0 {
		return nil // nothing since that time
	}
	it, err := cons.Messages(jetstream.PullMaxMessages(64), jetstream.PullHeartbeat(time.Second))
	if err != nil {
		return requestError("read", stream, err)
	}
	defer it.Stop()
	for {
		m, err := it.Next(jetstream.NextContext(ctx))
		if err != nil {
			return requestError("read", stream, err)
		}
		d, ok := parseDelivery(m.Reply())
		err = f(d.streamSeq, m.Data())
		switch {
		case errors.Is(err, errRead):
			return nil
		case err != nil:
			return err
		case !ok || d.streamSeq >= last || d.pending == 0:
			return nil
		}
	}
}

// Head is the sequence of the last entry of all live calls, as the leader of the stream has it.
func (l *Log) Head(ctx context.Context) (uint64, error) {
	ctx, cancel := withDeadline(ctx, appendTimeout)
	defer cancel()
	info := &streamReply{}
	err := l.callAPI(ctx, "read the end of", l.callsStream(), "STREAM.INFO."+l.callsStream(), nil, info)
	return info.State.LastSeq, err
}

// Next returns the first entry of any call from sequence seq on, without its key, as the leader of the stream has it; found
// is false if there is none.
func (l *Log) Next(ctx context.Context, seq uint64) (e Entry, found bool, err error) {
	ctx, cancel := withDeadline(ctx, appendTimeout)
	defer cancel()
	s, err := l.get(ctx, "", fmt.Sprintf(`{"seq":%d,"next_by_subj":%q}`, seq, l.prefix+">"))
	return s.Entry, s.found, err
}

// lastOf is the sequence of the last message of a subject; 0 if there is none.
func (l *Log) lastOf(ctx context.Context, stream, subject string) (uint64, error) {
	e, err := l.getFrom(ctx, stream, stream, fmt.Sprintf(`{"last_by_subj":%q}`, subject))
	return e.Seq, err
}

// headerArchived is on the last message of each round of the archiver: the live stream is archived up to that sequence.
// headerStream says which live stream: when it was created, in ns of Unix time. One that begins anew counts anew.
const (
	headerArchived = "Rtpjet-Archived"
	headerStream   = "Rtpjet-Stream"
)

// readArchived finds the last round's end. Messages after it belong to a round that was cut off.
func (l *Log) readArchived(ctx context.Context) (seq uint64, live string, err error) {
	s, err := l.js.Stream(ctx, l.callsStream())
	if err != nil {
		return 0, "", requestError("read", l.callsStream(), err)
	}
	live = strconv.FormatInt(s.CachedInfo().Created.UnixNano(), 10)
	end := s.CachedInfo().State.LastSeq
	stream := names.Archive(l.cfg.Region)
	if s, err = l.js.Stream(ctx, stream); err != nil {
		return 0, "", requestError("read", stream, err)
	}
	st := s.CachedInfo().State
	for at, n := st.LastSeq, 0; at >= st.FirstSeq && at > 0 && n < maxRound; at, n = at-1, n+1 {
		m, err := s.GetMsg(ctx, at)
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			continue
		}
		if err != nil {
			return 0, "", requestError("read", stream, err)
		}
		if v := m.Header.Get(headerArchived); v != "" {
			// A position of another stream, or none that can be read, is no position: the archive begins anew.
			// A mirror has positions of the stream at home, which need not be here yet.
			seq, bad := strconv.ParseUint(v, 10, 64)
			if bad != nil || !l.mirror && (seq > end || m.Header.Get(headerStream) != live) {
				seq = 0
			}
			return seq, live, nil
		}
	}
	return 0, live, nil
}
