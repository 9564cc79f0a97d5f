package relay

import (
	"net/netip"
	"strconv"
	"strings"
	"testing"

	"rtpjet/relay/plan"
)

// addr makes "1:5000" an address: 203.0.113.1:5000. "p1:5000" is a private one, 10.0.0.1:5000.
func addr(short string) netip.AddrPort {
	if short == "-" {
		return netip.AddrPort{}
	}
	if private, ok := strings.CutPrefix(short, "p"); ok {
		return netip.MustParseAddrPort("10.0.0." + private)
	}
	return netip.MustParseAddrPort("203.0.113." + short)
}

// play plays packets to a latch.
type play struct {
	t     *testing.T
	latch latch
	st    plan.Stream
	next  map[netip.AddrPort]trail // of each source
}

func newPlay(t *testing.T, st plan.Stream) *play {
	p := &play{t: t, st: st, next: map[netip.AddrPort]trail{}}
	p.latch.restart(rulesFor(p.st), nil)
	return p
}

// packet is the next one of a source; each has its own SSRC.
func (p *play) packet(src netip.AddrPort, now int64) sign {
	tr, ok := p.next[src]
	if !ok {
		tr.ssrc = 1000 + uint32(len(p.next))
	}
	tr.seq++
	p.next[src] = tr
	return sign{src: src, now: now, kind: kindRTP, trail: tr, fits: true}
}

// run carries out a script. A line is "TIME[xN] SOURCE[FLAGS] = VERDICT REMOTE[*]": N packets, 20 ms apart, the first at TIME in
// ms, and what became of the last one: "new" is an accepted one that taught something, * marks a confirmed address. Flags: "!" is
// stray, "?" another payload type, "+" proven, "&" RTCP, "@SOURCE" goes on where that one has ended. "epoch", with fields that
// change, begins another one.
func (p *play) run(script string) {
	p.t.Helper()
	for line := range strings.Lines(script) {
		f := strings.Fields(line)
		switch {
		case len(f) == 0:
		case f[0] == "epoch":
			p.epoch(f[1:])
		default:
			p.step(f)
		}
	}
}

func (p *play) epoch(changes []string) {
	before := p.st
	for _, c := range changes {
		k, v, _ := strings.Cut(c, "=")
		switch k {
		case "signalled":
			p.st.Signalled = netip.AddrPort{}
			if v == "hold" {
				p.st.Signalled = netip.AddrPortFrom(netip.IPv4Unspecified(), before.Signalled.Port())
			} else {
				p.st.Signalled = addr(v)
			}
		case "former":
			p.st.Former = addr(v)
		case "learned":
			p.st.Learned = addr(v)
		case "confirmed":
			p.st.Confirmed = v == "true"
		case "seen":
			p.st.Seen = addr(v + ":1").Addr()
		case "mode":
			n, _ := strconv.Atoi(v)
			p.st.Mode = plan.Learning(n)
		case "node": // another one: it knows what the log knows
			p.latch.restart(rulesFor(p.st), nil)
			return
		default:
			p.t.Fatalf("no field %s", k)
		}
	}
	p.latch.restart(rulesFor(p.st), rulesFor(before))
}

func (p *play) step(f []string) {
	p.t.Helper()
	at, times, _ := strings.Cut(f[0], "x")
	now, err := strconv.ParseInt(at, 10, 64)
	if err != nil {
		p.t.Fatal(err)
	}
	n := 1
	if times != "" {
		n, _ = strconv.Atoi(times)
	}
	var got string
	for i := range n {
		got = p.judge(f[1], 1000*(now+20*int64(i)))
	}
	if want := strings.Join(f[3:], " "); got != want {
		p.t.Errorf("at %s from %s: %s, want %s", f[0], f[1], got, want)
	}
}

func (p *play) judge(who string, now int64) string {
	got := "none"
	if name := strings.TrimRight(who, "!?+&"); name != "-" {
		from, after, _ := strings.Cut(name, "@")
		flags := who[len(name):]
		if after != "" {
			if tr, ends := p.next[addr(after)]; ends {
				p.next[addr(from)] = tr
				delete(p.next, addr(after))
			}
		}
		s := p.packet(addr(from), now)
		s.stray, s.fits, s.proven = strings.Contains(flags, "!"), !strings.Contains(flags, "?"), strings.Contains(flags, "+")
		if strings.Contains(flags, "&") {
			s.kind = kindRTCP
		}
		early := p.latch.refuses(rulesFor(p.st), s.src, now)
		v, changed := p.latch.step(rulesFor(p.st), &s)
		got = [...]string{"refuse", "pass", "ok"}[v]
		if changed {
			got = "new"
		}
		if early && v != verdictRefuse {
			p.t.Errorf("from %s: %s, though it was to be refused unseen", who, got)
		}
	}
	got += " " + short(p.latch.remote(rulesFor(p.st)))
	if p.latch.confirmed {
		got += "*"
	}
	return got
}

