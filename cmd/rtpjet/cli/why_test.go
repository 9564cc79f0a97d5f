package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"rtpjet/cmd/rtpjet/admin"
	"rtpjet/cmd/rtpjet/config"
	"rtpjet/embed"
	"rtpjet/events"
	"rtpjet/projection"
	"rtpjet/projection/history"
	"rtpjet/projection/members"
)

// link is NATS with one node that answers what the test has it answer.
type link struct {
	answers map[string]func() (any, error) // by verb
	asked   []string
}

func (l *link) Request(_ context.Context, tokens string, _ []byte) ([]byte, error) {
	l.asked = append(l.asked, tokens)
	answer := l.answers[tokens[strings.LastIndexByte(tokens, '.')+1:]]
	if answer == nil {
		return nil, embed.ErrNobody
	}
	v, err := answer()
	if err != nil {
		return nil, err
	}
	return json.Marshal(v)
}

func (l *link) FollowLeases(_ context.Context, _ func(embed.Lease, bool), caughtUp func()) error {
	caughtUp()
	return nil
}

// TestAwaitEmpty: a node is asked each second, and what is new is told, until there is nothing to wait for.
func TestAwaitEmpty(t *testing.T) {
	gone := func() (any, error) { return nil, embed.ErrNobody }
	silent := func() (any, error) { return nil, errors.New("timeout") }
	left := func(n int64) func() (any, error) {
		return func() (any, error) { return admin.Status{Own: n, Draining: true}, nil }
	}
	for name, tt := range map[string]struct {
		o     config.NodeOptions
		says  []func() (any, error) // second by second; the last one stays
		out   string
		err   string
		after time.Duration
	}{
		"none":            {config.NodeOptions{}, []func() (any, error){left(0)}, "n1 has no more calls.\n", "", 0},
		"fewer and fewer": {config.NodeOptions{}, []func() (any, error){left(3), left(3), left(1), left(1), left(0)}, "3 calls\n1 calls\nn1 has no more calls.\n", "", 4 * time.Second},
		"more":            {config.NodeOptions{}, []func() (any, error){left(1), left(2), left(0)}, "1 calls\n2 calls\nn1 has no more calls.\n", "", 2 * time.Second},
		"stopped":         {config.NodeOptions{Stop: true}, []func() (any, error){left(1), gone}, "1 calls\nn1 has ended.\n", "", time.Second},
		"lost":            {config.NodeOptions{}, []func() (any, error){left(1), gone}, "1 calls\n", "node n1 does not run; rtpjet node list shows those that do", time.Second},
		"silent":          {config.NodeOptions{}, []func() (any, error){silent}, "", "node n1 does not answer: timeout", 0},
		"undrained": {
			config.NodeOptions{}, []func() (any, error){left(1), func() (any, error) { return admin.Status{Own: 1}, nil }}, "1 calls\n",
			"node n1 takes new calls again: somebody has undrained it", time.Second,
		},
		"over":                  {config.NodeOptions{Deadline: 2500 * time.Millisecond}, []func() (any, error){left(7)}, "7 calls\n", "the deadline is over, and node n1 has 7 calls", 2500 * time.Millisecond},
		"over, and known never": {config.NodeOptions{Deadline: time.Nanosecond}, []func() (any, error){left(7)}, "7 calls\n", "the deadline is over, and node n1 has 7 calls", time.Nanosecond},
		"for ever":              {config.NodeOptions{}, []func() (any, error){left(7)}, "7 calls\n", "the deadline is over, and node n1 has 7 calls", time.Hour}, // it was interrupted
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tt.o.ID, tt.o.Wait = "n1", true
				asked := 0
				l := &link{answers: map[string]func() (any, error){
					admin.VerbDrain: func() (any, error) { return admin.Reply{Calls: 9}, nil },
					admin.VerbStatus: func() (any, error) {
						asked++
						return tt.says[min(asked, len(tt.says))-1]()
					},
				}}
				ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
				defer cancel()
				began := time.Now()
				var out bytes.Buffer
				err := drain(ctx, l, tt.o, true, &out)
				if out.String() != "n1 takes no new calls; it has 9.\n"+tt.out || (err == nil) != (tt.err == "") || err != nil && err.Error() != tt.err {
					t.Errorf("%q, %v", &out, err)
				}
				if took := time.Since(began); took != tt.after {
					t.Errorf("it took %v, want %v", took, tt.after)
				}
			})
		})
	}
}

