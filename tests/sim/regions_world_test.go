package sim

import (
	"cmp"
	"container/heap"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"

	"rtpjet/events"
	"rtpjet/projection"
	"rtpjet/projection/regions"
)

// What the simulation of regions runs.
const (
	regionCount = 10
	regionNodes = 10 // in each region
)

// regionWorld is some regions, each with a log, nodes and mirrors of the other logs. Of what goes on between the nodes of one
// region there is as much as a command needs, since TestSeeds has that; what is between regions is slow, lost and cut off.
type regionWorld struct {
	seed   uint64
	rng    *rand.Rand
	now    int64
	queue  agenda
	serial uint64
	bug    regionBug

	regions []*region
	cut     [regionCount][regionCount]int   // how many cuts there are on the way from one to another
	open    [regionCount][regionCount]int64 // since when there is none
	delay   [regionCount][regionCount]int64 // one way
	loss    int                             // thousandths of the messages between regions
	clients []*regionClient
	// split are calls that may live in two regions: two clients began them at once, or on two sides of a cut.
	split   map[string]bool
	adopted []adoption
	taken   []taking
	calm    bool
	over    bool

	trace  trace
	lines  []string // all of it, if it is full
	broken string
	stats  regionStats
}

// regionStats tell whether a run has tried anything.
type regionStats struct {
	Steps, Commands, Forwarded, FromMirror, MirrorAppends, Asked                int
	Events, Adoptions, Refused, Calls, Resumed, Fenced, Returned, Splits, Twice int
}

// adoption is one call that a region has taken from another one.
type adoption struct {
	from, by int
	key      string
	first    uint64 // there
}

// region is one cluster: the stream, the bucket of leases, the mirrors and the nodes.
type region struct {
	w       *regionWorld
	i       int
	name    string
	log     regionLog
	records map[string]regions.Record
	mirrors []*regionMirror
	nodes   []*regionNode
	lost    bool  // for good
	alive   int64 // since when there is always a node that is up
	awake   int64 // from when on no node is asleep, or was a moment ago
}

// regionMirror is what a region has of the stream of another one.
type regionMirror struct {
	upto    uint64
	missing map[uint64]bool // by a planted fault
}

func newRegionWorld(seed uint64, bug regionBug) *regionWorld {
	w := &regionWorld{seed: seed, bug: bug, rng: rand.New(rand.NewPCG(seed, 0x726567)), now: start, split: map[string]bool{}, calm: true}
	w.loss = [...]int{0, 5, 30}[w.rng.IntN(3)]
	for i := range regionCount {
		for j := range i {
			d := w.between(10*ms, 150*ms)
			w.delay[i][j], w.delay[j][i] = d, d
		}
		g := &region{w: w, i: i, name: fmt.Sprintf("r%d", i), records: map[string]regions.Record{}}
		g.log.init(g)
		for j := range regionCount {
			rec := regions.Record{Region: fmt.Sprintf("r%d", j)}
			rec.Instance = "i-" + rec.Region
			g.records[rec.Region] = rec
			g.mirrors = append(g.mirrors, &regionMirror{missing: map[uint64]bool{}})
		}
		w.regions = append(w.regions, g)
	}
	for _, g := range w.regions {
		for k := range regionNodes {
			g.nodes = append(g.nodes, newRegionNode(g, k))
		}
	}
	return w
}

func (w *regionWorld) after(d int64, f func()) {
	w.serial++
	heap.Push(&w.queue, task{at: w.now + max(d, 0), serial: w.serial, f: f})
}

func (w *regionWorld) runUntil(at int64) {
	for w.broken == "" && len(w.queue) > 0 && w.queue[0].at <= at {
		t := heap.Pop(&w.queue).(task)
		w.now = t.at
		w.stats.Steps++
		t.f()
	}
	w.now = max(w.now, at)
}

func (w *regionWorld) between(low, high int64) int64 { return low + w.rng.Int64N(high-low+1) }

func (w *regionWorld) chance(thousandths int) bool {
	return thousandths > 0 && w.rng.IntN(1000) < thousandths
}

// fail notes the first violation, which ends the run.
func (w *regionWorld) fail(format string, args ...any) {
	if w.broken == "" {
		w.broken = fmt.Sprintf(format, args...)
		w.note("", "VIOLATION: %s", w.broken)
	}
}

