package netaddr

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

var both = []Address{float4, float6}

// TestMoves moves an address between two nodes that a peer talks to all the time, so that its entry is always just confirmed.
func TestMoves(t *testing.T) {
	w := newWorld(t)
	providers := [2]*Netlink{w.nodes[0].netlinkProvider(t, Config{}), w.nodes[1].netlinkProvider(t, Config{})}
	for _, a := range both {
		peerAddr := netip.AddrPortFrom(peer4, 0)
		if a.Addr().Is6() {
			peerAddr = netip.AddrPortFrom(peer6, 0)
		}
		peer := w.peer.udp(t, peerAddr)
		to := netip.AddrPortFrom(a.Addr(), 4000)
		for move := range 20 {
			at, other := move%2, (move+1)%2
			must(t, providers[other].Remove(t.Context(), a))
			must(t, providers[at].Add(t.Context(), a))
			mac := w.nodes[at].mac
			eventually(t, "the peer has the new hardware address", func() bool {
				now, _ := w.peer.neighbor(t, a.Addr())
				return move == 0 && now == nil || slices.Equal(now, mac)
			})
			// A conversation confirms the peer's entry, which the next move has to overrule all the same.
			node := w.nodes[at].udp(t, to)
			if _, err := peer.WriteToUDPAddrPort([]byte("ping"), to); err != nil {
				t.Fatal(err)
			}
			must(t, node.SetReadDeadline(time.Now().Add(5*time.Second)))
			_, from, err := node.ReadFromUDPAddrPort(make([]byte, 16))
			if err != nil {
				t.Fatalf("%s, move %d: %v", a, move, err)
			}
			if _, err := node.WriteToUDPAddrPort([]byte("pong"), from); err != nil {
				t.Fatal(err)
			}
			must(t, node.Close())
			eventually(t, "the peer has an entry", func() bool { now, _ := w.peer.neighbor(t, a.Addr()); return slices.Equal(now, mac) })
			mark := &netlink.Neigh{LinkIndex: w.peer.index, IP: a.Addr().AsSlice(), HardwareAddr: mac, State: unix.NUD_REACHABLE}
			must(t, w.peer.kernel.NeighSet(mark))
		}
		must(t, providers[1].Remove(t.Context(), a))
	}
}

// TestForm is about what else is on the device.
func TestForm(t *testing.T) {
	w := newWorld(t)
	n := w.nodes[0]
	p := n.netlinkProvider(t, Config{})
	must(t, p.Add(t.Context(), both...))
	for _, a := range both {
		b, ok := n.has(t, a)
		if !ok || prefixOf(*b) != a.host() || b.Flags&unix.IFA_F_SECONDARY != 0 || b.Flags&unix.IFA_F_TENTATIVE != 0 {
			t.Errorf("%s: %+v", a, b)
		}
	}
	// The node's own address goes, the floating one stays.
	l, err := n.kernel.LinkByName(testDevice)
	must(t, err)
	must(t, n.kernel.AddrDel(l, &netlink.Addr{IPNet: ipNet(netip.MustParsePrefix("10.98.0.1/24"))}))
	if _, ok := n.has(t, float4); !ok {
		t.Error("it went with the node's own address")
	}
	must(t, p.Remove(t.Context(), float4))
	// With no other address in its network it brings the route.
	must(t, p.Add(t.Context(), float4))
	if b, ok := n.has(t, float4); !ok || prefixOf(*b) != float4.Prefix {
		t.Errorf("%+v", b)
	}
	must(t, p.Remove(t.Context(), both...))
	must(t, p.Remove(t.Context(), both...)) // absent: no error
	for _, a := range both {
		if _, ok := n.has(t, a); ok {
			t.Errorf("%s is there", a)
		}
	}
}

