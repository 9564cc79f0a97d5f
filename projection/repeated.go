package projection

import (
	"slices"
	"strings"

	"rtpjet/events"
)

// The final reply to an INVITE may say once more what a reliable provisional one has said. It is no answer then, and after an UPDATE
// it is out of date as well: who has sent the INVITE ignores it (RFC 3261 §13.2.1, RFC 6337 §3.1), and so do we. It is told from
// a reply that says something else by what it says.

// repeats tells whether an SDP only repeats the first answer to an offer, after another exchange has settled something else.
func repeats(p *events.Proposal, secs []Section) bool {
	return p.Outdated && p.Said != "" && saidBySections(secs) == p.Said
}

// repetition lines the sections of an SDP that changes nothing up with those that are in force, for its reply. It returns the index
// in the SDP of each position, and the receiver as the reply is to show it: with no more sections than the SDP has.
func (d *mediaDecision) repetition(secs []Section, sender, receiver *events.Party) (at []int, shown *events.Party) {
	scratch, s, r := *d, *sender, *receiver
	s.Medias, r.Medias = slices.Clone(s.Medias), slices.Clone(r.Medias)
	at, _ = scratch.lineUp(slices.Clone(secs), &s, &r)
	at = at[:len(receiver.Medias)]
	r.Medias = slices.Clone(receiver.Medias)
	for pos, i := range at {
		if i == unplaced {
			r.Medias[pos].Hidden = true
		} else {
			at[pos] = secs[i].Index
		}
	}
	return at, &r
}

// saidBySections is what an SDP says of where its sender is and what it takes, in short.
func saidBySections(secs []Section) string {
	var b strings.Builder
	for i := range secs {
		sec := &secs[i]
		say(&b, sec.Type, sec.Rejected, sec.Remote, sec.Direction, sec.Formats)
	}
	return b.String()
}

// saidBy is the same of the sections of a party.
func saidBy(medias []events.Media) string {
	var b strings.Builder
	for _, pos := range Order(medias) {
		m := &medias[pos]
		say(&b, m.Type, m.Rejected, m.Remote, m.Direction, m.Formats)
	}
	return b.String()
}

func say(b *strings.Builder, kind string, rejected bool, remote events.Ports, dir events.Direction, formats []string) {
	b.WriteString(strings.ToLower(kind))
	if !rejected {
		for _, word := range []string{remote.RTP.String(), string(dir), strings.Join(formats, ",")} {
			b.WriteByte(' ')
			b.WriteString(word)
		}
	}
	b.WriteByte(';')
}
