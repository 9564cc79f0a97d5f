package metrics

import (
	"rtpjet/ngserver"
	"rtpjet/relay"
	"rtpjet/relay/plan"
)

// own are the metrics that rtpengine does not have.
var own = []metric{
	{name: "rtpjet_build_info", kind: gauge, labels: []string{"version", "revision", "go"}, early: true, help: "What runs; always 1.",
		fill: func(s *Snapshot, emit emit) { emit(1, s.Build.Version, s.Build.Revision, s.Build.Go) }},
	{name: "rtpjet_ready", kind: gauge, early: true, help: "1 while commands are answered: what /readyz says.",
		fill: func(s *Snapshot, emit emit) { emit(truth(s.Ready)) }},
	{name: "rtpjet_draining", kind: gauge, help: "1 while the node takes no new calls because an operator asked for it.",
		fill: func(s *Snapshot, emit emit) { emit(truth(s.Draining)) }},

	{name: "rtpjet_calls", kind: gauge, labels: []string{"owner", "carried"},
		help: "Live calls that the node knows of, by what owns them (node, float) and by who carries them (here, elsewhere).",
		fill: func(s *Snapshot, emit emit) {
			emit(float64(s.Calls.NodeHere), "node", "here")
			emit(float64(s.Calls.NodeElsewhere), "node", "elsewhere")
			emit(float64(s.Calls.FloatHere), "float", "here")
			emit(float64(s.Calls.FloatElsewhere), "float", "elsewhere")
		}},
	{name: "rtpjet_pool_ports", kind: gauge, labels: []string{"address", "float", "state"},
		help: "Ports of each pool: used, free, or resting after use. float is the id of a floating address, empty for others.",
		fill: func(s *Snapshot, emit emit) {
			for _, p := range s.Pools {
				emit(float64(p.Used), p.Addr.String(), p.Float, "used")
				emit(float64(p.Free), p.Addr.String(), p.Float, "free")
				emit(float64(p.Resting), p.Addr.String(), p.Float, "resting")
			}
		}},

	{name: "rtpjet_packets_total", kind: counter, labels: []string{"direction"},
		help: "Packets received and accepted (in), and packets sent (out).",
		fill: directions(func(c plan.Counters) uint64 { return c.Packets })},
	{name: "rtpjet_bytes_total", kind: counter, labels: []string{"direction"}, help: "Their bytes of UDP payload.",
		fill: directions(func(c plan.Counters) uint64 { return c.Bytes })},
	{name: "rtpjet_packets_shed_total", kind: counter, labels: []string{"reason"},
		help: "Packets that went no further, by reason.",
		fill: func(s *Snapshot, emit emit) {
			for i, n := range s.Relay.Shed {
				emit(float64(n), relay.Shed(i).String())
			}
		}},
	{name: "rtpjet_rtp_irregular_total", kind: counter, labels: []string{"address", "kind"},
		help: "RTP packets that did not follow the one before them, by the address of the node on which they arrived: gaps, reordered and duplicate ones, and sources that began anew.",
		fill: onAddress(func(p *relay.PoolUsage, addr string, emit emit) {
			emit(float64(p.Received.Gaps), addr, "gap")
			emit(float64(p.Received.Reordered), addr, "reordered")
			emit(float64(p.Received.Duplicates), addr, "duplicate")
			emit(float64(p.Received.Resets), addr, "reset")
		})},
	// No counter: what comes late after all is taken off.
	{name: "rtpjet_rtp_lost_packets", kind: gauge, labels: []string{"address"},
		help: "RTP packets that are missing between those that arrived on the address since the start. One that arrives late is taken off again.",
		fill: onAddress(func(p *relay.PoolUsage, addr string, emit emit) { emit(float64(p.Received.Lost), addr) })},
	{name: "rtpjet_rtp_jitter_seconds_total", kind: counter, labels: []string{"address"},
		help: "Sum of the samples of interarrival jitter (RFC 3550): one of each source that sends, every five seconds.",
		fill: onAddress(func(p *relay.PoolUsage, addr string, emit emit) { emit(float64(p.Jitter.Sum)/1e6, addr) })},
	{name: "rtpjet_rtp_jitter_samples_total", kind: counter, labels: []string{"address"}, help: "Number of those samples.",
		fill: onAddress(func(p *relay.PoolUsage, addr string, emit emit) { emit(float64(p.Jitter.Count), addr) })},

	{name: "rtpjet_ng_repeats_total", kind: counter, labels: []string{"outcome"},
		help: "NG commands that came again: answered from memory, joined to the one in progress, or refused.",
		fill: func(s *Snapshot, emit emit) {
			emit(float64(s.NG.Cache.Hits), "answered")
			emit(float64(s.NG.Cache.Joined), "joined")
			emit(float64(s.NG.Cache.Refused), "refused")
		}},
	{name: "rtpjet_ng_cookie_collisions_total", kind: counter,
		help: "NG commands whose cookie was in use for another command. Each was executed; the clients do not make their cookies unique.",
		fill: func(s *Snapshot, emit emit) { emit(float64(s.NG.Cache.Collisions)) }},
	{name: "rtpjet_ng_refused_total", kind: counter, labels: []string{"reason"},
		help: "NG messages that were not carried out as they should be, by reason.",
		fill: func(s *Snapshot, emit emit) {
			emit(float64(s.NG.Ignored), "no_cookie")
			emit(float64(s.NG.Overloaded), "overload")
			emit(float64(s.NG.Panics), "panic")
			emit(float64(s.NG.TooLarge), "reply_too_large")
		}},
	{name: "rtpjet_ng_cache_entries", kind: gauge, help: "Replies that are kept for commands that come again.",
		fill: func(s *Snapshot, emit emit) { emit(float64(s.NG.Cache.Entries)) }},
	{name: "rtpjet_ng_cache_bytes", kind: gauge, help: "How much memory those replies take, about.",
		fill: func(s *Snapshot, emit emit) { emit(float64(s.NG.Cache.Bytes)) }},
	{name: "rtpjet_ng_running", kind: gauge, help: "NG commands that are being executed or wait for their turn.",
		fill: func(s *Snapshot, emit emit) { emit(float64(s.NG.Cache.Running)) }},

	{name: "rtpjet_log_reachable", kind: gauge, help: "1 if the event log answered this scrape.",
		fill: func(s *Snapshot, emit emit) { emit(truth(s.Log.Reachable)) }},
	{name: "rtpjet_log_head", kind: gauge, help: "Sequence of the last entry of the log; absent if the log did not answer.",
		fill: func(s *Snapshot, emit emit) {
			if s.Log.Reachable {
				emit(float64(max(s.Log.Head, s.Log.Followed))) // it may have been asked for a moment before
			}
		}},
	{name: "rtpjet_log_followed", kind: gauge, help: "Sequence up to which this node has read the log.",
		fill: func(s *Snapshot, emit emit) { emit(float64(s.Log.Followed)) }},
	{name: "rtpjet_projection_lag_entries", kind: gauge,
		help: "Entries of the log that this node has not read yet; absent if the log did not answer.",
		fill: func(s *Snapshot, emit emit) {
			if s.Log.Reachable {
				emit(float64(max(s.Log.Head, s.Log.Followed) - s.Log.Followed))
			}
		}},
	{name: "rtpjet_projection_lag_seconds", kind: gauge, help: "Age of the first of those; absent if the log did not answer.",
		fill: func(s *Snapshot, emit emit) {
			if s.Log.Reachable {
				emit(s.Log.Lag.Seconds())
			}
		}},
	{name: "rtpjet_log_away_seconds", kind: gauge, help: "For how long commands have found that the log does not answer; 0 if it does.",
		fill: func(s *Snapshot, emit emit) { emit(s.Log.Away.Seconds()) }},
	{name: "rtpjet_unlogged_events", kind: gauge, help: "Events that took effect and wait for the log (--log-loss=serve).",
		fill: func(s *Snapshot, emit emit) { emit(float64(s.Log.Unlogged)) }},
	{name: "rtpjet_held_reservations", kind: gauge, help: "Reservations of ports about which the log is still to be asked.",
		fill: func(s *Snapshot, emit emit) { emit(float64(s.Log.Held)) }},
	{name: "rtpjet_unreadable_events_total", kind: counter, help: "Events that this build cannot read, and leaves alone.",
		fill: func(s *Snapshot, emit emit) { emit(float64(s.Log.Unreadable)) }},
	{name: "rtpjet_unopened_events_total", kind: counter, help: "Events with secrets that the cluster key does not open.",
		fill: func(s *Snapshot, emit emit) { emit(float64(s.Log.Unopened)) }},
	{name: "rtpjet_archiving", kind: gauge, help: "1 on the node that archives ended calls; of a region, there is one.",
		fill: func(s *Snapshot, emit emit) { emit(truth(s.Log.Archiving)) }},

	{name: "rtpjet_float_held", kind: gauge, labels: []string{"float"}, help: "1 on the node that holds the floating address.",
		fill: floats(func(f Float) float64 { return truth(f.Held) })},
	{name: "rtpjet_float_warm", kind: gauge, labels: []string{"float"}, help: "1 where all calls of the floating address are ready.",
		fill: floats(func(f Float) float64 { return truth(f.Warm) })},
	{name: "rtpjet_float_has_holder", kind: gauge, labels: []string{"float"}, help: "1 if any node holds it, as far as this one can see.",
		fill: floats(func(f Float) float64 { return truth(f.HasHolder) })},
	{name: "rtpjet_float_epoch", kind: gauge, labels: []string{"float"}, help: "Number of the present claim to it.",
		fill: floats(func(f Float) float64 { return float64(f.Epoch) })},
	{name: "rtpjet_float_calls", kind: gauge, labels: []string{"float"}, help: "Live calls on it.",
		fill: floats(func(f Float) float64 { return float64(f.Calls) })},

	{name: "rtpjet_lease_age_seconds", kind: gauge, labels: []string{"node", "state"},
		help: "Time since the lease of a node was claimed or last changed. It is not renewed: heartbeats say who lives.",
		fill: func(s *Snapshot, emit emit) {
			for _, l := range s.Leases {
				emit(l.Age.Seconds(), l.Node, l.State)
			}
		}},
	{name: "rtpjet_lease_epoch", kind: gauge, labels: []string{"node"}, help: "How often the lease of a node was claimed.",
		fill: func(s *Snapshot, emit emit) {
			for _, l := range s.Leases {
				emit(float64(l.Epoch), l.Node)
			}
		}},
	{name: "rtpjet_peer_heard_seconds", kind: gauge, labels: []string{"node", "path"},
		help: "Time since another node was heard, by path (nats, udp).",
		fill: func(s *Snapshot, emit emit) {
			for _, p := range s.Peers {
				if p.NATS >= 0 {
					emit(p.NATS.Seconds(), p.Node, "nats")
				}
				if p.UDP >= 0 {
					emit(p.UDP.Seconds(), p.Node, "udp")
				}
			}
		}},
	{name: "rtpjet_peer_verdict", kind: gauge, labels: []string{"node", "verdict"},
		help: "1 for what this node takes another one for: alive, silent or gone.",
		fill: func(s *Snapshot, emit emit) {
			for _, p := range s.Peers {
				emit(1, p.Node, p.Verdict)
			}
		}},
	{name: "rtpjet_peer_clock_seconds", kind: gauge, labels: []string{"node"}, help: "The clock of another node minus this one's.",
		fill: func(s *Snapshot, emit emit) {
			for _, p := range s.Peers {
				if p.NATS >= 0 || p.UDP >= 0 {
					emit(p.Skew.Seconds(), p.Node)
				}
			}
		}},

	{name: "rtpjet_region_state", kind: gauge, labels: []string{"region", "state"},
		help: "1 for how another region is: connecting, up, cut or refused.",
		fill: func(s *Snapshot, emit emit) {
			for _, r := range s.Regions {
				emit(1, r.Name, r.State)
			}
		}},
	{name: "rtpjet_region_mirror_age_seconds", kind: gauge, labels: []string{"region"},
		help: "How old the mirror of another region is; absent if it was never complete.",
		fill: func(s *Snapshot, emit emit) {
			for _, r := range s.Regions {
				if r.Age >= 0 {
					emit(r.Age.Seconds(), r.Name)
				}
			}
		}},
	{name: "rtpjet_region_lag_entries", kind: gauge, labels: []string{"region"}, help: "Entries that its mirror was behind when the region was heard last.",
		fill: greeted(func(r Region) float64 { return float64(r.Lag) })},
	{name: "rtpjet_region_round_trip_seconds", kind: gauge, labels: []string{"region"}, help: "How long its last greeting took; absent before the first.",
		fill: greeted(func(r Region) float64 { return r.RTT.Seconds() })},
	{name: "rtpjet_region_clock_seconds", kind: gauge, labels: []string{"region"}, help: "The clock of another region minus this node's.",
		fill: greeted(func(r Region) float64 { return r.Skew.Seconds() })},
	{name: "rtpjet_region_calls", kind: gauge, labels: []string{"region"}, help: "Live calls in its mirror.",
		fill: regionValue(func(r Region) float64 { return float64(r.Calls) })},
	{name: "rtpjet_region_cuts_total", kind: counter, labels: []string{"region"}, help: "How often this node lost another region.",
		fill: regionValue(func(r Region) float64 { return float64(r.Cuts) })},
}

