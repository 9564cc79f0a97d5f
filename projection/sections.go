package projection

import (
	"cmp"
	"slices"
	"strings"

	"rtpjet/events"
)

// Each side has a list of sections of its own: their number and their order are as its SDPs have them (RFC 3264 §5, §6, §8).
// Medias of two parties pair by position; what a party does not know of is hidden there, and Media.Place says in which order it knows
// the others.

// Order returns the positions of a party's sections in the order in which its SDPs have them.
func Order(medias []events.Media) []int {
	out := make([]int, 0, len(medias))
	for i := range medias {
		if !medias[i].Hidden {
			out = append(out, i)
		}
	}
	slices.SortStableFunc(out, func(a, b int) int { return cmp.Compare(medias[a].Place, medias[b].Place) })
	return out
}

// place notes an order of positions. Sections that are not in it keep theirs, which does not matter: they are hidden.
func place(medias []events.Media, order []int) {
	inOrder := slices.IsSorted(order)
	for i := range medias {
		medias[i].Place = 0
	}
	for i, pos := range order {
		if !inOrder {
			medias[pos].Place = uint16(i + 1)
		}
	}
}

// unplaced is the position of a section that has none.
const unplaced = -1

// matchSections returns the position of each section of an SDP in the sender's medias, as those of the SDP before have them. Sections stand
// where they stood, unless the kinds say otherwise; a-mid and media type tell which is which then. A section that finds no place
// is unplaced.
func matchSections(secs []Section, medias []events.Media, answer bool) []int {
	known := Order(medias)
	out := make([]int, len(secs))
	for i := range out {
		out[i] = unplaced
	}
	if standsAsBefore(secs, medias, known, answer) {
		copy(out, known)
		return out
	}
	used := make([]bool, len(known))
	take := func(i int, fit func(m *events.Media, sec *Section) bool) {
		if out[i] != unplaced {
			return
		}
		for k, pos := range known {
			if !used[k] && fit(&medias[pos], &secs[i]) {
				out[i], used[k] = pos, true
				return
			}
		}
	}
	for i := range secs {
		take(i, func(m *events.Media, sec *Section) bool { return sec.Mid != "" && sec.Mid == m.Mid && sameKind(m, sec) })
	}
	for i := range secs {
		take(i, func(m *events.Media, sec *Section) bool { return sameKind(m, sec) && m.Rejected == sec.Rejected })
	}
	for i := range secs {
		take(i, sameKind)
	}
	for i := range secs { // another kind in an old place (RFC 3264 §8.3.3)
		if out[i] == unplaced && i < len(known) && !used[i] {
			out[i], used[i] = known[i], true
		}
	}
	return out
}

// standsAsBefore tells whether sections are where they were. More than before stand behind; fewer are those that were first. In an offer
// the place of a refused section is free for another kind (RFC 3264 §8.1); an answer has the kinds of its offer.
func standsAsBefore(secs []Section, medias []events.Media, known []int, answer bool) bool {
	for i := range min(len(secs), len(known)) {
		m, sec := &medias[known[i]], &secs[i]
		free := !answer && len(secs) >= len(known) && (m.Rejected || sec.Rejected)
		if !sameKind(m, sec) && !free {
			return false
		}
	}
	return true
}

func sameKind(m *events.Media, sec *Section) bool { return strings.EqualFold(m.Type, sec.Type) }

// lineUp finds the position of each section of an SDP in both parties' medias, makes new ones for those that are new, and gives both
// parties their orders. at has for each position the index of its section in secs, or unplaced; gone are the positions that the
// sender knew and that its SDP leaves out.
func (d *mediaDecision) lineUp(secs []Section, sender, receiver *events.Party) (at, gone []int) {
	known, receiverOrder := Order(sender.Medias), Order(receiver.Medias)
	where := matchSections(secs, sender.Medias, d.Answer)
	unasked := d.Answer && len(receiver.Medias) > 0 // an answer to nothing is taken as it is
	if unasked {
		d.refuseUnasked(secs, where, sender.Medias)
	}
	for i := range secs {
		if where[i] != unplaced {
			continue
		}
		where[i] = d.newPosition(&secs[i], sender, receiver, where)
		if unasked {
			receiver.Medias[where[i]].Hidden = true
		}
	}
	n := max(len(sender.Medias), len(receiver.Medias))
	grow(sender, n-1)
	grow(receiver, n-1)
	at = slices.Repeat([]int{unplaced}, n)
	for i, pos := range where {
		if m := &sender.Medias[pos]; !unasked || m.Type == "" || sameKind(m, &secs[i]) {
			at[pos] = i
		}
		sender.Medias[pos].Hidden = false
		if !slices.Contains(receiverOrder, pos) && !receiver.Medias[pos].Hidden { // what is new to the receiver stands behind what it knows
			receiverOrder = append(receiverOrder, pos)
		}
	}
	for pos, i := range at {
		if i != unplaced {
			continue
		}
		if !slices.Contains(where, pos) {
			sender.Medias[pos].Hidden = true
			if slices.Contains(known, pos) {
				gone = append(gone, pos)
			}
		}
		strange(&sender.Medias[pos], &receiver.Medias[pos])
		strange(&receiver.Medias[pos], &sender.Medias[pos])
	}
	place(sender.Medias, where)
	place(receiver.Medias, receiverOrder)
	return at, gone
}

// strange hides a section from a party that has never had it: it is of another dialogue of the other one.
func strange(m, o *events.Media) {
	if m.Type == "" {
		m.Type, m.Protocol, m.Formats, m.Rejected, m.Hidden = o.Type, o.Protocol, o.Formats, true, true
	}
}

// refuseUnasked refuses the sections of an answer that answer nothing that was offered: they are never live.
func (d *mediaDecision) refuseUnasked(secs []Section, where []int, medias []events.Media) {
	for i := range secs {
		if where[i] == unplaced || !sameKind(&medias[where[i]], &secs[i]) {
			if !secs[i].Rejected {
				d.misplaced++
			}
			secs[i].Rejected = true
		}
	}
}

// newPosition is where a section goes that the sender has not had: to the place of one that it has left out and that is refused on the
// other side, to one of the receiver's that the sender knows nothing of, for it is not the one whom the receiver has talked to, or
// behind all others. taken are the places of the other sections.
func (d *mediaDecision) newPosition(sec *Section, sender, receiver *events.Party, taken []int) int {
	if !d.Answer {
		for pos := range min(len(sender.Medias), len(receiver.Medias)) {
			m, o := &sender.Medias[pos], &receiver.Medias[pos]
			if m.Hidden && o.Rejected && !o.Hidden && sameKind(m, sec) {
				m.Hidden = false
				return pos
			}
		}
		for pos := range receiver.Medias {
			o := &receiver.Medias[pos]
			strange := pos >= len(sender.Medias) || sender.Medias[pos].Type == ""
			if strange && !o.Hidden && sameKind(o, sec) && !slices.Contains(taken, pos) {
				grow(sender, pos)
				return pos
			}
		}
	}
	n := max(len(sender.Medias), len(receiver.Medias))
	grow(sender, n)
	grow(receiver, n)
	return n
}
