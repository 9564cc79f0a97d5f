package node_test

import (
	"bytes"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// phone is the media side of a SIP phone.
type phone struct {
	t    testing.TB
	rtp  *net.UDPConn
	rtcp *net.UDPConn
}

// newPhone binds an RTP and an RTCP socket on an address that only this phone has.
func newPhone(t testing.TB) *phone {
	t.Helper()
	host := newHost()
	return &phone{t: t, rtp: listen(t, netip.AddrPortFrom(host, 4000)), rtcp: listen(t, netip.AddrPortFrom(host, 4001))}
}

// newPhone6 binds on the IPv6 loopback address.
func newPhone6(t testing.TB) *phone {
	t.Helper()
	for range 100 {
		a := listen(t, netip.AddrPortFrom(netip.IPv6Loopback(), 0))
		next := a.LocalAddr().(*net.UDPAddr).AddrPort()
		b, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(next.Addr(), next.Port()+1)))
		if err != nil {
			continue
		}
		t.Cleanup(func() { _ = b.Close() })
		return &phone{t: t, rtp: a, rtcp: b}
	}
	t.Fatal("found no two free ports in a row")
	return nil
}

func listen(t testing.TB, at netip.AddrPort) *net.UDPConn {
	t.Helper()
	conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(at))
	if err != nil {
		t.Fatalf("bind a phone: %v", err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func addrOf(conn *net.UDPConn) netip.AddrPort {
	a := conn.LocalAddr().(*net.UDPAddr).AddrPort()
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
}

func (p *phone) addr() netip.AddrPort { return addrOf(p.rtp) }

// body is an SDP with one audio section.
func (p *phone) body(lines ...string) string { return audio(p.addr(), lines...) }

// behindNAT is the body of a phone that has a private address, from which no packet comes.
func behindNAT() string { return audio(netip.MustParseAddrPort("192.168.1.10:4000")) }

func audio(at netip.AddrPort, lines ...string) string {
	return session(at.Addr()) + section(at.Port(), lines...)
}

func session(at netip.Addr) string {
	family := "IP4"
	if at.Is6() {
		family = "IP6"
	}
	return fmt.Sprintf("v=0\r\no=- 1 1 IN %s %s\r\ns=-\r\nc=IN %s %s\r\nt=0 0\r\n", family, at, family, at)
}

func section(port uint16, lines ...string) string {
	s := fmt.Sprintf("m=audio %d RTP/AVP 0 101\r\na=rtpmap:101 telephone-event/8000\r\n", port)
	for _, l := range lines {
		s += l + "\r\n"
	}
	return s
}

var sequence atomic.Uint32

// packet makes an RTP packet that differs from all others.
func packet() []byte { return packetOf(0) }

func packetOf(pt uint8) []byte {
	n := sequence.Add(1)
	return append([]byte{0x80, pt, byte(n >> 8), byte(n), 0, 0, 0, 0, 0xca, 0xfe, 0xba, 0xbe}, strconv.Itoa(int(n))...)
}

// report makes an RTCP packet that differs from all others.
func report() []byte {
	n := sequence.Add(1)
	return []byte{0x80, 201, 0, 2, 0xca, 0xfe, 0xba, 0xbe, byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}
}

func send(t testing.TB, from *net.UDPConn, to netip.AddrPort, pkt []byte) {
	t.Helper()
	if _, err := from.WriteToUDPAddrPort(pkt, to); err != nil {
		t.Fatalf("send from %v to %v: %v", addrOf(from), to, err)
	}
}

func receive(t testing.TB, at *net.UDPConn) ([]byte, netip.AddrPort) {
	t.Helper()
	if err := at.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 2048)
	n, src, err := at.ReadFromUDPAddrPort(buf)
	if err != nil {
		t.Fatalf("%v received nothing: %v", addrOf(at), err)
	}
	return buf[:n], netip.AddrPortFrom(src.Addr().Unmap(), src.Port())
}

// pass sends one packet to the relay and expects it as the next one on the other side, from where that side sends to.
func pass(t testing.TB, from *net.UDPConn, in netip.AddrPort, to *net.UDPConn, out netip.AddrPort) {
	t.Helper()
	passPacket(t, from, in, to, out, packetFrom(from))
}

// speak sends as many packets as it takes to be believed.
func speak(t testing.TB, from *net.UDPConn, in netip.AddrPort, to *net.UDPConn, out netip.AddrPort) {
	t.Helper()
	for range 3 {
		pass(t, from, in, to, out)
	}
}

// sent counts the packets of each socket.
var sent sync.Map

// packetFrom is the next one of a phone: its sequence numbers have no gaps.
func packetFrom(from *net.UDPConn) []byte {
	count, _ := sent.LoadOrStore(from, new(atomic.Uint32))
	n := count.(*atomic.Uint32).Add(1)
	pkt := packet()
	pkt[2], pkt[3] = byte(n>>8), byte(n)
	return pkt
}

func passPacket(t testing.TB, from *net.UDPConn, in netip.AddrPort, to *net.UDPConn, out netip.AddrPort, pkt []byte) {
	t.Helper()
	send(t, from, in, pkt)
	got, src := receive(t, to)
	if !bytes.Equal(got, pkt) {
		t.Fatalf("%v received % x from %v, want % x", addrOf(to), got, src, pkt)
	}
	if src != out {
		t.Fatalf("%v received a packet from %v, want from %v", addrOf(to), src, out)
	}
}

// leg is where a phone sends to: what the SDP that it was given says.
type leg struct {
	rtp, rtcp netip.AddrPort
	mux       bool
	port      uint16
}

// legs reads all sections of an SDP.
func legs(t testing.TB, sdp string) []leg {
	t.Helper()
	var out []leg
	var host netip.Addr
	for line := range strings.Lines(sdp) {
		line = strings.TrimRight(line, "\r\n")
		switch {
		case strings.HasPrefix(line, "c="):
			f := strings.Fields(line)
			a, err := netip.ParseAddr(f[len(f)-1])
			if err != nil {
				t.Fatalf("%s: %v", line, err)
			}
			if len(out) > 0 {
				out[len(out)-1].move(a)
			} else {
				host = a
			}
		case strings.HasPrefix(line, "m="):
			n, err := strconv.ParseUint(strings.Fields(line)[1], 10, 16)
			if err != nil {
				t.Fatalf("%s: %v", line, err)
			}
			l := leg{port: uint16(n), rtp: netip.AddrPortFrom(host, uint16(n)), rtcp: netip.AddrPortFrom(host, uint16(n)+1)}
			out = append(out, l)
		case line == "a=rtcp-mux" && len(out) > 0:
			out[len(out)-1].mux = true
		case strings.HasPrefix(line, "a=rtcp:") && len(out) > 0:
			n, err := strconv.ParseUint(strings.Fields(line[len("a=rtcp:"):])[0], 10, 16)
			if err != nil {
				t.Fatalf("%s: %v", line, err)
			}
			l := &out[len(out)-1]
			l.rtcp = netip.AddrPortFrom(l.rtcp.Addr(), uint16(n))
		}
	}
	if len(out) == 0 {
		t.Fatalf("no section in the SDP:\n%s", sdp)
	}
	return out
}

func (l *leg) move(a netip.Addr) {
	if !l.rtp.Addr().IsValid() || a != l.rtp.Addr() {
		l.rtp = netip.AddrPortFrom(a, l.rtp.Port())
		l.rtcp = netip.AddrPortFrom(a, l.rtcp.Port())
	}
}

// tosOf makes the socket tell the TOS byte of what it receives, and reads one packet.
func receiveTOS(t testing.TB, at *net.UDPConn, trigger func()) int {
	t.Helper()
	raw, err := at.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var opt error
	if err := raw.Control(func(fd uintptr) {
		opt = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_IP, syscall.IP_RECVTOS, 1)
	}); err != nil || opt != nil {
		t.Fatal(err, opt)
	}
	trigger()
	if err := at.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	buf, oob := make([]byte, 2048), make([]byte, 256)
	_, n, _, _, err := at.ReadMsgUDP(buf, oob)
	if err != nil {
		t.Fatal(err)
	}
	msgs, err := syscall.ParseSocketControlMessage(oob[:n])
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range msgs {
		if m.Header.Level == syscall.IPPROTO_IP && m.Header.Type == syscall.IP_TOS && len(m.Data) > 0 {
			return int(m.Data[0])
		}
	}
	t.Fatal("the system did not tell the TOS")
	return -1
}
