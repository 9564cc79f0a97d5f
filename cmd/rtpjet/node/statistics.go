package node

import (
	"maps"
	"net/netip"
	"sync/atomic"
	"time"

	"rtpjet/cmd/rtpjet/metrics"
	"rtpjet/ngserver"
	"rtpjet/ngserver/report"
	"rtpjet/relay"
	"rtpjet/relay/plan"
)

// snapshot is what the command "statistics" tells.
func (i Inspector) snapshot() report.Snapshot {
	return i.report(i.calls(), i.n.engine.Totals(), i.n.server.Stats())
}

// report is what statistics and metrics have in common, from the state and the counters of the moment.
func (i Inspector) report(calls metrics.Calls, totals relay.Totals, commands ngserver.Stats) report.Snapshot {
	n := i.n
	s := report.Snapshot{
		Uptime:      n.clock().Sub(n.started),
		SessionsOwn: calls.Here(), SessionsForeign: calls.Elsewhere(),
		Rejected: n.tally.rejected.Load(),
		In:       totals.In, Out: totals.Out,
		Received: totals.Received, Jitter: totals.Jitter,
		Rate:       n.rate.now(totals.In, n.clock().Sub(n.started)),
		Medias:     totals.Streams,
		Interfaces: i.interfaceUse(totals.Pools),
		Control:    commands.ControlStatistics,
	}
	n.tally.mu.Lock()
	s.Managed, s.Seconds, s.Squares = n.tally.managed, n.tally.seconds, n.tally.squares
	s.ZeroWay, s.OneWay = n.tally.zeroWay, n.tally.oneWay
	s.Ended = maps.Clone(n.tally.ended)
	n.tally.mu.Unlock()
	return s
}

// interfaceUse tells of each address of an interface how its port pool stands.
func (i Inspector) interfaceUse(pools []relay.PoolUsage) []report.Interface {
	byAddr := make(map[netip.Addr]relay.PoolUsage, len(pools))
	for _, p := range pools {
		byAddr[p.Addr] = p
	}
	var out []report.Interface
	all := i.n.cfg.Interfaces.All()
	for _, f := range i.n.floats.Held() {
		all = append(all, f.Own().All()...)
	}
	for _, own := range all {
		p, ours := byAddr[own.Addr]
		out = append(out, report.Interface{
			Name: own.Name, Addr: own.Addr, Min: own.Ports.Min, Max: own.Ports.Max,
			Used: p.Used, Free: p.Free, Total: p.Total,
			Traffic: ours, In: p.In, Out: p.Out, Received: p.Received, Jitter: p.Jitter,
		})
	}
	return out
}

// rates are what is counted a second, from one sweep to the next. The sweep alone measures.
type rates struct {
	last plan.Counters
	at   time.Time

	rate atomic.Pointer[plan.Counters]
}

func (r *rates) measure(now time.Time, c plan.Counters) {
	if !r.at.IsZero() {
		rate := perSecond(c, r.last, now.Sub(r.at))
		r.rate.Store(&rate)
	}
	r.last, r.at = c, now
}

// now is the rate of the moment. Before the sweep has measured one it is the mean since the node began, from what was counted.
func (r *rates) now(c plan.Counters, uptime time.Duration) plan.Counters {
	if rate := r.rate.Load(); rate != nil {
		return *rate
	}
	return perSecond(c, plan.Counters{}, uptime)
}

func perSecond(now, last plan.Counters, d time.Duration) plan.Counters {
	if d <= 0 {
		return plan.Counters{}
	}
	per := func(now, last uint64) uint64 { return uint64(float64(now-last) / d.Seconds()) }
	return plan.Counters{
		Packets: per(now.Packets, last.Packets), Bytes: per(now.Bytes, last.Bytes), Errors: per(now.Errors, last.Errors),
	}
}
