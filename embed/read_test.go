package embed

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"

	"rtpjet/embed/internal/names"
)

// TestSincePages: entries come one a question, each from after the one before, and what is written meanwhile belongs to it.
func TestSincePages(t *testing.T) {
	t.Parallel()
	l, s := newScript(t, Config{})
	for _, c := range []struct {
		name    string
		after   uint64
		answers []string
		want    string
		last    uint64
		err     error
		asked   string
	}{
		{
			"two entries", 3, []string{msgAnswer(5, "a", nil), msgAnswer(9, "b", nil), noMessage}, "5:k=a 9:k=b", 9, nil,
			`{"seq":4,"next_by_subj":"calls.r.k"} {"seq":6,"next_by_subj":"calls.r.k"} {"seq":10,"next_by_subj":"calls.r.k"}`,
		},
		{
			"nothing new", 5, []string{noMessage, msgAnswer(5, "a", nil)}, "", 5, nil,
			`{"seq":6,"next_by_subj":"calls.r.k"} {"last_by_subj":"calls.r.k"}`,
		},
		{
			"written between the questions", 5, []string{noMessage, msgAnswer(8, "b", nil), msgAnswer(8, "b", nil), noMessage}, "8:k=b", 8, nil,
			`{"seq":6,"next_by_subj":"calls.r.k"} {"last_by_subj":"calls.r.k"} {"seq":6,"next_by_subj":"calls.r.k"} {"seq":9,"next_by_subj":"calls.r.k"}`,
		},
		{"all removed", 5, []string{noMessage}, "", 0, nil, `{"seq":6,"next_by_subj":"calls.r.k"} {"last_by_subj":"calls.r.k"}`},
		{
			"a leader that is behind", 5, []string{noMessage, msgAnswer(4, "a", nil)}, "", 0, ErrUnavailable,
			`{"seq":6,"next_by_subj":"calls.r.k"} {"last_by_subj":"calls.r.k"}`,
		},
	} {
		s.on(t, l, callsGet, c.answers...)
		got, last, err := l.Since(t.Context(), "k", c.after)
		if show(got) != c.want || last != c.last || !errors.Is(err, c.err) {
			t.Errorf("%s: %s up to %d, %v", c.name, show(got), last, err)
		}
		if asked := strings.Join(s.bodies(callsGet), " "); asked != c.asked {
			t.Errorf("%s: asked for %s", c.name, asked)
		}
	}
	for _, answers := range [][]string{{badRequest}, {msgAnswer(5, "a", nil), badRequest}, {noMessage, badRequest}} {
		s.on(t, l, callsGet, answers...)
		if got, last, err := l.Since(t.Context(), "k", 0); err == nil || len(got) != 0 || last != 0 {
			t.Errorf("a refusal after %d answers: %s, %d, %v", len(answers)-1, show(got), last, err)
		}
	}
}

// TestKeysPages: as many questions as there are pages, here and at home.
func TestKeysPages(t *testing.T) {
	t.Parallel()
	l, s := newScript(t, Config{})
	page := func(total int, keys ...string) string {
		var list []string
		for i, k := range keys {
			list = append(list, fmt.Sprintf(`"calls.r.%s":%d`, k, i+1))
		}
		return fmt.Sprintf(`{"total":%d,"state":{"subjects":{%s}}}`, total, strings.Join(list, ","))
	}
	const home = "$JS.r.API.STREAM.INFO.CALLS_r"
	for subject, keys := range map[string]func() (map[string]uint64, error){
		callsInfo: func() (map[string]uint64, error) { return l.Keys(t.Context()) },
		home:      func() (map[string]uint64, error) { return l.HomeKeys(t.Context()) },
	} {
		s.on(t, l, subject, page(3, "a", "b"), page(3, "c.d"))
		if got, err := keys(); err != nil || fmt.Sprint(got) != "map[a:1 b:2 c.d:1]" {
			t.Errorf("%s: %v, %v", subject, got, err)
		}
		asked := strings.Join(s.bodies(subject), " ")
		if asked != `{"subjects_filter":"calls.r.>","offset":0} {"subjects_filter":"calls.r.>","offset":2}` {
			t.Errorf("%s: asked for %s", subject, asked)
		}
		s.on(t, l, subject, page(9, "a"), page(9)) // keys went while they were told
		if got, err := keys(); err != nil || fmt.Sprint(got) != "map[a:1]" {
			t.Errorf("%s: %v, %v", subject, got, err)
		}
		s.on(t, l, subject, page(2, "a"), badRequest)
		if got, err := keys(); err == nil || got != nil {
			t.Errorf("%s: half of them, %v, %v", subject, got, err)
		}
		s.on(t, l, subject, "no JSON")
		if _, err := keys(); err == nil || !strings.Contains(err.Error(), "decode the answer") {
			t.Errorf("%s: %v", subject, err)
		}
	}
}

