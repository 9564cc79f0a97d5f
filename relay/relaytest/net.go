// Package relaytest is the contract that every relay engine keeps, as a test suite over real loopback sockets.
//
// Nothing in it waits for a time to pass. That a packet does not arrive is shown by one that was sent after it on the same
// way and does.
package relaytest

import (
	"bytes"
	"net"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"rtpjet/relay"
	"rtpjet/relay/plan"
)

// patience is how long something that must happen may take before the test gives up.
const patience = 10 * time.Second

// Learning windows that are open for the whole test and that were closed before it began.
const (
	windowOpen   = int64(1) << 62
	windowClosed = int64(1)
)

var loopback4, loopback6 = netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("::1")

// Phone is a party's socket.
type Phone struct {
	t    testing.TB
	conn *net.UDPConn
}

// NewPhone binds a socket on addr, closed at the end of the test.
func NewPhone(t testing.TB, addr netip.Addr) *Phone {
	t.Helper()
	conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(addr, 0)))
	if err != nil && addr.IsLoopback() && addr != loopback4 && addr != loopback6 {
		t.Skipf("only Linux has more than one loopback address: %v", err)
	}
	if err != nil {
		t.Fatalf("bind a phone: %v", err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return &Phone{t: t, conn: conn}
}

// Addr is the address of the phone.
func (p *Phone) Addr() netip.AddrPort {
	a := p.conn.LocalAddr().(*net.UDPAddr).AddrPort()
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
}

// Send sends pkt to the relay.
func (p *Phone) Send(to netip.AddrPort, pkt []byte) {
	p.t.Helper()
	if _, err := p.conn.WriteToUDPAddrPort(pkt, to); err != nil {
		p.t.Fatalf("send from %v to %v: %v", p.Addr(), to, err)
	}
}

// Expect reads one packet, which must be want and come from the address from.
func (p *Phone) Expect(from netip.AddrPort, want []byte) {
	p.t.Helper()
	got, src := p.Read()
	if !bytes.Equal(got, want) {
		p.t.Fatalf("%v received % x from %v, want % x", p.Addr(), got, src, want)
	}
	if src != from {
		p.t.Fatalf("%v received a packet from %v, want from %v", p.Addr(), src, from)
	}
}

// Read returns the next packet and where it came from.
func (p *Phone) Read() ([]byte, netip.AddrPort) {
	p.t.Helper()
	buf := make([]byte, 1<<16)
	if err := p.conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		p.t.Fatal(err)
	}
	n, src, err := p.conn.ReadFromUDPAddrPort(buf)
	if err != nil {
		p.t.Fatalf("%v received nothing: %v", p.Addr(), err)
	}
	return buf[:n], netip.AddrPortFrom(src.Addr().Unmap(), src.Port())
}

// RTP makes a packet with a payload type, a sequence number and a body.
func RTP(pt uint8, seq uint16, body string) []byte {
	pkt := []byte{0x80, pt, byte(seq >> 8), byte(seq), 0, 0, byte(seq >> 8), byte(seq), 0xca, 0xfe, 0xba, 0xbe}
	return append(pkt, body...)
}

// RTCP makes a receiver report, or whatever pt says, with a body.
func RTCP(pt uint8, body string) []byte {
	return append([]byte{0x80, pt, 0, 1, 0xca, 0xfe, 0xba, 0xbe}, body...)
}

// fixture is an engine with helpers that fail the test.
type fixture struct {
	testing.TB
	relay.Engine
}

func (f *fixture) reserve(addr netip.Addr, n int) []netip.AddrPort {
	f.Helper()
	locals, err := f.Reserve(addr, n)
	if err != nil {
		f.Fatalf("reserve %d on %v: %v", n, addr, err)
	}
	return locals
}

func (f *fixture) set(call string, streams ...plan.Stream) {
	f.Helper()
	if err := f.Set(call, streams); err != nil {
		f.Fatalf("set %q: %v", call, err)
	}
}

