package app

import (
	"context"
	"net/netip"
	"time"

	"rtpjet/events"
	"rtpjet/relay/plan"
)

// learn makes events of the addresses that the relay learns, so that a restart or another node sends to the same
// (design, decision 10).
func (n *Node) learn(ctx context.Context) error {
	// The latest address of each socket that the log did not take. The relay says everything once, so they are kept here:
	// there are never more than sockets.
	pending := make(map[netip.AddrPort]plan.Learned)
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case l, ok := <-n.engine.Learned():
			if !ok {
				return nil
			}
			if len(pending) > 0 || !n.learned(ctx, l) {
				pending[l.Local] = l
			}
		case <-tick.C:
			for local, l := range pending {
				if !n.learned(ctx, l) {
					break // one in each round finds out whether the log is back
				}
				delete(pending, local)
			}
		}
	}
}

// learned returns false if it has to be tried again.
func (n *Node) learned(ctx context.Context, l plan.Learned) bool {
	e := n.calls.acquire(l.Call, false)
	if e == nil {
		return true
	}
	defer n.calls.release(e)
	if !e.call.Live() || e.call.Owner != n.id {
		return true
	}
	party, media, rtcp, ok := e.call.Endpoint(l.Local)
	if !ok {
		return true
	}
	m := &e.call.Party(party).Medias[media]
	if m.Signal != l.Epoch {
		return true // learned under an offer or answer that is history
	}
	known, confirmed := m.Learned.RTP, m.Confirmed[0]
	if rtcp {
		known, confirmed = m.Learned.RTCP, m.Confirmed[1]
	}
	if known == l.Remote && (confirmed || !l.Confirmed) {
		return true // nothing new
	}
	// An address that is just what the SDP said is an event, too: a restart must not take the first stray packet for news.
	return n.own(ctx, e, events.EndpointLearned{
		Party: party, Media: media, RTCP: rtcp, Remote: l.Remote, Signal: l.Epoch, Confirmed: l.Confirmed,
	}) == nil
}
