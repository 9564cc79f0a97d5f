package history

import (
	"rtpjet/events"
	"rtpjet/projection"
)

// Entry is one entry of a call in the log, in the log's order.
type Entry struct {
	Seq uint64
	// Stored is when the log took it, in µs of Unix time by the clock of the stream's leader; 0 if that is not known.
	Stored int64
	events.Envelope
	// Err says why the entry could not be read; the Envelope means nothing then.
	Err error
}

// Moment is an entry and what the call was right after it.
type Moment struct {
	Entry
	Call *projection.Call
	// Life counts the calls under the call-id, from 0: what generations are, but for a log that has forgotten one.
	Life int
}

// Moments folds entries, one moment for each.
func Moments(callID string, entries []Entry) []Moment {
	out := make([]Moment, 0, len(entries))
	call := &projection.Call{ID: callID}
	life, begun := 0, false
	for _, e := range entries {
		if e.Err == nil {
			fresh := begins(e.Event)
			if fresh && begun {
				life++
			}
			begun = begun || fresh
			if fresh && e.Seq <= call.Seq { // the stream began anew, and counts anew
				call = &projection.Call{ID: callID}
			}
			call = call.Snapshot()
			call.ID = e.Call
			call.Apply(e.Seq, e.Envelope)
		}
		out = append(out, Moment{Entry: e, Call: call, Life: life})
	}
	return out
}

// begins tells whether an event begins a call.
func begins(ev events.Event) bool {
	o, ok := ev.(events.Offered)
	return ok && o.Owner != ""
}

// Before is the call as it was when the moment i was decided.
func Before(list []Moment, i int) *projection.Call {
	if i == 0 {
		return &projection.Call{}
	}
	return list[i-1].Call
}

// AtSeq finds the last moment whose sequence is at most seq; -1 if there is none.
func AtSeq(list []Moment, seq uint64) int {
	found := -1
	for i := range list {
		if list[i].Seq <= seq {
			found = i
		}
	}
	return found
}

// AtTime finds the last moment that was not after at, µs of Unix time; -1 if there is none.
func AtTime(list []Moment, at int64) int {
	found := -1
	for i := range list {
		if list[i].Err == nil && list[i].At <= at {
			found = i
		}
	}
	return found
}
