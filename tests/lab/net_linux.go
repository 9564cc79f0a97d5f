package lab

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"runtime"
	"sync/atomic"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
)

// Side is one of the two network namespaces of a Net.
type Side struct {
	Name  string     // as in `ip netns exec NAME`
	Addr  netip.Addr // its address on the veth pair
	Addr6 netip.Addr // may be missing

	handle netns.NsHandle
}

// Net is two namespaces joined by a veth pair. Nothing leads out of them: neither
// has a default route.
type Net struct {
	Server, Client Side
}

// netCount makes the names of several Nets of one process differ.
var netCount atomic.Int32

// NewNet makes the namespaces. Close removes them.
func NewNet() (n *Net, err error) {
	id := fmt.Sprintf("rtpjet-%d-%d", os.Getpid(), netCount.Add(1))
	n = &Net{
		Server: Side{Name: id + "-server", Addr: netip.MustParseAddr("10.99.0.1"), Addr6: netip.MustParseAddr("fd99::1"), handle: netns.None()},
		Client: Side{Name: id + "-client", Addr: netip.MustParseAddr("10.99.0.2"), Addr6: netip.MustParseAddr("fd99::2"), handle: netns.None()},
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, n.Close())
			n = nil
		}
	}()
	for _, s := range []*Side{&n.Server, &n.Client} {
		err := onOwnThread(func() error {
			h, err := netns.NewNamed(s.Name) // moves the thread into it
			s.handle = h
			return err
		})
		if err != nil {
			return n, fmt.Errorf("make the network namespace %s: %w", s.Name, err)
		}
	}

	const device = "media0"
	server, err := netlink.NewHandleAt(n.Server.handle)
	if err != nil {
		return n, fmt.Errorf("open netlink in %s: %w", n.Server.Name, err)
	}
	defer server.Close()
	client, err := netlink.NewHandleAt(n.Client.handle)
	if err != nil {
		return n, fmt.Errorf("open netlink in %s: %w", n.Client.Name, err)
	}
	defer client.Close()

	attrs := netlink.NewLinkAttrs()
	attrs.Name = device
	pair := &netlink.Veth{LinkAttrs: attrs, PeerName: device, PeerNamespace: netlink.NsFd(int(n.Client.handle))}
	if err := server.LinkAdd(pair); err != nil {
		return n, fmt.Errorf("make a veth pair: %w", err)
	}
	for _, end := range []struct {
		handle *netlink.Handle
		side   *Side
	}{{server, &n.Server}, {client, &n.Client}} {
		if err := configure(end.handle, device, end.side); err != nil {
			return n, fmt.Errorf("configure %s in %s: %w", device, end.side.Name, err)
		}
	}
	return n, nil
}

// configure gives a device its addresses and switches it and the loopback on.
func configure(h *netlink.Handle, device string, s *Side) error {
	for _, name := range []string{"lo", device} {
		link, err := h.LinkByName(name)
		if err != nil {
			return err
		}
		if err := h.LinkSetUp(link); err != nil {
			return err
		}
		if name == "lo" {
			continue
		}
		for _, a := range []netip.Prefix{netip.PrefixFrom(s.Addr, 24), netip.PrefixFrom(s.Addr6, 64)} {
			if !a.IsValid() {
				continue // a namespace without IPv6
			}
			addr, err := netlink.ParseAddr(a.String())
			if err != nil {
				return err
			}
			if a.Addr().Is6() {
				addr.Flags = 0x02 // IFA_F_NODAD: usable at once
			}
			if err := h.AddrAdd(link, addr); err != nil {
				return fmt.Errorf("add %s: %w", a, err)
			}
		}
	}
	return nil
}

// Close removes the namespaces, and with them the veth pair.
func (n *Net) Close() error {
	var errs []error
	for _, s := range []*Side{&n.Server, &n.Client} {
		if !s.handle.IsOpen() {
			continue
		}
		errs = append(errs, s.handle.Close(), netns.DeleteNamed(s.Name))
	}
	return errors.Join(errs...)
}

// Do calls f on a thread inside the namespace. Sockets that f opens stay in it.
// A nil Side is the namespace of the process.
func (s *Side) Do(f func() error) error {
	if s == nil {
		return f()
	}
	return onOwnThread(func() error {
		if err := netns.Set(s.handle); err != nil {
			return fmt.Errorf("enter the network namespace %s: %w", s.Name, err)
		}
		return f()
	})
}

// onOwnThread calls f on a thread that nothing else uses and that ends with f, so
// that f may change the thread's namespace.
func onOwnThread(f func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		done <- f()
	}()
	return <-done
}

// enter returns the command line that runs args inside the namespace, under the
// process id of the command itself.
func (s *Side) enter(args []string) []string {
	if s == nil {
		return args
	}
	return append([]string{"nsenter", "--net=/run/netns/" + s.Name, "--"}, args...)
}

// Namespaces returns why this process cannot make network namespaces, nil if it can.
func Namespaces() error {
	n, err := NewNet()
	if err != nil {
		return fmt.Errorf("network namespaces need root: %w", err)
	}
	return n.Close()
}
