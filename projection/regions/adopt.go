package regions

import (
	"fmt"

	"rtpjet/events"
)

// PromiseTime is how long a promise bars other regions, µs, and TakeTime within what time of having asked for the first one a
// region has to make use of promises. An operator may try elsewhere when an adoption has come to nothing; the difference is for
// clocks.
const (
	PromiseTime = 60_000_000
	TakeTime    = 30_000_000
)

// Adoptable says, as a sentence, why a region cannot be adopted from here; empty: the others may be asked. lost is that of
// [Link.Lost], by is this region, and records are all that are known.
func Adoptable(s Status, lost bool, by string, records []Record) string {
	switch {
	case s.State == Up:
		return fmt.Sprintf("region %s answers: only a region that is lost can be adopted; to empty it, have its proxies use another one", s.Region)
	case s.State == Refused:
		return fmt.Sprintf("region %s cannot be adopted: %s", s.Region, s.Reason)
	case !lost:
		return fmt.Sprintf("this node has not listened for region %s long enough to know that it is lost; say it once more in a moment", s.Region)
	}
	if other := AdopterOf(s.Region, records); other != "" && other != by {
		return fmt.Sprintf("region %s was adopted by %s already", s.Region, other)
	}
	return ""
}

// Take is the record of the region that adopts another one, once it has all promises; asked is when it began to ask, and seq the
// end of its mirror. refusal is a sentence if it may not.
//
// What is taken once stays as it is: a call that began after seq is the lost region's, however often the adoption is repeated.
func Take(have Record, by string, seq uint64, asked, now int64) (want Record, refusal string) {
	switch {
	case have.State == Taken:
		return have, ""
	case have.State == Promised && have.By != by && now-have.At < PromiseTime:
		return have, fmt.Sprintf("this region has promised %s to %s", have.Region, have.By)
	case now-asked > TakeTime:
		return have, "the others have taken too long to promise it; say it once more"
	}
	have.Term++
	have.State, have.By, have.At, have.Seq, have.Upto = Taken, by, now, seq, 0
	return have, ""
}

// Finish notes that all calls are in the adopter's stream, which ends at upto. Not before that must the lost region end them.
func Finish(have Record, upto uint64) Record {
	if have.State == Taken {
		have.Upto = max(have.Upto, upto, 1)
	}
	return have
}

// Unfinished tells whether a region has begun an adoption and not come to its end.
func (r Record) Unfinished(by string) bool { return r.State == Taken && r.By == by && r.Upto == 0 }

// Return notes that the lost region is back and has ended what was adopted.
func Return(have Record, instance string, term uint64, now int64) Record {
	if have.State == Taken && have.Instance == instance && have.Term == term {
		have.State, have.At = Returned, now
	}
	return have
}

// Covers tells whether the adoption is about a call that began there.
func (r Record) Covers(first uint64) bool { return first > 0 && first <= r.Seq }

// Moved tells whether a call that began there is in the adopter's stream. As long as the adoption is not finished that is not
// known.
func (r Record) Moved(first uint64) bool {
	return (r.State == Taken || r.State == Returned) && r.Upto > 0 && r.Covers(first)
}

// Ends tells whether the fence ends a call of this region that began there. mirrored is the end of the mirror of the region that
// has it: a call is ended when the next command for it finds its new home, and not before.
func (f Fence) Ends(first, mirrored uint64) bool {
	return first > 0 && first <= f.Seq && mirrored >= f.Upto
}

// Move is what is next in the adoption of a call.
type Move int

// Moves.
const (
	Import Move = iota // write its events into the stream here
	Rehome             // give it an owner here
	Settled
)

// Next is what the adoption of a call needs, by what the stream of the adopter has of the call-id: its generation, whether it
// lives, its owner, and when it ended if it has. since is when the region was taken: what has ended here since then is the call
// itself; what had ended before is an earlier one under its call-id.
func Next(gen uint64, live bool, owner string, endedAt, since int64) Move {
	switch {
	case live && events.ParseOwner(owner).Kind == events.OwnerForeign:
		return Rehome
	case live:
		return Settled
	case gen == 0 || endedAt < since:
		return Import
	}
	return Settled
}

// Haul collects what a mirror has of live calls. The zero Haul is empty.
type Haul[E any] struct {
	Calls map[string][]E // entries by key
	Last  uint64         // the end of the mirror
	first map[string]uint64
}

// Note takes an entry, in the order of the mirror; end says that it ends its call.
func (h *Haul[E]) Note(key string, seq uint64, end bool, e E) {
	if h.Calls == nil {
		h.Calls, h.first = make(map[string][]E), make(map[string]uint64)
	}
	h.Last = max(h.Last, seq)
	if end {
		delete(h.Calls, key)
		delete(h.first, key)
		return
	}
	if len(h.Calls[key]) == 0 {
		h.first[key] = seq
	}
	h.Calls[key] = append(h.Calls[key], e)
}

// Keep drops the calls that an adoption is not about.
func (h *Haul[E]) Keep(r Record) {
	for key, first := range h.first {
		if !r.Covers(first) {
			delete(h.Calls, key)
			delete(h.first, key)
		}
	}
}