func short(a netip.AddrPort) string {
	s := strings.Replace(a.String(), "203.0.113.", "", 1)
	return strings.Replace(s, "10.0.0.", "p", 1)
}

// TestLatch: the rules of docs/learning.md. The signalled address is 1:5000, unless a test says otherwise, and the window ends
// at 3000 ms.
func TestLatch(t *testing.T) {
	natted, seen := addr("p1:5000"), addr("2:1").Addr()
	for _, tt := range []struct {
		name   string
		stream plan.Stream
		script string
	}{
		{"at the signalled address, three packets", plan.Stream{}, `
			10x2 1:5000 = ok 1:5000
			50 1:5000 = new 1:5000*
			60x20 9:5000 = refuse 1:5000*
			2000x100 9:9000 = refuse 1:5000*`},
		{"silent: whoever else comes passes, but gets nothing", plan.Stream{}, `
			10x200 9:5000 = pass 1:5000
			5000x2 1:5000 = ok 1:5000
			5040 1:5000 = new 1:5000*
			5050 9:5000 = refuse 1:5000*`},
		{"the seen address, any port", plan.Stream{Signalled: natted, Seen: seen}, `
			10x50 9:5000 = pass p1:5000
			1100x2 2:7000 = ok p1:5000
			1130 9:5000 = refuse p1:5000
			1140 2:7000 = new 2:7000*
			1150x50 9:5000 = refuse 2:7000*
			3000x50 9:5000 = refuse 2:7000*`},
		{"ranks: elsewhere, address, seen, exact", plan.Stream{Seen: seen, Asymmetric: true, LearnUntil: 1}, `
			10x3 9:5000 = new 1:5000
			100x3 1:9000 = new 1:5000*
			200x3 2:5000 = new 1:5000*
			300x3 1:5000 = new 1:5000*
			400x3 2:5000 = refuse 1:5000*`},
		{"an unknown one, where the party cannot be at the signalled address", plan.Stream{Signalled: natted}, `
			10x2 9:9000 = pass p1:5000
			50 9:9000 = new 9:9000
			60x3 8:9000 = refuse 9:9000
			70x50 9:9000 = ok 9:9000*
			3000x50 8:9000 = refuse 9:9000*`},
		{"an unknown one that was hardly heard gives way when it is quiet", plan.Stream{Signalled: natted}, `
			10x3 9:9000 = new 9:9000
			600x3 8:9000 = new 8:9000`},
		{"an internal proxy says nothing about who is outside", plan.Stream{Signalled: natted, Seen: addr("p9:1").Addr()}, `
			10x3 9:9000 = new 9:9000`},
		{"no address known: what comes passes and teaches nothing", plan.Stream{Signalled: addr("-")}, `
			10x20 9:9000 = pass invalid AddrPort
			500x20 8:9000 = pass invalid AddrPort
			510 8:9000? = refuse invalid AddrPort
			epoch signalled=9:9000
			900x3 9:9000 = new 9:9000*
			950 8:9000 = refuse 9:9000*`},
		{"packets that do not fit together", plan.Stream{}, `
			10x5 1:6000? = ok 1:5000
			200x2 1:6000 = ok 1:5000
			250 7:7000 = refuse 1:5000
			300 1:6000@7:7000 = ok 1:5000
			320x2 1:6000 = new 1:6000*`},
		{"NAT with another port in mid-call", plan.Stream{Signalled: natted, Seen: seen}, `
			10x3 2:7000 = new 2:7000*
			300 2:7002 = refuse 2:7000*
			560x2 2:7002 = refuse 2:7000*
			600 2:7002 = new 2:7002*`},
		{"another network: who guesses where the source has ended is not believed for it", plan.Stream{}, `
			10x3 1:5000 = new 1:5000*
			600x4 9:9000 = refuse 1:5000*
			1000x60 7:7000@1:5000 = refuse 1:5000*`},
		{"a phone that speaks again is no news", plan.Stream{}, `
			10x3 1:5000 = new 1:5000*
			2000x3 1:6000 = refuse 1:5000*
			2100 1:5000 = ok 1:5000*
			2700x3 1:6000 = refuse 1:5000*`},
		{"strict source", plan.Stream{StrictSource: true}, `
			10x3 1:6000 = new 1:6000*
			5000x100 1:7000 = refuse 1:6000*
			8000x100 8:8000@1:6000 = refuse 1:6000*
			10500x3 1:5000 = new 1:5000*`},
		{"handover", plan.Stream{MediaHandover: true, StrictSource: true}, `
			10x3 1:5000 = new 1:5000*
			60x3 8:9000 = refuse 1:5000*
			250x3 8:9000 = new 8:9000
			300x3 1:5000 = new 1:5000*`},
		{"immediate", plan.Stream{Mode: plan.LearnImmediate}, `
			10 9:9000 = new 9:9000*
			20x2 1:5000 = ok 9:9000*
			60 1:5000 = new 1:5000*`},
		{"delayed learns again until the window ends, then commits", plan.Stream{Mode: plan.LearnDelayed}, `
			10 9:9000 = new 9:9000
			20 8:9000 = new 8:9000
			30 8:9000 = ok 8:9000
			3001 7:9000 = new 7:9000*
			3002 9:9000 = refuse 7:9000*`},
		{"off", plan.Stream{Mode: plan.LearnOff}, `
			10 1:9000 = ok 1:5000*
			20 9:9000 = refuse 1:5000*
			200x5 9:9000 = pass 1:5000*
			400 1:5000 = ok 1:5000*
			9000x5 1:9000 = refuse 1:5000*`},
		{"off with a strict source", plan.Stream{Mode: plan.LearnOff, StrictSource: true}, `
			10 1:9000 = refuse 1:5000*
			20 1:5000 = ok 1:5000*`},
		{"asymmetric sends to the signalled address", plan.Stream{Asymmetric: true}, `
			10x3 9:9000 = new 1:5000
			60x50 9:9000 = ok 1:5000*
			1100 8:8000 = refuse 1:5000*`},
		{"lenient", plan.Stream{Lenient: true}, `
			10 9:9000 = new 9:9000
			20 8:9000 = ok 9:9000
			30 1:5000 = new 1:5000*
			40 8:9000 = ok 1:5000*`},
		{"lenient, but strict", plan.Stream{Lenient: true, StrictSource: true}, `
			10 9:9000 = new 9:9000
			20 8:9000 = refuse 9:9000`},
		{"stray packets teach nothing", plan.Stream{}, `
			10x9 9:9000! = pass 1:5000
			200x9 1:5001! = ok 1:5000
			400x3 1:5000 = new 1:5000*
			450 1:5001! = ok 1:5000*
			460 9:9000! = refuse 1:5000*`},
		{"authentic packets need no other proof", plan.Stream{}, `
			10 9:9000+ = new 9:9000
			20 8:8000+ = refuse 9:9000
			600 8:8000+ = new 8:8000`},
		{"RTCP", plan.Stream{RTCP: true}, `
			10 9:9000& = pass 1:5000
			20 1:5000& = new 1:5000*
			30 9:9000& = refuse 1:5000*
			9000x5 9:9000& = refuse 1:5000*`},
		{"a re-INVITE that changes nothing", plan.Stream{}, `
			10x3 1:6000 = new 1:6000*
			epoch
			70x9 9:9000 = refuse 1:6000*
			300x3 1:7000 = refuse 1:6000*`},
		{"a move: the new address at once, the old one only if it keeps on", plan.Stream{}, `
			10x3 1:5000 = new 1:5000*
			epoch signalled=1:6000 former=1:5000
			60x50 1:5000 = ok 1:6000
			1060 1:5000 = new 1:5000*
			1070x3 1:6000 = new 1:6000*`},
		{"a move: few packets from the old address, then none from the new one", plan.Stream{}, `
			10x3 1:5000 = new 1:5000*
			epoch signalled=1:6000 former=1:5000
			60x10 1:5000 = ok 1:6000
			2000x10 1:5000 = ok 1:6000
			3000x20 9:9000 = refuse 1:6000
			9000x2 1:6000 = ok 1:6000
			9040 1:6000 = new 1:6000*`},
		{"a move that the log does not know of yet", plan.Stream{}, `
			10x3 1:5000 = new 1:5000*
			epoch signalled=1:6000
			60x10 1:5000 = ok 1:6000`},
		{"behind a NAT, another private address: where it was is where it is", plan.Stream{Signalled: natted}, `
			10x60 9:9000 = ok 9:9000*
			epoch signalled=p1:6000 former=9:9000
			1300 - = none 9:9000
			1310x60 8:8000 = refuse 9:9000
			1320x60 9:9000 = ok 9:9000*`},
		{"behind a NAT, and seen elsewhere now", plan.Stream{Signalled: natted, Seen: seen}, `
			10x3 2:7000 = new 2:7000*
			epoch signalled=p1:6000 former=2:7000 seen=3
			60x3 2:7000 = ok p1:6000
			120x3 3:9000 = new 3:9000*
			200 2:7000 = refuse 3:9000*`},
		{"behind a NAT, another phone: it is heard when the old one is quiet", plan.Stream{Signalled: natted}, `
			10x60 9:9000 = ok 9:9000*
			epoch signalled=p2:6000 former=9:9000
			1300x20 8:8000 = refuse 9:9000
			1700x60 8:8000 = ok 8:8000`},
		{"hold by address, and back", plan.Stream{}, `
			10x3 1:5000 = new 1:5000*
			epoch signalled=hold
			900x200 9:9000 = refuse 1:5000*
			5000 1:5000 = ok 1:5000*
			epoch signalled=1:5000
			6000x20 9:9000 = refuse 1:5000*
			7000 1:5000 = ok 1:5000*`},
		{"on hold from the first", plan.Stream{Signalled: netip.MustParseAddrPort("0.0.0.0:5000")}, `
			10x20 9:9000 = pass 0.0.0.0:5000
			epoch signalled=1:5000
			500x20 9:9000 = pass 1:5000
			1000x3 1:5000 = new 1:5000*`},
		{"what the log has, on another node", plan.Stream{Signalled: natted, Learned: addr("9:9000"), Confirmed: true}, `
			10x200 8:8000 = refuse 9:9000*
			5000x3 9:9002 = new 9:9002*
			5060x50 9:9002 = ok 9:9002*
			epoch learned=9:9002 node
			7000x60 8:8000 = refuse 9:9002*`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			st := tt.stream
			if st.Signalled == (netip.AddrPort{}) && !strings.HasPrefix(tt.name, "no address") {
				st.Signalled = addr("1:5000")
			}
			st.LearnUntil, st.MayLearn = 3_000_000, true
			newPlay(t, st).run(tt.script)
		})
	}
}

