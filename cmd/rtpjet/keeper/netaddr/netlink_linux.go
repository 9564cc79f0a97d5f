package netaddr

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Netlink is the provider that sets addresses itself. It acts in the network namespace of the thread that opened it.
type Netlink struct {
	log      *slog.Logger
	lifetime time.Duration
	may      func(Address) bool
	kernel   *netlink.Handle
	packets  *packetSocket

	// mu is held over the requests to the kernel, so that two for the same address do not overtake each other. The kernel
	// has one lock for all of them too.
	mu        sync.Mutex
	closed    bool
	links     map[string]link
	refreshed time.Time // the links
	held      map[Address]*holding
	barred    map[netip.Addr]bool // addresses that a rule may bar from sending, see bar_linux.go
}

// holding is an address that this provider has put on its device.
type holding struct {
	form  form
	first time.Time   // when its announcement was sent first
	sent  int         // repeats since
	timer *time.Timer // of the next repeat
	turn  int         // counts the timers
}

// form is how the kernel has the address.
type form struct {
	bits    int  // of the network's length
	noRoute bool // without a route to that network
}

// OpenNetlink opens the sockets, and says if the right to use them is missing.
func OpenNetlink(cfg Config) (*Netlink, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	kernel, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("open the netlink socket: %w", err)
	}
	// The removal of an address from a device that does not exist: the kernel first asks whether we may.
	nowhere := &netlink.Addr{IPNet: netlink.NewIPNet([]byte{192, 0, 2, 1}), LinkIndex: 1<<31 - 1}
	if err := kernel.AddrDel(nil, nowhere); errors.Is(err, unix.EPERM) {
		kernel.Close()
		return nil, fmt.Errorf("ask for the right to set addresses: %w: run rtpjet as root, or give it CAP_NET_ADMIN "+
			"(AmbientCapabilities=CAP_NET_ADMIN CAP_NET_RAW in its systemd unit)", err)
	}
	packets, err := openPacketSocket()
	if err != nil {
		kernel.Close()
		return nil, err
	}
	return &Netlink{
		log: cfg.Log, lifetime: cfg.Lifetime, may: cfg.May, kernel: kernel, packets: packets,
		links: make(map[string]link), refreshed: time.Now(), held: make(map[Address]*holding), barred: make(map[netip.Addr]bool),
	}, nil
}

// Prepare looks the devices up.
func (p *Netlink) Prepare(ctx context.Context, addrs ...Address) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	present, err := p.addresses()
	if err != nil {
		return err
	}
	return each(addrs, func(a Address) error {
		if err := errors.Join(a.Validate(), ctx.Err()); err != nil {
			return fmt.Errorf("prepare %s: %w", a, err)
		}
		if a.Addr().Is6() {
			p.barred[a.Addr()] = true // perhaps: somebody else's rule is lifted as well
		}
		if err := p.lookUp(a.Device); err != nil {
			return err
		}
		if f, _, _ := formOf(a, p.links[a.Device].index, present); !f.noRoute && f.bits < a.host().Bits() {
			p.log.Warn("the device has no address of its own in the network of a floating address, so that the way to this network comes "+
				"and goes with that; give it one", "address", a.Prefix.String(), "device", a.Device)
		}
		return nil
	})
}

// Add puts the addresses on their devices and announces them.
func (p *Netlink) Add(ctx context.Context, addrs ...Address) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return errClosed
	}
	present, err := p.addresses()
	if err != nil {
		return err
	}
	var added []Address
	for _, a := range addrs {
		isNew, err := p.add(ctx, a, present)
		if errors.Is(err, unix.ENODEV) { // the device was made anew under its old name
			if err = p.lookUp(a.Device); err == nil {
				isNew, err = p.add(ctx, a, present)
			}
		}
		if isNew {
			added = append(added, a)
		}
		if err != nil {
			return errors.Join(err, each(added, p.remove))
		}
		// The next one may be in the same network.
		present = append(present, netlink.Addr{IPNet: ipNet(a.Prefix), LinkIndex: p.links[a.Device].index})
	}
	return nil
}

var errClosed = errors.New("set an address: the provider is closed")

// add does all for one address. isNew: it was not there before, and may be now.
func (p *Netlink) add(ctx context.Context, a Address, present []netlink.Addr) (isNew bool, err error) {
	if err := a.Validate(); err != nil {
		return false, err
	}
	l, err := p.link(a.Device)
	if err != nil {
		return false, err
	}
	f, found, err := formOf(a, l.index, present)
	if err != nil {
		return false, err
	}
	if err := mayAct(ctx, time.Now()); err != nil {
		return false, fmt.Errorf("add %s: too late: %w", a, err)
	}
	err = p.kernel.AddrReplace(nil, p.message(a, l.index, f, 0))
	if err != nil {
		return false, explain("add", a, err)
	}
	h := p.held[a]
	if h == nil {
		h = new(holding)
		p.held[a] = h
	}
	h.form = f
	if err := mayAct(ctx, time.Now()); err != nil {
		return true, fmt.Errorf("add %s: it took too long: %w", a, err) // even if it was there: its time is over
	}
	if err := p.unbar(a); err != nil {
		return !found, err
	}
	if err := p.awaitLocal(ctx, a); err != nil {
		return !found, err
	}
	if err := p.packets.announce(l, a); err != nil {
		return !found, err
	}
	p.begin(a, h)
	return !found, nil
}

