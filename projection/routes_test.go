package projection_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"rtpjet/events"
	"rtpjet/projection"
	"rtpjet/projection/projectiontest"
	"rtpjet/relay/plan"
)

// route writes a stream in one line, in the words of scripts.
func route(s plan.Stream) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s to %s", short(s.Local), short(s.Signalled))
	if s.Learned.IsValid() {
		fmt.Fprintf(&b, " learned %s", short(s.Learned))
	}
	if s.Former.IsValid() {
		fmt.Fprintf(&b, " was %s", short(s.Former))
	}
	if s.Seen.IsValid() {
		fmt.Fprintf(&b, " seen at %s", s.Seen)
	}
	for _, sinks := range []struct {
		name string
		list []netip.AddrPort
	}{{"rtp", s.RTPSinks}, {"rtcp", s.RTCPSinks}} {
		if len(sinks.list) == 0 {
			continue
		}
		fmt.Fprintf(&b, ", %s out of", sinks.name)
		for _, a := range sinks.list {
			b.WriteString(" " + short(a))
		}
	}
	for _, f := range []struct {
		on   bool
		name string
	}{
		{s.RTCP, "is rtcp"}, {s.Mux, "mux"}, {s.Opaque, "opaque"}, {!s.MayLearn, "must not learn"}, {s.Confirmed, "confirmed"},
		{s.Asymmetric, "asymmetric"}, {s.StrictSource, "strict"}, {s.MediaHandover, "handover"}, {s.NATWait, "waits"},
		{s.PierceNAT, "pierces"}, {len(s.MaskExtensions) > 0, fmt.Sprintf("masks %v", s.MaskExtensions)}, {s.NoFeedback, "no feedback"}, {s.LoopCheck, "loop check"}, {s.Blocked, fmt.Sprintf("blocked but %v", s.DTMF)}, {s.BlockDTMF, fmt.Sprintf("DTMF blocked %v", s.DTMF)}, {s.Echo, "echo"},
		{s.Decrypt != nil, "decrypts " + protection(s.Decrypt)}, {s.Encrypt != nil, "encrypts " + protection(s.Encrypt)},
		{s.TOS != 0, fmt.Sprintf("TOS %d", s.TOS)}, {s.Mode != plan.LearnHeuristic, fmt.Sprintf("mode %d", s.Mode)},
	} {
		if f.on {
			b.WriteString(", " + f.name)
		}
	}
	return b.String()
}

// protection names a suite, with the first bytes of the key, which are enough to tell those of scripts apart.
func protection(s *plan.SRTP) string {
	if s == nil {
		return ""
	}
	out := fmt.Sprintf("%s %x…+%x…", s.Suite, s.Key[:2], s.Salt[len(s.Salt)-2:])
	if s.MKI != "" {
		out += fmt.Sprintf(" MKI %x", s.MKI)
	}
	for _, f := range []struct {
		on   bool
		name string
	}{{s.PlainRTP, "plain RTP"}, {s.PlainRTCP, "plain RTCP"}, {s.Unauthenticated, "unauthenticated"}} {
		if f.on {
			out += " " + f.name
		}
	}
	return out
}

// do carries out an offer or answer with rtpp-flags and a short SDP.
func do(t *testing.T, d *projectiontest.Driver, command, from, to, flags, body string) {
	t.Helper()
	req, err := projectiontest.Request(command, "from-tag", from, "to-tag", to, "rtpp-flags", flags,
		"sdp", []byte(projectiontest.SDP(command, body)))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Do(req); err != nil {
		t.Fatal(err)
	}
}

