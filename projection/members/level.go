package members

import "rtpjet/events"

// Announced notes what level of events a node reads, by its lease; 0 is a lease of a build that announces none. held says that the
// node has the lease: it has neither given it back nor lost it to a peer.
func (t *Table) Announced(id string, level int, held bool) {
	if !held {
		delete(t.levels, id)
		return
	}
	t.levels[id] = max(level, events.LevelFirst)
}

// Level is what level of events may be written: the lowest that a node which holds its lease reads, this one reading own; who is
// the first such node by its name, empty if nobody reads less than own. A node that has been gone for longer than patience, µs, by
// [Table.GoneSince], counts no more, though nobody has claimed its lease. It may come back, as may one of an earlier build join later: then it finds
// events in the log that it takes for what they are not, and from then on the others write none that it would.
func (t *Table) Level(own int, patience, now int64) (level int, who string) {
	level = own
	for id, reads := range t.levels {
		if reads > level || reads == level && (who == "" || id > who) || id == t.cfg.Self {
			continue
		}
		if since, gone := t.GoneSince(id, now); !gone || now-since <= patience {
			level, who = reads, id
		}
	}
	return level, who
}
