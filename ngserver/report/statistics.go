package report

import (
	"math"
	"net/netip"
	"strconv"
	"time"

	"rtpjet/events"
	"rtpjet/ngserver/ng"
	"rtpjet/relay/plan"
)

// Snapshot is what statistics reports. Counters run since the start of the node.
type Snapshot struct {
	Uptime time.Duration

	// Live calls: those whose ports are on this node, and those that it knows of.
	SessionsOwn, SessionsForeign int64

	// Ended calls: in all and by reason, and the sums of their durations and of the squares of those, in seconds.
	Managed          uint64
	Ended            map[events.Reason]uint64
	Seconds, Squares float64
	Rejected         uint64 // new calls refused for a limit
	ZeroWay, OneWay  uint64 // streams of ended calls that no side, or one side only, has sent to

	// In are the packets received; their Errors are those refused. Out are the packets sent.
	In, Out plan.Counters
	// Received and Jitter are what was measured of received RTP.
	Received plan.Reception
	Jitter   plan.Samples
	// Rate is what is received per second at present.
	Rate plan.Counters
	// Medias are the sections that are being relayed.
	Medias int

	Interfaces []Interface
	// Control fills the dictionary controlstatistics; it may be nil.
	Control func(*ng.Object)
}

// Interface is the use of one local address, in ports. Free leaves out the ports that rest.
type Interface struct {
	Name              string
	Addr              netip.Addr
	Min, Max          uint16
	Used, Free, Total int

	// What was counted and measured on the address. Traffic is false if it carries none of ours.
	Traffic  bool
	In, Out  plan.Counters
	Received plan.Reception
	Jitter   plan.Samples
}

// Statistics fills o with the reply of statistics. jambonz reads sessionstotal and sessionsown of currentstatistics.
func Statistics(o *ng.Object, s Snapshot) {
	t := o.Obj("statistics")
	s.current(t.Obj("currentstatistics"))
	s.totals(t.Obj("totalstatistics"))
	t.Obj("mos") // RTCP is not looked into
	voip := t.Obj("voip_metrics")
	if s.Received.Counted {
		jitter(voip, s.Jitter)
		reception(voip, s.Received)
	}
	control := t.Obj("controlstatistics")
	if s.Control != nil {
		s.Control(control)
	}
	list := make([]*ng.Object, len(s.Interfaces))
	for i := range s.Interfaces {
		list[i] = ng.NewObject()
		s.Interfaces[i].fill(list[i])
	}
	t.Objs("interfaces", list...)
	t.List("transcoders")
}

// What rtpengine does and rtpjet cannot (transcode, forward in the kernel, end calls by force) has happened 0 times: these are
// facts. What is not measured is not there.

func (s *Snapshot) current(o *ng.Object) {
	o.Int("sessionsown", s.SessionsOwn)
	o.Int("sessionsforeign", s.SessionsForeign)
	o.Int("sessionstotal", s.SessionsOwn+s.SessionsForeign)
	o.Int("transcodedmedia", 0)
	o.Int("mediacache", 0)
	o.Int("playercache", 0)
	rate := func(suffix string, c plan.Counters) {
		o.Int("packetrate"+suffix, int64(c.Packets))
		o.Int("byterate"+suffix, int64(c.Bytes))
		o.Int("errorrate"+suffix, int64(c.Errors))
	}
	rate("_user", s.Rate)
	rate("_kernel", plan.Counters{})
	rate("", s.Rate)
	o.Int("media_userspace", int64(s.Medias))
	o.Int("media_kernel", 0)
	o.Int("media_mixed", 0)
}

func (s *Snapshot) totals(o *ng.Object) {
	ended := func(key string, r events.Reason) { o.Int(key, int64(s.Ended[r])) }
	o.Str("uptime", strconv.FormatInt(int64(s.Uptime/time.Second), 10))
	o.Int("managedsessions", int64(s.Managed))
	o.Int("rejectedsessions", int64(s.Rejected))
	ended("timeoutsessions", events.ReasonTimeout)
	ended("silenttimeoutsessions", events.ReasonSilentTimeout)
	ended("finaltimeoutsessions", events.ReasonFinalTimeout)
	ended("offertimeoutsessions", events.ReasonOfferTimeout)
	ended("regularterminatedsessions", events.ReasonDeleted)
	o.Int("forcedterminatedsessions", 0)
	ended("orphanedsessions", events.ReasonOrphaned) // these two are no keys of rtpengine
	ended("adoptedsessions", events.ReasonAdopted)
	relayed := func(suffix string, c plan.Counters) {
		o.Int("relayedpackets"+suffix, int64(c.Packets))
		o.Int("relayedpacketerrors"+suffix, int64(c.Errors))
		o.Int("relayedbytes"+suffix, int64(c.Bytes))
	}
	relayed("_user", s.In)
	relayed("_kernel", plan.Counters{})
	relayed("", s.In)
	o.Int("zerowaystreams", int64(s.ZeroWay))
	o.Int("onewaystreams", int64(s.OneWay))
	o.Float("totalcallsduration", s.Seconds)
	o.Float("totalcallsduration2", s.Squares)
	if s.Managed == 0 {
		return // nothing has a mean
	}
	n := float64(s.Managed)
	mean := s.Seconds / n
	o.Float("avgcallduration", mean)
	o.Float("totalcallsduration_stddev", math.Sqrt(max(0, s.Squares/n-mean*mean)))
}

func (i *Interface) fill(o *ng.Object) {
	o.Str("name", i.Name)
	o.Str("address", i.Addr.String())
	var pct float64
	if i.Total > 0 {
		pct = 100 * float64(i.Used) / float64(i.Total)
	}
	p := o.Obj("ports")
	p.Int("min", int64(i.Min))
	p.Int("max", int64(i.Max))
	p.Int("used", int64(i.Used))
	p.Str("used_pct", strconv.FormatFloat(pct, 'f', 2, 64))
	p.Int("free", int64(i.Free))
	p.Int("totals", int64(i.Total))
	if !i.Traffic {
		return
	}
	o.Int("packets_lost", int64(i.Received.Lost))
	o.Int("duplicates", int64(i.Received.Duplicates))
	jitter(o.Obj("voip_metrics"), i.Jitter)
	counters(o.Obj("ingress"), i.In)
	counters(o.Obj("egress"), i.Out)
}
