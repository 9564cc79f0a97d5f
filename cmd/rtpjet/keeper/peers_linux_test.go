package keeper

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"rtpjet/projection/floats"
)

var (
	loopback4 = netip.MustParseAddr("127.0.0.1")
	loopback6 = netip.MustParseAddr("::1")
)

func newLink(t testing.TB, bind netip.Addr, key string) *link {
	t.Helper()
	l, err := openLink(bind, []byte(key))
	must(t, err)
	t.Cleanup(l.close)
	return l
}

// sign puts behind a pulse what proves it.
func sign(key string, data []byte) []byte {
	h := hmac.New(sha256.New, []byte(key))
	h.Write(data)
	return h.Sum(bytes.Clone(data))
}

// sender is somebody on the network of keepers.
func sender(t testing.TB, to *link) *net.UDPConn {
	t.Helper()
	c, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(to.addr))
	must(t, err)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// hear takes in what has arrived. What was sent over the loopback device has.
func hear(l *link) (all []string) {
	l.receive(func(data []byte) { all = append(all, string(data)) })
	return all
}

// wait hands the events of a link to it, as the loop does, until a condition is met.
func wait(t testing.TB, l *link, now int64, what string, cond func() bool, refused func(string, int64)) {
	t.Helper()
	eventually(t, what, func() bool {
		fds := l.polls(nil)
		if _, err := unix.Poll(fds, 1); err != nil {
			return cond()
		}
		for _, p := range fds {
			if p.Revents != 0 {
				l.happened(int(p.Fd), now, func([]byte) {}, refused)
			}
		}
		return cond()
	})
}

func never(t testing.TB) func(string, int64) {
	return func(node string, begun int64) { t.Errorf("node %s has refused what was begun at %d", node, begun) }
}

func TestLinkHears(t *testing.T) {
	for _, bind := range []netip.Addr{loopback4, loopback6} {
		t.Run(bind.String(), func(t *testing.T) {
			if c, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(bind, 0))); err != nil {
				t.Skipf("this machine does not have the address: %v", err)
			} else {
				_ = c.Close()
			}
			a, b, c := newLink(t, bind, "key"), newLink(t, bind, "key"), newLink(t, bind, "key")
			a.setPeers(map[string]netip.AddrPort{"b": b.addr, "c": c.addr})
			for i := range 5 {
				a.cast(fmt.Appendf(nil, "pulse %d", i))
			}
			want := []string{"pulse 0", "pulse 1", "pulse 2", "pulse 3", "pulse 4"}
			for _, l := range []*link{b, c} {
				if got := hear(l); !slices.Equal(got, want) {
					t.Errorf("heard %q, want %q", got, want)
				}
			}
			if got := hear(a); len(got) != 0 {
				t.Errorf("who spoke hears %q", got)
			}
		})
	}
}

// TestLinkOnePort: UDP and TCP are on one port, which is what the node's lease says.
func TestLinkOnePort(t *testing.T) {
	l := newLink(t, loopback4, "")
	for _, fd := range []int{l.udp, l.tcp} {
		own, err := unix.Getsockname(fd)
		must(t, err)
		if in := own.(*unix.SockaddrInet4); in.Port != int(l.addr.Port()) || in.Addr != l.addr.Addr().As4() {
			t.Errorf("listening on %v, and says %v", in, l.addr)
		}
		flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
		if err != nil || flags&unix.FD_CLOEXEC == 0 {
			t.Errorf("a script would inherit a socket: %x, %v", flags, err)
		}
	}
	_, err := openLink(netip.MustParseAddr("192.0.2.77"), nil)
	if want := "listen for pulses on 192.0.2.77: cannot assign requested address"; err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
}

// TestLinkRefusesForgeries: nobody without the key can keep a dead node alive, nor anything that was damaged on the way.
func TestLinkRefusesForgeries(t *testing.T) {
	l := newLink(t, loopback4, "the key")
	c := sender(t, l)
	pulse := []byte(`{"n":"n2","r":1,"c":1}`)
	good := sign("the key", pulse)
	bad := map[string][]byte{
		"empty": {}, "no proof": pulse, "another key": sign("the kez", pulse), "no key": sign("", pulse),
		"a longer key": sign("the key\x01", pulse), "twice": append(bytes.Clone(good), good...), "one byte more": append(bytes.Clone(good), 0),
		"zeros": make([]byte, sha256.Size), "proof first": append(good[len(pulse):], pulse...),
	}
	for n := range len(good) {
		bad[fmt.Sprintf("the first %d bytes", n)] = good[:n]
		flipped := bytes.Clone(good)
		flipped[n] ^= 1 << (n % 8)
		bad[fmt.Sprintf("a bit of byte %d flipped", n)] = flipped
	}
	for name, frame := range bad {
		_, err := c.Write(frame)
		must(t, err)
		if got := hear(l); len(got) != 0 {
			t.Errorf("%s: %q is believed", name, got)
		}
	}
	_, err := c.Write(good)
	must(t, err)
	if got := hear(l); !slices.Equal(got, []string{string(pulse)}) {
		t.Errorf("what has the key is heard as %q", got)
	}
}

