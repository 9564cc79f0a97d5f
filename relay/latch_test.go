package relay

import (
	"net/netip"
	"strings"
	"testing"

	"rtpjet/relay/plan"
)

// addr makes "1:5000" an address: 10.0.0.1:5000.
func addr(short string) netip.AddrPort {
	if short == "-" {
		return netip.AddrPort{}
	}
	return netip.MustParseAddrPort("10.0.0." + short)
}

// TestLatch plays packets to a latch (ng-reference §6.1). The signalled address is 1:5000 and the window ends at 3000.
// A step is "TIME SOURCE[!] = VERDICT REMOTE[*]": ! marks a stray packet, the verdict is ok, drop or, if there is news,
// new, and * marks a confirmed address. "epoch" starts a new one.
func TestLatch(t *testing.T) {
	for _, tt := range []struct {
		name   string
		stream plan.Stream
		steps  string
	}{
		{"heuristic commits to the signalled address at once", plan.Stream{}, `
			10 1:5000 = new 1:5000*
			20 2:5000 = ok 1:5000*`},
		{"heuristic ranks: any, port, address, exact", plan.Stream{}, `
			10 9:9000 = new 9:9000
			20 9:5000 = new 9:5000
			30 9:9000 = ok 9:5000
			40 1:9000 = new 1:9000
			50 9:5000 = ok 1:9000
			60 1:9001 = new 1:9001
			70 1:9001 = ok 1:9001
			80 1:5000 = new 1:5000*
			90 1:9001 = ok 1:5000*`},
		{"heuristic commits to the best when the window ends", plan.Stream{}, `
			10 9:5000 = new 9:5000
			3000 9:9000 = ok 9:5000
			3001 9:9000 = new 9:5000*
			3002 1:5000 = ok 9:5000*`},
		{"heuristic takes a better one even after the window", plan.Stream{}, `
			10 9:9000 = new 9:9000
			3001 1:9000 = new 1:9000*
			3002 1:5000 = ok 1:9000*`},
		{"heuristic starting after the window takes the first", plan.Stream{}, `
			4000 9:9000 = new 9:9000*
			4001 1:5000 = ok 9:9000*`},
		{"heuristic with a strict source drops what ranks worse", plan.Stream{StrictSource: true}, `
			10 1:9000 = new 1:9000
			20 9:5000 = drop 1:9000
			30 1:9001 = new 1:9001
			3001 9:9000 = dropnew 1:9001*
			3002 1:9000 = drop 1:9001*
			3003 1:9001 = ok 1:9001*`},
		{"immediate", plan.Stream{Mode: plan.LearnImmediate}, `
			10 9:9000 = new 9:9000*
			20 1:5000 = ok 9:9000*`},
		{"delayed learns again until the window ends, then commits", plan.Stream{Mode: plan.LearnDelayed}, `
			10 9:9000 = new 9:9000
			20 8:9000 = new 8:9000
			30 8:9000 = ok 8:9000
			3001 7:9000 = new 7:9000*
			3002 9:9000 = ok 7:9000*`},
		{"off", plan.Stream{Mode: plan.LearnOff}, `
			10 9:9000 = ok 1:5000*
			4000 9:9000 = ok 1:5000*`},
		{"off with a strict source", plan.Stream{Mode: plan.LearnOff, StrictSource: true}, `
			10 9:9000 = drop 1:5000*
			20 1:5000 = ok 1:5000*`},
		{"off with handover does not follow", plan.Stream{Mode: plan.LearnOff, MediaHandover: true}, `
			10 9:9000 = ok 1:5000*`},
		{"strict source", plan.Stream{Mode: plan.LearnImmediate, StrictSource: true}, `
			10 9:9000 = new 9:9000*
			20 9:9001 = drop 9:9000*
			30 9:9000 = ok 9:9000*`},
		{"handover follows, and wins over a strict source", plan.Stream{Mode: plan.LearnImmediate, MediaHandover: true, StrictSource: true}, `
			10 9:9000 = new 9:9000*
			20 8:9000 = new 8:9000*
			30 7:9000! = ok 8:9000*
			40 8:9000 = ok 8:9000*`},
		{"stray packets teach nothing before a confirmation", plan.Stream{Mode: plan.LearnImmediate}, `
			10 9:9000! = ok 1:5000
			20 9:9001 = new 9:9001*
			30 9:9000! = ok 9:9001*`},
		{"stray packets do not end a window", plan.Stream{}, `
			10 9:9000 = new 9:9000
			3001 1:5000! = ok 9:9000`},
		{"asymmetric sends to the signalled address", plan.Stream{Mode: plan.LearnImmediate, Asymmetric: true, StrictSource: true}, `
			10 9:9000 = new 1:5000*
			20 1:5000 = drop 1:5000*
			30 9:9000 = ok 1:5000*`},
		{"a recorded address stays until something as good comes", plan.Stream{Learned: addr("9:5000")}, `
			0 - = ok 9:5000
			10 8:9000 = ok 9:5000
			20 8:5000 = new 8:5000
			30 1:9000 = new 1:9000`},
		{"a recorded and confirmed address stays", plan.Stream{Learned: addr("9:9000"), Confirmed: true, StrictSource: true}, `
			0 - = ok 9:9000*
			10 8:9000 = drop 9:9000*
			20 1:5000 = drop 9:9000*
			30 9:9000 = ok 9:9000*`},
		{"a new epoch learns again from where it was", plan.Stream{Mode: plan.LearnImmediate}, `
			10 9:9000 = new 9:9000*
			epoch
			20 8:9000! = ok 9:9000
			30 8:9000 = new 8:9000*`},
		{"a new epoch keeps the rank of what was found", plan.Stream{}, `
			10 1:5000 = new 1:5000*
			epoch
			20 1:9000 = ok 1:5000
			30 1:5000 = new 1:5000*`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			st := tt.stream
			st.Signalled, st.LearnUntil, st.MayLearn = addr("1:5000"), 3000, true
			var l latch
			l.restart(&st, netip.AddrPort{})
			for line := range strings.Lines(tt.steps) {
				f := strings.Fields(line)
				switch {
				case len(f) == 0:
				case f[0] == "epoch":
					l.restart(&st, st.Signalled)
				default:
					checkStep(t, &l, &st, f)
				}
			}
		})
	}
}

