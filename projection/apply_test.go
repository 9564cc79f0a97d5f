package projection_test

import (
	"bytes"
	"io"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"rtpjet/events"
	"rtpjet/events/eventstest"
	"rtpjet/ngserver/ng"
	"rtpjet/projection"
	"rtpjet/projection/projectiontest"
)

// look calls everything that reads a call; none of it may panic or change the call, whatever the events said.
func look(c *projection.Call) {
	c.Routes(projection.RouteDefaults{}, 0)
	c.Describe(io.Discard)
	c.Timeout(projection.Timeouts{Media: 1, Silent: 1, Offer: 1, Final: 1}, func(netip.AddrPort) int64 { return 0 }, 5)
	projection.DecideDue(c, 1<<62)
	projection.DecideDelete(c, &ng.Request{FromTag: "a", DeleteDelay: -1}, 30, 5)
	_, _ = projection.DecideBlock(c, &ng.Request{Command: "block media", CallID: "x", FromTag: "a", Directional: true}, 5)
	for _, p := range c.Parties {
		if p != nil {
			c.Listeners(p.ID)
			c.ByTag(p.Tag)
			c.Peer(p)
		}
	}
}

// fold applies a history the way a node does, with a look at the call after each event.
func fold(history []events.Envelope, careful bool) *projection.Call {
	c := &projection.Call{}
	for i, e := range history {
		c.Apply(uint64(i+1), e)
		if careful {
			look(c)
		}
	}
	return c
}

// Apply takes any event, and two nodes that see the same history have the same call.
func TestApplyAnything(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		history := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) events.Envelope {
			e := eventstest.Envelope().Draw(t, "envelope")
			e.Gen = rapid.SampledFrom([]uint64{1, 1, 1, 0, 2}).Draw(t, "generation") // mostly of one call
			return e
		}), 1, 8).Draw(t, "history")
		a, b := fold(history, true), fold(history, false)
		if !reflect.DeepEqual(a, b) {
			t.Fatalf("\n%#v\n%#v", a, b)
		}
	})
}

func FuzzApply(f *testing.F) {
	d := projectiontest.NewDriver()
	for _, s := range [][2]string{
		{"offer", "m=audio 4000 RTP/AVP 0\nm=image 4002 udptl t38\n"}, {"answer", "m=audio 5000 RTP/AVP 0\nm=image 0 udptl t38\n"},
	} {
		req, err := projectiontest.Request(s[0], "from-tag", "a", "to-tag", "b", "sdp", []byte(projectiontest.SDP(s[0], s[1])))
		if err != nil {
			f.Fatal(err)
		}
		if _, err := d.Do(req); err != nil {
			f.Fatal(err)
		}
	}
	on := true
	for _, e := range []events.Event{
		events.EndpointLearned{Party: 1, Signal: 2, Remote: netip.MustParseAddrPort("192.0.2.9:9")}, events.MediaBlocked{Media: &on, All: true},
		events.DeletionScheduled{Parties: []int{0}, At: 9}, events.PartiesRemoved{Parties: []int{1}}, events.Ended{Reason: events.ReasonDeleted},
	} {
		d.Append(e)
	}
	var all []byte
	for _, e := range d.Log {
		data, err := events.Encode(e)
		if err != nil {
			f.Fatal(err)
		}
		all = append(all, data...)
		f.Add(slices.Clone(all))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var history []events.Envelope
		for line := range bytes.SplitAfterSeq(data, []byte("\n")) {
			if e, err := events.Decode(line); err == nil {
				history = append(history, e)
			}
		}
		if !reflect.DeepEqual(fold(history, true), fold(history, false)) {
			t.Fatal("two folds differ")
		}
	})
}

// TestRandomCalls mixes everything that can happen to a call, and checks the rules of projectiontest.Check after each step.
func TestRandomCalls(t *testing.T) {
	tags, branches := []string{"a", "b", "c"}, []string{"", "", "x", "y"}
	bodies := []string{
		"m=audio 4000 RTP/AVP 0\n", "m=audio 4100 RTP/AVP 0 8\na=rtcp-mux\n", "m=audio 0 RTP/AVP 0\n", "m=image 4000 udptl t38\n",
		"m=audio 4000 RTP/AVP 8\nm=video 4002 RTP/AVP 34\n", "c=IN IP4 0.0.0.0\nm=audio 4000 RTP/AVP 0\n", "c=IN IP6 2001:db8::9\nm=audio 4000 RTP/AVP 0\n",
	}
	commands := []string{
		"offer", "offer", "answer", "answer", "delete", "block media", "unblock media", "block DTMF", "learned", "due", "no ports", "junk",
	}
	rapid.Check(t, func(t *rapid.T) {
		d := projectiontest.NewDriver()
		for range rapid.IntRange(1, 20).Draw(t, "steps") {
			command := rapid.SampledFrom(commands).Draw(t, "command")
			from, to := rapid.SampledFrom(tags).Draw(t, "from"), rapid.SampledFrom(tags).Draw(t, "to")
			keys := []any{"from-tag", from, "via-branch", rapid.SampledFrom(branches).Draw(t, "branch")}
			before := len(d.Log)
			d.Now += int64(rapid.IntRange(0, 20).Draw(t, "seconds")) * 1_000_000
			d.Res.Left = -1
			switch command {
			case "learned":
				ev := events.EndpointLearned{
					Party: rapid.IntRange(-1, 3).Draw(t, "party"), Media: rapid.IntRange(-1, 2).Draw(t, "media"),
					RTCP: rapid.Bool().Draw(t, "rtcp"), Remote: netip.MustParseAddrPort("192.0.2.99:7000"),
					Signal: uint64(rapid.IntRange(0, 5).Draw(t, "signal")), Confirmed: rapid.Bool().Draw(t, "confirmed"),
				}
				if d.Call.Live() {
					d.Append(ev)
				}
			case "due":
				d.Append(projection.DecideDue(&d.Call, d.Now))
			case "junk":
				if d.Call.Live() {
					d.Append(events.Unknown{Name: "junk", Body: []byte("{}")})
				}
			default:
				switch command {
				case "no ports":
					command = "offer"
					d.Res.Left = rapid.IntRange(0, 3).Draw(t, "left")
					fallthrough
				case "offer", "answer":
					if command == "answer" || rapid.Bool().Draw(t, "to-tag") {
						keys = append(keys, "to-tag", to)
					}
					keys = append(keys, "sdp", []byte(projectiontest.SDP(command, rapid.SampledFrom(bodies).Draw(t, "body"))))
				case "delete":
					keys = append(keys, "delete-delay", rapid.SampledFrom([]int{-1, 0, 3}).Draw(t, "delay"))
				default:
					keys = append(keys, "flags", rapid.SampledFrom([]string{"directional", "all", ""}).Draw(t, "flag"))
				}
				req, err := projectiontest.Request(command, keys...)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := d.Do(req); err != nil && len(d.Log) != before {
					t.Fatalf("refused, and yet changed: %v", err)
				}
			}
			if err := projectiontest.Check(&d.Call, d.Res); err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(d.Replay(), &d.Call) {
				t.Fatal("a replay gives another call")
			}
			look(&d.Call)
			if !reflect.DeepEqual(d.Replay(), &d.Call) {
				t.Fatal("looking at a call changes it")
			}
		}
	})
}

