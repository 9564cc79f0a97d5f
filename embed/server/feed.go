package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nuid"

	"rtpjet/embed/internal/names"
	"rtpjet/embed/server/natsinternal"
)

// A mirror asks for a consumer of the stream that it mirrors, and NATS would have the region at home answer: each entry would
// then wake several threads there and go to each other region by itself, at the very moment at which the command that it is
// from waits for the same processors. A tenth to a half was that on the slowest commands, with two other regions
// (docs/regions.md). So a feed is the consumer, in the server that has the mirror: it reads the stream at home with batched
// direct gets (NATS's ADR-31), one after the other, and hands the mirror what comes as a consumer would. What happens between
// two answers travels together, home does nothing for a region that does not ask, and a cut ends nothing: the feed asks on.
//
// What a consumer says to a mirror: an answer to the request for it, with the sequence from which on it delivers; then
// messages whose reply subject has their sequence, the number of the delivery, and when they were stored. The
// deliver subject is a wildcard here, and the mirror takes the subject of the entry from the end of it by its subject
// transform: only servers can have a message's subject differ from the one it is sent to.

// Times and sizes of a feed.
const (
	// feedPause is between an answer that had all and the next question, for the entries of live calls. With the way there and
	// back it is how far the mirror is behind.
	feedPause = 20 * time.Millisecond
	// feedArchivePause is that for the archive and its index. Nobody waits for those, but long answers have commands wait.
	feedArchivePause = 100 * time.Millisecond
	// feedAway is how long it waits while there is no way to the region.
	feedAway = 100 * time.Millisecond
	// feedAnswer is how long an answer may take, and the next part of one.
	feedAnswer = 2 * time.Second
	// feedBeat is how often the mirror hears something. After 10 s without it would ask for another consumer.
	feedBeat = time.Second
	// feedJoin is how long the mirror may take to listen to a feed that it has asked for.
	feedJoin = 5 * time.Second
	// feedBatch and feedBytes bound an answer, during which home writes nothing to the stream. Over 80 ms there and back that is
	// some 10,000 entries a second, and more than a home of 1,500 calls a second writes.
	feedBatch = 1000
	feedBytes = 1 << 20
	// feedLeast bounds it at first: it is what a connection that was idle sends without waiting for a word from the other side,
	// compressed. Each further one has twice as much while there is more, unless one took longer than feedSpread from its
	// beginning to its end: answers to commands wait behind it.
	feedLeast  = 16 << 10
	feedSpread = 20 * time.Millisecond
	// feedAhead is how many bytes the mirror is given before it is asked whether it has written them.
	feedAhead = 4 << 20
	// feedLost is how long entries may stay unwritten before the feed thinks that the mirror has not got them.
	feedLost = 5 * time.Second
	// feedHeaders is how many bytes of headers an answer adds to an entry, at the most. The server takes messages that are so
	// much longer than the entries that it stores.
	feedHeaders = 4 << 10
	// feedHole is a number of sequences without an entry that an empty mirror had better begin after than skip one by one.
	feedHole = 10_000
)

// feeder has the feeds of the mirrors of one region.
type feeder struct {
	s          *Server
	home, here string
	nc         *nats.Conn
	ctx        context.Context
	stop       context.CancelFunc
	feeds      sync.WaitGroup

	mu     sync.Mutex
	closed bool
	// begin is the first sequence of a stream at home, for mirrors that are empty.
	begin map[string]uint64
}

// startFeeder serves the mirrors of a region.
func (s *Server) startFeeder(home, here string) (*feeder, error) {
	nc, err := s.ConnectRegion(home)
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(context.Background())
	f := &feeder{s: s, home: home, here: here, nc: nc, ctx: ctx, stop: stop, begin: make(map[string]uint64)}
	// A server prefers itself among those that answer, and a mirror asks on the server that leads it.
	_, err1 := nc.QueueSubscribe(names.Feed(home, here)+".CONSUMER.CREATE.>", "feed", f.create)
	_, err2 := nc.QueueSubscribe(names.Feed(home, here)+".CONSUMER.DELETE.>", "feed", f.remove)
	if err := errors.Join(err1, err2, nc.Flush()); err != nil {
		f.close()
		return nil, fmt.Errorf("feed the mirrors of region %s: %w", home, err)
	}
	return f, nil
}

