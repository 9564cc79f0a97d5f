package peers

import (
	"net/netip"
	"slices"
	"strings"
	"time"

	"rtpjet/cmd/rtpjet/admin"
	"rtpjet/events"
	"rtpjet/projection/members"
	"rtpjet/relay/plan"
)

// What a node knows of its peers.

// look returns what f says of the table at this moment.
func look[T any](m *Membership, f func(t *members.Table, now int64) T) T {
	m.mu.Lock()
	defer m.mu.Unlock()
	return f(m.table, m.now())
}

// Judge says how a node of this region is.
func (m *Membership) Judge(node string) members.Verdict {
	return look(m, func(t *members.Table, now int64) members.Verdict { return t.Judge(node, now) })
}

// CutOff tells whether a node has been silent on NATS for longer than any verdict takes: it relays, and waiting for it would
// only be in the way of its calls.
func (m *Membership) CutOff(node string) bool {
	return look(m, func(t *members.Table, now int64) bool { return t.CutOff(node, now) })
}

// GoneFor tells for how long a node has been gone, and whether it is.
func (m *Membership) GoneFor(node string) (time.Duration, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.now()
	since, gone := m.table.GoneSince(node, now)
	return time.Duration(now-since) * time.Microsecond, gone
}

// Unheard tells for how long nothing was heard of a node on either path; false if nothing ever was.
func (m *Membership) Unheard(node string) (time.Duration, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	us, ok := m.table.Unheard(node, m.now())
	return time.Duration(us) * time.Microsecond, ok
}

// Caretaker tells whether this node, of those that are alive, looks after what a node that is gone has left under key.
func (m *Membership) Caretaker(key string) bool {
	return look(m, func(t *members.Table, now int64) bool { return t.Caretaker(key, now) })
}

// Peers are all nodes that were ever heard or asked about, by name.
func (m *Membership) Peers() []members.Peer {
	return look(m, func(t *members.Table, now int64) []members.Peer { return t.Peers(now) })
}

// HasPeers tells whether there was ever another node.
func (m *Membership) HasPeers() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.leases) > 0
}

// Accompanied tells whether another node of this region is alive.
func (m *Membership) Accompanied() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	for id := range m.leases {
		if m.table.Judge(id, m.now()) == members.Alive {
			return true
		}
	}
	return false
}

// Interfaces returns a peer's media addresses, nil if they are not known.
func (m *Membership) Interfaces(node string) *plan.Interfaces {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.leases[node].table
}

// Nodes are all nodes by their leases, this one included, with what this one thinks of them; by name.
func (m *Membership) Nodes() []admin.Node {
	m.mu.Lock()
	defer m.mu.Unlock()
	rows := []admin.Node{{Lease: m.mine, Verdict: members.Alive.String()}}
	for id, l := range m.leases {
		r := admin.Node{Lease: l.Lease, Verdict: l.State}
		if l.State == members.Up {
			r.Verdict = m.table.Judge(id, m.now()).String()
		}
		rows = append(rows, r)
	}
	slices.SortFunc(rows, func(a, b admin.Node) int { return strings.Compare(a.Node, b.Node) })
	return rows
}

// Voters are the nodes that have not given their lease back, this one first, and where the keepers of the others are.
func (m *Membership) Voters() (nodes []string, keepers map[string]netip.AddrPort) {
	m.mu.Lock()
	defer m.mu.Unlock()
	nodes, keepers = []string{m.id}, make(map[string]netip.AddrPort)
	for id, l := range m.leases {
		if l.State == members.Down {
			continue
		}
		nodes = append(nodes, id)
		if l.Keeper.IsValid() {
			keepers[id] = l.Keeper
		}
	}
	return nodes, keepers
}

// Level is what level of events the nodes of this region read, those that hold their leases; who is the one that reads less than this
// build, empty if none does. As long as the leases are not known it is what any build reads.
func (m *Membership) Level() (level int, who string) {
	select {
	case <-m.seen:
	default:
		return events.LevelFirst, m.id
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.table.Level(events.Level, m.cfg.OrphanTimeout.Microseconds(), m.now())
}

// Place chooses a node for a new call; last says that this one is rather not to have it. What it serves without the log are
// calls of its own only.
func (m *Membership) Place(w members.Wish, last bool) (node string, ok bool) {
	load := m.host.Load()
	here := members.Here{Takes: load.takesNew(), Last: last, First: load.Unlogged, Calls: load.Calls}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.table.Place(w, here, m.now())
}

// Recovering tells whether the process follows one of the same name that may have given sockets to peers a moment before it ended:
// their events may come yet, and name them. Others take the new calls until then.
func (m *Membership) Recovering() bool {
	return m.epoch.Load() > 1 && time.Since(m.start) < m.grantTime()
}

// grantTime is how long a peer may take from a reservation to its event: longer than any command. After it, the log is asked.
func (m *Membership) grantTime() time.Duration { return m.cfg.CommandBudget + 500*time.Millisecond }
