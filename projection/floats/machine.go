package floats

import (
	"slices"
	"strings"
)

// Config says how a machine decides. All times are µs.
type Config struct {
	Self string
	// Run is the process: a number that grows with each start of the node. Not 0.
	Run uint64
	// Carry are the floats that this node can hold, once it is Ready.
	Carry []string
	// Silence is how long a process must not be heard of to be gone.
	Silence int64
	// Hold is how long a holder may act on what a majority has heard of it: less than Silence, by more than clocks differ in
	// speed over that time. 0: three quarters of Silence.
	Hold int64
	// Balance is how often a node looks whether it holds more than its share; 0: never.
	Balance int64
	// Settle is how long a node must have been there to be given floats for balance.
	Settle int64
}

// Factors of Silence.
const (
	youngFor    = 2  // a process that just started stands by nobody's claim
	claimFor    = 3  // a claim without authority is given up; and the distance between two candidates
	successorBy = 10 // a successor that is silent is replaced
)

// Machine is one node's part in deciding who holds which float. It is not safe for concurrent use. Times must not decrease.
type Machine struct {
	cfg      Config
	started  int64
	count    uint64 // of pulses made
	sent     [256]int64
	voters   []string
	draining bool
	able     bool // Ready was called, and Suspend was not since
	peers    map[string]*peer
	floats   map[string]*float
	order    []string // ids of floats, sorted
	urgent   bool
	balanced int64 // when balance was looked at last
}

// peer is what is known of another node's newest process.
type peer struct {
	run     uint64
	count   uint64       // its newest pulse that was heard
	first   int64        // when this process was first heard
	heard   int64        // when its newest pulse was heard
	path    [paths]int64 // the same, by path; 0: never
	acked   uint64       // our newest pulse that it has heard
	refused int64        // its machine refused a connection that was begun then; 0: never
	// refusedSince is when the first of the refusals was begun between which nothing else can have happened.
	refusedSince int64
	pulse        Pulse
}

// float is how this node sees one float: as a voter it stands by the claim of holder's process run, with epoch.
type float struct {
	id     string
	ours   bool // among Config.Carry
	unable bool
	carry  bool // this node can hold it now
	warm   bool
	epoch  uint64
	holder string
	run    uint64 // 0: not known, from the bucket of leases

	successor string
	released  string
	freeSince int64  // since when this node could claim it; 0: it cannot
	seen      uint64 // highest epoch of any claim

	// If this process is the holder.
	claimed int64  // when
	why     string // what let this node claim it, for people
	lostAt  int64  // when the holder before it was heard last; 0: it gave the float up, or was never heard
	silence int64  // from then until this node had authority
	from    uint64 // the first pulse with the claim
	consent bool
	until   int64  // authority
	target  string // a planned move
	forced  bool   // target need not be warm
}

// New returns a machine at time now.
func New(cfg Config, now int64) *Machine {
	if cfg.Hold == 0 {
		cfg.Hold = cfg.Silence * 3 / 4
	}
	m := &Machine{
		cfg: cfg, started: now, balanced: now, voters: []string{cfg.Self},
		peers: make(map[string]*peer), floats: make(map[string]*float),
	}
	for _, id := range cfg.Carry {
		m.float(id).ours = true
	}
	return m
}

// Ready says that this node knows the calls, so that it can hold floats.
func (m *Machine) Ready() {
	m.able = true
	for _, f := range m.floats {
		f.carry = f.ours && !f.unable
	}
}

// SetUnable has this node not hold one float, although it is Ready, or hold it again. It gives it up at once.
func (m *Machine) SetUnable(id string, on bool, now int64) {
	f := m.float(id)
	f.unable = on
	if f.carry = f.ours && m.able && !on; on {
		m.giveUp(f, now)
	}
}

// Active tells whether there is any float to decide about.
func (m *Machine) Active() bool { return len(m.order) > 0 }

func (m *Machine) float(id string) *float {
	f := m.floats[id]
	if f == nil {
		f = &float{id: id}
		m.floats[id] = f
		i, _ := slices.BinarySearch(m.order, id)
		m.order = slices.Insert(m.order, i, id)
	}
	return f
}

