package embed

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// TestAppendAnswerLost: the entry was stored, and nobody heard of it. The same attempt again meets a conflict with itself.
func TestAppendAnswerLost(t *testing.T) {
	t.Parallel()
	l, s := newScript(t, Config{})
	s.on(t, l, callsK, silence, faultAnswer(400, codeWrongLastSeq, "wrong last sequence: 9"))
	s.on(t, l, callsGet, msgAnswer(9, "mine", nil))
	seq, err := l.Append(t.Context(), "k", 7, []byte("mine"))
	if err != nil || seq != 9 {
		t.Fatalf("%d, %v; want 9", seq, err)
	}
	sent := s.questions(callsK)
	if len(sent) != 2 {
		t.Fatalf("sent %d times", len(sent))
	}
	for _, m := range sent {
		if string(m.Data) != "mine" || m.Header.Get(jetstream.ExpectedLastSubjSeqHeader) != "7" {
			t.Errorf("sent %s with %v", m.Data, m.Header)
		}
	}
	if got := fmt.Sprint(s.bodies(callsGet)); got != `[{"seq":8,"next_by_subj":"calls.r.k"}]` {
		t.Errorf("asked for what follows the last entry: %s", got)
	}
}

// TestAppendWhose: what a conflict comes to once it is known whose entry is in the way.
func TestAppendWhose(t *testing.T) {
	t.Parallel()
	l, s := newScript(t, Config{})
	wrongLast := faultAnswer(400, codeWrongLastSeq, "wrong last sequence: 9")
	for _, c := range []struct {
		name    string
		answers []string // to the append
		stored  []string // to the question for what follows
		seq     uint64
		want    error // nil, with seq 0: none of the sentinels
	}{
		{"another's", []string{wrongLast}, []string{msgAnswer(9, "theirs", nil)}, 0, ErrConflict},
		{"removed since", []string{wrongLast}, []string{noMessage}, 0, ErrConflict},
		{"ours, said in the other way", []string{inFlight}, []string{msgAnswer(9, "mine", nil)}, 9, nil},
		{"under way, and then another's", []string{inFlight}, []string{noMessage, msgAnswer(9, "theirs", nil)}, 0, ErrConflict},
		{"under way, and then ours", []string{inFlight}, []string{noMessage, msgAnswer(9, "mine", nil)}, 9, nil},
		{"under way, and never stored", []string{inFlight, inFlight, ackAnswer(10)}, []string{noMessage}, 10, nil},
		{"no leader to ask for a moment", []string{wrongLast}, []string{unavailable, msgAnswer(9, "theirs", nil)}, 0, ErrConflict},
		{"a question that is refused", []string{wrongLast}, []string{badRequest}, 0, nil},
	} {
		s.on(t, l, callsK, c.answers...)
		s.on(t, l, callsGet, c.stored...)
		seq, err := l.Append(t.Context(), "k", 7, []byte("mine"))
		got := matches(err)
		if seq != c.seq || (err == nil) != (c.seq > 0) || c.want == nil && len(got) > 0 || c.want != nil && (len(got) != 1 || got[0] != c.want) {
			t.Errorf("%s: %d, %v; want %d, %v", c.name, seq, err, c.seq, c.want)
		}
		var conflict *ConflictError
		if errors.As(err, &conflict) && len(c.answers) == 1 && c.answers[0] == wrongLast && conflict.Last != 9 {
			t.Errorf("%s: it ends at %d", c.name, conflict.Last)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	s.on(t, l, callsK, inFlight)
	s.on(t, l, callsGet, noMessage)
	if _, err := l.Append(ctx, "k", 7, []byte("mine")); !errors.Is(err, ErrUnavailable) || errors.Is(err, ErrConflict) {
		t.Errorf("under way for as long as there is time: %v", err)
	}
	if n := len(s.questions(callsK)); n < 2 {
		t.Errorf("tried %d times", n)
	}
}

// TestAppendFaults: which refusals are final, and which of them make history yield.
func TestAppendFaults(t *testing.T) {
	t.Parallel()
	l, s := newScript(t, Config{})
	for _, c := range []struct {
		answer  string
		want    error
		starved bool
	}{
		{faultAnswer(500, codeResources, "insufficient resources"), ErrFull, true},
		{faultAnswer(500, codeStorageResources, "insufficient storage"), ErrFull, true},
		{faultAnswer(400, codeAccountResources, "resource limits exceeded"), ErrFull, true},
		{faultAnswer(503, codeStoreFailed, "no space left on device"), ErrFull, false},
		{faultAnswer(400, codeMaxStreamBytes, "maximum bytes exceeded"), ErrFull, false},
		{badRequest, nil, false},
		{`{"stream":"CALLS_r"}`, nil, false},
		{`{`, nil, false},
	} {
		l.starved.Store(false)
		s.on(t, l, callsK, c.answer)
		_, err := l.Append(t.Context(), "k", 0, []byte("x"))
		if got := matches(err); err == nil || c.want == nil && len(got) > 0 || c.want != nil && (len(got) != 1 || got[0] != c.want) {
			t.Errorf("%s: %v, want %v", c.answer, err, c.want)
		}
		if !strings.HasPrefix(fmt.Sprint(err), "append to k: ") {
			t.Errorf("%v does not say what was done", err)
		}
		if n := len(s.questions(callsK)); n != 1 || l.starved.Load() != c.starved {
			t.Errorf("%s: tried %d times, history yields: %v", c.answer, n, l.starved.Load())
		}
	}
	s.on(t, l, callsK, unavailable, unavailable, ackAnswer(3))
	if seq, err := l.Append(t.Context(), "k", 0, []byte("x")); err != nil || seq != 3 || len(s.questions(callsK)) != 3 {
		t.Errorf("without a leader for a moment: %d, %v, %d tries", seq, err, len(s.questions(callsK)))
	}
	l.nc.Close()
	start := time.Now()
	if _, err := l.Append(t.Context(), "k", 0, []byte("x")); !errors.Is(err, ErrUnavailable) {
		t.Errorf("a connection that is closed, after %v: %v", time.Since(start), err)
	}
}

// TestAppendHealth: a server in this process that knows of its fault is not asked, and its fault counts more than a lost answer.
func TestAppendHealth(t *testing.T) {
	t.Parallel()
	sick := fmt.Errorf("the store: %w", ErrFull)
	var health []error
	l, s := newScript(t, Config{Health: func() error {
		now := health[0]
		health = health[1:]
		return now
	}})
	s.on(t, l, callsK, silence)
	health = []error{sick}
	if _, err := l.Append(t.Context(), "k", 0, nil); !errors.Is(err, ErrFull) || len(s.questions(callsK)) != 0 {
		t.Errorf("known before: %v, asked %d times", err, len(s.questions(callsK)))
	}
	health = []error{nil, sick}
	if _, err := l.Append(t.Context(), "k", 0, nil); !errors.Is(err, ErrFull) || errors.Is(err, ErrUnavailable) || len(s.questions(callsK)) != 1 {
		t.Errorf("found out while waiting: %v, asked %d times", err, len(s.questions(callsK)))
	}
	health = []error{nil, nil, nil} // asked before and after the first attempt, and before the second one
	s.on(t, l, callsK, silence, ackAnswer(1))
	if seq, err := l.Append(t.Context(), "k", 0, nil); err != nil || seq != 1 || len(health) != 0 {
		t.Errorf("well: %d, %v, %d more to say", seq, err, len(health))
	}
}

// TestCallAPI: a question is asked again until it has an answer, and an answer leaves nothing of the one before.
func TestCallAPI(t *testing.T) {
	t.Parallel()
	l, s := newScript(t, Config{})
	s.on(t, l, callsInfo, silence, unavailable, `{"state":{"last_seq":7}}`)
	if head, err := l.Head(t.Context()); err != nil || head != 7 || len(s.questions(callsInfo)) != 3 {
		t.Errorf("the end is %d, %v, asked %d times", head, err, len(s.questions(callsInfo)))
	}
	s.on(t, l, callsInfo, `no JSON`)
	if _, err := l.Head(t.Context()); err == nil || !strings.HasPrefix(err.Error(), "read the end of CALLS_r: decode the answer: ") {
		t.Errorf("no JSON: %v", err)
	}
	s.on(t, l, callsInfo, faultAnswer(404, codeStreamNotFound, "stream not found"))
	if _, err := l.Head(t.Context()); !hasCode(err, codeStreamNotFound) || hasCode(err, codeNoMessage) || len(matches(err)) > 0 {
		t.Errorf("no stream: %v", err)
	}
	s.on(t, l, callsInfo, silence)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := l.Head(ctx); !errors.Is(err, context.Canceled) || errors.Is(err, ErrUnavailable) {
		t.Errorf("a context that has ended: %v", err)
	}
}
