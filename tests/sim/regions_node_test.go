package sim

import (
	"fmt"
	"iter"
	"net/netip"
	"slices"

	"rtpjet/events"
	"rtpjet/projection/regions"
	"rtpjet/projection/replica"
	"rtpjet/relay/plan"
)

// regionNode is a node, as far as regions matter: cmd/rtpjet/node around projection/regions.
type regionNode struct {
	w    *regionWorld
	g    *region
	id   string
	face *plan.Interfaces
	port uint16

	inc     int
	up      bool
	serving bool
	asleep  bool
	frozen  []func()
	downAt  int64

	core      replica.Node
	calls     map[string]*regionHeld
	followed  uint64
	following bool
	peers     []*regionView  // by region
	fence     *regions.Fence // what another region has of this one's calls; nil: nothing
	cache     map[string]*cached
	procs     []*regionProc
}

// regionHeld is one call at one node.
type regionHeld struct {
	replica.Replica
	busy    bool
	waiting []func()
}

// regionView is what a node knows of another region.
type regionView struct {
	link    *regions.Link
	seen    map[string]sighting // live calls of the mirror
	next    uint64
	pending bool
}

type sighting struct {
	first uint64
	at    int64
}

func newRegionNode(g *region, k int) *regionNode {
	n := &regionNode{w: g.w, g: g, id: fmt.Sprintf("n%d", k)}
	addr := netip.AddrFrom4([4]byte{10, 0, byte(g.i), byte(k + 1)})
	var err error
	n.face, err = plan.NewInterfaces([]plan.Interface{{Name: "default", Addr: addr, Advertised: addr, Ports: plan.PortRange{Min: 10000, Max: 60000}}}, nil)
	if err != nil {
		panic(err)
	}
	n.core.Carries = func(owner string) bool { return owner == n.id }
	return n
}

// qualified is how other regions name the node.
func (n *regionNode) qualified() string { return regions.Qualify(n.g.name, n.id) }

// after plans something that this process does: never if it ends before, later if it is asleep then.
func (n *regionNode) after(d int64, f func()) {
	inc := n.inc
	n.w.after(d, func() { n.run(inc, f) })
}

func (n *regionNode) run(inc int, f func()) {
	switch {
	case inc != n.inc:
	case n.asleep:
		n.frozen = append(n.frozen, f)
	default:
		f()
	}
}

func (n *regionNode) sleep(d int64) {
	if !n.up || n.asleep {
		return
	}
	n.asleep = true
	n.g.mind()
	inc := n.inc
	n.w.after(d, func() {
		if n.inc != inc {
			return
		}
		n.asleep = false
		n.g.mind()
		list := n.frozen
		n.frozen = nil
		for _, f := range list {
			n.run(inc, f)
		}
	})
}

func (n *regionNode) kill() {
	if !n.up {
		return
	}
	for _, p := range n.procs {
		p.stop()
	}
	n.inc++
	n.up, n.serving, n.asleep, n.following, n.procs, n.frozen = false, false, false, false, nil, nil
	n.downAt = n.w.now
	n.g.mind()
	n.w.note(n.qualified(), "is killed")
}

// boot starts a process: it folds the log, follows the mirrors, and answers commands once it has heard whether its region was
// adopted.
func (n *regionNode) boot() {
	if n.up || n.g.lost {
		return
	}
	n.inc++
	n.up, n.fence, n.followed = true, nil, 0
	n.g.mind()
	n.calls, n.cache, n.peers = map[string]*regionHeld{}, map[string]*cached{}, nil
	cfg := regions.Config{Region: n.g.name, Instance: "i-" + n.g.name, Format: events.Version}
	for _, g := range n.w.regions {
		n.peers = append(n.peers, &regionView{link: regions.NewLink(cfg, g.name, "i-"+g.name), seen: map[string]sighting{}, next: 1})
	}
	n.after(n.w.between(0, 300*ms), n.greet)
	for i := range n.peers {
		n.followMirror(i)
	}
	fold := n.w.between(5*ms, 200*ms)
	if n.w.chance(100) && n.w.now > start {
		fold = n.w.between(sec, 3*sec)
	}
	n.after(fold, func() {
		n.catchUpAll()
		if n.company() {
			n.serve()
			return
		}
		n.awaitReturn(n.w.now + 2*sec)
	})
}

func (n *regionNode) company() bool {
	return slices.ContainsFunc(n.g.nodes, func(o *regionNode) bool { return o.serving })
}

