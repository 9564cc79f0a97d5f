package replica

import "rtpjet/events"

// Entry is an entry of the log on its way into a replica, or one that its writer sent straight to the owner of the call: Early
// is true then, and Prev is the sequence of the entry before it.
type Entry struct {
	Seq   uint64
	Data  []byte
	Prev  uint64
	Early bool
}

// Inbox has the entries that arrive while somebody holds the call, in their order. Who holds it folds them before it lets go,
// so that the log's reader waits for no command. The zero Inbox is empty.
type Inbox struct{ entries []Entry }

// Put adds an entry.
func (i *Inbox) Put(in Entry) { i.entries = append(i.entries, in) }

// Collect adds an entry of the backlog. An end makes what came before it superfluous: most of a backlog is calls that are over.
func (i *Inbox) Collect(in Entry) {
	if events.IsEnd(in.Data) {
		clear(i.entries)
		i.entries = i.entries[:0]
	}
	i.Put(in)
}

// Take empties the inbox.
func (i *Inbox) Take() []Entry {
	list := i.entries
	i.entries = nil
	return list
}

// Len is how many entries wait.
func (i *Inbox) Len() int { return len(i.entries) }