// A new signalling event opens a new learning window and a new epoch, on both sides of the sections that it touches.
func TestRouteEpochs(t *testing.T) {
	d := projectiontest.NewDriver()
	do(t, d, "offer", "a", "", "", "m=audio 4000 RTP/AVP 0\n")
	first := d.Call.Routes(projection.RouteDefaults{}, 0)
	d.Now += 10_000_000
	do(t, d, "answer", "a", "b", "", "m=audio 5000 RTP/AVP 0\n")
	second := d.Call.Routes(projection.RouteDefaults{}, 0)
	if len(first) != 4 || len(second) != 4 {
		t.Fatalf("%d, then %d routes", len(first), len(second))
	}
	for i := range first {
		if first[i].Local != second[i].Local {
			t.Fatalf("route %d moved from %s to %s", i, first[i].Local, second[i].Local)
		}
		if first[i].Epoch == second[i].Epoch {
			t.Errorf("%s keeps its epoch", first[i].Local)
		}
		if got, want := second[i].LearnUntil, d.Now+projection.LearningWindow; got != want {
			t.Errorf("%s learns until %d, want %d", second[i].Local, got, want)
		}
	}
}

// TestRouteTypes: a party may send what it was told and what it says itself.
func TestRouteTypes(t *testing.T) {
	d := projectiontest.NewDriver()
	want := func(types ...string) {
		t.Helper()
		for i, s := range d.Call.Routes(projection.RouteDefaults{}, 0) {
			if got := string(fmt.Append(nil, s.Types)); s.RTCP && (got != "[]" || s.RTP.Port() != s.Local.Port()-1) || !s.RTCP && (got != types[i/2] || s.RTP.IsValid()) {
				t.Errorf("%v: types %s, RTP %v; want %v", s.Local, got, s.RTP, types)
			}
		}
	}
	do(t, d, "offer", "a", "", "", "m=audio 4000 RTP/AVP 0 96\na=rtpmap:96 opus/48000/2\n")
	want("[0 96]", "[0 96]")
	do(t, d, "answer", "a", "b", "", "m=audio 5000 RTP/AVP 96\na=rtpmap:96 opus/48000/2\n")
	want("[96 0]", "[0 96]")
	d = projectiontest.NewDriver()
	do(t, d, "offer", "a", "", "", "m=image 4000 udptl t38\n")
	want("[]", "[]")
}

func TestRouteDefaults(t *testing.T) {
	def := projection.RouteDefaults{Learning: plan.LearnDelayed, TOS: 184}
	for _, c := range []struct {
		flags string
		mode  plan.Learning
		tos   uint8
	}{
		{"", plan.LearnDelayed, 184},
		{"TOS=0", plan.LearnDelayed, 0},
		{"TOS=32 endpoint-learning=off", plan.LearnOff, 32},
		{"TOS=256 endpoint-learning=immediate", plan.LearnImmediate, 184},
		{"TOS=-1 endpoint-learning=heuristic", plan.LearnHeuristic, 184},
	} {
		d := projectiontest.NewDriver()
		do(t, d, "offer", "a", "", c.flags, "m=audio 4000 RTP/AVP 0\n")
		for _, s := range d.Call.Routes(def, 0) {
			if s.Mode != c.mode || s.TOS != c.tos {
				t.Errorf("%s: mode %d TOS %d, want %d and %d", c.flags, s.Mode, s.TOS, c.mode, c.tos)
			}
		}
	}
	// A negative TOS keeps what an earlier offer said; none goes back to the default.
	d := projectiontest.NewDriver()
	for _, c := range []struct {
		flags string
		tos   uint8
	}{{"TOS=8", 8}, {"TOS=-1", 8}, {"", 184}} {
		do(t, d, "offer", "a", "", c.flags, "m=audio 4000 RTP/AVP 0\n")
		if s := d.Call.Routes(def, 0)[0]; s.TOS != c.tos {
			t.Errorf("after %q TOS %d, want %d", c.flags, s.TOS, c.tos)
		}
	}
	if (&projection.Call{}).Routes(def, 0) != nil {
		t.Error("a call that is none has routes")
	}
}

func TestEndpoint(t *testing.T) {
	d := projectiontest.NewDriver()
	do(t, d, "offer", "a", "", "", "m=audio 4000 RTP/AVP 0\nm=image 4004 udptl t38\n")
	for _, p := range d.Call.Parties {
		for i := range p.Medias {
			for rtcp, a := range []netip.AddrPort{p.Medias[i].Local.RTP, p.Medias[i].Local.RTCP} {
				party, media, isRTCP, ok := d.Call.Endpoint(a)
				if ok != a.IsValid() || ok && (party != p.ID || media != i || isRTCP != (rtcp == 1)) {
					t.Errorf("%s: party %d media %d rtcp %t ok %t", a, party, media, isRTCP, ok)
				}
			}
		}
	}
	if _, _, _, ok := d.Call.Endpoint(netip.MustParseAddrPort("10.0.0.1:9")); ok {
		t.Error("a socket of nobody was found")
	}
}