func (f *feeder) close() {
	f.mu.Lock()
	f.closed = true
	f.mu.Unlock()
	f.stop()
	f.feeds.Wait()
	f.nc.Close()
}

// feedRequest is what a mirror says of the consumer that it wants.
type feedRequest struct {
	Stream string `json:"stream_name"`
	Config struct {
		Name  string `json:"name"`
		Start uint64 `json:"opt_start_seq"`
	} `json:"config"`
}

// create answers a mirror that wants a consumer, and begins to feed it.
func (f *feeder) create(m *nats.Msg) {
	var req feedRequest
	if err := json.Unmarshal(m.Data, &req); err != nil || req.Stream == "" || req.Config.Name == "" {
		f.s.log.log.Warn("a request of a mirror cannot be read", "region", f.home, "err", err)
		return
	}
	fresh := req.Config.Start <= 1
	if fresh {
		f.mu.Lock()
		req.Config.Start = max(1, f.begin[req.Stream])
		delete(f.begin, req.Stream) // the stream may be another one when a mirror begins anew
		f.mu.Unlock()
	}
	d := &feed{
		feeder: f, stream: req.Stream, consumer: req.Config.Name, next: req.Config.Start, fresh: fresh,
		deliver: names.Feed(f.home, f.here) + "." + nuid.Next(), most: feedLeast,
	}
	answer := server.JSApiConsumerCreateResponse{
		ApiResponse: server.ApiResponse{Type: server.JSApiConsumerCreateResponseType},
		ConsumerInfo: &server.ConsumerInfo{
			Stream: d.stream, Name: d.consumer, Created: time.Now().UTC(),
			Config:    &server.ConsumerConfig{Name: d.consumer, DeliverSubject: d.deliver + ".>"},
			Delivered: server.SequenceInfo{Stream: d.next - 1},
		},
	}
	data, err := json.Marshal(answer)
	if err == nil {
		err = m.Respond(data)
	}
	if err != nil {
		return // the mirror asks again
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.closed {
		f.feeds.Go(d.run)
	}
}

// remove answers a mirror that is deleted. Its feed ends because nobody listens to it any more.
func (f *feeder) remove(m *nats.Msg) {
	data, err := json.Marshal(server.JSApiConsumerDeleteResponse{
		ApiResponse: server.ApiResponse{Type: server.JSApiConsumerDeleteResponseType}, Success: true,
	})
	if err == nil {
		_ = m.Respond(data) // the mirror does without
	}
}

// feed is one consumer of one mirror.
type feed struct {
	*feeder
	stream, consumer string
	deliver          string // what its deliver subject begins with
	fresh            bool   // the mirror has never had an entry

	next    uint64        // sequence of the entry that is asked for next
	number  uint64        // of the last delivery
	pending uint64        // entries at home after the last one here
	ahead   int           // bytes that the mirror has not confirmed
	most    int           // bytes of the next answer
	spread  time.Duration // of the last one
	asked   uint64        // number of the last question
	fault   string        // that was told last
}

// errFeedAway means that nobody at home has heard a question, or that the server here is being opened anew.
var errFeedAway = errors.New("no way to the region")

// errFeedHole means that an empty mirror is to begin at a later sequence, which is noted for its next request.
var errFeedHole = errors.New("the stream begins later")

// run feeds the mirror for as long as it listens.
func (d *feed) run() {
	sub, err := d.nc.SubscribeSync(d.nc.NewInbox() + ".*")
	if err != nil {
		return
	}
	defer func() { _ = sub.Unsubscribe() }()
	if !d.await(feedJoin, d.wanted) {
		return
	}
	pause := feedPause
	if d.stream != names.Calls(d.home) {
		pause = feedArchivePause
	}
	beat := time.Now()
	for d.ctx.Err() == nil && d.wanted() {
		n, err := d.read(sub)
		switch {
		case errors.Is(err, errFeedHole):
			d.beat(d.number + 1)
			return
		case n == 0 && time.Since(beat) >= feedBeat:
			d.beat(d.number)
			beat = time.Now()
		case n > 0:
			d.fresh = false
			beat = time.Now()
		}
		if d.ahead > feedAhead || n == 0 && d.ahead > 0 {
			if !d.await(feedLost, d.written) {
				d.beat(d.number + 1)
				return
			}
			d.ahead = 0
		}
		d.warn(err)
		switch {
		case err != nil:
			d.sleep(feedAway)
		case d.pending == 0:
			d.most = max(d.most/2, feedLeast)
			d.sleep(pause)
		case d.spread > feedSpread:
			d.most = max(d.most/2, feedLeast)
		default:
			d.most = min(2*d.most, feedBytes)
		}
	}
}

// warn logs what is wrong, once. That a region is away is told elsewhere.
func (d *feed) warn(err error) {
	if err == nil || errors.Is(err, errFeedAway) || errors.Is(err, context.DeadlineExceeded) || d.ctx.Err() != nil {
		return
	}
	if fault := err.Error(); fault != d.fault {
		d.fault = fault
		d.s.log.log.Warn("the mirror of a region cannot be filled; trying again", "region", d.home, "stream", d.stream, "err", err)
	}
}

// wanted tells whether the mirror listens.
func (d *feed) wanted() bool {
	_, acc := d.account()
	return acc != nil && acc.Interest(d.deliver+".x") > 0
}

// account is where the mirror is, and the server that has it now; nil while that is opened anew.
func (d *feed) account() (*server.Server, *server.Account) {
	ns := d.s.current()
	if ns == nil {
		return nil, nil
	}
	acc, err := ns.LookupAccount(names.RegionAccount(d.home))
	if err != nil {
		return ns, nil
	}
	return ns, acc
}

// written tells whether the mirror has all that it was given.
func (d *feed) written() bool {
	ctx, cancel := context.WithTimeout(d.ctx, feedBeat)
	defer cancel()
	m, err := d.nc.RequestWithContext(ctx, "$JS.API.STREAM.INFO."+d.stream, nil)
	if err != nil {
		return false
	}
	var info struct {
		State struct {
			LastSeq uint64 `json:"last_seq"`
		} `json:"state"`
	}
	return json.Unmarshal(m.Data, &info) == nil && info.State.LastSeq >= d.next-1
}

// await waits until ok, for so long at most. It also ends with the feeder.
func (d *feed) await(most time.Duration, ok func() bool) bool {
	for end := time.Now().Add(most); !ok(); {
		if time.Now().After(end) || !d.sleep(10*time.Millisecond) {
			return false
		}
	}
	return true
}

func (d *feed) sleep(t time.Duration) bool {
	timer := time.NewTimer(t)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-d.ctx.Done():
		return false
	}
}

