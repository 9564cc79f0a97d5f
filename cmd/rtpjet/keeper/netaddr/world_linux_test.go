package netaddr

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// world is three network namespaces: two nodes, and a peer with a bridge that both are plugged into.
type world struct {
	t     testing.TB
	peer  *space
	nodes [2]*space
}

// space is one of them.
type space struct {
	name   string
	handle netns.NsHandle
	kernel *netlink.Handle
	index  int // of its device
	mac    net.HardwareAddr
}

const testDevice = "media0"

var (
	worlds atomic.Int32

	float4 = Address{Prefix: netip.MustParsePrefix("10.98.0.100/24"), Device: testDevice}
	float6 = Address{Prefix: netip.MustParsePrefix("fd98::100/64"), Device: testDevice}
	peer4  = netip.MustParseAddr("10.98.0.254")
	peer6  = netip.MustParseAddr("fd98::fe")
)

// newWorld makes them, and skips the test without the right to.
func newWorld(t testing.TB) *world {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("network namespaces need root")
	}
	w := &world{t: t}
	id := fmt.Sprintf("rtpjet-f%d-%d", os.Getpid(), worlds.Add(1))
	w.peer = w.space(id + "-peer")
	attrs := netlink.NewLinkAttrs()
	attrs.Name = testDevice
	if err := w.peer.kernel.LinkAdd(&netlink.Bridge{LinkAttrs: attrs}); err != nil {
		t.Skipf("no bridge can be made: %v", err)
	}
	w.peer.up(t, testDevice, 24, peer4, peer6)
	for i := range w.nodes {
		n := w.space(fmt.Sprintf("%s-node%d", id, i))
		w.nodes[i] = n
		attrs := netlink.NewLinkAttrs()
		attrs.Name = testDevice
		port := fmt.Sprintf("port%d", i)
		veth := &netlink.Veth{LinkAttrs: attrs, PeerName: port, PeerNamespace: netlink.NsFd(w.peer.handle)}
		must(t, n.kernel.LinkAdd(veth))
		bridge, err := w.peer.kernel.LinkByName(testDevice)
		must(t, err)
		end, err := w.peer.kernel.LinkByName(port)
		must(t, err)
		must(t, w.peer.kernel.LinkSetMaster(end, bridge))
		must(t, w.peer.kernel.LinkSetUp(end))
		n.up(t, testDevice, 24, netip.AddrFrom4([4]byte{10, 98, 0, byte(i + 1)}), netip.MustParseAddr(fmt.Sprintf("fd98::%d", i+1)))
	}
	return w
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (w *world) space(name string) *space {
	w.t.Helper()
	s := &space{name: name}
	err := onOwnThread(func() (err error) {
		s.handle, err = netns.NewNamed(name) // moves the thread into it
		return err
	})
	if err != nil {
		w.t.Fatalf("make the network namespace %s: %v", name, err)
	}
	w.t.Cleanup(func() {
		_ = s.handle.Close()
		if err := netns.DeleteNamed(name); err != nil {
			w.t.Error(err)
		}
	})
	s.kernel, err = netlink.NewHandleAt(s.handle)
	must(w.t, err)
	w.t.Cleanup(s.kernel.Close)
	s.up(w.t, "lo", 0)
	return s
}

// up switches a device on and gives it addresses.
func (s *space) up(t testing.TB, device string, bits4 int, addrs ...netip.Addr) {
	t.Helper()
	l, err := s.kernel.LinkByName(device)
	must(t, err)
	for _, addr := range addrs {
		bits := bits4
		if addr.Is6() {
			bits = 64
		}
		must(t, s.kernel.AddrAdd(l, &netlink.Addr{IPNet: ipNet(netip.PrefixFrom(addr, bits)), Flags: unix.IFA_F_NODAD}))
	}
	must(t, s.kernel.LinkSetUp(l))
	if device == testDevice {
		s.index, s.mac = l.Attrs().Index, l.Attrs().HardwareAddr
	}
}

// do runs f on a thread in the namespace.
func (s *space) do(f func() error) error {
	return onOwnThread(func() error {
		if err := netns.Set(s.handle); err != nil {
			return err
		}
		return f()
	})
}

// onOwnThread runs f on a thread that nothing else uses afterwards.
func onOwnThread(f func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		done <- f()
	}()
	return <-done
}

// has says whether the address is on the node's device, and in which form.
func (s *space) has(t testing.TB, a Address) (*netlink.Addr, bool) {
	t.Helper()
	for {
		all, err := s.kernel.AddrList(nil, netlink.FAMILY_ALL)
		if errors.Is(err, netlink.ErrDumpInterrupted) {
			continue
		}
		must(t, err)
		b := find(a, s.index, all)
		return b, b != nil
	}
}

// neighbor is the peer's entry for an address.
func (s *space) neighbor(t testing.TB, addr netip.Addr) (net.HardwareAddr, int) {
	t.Helper()
	family := netlink.FAMILY_V4
	if addr.Is6() {
		family = netlink.FAMILY_V6
	}
	for {
		all, err := s.kernel.NeighList(s.index, family)
		if errors.Is(err, netlink.ErrDumpInterrupted) {
			continue
		}
		must(t, err)
		for _, n := range all {
			if n.IP.Equal(addr.AsSlice()) {
				return n.HardwareAddr, n.State
			}
		}
		return nil, 0
	}
}

// udp opens a socket in the namespace.
func (s *space) udp(t testing.TB, local netip.AddrPort) *net.UDPConn {
	t.Helper()
	var conn *net.UDPConn
	must(t, s.do(func() (err error) {
		conn, err = net.ListenUDP("udp", net.UDPAddrFromAddrPort(local))
		return err
	}))
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// netlinkProvider opens one in the namespace.
func (s *space) netlinkProvider(t testing.TB, cfg Config) *Netlink {
	t.Helper()
	var p *Netlink
	must(t, s.do(func() (err error) {
		p, err = OpenNetlink(cfg)
		return err
	}))
	t.Cleanup(func() { must(t, p.Close()) })
	must(t, p.Prepare(t.Context(), float4, float6))
	return p
}

// eventually waits for a condition.
func eventually(t testing.TB, what string, cond func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !cond(); time.Sleep(200 * time.Microsecond) {
		if time.Now().After(end) {
			t.Fatalf("not within ten seconds: %s", what)
		}
	}
}

// sysctl sets a value of the namespace.
func (s *space) sysctl(name, value string) error {
	return s.do(func() error { return os.WriteFile("/proc/sys/"+name, []byte(value), 0o644) })
}