// Entries that do not fit the call change nothing but the sequence.
func TestApplyIgnores(t *testing.T) {
	d := projectiontest.NewDriver()
	do(t, d, "offer", "a", "", "", "m=audio 4000 RTP/AVP 0\n")
	do(t, d, "answer", "a", "b", "", "m=audio 5000 RTP/AVP 0\n")
	last := d.Log[len(d.Log)-1]
	on := true
	learned := events.EndpointLearned{Remote: netip.MustParseAddrPort("192.0.2.9:9"), Signal: 2}
	env := func(gen uint64, e events.Event) events.Envelope {
		return events.Envelope{Call: "call", Gen: gen, At: d.Now + 1, Event: e}
	}
	for _, c := range []struct {
		name string
		seq  uint64
		e    events.Envelope
	}{
		{"already applied", 2, last},
		{"before that", 1, d.Log[0]},
		{"learned in an older generation", 3, env(0, learned)},
		{"learned in a newer generation", 3, env(2, learned)},
		{"blocked in another generation", 3, env(2, events.MediaBlocked{Media: &on})},
		{"deleted in another generation", 3, env(2, events.DeletionScheduled{At: 1})},
		{"ended in another generation", 3, env(0, events.Ended{})},
		{"answered in a generation without an offer", 3, env(2, events.Answered{})},
		{"offered in an older generation", 3, env(0, events.Offered{})},
		{"learned on nobody's section", 3, env(1, events.EndpointLearned{Party: 9, Signal: 2})},
		{"removed a party that is not there", 3, env(1, events.PartiesRemoved{Parties: []int{-1, 9}})},
	} {
		got := d.Replay()
		got.Apply(c.seq, c.e)
		want := d.Replay()
		want.Seq = max(want.Seq, c.seq)
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: \n got %#v\nwant %#v", c.name, got, want)
		}
	}
	if (*projection.Call)(nil).Live() {
		t.Error("nil is a live call")
	}

	// After the end only an offer that begins a call counts. It may count its generations from 1 again, if its writer had
	// forgotten the ended one.
	d.Append(events.Ended{Reason: events.ReasonDeleted})
	for _, e := range []events.Envelope{env(1, learned), env(1, events.Offered{}), env(1, events.Ended{}), env(2, events.Answered{})} {
		c := d.Replay()
		c.Apply(4, e)
		if c.Live() || c.Gen != 1 || c.Seq != 4 {
			t.Errorf("%T after the end: %#v", e.Event, c)
		}
	}
	again := d.Replay()
	if again.Apply(4, env(1, d.Log[0].Event)); !again.Live() || again.First != 4 {
		t.Errorf("a call after one that was forgotten: %#v", again)
	}
	do(t, d, "offer", "z", "", "", "m=audio 4000 RTP/AVP 0\n")
	if d.Call.Gen != 2 || !d.Call.Live() || d.Call.ByTag("a") != nil || d.Call.ByTag("z") == nil {
		t.Errorf("the next call is %#v", d.Call)
	}
}

// Applying an event never touches what an earlier state shares with its events: a reader may still hold a party.
func TestApplyCopies(t *testing.T) {
	d := projectiontest.NewDriver()
	do(t, d, "offer", "a", "", "", "m=audio 4000 RTP/AVP 0\n")
	do(t, d, "answer", "a", "b", "", "m=audio 5000 RTP/AVP 0\n")
	held := d.Call.Party(0)
	var was strings.Builder
	dump(&was, &d.Call)
	copied := *held
	copied.Medias, copied.Peers = slices.Clone(held.Medias), slices.Clone(held.Peers)
	on := true
	for _, e := range []events.Event{
		events.EndpointLearned{Remote: netip.MustParseAddrPort("192.0.2.9:9"), Signal: 2}, events.MediaBlocked{Media: &on, Parties: []int{0}},
		events.MediaBlocked{DTMF: &on, All: true}, events.PartiesRemoved{Parties: []int{1}},
	} {
		d.Append(e)
	}
	if !reflect.DeepEqual(*held, copied) {
		t.Errorf("a party that was handed out changed\nfrom %+v\nto   %+v", copied, *held)
	}
}
