package lab

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
)

// Switch is a Linux bridge in a namespace of its own, with other namespaces on its
// ports. Nothing leads out of it.
type Switch struct {
	Side
	id     string
	bridge int // its link index
	ports  []*Port
}

// Port is a namespace on a switch. Its device is called eth0.
type Port struct {
	Side
	MAC net.HardwareAddr

	sw    *Switch
	index int // of the switch's end of the cable
}

// NewSwitch makes a switch without ports. Close removes it and them.
func NewSwitch() (s *Switch, err error) {
	id := fmt.Sprintf("rtpjet-%d-%d", os.Getpid(), netCount.Add(1))
	s = &Switch{id: id, Side: Side{Name: id + "-switch", handle: netns.None()}}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
			s = nil
		}
	}()
	if err := s.make(); err != nil {
		return s, err
	}
	h, err := netlink.NewHandleAt(s.handle)
	if err != nil {
		return s, fmt.Errorf("open netlink in %s: %w", s.Name, err)
	}
	defer h.Close()
	attrs := netlink.NewLinkAttrs()
	attrs.Name = "br0"
	// Without this, the switch would first listen for those who ask for multicast.
	snooping := false
	bridge := &netlink.Bridge{LinkAttrs: attrs, MulticastSnooping: &snooping}
	if err := h.LinkAdd(bridge); err != nil {
		return s, fmt.Errorf("make a bridge in %s: %w", s.Name, err)
	}
	s.bridge = bridge.Attrs().Index
	if err := h.LinkSetUp(bridge); err != nil {
		return s, fmt.Errorf("switch on the bridge in %s: %w", s.Name, err)
	}
	return s, nil
}

// make makes the namespace of a Side.
func (s *Side) make() error {
	err := onOwnThread(func() error {
		h, err := netns.NewNamed(s.Name) // moves the thread into it
		s.handle = h
		return err
	})
	if err != nil {
		return fmt.Errorf("make the network namespace %s: %w", s.Name, err)
	}
	return nil
}

// Plug makes a namespace with an address of a /24 on the switch.
func (s *Switch) Plug(name string, addr netip.Addr) (*Port, error) {
	p := &Port{Side: Side{Name: s.id + "-" + name, Addr: addr, handle: netns.None()}, sw: s}
	if err := p.make(); err != nil {
		return nil, err
	}
	s.ports = append(s.ports, p)
	inside, err := netlink.NewHandleAt(p.handle)
	if err != nil {
		return nil, fmt.Errorf("open netlink in %s: %w", p.Name, err)
	}
	defer inside.Close()
	h, err := netlink.NewHandleAt(s.handle)
	if err != nil {
		return nil, fmt.Errorf("open netlink in %s: %w", s.Name, err)
	}
	defer h.Close()

	attrs := netlink.NewLinkAttrs()
	attrs.Name = "p-" + name
	attrs.MasterIndex = s.bridge
	last := addr.As4()[3]
	p.MAC = net.HardwareAddr{2, 0, 0, 0, 0, last} // told apart by people who look at a capture
	pair := &netlink.Veth{LinkAttrs: attrs, PeerName: "eth0", PeerHardwareAddr: p.MAC, PeerNamespace: netlink.NsFd(int(p.handle))}
	if err := h.LinkAdd(pair); err != nil {
		return nil, fmt.Errorf("plug %s into the switch: %w", p.Name, err)
	}
	link, err := h.LinkByName(attrs.Name)
	if err != nil {
		return nil, fmt.Errorf("plug %s into the switch: %w", p.Name, err)
	}
	p.index = link.Attrs().Index
	if err := h.LinkSetUp(link); err != nil {
		return nil, fmt.Errorf("plug %s into the switch: %w", p.Name, err)
	}
	if err := configure(inside, "eth0", &p.Side); err != nil {
		return nil, fmt.Errorf("configure eth0 in %s: %w", p.Name, err)
	}
	return p, nil
}

