package demo

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// packet is what a phone sends in a round.
func packet(run uint64, from, round uint32, number uint64) []byte {
	b := make([]byte, packetSize)
	binary.BigEndian.PutUint64(b[offRun:], run)
	binary.BigEndian.PutUint32(b[offPhone:], from)
	binary.BigEndian.PutUint32(b[offRound:], round)
	binary.BigEndian.PutUint64(b[offNumber:], number)
	return b
}

// TestHearing: what is counted as heard, lost, of others, and as a pause.
func TestHearing(t *testing.T) {
	const me, other, third = 2, 3, 5
	at := func(ms int) time.Time { return time.Unix(1000, 0).Add(time.Duration(ms) * time.Millisecond) }
	type in struct {
		ms     int
		from   uint32
		round  uint32
		number uint64
	}
	for name, tt := range map[string]struct {
		in                 []in
		heard, lost, stray int64
		first              int // ms; -1: never
		pause              int
	}{
		"nothing":                   {nil, 0, 0, 0, -1, 0},
		"one":                       {[]in{{0, other, 1, 0}}, 1, 0, 0, 0, 0},
		"one after another":         {[]in{{0, other, 1, 0}, {20, other, 1, 1}, {41, other, 1, 2}}, 3, 0, 0, 0, 21},
		"one missing":               {[]in{{0, other, 1, 0}, {40, other, 1, 2}}, 2, 1, 0, 0, 40},
		"the first missing":         {[]in{{40, other, 1, 2}}, 1, 2, 0, 40, 0},
		"out of order":              {[]in{{0, other, 1, 0}, {20, other, 1, 2}, {21, other, 1, 1}}, 3, 0, 0, 0, 20},
		"of another call":           {[]in{{0, third, 1, 0}}, 0, 0, 1, -1, 0},
		"its own":                   {[]in{{0, me, 1, 0}}, 0, 0, 1, -1, 0},
		"of the round before":       {[]in{{0, other, 0, 0}, {20, other, 0, 1}, {40, other, 1, 2}}, 3, 0, 0, 40, 20},
		"of the next round":         {[]in{{0, other, 2, 0}}, 1, 0, 0, -1, 0},
		"others do not end a pause": {[]in{{0, other, 1, 0}, {50, third, 1, 7}, {90, other, 1, 1}}, 2, 0, 1, 0, 90},
	} {
		p := &phone{hears: other}
		p.expect(1)
		for _, i := range tt.in {
			p.hear(packet(1, i.from, i.round, i.number), at(i.ms))
		}
		e := p.hearing(false)
		first := -1
		if !e.first.IsZero() {
			first = int(e.first.Sub(at(0)).Milliseconds())
		}
		if e.heard != tt.heard || e.lost() != tt.lost || e.stray != tt.stray || first != tt.first || e.pause != time.Duration(tt.pause)*time.Millisecond {
			t.Errorf("%s: heard %d, lost %d, of others %d, first at %d ms, pause %v", name, e.heard, e.lost(), e.stray, first, e.pause)
		}
	}
}

// TestPauses are measured anew when that is asked for, from the last packet on: the silence in which one asks counts.
func TestPauses(t *testing.T) {
	p := &phone{hears: 3}
	began := time.Unix(1000, 0)
	hear := func(ms int, n uint64) { p.hear(packet(1, 3, 0, n), began.Add(time.Duration(ms)*time.Millisecond)) }
	hear(0, 0)
	hear(300, 1)
	if e := p.hearing(true); e.pause != 300*time.Millisecond {
		t.Error(e.pause)
	}
	if e := p.hearing(false); e.pause != 0 {
		t.Error(e.pause)
	}
	hear(350, 2)
	if e := p.hearing(false); e.pause != 50*time.Millisecond {
		t.Error(e.pause)
	}
}

// TestTraffic sums up what the phones of some calls have counted.
func TestTraffic(t *testing.T) {
	phones := func(sent int64, ears ...ear) *call {
		c := &call{}
		for i, e := range ears {
			c.phones[i] = &phone{ear: e}
			c.phones[i].sent.Store(sent)
		}
		return c
	}
	calls := []*call{
		phones(10, ear{heard: 8, next: 10, pause: 30 * time.Millisecond}, ear{heard: 10, next: 10, stray: 1}),
		phones(5, ear{}, ear{heard: 3, next: 4, pause: 70 * time.Millisecond}),
	}
	want := traffic{sent: 30, heard: 21, lost: 3, stray: 1, pause: 70 * time.Millisecond}
	if got := listen(calls, true); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	want.pause = 0
	if got := listen(calls, false); got != want {
		t.Errorf("anew: %+v, want %+v", got, want)
	}
	if got := listen(nil, false); got != (traffic{}) {
		t.Errorf("of no call: %+v", got)
	}
}