// TestLinkFlood: whoever sends without end does not keep the loop from its deadlines; what remains comes later.
func TestLinkFlood(t *testing.T) {
	l := newLink(t, loopback4, "key")
	must(t, unix.SetsockoptInt(l.udp, unix.SOL_SOCKET, unix.SO_RCVBUF, 1<<20))
	c := sender(t, l)
	for range 300 {
		_, err := c.Write(sign("key", []byte("x")))
		must(t, err)
	}
	if n := len(hear(l)); n != 256 {
		t.Errorf("%d pulses are taken in at once", n)
	}
	if n := len(hear(l)); n != 44 {
		t.Errorf("%d of 44 pulses are left", n)
	}
}

func FuzzFrame(f *testing.F) {
	b := newBench(f, float1)
	l := newLink(f, loopback4, "key")
	c := sender(f, l)
	pulse := pulseOf("n2", 1, 1, 1, float1).Encode()
	f.Add(pulse, true)
	f.Add(sign("key", pulse), false)
	f.Add(sign("another", pulse), false)
	f.Add([]byte(`{"n":"n3","r":18446744073709551615,"c":18446744073709551615,"f":[{"f":"192.0.2.100","e":18446744073709551615}]}`), true)
	f.Add([]byte{}, true)
	f.Fuzz(func(t *testing.T, frame []byte, known bool) {
		if known {
			frame = sign("key", frame)
		}
		if len(frame) > 60_000 {
			return // no packet
		}
		b.t = t
		b.begin(7)
		b.ready()
		_, err := c.Write(frame)
		must(t, err)
		for _, data := range hear(l) {
			if !bytes.Equal(sign("key", []byte(data)), frame) {
				t.Errorf("%q is heard of %x", data, frame)
			}
			b.heard(floats.UDP, []byte(data))
		}
		if s := b.state(float1); b.holds(0) != (s.Hold && s.Yield == "") {
			t.Errorf("the relay may serve the float: %v, and it stands like this: %+v", b.holds(0), s)
		}
		for _, r := range b.told() {
			if r.Fatal != "" {
				t.Errorf("a pulse ends the node: %s", r.Fatal)
			}
		}
	})
}

// TestTether: a peer is connected to as soon as it is known; its end is noticed, and then its refusal, with the time of the
// attempt that was refused.
func TestTether(t *testing.T) {
	a, b := newLink(t, loopback4, ""), newLink(t, loopback4, "")
	a.setPeers(map[string]netip.AddrPort{"b": b.addr})
	p := a.peers["b"]
	const start = 1_000_000
	a.tend(start, never(t))
	wait(t, a, start, "b is not connected to", func() bool { return p.fd >= 0 && !p.connecting }, never(t))
	wait(t, b, start, "b has not accepted", func() bool { return len(b.accepted) == 1 }, never(t))
	for _, fd := range []int{p.fd, b.accepted[0]} {
		for option, want := range map[int]int{unix.TCP_KEEPIDLE: 5, unix.TCP_KEEPINTVL: 1, unix.TCP_KEEPCNT: 3} {
			if got, err := unix.GetsockoptInt(fd, unix.IPPROTO_TCP, option); err != nil || got != want {
				t.Errorf("TCP option %d is %d, want %d: %v", option, got, want, err)
			}
		}
		if on, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_KEEPALIVE); err != nil || on != 1 {
			t.Errorf("a machine that is gone without a word is not noticed: %d, %v", on, err)
		}
	}
	if next := a.tend(start+10, never(t)); next != start+10+1_000_000 {
		t.Errorf("there is nothing to do, and it is done after %d µs", next-start-10)
	}

	_, err := unix.Write(b.accepted[0], []byte("nobody says anything here"))
	must(t, err)
	if ended(p.fd) {
		t.Error("a word is taken for the end")
	}

	const end = start + 2_000_000
	b.close()
	wait(t, a, end, "the end of b is not noticed", func() bool { return p.fd < 0 }, never(t))
	if p.due != end {
		t.Errorf("whether b is there is asked %d µs after its end", p.due-end)
	}
	begun := int64(0)
	refused := func(node string, at int64) {
		if node != "b" {
			t.Errorf("%s refuses", node)
		}
		begun = at
	}
	a.tend(end+1, refused)
	wait(t, a, end+500, "b does not refuse", func() bool { return begun != 0 }, refused)
	if begun != end+1 {
		t.Errorf("the attempt that b refused was begun at %d, and %d is said", int64(end+1), begun)
	}
}

