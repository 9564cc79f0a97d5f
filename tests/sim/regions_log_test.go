package sim

import (
	"reflect"

	"rtpjet/events"
	"rtpjet/projection"
	"rtpjet/projection/regions"
)

// regionLog is the stream of one region, and what is true by it.
type regionLog struct {
	g       *region
	entries []regionEntry
	seqs    map[string][]uint64
	calls   map[string]*projection.Call
	caused  map[string]uint64 // sequence of what a command led to, by generation, cookie and bytes
}

type regionEntry struct {
	key string
	env events.Envelope
	end bool
	at  int64 // when it was stored
}

func (l *regionLog) init(g *region) {
	l.g, l.seqs, l.calls, l.caused = g, map[string][]uint64{}, map[string]*projection.Call{}, map[string]uint64{}
}

func (l *regionLog) call(key string) *projection.Call {
	if c := l.calls[key]; c != nil {
		return c
	}
	return &projection.Call{}
}

// append stores events if the subject ends at last: all or none. imported says that they are those of another region.
func (l *regionLog) append(key string, last uint64, imported bool, list ...events.Envelope) (seq uint64, ok bool) {
	w := l.g.w
	c := l.calls[key]
	if c == nil {
		c = &projection.Call{}
		l.calls[key] = c
	}
	if seqs := l.seqs[key]; len(seqs) == 0 && last != 0 || len(seqs) > 0 && seqs[len(seqs)-1] != last {
		return 0, false
	}
	for _, env := range list {
		seq = uint64(len(l.entries)) + 1
		if !imported {
			l.check(key, c, env)
		}
		_, end := env.Event.(events.Ended)
		l.entries = append(l.entries, regionEntry{key, env, end, w.now})
		l.seqs[key] = append(l.seqs[key], seq)
		c.ID = env.Call
		c.Apply(seq, env)
		w.stats.Events++
		w.note(l.g.name, "%d: %s of %s by %s", seq, events.KindOf(env.Event), env.Call, env.Node)
	}
	for _, n := range l.g.nodes {
		n.follow()
	}
	l.g.mirrorAll()
	return seq, true
}

// check looks at an event before it is folded: no command is carried out twice, and no call begins that lives elsewhere, as far as
// the node could know.
func (l *regionLog) check(key string, c *projection.Call, env events.Envelope) {
	w := l.g.w
	if ev, ok := env.Event.(events.Offered); ok && ev.Owner != "" {
		l.checkBegin(key, env)
	}
	if ev, ok := env.Event.(events.Ended); ok && ev.Reason == events.ReasonAdopted && c.Live() {
		l.checkKept(key, c)
	}
	if env.Cause == nil {
		return
	}
	id := env.Call + "\x00" + env.Cause.Cookie + "\x00" + string(env.Cause.Request)
	if was := l.caused[id]; was > 0 && c.Live() && was >= c.First && was >= c.OwnedSince {
		for _, mark := range c.Commands {
			if mark.Seq == was {
				w.fail("%s: a command is carried out twice in %s, as events %d and %d", env.Call, l.g.name, was, len(l.entries)+1)
			}
		}
	}
	l.caused[id] = uint64(len(l.entries)) + 1
}

func (l *regionLog) checkBegin(key string, env events.Envelope) {
	w, n := l.g.w, l.g.node(env.Node)
	for _, q := range w.regions {
		c := q.log.call(key)
		if q == l.g || !c.Live() {
			continue
		}
		was := w.split[key]
		w.split[key] = true
		w.stats.Splits++
		if mine := l.call(key); mine.Ended && w.now-mine.EndedAt < sec {
			continue // its command was under way when another node ended the call here for having been adopted
		}
		if n == nil || was || w.now < l.g.awake { // who was asleep takes an ended call for a live one, and begins it anew
			continue
		}
		seen, ok := n.peers[q.i].seen[key]
		if ok && seen.first == c.First && w.now-seen.at > 2*sec && !n.covered(q.name, c.First) {
			w.fail("%s: %s begins it, and %s has it since %d ms, as the mirror has it", env.Call, env.Node, q.name, (w.now-seen.at)/ms)
		}
	}
}

// otherEnd tells whether the call that began there has ended for another reason than that it was adopted.
func (l *regionLog) otherEnd(key string, first uint64) bool {
	for _, seq := range l.seqs[key] {
		if ev, ok := l.entries[seq-1].env.Event.(events.Ended); ok && seq > first {
			return ev.Reason != events.ReasonAdopted
		}
	}
	return false
}

// covered tells whether a node knows that a call of a region is another one's.
func (n *regionNode) covered(name string, first uint64) bool {
	for _, rec := range n.known() {
		if rec.Region == name && (rec.State == regions.Taken || rec.State == regions.Returned) && rec.Covers(first) {
			return true
		}
	}
	return false
}

// alike compares a call where it was adopted with what it was at home, but for the names of nodes and for sequences.
func alike(home, here projection.Call, region string) bool {
	return reflect.DeepEqual(bare(home, region), bare(here, region))
}

func bare(c projection.Call, region string) projection.Call {
	if home, there := events.ParseOwner(c.Owner).Home(); home == region {
		c.Owner = there.String()
	}
	c.First, c.Seq, c.LastRequestSeq, c.OwnedSince = 0, 0, 0, 0
	for i := range c.Commands {
		c.Commands[i].Seq = 0
	}
	return c
}
