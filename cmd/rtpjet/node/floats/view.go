package floats

import (
	"maps"
	"net/netip"
	"slices"
	"time"

	"rtpjet/cmd/rtpjet/admin"
	"rtpjet/projection/members"
)

// Judge says how a float is. It is gone only if no node is there that could hold it: until then somebody will.
func (d *Driver) Judge(f *Float) members.Verdict {
	if f.Holding() {
		return members.Alive
	}
	if holder := f.Holder(); holder != "" {
		if d.host.Alive(holder) {
			return members.Alive
		}
		return members.Silent
	}
	if _, gone := d.GoneFor(f); gone {
		return members.Gone
	}
	return members.Silent
}

// GoneFor tells for how long a float that this node cannot hold has been gone, and whether it is: nodes that can hold it would have
// taken it by then.
func (d *Driver) GoneFor(f *Float) (time.Duration, bool) {
	since := f.vacant.Load()
	if since == 0 || f.own != nil {
		return 0, false
	}
	gone := time.Duration(d.now()-since)*time.Microsecond - goneAfter
	return gone, gone > 0
}

// Choose returns the owner with the fewest calls of the floats that a node holds, and that were not tried.
func (d *Driver) Choose(node string, tried func(owner string) bool) (owner string, ok bool) {
	least := int64(0)
	for _, f := range d.Known() {
		if d.carrier(f) != node || tried(f.owner) {
			continue
		}
		if calls := d.host.Calls(f.owner); !ok || calls < least || calls == least && f.owner < owner {
			owner, least, ok = f.owner, calls, true
		}
	}
	return owner, ok
}

// carrier is who carries a float's calls; empty: nobody at the moment.
func (d *Driver) carrier(f *Float) string {
	if f.Holding() {
		return d.cfg.Node
	}
	return f.Holder()
}

// Held returns the floats that this node holds.
func (d *Driver) Held() []*Float {
	var out []*Float
	for _, f := range d.Known() {
		if f.Holding() {
			out = append(out, f)
		}
	}
	return out
}

// Addresses are the floating addresses that this node can hold, with the id of the float of each.
func (d *Driver) Addresses() map[netip.Addr]string {
	out := make(map[netip.Addr]string)
	for _, f := range d.Known() {
		if f.own != nil {
			for _, i := range f.own.All() {
				out[i.Addr] = f.id
			}
		}
	}
	return out
}

// Status tells of all floats, in the order of their ids.
func (d *Driver) Status() []admin.FloatStatus {
	if d == nil {
		return nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	var out []admin.FloatStatus
	for _, id := range slices.Sorted(maps.Keys(d.Known())) {
		f := d.floatLocked(id)
		s := f.state
		st := admin.FloatStatus{
			Float: id, Epoch: s.Epoch, Holder: f.Holder(), Successor: s.Successor, Holding: f.Holding(),
			Warm: s.Warm, Moves: s.Moves, Calls: d.host.Calls(f.owner),
		}
		if st.Holding {
			st.Why, st.Silence, st.Since = s.Why, s.Silence, f.Since()
		}
		if t := f.Interfaces(); t != nil {
			for _, i := range t.All() {
				st.Addresses = append(st.Addresses, i.Name+"/"+i.Addr.String())
			}
		}
		out = append(out, st)
	}
	return out
}
