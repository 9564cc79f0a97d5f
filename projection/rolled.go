package projection

import (
	"slices"

	"rtpjet/events"
	"rtpjet/relay/plan"
)

// maxRolled bounds the sources whose state a call keeps; the oldest go first.
const maxRolled = 64

func (c *Call) applyRolled(ev events.RolledOver) {
	if p := c.Party(ev.Party); p == nil || ev.Media < 0 || ev.Media >= len(p.Medias) {
		return
	}
	same := func(r events.RolledOver) bool {
		r.ROC, r.Seq, r.Idx, r.Key = ev.ROC, ev.Seq, ev.Idx, ev.Key
		return r == ev
	}
	list := slices.DeleteFunc(slices.Clone(c.Rolled), same)
	if len(list) >= maxRolled {
		list = list[len(list)-maxRolled+1:]
	}
	c.Rolled = append(list, ev)
}

// withRollovers returns the protection of one direction of a socket with what is known of its sources; nil for none.
func (c *Call) withRollovers(s *plan.SRTP, party, media int, rtcp, out bool, key events.Crypto) *plan.SRTP {
	if s == nil || len(c.Rolled) == 0 {
		return s
	}
	digest := key.Digest()
	t := *s
	t.Rollovers = nil
	for _, r := range c.Rolled {
		if r.Party == party && r.Media == media && r.RTCP == rtcp && r.Out == out && r.Key == digest {
			t.Rollovers = append(t.Rollovers, plan.Rollover{SSRC: r.SSRC, ROC: r.ROC, Seq: r.Seq, Index: r.Idx})
		}
	}
	return &t
}

// RolledOver makes the event of what a relay reports of a source; ok is false if the stream is not the call's any more, or if
// it is known already.
func (c *Call) RolledOver(x plan.Crossed) (ev events.RolledOver, ok bool) {
	party, media, rtcp, ok := c.Endpoint(x.Local)
	if !ok || c.Party(party).Medias[media].SRTP == nil {
		return ev, false
	}
	keys := c.Party(party).Medias[media].Keys()
	key := keys.In
	if x.Out {
		key = keys.Out
	}
	ev = events.RolledOver{
		Party: party, Media: media, RTCP: rtcp, Out: x.Out, SSRC: x.SSRC, ROC: x.ROC, Seq: x.Seq, Idx: x.Index, Key: key.Digest(),
	}
	return ev, !slices.Contains(c.Rolled, ev)
}