// Headers of an answer to a direct get, which are not the entry's.
var directHeaders = []string{
	server.JSStream, server.JSSubject, server.JSSequence, server.JSTimeStamp, server.JSNumPending, server.JSLastSequence,
}

// read asks home once for entries and gives the mirror what comes, in order and without a gap. n is how many that were.
func (d *feed) read(sub *nats.Subscription) (n int, err error) {
	d.asked++
	inbox := strings.TrimSuffix(sub.Subject, "*") + strconv.FormatUint(d.asked, 10)
	req := fmt.Sprintf(`{"seq":%d,"batch":%d,"max_bytes":%d}`, d.next, feedBatch, d.most)
	if err := d.nc.PublishRequest("$JS."+d.home+".API.DIRECT.GET."+d.stream, inbox, []byte(req)); err != nil {
		return 0, err
	}
	var before uint64 // sequence of the entry before, in this answer
	var began time.Time
	d.spread = 0
	for {
		ctx, cancel := context.WithTimeout(d.ctx, feedAnswer)
		m, err := sub.NextMsgWithContext(ctx)
		cancel()
		if err != nil {
			return n, err
		}
		if m.Subject != inbox {
			continue // of a question whose time was over
		}
		switch m.Header.Get("Status") {
		case "":
		case "204", "404": // that was all, there is nothing
			if n > 0 {
				d.spread = time.Since(began)
			}
			d.pending, _ = strconv.ParseUint(m.Header.Get(server.JSNumPending), 10, 64)
			return n, nil
		case "503":
			return n, errFeedAway
		default:
			return n, fmt.Errorf("NATS says %s %s", m.Header.Get("Status"), m.Header.Get("Description"))
		}
		seq, err1 := strconv.ParseUint(m.Header.Get(server.JSSequence), 10, 64)
		at, err2 := time.Parse(time.RFC3339Nano, m.Header.Get(server.JSTimeStamp))
		last, err3 := strconv.ParseUint(m.Header.Get(server.JSLastSequence), 10, 64)
		if err := errors.Join(err1, err2, err3); err != nil {
			return n, fmt.Errorf("read an entry: %w", err)
		}
		if last != before || seq < d.next {
			return n, errors.New("an answer is not whole") // the rest is asked for again
		}
		if d.fresh && n == 0 && seq-d.next > feedHole {
			d.mu.Lock()
			d.begin[d.stream] = seq
			d.mu.Unlock()
			return 0, errFeedHole
		}
		before = seq
		if n == 0 {
			began = time.Now()
		}
		d.pending, _ = strconv.ParseUint(m.Header.Get(server.JSNumPending), 10, 64)
		if !d.give(m, seq, at) {
			return n, errFeedAway
		}
		n++
	}
}

