package history

import (
	"slices"
	"strings"

	"rtpjet/events"
)

// Row is a number of steps that people see as one line, or as one round of a pattern that comes again and again.
type Row struct {
	First int `json:"first"` // index into Steps
	Last  int `json:"last"`
	// Round is how many steps make a round, those that are shown, and Times how often there is one. A step by itself has 1 and 1.
	Round int `json:"round"`
	Times int `json:"times"`
	// Rollovers counts the rollovers among them, which belong to no round. Round is 0 if there is nothing else.
	Rollovers int `json:"rollovers,omitempty"`
}

// Single tells whether the row is one step.
func (r Row) Single() bool { return r.First == r.Last }

const (
	// maxRound is the longest pattern that is looked for: an offer, its answer, and what is learned of both, with RTCP.
	maxRound = 8
	// minTimes is how often a pattern has to come before it is folded.
	minTimes = 3
)

// fold finds what repeats itself. A repetition has the same kind of step at the same place with the same things changed, to
// whatever values. Rollovers are left out of that: they come all the time.
func fold(steps []Step) []Row {
	var real []int // steps that are no rollovers
	for i := range steps {
		if steps[i].Kind != string(events.KindRolledOver) {
			real = append(real, i)
		}
	}
	marks := make([]string, len(real))
	for k, i := range real {
		marks[k] = mark(&steps[i])
	}
	var rows []Row
	next := 0 // the next step without a row
	rollovers := func(upto int) {
		if upto > next {
			rows = append(rows, Row{First: next, Last: upto - 1, Times: 1, Rollovers: upto - next})
			next = upto
		}
	}
	for k := 0; k < len(real); {
		rollovers(real[k])
		round, times := repetition(marks[k:])
		last := real[k+round*times-1]
		rows = append(rows, Row{First: real[k], Last: last, Round: round, Times: times, Rollovers: last - real[k] + 1 - round*times})
		k, next = k+round*times, last+1
	}
	rollovers(len(steps))
	return rows
}

// repetition finds the pattern at the begin of marks that covers the most of them; 1 and 1 if there is none.
func repetition(marks []string) (round, times int) {
	round, times = 1, 1
	for r := 1; r <= maxRound && r*minTimes <= len(marks); r++ {
		n := 1
		for (n+1)*r <= len(marks) && slices.Equal(marks[:r], marks[n*r:(n+1)*r]) {
			n++
		}
		if n >= minTimes && n*r > round*times {
			round, times = r, n
		}
	}
	return round, times
}

// mark is equal for steps that are the same to people.
func mark(s *Step) string {
	out := []string{s.Kind, s.Label, s.Node, s.Owner, s.Error, strings.Join(s.Path, ">")}
	if s.Answered != nil {
		out = append(out, s.Answered.Result, s.Answered.Reason)
	}
	for _, c := range s.Changes {
		if !c.Minor {
			out = append(out, c.Path)
		}
	}
	return strings.Join(out, "\x00")
}