// TestTetherRefused: who refuses is asked again soon, and after a second not so often, for as long as it takes.
func TestTetherRefused(t *testing.T) {
	a, b := newLink(t, loopback4, ""), newLink(t, loopback4, "")
	to := b.addr
	b.close()
	a.setPeers(map[string]netip.AddrPort{"b": to})
	p := a.peers["b"]
	var gaps []int64
	for now, n := int64(5_000_000), 0; now < 7_000_000; n++ {
		before := 0
		refused := func(string, int64) { before++ }
		a.tend(now, refused)
		wait(t, a, now, "b does not refuse", func() bool { return before > 0 }, refused)
		gaps = append(gaps, p.due-now)
		if next := a.tend(now, never(t)); next != p.due {
			t.Fatalf("due at %d, and looked at %d", p.due, next)
		}
		now = p.due
	}
	want := slices.Repeat([]int64{tetherSoon}, soonFor/tetherSoon)
	if len(gaps) <= len(want) || !slices.Equal(gaps[:len(want)], want) {
		t.Errorf("within the first second asked after %v µs", gaps[:min(len(gaps), len(want))])
	}
	for _, gap := range gaps[min(len(want), len(gaps)):] {
		if gap != tetherAgain {
			t.Fatalf("then asked after %d µs", gap)
		}
	}

	c := newLink(t, loopback4, "") // b is back, elsewhere
	a.setPeers(map[string]netip.AddrPort{"b": c.addr})
	a.tend(8_000_000, never(t))
	wait(t, a, 8_000_000, "b is not connected to", func() bool { q := a.peers["b"]; return q.fd >= 0 && !q.connecting }, never(t))
}

// TestTetherUnanswered: a machine that says nothing at all refuses nothing. It is tried again from the beginning.
func TestTetherUnanswered(t *testing.T) {
	full, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	must(t, err)
	defer func() { _ = unix.Close(full) }()
	must(t, unix.Bind(full, &unix.SockaddrInet4{Addr: loopback4.As4()}))
	must(t, unix.Listen(full, 0)) // and nobody accepts: what comes when the queue is full is dropped
	own, err := unix.Getsockname(full)
	must(t, err)
	to := netip.AddrPortFrom(loopback4, uint16(own.(*unix.SockaddrInet4).Port))
	for range 3 {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
		must(t, err)
		defer func() { _ = unix.Close(fd) }()
		_ = unix.Connect(fd, sockaddr(to))
	}

	a := newLink(t, loopback4, "")
	a.setPeers(map[string]netip.AddrPort{"b": to})
	p := a.peers["b"]
	const start = 1_000_000
	if next := a.tend(start, never(t)); next != start+tetherDial || !p.connecting || p.begun != start {
		t.Fatalf("%+v, next look after %d µs", p, next-start)
	}
	if next := a.tend(start+tetherDial-1, never(t)); next != start+tetherDial || !p.connecting || p.begun != start {
		t.Errorf("it was not waited for long enough: %+v", p)
	}
	a.tend(start+tetherDial, never(t))
	if !p.connecting || p.begun != start+tetherDial {
		t.Errorf("it is not tried again: %+v", p)
	}
}

// TestTetherUnreachable: a failure that says nothing of the process counts for nothing.
func TestTetherUnreachable(t *testing.T) {
	a := newLink(t, loopback4, "")
	to := netip.MustParseAddrPort("127.0.0.1:9")
	a.peers["b"] = &peer{node: "b", addr: to, to: sockaddr(to), fd: -1, refusedSince: 77}
	p := a.peers["b"]
	for _, err := range []error{unix.EHOSTUNREACH, unix.ENETUNREACH, unix.ETIMEDOUT, unix.EACCES} {
		p.refusedSince = 77
		a.connected(p, err, 5_000_000, never(t))
		if p.fd != -1 || p.due != 5_000_000+tetherLater || p.refusedSince != 0 {
			t.Errorf("%v: %+v", err, p)
		}
	}
}