// TestPurgeFaults: a purge is asked for once, and tells what went wrong.
func TestPurgeFaults(t *testing.T) {
	t.Parallel()
	l, s := newScript(t, Config{})
	const purge = "$JS.API.STREAM.PURGE.CALLS_r"
	if err := l.Purge(t.Context(), "k", 7); !errors.Is(err, ErrUnavailable) {
		t.Errorf("nobody answers: %v", err)
	}
	s.on(t, l, purge, `{"success":true}`)
	if err := l.Purge(t.Context(), "k", 7); err != nil {
		t.Error(err)
	}
	if got := strings.Join(s.bodies(purge), " "); got != `{"filter":"calls.r.k","seq":8}` {
		t.Errorf("asked to remove %s", got)
	}
	s.on(t, l, purge, unavailable)
	if err := l.Purge(t.Context(), "k", 7); !errors.Is(err, ErrUnavailable) || len(s.questions(purge)) != 1 {
		t.Errorf("no leader: %v, asked %d times", err, len(s.questions(purge)))
	}
	s.on(t, l, purge, "no JSON")
	if err := l.Purge(t.Context(), "k", 7); err == nil || !strings.HasPrefix(err.Error(), "purge k: decode answer to STREAM.PURGE.CALLS_r: ") {
		t.Errorf("no JSON: %v", err)
	}
	l.pos.set(6) // the archive is one entry behind
	s.on(t, l, purge, `{"success":true}`)
	if err := l.Trim(t.Context(), 7); err != nil {
		t.Error(err)
	}
	if err := l.Retire(t.Context(), "k", 6); err != nil {
		t.Error(err)
	}
	if got := strings.Join(s.bodies(purge), " "); got != `{"seq":7} {"filter":"calls.r.k","seq":7}` {
		t.Errorf("asked to remove %s", got)
	}
}

