package embed

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
)

// newConsumer is a consumer that gets what a test gives it, and what it delivers.
func newConsumer() (*consumer, *[]uint64) {
	var got []uint64
	r := &follow{l: &Log{}, next: 1, caughtUp: true, deliver: func(_ *nats.Msg, d delivery) { got = append(got, d.streamSeq) }}
	return &consumer{follow: r, inbox: "_INBOX.x.", broken: make(chan error, 1), ended: make(chan bool, 1)}, &got
}

// outcome is what a consumer has to say of its request: that it broke, that it is through or that there may be more; nothing so far.
func (c *consumer) outcome() string {
	select {
	case err := <-c.broken:
		return err.Error()
	case full := <-c.ended:
		return fmt.Sprintf("full %v", full)
	default:
		return ""
	}
}

func deliveryOf(stream, number, pending uint64) *nats.Msg {
	return &nats.Msg{Subject: "calls.r.k", Data: []byte("x"), Reply: fmt.Sprintf("$JS.ACK.CALLS_r.c.1.%d.%d.1700000000000000000.%d", stream, number, pending)}
}

// TestConsumerReceive: deliveries come without a gap, or the consumer begins again after the last one that was handled.
func TestConsumerReceive(t *testing.T) {
	c, got := newConsumer()
	c.receive(deliveryOf(3, 1, 2))
	c.receive(deliveryOf(7, 2, 1))
	if fmt.Sprint(*got) != "[3 7]" || c.next != 8 || c.outcome() != "" {
		t.Errorf("delivered %v, next is %d", *got, c.next)
	}
	c.receive(deliveryOf(9, 4, 0)) // the third one was lost
	if s := c.outcome(); s != "a gap: delivery 4 follows 2" || fmt.Sprint(*got) != "[3 7]" || c.next != 8 {
		t.Errorf("%q, delivered %v, next is %d", s, *got, c.next)
	}
	c.receive(deliveryOf(8, 3, 1)) // and comes later
	if fmt.Sprint(*got) != "[3 7]" || c.beats.Load() != 4 {
		t.Errorf("delivered %v after it broke, %d signs of life", *got, c.beats.Load())
	}
	c, got = newConsumer()
	c.receive(&nats.Msg{Subject: "calls.r.k", Data: []byte("x"), Reply: "_INBOX.y"})
	if s := c.outcome(); s != `unexpected reply subject "_INBOX.y"` || len(*got) > 0 {
		t.Errorf("%q, delivered %v", s, *got)
	}
	c, _ = newConsumer()
	for request := range uint64(2) { // each counts for itself
		c.request.Add(1)
		for i := range uint64(followBatch) {
			if s := c.outcome(); s != "" {
				t.Fatalf("%q after %d of request %d", s, i, request)
			}
			n := request*followBatch + i + 1
			c.receive(deliveryOf(n, n, 1))
		}
		if s := c.outcome(); s != "full true" {
			t.Errorf("%q after a whole batch", s)
		}
	}
}