func regionValue(what func(Region) float64) func(*Snapshot, emit) {
	return func(s *Snapshot, emit emit) {
		for _, r := range s.Regions {
			emit(what(r), r.Name)
		}
	}
}

// greeted makes the values of what greetings tell, of the regions that have answered one.
func greeted(what func(Region) float64) func(*Snapshot, emit) {
	return func(s *Snapshot, emit emit) {
		for _, r := range s.Regions {
			if r.RTT > 0 {
				emit(what(r), r.Name)
			}
		}
	}
}

func directions(what func(plan.Counters) uint64) func(*Snapshot, emit) {
	return func(s *Snapshot, emit emit) {
		emit(float64(what(s.Report.In)), "in")
		emit(float64(what(s.Report.Out)), "out")
	}
}

// onAddress makes the values of the RTP that has arrived on each address.
func onAddress(what func(p *relay.PoolUsage, addr string, emit emit)) func(*Snapshot, emit) {
	return func(s *Snapshot, emit emit) {
		for i := range s.Relay.Pools {
			if p := &s.Relay.Pools[i]; p.Received.Counted {
				what(p, p.Addr.String(), emit)
			}
		}
	}
}

func floats(what func(Float) float64) func(*Snapshot, emit) {
	return func(s *Snapshot, emit emit) {
		for _, f := range s.Floats {
			emit(what(f), f.ID)
		}
	}
}

// proxyName is an NG client as the statistics call it.
func proxyName(p ngserver.ProxyStats) string {
	if !p.Proxy.IsValid() {
		return "other"
	}
	return p.Proxy.String()
}
