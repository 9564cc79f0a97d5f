package regions

import "slices"

// Route says who carries out a command.
type Route struct {
	// Home is the region that does; empty: this one.
	Home string
	// AskAll is true if this region does not know the call and others may: their mirrors are a moment old.
	AskAll bool
}

// Begins tells whether a command that may begin a call, as begins says, may do so here without a question to the other regions. One
// with a to-tag is for a call that there is already, somewhere: the mirrors are a moment old.
func Begins(begins bool, toTag string) bool { return begins && toTag == "" }

// Sighting is a live call in the mirror of a region; First is the sequence of the first event there that is of it.
type Sighting struct {
	Region string
	First  uint64
	Silent bool // the region cannot be asked now
}

// Decide says who carries out a command for a call. live and known say whether the call lives in this region, and whether
// this region has heard of it; begins says that the command may begin a call; others are the regions in whose mirrors the call
// lives, and records all that are known.
//
// A call that lives here is carried out here, whatever the mirrors say: no command for it waits for another region. Of a region
// that was adopted, what the mirror has from before is the adopter's, also after its return, which the mirror may not show yet;
// what began since then is its own.
func Decide(live, known, begins bool, others []Sighting, records []Record) Route {
	if live {
		return Route{}
	}
	var home string
	silent := false
	for _, s := range others {
		if slices.ContainsFunc(records, func(r Record) bool { return r.Region == s.Region && r.Moved(s.First) || outlived(r, s, others) }) {
			continue
		}
		// Of twins, begun by two proxies at the same moment, one that can be asked.
		if home == "" || silent && !s.Silent || silent == s.Silent && s.Region < home {
			home, silent = s.Region, s.Silent
		}
	}
	if home != "" {
		return Route{Home: home}
	}
	return Route{AskAll: !known && !begins}
}

// outlived tells whether what an adopter has under a call-id is an earlier call than the one that the adopted region has by now: it
// had ended there, and the mirror did not show it.
func outlived(r Record, s Sighting, others []Sighting) bool {
	return r.By == s.Region && r.Upto > 0 && (r.State == Taken || r.State == Returned) &&
		slices.ContainsFunc(others, func(o Sighting) bool { return o.Region == r.Region && !r.Moved(o.First) })
}

// Promise decides whether a region may be adopted by another one, as far as the region is concerned that is asked. have is its
// record, lost that of its [Link.Lost], and known are the records of all regions that it has heard of: the promise may have been
// taken back since, when the region was heard again. refusal is a sentence if it may not.
func Promise(have Record, by string, lost bool, known []Record, now int64) (want Record, refusal string) {
	adopter := AdopterOf(have.Region, known)
	switch {
	case !lost:
		return have, "it hears the region, or has not listened for it long enough"
	case have.State == Promised && have.By != by && now-have.At < PromiseTime:
		return have, "it has promised the region to " + have.By
	case have.State == Taken && have.By != by:
		return have, "the region was adopted by " + have.By
	case adopter != "" && adopter != by:
		return have, "the region was adopted by " + adopter
	}
	if have.State != Taken {
		have.State, have.By, have.At = Promised, by, now
	}
	return have, ""
}