func TestLatchMayNotLearn(t *testing.T) {
	for _, tt := range []struct {
		stream plan.Stream
		script string
	}{
		{plan.Stream{}, `
			10x9 1:5000 = ok 1:5000
			200x5 9:9000 = refuse 1:5000
			600x9 9:9000 = pass 1:5000`},
		{plan.Stream{Learned: addr("2:7000"), Confirmed: true}, `
			10x9 9:9000 = refuse 2:7000*
			200x9 2:7002 = ok 2:7000*
			400x9 1:5000 = ok 2:7000*`},
	} {
		st := tt.stream
		st.Signalled, st.Mode = addr("1:5000"), plan.LearnHeuristic
		newPlay(t, st).run(tt.script)
	}
}

func rulesFor(st plan.Stream) *rules {
	r := rulesOf(&st)
	return &r
}

// A party moves before anybody was believed at its old address: what still comes from there is late, and does not hold its sound.
func TestLatchLeavesUnheardAddress(t *testing.T) {
	st := plan.Stream{Signalled: addr("1:5000"), MayLearn: true, Epoch: 1}
	var l latch
	l.restart(rulesFor(st), nil)
	before := st
	st.Signalled, st.Epoch = addr("1:5002"), 2
	l.restart(rulesFor(st), rulesFor(before))
	for i := range 6 {
		p := sign{src: before.Signalled, now: int64(i) * 20_000, kind: kindRTP, trail: trail{ssrc: 7, seq: uint16(i)}, fits: true}
		if v, _ := l.step(rulesFor(st), &p); v == verdictRefuse {
			t.Errorf("late packet %d is refused", i)
		}
	}
	if got := l.remote(rulesFor(st)); got != st.Signalled {
		t.Errorf("the party is sent to at %v, and has moved to %v", got, st.Signalled)
	}
}