// Timers by class (docs/ng.md, "Learning and timers"): the party should send; its address is not known; nothing is
// expected of it.
func TestTimeout(t *testing.T) {
	const s = 1_000_000
	limits := projection.Timeouts{Media: 60 * s, Silent: 3600 * s, Offer: 600 * s, Final: 86400 * s}
	type packets map[string]int64 // party/component: time after the start, in s
	for _, c := range []struct {
		name   string
		answer string // empty: none
		offer  string
		last   packets
		after  int64 // s
		want   events.Reason
	}{
		{name: "fresh", after: 59},
		{name: "unanswered call lives on the callee's unknown address", after: 599},
		{name: "unanswered", after: 601, want: events.ReasonOfferTimeout},
		{name: "answered, no media", answer: "m=audio 5000 RTP/AVP 0\n", after: 61, want: events.ReasonTimeout},
		{name: "one side talks", answer: "m=audio 5000 RTP/AVP 0\n", last: packets{"0/rtp": 30}, after: 61},
		{name: "RTCP counts", answer: "m=audio 5000 RTP/AVP 0\n", last: packets{"1/rtcp": 30}, after: 61},
		{name: "and stops", answer: "m=audio 5000 RTP/AVP 0\n", last: packets{"0/rtp": 30}, after: 91, want: events.ReasonTimeout},
		{name: "both silent", offer: "m=audio 4000 RTP/AVP 0\na=inactive\n", answer: "m=audio 5000 RTP/AVP 0\na=inactive\n", after: 3599},
		{name: "both silent for long", offer: "m=audio 4000 RTP/AVP 0\na=inactive\n", answer: "m=audio 5000 RTP/AVP 0\na=inactive\n", after: 3601, want: events.ReasonSilentTimeout},
		{name: "one expected, one silent", answer: "m=audio 5000 RTP/AVP 0\na=recvonly\n", after: 61, want: events.ReasonTimeout},
		{name: "second section keeps alive", offer: "m=audio 4000 RTP/AVP 0\nm=video 4002 RTP/AVP 34\n", answer: "m=audio 5000 RTP/AVP 0\nm=video 5002 RTP/AVP 34\n", last: packets{"1/rtp": 55}, after: 110},
		{name: "all rejected", offer: "m=audio 0 RTP/AVP 0\n", after: 3599},
		{name: "all rejected for long", offer: "m=audio 0 RTP/AVP 0\n", after: 3601, want: events.ReasonSilentTimeout},
		{name: "final", last: packets{"0/rtp": 86399}, after: 86400, want: events.ReasonFinalTimeout},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := projectiontest.NewDriver()
			if c.offer == "" {
				c.offer = "m=audio 4000 RTP/AVP 0\n"
			}
			do(t, d, "offer", "a", "", "", c.offer)
			if c.answer != "" {
				do(t, d, "answer", "a", "b", "", c.answer)
			}
			last := func(l netip.AddrPort) int64 {
				party, _, rtcp, ok := d.Call.Endpoint(l)
				if !ok {
					t.Fatalf("asked for %s, which is no socket of the call", l)
				}
				name := "rtp"
				if rtcp {
					name = "rtcp"
				}
				if at, ok := c.last[fmt.Sprintf("%d/%s", party, name)]; ok {
					return projectiontest.Start + at*s
				}
				return 0
			}
			got, over := d.Call.Timeout(limits, last, projectiontest.Start+c.after*s)
			if got != c.want || over != (c.want != "") {
				t.Errorf("after %d s: %q %t, want %q", c.after, got, over, c.want)
			}
			if got, over := d.Call.Timeout(projection.Timeouts{}, last, projectiontest.Start+1e9*s); over {
				t.Errorf("timers that are off end the call: %s", got)
			}
		})
	}
}
