package projection

import (
	"slices"

	"rtpjet/events"
)

// answerKeys settles which keys are used on both sides: m has answered our offer, and o gets the answer to its own.
func (d *mediaDecision) answerKeys(sec *Section, m, o *events.Media) {
	if m.EndToEnd || !sec.RTP {
		m.SRTP, o.SRTP = nil, nil
		return
	}
	if d.Req.Recrypt {
		m.Recrypt, o.Recrypt = true, true
	}
	from, to := m.Keys(), o.Keys()
	in, out, agreed := chosen(sec.Crypto, from.Sent)
	from.In, from.Out, from.Received = in, out, nil
	if agreed {
		// Our other lines are off the table. If there is none, a later offer may repeat all of them.
		from.Received, from.Sent = []events.Crypto{from.In}, []events.Crypto{from.Out}
	}
	if d.answersKeys(from, to, o.Protocol, agreed) {
		to.In, to.Out = d.answerLine(to, from.In, agreed)
		to.Sent = []events.Crypto{to.Out}
	} else {
		if to.OSRTP && from.OSRTP && !agreed { // it was a question, and the answer is no
			to = events.SRTP{}
		}
		to.Sent, to.In, to.Out = nil, events.Crypto{}, events.Crypto{}
	}
	m.SetKeys(from)
	o.SetKeys(to)
}

// chosen finds the line of an answer that takes one of ours: the one with its tag, or else, since some phones count anew, the
// one with its suite. Session parameters are negotiated (RFC 4568 §6.3): what the answer says holds both ways.
func chosen(answer, sent []events.Crypto) (in, out events.Crypto, ok bool) {
	for _, c := range answer {
		i := slices.IndexFunc(sent, func(s events.Crypto) bool { return s.Tag == c.Tag && s.Suite == c.Suite })
		if i < 0 {
			i = slices.IndexFunc(sent, func(s events.Crypto) bool { return s.Suite == c.Suite })
		}
		if i >= 0 {
			in, out = cloneCryptos([]events.Crypto{c})[0], sent[i]
			sameParameters(&out, in)
			return in, out, true
		}
	}
	return in, out, false
}

func sameParameters(c *events.Crypto, as events.Crypto) {
	c.UnencryptedSRTP, c.UnencryptedSRTCP, c.UnauthenticatedSRTP = as.UnencryptedSRTP, as.UnencryptedSRTCP, as.UnauthenticatedSRTP
}

// answersKeys tells whether the answer carries a key. An OSRTP offer that was passed on and refused is answered in plain,
// unless the client wants the relay to bridge.
func (d *mediaDecision) answersKeys(from, to events.SRTP, profile string, agreed bool) bool {
	if len(to.Received) == 0 {
		return false
	}
	if secured(profile) {
		return true
	}
	bridge := slices.Contains(d.Req.OSRTP, "accept") || slices.Contains(d.Req.OSRTP, "accept-RFC")
	return to.OSRTP && (agreed || bridge || !from.OSRTP)
}

// answerLine chooses from what was offered to us: the suite that the far side uses, so that packets may pass as they are, or
// else the first. A key that we have given for the same line stays; one that can be the far side's is that.
func (d *mediaDecision) answerLine(to events.SRTP, far events.Crypto, agreed bool) (in, out events.Crypto) {
	find := func(suite string) int {
		return slices.IndexFunc(to.Received, func(c events.Crypto) bool { return c.Suite == suite })
	}
	if last := to.Out; last != (events.Crypto{}) && slices.Contains(d.Req.SDES, "static") {
		if i := find(last.Suite); i >= 0 {
			in, out = to.Received[i], last
			out.Tag = in.Tag
			sameParameters(&out, in)
			return in, out
		}
	}
	in = to.Received[0]
	same := false
	if agreed && !to.OffererPref {
		if i := find(far.Suite); i >= 0 {
			in, same = to.Received[i], true
		}
	}
	i := slices.IndexFunc(to.Sent, func(s events.Crypto) bool { return s.Tag == in.Tag && s.Suite == in.Suite })
	switch {
	case i >= 0:
		out = to.Sent[i]
		sameParameters(&out, in)
	case same:
		out = far
		out.Tag, out.Lifetime = in.Tag, ""
		sameParameters(&in, out)
	default:
		s, _ := LookupSuite(in.Suite)
		out = events.Crypto{Tag: in.Tag, Suite: in.Suite, Key: d.freshKey(s)}
		sameParameters(&out, in)
	}
	return in, out
}
