package cluster

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"
	"sync/atomic"
	"testing"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"rtpjet/tests/lab"
)

// spread is a world of network namespaces: one a node, and a hub with clients, phones and two bridges, one for NATS and one
// for everything else. A node is cut off by taking its cable out of a bridge: all its links stay up, and nothing arrives.
type spread struct {
	t    testing.TB
	hub  string
	hubH netns.NsHandle
	link *netlink.Handle // in the hub
	side map[int]netns.NsHandle
	name string
	nets []string       // the networks that it has
	macs map[string]int // nodes by the hardware addresses of their devices
}

// The networks.
const (
	mediaNet = "media"
	natsNet  = "nats"
	privNet  = "priv" // a second one for media
)

var (
	networks = map[string]byte{mediaNet: 1, natsNet: 2, privNet: 3}
	spreads  atomic.Int32
)

func onNet(network string, last int) netip.Addr {
	return netip.AddrFrom4([4]byte{10, 97, networks[network], byte(last)})
}

// onNet6 is the same place's other address.
func onNet6(network string, last int) netip.Addr {
	a := [16]byte{0: 0xfd, 1: 0x97, 7: networks[network], 15: byte(last)}
	return netip.AddrFrom16(a)
}

// newSpread makes the hub, and skips the test without the right to.
func newSpread(t *testing.T, more ...string) *spread {
	t.Helper()
	if err := lab.Namespaces(); err != nil {
		t.Skip(err)
	}
	if err := lab.Installed("nsenter"); err != nil {
		t.Skip(err)
	}
	s := &spread{t: t, name: fmt.Sprintf("rtpjet-c%d-%d", os.Getpid(), spreads.Add(1)), side: make(map[int]netns.NsHandle)}
	s.nets, s.macs = append([]string{mediaNet, natsNet}, more...), make(map[string]int)
	s.hub = s.name + "-hub"
	s.hubH = s.namespace(s.hub)
	var err error
	if s.link, err = netlink.NewHandleAt(s.hubH); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.link.Close)
	s.up(s.link, "lo")
	for _, network := range s.nets {
		attrs := netlink.NewLinkAttrs()
		attrs.Name = network
		// A bridge without an address of its own has that of one of its ports, and another one when that is pulled.
		attrs.HardwareAddr = net.HardwareAddr{2, 0x97, 0, 0, 0, networks[network]}
		if err := s.link.LinkAdd(&netlink.Bridge{LinkAttrs: attrs}); err != nil {
			t.Skipf("no bridge can be made: %v", err)
		}
		s.up(s.link, network, onNet(network, 254), onNet6(network, 254))
	}
	return s
}

// namespace makes a namespace that is gone after the test.
func (s *spread) namespace(name string) netns.NsHandle {
	s.t.Helper()
	var h netns.NsHandle
	err := onOwnThread(func() (err error) {
		h, err = netns.NewNamed(name) // moves the thread into it
		return err
	})
	if err != nil {
		s.t.Fatalf("make the network namespace %s: %v", name, err)
	}
	s.t.Cleanup(func() {
		_ = h.Close()
		if err := netns.DeleteNamed(name); err != nil {
			s.t.Error(err)
		}
	})
	return h
}

// up switches a device on and gives it addresses.
func (s *spread) up(h *netlink.Handle, device string, addrs ...netip.Addr) {
	s.t.Helper()
	link, err := h.LinkByName(device)
	for _, addr := range addrs {
		if err != nil {
			break
		}
		a := &netlink.Addr{IPNet: netlink.NewIPNet(addr.AsSlice())}
		a.Mask = net.CIDRMask(24, 32)
		if addr.Is6() {
			a.Mask = net.CIDRMask(64, 128)
			a.Flags = unix.IFA_F_NODAD // usable at once
		}
		err = h.AddrAdd(link, a)
	}
	if err == nil {
		err = h.LinkSetUp(link)
	}
	if err != nil {
		s.t.Fatalf("set up %s: %v", device, err)
	}
}

// at implements world: it makes the node's namespace.
func (s *spread) at(number int) where {
	s.t.Helper()
	name := fmt.Sprintf("%s-%d", s.name, number)
	h, ok := s.side[number]
	if !ok {
		h = s.namespace(name)
		s.side[number] = h
		inside, err := netlink.NewHandleAt(h)
		if err != nil {
			s.t.Fatal(err)
		}
		defer inside.Close()
		s.up(inside, "lo")
		for _, network := range s.nets {
			attrs := netlink.NewLinkAttrs()
			attrs.Name = cable(network, number)
			pair := &netlink.Veth{LinkAttrs: attrs, PeerName: network, PeerNamespace: netlink.NsFd(int(h))}
			if err := s.link.LinkAdd(pair); err != nil {
				s.t.Fatalf("make a veth pair: %v", err)
			}
			s.up(s.link, attrs.Name)
			s.up(inside, network, onNet(network, number), onNet6(network, number))
			s.plug(network, number)
			end, err := inside.LinkByName(network)
			if err != nil {
				s.t.Fatal(err)
			}
			s.macs[end.Attrs().HardwareAddr.String()] = number
		}
	}
	return where{
		media: onNet(mediaNet, number), nats: onNet(natsNet, number), side: &lab.Side{Name: name},
		do: func(f func() error) error { return inside(h, f) },
	}
}

func cable(network string, number int) string { return fmt.Sprintf("%s%d", network, number) }

// plug puts a node's cable into the bridge of a network.
func (s *spread) plug(network string, number int) {
	s.t.Helper()
	bridge, err := s.link.LinkByName(network)
	if err == nil {
		var link netlink.Link
		if link, err = s.link.LinkByName(cable(network, number)); err == nil {
			err = s.link.LinkSetMaster(link, bridge)
		}
	}
	if err != nil {
		s.t.Fatalf("plug %s in: %v", cable(network, number), err)
	}
}

// pull takes a node's cable out.
func (s *spread) pull(network string, number int) {
	s.t.Helper()
	link, err := s.link.LinkByName(cable(network, number))
	if err == nil {
		err = s.link.LinkSetNoMaster(link)
	}
	if err != nil {
		s.t.Fatalf("pull %s out: %v", cable(network, number), err)
	}
}

// phones implements world.
func (s *spread) phones() netip.Addr { return onNet(mediaNet, 254) }

// do implements world.
func (s *spread) do(f func() error) error { return inside(s.hubH, f) }

func inside(h netns.NsHandle, f func() error) error {
	return onOwnThread(func() error {
		if err := netns.Set(h); err != nil {
			return err
		}
		return f()
	})
}

// onOwnThread calls f on a thread that nothing else uses and that ends with f, so that f may change its namespace.
func onOwnThread(f func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		done <- f()
	}()
	return <-done
}