// TestConsumerCaughtUp: the backlog ends with its last entry, or when a server that stands alone has nothing more.
func TestConsumerCaughtUp(t *testing.T) {
	for _, c := range []struct {
		name      string
		clustered bool
		deliver   []*nats.Msg
		want      string
	}{
		{"the last entry", true, []*nats.Msg{deliveryOf(3, 1, 5), deliveryOf(9, 2, 5)}, "[3 9 caught up with 9]"},
		{"later than that", true, []*nats.Msg{deliveryOf(12, 1, 5)}, "[12 caught up with 9]"},
		{"nothing more, alone", false, []*nats.Msg{deliveryOf(3, 1, 0)}, "[3 caught up with 9]"},
		{"nothing more, but others may have it", true, []*nats.Msg{deliveryOf(3, 1, 0)}, "[3]"},
		{"an empty answer, alone", false, []*nats.Msg{{Subject: "_INBOX.x.0", Header: nats.Header{"Status": []string{"404"}}}}, "[caught up with 9]"},
		{"an empty answer, and others", true, []*nats.Msg{{Subject: "_INBOX.x.0", Header: nats.Header{"Status": []string{"404"}}}}, "[]"},
		{"once", true, []*nats.Msg{deliveryOf(9, 1, 1), deliveryOf(10, 2, 0)}, "[9 caught up with 9 10]"},
	} {
		cons, _ := newConsumer()
		told := []string{}
		cons.deliver = func(_ *nats.Msg, d delivery) { told = append(told, fmt.Sprint(d.streamSeq)) }
		cons.f.CaughtUp = func(last uint64) { told = append(told, fmt.Sprint("caught up with ", last)) }
		cons.caughtUp, cons.goal, cons.clustered = false, 9, c.clustered
		for _, m := range c.deliver {
			cons.receive(m)
		}
		if got := fmt.Sprint(told); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

// TestConsumerControl: what a server says about a request (NATS's ADR-13), and about an earlier one.
func TestConsumerControl(t *testing.T) {
	for _, c := range []struct{ subject, code, text, want string }{
		{"_INBOX.x.1", "100", "Idle Heartbeat", ""},
		{"_INBOX.x.1", "404", "No Messages", "full false"},
		{"_INBOX.x.1", "408", "Request Timeout", "full false"},
		{"_INBOX.x.1", "409", "Message Size Exceeds MaxBytes", "full true"},
		{"_INBOX.x.1", "409", "Batch Completed", "full true"},
		{"_INBOX.x.1", "409", "Consumer Deleted", "the server ended the request: 409 Consumer Deleted"},
		{"_INBOX.x.1", "503", "", "the server ended the request: 503 "},
		{"_INBOX.x.0", "409", "Consumer Deleted", ""},
		{"_INBOX.x.0", "408", "Request Timeout", ""},
	} {
		cons, got := newConsumer()
		cons.request.Add(1)
		cons.receive(&nats.Msg{Subject: c.subject, Header: nats.Header{"Status": []string{c.code}, "Description": []string{c.text}}})
		if s := cons.outcome(); s != c.want || len(*got) > 0 {
			t.Errorf("%s %s to %s: %q, want %q", c.code, c.text, c.subject, s, c.want)
		}
	}
}

// TestFollowLook: where the stream stands, compared with what was delivered.
func TestFollowLook(t *testing.T) {
	t.Parallel()
	l, s := newScript(t, Config{})
	created := time.Unix(1_700_000_000, 0).UTC()
	info := func(first, last, messages uint64, cluster string) string {
		return fmt.Sprintf(`{"created":%q,"state":{"first_seq":%d,"last_seq":%d,"messages":%d},"cluster":{%s}}`,
			created.Format(time.RFC3339), first, last, messages, cluster)
	}
	const three = `"name":"c","leader":"n2","replicas":[{"name":"n1"},{"name":"n3"}]`
	for _, c := range []struct {
		name   string
		r      *follow
		answer string
		want   string // what is told
		err    string
		reset  bool
	}{
		{"an empty stream", &follow{next: 1}, info(0, 0, 0, ""), "[caught up with 0]", "", false},
		{"a backlog", &follow{next: 1}, info(1, 9, 9, ""), "[]", "", false},
		{"at its end", &follow{next: 10}, info(1, 9, 9, ""), "[caught up with 9]", "", false},
		{"trimmed meanwhile", &follow{next: 3, resumes: true}, info(7, 9, 3, ""), "[gap 3 to 6]", "", false},
		{"trimmed, and never been there", &follow{next: 3}, info(7, 9, 3, ""), "[]", "", false},
		{"made anew", &follow{next: 3, created: created.Add(-time.Hour)}, info(1, 9, 9, ""), "[]", "it was created again at 2023-11-14 22:13:20 +0000 UTC", true},
		{"shorter, alone", &follow{next: 12}, info(1, 9, 9, ""), "[]", "it ends at 9, before 12", true},
		{"shorter, a leader just elected", &follow{next: 12}, info(1, 9, 9, three), "[]", "it ends at 9, before 12", false},
		{"shorter for long", &follow{next: 12, short: time.Now().Add(-time.Hour)}, info(1, 9, 9, three), "[]", "it ends at 9, before 12", true},
		{"no stream of ours", &follow{next: 1, missing: true}, faultAnswer(404, codeStreamNotFound, "stream not found"), "[]", "it is gone", true},
		{"a stream that is waited for", &follow{next: 1}, faultAnswer(404, codeStreamNotFound, "stream not found"), "[]", "stream not found (error 10059)", false},
	} {
		told := []string{}
		r := c.r
		r.l, r.stream = l, l.callsStream()
		r.f = Follower{
			CaughtUp: func(last uint64) { told = append(told, fmt.Sprint("caught up with ", last)) },
			Gap:      func(from, to uint64) { told = append(told, fmt.Sprint("gap ", from, " to ", to)) },
		}
		s.on(t, l, callsInfo, c.answer)
		err := r.look(t.Context())
		if got := fmt.Sprint(told); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
		if (err == nil) != (c.err == "") || err != nil && !strings.HasSuffix(err.Error(), c.err) || (len(matches(err)) > 0) != c.reset {
			t.Errorf("%s: %v, want %q", c.name, err, c.err)
		}
		if r.local != strings.Contains(c.answer, "replicas") {
			t.Errorf("%s: our server has it: %v", c.name, r.local)
		}
	}
}

// TestFollowConfirm: in a cluster the leader says whether the backlog is through.
func TestFollowConfirm(t *testing.T) {
	t.Parallel()
	l, s := newScript(t, Config{})
	for _, c := range []struct {
		answer string
		goal   uint64
		want   bool
	}{
		{noMessage, 9, true},                   // the rest was purged
		{msgAnswer(9, "x", nil), 9, false},     // it still comes
		{msgAnswer(10, "later", nil), 9, true}, // that is no backlog
		{badRequest, 9, false},
	} {
		caughtUp := false
		r := &follow{l: l, stream: l.callsStream(), next: 5, goal: c.goal, f: Follower{CaughtUp: func(uint64) { caughtUp = true }}}
		s.on(t, l, callsGet, c.answer)
		if err := r.confirm(t.Context()); caughtUp != c.want || (err != nil) != (c.answer == badRequest) {
			t.Errorf("%s: caught up %v, %v", c.answer, caughtUp, err)
		}
		if got := fmt.Sprint(s.bodies(callsGet)); got != `[{"seq":5,"next_by_subj":"calls.r.>"}]` {
			t.Errorf("asked for %s", got)
		}
	}
}
