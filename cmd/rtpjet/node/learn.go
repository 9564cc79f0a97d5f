package node

import (
	"context"
	"net/netip"
	"time"

	"rtpjet/events"
	"rtpjet/relay/plan"
)

// takeReports hands each report of the relay to write until ctx ends or the channel is closed. The relay says everything once,
// so what write could not put into the log is kept, the latest of each key, and tried again. There are never more keys than
// sockets, or than sources on them.
func takeReports[K comparable, R any](ctx context.Context, reports <-chan R, key func(R) K, write func(context.Context, R) bool) error {
	pending := make(map[K]R)
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case r, ok := <-reports:
			if !ok {
				return nil
			}
			if len(pending) > 0 || !write(ctx, r) {
				pending[key(r)] = r
			}
		case <-tick.C:
			for k, r := range pending {
				if !write(ctx, r) {
					break // one in each round finds out whether the log is back
				}
				delete(pending, k)
			}
		}
	}
}

// reports makes events of what the relay reports.
type reports struct{ *calls }

// learn makes events of the addresses that the relay learns, so that a restart or another node sends to the same
// (docs/decisions/10-learned-state.md).
func (r reports) learn(ctx context.Context) error {
	return takeReports(ctx, r.engine.Learned(), func(l plan.Learned) netip.AddrPort { return l.Local }, r.learned)
}

// learned returns false if it has to be tried again.
func (r reports) learned(ctx context.Context, l plan.Learned) bool {
	e := r.acquire(l.Call, false)
	if e == nil {
		return true
	}
	defer r.release(e)
	if !e.Call.Live() || !r.owners.carries(e.Call.Owner) {
		return true
	}
	party, media, rtcp, ok := e.Call.Endpoint(l.Local)
	if !ok {
		return true
	}
	m := &e.Call.Party(party).Medias[media]
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
	return r.own(ctx, e, events.EndpointLearned{
		Party: party, Media: media, RTCP: rtcp, Remote: l.Remote, Signal: l.Epoch, Confirmed: l.Confirmed,
	}) == nil
}