// Close ends what still runs on the ports and removes all namespaces.
func (s *Switch) Close() error {
	var errs []error
	for _, p := range s.ports {
		p.killAll()
		if p.handle.IsOpen() {
			errs = append(errs, p.handle.Close(), netns.DeleteNamed(p.Name))
		}
	}
	if s.handle.IsOpen() {
		errs = append(errs, s.handle.Close(), netns.DeleteNamed(s.Name))
	}
	return errors.Join(errs...)
}

// onSwitch calls f with the switch's end of the cable.
func (p *Port) onSwitch(what string, f func(h *netlink.Handle, link netlink.Link) error) error {
	h, err := netlink.NewHandleAt(p.sw.handle)
	if err != nil {
		return fmt.Errorf("open netlink in %s: %w", p.sw.Name, err)
	}
	defer h.Close()
	link, err := h.LinkByIndex(p.index)
	if err == nil {
		err = f(h, link)
	}
	if err != nil {
		return fmt.Errorf("%s %s: %w", what, p.Name, err)
	}
	return nil
}

// Cut cuts the cable: both of its ends lose the carrier.
func (p *Port) Cut() error {
	return p.onSwitch("cut the cable of", func(h *netlink.Handle, link netlink.Link) error { return h.LinkSetDown(link) })
}

// Mend undoes Cut.
func (p *Port) Mend() error {
	return p.onSwitch("mend the cable of", func(h *netlink.Handle, link netlink.Link) error { return h.LinkSetUp(link) })
}

// Isolate takes the port out of the switch: frames vanish both ways, but the
// carrier stays, as with a broken switch in between.
func (p *Port) Isolate() error {
	return p.onSwitch("isolate", func(h *netlink.Handle, link netlink.Link) error { return h.LinkSetNoMaster(link) })
}

// Rejoin undoes Isolate.
func (p *Port) Rejoin() error {
	return p.onSwitch("rejoin", func(h *netlink.Handle, link netlink.Link) error {
		return h.LinkSetMasterByIndex(link, p.sw.bridge)
	})
}

// Has says whether the namespace has an address on its device.
func (p *Port) Has(addr netip.Addr) (bool, error) {
	h, err := netlink.NewHandleAt(p.handle)
	if err != nil {
		return false, fmt.Errorf("open netlink in %s: %w", p.Name, err)
	}
	defer h.Close()
	all, err := h.AddrList(nil, netlink.FAMILY_ALL)
	if err != nil {
		return false, fmt.Errorf("list the addresses of %s: %w", p.Name, err)
	}
	for _, a := range all {
		if got, ok := netip.AddrFromSlice(a.IP); ok && got.Unmap() == addr {
			return true, nil
		}
	}
	return false, nil
}

// Sysctl sets a setting of the namespace's network, for example net.ipv4.ip_nonlocal_bind.
func (s *Side) Sysctl(name, value string) error {
	return s.Do(func() error {
		file := "/proc/sys/" + strings.ReplaceAll(name, ".", "/")
		if err := os.WriteFile(file, []byte(value), 0o644); err != nil {
			return fmt.Errorf("set %s in %s: %w", name, s.Name, err)
		}
		return nil
	})
}

// Processes returns the ids of all processes in the namespace.
func (s *Side) Processes() ([]int, error) {
	here, err := os.Stat("/run/netns/" + s.Name)
	if err != nil {
		return nil, fmt.Errorf("look for the processes of %s: %w", s.Name, err)
	}
	names, err := filepath.Glob("/proc/[0-9]*/ns/net")
	if err != nil {
		return nil, err
	}
	var pids []int
	for _, name := range names {
		at, err := os.Stat(name) // fails for those that have ended meanwhile
		if err != nil || !os.SameFile(here, at) {
			continue
		}
		if pid, err := strconv.Atoi(strings.Split(name, "/")[2]); err == nil && pid != os.Getpid() {
			pids = append(pids, pid)
		}
	}
	return pids, nil
}
