package projection

import (
	"slices"

	"rtpjet/events"
	"rtpjet/relay/plan"
)

// maxRolled bounds the sources whose state a call keeps; the oldest go first.
const maxRolled = 64

func (c *Call) applyRolled(ev events.RolledOver, at int64) {
	if p := c.Party(ev.Party); p == nil || ev.Media < 0 || ev.Media >= len(p.Medias) {
		return
	}
	same := func(r Rolled) bool {
		r.ROC, r.Seq, r.Idx, r.Key = ev.ROC, ev.Seq, ev.Idx, ev.Key
		return r.RolledOver == ev
	}
	list := slices.DeleteFunc(slices.Clone(c.Rolled), same)
	if len(list) >= maxRolled {
		list = list[len(list)-maxRolled+1:]
	}
	c.Rolled = append(list, Rolled{ev, at})
}

// unreported is how many SRTCP packets a source may have sent between two times without the log knowing: what is under way
// to it when a process is killed is lost, and the next process may be killed before its own first report is there. Indices
// count no faster than milliseconds, so no two processes, each of which begins that far behind the last report, use the same.
func unreported(from, to int64) uint32 {
	return uint32(min(max(to-from, 0)/1000, 1<<30)) // half of all indices after 12 days, and no more
}

// withRollovers returns the protection of one direction of a socket with what is known of its sources; nil for none.
func (c *Call) withRollovers(s *plan.SRTP, party, media int, rtcp, out bool, key events.Crypto, now int64) *plan.SRTP {
	if s == nil {
		return s
	}
	digest := key.Digest()
	t := *s
	t.Rollovers = nil
	if out {
		t.FirstIndex = unreported(c.Created, now)
	}
	for _, r := range c.Rolled {
		if r.Party == party && r.Media == media && r.RTCP == rtcp && r.Out == out && r.Key == digest {
			known := plan.Rollover{SSRC: r.SSRC, ROC: r.ROC, Seq: r.Seq, Index: r.Idx}
			if out {
				known.Index += unreported(r.At, now)
			}
			t.Rollovers = append(t.Rollovers, known)
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
	return ev, !slices.ContainsFunc(c.Rolled, func(r Rolled) bool { return r.RolledOver == ev })
}
