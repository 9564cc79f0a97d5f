package members

import (
	"cmp"
	"slices"
)

// Verdict is what a node thinks of another one.
type Verdict uint8

// The verdicts; see the package comment.
const (
	Alive Verdict = iota
	Silent
	Gone
)

// String returns the verdict for people.
func (v Verdict) String() string { return [...]string{"alive", "silent", "gone"}[v] }

// Path is a way on which nodes hear each other.
type Path uint8

// The paths.
const (
	NATS Path = iota
	UDP
)

// Beat is what a node says of itself, several times a second on each path.
type Beat struct {
	Node     string `json:"node"`
	Epoch    uint64 `json:"epoch"`              // of its lease
	At       int64  `json:"at"`                 // µs of Unix time by its own clock
	Calls    int64  `json:"calls"`              // that it owns
	Room     int64  `json:"room"`               // how many more it takes; -1: as many as its ports allow
	Draining bool   `json:"draining,omitempty"` // it takes no new ones
	Leaving  bool   `json:"leaving,omitempty"`  // it ends now, as it should
}

// Config says how a table judges. All times are µs.
type Config struct {
	Self string
	// Silence is how long a node must not be heard of to be gone.
	Silence int64
	// Beat is the time between two beats.
	Beat int64
}

// unheardFactor is how many times Silence a node may be silent on NATS that was never heard by UDP.
const unheardFactor = 5

// Table is what a node knows of its peers. It is not safe for concurrent use.
type Table struct {
	cfg    Config
	since  stamp // since when NATS is there
	ticked int64 // the last Tick
	slept  int64 // how long this node was asleep in all: silence while nobody listened is none
	joined bool  // NATS is there
	nodes  map[string]*node
	places map[string]place // by their leases, this node included
	levels map[string]int   // of the nodes that hold their leases
}

// stamp is a time, and how long the node had slept by then.
type stamp struct{ at, slept int64 }

type node struct {
	Beat
	heard   [2]stamp // by path; zero: never
	refused int      // refusals by UDP since it was heard there
	absent  bool     // it did not answer a request since it was heard there
	firstAt int64    // when it was first asked about or heard
	goneAt  int64    // since when it is gone; 0 if it is not
	skew    int64    // its clock minus ours, µs, at the last beat by NATS
}

// New returns a table; now is the time of its clock.
func New(cfg Config, now int64) *Table {
	return &Table{cfg: cfg, since: stamp{at: now}, ticked: now, nodes: make(map[string]*node), places: make(map[string]place),
		levels: make(map[string]int)}
}

func (t *Table) node(id string, now int64) *node {
	n := t.nodes[id]
	if n == nil {
		n = &node{Beat: Beat{Node: id}, firstAt: now}
		t.nodes[id] = n
	}
	return n
}

// Tick has to be called with each beat that the node sends itself; joined tells whether NATS is there. A gap shows that the
// node was asleep.
func (t *Table) Tick(joined bool, now int64) {
	if gap := now - t.ticked; gap > 2*t.cfg.Beat {
		t.slept += gap - t.cfg.Beat
	}
	t.ticked = now
	if joined && !t.joined {
		t.since = stamp{now, t.slept}
	}
	t.joined = joined
}

// age is how long ago something was, sleep not counted.
func (t *Table) age(s stamp, now int64) int64 { return now - s.at - (t.slept - s.slept) }

// Heard notes a beat. wall is our own time in µs of Unix time. Beats of an earlier epoch are of a process that is no more.
func (t *Table) Heard(p Path, b Beat, wall, now int64) {
	if b.Node == t.cfg.Self || b.Node == "" {
		return
	}
	n := t.node(b.Node, now)
	if b.Epoch < n.Epoch {
		return
	}
	n.Beat, n.heard[p] = b, stamp{now, t.slept}
	if p == UDP {
		n.refused = 0
	} else {
		n.absent, n.skew = false, b.At-wall
	}
	if !b.Leaving {
		n.goneAt = 0
	}
}

// Refused notes that the node's machine refused a beat by UDP: nobody listens there.
func (t *Table) Refused(id string, now int64) { t.node(id, now).refused++ }

// Absent notes that the node did not answer a request by NATS.
func (t *Table) Absent(id string, now int64) { t.node(id, now).absent = true }

