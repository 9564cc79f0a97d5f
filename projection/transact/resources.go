package transact

import (
	"errors"
	"fmt"
	"net/netip"

	"rtpjet/projection"
)

// reservation hands out the resources of one owner to one decision, and takes them back if it comes to nothing.
type reservation struct {
	fx    Effects
	owner string
	turn  uint64 // which member of a group serves the call
	taken []netip.AddrPort
}

var _ projection.Resources = (*reservation)(nil)

// Local implements [projection.Resources]. The members of a round-robin group are spread by call, so that a call that names
// the group again stays where it is. "internal" and "external" are an old way to say IPv4 and IPv6, unless there are
// interfaces of these names, those of the key direction.
func (r *reservation) Local(name, family string) (projection.LocalAddress, bool) {
	t := r.fx.Interfaces(r.owner)
	if t == nil {
		return projection.LocalAddress{}, false
	}
	if !t.Known(name) {
		switch name {
		case "internal":
			name, family = "", "IP4"
		case "external":
			name, family = "", "IP6"
		}
	}
	a, _ := t.Lookup(name, family, r.turn)
	return projection.LocalAddress{Interface: a.Name, Bind: a.Addr, Advertised: a.Advertised}, true
}

// Reserve implements [projection.Resources].
func (r *reservation) Reserve(bind netip.Addr, n int) ([]netip.AddrPort, error) {
	got, err := r.fx.Reserve(r.owner, bind, n)
	if err != nil {
		return nil, fmt.Errorf("reserve %d ports on %s of %s: %w", n, bind, r.owner, err)
	}
	r.taken = append(r.taken, got...)
	return got, nil
}

// Own implements [projection.Resources].
func (r *reservation) Own(a netip.AddrPort) bool {
	t := r.fx.Interfaces(r.owner)
	return t != nil && t.Own(a)
}

// Random implements [projection.Resources].
func (r *reservation) Random(n int) []byte { return r.fx.Random(n) }

func (r *reservation) release() {
	if len(r.taken) > 0 {
		r.fx.Release(r.owner, r.taken)
		r.taken = nil
	}
}

// settle ends the reservation after an append.
func (r *reservation) settle(err error) {
	switch {
	case err == nil:
		r.taken = nil
	case errors.Is(err, ErrUncertain) && len(r.taken) > 0:
		r.fx.Hold(r.owner, r.taken)
		r.taken = nil
	default:
		r.release()
	}
}