// TestDeviceAnew removes and makes a device under its old name.
func TestDeviceAnew(t *testing.T) {
	w := newWorld(t)
	n := w.nodes[0]
	p := n.netlinkProvider(t, Config{})
	remove, err := n.kernel.LinkByName(testDevice)
	must(t, err)
	attrs := netlink.NewLinkAttrs()
	attrs.Name = testDevice
	anew := func() {
		t.Helper()
		must(t, n.kernel.LinkDel(remove))
		must(t, n.kernel.LinkAdd(&netlink.Veth{LinkAttrs: attrs, PeerName: "other"}))
		n.up(t, "other", 24)
		n.up(t, testDevice, 24, netip.MustParseAddr("10.98.0.1"), netip.MustParseAddr("fd98::1"))
		remove, err = n.kernel.LinkByName(testDevice)
		must(t, err)
	}
	must(t, p.Add(t.Context(), both...))
	anew()
	if err := p.Renew(t.Context(), both...); !errors.Is(err, ErrGone) {
		t.Errorf("renewed on another device: %v", err)
	}
	must(t, p.Add(t.Context(), both...))
	anew()
	must(t, p.Add(t.Context(), both...)) // without a renewal between
	for _, a := range both {
		if _, ok := n.has(t, a); !ok {
			t.Errorf("%s is not there", a)
		}
	}
	// Another process knows the device before it was made anew.
	other := n.netlinkProvider(t, Config{})
	anew()
	must(t, p.Add(t.Context(), both...))
	must(t, other.Remove(t.Context(), both...))
	for _, a := range both {
		if _, ok := n.has(t, a); ok {
			t.Errorf("%s is there", a)
		}
	}
}

// TestAddAgain adds what is there.
func TestAddAgain(t *testing.T) {
	w := newWorld(t)
	n := w.nodes[0]
	p, other := n.netlinkProvider(t, Config{}), n.netlinkProvider(t, Config{})
	for range 3 {
		must(t, p.Add(t.Context(), both...))
	}
	must(t, other.Add(t.Context(), both...)) // another process
	must(t, p.Renew(t.Context(), both...))
	for _, a := range both {
		if here, err := p.Check(t.Context(), a); err != nil || !here {
			t.Error(a, here, err)
		}
	}
	must(t, other.Remove(t.Context(), both...))
	for range 2 {
		if err := p.Renew(t.Context(), both...); !errors.Is(err, ErrGone) {
			t.Errorf("renewed what another process has removed: %v", err)
		}
	}
	for _, a := range both {
		if _, ok := n.has(t, a); ok {
			t.Errorf("renewing brought %s back", a)
		}
	}
	p.Announce(both...) // announces nothing, and must not fail
}

// TestFence sends from sockets whose address is taken away, and has come back.
func TestFence(t *testing.T) {
	w := newWorld(t)
	p := w.nodes[0].netlinkProvider(t, Config{Lifetime: 5 * time.Second})
	for _, a := range both {
		must(t, p.Add(t.Context(), a))
		to := netip.AddrPortFrom(peer4, 5000)
		if a.Addr().Is6() {
			to = netip.AddrPortFrom(peer6, 5000)
		}
		conn := w.nodes[0].udp(t, netip.AddrPortFrom(a.Addr(), 4000))
		if _, err := conn.WriteToUDPAddrPort([]byte("x"), to); err != nil {
			t.Fatal(err)
		}
		must(t, p.Remove(t.Context(), a))
		_, err := conn.WriteToUDPAddrPort([]byte("x"), to)
		t.Logf("%s: after Remove: %v", a, err)
		if err == nil {
			t.Errorf("a socket bound to %s sends though the address is removed", a)
		}
		must(t, p.Add(t.Context(), a))
		if _, err := conn.WriteToUDPAddrPort([]byte("x"), to); err != nil {
			t.Errorf("%s came back, and its sockets cannot send: %v", a, err)
		}
		must(t, p.Remove(t.Context(), a))
	}
	must(t, p.Close())
	rules, err := w.nodes[0].kernel.RuleList(netlink.FAMILY_V6)
	must(t, err)
	for _, r := range rules {
		if r.Priority == barPriority {
			t.Errorf("Close leaves the rule %v", r)
		}
	}
}

// TestLifetime leaves addresses alone: the kernel removes them.
func TestLifetime(t *testing.T) {
	w := newWorld(t)
	n := w.nodes[0]
	p := n.netlinkProvider(t, Config{})
	for _, a := range both {
		must(t, p.Add(t.Context(), a))
		began := time.Now()
		for range 4 {
			time.Sleep(RenewEvery)
			must(t, p.Renew(t.Context(), a))
			began = time.Now()
		}
		eventually(t, "the kernel removes "+a.String(), func() bool { _, ok := n.has(t, a); return !ok })
		t.Logf("%s: gone %d ms after the last renewal", a, time.Since(began).Milliseconds())
		if err := p.Renew(t.Context(), a); !errors.Is(err, ErrGone) {
			t.Error(err)
		}
	}
	// The node's own way to its network must not have got the short life of the floating address.
	for _, to := range []netip.Addr{peer4, peer6} {
		if _, err := n.kernel.RouteGet(to.AsSlice()); err != nil {
			t.Errorf("no way to %s any more: %v", to, err)
		}
	}
}