// Judge says how a node is.
func (t *Table) Judge(id string, now int64) Verdict {
	if id == t.cfg.Self {
		return Alive
	}
	n := t.node(id, now)
	v := t.judge(n, now)
	switch {
	case v != Gone:
		n.goneAt = 0
	case n.goneAt == 0:
		n.goneAt = now
	}
	return v
}

func (t *Table) judge(n *node, now int64) Verdict {
	quiet := func(p Path) int64 { // for how long nothing was heard, while we listened
		return min(t.age(n.heard[p], now), t.age(t.since, now))
	}
	listening := t.joined && now-t.ticked <= t.cfg.Silence/2
	switch {
	case n.Leaving:
		return Gone
	case n.refused >= 2 && (n.absent || quiet(NATS) >= 3*t.cfg.Beat) && listening:
		return Gone
	case n.heard[NATS].at > 0 && t.age(n.heard[NATS], now) < t.cfg.Silence && !n.absent:
		return Alive
	case !listening || quiet(NATS) < t.cfg.Silence:
		return Silent
	case n.heard[UDP].at == 0 && n.heard[NATS].at > 0 && quiet(NATS) < unheardFactor*t.cfg.Silence:
		return Silent
	case n.heard[UDP].at > 0 && quiet(UDP) < t.cfg.Silence:
		return Silent
	}
	return Gone
}

// CutOff tells whether a node that is silent on NATS has been so for longer than Silence, and is heard by UDP.
func (t *Table) CutOff(id string, now int64) bool {
	n := t.node(id, now)
	return t.Judge(id, now) == Silent && t.age(t.since, now) >= t.cfg.Silence && t.age(n.heard[NATS], now) >= t.cfg.Silence &&
		n.heard[UDP].at > 0 && t.age(n.heard[UDP], now) < t.cfg.Silence
}

// Unheard returns for how long nothing was heard of a node, on either path, in µs; ok is false if nothing ever was.
func (t *Table) Unheard(id string, now int64) (us int64, ok bool) {
	n := t.nodes[id]
	if n == nil {
		return 0, false
	}
	last := int64(0)
	for _, h := range n.heard {
		last = max(last, h.at)
	}
	return now - last, last > 0
}

// GoneSince returns since when a node is gone; ok is false if it is not.
func (t *Table) GoneSince(id string, now int64) (at int64, ok bool) {
	if t.Judge(id, now) != Gone {
		return 0, false
	}
	return t.nodes[id].goneAt, true
}

// Caretaker tells whether this node, of all that are alive, looks after what nobody owns under a key. Nodes may differ for a
// moment; what they do is safe to be done twice.
func (t *Table) Caretaker(key string, now int64) bool {
	mine := rank(t.cfg.Self, key)
	for id := range t.nodes {
		if t.Judge(id, now) == Alive && rank(id, key) > mine {
			return false
		}
	}
	return true
}

// rank orders nodes for a key (highest random weight).
func rank(node, key string) uint64 {
	h := uint64(14695981039346656037)
	for _, s := range [2]string{node, key} {
		for i := range len(s) {
			h = (h ^ uint64(s[i])) * 1099511628211
		}
	}
	h ^= h >> 33
	h *= 0xff51afd7ed558ccd
	return h ^ h>>33
}

// Peer is one row of what is known.
type Peer struct {
	Beat
	Verdict Verdict
	Heard   [2]int64 // by path, µs ago; -1: never
	Skew    int64    // its clock minus ours, µs
}

// Peers returns all nodes that were ever heard or asked about, in the order of their names.
func (t *Table) Peers(now int64) []Peer {
	out := make([]Peer, 0, len(t.nodes))
	for id, n := range t.nodes {
		p := Peer{Beat: n.Beat, Verdict: t.Judge(id, now), Skew: n.skew}
		for i, at := range n.heard {
			p.Heard[i] = -1
			if at.at > 0 {
				p.Heard[i] = now - at.at
			}
		}
		out = append(out, p)
	}
	slices.SortFunc(out, func(a, b Peer) int { return cmp.Compare(a.Node, b.Node) })
	return out
}

// Forget removes a node that nobody needs to know of any more.
func (t *Table) Forget(id string) {
	delete(t.nodes, id)
	delete(t.places, id)
	delete(t.levels, id)
}