// message is the request for an address.
func (p *Netlink) message(a Address, index int, f form, flags int) *netlink.Addr {
	seconds := int(p.lifetime / time.Second)
	m := &netlink.Addr{IPNet: ipNet(netip.PrefixFrom(a.Addr(), f.bits)), LinkIndex: index, ValidLft: seconds, PreferedLft: seconds, Flags: flags}
	if f.noRoute {
		m.Flags |= unix.IFA_F_NOPREFIXROUTE
	}
	if a.Addr().Is6() {
		m.Flags |= unix.IFA_F_NODAD
		m.PreferedLft = 0 // deprecated: bound sockets use it, and no connection of the machine's own begins at it
	}
	return m
}

// Remove takes the addresses off their devices.
func (p *Netlink) Remove(_ context.Context, addrs ...Address) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return each(addrs, p.remove)
}

func (p *Netlink) remove(a Address) error {
	// IPv6 sockets that are bound to an address go on sending when it is gone.
	err := p.bar(a)
	lengths := []int{a.host().Bits(), a.Prefix.Bits()}
	if h := p.held[a]; h != nil && lengths[0] != h.form.bits {
		lengths[0], lengths[1] = lengths[1], lengths[0]
	}
	p.forget(a)
	l, lookUp := p.link(a.Device)
	for try := 0; lookUp == nil; try++ {
		del := p.delete(a, l, lengths)
		if !errors.Is(del, unix.ENODEV) {
			return errors.Join(err, del)
		}
		if try > 0 {
			return err
		}
		lookUp = p.lookUp(a.Device) // the device may have been made anew under its old name
		l = p.links[a.Device]
	}
	if errors.Is(lookUp, unix.ENODEV) {
		return err // no device, no address
	}
	return errors.Join(err, lookUp)
}

// delete deletes an address of which we do not know the length of the network, nor whether it is there. It is called under mu.
func (p *Netlink) delete(a Address, l link, lengths []int) error {
	for _, bits := range lengths {
		err := p.kernel.AddrDel(nil, &netlink.Addr{IPNet: ipNet(netip.PrefixFrom(a.Addr(), bits)), LinkIndex: l.index})
		switch {
		case err == nil:
			return nil
		case errors.Is(err, unix.EADDRNOTAVAIL), errors.Is(err, unix.ENXIO): // ENXIO: the device has no IPv6 at all
		default:
			return explain("remove", a, err)
		}
	}
	return nil
}

// Renew sets the lifetimes anew.
func (p *Netlink) Renew(_ context.Context, addrs ...Address) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	err := each(addrs, p.renew)
	if now := time.Now(); now.Sub(p.refreshed) > refreshEvery {
		p.refreshed = now
		for device := range p.links {
			_ = p.lookUp(device) // whoever needs a device that is gone is told
		}
	}
	return err
}

// refreshEvery is how often Renew looks whether a device has got another hardware address. That waits for the kernel's lock on
// network settings as a renewal does.
const refreshEvery = 10 * time.Second

// renew must not bring an address back that is gone: the kernel has taken it from a process that was frozen,
// and another node has it. The kernel makes what it does not find, whatever the flags of the request. But IFA_F_MCAUTOJOIN
// asks it to join the address as a multicast group when it makes it, which fails with EINVAL, and it does not look at that
// flag when it changes the lifetime of one that is there. So both is one step, and there is no time between to be frozen in.
func (p *Netlink) renew(a Address) error {
	h := p.held[a]
	if h == nil {
		return fmt.Errorf("renew %s: %w", a, ErrGone)
	}
	l, err := p.link(a.Device)
	if err == nil {
		err = p.kernel.AddrReplace(nil, p.message(a, l.index, h.form, unix.IFA_F_MCAUTOJOIN))
	}
	if err == nil {
		return nil
	}
	delete(p.links, a.Device)
	here, checked := p.check(a)
	if errors.Is(checked, unix.ENODEV) || checked == nil && !here {
		p.forget(a)
		return fmt.Errorf("renew %s: %w", a, ErrGone)
	}
	return explain("renew", a, err)
}

// forget ends the announcements of an address that is gone. It is called under mu.
func (p *Netlink) forget(a Address) {
	if h := p.held[a]; h != nil && h.timer != nil {
		h.timer.Stop()
	}
	delete(p.held, a)
}

// Check looks for the address on its device.
func (p *Netlink) Check(_ context.Context, a Address) (bool, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.check(a)
}

func (p *Netlink) check(a Address) (bool, error) {
	l, err := p.link(a.Device)
	if err != nil {
		return false, err
	}
	present, err := p.addresses()
	if err != nil {
		return false, err
	}
	return find(a, l.index, present) != nil, nil
}

// Sweep removes what an earlier process has left on the device, and refuses to touch what rtpjet has not put there.
func (p *Netlink) Sweep(_ context.Context, addrs ...Address) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	present, err := p.addresses()
	if err != nil {
		return err
	}
	return each(addrs, func(a Address) error {
		err := p.unbar(a)
		l, lookUp := p.link(a.Device)
		if lookUp != nil {
			return errors.Join(err, lookUp)
		}
		found := find(a, l.index, present)
		if found == nil {
			return err
		}
		if foreign := ownedByOthers(a, found); foreign != nil {
			return errors.Join(err, foreign)
		}
		p.log.Info("an earlier process has left a floating address behind; it is removed", "address", a.Prefix.String(), "device", a.Device)
		del := p.kernel.AddrDel(nil, &netlink.Addr{IPNet: found.IPNet, LinkIndex: l.index})
		if del != nil && !errors.Is(del, unix.EADDRNOTAVAIL) {
			return errors.Join(err, explain("remove", a, del))
		}
		return err
	})
}

// Close ends the announcements and closes the sockets.
func (p *Netlink) Close() error {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return nil
	}
	p.closed = true
	for _, h := range p.held {
		if h.timer != nil {
			h.timer.Stop()
		}
	}
	err := p.unbarAll()
	p.mu.Unlock()
	p.kernel.Close()
	return errors.Join(err, p.packets.close())
}
