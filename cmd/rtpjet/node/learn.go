package node

import (
	"context"
	"net/netip"
	"time"

	"rtpjet/events"
	"rtpjet/projection"
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

// write appends the event that a report on a call of this node means, if it means one: of asks the locked call. It returns false if that
// has to be tried again.
func (r reports) write(ctx context.Context, key string, of func(c *projection.Call) (ev events.Event, ok bool)) bool {
	e := r.acquire(key, false)
	if e == nil {
		return true
	}
	defer r.release(e)
	if !e.Call.Live() || !r.owners.carries(e.Call.Owner) {
		return true
	}
	ev, ok := of(&e.Call)
	return !ok || r.own(ctx, e, ev) == nil
}

// learned returns false if it has to be tried again.
func (r reports) learned(ctx context.Context, l plan.Learned) bool {
	return r.write(ctx, l.Call, func(c *projection.Call) (events.Event, bool) { return endpointLearned(c, l) })
}

// endpointLearned is what a call has learned from a report, if that is news.
func endpointLearned(c *projection.Call, l plan.Learned) (ev events.Event, ok bool) {
	party, media, rtcp, ok := c.Endpoint(l.Local)
	if !ok {
		return nil, false
	}
	m := &c.Party(party).Medias[media]
	if m.Signal != l.Epoch {
		return nil, false // learned under an offer or answer that is history
	}
	known, confirmed := m.Learned.RTP, m.Confirmed[0]
	if rtcp {
		known, confirmed = m.Learned.RTCP, m.Confirmed[1]
	}
	if known == l.Remote && (confirmed || !l.Confirmed) {
		return nil, false // nothing new
	}
	// An address that is just what the SDP said is an event, too: a restart must not take the first stray packet for news.
	return events.EndpointLearned{
		Party: party, Media: media, RTCP: rtcp, Remote: l.Remote, Signal: l.Epoch, Confirmed: l.Confirmed,
	}, true
}