// give hands the mirror an entry.
func (d *feed) give(m *nats.Msg, seq uint64, at time.Time) bool {
	subject := m.Header.Get(server.JSSubject)
	for _, h := range directHeaders {
		m.Header.Del(h)
	}
	ok := d.send(d.deliver+"."+subject, d.ack(seq, d.number+1, at.UnixNano()), rawHeader(m.Header), m.Data)
	if ok {
		d.next, d.number = seq+1, d.number+1
		d.ahead += len(m.Data)
	}
	return ok
}

// rawHeader is a header as it goes over the wire; nil: none.
func rawHeader(h nats.Header) []byte {
	if len(h) == 0 {
		return nil
	}
	b := []byte("NATS/1.0\r\n")
	for _, k := range slices.Sorted(maps.Keys(h)) {
		for _, v := range h[k] {
			b = append(append(append(append(b, k...), ": "...), v...), "\r\n"...)
		}
	}
	return append(b, "\r\n"...)
}

// ack is the reply subject of a delivery, by which the mirror knows what it is.
func (d *feed) ack(seq, number uint64, at int64) string {
	return fmt.Sprintf("$JS.ACK.%s.%s.1.%d.%d.%d.%d", d.stream, d.consumer, seq, number, at, d.pending)
}

// beat is a sign of life, with the number of the last delivery. A mirror that has not got that one asks for another consumer.
func (d *feed) beat(number uint64) {
	h := fmt.Appendf(nil, "NATS/1.0 100 Idle Heartbeat\r\n%s: %d\r\n%s: %d\r\n\r\n",
		server.JSLastConsumerSeq, number, server.JSLastStreamSeq, d.next-1)
	d.send(d.deliver+".beat", "", h, nil)
}

// send sends within the server, in the account of the region: a client may not send what a consumer does.
func (d *feed) send(subject, reply string, header, data []byte) bool {
	ns, acc := d.account()
	return acc != nil && natsinternal.Send(ns, acc, subject, reply, header, slices.Clip(data)) == nil
}
