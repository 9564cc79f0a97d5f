package relay_test

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"rtpjet/relay"
	"rtpjet/relay/plan"
)

// ownNamespace moves the test's thread into a network namespace of its own, in which only the loopback device is, and returns
// that. The thread ends with the test, and the namespace with its last socket.
func ownNamespace(t *testing.T) netlink.Link {
	t.Helper()
	runtime.LockOSThread()
	if err := unix.Unshare(unix.CLONE_NEWNET); errors.Is(err, syscall.EPERM) {
		t.Skip("only root may make a network namespace")
	} else if err != nil {
		t.Fatalf("make a network namespace: %v", err)
	}
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		t.Fatal(err)
	}
	if err := netlink.LinkSetUp(lo); err != nil {
		t.Fatal(err)
	}
	return lo
}

func putAddress(t *testing.T, link netlink.Link, addr netip.Addr) *netlink.Addr {
	t.Helper()
	a := &netlink.Addr{IPNet: &net.IPNet{IP: addr.AsSlice(), Mask: net.CIDRMask(addr.BitLen(), addr.BitLen())}, Flags: unix.IFA_F_NODAD}
	err := netlink.AddrAdd(link, a)
	if addr.Is6() && (errors.Is(err, syscall.EACCES) || errors.Is(err, syscall.EOPNOTSUPP)) {
		t.Skipf("there is no IPv6: %v", err)
	}
	if err != nil {
		t.Fatalf("put %v on %s: %v", addr, link.Attrs().Name, err)
	}
	return a
}

// forbidden is the number of a packet that must not be relayed.
const forbidden = 255

// TestAddressComesAndGoes: a call waits for its address, carries packets when that comes, and is silent when it goes.
func TestAddressComesAndGoes(t *testing.T) {
	for name, open := range map[string]func(relay.Config) (*relay.Sockets, error){"epoll": relay.New, "portable": relay.NewPortable} {
		for _, v := range []struct{ float, party string }{{"192.0.2.77", "198.51.100.1"}, {"2001:db8::77", "2001:db8:1::1"}} {
			t.Run(fmt.Sprintf("%s %s", name, v.float), func(t *testing.T) {
				float, home := netip.MustParseAddr(v.float), netip.MustParseAddr(v.party)
				lo := ownNamespace(t)
				putAddress(t, lo, home)
				e, err := open(relay.Config{Pools: []relay.Pool{{Addr: float, Min: 20000, Max: 20999, Floating: true}}})
				if err != nil {
					t.Fatal(err)
				}
				defer func() { _ = e.Close() }()
				party, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(home, 0)))
				if err != nil {
					t.Fatal(err)
				}
				defer func() { _ = party.Close() }()
				a, err := e.Reserve(float, 2)
				if err != nil {
					t.Fatal(err)
				}
				b := netip.AddrPortFrom(float, a[0].Port()^2) // not reserved
				streams := between(a[0], b, addrOf(party))
				if err := e.Set("call", streams); err != nil {
					t.Fatal(err)
				}
				send := func(number byte) {
					t.Helper()
					pkt := make([]byte, 172)
					pkt[0], pkt[3] = 0x80, number
					if _, err := party.WriteToUDPAddrPort(pkt, a[0]); err != nil {
						t.Fatal(err)
					}
				}
				// flows sends until one is heard. Linux puts an IPv6 address in force a little after it has said so.
				flows := func() {
					t.Helper()
					buf := make([]byte, 1500)
					for number := byte(1); number < 250; number++ {
						send(number)
						_ = party.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
						n, src, err := party.ReadFromUDPAddrPort(buf)
						if errors.Is(err, os.ErrDeadlineExceeded) {
							continue
						}
						if err != nil || n != 172 || buf[3] == forbidden || src != b {
							t.Fatalf("received packet %d of %d bytes from %v, %v, want one from %v", buf[3], n, src, err, b)
						}
						return
					}
					t.Fatal("no packet comes through")
				}
				count := func(local netip.AddrPort, of func(plan.Stats) uint64) uint64 {
					st, ok := e.Stats(local)
					if !ok {
						t.Fatalf("%v is not open", local)
					}
					return of(st)
				}

				// The way of a takeover: permission, then the address.
				e.Permit(time.Now().Add(time.Hour), float)
				there := putAddress(t, lo, float)
				flows()

				// And back. What still arrives is refused.
				e.Permit(time.Time{}, float)
				send(forbidden)
				for start := time.Now(); count(a[0], func(st plan.Stats) uint64 { return st.In.Errors }) == 0; runtime.Gosched() {
					if time.Since(start) > 10*time.Second {
						t.Fatal("a packet was not refused")
					}
				}
				if err := netlink.AddrDel(lo, there); err != nil {
					t.Fatal(err)
				}
				e.Permit(time.Now().Add(time.Hour), float)
				putAddress(t, lo, float)
				flows()
			})
		}
	}
}
