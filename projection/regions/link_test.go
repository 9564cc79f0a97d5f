package regions_test

import (
	"strings"
	"testing"

	"rtpjet/projection/regions"
)

const second = 1_000_000

// wall is Unix time when the clock of a link is 0.
const wall = 1_700_000_000 * second

var here = regions.Config{Region: "eu", Instance: "e1", Format: 1}

// us is a greeting as it should be.
func us(head uint64) regions.Hello {
	return regions.Hello{Region: "us", Instance: "u1", Node: "n1", Format: 1, Head: head, Ready: true}
}

// heard has a link hear a greeting that was sent at sent and answered after rtt by a clock that is skew off.
func heard(l *regions.Link, h regions.Hello, sent, rtt, skew int64) {
	h.At = wall + sent + rtt/2 + skew
	l.Heard(h, sent, sent+rtt, wall+sent+rtt)
}

// The age of a mirror counts from the last greeting after whose answer it had all that the answering node knew.
func TestAge(t *testing.T) {
	type step struct {
		at     int64  // ms
		head   uint64 // of a greeting that is answered at once; 0: none
		mirror uint64 // the last sequence of the mirror now; 0: nothing new
		want   int64  // ms, the age afterwards
	}
	for name, steps := range map[string][]step{
		"never heard":                     {{at: 1000, mirror: 7, want: -1}},
		"empty":                           {{at: 1, head: 0, mirror: 0, want: -1}},
		"whole when it greets":            {{at: 1000, mirror: 7, want: -1}, {at: 2000, head: 7, want: 0}, {at: 2500, want: 500}, {at: 3000, head: 7, want: 0}},
		"whole a moment later":            {{at: 1000, head: 7, want: -1}, {at: 1100, mirror: 6, want: -1}, {at: 1200, mirror: 7, want: 200}},
		"further than it said":            {{at: 1000, head: 7, want: -1}, {at: 1200, mirror: 9, want: 200}},
		"behind":                          {{at: 1000, mirror: 7, head: 7, want: 0}, {at: 2000, head: 9, want: 1000}, {at: 3000, head: 12, want: 2000}},
		"the oldest greeting is reached":  {{at: 1000, head: 5, want: -1}, {at: 2000, head: 9, want: -1}, {at: 2500, mirror: 5, want: 1500}, {at: 3000, mirror: 9, want: 1000}},
		"silent, and older each moment":   {{at: 1000, mirror: 3, want: -1}, {at: 1001, head: 3, want: 0}, {at: 61_001, want: 60_000}},
		"the mirror goes on without them": {{at: 1000, mirror: 3, want: -1}, {at: 1001, head: 3, want: 0}, {at: 2001, mirror: 8, want: 1000}},
	} {
		t.Run(name, func(t *testing.T) {
			l := regions.NewLink(here, "us", "")
			for i, s := range steps {
				now := s.at * 1000
				if s.mirror > 0 {
					l.Mirrored(s.mirror, now)
				}
				if s.head > 0 {
					heard(l, us(s.head), now, 0, 0)
				}
				if got := l.Age(now); got != s.want {
					t.Errorf("step %d: age %d ms, want %d", i, got, s.want)
				}
			}
		})
	}
}

// An empty region is mirrored whole at once.
func TestAgeOfNothing(t *testing.T) {
	l := regions.NewLink(here, "us", "")
	heard(l, us(0), second, 0, 0)
	if got := l.Age(2 * second); got != 1000 {
		t.Errorf("age %d ms", got)
	}
}

// A region that is silent is cut off, once, and is up again with the first answer.
func TestCut(t *testing.T) {
	l := regions.NewLink(here, "us", "")
	check := func(at int64, state string, cuts int, reachable bool, words string) {
		t.Helper()
		s := l.Status(at)
		if s.State != state || s.Cuts != cuts || l.Reachable(at) != reachable || !strings.Contains(s.Reason, words) || words == "" && s.Reason != "" {
			t.Errorf("%+v, reachable %v; want %s, %d cuts, reachable %v, %q", s, l.Reachable(at), state, cuts, reachable, words)
		}
	}
	check(1, regions.Connecting, 0, false, "was not heard of since this node began")
	if l.Tick(100 * second) {
		t.Error("what was never heard is cut off")
	}
	heard(l, us(1), 101*second, 20_000, 0)
	if s := l.Status(101*second + 20_000); s.RTTMS != 20 || s.SilentMS != 20 || s.Lag != 1 || !s.Ready || s.Instance != "u1" {
		t.Errorf("%+v", s)
	}
	check(101*second+regions.MaxSilence, regions.Up, 0, true, "")
	if !l.Tick(101*second+regions.MaxSilence+1) || l.Tick(110*second) {
		t.Error("a cut is noticed once")
	}
	check(111*second, regions.CutOff, 1, false, "region us is silent")
	heard(l, us(1), 112*second, 20_000, 0)
	check(112*second+20_000, regions.Up, 1, true, "")
	for at := int64(113); at < 120; at++ { // else it is this node that was asleep
		l.Tick(at * second)
	}
	check(120*second, regions.CutOff, 2, false, "region us is silent")
}

