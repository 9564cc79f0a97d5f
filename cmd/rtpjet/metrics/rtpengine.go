package metrics

import (
	"rtpjet/events"
	"rtpjet/ngserver/ng"
	"rtpjet/relay/plan"
)

// fromRTPEngine are the metrics of rtpengine 10.5: its names, types and labels, and help of our own. What it can do and rtpjet
// cannot has happened 0 times where rtpengine has a series in any case, and is absent where it has one for each use. What is not
// measured is absent.
var fromRTPEngine = []metric{
	{name: "rtpengine_sessions", kind: gauge, labels: []string{"type"},
		help: "Live calls: those that this node carries (own), and those of other nodes that it knows of (foreign).",
		fill: func(s *Snapshot, emit emit) {
			emit(float64(s.Calls.Here()), "own")
			emit(float64(s.Calls.Elsewhere()), "foreign")
		}},
	{name: "rtpengine_transcoded_media", kind: gauge, help: "Media sections that are transcoded: always 0, there is no transcoding.",
		fill: zero()},
	{name: "rtpengine_mediastreams", kind: gauge, labels: []string{"type"},
		help: "Sockets that belong to a call. All of them are served in user space.",
		fill: func(s *Snapshot, emit emit) {
			emit(float64(s.Report.Medias), "userspace")
			emit(0, "kernel")
			emit(0, "mixed")
		}},
	{name: "rtpengine_uptime_seconds", kind: gauge, help: "Time since the node started.",
		fill: func(s *Snapshot, emit emit) { emit(s.Report.Uptime.Seconds()) }},
	{name: "rtpengine_sessions_total", kind: counter, help: "Calls of this node that have ended.",
		fill: func(s *Snapshot, emit emit) { emit(float64(s.Report.Managed)) }},
	{name: "rtpengine_closed_sessions_total", kind: counter, labels: []string{"reason"},
		help: "Calls of this node that have ended, and new ones that were refused (rejected), by reason.",
		fill: func(s *Snapshot, emit emit) {
			emit(float64(s.Report.Rejected), "rejected")
			for _, r := range closedReasons {
				emit(float64(s.Report.Ended[r.ours]), r.name)
			}
			emit(0, "force_terminated")
		}},
	{name: "rtpengine_packets_total", kind: counter, labels: []string{"type"}, help: "Packets received and accepted.",
		fill: relayed(func(c plan.Counters) uint64 { return c.Packets })},
	{name: "rtpengine_packet_errors_total", kind: counter, labels: []string{"type"},
		help: "Packets received and refused; rtpjet_packets_shed_total says why.",
		fill: relayed(func(c plan.Counters) uint64 { return c.Errors })},
	{name: "rtpengine_bytes_total", kind: counter, labels: []string{"type"}, help: "Bytes of UDP payload received and accepted.",
		fill: relayed(func(c plan.Counters) uint64 { return c.Bytes })},
	{name: "rtpengine_zero_packet_streams_total", kind: counter,
		help: "Media sections of ended calls in which neither side has sent anything.",
		fill: func(s *Snapshot, emit emit) { emit(float64(s.Report.ZeroWay)) }},
	{name: "rtpengine_one_way_sessions_total", kind: counter,
		help: "Media sections of ended calls in which one side only has sent something.",
		fill: func(s *Snapshot, emit emit) { emit(float64(s.Report.OneWay)) }},
	{name: "rtpengine_call_duration_avg", kind: gauge,
		help: "Mean duration of the calls that have ended, in seconds; absent while none has.",
		fill: func(s *Snapshot, emit emit) {
			if n := s.Report.Managed; n > 0 {
				emit(s.Report.Seconds / float64(n))
			}
		}},
	{name: "rtpengine_call_duration_total", kind: counter,
		help: "Sum of the durations of ended calls, in seconds: from the first offer to the delete, or to the timeout.",
		fill: func(s *Snapshot, emit emit) { emit(s.Report.Seconds) }},
	{name: "rtpengine_call_duration2_total", kind: counter, help: "Sum of the squares of those durations.",
		fill: func(s *Snapshot, emit emit) { emit(s.Report.Squares) }},
	{name: "rtpengine_requests_total", kind: counter, labels: []string{"proxy", "request"},
		help: "NG commands that were executed, by the address that they came from. A command that was sent again is not executed again.",
		fill: requests(func(n uint64, _ float64) float64 { return float64(n) })},
	{name: "rtpengine_request_seconds_total", kind: counter, labels: []string{"proxy", "request"},
		help: "How long those took in all, from arrival to reply.",
		fill: requests(func(_ uint64, seconds float64) float64 { return seconds })},
	{name: "rtpengine_errors_total", kind: counter, labels: []string{"proxy"}, help: "NG messages answered with an error.",
		fill: func(s *Snapshot, emit emit) {
			for _, p := range s.NG.Proxies {
				emit(float64(p.Errors), proxyName(p))
			}
		}},
	{name: "rtpengine_ports_used", kind: gauge, labels: []string{"name", "address"}, help: "Media ports in use.",
		fill: ports(func(used, _, _ int) int { return used })},
	{name: "rtpengine_ports_free", kind: gauge, labels: []string{"name", "address"},
		help: "Media ports that may be given out now; those that rest are neither free nor used.",
		fill: ports(func(_, free, _ int) int { return free })},
	{name: "rtpengine_ports", kind: gauge, labels: []string{"name", "address"}, help: "Media ports in all.",
		fill: ports(func(_, _, total int) int { return total })},
}

// closedReasons are why calls end, in rtpengine's words; the last one is ours.
var closedReasons = []struct {
	name string
	ours events.Reason
}{
	{"timeout", events.ReasonTimeout},
	{"silent_timeout", events.ReasonSilentTimeout},
	{"final_timeout", events.ReasonFinalTimeout},
	{"offer_timeout", events.ReasonOfferTimeout},
	{"terminated", events.ReasonDeleted},
	{"orphaned", events.ReasonOrphaned},
	{"adopted", events.ReasonAdopted},
}

func zero() func(*Snapshot, emit) { return func(_ *Snapshot, emit emit) { emit(0) } }

// relayed makes the values of what has arrived.
func relayed(what func(plan.Counters) uint64) func(*Snapshot, emit) {
	return func(s *Snapshot, emit emit) {
		emit(float64(what(s.Report.In)), "userspace")
		emit(0, "kernel")
	}
}

// requests makes the values of each command of each proxy. A command that a proxy never sent is 0, as it is with rtpengine.
func requests(what func(count uint64, seconds float64) float64) func(*Snapshot, emit) {
	return func(s *Snapshot, emit emit) {
		for _, p := range s.NG.Proxies {
			name := proxyName(p)
			for i, c := range p.Commands {
				emit(what(c.Count, c.Duration.Seconds()), name, ng.Commands[i].Name)
			}
		}
	}
}

func ports(what func(used, free, total int) int) func(*Snapshot, emit) {
	return func(s *Snapshot, emit emit) {
		for _, i := range s.Report.Interfaces {
			emit(float64(what(i.Used, i.Free, i.Total)), i.Name, i.Addr.String())
		}
	}
}