func (f *fixture) stats(local netip.AddrPort) plan.Stats {
	f.Helper()
	st, ok := f.Stats(local)
	if !ok {
		f.Fatalf("no statistics of %v", local)
	}
	return st
}

// learned returns the next report.
func (f *fixture) learned() plan.Learned {
	f.Helper()
	select {
	case l, ok := <-f.Learned():
		if !ok {
			f.Fatal("channel of learned addresses is closed")
		}
		return l
	case <-time.After(patience):
		f.Fatal("nothing was learned")
	}
	panic("unreachable")
}

// await returns once so many packets from the party of local were taken in. Packets that reach other sockets of the call
// from then on are handled after these.
func (f *fixture) await(local netip.AddrPort, packets uint64) {
	f.Helper()
	f.awaitStats(local, "taken in", packets, func(st plan.Stats) uint64 { return st.In.Packets })
}

// awaitSent returns once so many packets were sent from local. A packet is counted after it was sent, so the receiver may
// know of it before the statistics do.
func (f *fixture) awaitSent(local netip.AddrPort, packets uint64) {
	f.Helper()
	f.awaitStats(local, "sent", packets, func(st plan.Stats) uint64 { return st.Out.Packets })
}

// awaitErrors returns once so many packets were refused on local.
func (f *fixture) awaitErrors(local netip.AddrPort, packets uint64) {
	f.Helper()
	f.awaitStats(local, "refused", packets, func(st plan.Stats) uint64 { return st.In.Errors })
}

func (f *fixture) awaitStats(local netip.AddrPort, what string, want uint64, count func(plan.Stats) uint64) {
	f.Helper()
	for start := time.Now(); count(f.stats(local)) < want; runtime.Gosched() {
		if time.Since(start) > patience {
			f.Fatalf("%d packets were %s on %v, want %d", count(f.stats(local)), what, local, want)
		}
	}
}

// pair is a call of two parties with one stream each.
type pair struct {
	*fixture
	a, b     *Phone      // the parties
	sa, sb   plan.Stream // their streams
	call     string
	sequence uint16
}

// newPair sets a call up between two phones whose signalled addresses are true.
func newPair(f *fixture, call string) *pair {
	f.Helper()
	return newPairOn(f, call, loopback4, loopback4)
}

func newPairOn(f *fixture, call string, sideA, sideB netip.Addr) *pair {
	f.Helper()
	p := &pair{fixture: f, call: call, a: NewPhone(f, sideA), b: NewPhone(f, sideB)}
	la, lb := f.reserve(sideA, 1)[0], f.reserve(sideB, 1)[0]
	p.sa = plan.Stream{Local: la, Signalled: p.a.Addr(), Epoch: 1, LearnUntil: windowOpen, MayLearn: true, RTPSinks: []netip.AddrPort{lb}}
	p.sb = plan.Stream{Local: lb, Signalled: p.b.Addr(), Epoch: 1, LearnUntil: windowOpen, MayLearn: true, RTPSinks: []netip.AddrPort{la}}
	return p
}

// apply sets the two streams as they are now.
func (p *pair) apply() {
	p.Helper()
	p.set(p.call, p.sa, p.sb)
}

// next makes a packet that differs from all before.
func (p *pair) next() []byte {
	p.sequence++
	return RTP(0, p.sequence, "audio")
}

// toB sends a packet from a phone to the stream of party A and expects it at the phone b.
func (p *pair) toB(a, b *Phone) {
	p.Helper()
	pkt := p.next()
	a.Send(p.sa.Local, pkt)
	b.Expect(p.sb.Local, pkt)
}

// drainB sends a packet like toB, and takes what has arrived at the phone b before it.
func (p *pair) drainB(from *Phone) {
	p.Helper()
	last := p.next()
	from.Send(p.sa.Local, last)
	for got, _ := p.b.Read(); !bytes.Equal(got, last); got, _ = p.b.Read() {
	}
}

// toA is the other way.
func (p *pair) toA(b, a *Phone) {
	p.Helper()
	pkt := p.next()
	b.Send(p.sb.Local, pkt)
	a.Expect(p.sa.Local, pkt)
}