// What is wrong with a region is said in a sentence, and whether it can be asked all the same.
func TestMarks(t *testing.T) {
	for name, tt := range map[string]struct {
		hello     regions.Hello
		known     string
		skew      int64
		state     string
		reason    string
		reachable bool
	}{
		"as it should be": {hello: us(1), state: regions.Up, reachable: true},
		"known":           {hello: us(1), known: "u1", state: regions.Up, reachable: true},
		"another one": {
			hello: us(1), known: "u0", state: regions.Refused,
			reason: "region us is another one than before (u1, it was u0): there are two of that name, or it has lost all that it had; " +
				"give each a name of its own, or say rtpjet region forget us",
		},
		"of another name": {
			hello: regions.Hello{Region: "ap", Instance: "a1", Format: 1}, state: regions.Refused,
			reason: "the region at the addresses of us calls itself ap: correct --region-peer, or its --region",
		},
		"this one itself": {
			hello: regions.Hello{Region: "eu", Instance: "e1", Format: 1}, state: regions.Refused,
			reason: "the addresses of us lead back to this region: correct --region-peer",
		},
		"of the name of this one": {
			hello: regions.Hello{Region: "eu", Instance: "e2", Format: 1}, state: regions.Refused,
			reason: "the region at the addresses of us has the name of this one, eu: give each region a --region of its own",
		},
		"it refuses": {
			hello: regions.Hello{Region: "us", Instance: "u1", Format: 1, Refused: "no reason"}, state: regions.Refused,
			reason: "region us refuses this one: no reason",
		},
		"newer": {
			hello: regions.Hello{Region: "us", Instance: "u1", Format: 2}, state: regions.Up, reachable: true,
			reason: "region us writes events of version 2, and this node reads up to 1: it can be asked, and its mirror not be read; run its release here, too",
		},
		"ahead": {
			hello: us(1), skew: 125 * second, state: regions.Up, reachable: true,
			reason: "the clock of region us is 2m5s off from the one here: set the clocks (NTP); its calls are relayed as ever, times in their history are not comparable",
		},
		"behind": {
			hello: us(1), skew: -125 * second, state: regions.Up, reachable: true,
			reason: "the clock of region us is -2m5s off from the one here: set the clocks (NTP); its calls are relayed as ever, times in their history are not comparable",
		},
		"a little ahead": {hello: us(1), skew: regions.MaxSkew, state: regions.Up, reachable: true},
	} {
		t.Run(name, func(t *testing.T) {
			l := regions.NewLink(here, "us", tt.known)
			heard(l, tt.hello, second, 80_000, tt.skew)
			now := int64(2 * second)
			s := l.Status(now)
			if s.State != tt.state || s.Reason != tt.reason || l.Reachable(now) != tt.reachable {
				t.Errorf("%s, reachable %v: %s\nwant %s, %v: %s", s.State, l.Reachable(now), s.Reason, tt.state, tt.reachable, tt.reason)
			}
			if s.SkewMS != tt.skew/1000 {
				t.Errorf("clock %+d ms off, want %+d", s.SkewMS, tt.skew/1000)
			}
		})
	}
}

// A mirror that begins anew has no age until it is whole again.
func TestAnew(t *testing.T) {
	l := regions.NewLink(here, "us", "")
	l.Mirrored(9, second)
	heard(l, us(9), second, 0, 0)
	l.Anew()
	if got := l.Age(2 * second); got != -1 {
		t.Errorf("age %d ms of an empty mirror", got)
	}
	heard(l, us(9), 2*second, 0, 0)
	l.Mirrored(8, 3*second)
	if got := l.Age(3 * second); got != -1 {
		t.Errorf("age %d ms of a mirror that is not whole", got)
	}
	l.Mirrored(9, 3*second)
	if got := l.Age(3 * second); got != 1000 {
		t.Errorf("age %d ms of a mirror that is whole", got)
	}
}

// What a refused region says is not the age of anything, and the identity that is known decides.
func TestRefusedIsNotMirrored(t *testing.T) {
	l := regions.NewLink(here, "us", "u0")
	l.Mirrored(9, second)
	heard(l, us(9), second, 0, 0)
	if got := l.Age(2 * second); got != -1 {
		t.Errorf("age %d ms of a region that is refused", got)
	}
	l.Know("u1")
	heard(l, us(9), 3*second, 0, 0)
	if got := l.Age(4 * second); got != 1000 || !l.Reachable(4*second) {
		t.Errorf("age %d ms, reachable %v, once it is the one that is known", got, l.Reachable(4*second))
	}
}