// SetVoters names the nodes of the cluster, those that ended as they should left out. A majority of them decides.
func (m *Machine) SetVoters(nodes []string) {
	v := slices.Clone(nodes)
	if !slices.Contains(v, m.cfg.Self) {
		v = append(v, m.cfg.Self)
	}
	slices.Sort(v)
	m.voters = slices.Compact(v)
}

// SetDraining has this node want no floats, or want them again.
func (m *Machine) SetDraining(on bool) { m.draining = on }

// SetWarm notes that all calls of a float are ready here, or no longer.
func (m *Machine) SetWarm(float string, warm bool) { m.float(float).warm = warm }

// Recorded notes what the bucket of leases has of a float: where the count of epochs goes on after all nodes have started
// anew.
func (m *Machine) Recorded(id string, epoch uint64, holder, successor string) {
	f := m.float(id)
	f.seen = max(f.seen, epoch)
	if epoch > f.epoch && f.holder == "" {
		f.epoch, f.holder, f.run, f.successor = epoch, holder, 0, successor
	}
}

// Pulse makes the next pulse. It has to be sent at once: its time counts.
func (m *Machine) Pulse(now int64) Pulse {
	m.urgent = false
	m.count++
	m.sent[m.count%uint64(len(m.sent))] = now
	p := Pulse{Node: m.cfg.Self, Run: m.cfg.Run, Count: m.count, Draining: m.draining}
	for id, q := range m.peers {
		if q.count > 0 && now-q.heard < successorBy*m.cfg.Silence {
			p.Acks = append(p.Acks, Ack{Node: id, Run: q.run, Count: q.count, UDP: m.recent(q.path[UDP], now)})
		}
	}
	slices.SortFunc(p.Acks, func(a, b Ack) int { return strings.Compare(a.Node, b.Node) })
	for _, id := range m.order {
		f := m.floats[id]
		p.Floats = append(p.Floats, View{
			Float: id, Epoch: f.epoch, Holder: f.holder, Run: f.run, Successor: f.successor, Released: f.released,
			Consent: f.consent && m.mine(f), Carry: f.carry, Warm: f.warm,
		})
	}
	return p
}

// Urgent tells whether a pulse should leave at once and not when it is due.
func (m *Machine) Urgent() bool { return m.urgent }

// sentAt is when a pulse was made, 0 if that was too long ago.
func (m *Machine) sentAt(count uint64) int64 {
	if count == 0 || count > m.count || m.count-count >= uint64(len(m.sent)) {
		return 0
	}
	return m.sent[count%uint64(len(m.sent))]
}

// recent tells whether something was heard at a time that is not longer ago than Silence.
func (m *Machine) recent(at, now int64) bool { return at > 0 && now-at < m.cfg.Silence }

// Heard takes in a pulse.
func (m *Machine) Heard(path Path, p Pulse, now int64) {
	if p.Node == m.cfg.Self || p.Node == "" || p.Run == 0 {
		return
	}
	q := m.peers[p.Node]
	if q == nil {
		q = &peer{}
		m.peers[p.Node] = q
	}
	switch {
	case p.Run < q.run:
		return // of a process that is no more
	case p.Run > q.run:
		*q = peer{run: p.Run, first: now}
	}
	if p.Count+uint64(len(m.sent)) > q.count {
		q.path[path] = now
	}
	if p.Count <= q.count {
		return // it came on the other path, or is late
	}
	q.count, q.heard, q.pulse = p.Count, now, p
	for _, a := range p.Acks {
		if a.Node == m.cfg.Self && a.Run == m.cfg.Run {
			q.acked = max(q.acked, a.Count)
		}
	}
	for i := range p.Floats {
		v := &p.Floats[i]
		f := m.float(v.Float)
		f.seen = max(f.seen, v.Epoch)
		if v.Holder == p.Node && v.Run == p.Run && f.holder == p.Node && (f.run == p.Run || f.run == 0) && f.epoch == v.Epoch {
			f.run, f.successor, f.released = v.Run, v.Successor, v.Released
		}
	}
	m.settle(now)
}

// Refused notes that a node's machine refused a connection which was begun at a time: its process is gone, unless it is heard
// later than that.
func (m *Machine) Refused(node string, begun, now int64) {
	if node == m.cfg.Self {
		return
	}
	q := m.peers[node]
	if q == nil {
		q = &peer{}
		m.peers[node] = q
	}
	if q.refused <= q.heard || begun-q.refused >= m.cfg.Silence {
		q.refusedSince = begun
	}
	q.refused = max(q.refused, begun)
	m.settle(now)
}