func (n *regionNode) awaitReturn(until int64) {
	silent := slices.ContainsFunc(n.peers, func(v *regionView) bool {
		return v != n.peers[n.g.i] && v.link.Status(n.now()).State == regions.Connecting
	})
	if silent && n.w.now < until && n.w.now > start+2*sec {
		n.after(20*ms, func() { n.awaitReturn(until) })
		return
	}
	n.serve()
}

func (n *regionNode) serve() {
	n.serving = true
	n.catchUpAll()
}

// now is the clock of its links.
func (n *regionNode) now() int64 { return n.w.now - start + sec }

// follow folds what the log has, a moment later.
func (n *regionNode) follow() {
	if !n.serving || n.following {
		return
	}
	n.following = true
	n.after(n.w.near(), func() { n.following = false; n.catchUpAll() })
}

func (n *regionNode) catchUpAll() {
	for n.followed < uint64(len(n.g.log.entries)) {
		n.followed++
		e := n.g.log.entries[n.followed-1]
		if h := n.held(e.key); !h.busy { // else whoever holds it does
			h.Fold(n.followed, e.env, nil, true)
		}
	}
}

func (n *regionNode) held(key string) *regionHeld {
	h := n.calls[key]
	if h == nil {
		h = &regionHeld{Replica: replica.New(&n.core)}
		n.calls[key] = h
	}
	return h
}

// catchUp folds all of a call that has been followed.
func (n *regionNode) catchUp(key string, upto uint64) {
	h := n.held(key)
	for _, seq := range n.g.log.seqs[key] {
		if in := (replica.Entry{Seq: seq}); seq <= upto && h.Takes(in) {
			h.Fold(seq, n.g.log.entries[seq-1].env, nil, true)
		}
	}
}

// followMirror takes what the mirror of a region has, a moment later.
func (n *regionNode) followMirror(home int) {
	if !n.up || home == n.g.i {
		return
	}
	v := n.peers[home]
	if v.pending {
		return
	}
	v.pending = true
	n.after(n.w.between(0, 20*ms), func() {
		v.pending = false
		m, l := n.g.mirrors[home], &n.w.regions[home].log
		for ; v.next <= m.upto; v.next++ {
			if m.missing[v.next] {
				continue
			}
			e := l.entries[v.next-1]
			if _, ok := v.seen[e.key]; e.end {
				delete(v.seen, e.key)
			} else if !ok {
				v.seen[e.key] = sighting{v.next, n.w.now}
			}
		}
		v.link.Mirrored(v.next-1, n.now())
	})
}

// regionProc is something that takes time at a node: a coroutine that hands each effect to the scheduler.
type regionProc struct {
	n     *regionNode
	key   string
	h     *regionHeld     // locked
	env   events.Envelope // that it is about to write
	waves int             // how often it has waited for other regions
	heard bool            // a home has answered

	yield func(func()) bool
	next  func() (func(), bool)
	stop  func()
}

func (n *regionNode) spawn(body func(*regionProc)) {
	p := &regionProc{n: n}
	p.next, p.stop = iter.Pull(func(yield func(func()) bool) {
		p.yield = yield
		defer func() {
			if r := recover(); r != nil && r != any(errKilled) {
				panic(r)
			}
		}()
		body(p)
	})
	n.procs = append(n.procs, p)
	p.resume()
}

func (p *regionProc) resume() {
	if op, ok := p.next(); ok {
		op()
		return
	}
	p.n.procs = slices.DeleteFunc(p.n.procs, func(q *regionProc) bool { return q == p })
}

// wait hands an effect to the scheduler; if there is no answer in time, the result is late.
func wait[T any](p *regionProc, timeout int64, late T, begin func(done func(T))) T {
	out, open := late, true
	once := func(v T) {
		if open {
			open = false
			out = v
			p.resume()
		}
	}
	inc := p.n.inc
	if !p.yield(func() {
		begin(func(v T) { p.n.run(inc, func() { once(v) }) })
		p.n.after(timeout, func() { once(late) })
	}) {
		panic(errKilled)
	}
	return out
}

// pause lets time pass.
func (p *regionProc) pause(d int64) {
	wait(p, d, 0, func(func(int)) {})
}

// lock waits until nobody else works on the call.
func (p *regionProc) lock(key string) {
	h := p.n.held(key)
	if h.busy {
		wait(p, 3600*sec, 0, func(done func(int)) { h.waiting = append(h.waiting, func() { done(0) }) })
	}
	h.busy = true
	p.key, p.h = key, h
}

func (p *regionProc) unlock() {
	h := p.h
	p.n.catchUp(p.key, p.n.followed)
	p.h, h.busy = nil, false
	if len(h.waiting) > 0 {
		next := h.waiting[0]
		h.waiting, h.busy = h.waiting[1:], true
		p.n.after(0, next)
	}
}