// TestDrainDoesNotWait: without --wait, and for an undrain, nobody is asked how the node is.
func TestDrainDoesNotWait(t *testing.T) {
	for _, tt := range []struct {
		on, wait bool
		reply    admin.Reply
		out, err string
	}{
		{true, false, admin.Reply{Calls: 1}, "n1 takes no new calls; it has 1.\n", ""},
		{false, true, admin.Reply{Calls: 1}, "n1 takes new calls again; it has 1.\n", ""},
		{true, true, admin.Reply{Error: "it cannot be done"}, "", "it cannot be done"},
	} {
		l := &link{answers: map[string]func() (any, error){admin.VerbDrain: func() (any, error) { return tt.reply, nil }}}
		var out bytes.Buffer
		err := drain(t.Context(), l, config.NodeOptions{ID: "n1", Wait: tt.wait}, tt.on, &out)
		if out.String() != tt.out || (err == nil) != (tt.err == "") || err != nil && err.Error() != tt.err || len(l.asked) != 1 {
			t.Errorf("%+v: %q, %v, asked %q", tt, &out, err, l.asked)
		}
	}
}

// TestWhyText: each thing that keeps a call or ended it, in words.
func TestWhyText(t *testing.T) {
	c := living().Call
	a, b := netip.MustParseAddrPort("10.0.0.1:30000"), netip.MustParseAddrPort("10.0.0.1:30001")
	const now = noon
	stream := func(s projection.StreamTimer) *projection.Alive {
		return &projection.Alive{Streams: []projection.StreamTimer{s}}
	}
	for name, tt := range map[string]struct {
		why  Why
		want []string
	}{
		"ended, why is not known": {Why{Call: "x"}, []string{"call x: it has ended; its last event does not say why"}},
		"deleted": {
			Why{Call: "x\n", Ended: time.UnixMicro(now), Reason: events.ReasonDeleted, By: "n1", Asked: "192.0.2.1:5070"},
			[]string{`call "x\n": ended 2026-08-01 12:00:00.000 UTC: ` + history.ReasonText(events.ReasonDeleted), "  written by n1, asked by 192.0.2.1:5070"},
		},
		"deleted with a delay": {
			Why{Call: "x", Ended: time.UnixMicro(now), Until: time.UnixMicro(now - 1_500_000), Reason: events.ReasonDeleted, By: "n1"},
			[]string{"call x: ended 2026-08-01 11:59:58.500 UTC: " + history.ReasonText(events.ReasonDeleted), "  written by n1 1.5s later, when its delay was over"},
		},
		"timed out": {
			Why{Call: "x", Ended: time.UnixMicro(now), Reason: events.ReasonTimeout, By: "n\x1b"},
			[]string{"call x: ended 2026-08-01 12:00:00.000 UTC: " + history.ReasonText(events.ReasonTimeout), `  written by "n\x1b"`},
		},
		"nobody has it": {
			Why{Call: "x", Alive: true, Owner: "float.192.0.2.9", Epoch: 3, Problem: "nobody has the floating address", Float: &admin.Float{FloatStatus: admin.FloatStatus{Epoch: 2, Successor: "n2"}}},
			[]string{"call x lives", "  owner float.192.0.2.9, number 3 of the call", "  floating address: held by nothing, epoch 2, successor n2", "  its packets are not known: nobody has the floating address"},
		},
		"no lease": {
			Why{Call: "x", Alive: true, Owner: "n1", Epoch: 1, Carrier: "n1", Problem: "node n1 does not run"},
			[]string{"call x lives", "  owner n1, number 1 of the call", "  there is no lease of n1", "  its packets are not known: node n1 does not run"},
		},
		"packets": {
			Why{Call: "x", Alive: true, Owner: "n1", Epoch: 1, Carrier: "n1", Verdict: "alive", Lease: &members.Lease{Node: "n1", State: members.Up, Epoch: 4, Started: now}, Now: now,
				Timers: &projection.Alive{Ends: now + 58_000_000, Why: events.ReasonTimeout, Final: now + 3_600_000_000, DeleteAt: now + 9_000_000, Streams: []projection.StreamTimer{
					{Party: 0, Class: projection.ClassMedia, Limit: 60_000_000, Last: now - 2_000_000, Packet: true, RTP: a, RTCP: b, LastRTP: now - 2_000_000, Counts: true}}}},
			[]string{
				"call x lives", "  owner n1, number 1 of the call", "  lease of n1: up, epoch 4, since 2026-08-01 12:00:00 UTC; the node is alive",
				"  alice 1 audio: last RTP 2s ago on 10.0.0.1:30000, no RTCP yet on 10.0.0.1:30001, packets are expected: 58s left of --timeout since its last packet",
				"  longest life (--final-timeout): in 1h0m0s", "  to be deleted (a delete has asked for it): in 9s",
				"if nothing happens, it ends in 58s: " + history.ReasonText(events.ReasonTimeout),
			},
		},
		"muted": {
			Why{Call: "x", Alive: true, Now: now, Timers: stream(projection.StreamTimer{Party: 1, Class: projection.ClassSilent, Limit: 3600_000_000, Last: now - 60_000_000, Counts: true})},
			[]string{"call x lives", "  owner , number 0 of the call", "  bob 1 audio: nothing is expected: 59m0s left of --silent-timeout since the last signalling", "nothing ends it by itself: a timer that counts is switched off"},
		},
		"not answered, run out": {
			Why{Call: "x", Alive: true, Now: now, Timers: stream(projection.StreamTimer{Party: 7, Class: projection.ClassOffer, Limit: 1, Last: now - 2, Counts: true})},
			[]string{"call x lives", "  owner , number 0 of the call", "  (no tag yet) 1 : its peer's address is not known: --offer-timeout has run out", "nothing ends it by itself: a timer that counts is switched off"},
		},
		"off": {
			Why{Call: "x", Alive: true, Now: now, Timers: stream(projection.StreamTimer{Party: 0, Class: projection.ClassMedia, Counts: true})},
			[]string{"call x lives", "  owner , number 0 of the call", "  alice 1 audio: packets are expected: --timeout is off, it keeps the call for ever", "nothing ends it by itself: a timer that counts is switched off"},
		},
		"does not count": {
			Why{Call: "x", Alive: true, Now: now, Timers: stream(projection.StreamTimer{Party: 0, Class: projection.ClassSilent})},
			[]string{"call x lives", "  owner , number 0 of the call", "  alice 1 audio: nothing is expected: does not count", "nothing ends it by itself: a timer that counts is switched off"},
		},
	} {
		var b bytes.Buffer
		tt.why.write(&b, &c)
		if got, want := b.String(), strings.Join(tt.want, "\n")+"\n"; got != want {
			t.Errorf("%s:\n%s\nwant\n%s", name, got, want)
		}
	}
}