func (w *regionWorld) note(who, format string, args ...any) {
	if w.over {
		return
	}
	w.trace.add(w.now, who, format, args...)
	if w.trace.full {
		w.lines = append(w.lines, line{w.now, who, format, args}.String())
	}
}

// cross brings a message from one region to another, if nothing is in its way.
func (w *regionWorld) cross(from, to int, f func()) {
	if w.cut[from][to] > 0 || !w.calm && w.chance(w.loss) {
		return
	}
	w.after(w.delay[from][to]+w.between(0, 5*ms), func() {
		if w.cut[from][to] == 0 {
			f()
		}
	})
}

// block cuts the way from one region to another, or opens it again.
func (w *regionWorld) block(from, to, by int) {
	w.cut[from][to] = max(0, w.cut[from][to]+by) // what is healed at the end is mended once more
	if w.cut[from][to] == 0 {
		w.open[from][to] = w.now
	}
}

// near is the way between two nodes of a region, or to its stream.
func (w *regionWorld) near() int64 {
	if w.chance(5) && !w.calm {
		return w.between(3*ms, 50*ms)
	}
	return w.between(60, 2*ms)
}

func (w *regionWorld) index(name string) int {
	return slices.IndexFunc(w.regions, func(g *region) bool { return g.name == name })
}

// up returns a node that has a process, nil if none has.
func (g *region) up() *regionNode {
	return g.pick(func(n *regionNode) bool { return n.up && !n.asleep })
}

// serving returns a node that answers commands.
func (g *region) serving() *regionNode {
	return g.pick(func(n *regionNode) bool { return n.serving && !n.asleep })
}

// mind notes when there is no node, or the first one.
func (g *region) mind() {
	up := 0
	for _, n := range g.nodes {
		if n.up && !n.asleep {
			up++
		}
	}
	if up <= 1 {
		g.alive = g.w.now
	}
}

func (g *region) pick(ok func(*regionNode) bool) *regionNode {
	from := g.w.rng.IntN(len(g.nodes))
	for i := range g.nodes {
		if n := g.nodes[(from+i)%len(g.nodes)]; ok(n) {
			return n
		}
	}
	return nil
}

// mirrorAll brings the mirrors of a region's stream up to its end, a moment later.
func (g *region) mirrorAll() {
	if g.up() == nil {
		return
	}
	head := uint64(len(g.log.entries))
	for _, to := range g.w.regions {
		if m := to.mirrors[g.i]; to == g || m.upto >= head || g.w.cut[g.i][to.i] > 0 {
			continue
		}
		g.w.after(g.w.delay[g.i][to.i]+g.w.between(0, 10*ms), func() {
			if g.w.cut[g.i][to.i] == 0 {
				to.mirrored(g, head)
			}
		})
	}
}

func (g *region) mirrored(home *region, head uint64) {
	m := g.mirrors[home.i]
	if head <= m.upto {
		return
	}
	for seq := m.upto + 1; seq <= head; seq++ {
		if g.w.bug == regionsDrop && g.w.chance(20) {
			m.missing[seq] = true
		}
	}
	m.upto = head
	for _, n := range g.nodes {
		n.followMirror(home.i)
	}
}

// repair has what was lost on the way come again.
func (g *region) repair() {
	g.w.after(500*ms, g.repair)
	g.mirrorAll()
}

// read returns what the mirror has of a call.
func (m *regionMirror) read(home *region, key string) []uint64 {
	var out []uint64
	for _, seq := range home.log.seqs[key] {
		if seq <= m.upto && !m.missing[seq] {
			out = append(out, seq)
		}
	}
	return out
}

// project folds that.
func (m *regionMirror) project(home *region, key string) *projection.Call {
	var c projection.Call
	for _, seq := range m.read(home, key) {
		env := home.log.entries[seq-1].env
		c.ID = env.Call
		c.Apply(seq, env)
	}
	return &c
}

func sorted[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }

// node of a qualified name, or of one in the region itself.
func (g *region) node(id string) *regionNode {
	if o := events.ParseOwner(id); o.Kind == events.OwnerForeign {
		region, there := o.Home()
		if region != g.name {
			return nil
		}
		id = there.Name
	}
	i := slices.IndexFunc(g.nodes, func(n *regionNode) bool { return n.id == id })
	if i < 0 {
		return nil
	}
	return g.nodes[i]
}

func (w *regionWorld) print() string {
	if w.trace.full {
		return strings.Join(w.lines, "\n")
	}
	var b strings.Builder
	w.trace.print(&b)
	return b.String()
}