// TestTethersOfOthers are bounded: the oldest is cut for a new one, and whoever that was connects again.
func TestTethersOfOthers(t *testing.T) {
	l := newLink(t, loopback4, "")
	var conns []net.Conn
	for range maxAccepted + 3 {
		c, err := net.DialTimeout("tcp", l.addr.String(), patience)
		must(t, err)
		defer func() { _ = c.Close() }()
		conns = append(conns, c)
		before := l.accepted
		eventually(t, "a connection is not accepted", func() bool { l.accept(); return !slices.Equal(l.accepted, before) })
		if len(l.accepted) > maxAccepted {
			t.Fatalf("%d tethers", len(l.accepted))
		}
	}
	for i, c := range conns {
		_ = c.SetReadDeadline(time.Now().Add(patience))
		if i >= 3 {
			_ = c.SetReadDeadline(time.Now().Add(-time.Second)) // there is nothing to read, and no end
		}
		_, err := c.Read(make([]byte, 1))
		if cut := !strings.Contains(err.Error(), "i/o timeout"); cut != (i < 3) {
			t.Errorf("connection %d: %v", i, err)
		}
	}

	gone := conns[maxAccepted/2]
	must(t, gone.Close())
	wait(t, l, 0, "the end of another's tether is not noticed", func() bool { return len(l.accepted) == maxAccepted-1 }, never(t))
}

// TestSetPeers: who is no longer there, or elsewhere, is not connected to any more; who stays is left alone.
func TestSetPeers(t *testing.T) {
	a, b, c, d := newLink(t, loopback4, "k"), newLink(t, loopback4, "k"), newLink(t, loopback4, "k"), newLink(t, loopback4, "k")
	a.setPeers(map[string]netip.AddrPort{"b": b.addr, "c": c.addr})
	a.tend(1_000_000, never(t))
	wait(t, b, 0, "b is not connected to", func() bool { return len(b.accepted) == 1 }, never(t))
	wait(t, c, 0, "c is not connected to", func() bool { return len(c.accepted) == 1 }, never(t))
	stays := a.peers["b"]
	a.setPeers(map[string]netip.AddrPort{
		"b": b.addr, "c": d.addr, "six": netip.MustParseAddrPort("[::1]:9"), "unknown": {},
	})
	if a.peers["b"] != stays {
		t.Error("b has not moved, and is taken for a new one")
	}
	if len(a.peers) != 2 {
		t.Errorf("there are %d peers: one without an address, or of the other family, among them", len(a.peers))
	}
	wait(t, c, 0, "c has moved, and where it was is still connected to", func() bool { return len(c.accepted) == 0 }, never(t))
	a.cast([]byte("x"))
	if len(hear(b)) != 1 || len(hear(c)) != 0 || len(hear(d)) != 1 {
		t.Error("a pulse goes where a peer has been, and not where it is")
	}
	a.setPeers(nil)
	wait(t, b, 0, "b is no longer a node, and still connected to", func() bool { return len(b.accepted) == 0 }, never(t))
	a.cast([]byte("x"))
	if len(hear(b)) != 0 || len(hear(d)) != 0 {
		t.Error("a pulse goes to who is no longer a node")
	}
}

// TestLinkClose leaves no descriptor open.
func TestLinkClose(t *testing.T) {
	a, b := newLink(t, loopback4, ""), newLink(t, loopback4, "")
	a.setPeers(map[string]netip.AddrPort{"b": b.addr})
	b.setPeers(map[string]netip.AddrPort{"a": a.addr})
	a.tend(0, never(t))
	b.tend(0, never(t))
	wait(t, a, 0, "b has not connected", func() bool { return len(a.accepted) == 1 && !a.peers["b"].connecting }, never(t))
	fds := []int{a.udp, a.tcp, a.accepted[0], a.peers["b"].fd}
	at := a.addr
	a.close()
	for _, fd := range fds {
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err == nil {
			// The number may be somebody else's by now; then it is no socket on our port.
			if own, err := unix.Getsockname(fd); err == nil {
				if in, ok := own.(*unix.SockaddrInet4); ok && in.Port == int(at.Port()) {
					t.Errorf("descriptor %d is still open", fd)
				}
			}
		}
	}
	a.close() // the loop does so when it could not begin
}