// TestWhyJSON: what is not known is not there.
func TestWhyJSON(t *testing.T) {
	for want, why := range map[string]Why{
		`{"call":"x","alive":false,"owner":"n1"}`: {Call: "x", Owner: "n1"},
		`{"call":"x","alive":false,"owner":"n1","ended":"2026-08-01T12:00:00Z","reason":"deleted","by":"n2","asked":"192.0.2.1:5070"}`: {
			Call: "x", Owner: "n1", Ended: time.UnixMicro(noon).UTC(), Reason: events.ReasonDeleted, By: "n2", Asked: "192.0.2.1:5070",
		},
		`{"call":"x","alive":true,"owner":"n1","epoch":2,"carrier":"n1","verdict":"gone","problem":"node n1 does not run"}`: {
			Call: "x", Alive: true, Owner: "n1", Epoch: 2, Carrier: "n1", Verdict: "gone", Problem: "node n1 does not run",
		},
	} {
		if got, err := json.Marshal(why); err != nil || string(got) != want {
			t.Errorf("%s, %v\nwant %s", got, err, want)
		}
	}
}

func ExampleTally() {
	out, _ := json.Marshal(Tally{Calls: 3, Events: 12, Rerun: 7})
	fmt.Println(string(out))
	// Output: {"calls":3,"events":12,"rerun":7,"differ":0,"in":0}
}
