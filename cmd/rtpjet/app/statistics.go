package app

import (
	"maps"
	"net/netip"
	"time"

	"rtpjet/cmd/rtpjet/metrics"
	"rtpjet/ngserver"
	"rtpjet/ngserver/ng"
	"rtpjet/ngserver/report"
	"rtpjet/relay"
	"rtpjet/relay/plan"
)

func (n *Node) reportEnv() report.Env { return report.Env{} }

// statistics answers the command of that name.
func (n *Node) statistics() ng.Reply {
	reply := ng.OK()
	report.Statistics(reply.Object, n.report(n.countCalls(), n.engine.Totals(), n.server.Stats()))
	return reply
}

// report is what statistics and metrics have in common, from the state and the counters of the moment.
func (n *Node) report(calls metrics.Calls, totals relay.Totals, commands ngserver.Stats) report.Snapshot {
	s := report.Snapshot{
		Uptime:      n.clock().Sub(n.started),
		SessionsOwn: calls.Here(), SessionsForeign: calls.Elsewhere(),
		Rejected: n.tally.rejected.Load(),
		In:       totals.In, Out: totals.Out,
		Medias:     totals.Streams,
		Interfaces: n.interfaceUse(totals.Pools),
		Control:    commands.ControlStatistics,
	}
	s.PacketRate, s.ByteRate, s.ErrorRate = n.rate.now()
	n.tally.mu.Lock()
	s.Managed, s.Seconds, s.Squares = n.tally.managed, n.tally.seconds, n.tally.squares
	s.ZeroWay, s.OneWay = n.tally.zeroWay, n.tally.oneWay
	s.Ended = maps.Clone(n.tally.ended)
	n.tally.mu.Unlock()
	return s
}

// interfaceUse tells of each address of an interface how its port pool stands.
func (n *Node) interfaceUse(pools []relay.PoolUsage) []report.Interface {
	byAddr := make(map[netip.Addr]relay.PoolUsage, len(pools))
	for _, p := range pools {
		byAddr[p.Addr] = p
	}
	var out []report.Interface
	all := n.cfg.Interfaces.All()
	for _, u := range n.floats.held() {
		all = append(all, u.own.Interfaces.All()...)
	}
	for _, i := range all {
		p := byAddr[i.Addr]
		out = append(out, report.Interface{
			Name: i.Name, Addr: i.Addr, Min: i.Ports.Min, Max: i.Ports.Max,
			Used: p.Used, Free: p.Free, Total: p.Total,
		})
	}
	return out
}

// rates are the packets, bytes and errors a second, from one sweep to the next. The sweep alone measures.
type rates struct {
	last plan.Counters
	at   time.Time

	packets, bytes, errors counter
}

func (r *rates) measure(now time.Time, c plan.Counters) {
	if d := now.Sub(r.at).Seconds(); !r.at.IsZero() && d > 0 {
		r.packets.Store(uint64(float64(c.Packets-r.last.Packets) / d))
		r.bytes.Store(uint64(float64(c.Bytes-r.last.Bytes) / d))
		r.errors.Store(uint64(float64(c.Errors-r.last.Errors) / d))
	}
	r.last, r.at = c, now
}

func (r *rates) now() (packets, bytes, errors uint64) {
	return r.packets.Load(), r.bytes.Load(), r.errors.Load()
}