// TestLeaseWrites: what a lease's writer does about a conflict.
func TestLeaseWrites(t *testing.T) {
	t.Parallel()
	l, s := newScript(t, Config{})
	subject := names.LeaseSubject("r", "node.n1")
	get := "$JS.API.STREAM.MSG.GET." + names.LeasesStream("r")
	deleted := nats.Header{headerOperation: []string{operationDelete}}
	conflict := faultAnswer(400, codeWrongLastSeq, "wrong last sequence: 9")
	for _, c := range []struct {
		name     string
		revision uint64
		answers  []string // to the write
		lease    []string // to the question for what is there
		want     uint64
		err      error
		expected string // what the writes expected
	}{
		{"confirmed", 5, []string{ackAnswer(6)}, []string{silence}, 6, nil, "5"},
		{"ours, and the answer was lost", 5, []string{silence, conflict}, []string{msgAnswer(9, "mine", nil)}, 9, nil, "5 5"},
		{"another's", 5, []string{conflict}, []string{msgAnswer(9, "theirs", nil)}, 0, ErrConflict, "5"},
		{"ours, and older than what was known", 12, []string{conflict}, []string{msgAnswer(9, "mine", nil)}, 0, ErrConflict, "12"},
		{"gone", 5, []string{conflict}, []string{msgAnswer(9, "", deleted)}, 0, ErrConflict, "5"},
		{"a deletion in the way of a new one", 0, []string{conflict, ackAnswer(10)}, []string{msgAnswer(9, "", deleted)}, 10, nil, "0 9"},
		{"the server removed it", 0, []string{conflict, ackAnswer(10)}, []string{msgAnswer(9, "", nats.Header{headerMarker: []string{"MaxAge"}})}, 10, nil, "0 9"},
		{"under way, and not stored", 5, []string{inFlight, ackAnswer(6)}, []string{msgAnswer(5, "old", nil)}, 6, nil, "5 5"},
		{"under way, and another's", 5, []string{inFlight}, []string{msgAnswer(6, "theirs", nil)}, 0, ErrConflict, "5"},
		{"a header that cannot be read", 5, []string{conflict}, []string{`{"message":{"seq":9,"hdrs":"eA=="}}`}, 0, nil, "5"},
		{"a question that is refused", 5, []string{conflict}, []string{badRequest}, 0, nil, "5"},
	} {
		s.on(t, l, subject, c.answers...)
		s.on(t, l, get, c.lease...)
		got, err := l.PutLease(t.Context(), "node.n1", []byte("mine"), c.revision)
		m := matches(err)
		if got != c.want || (err == nil) != (c.want > 0) || c.err == nil && len(m) > 0 || c.err != nil && (len(m) != 1 || m[0] != c.err) {
			t.Errorf("%s: %d, %v; want %d, %v", c.name, got, err, c.want, c.err)
		}
		var expected []string
		for _, m := range s.questions(subject) {
			expected = append(expected, m.Header.Get("Nats-Expected-Last-Subject-Sequence"))
		}
		if got := strings.Join(expected, " "); got != c.expected {
			t.Errorf("%s: the writes expected %s, want %s", c.name, got, c.expected)
		}
	}

	// A lease that is gone already needs no deletion, whoever did it.
	s.on(t, l, subject, silence, conflict)
	s.on(t, l, get, msgAnswer(9, "", deleted))
	if err := l.DeleteLease(t.Context(), "node.n1", 5); err != nil {
		t.Errorf("a deletion whose answer was lost: %v", err)
	}
	for _, m := range s.questions(subject) {
		if m.Header.Get(headerOperation) != operationDelete || len(m.Data) > 0 {
			t.Errorf("deleted with %v, %q", m.Header, m.Data)
		}
	}
	s.on(t, l, get, msgAnswer(9, "theirs", nil))
	if err := l.DeleteLease(t.Context(), "node.n1", 5); !errors.Is(err, ErrConflict) {
		t.Errorf("a deletion of what another one has put: %v", err)
	}
	before := len(s.questions(subject))
	if err := l.DeleteLease(t.Context(), "node.n1", 0); err != nil || len(s.questions(subject)) != before {
		t.Errorf("a deletion of what was never there: %v", err)
	}
}

// TestInstanceIDFirst: of many nodes that make an identity the first one's counts, and it is asked for once.
func TestInstanceIDFirst(t *testing.T) {
	t.Parallel()
	l, s := newScript(t, Config{})
	subject := names.LeaseSubject("r", clusterKey)
	get := "$JS.API.STREAM.MSG.GET." + names.LeasesStream("r")
	s.on(t, l, subject, faultAnswer(400, codeWrongLastSeq, "wrong last sequence: 1"))
	s.on(t, l, get, badRequest)
	if id, err := l.InstanceID(t.Context()); err == nil || id != "" || !strings.HasPrefix(err.Error(), "the identity of the cluster: ") {
		t.Errorf("a refusal: %q, %v", id, err)
	}
	s.on(t, l, get, msgAnswer(1, "0123456789ab", nil))
	for range 2 {
		if id, err := l.InstanceID(t.Context()); err != nil || id != "0123456789ab" {
			t.Errorf("%q, %v", id, err)
		}
	}
	if n := len(s.questions(subject)); n != 2 {
		t.Errorf("tried to make one %d times", n)
	}
}