// TestLate gives an address back whose time is over.
func TestLate(t *testing.T) {
	w := newWorld(t)
	p := w.nodes[0].netlinkProvider(t, Config{})
	ctx, cancel := context.WithDeadline(t.Context(), time.Now())
	defer cancel()
	for _, held := range []bool{false, true} {
		if held {
			must(t, p.Add(t.Context(), both...))
		}
		if err := p.Add(ctx, both...); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		if _, ok := w.nodes[0].has(t, float4); ok != held {
			t.Error("there:", ok)
		}
	}
}

// TestSweep removes what was left, and nothing else.
func TestSweep(t *testing.T) {
	w := newWorld(t)
	n := w.nodes[0]
	must(t, n.netlinkProvider(t, Config{Lifetime: 5 * time.Second}).Add(t.Context(), both...))
	p := n.netlinkProvider(t, Config{})
	must(t, p.Sweep(t.Context(), both...))
	for _, a := range both {
		if _, ok := n.has(t, a); ok {
			t.Errorf("%s is still there", a)
		}
	}
	must(t, p.Sweep(t.Context(), both...))

	// The machine's own addresses, named as floating ones by mistake.
	for _, own := range []string{"10.98.0.1/24@" + testDevice, "fd98::1/64@" + testDevice} {
		a, err := Parse(own)
		must(t, err)
		for name, err := range map[string]error{"Sweep": p.Sweep(t.Context(), a), "Add": p.Add(t.Context(), a)} {
			t.Logf("%s: %v", name, err)
			if !errors.Is(err, ErrForeign) {
				t.Errorf("%s of the machine's own address: %v", name, err)
			}
		}
		if _, ok := n.has(t, a); !ok {
			t.Errorf("the machine has lost %s", a)
		}
	}
}

// TestUnusable is about devices that are not there, down, or without IPv6.
func TestUnusable(t *testing.T) {
	w := newWorld(t)
	n := w.nodes[0]
	p := n.netlinkProvider(t, Config{})
	missing := Address{Prefix: float4.Prefix, Device: "eth9"}
	for name, err := range map[string]error{
		"Prepare": p.Prepare(t.Context(), missing), "Add": p.Add(t.Context(), float4, missing), "Sweep": p.Sweep(t.Context(), missing),
	} {
		t.Logf("%s: %v", name, err)
		if !errors.Is(err, unix.ENODEV) {
			t.Errorf("%s on a missing device: %v", name, err)
		}
	}
	must(t, p.Remove(t.Context(), missing))
	if _, ok := n.has(t, float4); ok {
		t.Error("half of an Add that failed is there")
	}
	l, err := n.kernel.LinkByName(testDevice)
	must(t, err)
	must(t, n.kernel.LinkSetDown(l))
	for _, a := range both {
		err := p.Add(t.Context(), a)
		t.Logf("down: %v", err)
		if !errors.Is(err, unix.ENETDOWN) {
			t.Errorf("on a device that is down: %v", err)
		}
		if _, ok := n.has(t, a); ok {
			t.Errorf("%s is there though it was not announced", a)
		}
	}
}

// TestNoRight drops the right to set addresses on one thread.
func TestNoRight(t *testing.T) {
	w := newWorld(t)
	for _, right := range []int{unix.CAP_NET_ADMIN, unix.CAP_NET_RAW} {
		err := w.nodes[0].do(func() error {
			header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
			var sets [2]unix.CapUserData
			if err := unix.Capget(&header, &sets[0]); err != nil {
				return err
			}
			sets[0].Effective &^= 1 << right
			if err := unix.Capset(&header, &sets[0]); err != nil {
				return err
			}
			p, err := OpenNetlink(Config{})
			if err == nil {
				_ = p.Close()
			}
			return err
		})
		t.Log(err)
		if !errors.Is(err, unix.EPERM) {
			t.Errorf("without the right: %v", err)
		}
	}
}
