package sim

import (
	"net/netip"
	"slices"
)

// portRest is how long a freed pair is not given out again (relay/port.go).
const portRest = sec

// firstPort of every pool; it is even.
const firstPort = 30000

// pool are the ports of a node and its sockets. Unlike the real one it gives out the lowest pair that has rested, not the one
// that has rested longest: ports come back as fast as they may.
type pool struct {
	n     *node
	pairs []pair
}

type pair struct {
	use  [2]socket
	free int64 // from then on it may be given out
}

// socket is one port: free (key empty), reserved for a call or adopted by it.
type socket struct {
	key     string
	adopted bool
}

func newPool(n *node, pairs int, free int64) *pool {
	p := &pool{n: n, pairs: make([]pair, pairs)}
	for i := range p.pairs {
		p.pairs[i].free = free
	}
	return p
}

func (p *pool) addr(i, k int) netip.AddrPort {
	return netip.AddrPortFrom(p.n.addr, uint16(firstPort+2*i+k))
}

func (p *pool) at(a netip.AddrPort) (*pair, *socket) {
	i := int(a.Port()) - firstPort
	if a.Addr() != p.n.addr || i < 0 || i/2 >= len(p.pairs) {
		return nil, nil
	}
	return &p.pairs[i/2], &p.pairs[i/2].use[i%2]
}

func (p *pool) reserve(key string, num int) []netip.AddrPort {
	for i := range p.pairs {
		pr := &p.pairs[i]
		if pr.use[0].key != "" || pr.use[1].key != "" || pr.free > p.n.w.now {
			continue
		}
		var out []netip.AddrPort
		for k := range num {
			pr.use[k] = socket{key: key}
			out = append(out, p.addr(i, k))
		}
		p.n.w.trace.add(p.n.w.now, p.n.id, "%s: reserves %v", p.n.w.short(key), out)
		return out
	}
	return nil
}

// release closes sockets that were reserved and not adopted.
func (p *pool) release(ports []netip.AddrPort) {
	for _, a := range ports {
		if _, s := p.at(a); s != nil && s.key != "" && !s.adopted {
			p.close(a)
		}
	}
}

func (p *pool) close(a netip.AddrPort) {
	pr, s := p.at(a)
	p.n.w.checkFreed(p.n, a, s.key)
	*s = socket{}
	if pr.use[0].key == "" && pr.use[1].key == "" {
		pr.free = p.n.w.now + portRest
	}
}

// set makes the sockets of a call those that it names; none closes all. ok is false if one is another call's.
func (p *pool) set(key string, want []netip.AddrPort) (ok bool) {
	ok = true
	for i := range p.pairs {
		for k, s := range p.pairs[i].use {
			if a := p.addr(i, k); s.key == key && s.adopted && !slices.Contains(want, a) {
				p.close(a)
			}
		}
	}
	for _, a := range want {
		switch _, s := p.at(a); {
		case s == nil:
			p.n.w.fail("call %s of %s names the socket %s, which is not there", p.n.w.short(key), p.n.id, a)
		case s.key != "" && s.key != key:
			ok = false
		default:
			*s = socket{key: key, adopted: true}
		}
	}
	return ok
}

// adopted returns the sockets of a call.
func (p *pool) adopted(key string) []netip.AddrPort {
	var out []netip.AddrPort
	for i := range p.pairs {
		for k, s := range p.pairs[i].use {
			if s.key == key && s.adopted {
				out = append(out, p.addr(i, k))
			}
		}
	}
	return out
}

// used returns a socket that is not free.
func (p *pool) used() (a netip.AddrPort, s socket, any bool) {
	for i := range p.pairs {
		for k, s := range p.pairs[i].use {
			if s.key != "" {
				return p.addr(i, k), s, true
			}
		}
	}
	return netip.AddrPort{}, socket{}, false
}
