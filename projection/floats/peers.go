package floats

import (
	"cmp"
	"slices"
)

// Condition is how another node is heard.
type Condition uint8

// The conditions.
const (
	Unknown Condition = iota // not for as long as this process runs
	Heard                    // on both paths
	NoNATS                   // by UDP only
	NoUDP                    // by NATS only: its media network is cut, or a firewall is in between
	Silent                   // on no path: the machine is dead, frozen, or cut off
	Ended                    // its machine says that the process is not there
)

// String says it for people.
func (c Condition) String() string {
	return [...]string{
		"was not heard yet",
		"is heard",
		"is cut off from NATS and heard on the media network: it goes on",
		"is heard by NATS and not on the media network",
		"is silent on every path: its machine is dead, frozen or cut off",
		"is refused by its machine: the process has ended",
	}[c]
}

// PeerState is how one of the voters is heard.
type PeerState struct {
	Node      string
	Condition Condition
}

// pathPatience is how many times Silence a path may be silent before that is worth a word: fewer pulses go by NATS, and a
// moment without a path means nothing while there is the other one.
const pathPatience = 8

// Peers says how the other voters are heard, by name. Paths that were never heard are not missed.
func (m *Machine) Peers(now int64) []PeerState {
	var out []PeerState
	for _, id := range m.voters {
		if id == m.cfg.Self {
			continue
		}
		s := PeerState{Node: id}
		q := m.peers[id]
		silent := func(p Path) bool { return q.path[p] > 0 && now-q.path[p] >= pathPatience*m.cfg.Silence }
		switch {
		case q == nil || q.count == 0 && q.refused == 0:
		case q.refused > q.heard:
			s.Condition = Ended
		case m.gone(q, now):
			s.Condition = Silent
		case silent(NATS):
			s.Condition = NoNATS
		case silent(UDP):
			s.Condition = NoUDP
		default:
			s.Condition = Heard
		}
		out = append(out, s)
	}
	slices.SortFunc(out, func(a, b PeerState) int { return cmp.Compare(a.Node, b.Node) })
	return out
}

// why says what lets this node claim a float, for people.
func (m *Machine) why(f *float, now int64) string {
	q := m.peers[f.holder]
	switch {
	case f.holder == "" || f.epoch == 0:
		return "nobody held it"
	case f.released == m.cfg.Self:
		return "its holder gave it to this node"
	case f.released != "":
		return "its holder gave it up"
	case f.holder == m.cfg.Self:
		return "an earlier process of this node held it"
	case q == nil || q.count == 0:
		return "its holder was not heard since this node began"
	case q.refused > q.heard:
		return "the process of its holder has ended"
	case m.gone(q, now):
		return "its holder is silent on every path: dead, frozen or cut off"
	case q.run != f.run:
		return "its holder has started anew"
	}
	return "its holder does not claim it"
}