// Tick does what time brings about. It has to be called at Next at the latest.
func (m *Machine) Tick(now int64) {
	m.settle(now)
	m.mediaCut(now)
	m.balance(now)
	for _, id := range m.order {
		if f := m.floats[id]; m.mine(f) {
			m.nameSuccessor(f, now)
		}
	}
}

// Next is when something is due that no pulse brings about.
func (m *Machine) Next(now int64) int64 {
	next := now + m.cfg.Silence
	due := func(at int64) {
		if at > now {
			next = min(next, at)
		}
	}
	for _, f := range m.floats {
		if m.mine(f) {
			due(f.until)
		} else if q := m.peers[f.holder]; q != nil {
			due(q.heard + m.cfg.Silence)
		}
		if f.freeSince > 0 {
			due(f.freeSince + int64(m.candidacy(f, now))*claimFor*m.cfg.Silence)
		}
	}
	return next
}

// mine tells whether this process claims the float.
func (m *Machine) mine(f *float) bool {
	return f.holder == m.cfg.Self && f.run == m.cfg.Run && f.released == "" && f.epoch > 0
}

// settle brings all floats in line with what was heard: claims are adopted, authority is renewed, what is free is claimed.
func (m *Machine) settle(now int64) {
	for _, id := range m.order {
		f := m.floats[id]
		m.adopt(f, now)
		if m.mine(f) {
			m.renew(f, now)
		} else {
			m.claimIfFree(f, now)
		}
	}
}

// State is where one float stands, as this node sees it.
type State struct {
	Float     string
	Epoch     uint64
	Holder    string // by whose claim this node stands; empty if nobody claims it
	Successor string
	// Live is true if Holder was heard lately; it may hold the float.
	Live bool
	// Hold is true if this node may act as the holder, until the time Until.
	Hold  bool
	Until int64
	// Keep is true if this node has to keep the float's calls warm.
	Keep bool
	// Yield is the node for whom the float has to be given up: stop, take the address away, and call Release. Empty: none.
	Yield string
	Carry bool
	Warm  bool   // all calls are ready here
	Why   string // what let this node claim it, for people; empty if it did not
	Moves string // the node that a planned move leads to; empty: none
	// Silence is how long this node, the holder, had not heard of the one before it when it got authority, µs: at most so long
	// the float's calls were silent. 0: not known, or the holder before gave the float up.
	Silence int64
}

// States returns all floats, in the order of their ids.
func (m *Machine) States(now int64) []State {
	out := make([]State, 0, len(m.order))
	for _, id := range m.order {
		out = append(out, m.State(id, now))
	}
	return out
}

// State returns how one float stands.
func (m *Machine) State(id string, now int64) State {
	f := m.floats[id]
	if f == nil {
		return State{Float: id}
	}
	s := State{Float: id, Epoch: f.epoch, Successor: f.successor, Carry: f.carry, Warm: f.warm}
	if f.released == "" {
		s.Holder = f.holder
	}
	if m.mine(f) {
		s.Why, s.Silence = f.why, f.silence
		s.Hold, s.Until, s.Live, s.Moves = f.until > now, f.until, f.until > now, f.target
		if f.target != "" && (f.forced || s.Hold && m.ready(f, f.target, now)) {
			s.Yield = f.target
		}
		s.Keep = !s.Hold && f.carry
		return s
	}
	if q := m.peers[f.holder]; q != nil && q.run == f.run && f.released == "" {
		s.Live = m.recent(q.heard, now) && q.refused <= q.heard
	}
	s.Keep = f.carry && f.successor == m.cfg.Self
	return s
}

// Release gives a float up that this node has stopped to serve, for the node that State.Yield named.
func (m *Machine) Release(id, to string, now int64) {
	f := m.floats[id]
	if f == nil || !m.mine(f) {
		return
	}
	switch to {
	case "", Anybody:
		to, f.successor = Anybody, "" // in the order that all know
	default:
		f.successor = to
	}
	f.released, f.until, f.target, f.forced, f.freeSince = to, 0, "", false, now
	m.urgent = true
}
