package sim

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"

	"rtpjet/events"
	"rtpjet/projection"
	"rtpjet/projection/members"
	"rtpjet/projection/replica"
	"rtpjet/relay/plan"
)

// node is one process and its machine. It does what cmd/rtpjet/node does around the pure core.
type node struct {
	w    *world
	id   string
	addr netip.Addr
	face *plan.Interfaces

	inc     int  // counts starts and ends of the process
	up      bool // there is a process
	dark    bool // the machine is gone with it: nothing refuses packets
	serving bool // it knows the log and answers
	booted  int64
	paused  bool
	frozen  []func() // what happens to it once it runs again

	cutNATS, cutUDP bool
	skew, drift     int64 // of its wall clock: µs, and µs a second

	reads    int    // the level of events that its build reads
	hears    int64  // since when it has neither been cut off from NATS nor frozen
	epoch    uint64 // of its lease
	claiming bool
	view     []members.Lease // of the leases, by node
	table    *members.Table
	pool     *pool
	room     int // calls that it owns at most; negative: any number

	calls    map[string]*held
	order    []string // keys of calls, in the order in which it heard of them
	followed uint64   // sequence up to which its follower has delivered
	pumping  bool
	draining bool
	procs    []*proc
	core     replica.Node
	grants   replica.Grants // sockets that an event may name
	cache    map[string]*cached

	disk    map[string][][]byte // events that wait for the log, by key; they outlive the process
	forgets bool                // some of them were lost with the machine
	deaf    int                 // nothing of the log gets here, though all gets there
	logAway int64               // since when it does not answer; 0: it does
	roused  bool
}

// held is one call at one node, and who works on it (node/registry.go).
type held struct {
	replica.Replica
	key     string
	busy    bool
	waiting []func()
	inbox   replica.Inbox
	unbound bool   // sockets could not all be had
	owner   string // when the sockets were looked at last
	lost    bool   // it has ended, and how is not known

	publishing bool
	garbled    bool // an event could not be read

	bent projection.Call // as it is folded with a planted bug
}

func newNode(w *world, i int) *node {
	n := &node{w: w, id: fmt.Sprintf("n%d", i+1), addr: netip.AddrFrom4([4]byte{10, 0, 0, byte(i + 1)}), room: -1, reads: w.firstBuild(i)}
	zone := ""
	if w.cfg.zones {
		zone = [...]string{"eu", "us"}[i%2]
	}
	var err error
	n.face, err = plan.NewInterfaces([]plan.Interface{{
		Name: "default", Addr: n.addr, Advertised: n.addr, Ports: plan.PortRange{Min: firstPort, Max: 40000}, Zone: zone,
	}}, nil)
	if err != nil {
		panic(err)
	}
	if w.cfg.tightRoom {
		n.room = 3
	}
	n.core = replica.Node{
		Carries:  func(owner string) bool { return owner == n.id || w.bug == bugKeepUnfit && len(n.disk) > 0 },
		Timeouts: timeouts, KeepEnded: w.cfg.keepEnded, OrphanTimeout: orphanAfter, ServeUnlogged: w.cfg.serve && !w.bug.folds(),
	}
	if w.bug == bugRetireEarly {
		n.core.KeepEnded = 0
	}
	n.disk = map[string][][]byte{}
	n.skew, n.drift = w.between(-w.cfg.skew, w.cfg.skew), w.between(-200, 200)
	n.clear()
	return n
}

// clear forgets what a process has in memory.
func (n *node) clear() {
	n.killProcs()
	n.inc++
	n.up, n.serving, n.paused, n.pumping, n.claiming, n.roused, n.logAway = false, false, false, false, false, false, 0
	n.frozen, n.order, n.grants = nil, nil, replica.Grants{}
	n.calls, n.cache = map[string]*held{}, map[string]*cached{}
	n.view = make([]members.Lease, n.w.cfg.nodes)
}

// after plans something that this process does: never if it ends before, and later if it is frozen then.
func (n *node) after(d int64, f func()) {
	inc := n.inc
	n.w.after(d, func() { n.run(inc, f) })
}

func (n *node) run(inc int, f func()) {
	switch {
	case inc != n.inc:
	case n.paused:
		n.frozen = append(n.frozen, f)
	default:
		f()
	}
}

// wall is the node's own idea of the time.
func (n *node) wall() int64 { return n.w.now + n.skew + (n.w.now-start)/sec*n.drift }

func (n *node) crash() {
	n.w.trace.add(n.w.now, n.id, "crashes")
	n.clear()
}

// boot starts a process: it claims its lease, folds the log, takes its calls up, and then answers.
func (n *node) boot() {
	n.clear()
	if n.dark {
		n.loseDisk()
	}
	n.up, n.dark, n.booted, n.hears = true, false, n.w.now, n.w.now
	n.reads = n.nextBuild()
	var free int64
	if n.w.now > start { // there was a process before
		free = n.w.now + bootRest
	}
	n.pool = newPool(n, n.w.cfg.pairs, free)
	n.table = members.New(members.Config{Self: n.id, Silence: silence, Beat: beatEvery}, n.w.now)
	for _, m := range n.w.nodes {
		n.table.Locate(m.id, m.face.Zone("", 0), m.face)
	}
	n.w.trace.add(n.w.now, n.id, "starts")
	n.watchAll()
	n.claim(n.fold)
}

// bootRest is how long a process that has just started gives out no port: as long as a peer may take from a reservation that
// the process before has granted to its event.
const bootRest = grantTime + maxDelay

// fold reads the log up to its end and puts it into effect.
func (n *node) fold() {
	n.after(n.w.between(5*ms, 50*ms), func() {
		if n.cutNATS {
			n.fold()
			return
		}
		n.followed = uint64(len(n.w.log.entries))
		for i := range n.followed {
			e := n.w.log.entry(i + 1)
			if e.gone {
				continue
			}
			if _, learned := e.env.Event.(events.EndpointLearned); learned && n.w.bug == bugForgetLearned {
				continue
			}
			n.held(e.key).inbox.Collect(replica.Entry{Seq: i + 1, Data: e.data})
		}
		for _, key := range slices.Sorted(maps.Keys(n.disk)) {
			n.held(key)
		}
		n.serving = true
		for _, key := range n.order {
			h := n.calls[key]
			batch := h.inbox.Take()
			for _, in := range batch {
				n.foldOne(h, in)
			}
			n.inherit(h, batch)
			h.Routed()
			if n.w.bug != bugNoRebind {
				n.route(h)
			}
		}
		n.w.trace.add(n.w.now, n.id, "serves, knows %d entries", n.followed)
		n.wake()
		n.beat()
		n.after(n.w.between(0, sec), n.sweep)
		n.after(n.w.between(0, sec), n.learn)
		if n.core.ServeUnlogged {
			n.after(n.w.between(0, sec), n.publishEach)
		}
	})
}