func checkStep(t *testing.T, l *latch, st *plan.Stream, f []string) {
	t.Helper()
	var now int64
	for _, d := range f[0] {
		now = 10*now + int64(d-'0')
	}
	got := "ok"
	if src, stray := strings.CutSuffix(f[1], "!"); src != "-" {
		ok, changed := l.step(st, addr(src), stray, now)
		switch {
		case !ok && changed:
			got = "dropnew"
		case !ok:
			got = "drop"
		case changed:
			got = "new"
		}
	}
	got += " " + strings.TrimPrefix(l.remote(st).String(), "10.0.0.")
	if l.confirmed {
		got += "*"
	}
	if want := strings.Join(f[3:], " "); got != want {
		t.Errorf("at %s from %s: %s, want %s", f[0], f[1], got, want)
	}
}

func TestLatchMayNotLearn(t *testing.T) {
	st := plan.Stream{Signalled: addr("1:5000"), Mode: plan.LearnImmediate, StrictSource: true}
	var l latch
	l.restart(&st, netip.AddrPort{})
	if ok, changed := l.step(&st, addr("9:9000"), false, 10); !ok || changed || l.remote(&st) != st.Signalled {
		t.Errorf("ok %v, changed %v, remote %v: want the packet forwarded and nothing learned", ok, changed, l.remote(&st))
	}
}

func TestLatchForgetsWhenTheSignalledAddressChanges(t *testing.T) {
	st := plan.Stream{Signalled: addr("1:5000"), Mode: plan.LearnImmediate, MayLearn: true}
	var l latch
	l.restart(&st, netip.AddrPort{})
	l.step(&st, addr("9:9000"), false, 10)
	before := st.Signalled
	st.Signalled = addr("2:5000")
	l.restart(&st, before)
	if got := l.remote(&st); got != st.Signalled || l.confirmed {
		t.Errorf("remote %v, confirmed %v after a new address was signalled", got, l.confirmed)
	}
}

func TestLatchWithoutSignalledAddress(t *testing.T) {
	st := plan.Stream{LearnUntil: 3000, MayLearn: true}
	var l latch
	l.restart(&st, netip.AddrPort{})
	if l.remote(&st).IsValid() {
		t.Error("an address out of nowhere")
	}
	l.step(&st, addr("9:9000"), false, 10)
	l.step(&st, addr("8:9000"), false, 20) // all rank the same: the last one counts
	if got := l.remote(&st); got != addr("8:9000") {
		t.Errorf("remote %v, want the last source", got)
	}
}