// TestSpeaking: what a phone sends is RTP as G.711 has it, from the port that it names, and only while it knows where to.
func TestSpeaking(t *testing.T) {
	t.Parallel()
	ear, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer ear.Close()
	p, err := newPhone(0x1122334455667788, 7, 8)
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	if !p.addr().Addr().IsLoopback() || p.addr().Addr().Is4In6() || p.addr().Port() == 0 {
		t.Errorf("the phone is on %s", p.addr())
	}
	p.sendTo(ear.LocalAddr().(*net.UDPAddr).AddrPort(), 3)
	buf := make([]byte, 2048)
	if err := ear.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	const some = 5
	for n := range uint64(some) {
		size, from, err := ear.ReadFromUDPAddrPort(buf)
		if err != nil {
			t.Fatal(err)
		}
		b := buf[:size]
		want := packet(0x1122334455667788, 7, 3, n)
		want[0] = 0x80
		binary.BigEndian.PutUint16(want[2:], uint16(n))
		binary.BigEndian.PutUint32(want[4:], uint32(160*n))
		binary.BigEndian.PutUint32(want[8:], 7)
		if string(b) != string(want) || from != p.addr() {
			t.Errorf("packet %d from %s: % x", n, from, b[:40])
		}
	}
	p.hush()
	p.close()
	if sent := p.sent.Load(); sent < some {
		t.Errorf("%d packets sent", sent)
	}
}

// TestOthersAreNotHeard: what is no packet of this demonstration is passed over.
func TestOthersAreNotHeard(t *testing.T) {
	t.Parallel()
	p, err := newPhone(1, 2, 3)
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	from, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(p.addr()))
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	long := append(packet(1, 3, 0, 4), 0)
	for _, b := range [][]byte{nil, []byte("noise"), packet(9, 3, 0, 1), packet(1, 3, 0, 2)[:packetSize-1], long, packet(1, 3, 0, 0)} {
		if _, err := from.Write(b); err != nil {
			t.Fatal(err)
		}
	}
	for end := time.Now().Add(10 * time.Second); p.hearing(false).heard == 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the last packet is not heard")
		}
	}
	if e := p.hearing(false); e.heard != 1 || e.stray != 0 || e.lost() != 0 {
		t.Errorf("%+v", e)
	}
}

// TestVoice: who hears nothing is told of, after a while.
func TestVoice(t *testing.T) {
	owner := &node{place: place{id: "n2"}}
	for name, tt := range map[string]struct {
		hear [2]time.Duration // 0: never
		want string
	}{
		"both":        {[2]time.Duration{80 * time.Millisecond, 30 * time.Millisecond}, ""},
		"late":        {[2]time.Duration{voiceTime - time.Second, time.Second}, ""},
		"neither":     {[2]time.Duration{}, "call 4: neither end hears the other through n2, 5s after the answer"},
		"caller only": {[2]time.Duration{time.Second, 0}, "call 4: the callee hears nothing through n2, 5s after the answer"},
		"callee only": {[2]time.Duration{0, time.Second}, "call 4: the caller hears nothing through n2, 5s after the answer"},
		"too late":    {[2]time.Duration{time.Second, voiceTime + time.Second}, "call 4: the callee hears nothing through n2, 5s after the answer"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				c := &call{num: 4, owner: owner, phones: [2]*phone{{hears: 1}, {hears: 1}}}
				for i, after := range tt.hear {
					if after > 0 {
						time.AfterFunc(after, func() { c.phones[i].hear(packet(0, 1, 0, 0), time.Now()) })
					}
				}
				since, err := c.voice(t.Context())
				if (err == nil) != (tt.want == "") || err != nil && err.Error() != tt.want {
					t.Errorf("%v", err)
				}
				if last := max(tt.hear[0], tt.hear[1]); err == nil && since.Sub(began) != last {
					t.Errorf("heard after %v, want %v", since.Sub(began), last)
				}
				if waited := time.Since(began); err != nil && (waited < voiceTime || waited > voiceTime+time.Second) {
					t.Errorf("it took %v", waited)
				}
				time.Sleep(voiceTime) // the last packet
			})
		})
	}
}

// TestVoiceInterrupted: who does not want to wait need not.
func TestVoiceInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	enough := errors.New("enough")
	cancel(enough)
	c := &call{phones: [2]*phone{{}, {}}}
	if _, err := c.voice(ctx); !errors.Is(err, enough) {
		t.Error(err)
	}
}

// TestNewCall: the ends of a call hear each other, and nobody else.
func TestNewCall(t *testing.T) {
	t.Parallel()
	seen := map[uint32]bool{}
	ports := map[netip.AddrPort]bool{}
	for num := 1; num <= 3; num++ {
		c, err := newCall(0xabc, num)
		if err != nil {
			t.Fatal(err)
		}
		defer c.hangUp()
		a, b := c.phones[caller], c.phones[callee]
		if a.hears != b.id || b.hears != a.id || seen[a.id] || seen[b.id] || a.id == b.id || ports[a.addr()] || ports[b.addr()] {
			t.Errorf("call %d: %d hears %d, %d hears %d", num, a.id, a.hears, b.id, b.hears)
		}
		seen[a.id], seen[b.id], ports[a.addr()], ports[b.addr()] = true, true, true, true
		if !strings.HasPrefix(c.id, "demo-abc-") || c.tags[caller] == c.tags[callee] {
			t.Errorf("%+v", c)
		}
	}
}
