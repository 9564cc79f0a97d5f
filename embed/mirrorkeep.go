package embed

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"rtpjet/embed/internal/names"
)

// metaHome is the key in the metadata of a mirror under which stands when the stream at home was created, in ns of Unix time.
// A region that lost its store begins a new stream with sequence 1, and its mirrors elsewhere would wait until that has come to
// where the old one ended, and go on with entries that have nothing to do with theirs.
const metaHome = "rtpjet_home"

// MirrorState is how far a mirror has come, as the leader of the mirror says.
type MirrorState struct {
	// First and Last are the sequences of the first and the last entry of live calls, Messages and Bytes how many there are.
	// Last stays what it was when entries are removed.
	First, Last, Messages, Bytes uint64
}

// mirrorReply answers STREAM.INFO for a mirror, or for the stream at home.
type mirrorReply struct {
	answer
	Created time.Time `json:"created"`
	Config  struct {
		Metadata map[string]string `json:"metadata"`
	} `json:"config"`
	State struct {
		Messages uint64 `json:"messages"`
		Bytes    uint64 `json:"bytes"`
		FirstSeq uint64 `json:"first_seq"`
		LastSeq  uint64 `json:"last_seq"`
	} `json:"state"`
}

// MirrorState asks for the state of a mirror. The region need not be reachable.
func (l *Log) MirrorState(ctx context.Context) (MirrorState, error) {
	ctx, cancel := withDeadline(ctx, appendTimeout)
	defer cancel()
	var info mirrorReply
	if err := l.callAPI(ctx, "look at", l.callsStream(), "STREAM.INFO."+l.callsStream(), nil, &info); err != nil {
		return MirrorState{}, err
	}
	st := info.State
	return MirrorState{First: st.FirstSeq, Last: st.LastSeq, Messages: st.Messages, Bytes: st.Bytes}, nil
}

// MirrorReplaced asks the region whether its streams are still those that the mirrors have a copy of, and if not, why that is
// thought: its store was lost, or it runs with another one. What the mirrors have is the last copy then, and they get
// nothing more that makes sense: the caller does what it wants with it, and calls [Log.ResetMirror]. If the region
// cannot be reached the error matches [ErrUnavailable].
func (l *Log) MirrorReplaced(ctx context.Context) (why string, err error) {
	ctx, cancel := withDeadline(ctx, appendTimeout)
	defer cancel()
	for _, name := range names.Mirrored(l.cfg.Region) {
		why, err := l.mirrorReplaced(ctx, name)
		if err != nil || why != "" {
			return why, err
		}
	}
	return "", nil
}

func (l *Log) mirrorReplaced(ctx context.Context, name string) (why string, err error) {
	home, err := l.homeInfo(ctx, name)
	if err != nil {
		return "", err
	}
	var here mirrorReply
	if err := l.callAPI(ctx, "look at", name, "STREAM.INFO."+name, nil, &here); err != nil {
		return "", err
	}
	id := strconv.FormatInt(home.Created.UnixNano(), 10)
	switch was := here.Config.Metadata[metaHome]; {
	case was == id:
	case was != "":
		return fmt.Sprintf("the stream %s was created anew at %s", name, home.Created.Format(time.RFC3339)), nil
	case home.State.LastSeq >= here.State.LastSeq:
		return "", l.markHome(ctx, name, id)
	}
	if home.State.LastSeq >= here.State.LastSeq {
		return "", nil
	}
	// Home was asked first, and may have been behind by what came since.
	if home, err = l.homeInfo(ctx, name); err != nil || home.State.LastSeq >= here.State.LastSeq {
		return "", err
	}
	return fmt.Sprintf("the stream %s ends at %d there and at %d here", name, home.State.LastSeq, here.State.LastSeq), nil
}

// homeInfo asks the region for one of its streams.
func (l *Log) homeInfo(ctx context.Context, name string) (home mirrorReply, err error) {
	err = l.askHome(ctx, name, nil, &home)
	return home, err
}

// askHome asks the region about one of its streams, once, and decodes the answer into out.
func (l *Log) askHome(ctx context.Context, name string, req []byte, out apiAnswer) error {
	op := "ask region " + l.cfg.Region + " for"
	m, err := l.req.do(ctx, &nats.Msg{Subject: "$JS." + l.cfg.Region + ".API.STREAM.INFO." + name, Data: req})
	if err != nil {
		return requestError(op, name, err)
	}
	if err := json.Unmarshal(m.Data, out); err != nil {
		return fmt.Errorf("%s %s: decode the answer: %w", op, name, err)
	}
	switch f := out.fault(); {
	case f == nil:
		return nil
	case f.ErrCode == codeStreamNotFound: // it is being made
		return fmt.Errorf("%s %s: %w: %s", op, name, ErrUnavailable, f.Description)
	default:
		return apiError(op, name, f.Code, f.ErrCode, f.Description)
	}
}

// markHome writes into a mirror of which stream it is.
func (l *Log) markHome(ctx context.Context, name, id string) error {
	s, err := l.js.Stream(ctx, name)
	if err != nil {
		return requestError("look at", name, err)
	}
	sc := s.CachedInfo().Config
	sc.Metadata = maps.Clone(sc.Metadata)
	if sc.Metadata == nil {
		sc.Metadata = make(map[string]string)
	}
	sc.Metadata[metaHome] = id
	if _, err := l.js.UpdateStream(ctx, sc); err != nil {
		return requestError("update", name, err)
	}
	return nil
}

// ResetMirror deletes the mirrors and creates them anew: they get all that the region has now. Followers of the mirror get an error
// that matches [ErrReset], or begin anew. One node of a region is enough to do it.
func (l *Log) ResetMirror(ctx context.Context) error {
	if !l.mirror {
		return fmt.Errorf("region %s is at home here, and no mirror", l.cfg.Region)
	}
	ctx, cancel := withDeadline(ctx, openTimeout)
	defer cancel()
	for _, name := range names.Mirrored(l.cfg.Region) {
		dctx, stop := context.WithTimeout(ctx, appendTimeout)
		err := l.js.DeleteStream(dctx, name)
		stop()
		if err != nil && !errors.Is(err, jetstream.ErrStreamNotFound) {
			return fmt.Errorf("reset the mirror of region %s: %w", l.cfg.Region, requestError("delete", name, err))
		}
	}
	l.pos.forget()
	if err := ensureMirrors(ctx, l.nc, l.js, l.cfg); err != nil {
		return fmt.Errorf("reset the mirror of region %s: %w", l.cfg.Region, err)
	}
	return nil
}

// KeepMirror keeps the mirrors on as many servers as Config says, as [Log.KeepReplicas] does for the streams of one's own
// region. Every node may call it.
func (l *Log) KeepMirror(ctx context.Context) error {
	return l.keepReplicas(ctx, names.Mirrored(l.cfg.Region))
}
