// Package projectiontest holds a stand-in for the sockets of a node.
package projectiontest

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"slices"

	"rtpjet/projection"
)

// Resources implements projection.Resources without sockets: ports count up from 30000 on each address. The zero value is not
// ready; see New. It is not safe for concurrent use.
type Resources struct {
	Interfaces []projection.LocalAddress // the first is the default
	// Reserved are the sockets given out, in order.
	Reserved []netip.AddrPort
	// Left is how many more reservations succeed; negative: any number.
	Left int
	next map[netip.Addr]uint16
	keys int // how many times Random was called
}

// ErrNone is what Reserve returns once Left is used up.
var ErrNone = errors.New("no port left")

// New returns Resources with the interfaces pub, which is behind a NAT, and priv; both have an address of either family.
func New() *Resources {
	local := func(name, bind, advertised string) projection.LocalAddress {
		return projection.LocalAddress{Interface: name, Bind: netip.MustParseAddr(bind), Advertised: netip.MustParseAddr(advertised)}
	}
	return &Resources{
		Interfaces: []projection.LocalAddress{
			local("pub", "10.0.0.1", "203.0.113.1"), local("pub", "fd00::1", "2001:db8::1"),
			local("priv", "10.0.0.2", "10.0.0.2"), local("priv", "fd00::2", "fd00::2"),
		},
		Left: -1,
		next: make(map[netip.Addr]uint16),
	}
}

// Local implements projection.Resources.
func (r *Resources) Local(name, family string) (projection.LocalAddress, bool) {
	find := func(name string) (out projection.LocalAddress, ok bool) {
		for _, a := range r.Interfaces {
			if a.Interface != name {
				continue
			}
			if a.Bind.Is6() == (family == "IP6") {
				return a, true
			}
			if !ok {
				out, ok = a, true
			}
		}
		return out, ok
	}
	if a, ok := find(name); ok || len(r.Interfaces) == 0 {
		return a, ok
	}
	return find(r.Interfaces[0].Interface)
}

// Reserve implements projection.Resources.
func (r *Resources) Reserve(bind netip.Addr, n int) ([]netip.AddrPort, error) {
	if r.Left == 0 {
		return nil, ErrNone
	}
	if r.Left > 0 {
		r.Left--
	}
	port := max(r.next[bind], 30000)
	r.next[bind] = port + 2
	out := make([]netip.AddrPort, n)
	for i := range out {
		out[i] = netip.AddrPortFrom(bind, port+uint16(i))
	}
	r.Reserved = append(r.Reserved, out...)
	return out, nil
}

// Own implements projection.Resources.
func (r *Resources) Own(a netip.AddrPort) bool {
	return a.Port() >= 30000 && slices.ContainsFunc(r.Interfaces, func(l projection.LocalAddress) bool { return a.Addr() == l.Bind || a.Addr() == l.Advertised })
}

// Random implements projection.Resources: the n-th result begins with n and is all zeros from there, so that keys can be told
// apart in a script.
func (r *Resources) Random(n int) []byte {
	r.keys++
	out := make([]byte, n)
	binary.BigEndian.PutUint16(out, uint16(r.keys))
	return out
}
