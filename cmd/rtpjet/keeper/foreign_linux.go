package keeper

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"time"

	"rtpjet/cmd/rtpjet/keeper/netaddr"
)

// Before a node holds a float for the first time it asks the network whether a host has one of its addresses. That is most
// likely a node of the cluster, which claims it within moments; or one that just died, and whose kernel drops the address. If
// it is neither, the address is somebody else's, and the node has to end.

const (
	// claimTime is how long a node that answers may take to be heard as the holder, µs.
	claimTime = 1_000_000
	// foreignTime is how long the kernel of a node that died may keep an address, and a little more, µs.
	foreignTime = 4_000_000
)

// prober asks the network. *netaddr.Netlink is one; other providers cannot.
type prober interface {
	Probe(ctx context.Context, addrs ...netaddr.Address) (map[netip.Addr]net.HardwareAddr, error)
}

// probe asks for all floats, beside the loop. Until it is answered, and while somebody else answers, they are not held.
func (l *loop) probe() {
	p, ok := l.provider.(prober)
	if !ok || l.probed {
		return
	}
	l.probed = true
	for _, u := range l.units {
		l.disable(u, 0)
		l.ask(p, u, now())
	}
}

// ask asks for one float. since is when that was asked first.
func (l *loop) ask(p prober, u *unit, since int64) {
	l.beside(func() func() {
		found, err := p.Probe(l.life, u.Addrs...)
		return func() { l.asked(p, u, found, err, since) }
	})
}

func (l *loop) asked(p prober, u *unit, found map[netip.Addr]net.HardwareAddr, err error, since int64) {
	if err != nil {
		l.log.Warn("it cannot be asked whether another host has the address of a float", "float", u.ID, "err", err)
	}
	t := now()
	if len(found) == 0 || l.machine.State(u.ID, t).Live {
		l.machine.SetUnable(u.ID, false, t)
		l.settle()
		return
	}
	if t-since < foreignTime {
		l.beside(func() func() {
			select {
			case <-time.After(claimTime * time.Microsecond):
			case <-l.life.Done():
			}
			return func() { l.ask(p, u, since) }
		})
		return
	}
	for addr, mac := range found {
		l.sendReport(report{Fatal: fmt.Sprintf("the floating address %s is in use: a host with the hardware address %s answers for it, and is no node "+
			"of this cluster; take the address off that host, or name another one with --float", addr, mac)})
		return
	}
}
