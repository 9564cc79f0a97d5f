package metrics

import (
	"fmt"
	"maps"
	"math"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"rtpjet/events"
	"rtpjet/ngserver"
	"rtpjet/ngserver/ng"
	"rtpjet/ngserver/report"
	"rtpjet/relay"
)

// marked is a snapshot in which each number is another one, and what each of them is.
type marked struct {
	*Snapshot
	t     *testing.T
	paths map[float64]string // where a number stands in the snapshot
	texts map[string]string  // likewise, of texts that tell nothing
	bools map[string]reflect.Value
	last  uint64
}

// reasons are why calls end; each has a number of its own in a marked snapshot.
var reasons = []events.Reason{
	events.ReasonDeleted, events.ReasonTimeout, events.ReasonSilentTimeout, events.ReasonOfferTimeout, events.ReasonFinalTimeout,
	events.ReasonOrphaned, events.ReasonAdopted,
}

func newMarked(t *testing.T) *marked {
	m := &marked{
		Snapshot: &Snapshot{
			Report: report.Snapshot{Interfaces: make([]report.Interface, 1)},
			NG:     ngserver.Stats{Proxies: make([]ngserver.ProxyStats, 2)},
			Relay:  relay.Totals{Pools: make([]relay.PoolUsage, 1)},
			Pools:  make([]Pool, 1), Floats: make([]Float, 1), Leases: make([]Lease, 1), Peers: make([]Peer, 1), Regions: make([]Region, 1),
		},
		t: t, paths: map[float64]string{}, texts: map[string]string{}, bools: map[string]reflect.Value{}, last: 1000,
	}
	for i := range m.NG.Proxies {
		m.NG.Proxies[i].Commands = make([]ngserver.CommandCount, len(ng.Commands))
	}
	m.mark("", reflect.ValueOf(m.Snapshot).Elem())
	m.Report.Ended = map[events.Reason]uint64{}
	for _, r := range reasons {
		m.Report.Ended[r] = m.number("Report.Ended[" + string(r) + "]")
	}
	delete(m.paths, float64(m.Log.Head))
	m.Log.Head = m.number("Log.Head")    // behind Log.Followed
	m.NG.Proxies[1].Proxy = netip.Addr{} // all those beyond the bound
	for what, v := range map[string]float64{
		"Calls.NodeHere + Calls.FloatHere":           float64(m.Calls.NodeHere + m.Calls.FloatHere),
		"Calls.NodeElsewhere + Calls.FloatElsewhere": float64(m.Calls.NodeElsewhere + m.Calls.FloatElsewhere),
		"Report.Seconds / Report.Managed":            m.Report.Seconds / float64(m.Report.Managed),
		"Log.Head - Log.Followed":                    float64(m.Log.Head - m.Log.Followed),
	} {
		if was, there := m.paths[v]; there {
			t.Fatalf("%s is as much as %s", what, was)
		}
		m.paths[v] = what
	}
	return m
}

// number is a number that stands at one place only.
func (m *marked) number(path string) uint64 {
	m.last += 7
	m.paths[float64(m.last)] = path
	return m.last
}

func (m *marked) mark(path string, v reflect.Value) {
	if v.Type() == reflect.TypeFor[netip.Addr]() {
		a := netip.AddrFrom4([4]byte{192, 0, 2, byte(len(m.texts))})
		v.Set(reflect.ValueOf(a))
		m.texts[a.String()] = path
		return
	}
	if v.Type() == reflect.TypeFor[time.Duration]() {
		v.SetInt(int64(time.Duration(m.number(path)) * time.Second))
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			name := v.Type().Field(i).Name
			if path != "" {
				name = path + "." + name
			}
			m.mark(name, v.Field(i))
		}
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			m.mark(fmt.Sprintf("%s[%d]", path, i), v.Index(i))
		}
	case reflect.String:
		v.SetString("text-" + path)
		m.texts["text-"+path] = path
	case reflect.Bool:
		m.bools[path] = v
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(int64(m.number(path)))
	case reflect.Uint64, reflect.Uint16:
		if v.OverflowUint(m.last + 7) {
			m.t.Fatalf("%s has no room for a number of its own", path)
		}
		v.SetUint(m.number(path))
	case reflect.Float64:
		v.SetFloat(float64(m.number(path)))
	case reflect.Map, reflect.Func: // the former is filled by hand, the latter is no figure
	default:
		m.t.Fatalf("nothing is known of %s, a %s", path, v.Type())
	}
}

// source says where the value of a sample stands in the snapshot.
func (m *marked) source(v float64) string {
	if path, ok := m.paths[v]; ok {
		return path
	}
	if path, ok := m.paths[math.Round(v*1e6)]; ok {
		return path + " in µs"
	}
	return fmt.Sprint(v)
}

// samples of one scrape, as NAME{LABEL=VALUE,...} and their values.
func samples(t *testing.T, s *Snapshot) map[string]float64 {
	t.Helper()
	r := prometheus.NewPedanticRegistry()
	r.MustRegister(newCollector(func() *Snapshot { return s }))
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	out := make(map[string]float64)
	for _, f := range families {
		for _, m := range f.Metric {
			out[seriesName(f, m)] = m.GetGauge().GetValue() + m.GetCounter().GetValue()
		}
	}
	return out
}

func seriesName(f *dto.MetricFamily, m *dto.Metric) string {
	var labels []string
	for _, l := range m.Label {
		labels = append(labels, l.GetName()+"="+l.GetValue())
	}
	if len(labels) == 0 {
		return f.GetName()
	}
	return f.GetName() + "{" + strings.Join(labels, ",") + "}"
}

// figures is each series of a snapshot that has everything, and where its value stands there. The commands of each proxy are
// left out; TestCommandsOfProxies has them.
const figures = `
rtpengine_bytes_total{type=kernel} 0
rtpengine_bytes_total{type=userspace} Report.In.Bytes
rtpengine_call_duration2_total Report.Squares
rtpengine_call_duration_avg Report.Seconds / Report.Managed
rtpengine_call_duration_total Report.Seconds
rtpengine_closed_sessions_total{reason=adopted} Report.Ended[adopted]
rtpengine_closed_sessions_total{reason=final_timeout} Report.Ended[final_timeout]
rtpengine_closed_sessions_total{reason=force_terminated} 0
rtpengine_closed_sessions_total{reason=offer_timeout} Report.Ended[offer_timeout]
rtpengine_closed_sessions_total{reason=orphaned} Report.Ended[orphaned]
rtpengine_closed_sessions_total{reason=rejected} Report.Rejected
rtpengine_closed_sessions_total{reason=silent_timeout} Report.Ended[silent_timeout]
rtpengine_closed_sessions_total{reason=terminated} Report.Ended[deleted]
rtpengine_closed_sessions_total{reason=timeout} Report.Ended[timeout]
rtpengine_errors_total{proxy=NG.Proxies[0].Proxy} NG.Proxies[0].Errors
rtpengine_errors_total{proxy=other} NG.Proxies[1].Errors
rtpengine_mediastreams{type=kernel} 0
rtpengine_mediastreams{type=mixed} 0
rtpengine_mediastreams{type=userspace} Report.Medias
rtpengine_one_way_sessions_total Report.OneWay
rtpengine_packet_errors_total{type=kernel} 0
rtpengine_packet_errors_total{type=userspace} Report.In.Errors
rtpengine_packets_total{type=kernel} 0
rtpengine_packets_total{type=userspace} Report.In.Packets
rtpengine_ports_free{address=Report.Interfaces[0].Addr,name=Report.Interfaces[0].Name} Report.Interfaces[0].Free
rtpengine_ports_used{address=Report.Interfaces[0].Addr,name=Report.Interfaces[0].Name} Report.Interfaces[0].Used
rtpengine_ports{address=Report.Interfaces[0].Addr,name=Report.Interfaces[0].Name} Report.Interfaces[0].Total
rtpengine_sessions_total Report.Managed
rtpengine_sessions{type=foreign} Calls.NodeElsewhere + Calls.FloatElsewhere
rtpengine_sessions{type=own} Calls.NodeHere + Calls.FloatHere
rtpengine_transcoded_media 0
rtpengine_uptime_seconds Report.Uptime
rtpengine_zero_packet_streams_total Report.ZeroWay
rtpjet_archiving 1
rtpjet_build_info{go=Build.Go,revision=Build.Revision,version=Build.Version} 1
rtpjet_bytes_total{direction=in} Report.In.Bytes
rtpjet_bytes_total{direction=out} Report.Out.Bytes
rtpjet_calls{carried=elsewhere,owner=float} Calls.FloatElsewhere
rtpjet_calls{carried=elsewhere,owner=node} Calls.NodeElsewhere
rtpjet_calls{carried=here,owner=float} Calls.FloatHere
rtpjet_calls{carried=here,owner=node} Calls.NodeHere
rtpjet_draining 1
rtpjet_float_calls{float=Floats[0].ID} Floats[0].Calls
rtpjet_float_epoch{float=Floats[0].ID} Floats[0].Epoch
rtpjet_float_has_holder{float=Floats[0].ID} 1
rtpjet_float_held{float=Floats[0].ID} 1
rtpjet_float_warm{float=Floats[0].ID} 1
rtpjet_held_reservations Log.Held
rtpjet_lease_age_seconds{node=Leases[0].Node,state=Leases[0].State} Leases[0].Age
rtpjet_lease_epoch{node=Leases[0].Node} Leases[0].Epoch
rtpjet_log_away_seconds Log.Away
rtpjet_log_followed Log.Followed
rtpjet_log_head Log.Head
rtpjet_log_reachable 1
rtpjet_ng_cache_bytes NG.Cache.Bytes
rtpjet_ng_cache_entries NG.Cache.Entries
rtpjet_ng_cookie_collisions_total NG.Cache.Collisions
rtpjet_ng_refused_total{reason=no_cookie} NG.Ignored
rtpjet_ng_refused_total{reason=overload} NG.Overloaded
rtpjet_ng_refused_total{reason=panic} NG.Panics
rtpjet_ng_refused_total{reason=reply_too_large} NG.TooLarge
rtpjet_ng_repeats_total{outcome=answered} NG.Cache.Hits
rtpjet_ng_repeats_total{outcome=joined} NG.Cache.Joined
rtpjet_ng_repeats_total{outcome=refused} NG.Cache.Refused
rtpjet_ng_running NG.Cache.Running
rtpjet_packets_shed_total{reason=blocked} Relay.Shed[4]
rtpjet_packets_shed_total{reason=feedback} Relay.Shed[6]
rtpjet_packets_shed_total{reason=loop} Relay.Shed[5]
rtpjet_packets_shed_total{reason=malformed} Relay.Shed[0]
rtpjet_packets_shed_total{reason=no_address} Relay.Shed[7]
rtpjet_packets_shed_total{reason=not_authentic} Relay.Shed[2]
rtpjet_packets_shed_total{reason=not_held} Relay.Shed[3]
rtpjet_packets_shed_total{reason=not_sent} Relay.Shed[9]
rtpjet_packets_shed_total{reason=source} Relay.Shed[1]
rtpjet_packets_shed_total{reason=unsealed} Relay.Shed[8]
rtpjet_packets_total{direction=in} Report.In.Packets
rtpjet_packets_total{direction=out} Report.Out.Packets
rtpjet_peer_clock_seconds{node=Peers[0].Node} Peers[0].Skew
rtpjet_peer_heard_seconds{node=Peers[0].Node,path=nats} Peers[0].NATS
rtpjet_peer_heard_seconds{node=Peers[0].Node,path=udp} Peers[0].UDP
rtpjet_peer_verdict{node=Peers[0].Node,verdict=Peers[0].Verdict} 1
rtpjet_pool_ports{address=Pools[0].Addr,float=Pools[0].Float,state=free} Pools[0].Free
rtpjet_pool_ports{address=Pools[0].Addr,float=Pools[0].Float,state=resting} Pools[0].Resting
rtpjet_pool_ports{address=Pools[0].Addr,float=Pools[0].Float,state=used} Pools[0].Used
rtpjet_projection_lag_entries Log.Head - Log.Followed
rtpjet_projection_lag_seconds Log.Lag
rtpjet_ready 1
rtpjet_region_calls{region=Regions[0].Name} Regions[0].Calls
rtpjet_region_clock_seconds{region=Regions[0].Name} Regions[0].Skew
rtpjet_region_cuts_total{region=Regions[0].Name} Regions[0].Cuts
rtpjet_region_lag_entries{region=Regions[0].Name} Regions[0].Lag
rtpjet_region_mirror_age_seconds{region=Regions[0].Name} Regions[0].Age
rtpjet_region_round_trip_seconds{region=Regions[0].Name} Regions[0].RTT
rtpjet_region_state{region=Regions[0].Name,state=Regions[0].State} 1
rtpjet_rtp_irregular_total{address=Relay.Pools[0].Addr,kind=duplicate} Relay.Pools[0].Sums.Received.Duplicates
rtpjet_rtp_irregular_total{address=Relay.Pools[0].Addr,kind=gap} Relay.Pools[0].Sums.Received.Gaps
rtpjet_rtp_irregular_total{address=Relay.Pools[0].Addr,kind=reordered} Relay.Pools[0].Sums.Received.Reordered
rtpjet_rtp_irregular_total{address=Relay.Pools[0].Addr,kind=reset} Relay.Pools[0].Sums.Received.Resets
rtpjet_rtp_jitter_samples_total{address=Relay.Pools[0].Addr} Relay.Pools[0].Sums.Jitter.Count
rtpjet_rtp_jitter_seconds_total{address=Relay.Pools[0].Addr} Relay.Pools[0].Sums.Jitter.Sum in µs
rtpjet_rtp_lost_packets{address=Relay.Pools[0].Addr} Relay.Pools[0].Sums.Received.Lost
rtpjet_unlogged_events Log.Unlogged
rtpjet_unopened_events_total Log.Unopened
rtpjet_unreadable_events_total Log.Unreadable
`

// unshown are the figures of a snapshot, by the beginning of their paths, that no metric shows.
var unshown = map[string]string{
	"Report.SessionsOwn":     "Calls say it by owner, too",
	"Report.SessionsForeign": "likewise",
	"Report.Out.Errors":      "Relay.Shed says it as not_sent",
	"Report.Received":        "Relay.Pools say it by address",
	"Report.Jitter":          "likewise",
	"Report.Rate":            "Prometheus makes rates",
	"Report.Interfaces[0].":  "Relay.Pools say what was received; the range is configured",
	"NG.Cache.Misses":        "the commands executed are counted by proxy",
	"NG.Cache.Shortened":     "not told",
	"NG.Stale":               "not told: commands that a frozen node finds when it is thawed",
	"Relay.Sums":             "Report says it",
	"Relay.Calls":            "Calls say it",
	"Relay.Streams":          "Report.Medias says it",
	"Relay.Pools[0].":        "Pools say it",
	"Peers[0].Calls":         "each node says it of itself",
}

// TestFigures: each figure of a snapshot appears under the right name, and none is forgotten.
func TestFigures(t *testing.T) {
	m := newMarked(t)
	var got []string
	shown := map[string]bool{}
	for name, v := range samples(t, m.Snapshot) {
		if strings.HasPrefix(name, "rtpengine_request") {
			continue
		}
		source := m.source(v)
		for part := range strings.SplitSeq(strings.TrimSuffix(source, " in µs"), " ") {
			shown[part] = true
		}
		for text, path := range m.texts {
			if strings.Contains(name, "="+text) {
				name = strings.ReplaceAll(name, "="+text+",", "="+path+",")
				name = strings.ReplaceAll(name, "="+text+"}", "="+path+"}")
			}
		}
		got = append(got, name+" "+source)
	}
	slices.Sort(got)
	want := strings.Split(strings.TrimSpace(figures), "\n")
	for _, line := range got {
		if !slices.Contains(want, line) {
			t.Errorf("there is  %s", line)
		}
	}
	for _, line := range want {
		if !slices.Contains(got, line) {
			t.Errorf("missing   %s", line)
		}
	}

	used := map[string]bool{}
	for _, path := range m.paths {
		if shown[path] || strings.Contains(path, ".Commands[") || strings.Contains(path, " ") {
			continue
		}
		known := false
		for prefix := range unshown {
			if strings.HasPrefix(path, prefix) {
				known, used[prefix] = true, true
			}
		}
		if !known {
			t.Errorf("no metric shows %s", path)
		}
	}
	for prefix := range unshown {
		if !used[prefix] {
			t.Errorf("%s is shown after all, or there is no such figure", prefix)
		}
	}
}

// TestTruths: each of what is true or false decides about its own series, and about those that are not known without it.
func TestTruths(t *testing.T) {
	want := map[string]string{
		"Draining":            "rtpjet_draining",
		"Ready":               "rtpjet_ready",
		"Log.Archiving":       "rtpjet_archiving",
		"Log.Reachable":       "rtpjet_log_head rtpjet_log_reachable rtpjet_projection_lag_entries rtpjet_projection_lag_seconds",
		"Floats[0].Held":      "rtpjet_float_held",
		"Floats[0].Warm":      "rtpjet_float_warm",
		"Floats[0].HasHolder": "rtpjet_float_has_holder",
		"Relay.Pools[0].Sums.Received.Counted": "rtpjet_rtp_irregular_total rtpjet_rtp_jitter_samples_total rtpjet_rtp_jitter_seconds_total " +
			"rtpjet_rtp_lost_packets",
	}
	m := newMarked(t)
	all := samples(t, m.Snapshot)
	for path, v := range m.bools {
		if path == "Running" { // TestStarting
			continue
		}
		v.SetBool(false)
		changed := map[string]bool{}
		without := samples(t, m.Snapshot)
		for name, value := range all {
			if now, there := without[name]; !there || now != value {
				family, _, _ := strings.Cut(name, "{")
				changed[family] = true
			}
		}
		v.SetBool(true)
		if got := strings.Join(slices.Sorted(maps.Keys(changed)), " "); got != want[path] {
			t.Errorf("without %s there is another %q, want %q", path, got, want[path])
		}
	}
	for path := range want {
		if _, there := m.bools[path]; !there {
			t.Errorf("there is no %s", path)
		}
	}
}

// TestCommandsOfProxies: each command of each proxy, by rtpengine's names, also those that were never sent.
func TestCommandsOfProxies(t *testing.T) {
	m := newMarked(t)
	m.NG.Proxies[0].Commands[3] = ngserver.CommandCount{}
	have := samples(t, m.Snapshot)
	for p, proxy := range []string{m.NG.Proxies[0].Proxy.String(), "other"} {
		for i, c := range ng.Commands {
			want := m.NG.Proxies[p].Commands[i]
			labels := "{proxy=" + proxy + ",request=" + c.Name + "}"
			count, there := have["rtpengine_requests_total"+labels]
			if !there || count != float64(want.Count) {
				t.Errorf("requests%s %v, want %d", labels, count, want.Count)
			}
			seconds, there := have["rtpengine_request_seconds_total"+labels]
			if !there || seconds != want.Duration.Seconds() {
				t.Errorf("seconds%s %v, want %v", labels, seconds, want.Duration)
			}
			delete(have, "rtpengine_requests_total"+labels)
			delete(have, "rtpengine_request_seconds_total"+labels)
		}
	}
	for name := range have {
		if strings.HasPrefix(name, "rtpengine_request") {
			t.Errorf("there is %s", name)
		}
	}
}

// TestSeveral: of things of which there are several, each has its own series.
func TestSeveral(t *testing.T) {
	one, two := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::2")
	s := &Snapshot{
		Running: true,
		Report:  report.Snapshot{Interfaces: []report.Interface{{Name: "int", Addr: one, Used: 1}, {Name: "ext", Addr: one, Used: 2}, {Name: "ext", Addr: two, Used: 3}}},
		Pools:   []Pool{{Addr: one, Used: 4}, {Addr: two, Used: 5}},
		Floats:  []Float{{ID: "a", Calls: 6}, {ID: "b", Calls: 7}},
		Leases:  []Lease{{Node: "n1", Epoch: 8, State: "up"}, {Node: "n2", Epoch: 9, State: "down"}},
		Peers:   []Peer{{Node: "n2", Verdict: "alive", UDP: -1}, {Node: "n3", Verdict: "gone", NATS: -1, UDP: 2 * time.Second}},
		Regions: []Region{{Name: "us", Calls: 10}, {Name: "eu", Calls: 11}},
	}
	have := samples(t, s)
	for name, want := range map[string]float64{
		"rtpengine_ports_used{address=192.0.2.1,name=int}": 1, "rtpengine_ports_used{address=192.0.2.1,name=ext}": 2,
		"rtpengine_ports_used{address=2001:db8::2,name=ext}":       3,
		"rtpjet_pool_ports{address=192.0.2.1,float=,state=used}":   4,
		"rtpjet_pool_ports{address=2001:db8::2,float=,state=used}": 5,
		"rtpjet_float_calls{float=a}":                              6,
		"rtpjet_float_calls{float=b}":                              7,
		"rtpjet_lease_epoch{node=n1}":                              8,
		"rtpjet_lease_epoch{node=n2}":                              9,
		"rtpjet_lease_age_seconds{node=n2,state=down}":             0,
		"rtpjet_peer_verdict{node=n2,verdict=alive}":               1,
		"rtpjet_peer_verdict{node=n3,verdict=gone}":                1,
		"rtpjet_peer_heard_seconds{node=n2,path=nats}":             0,
		"rtpjet_peer_heard_seconds{node=n3,path=udp}":              2,
		"rtpjet_region_calls{region=us}":                           10,
		"rtpjet_region_calls{region=eu}":                           11,
	} {
		if got, there := have[name]; !there || got != want {
			t.Errorf("%s %v, want %v", name, got, want)
		}
	}
	for _, no := range []string{"rtpjet_peer_heard_seconds{node=n2,path=udp}", "rtpjet_peer_heard_seconds{node=n3,path=nats}"} {
		if v, there := have[no]; there {
			t.Errorf("%s %v, and it never was heard there", no, v)
		}
	}
}

// TestHeadIsAsked: the head of the log was asked for a moment before what was followed; it is never behind that.
func TestHeadIsAsked(t *testing.T) {
	s := &Snapshot{Running: true, Log: Log{Reachable: true, Head: 5, Followed: 7}}
	have := samples(t, s)
	if have["rtpjet_log_head"] != 7 || have["rtpjet_log_followed"] != 7 || have["rtpjet_projection_lag_entries"] != 0 {
		t.Errorf("%v", have)
	}
}

func TestCallsAdd(t *testing.T) {
	var c Calls
	for i, n := range []int{1, 2, 3, 4} {
		for range n {
			c.Add(i >= 2, i%2 == 0)
		}
	}
	if want := (Calls{NodeHere: 1, NodeElsewhere: 2, FloatHere: 3, FloatElsewhere: 4}); c != want {
		t.Errorf("%+v, want %+v", c, want)
	}
	if c.Here() != 4 || c.Elsewhere() != 6 {
		t.Errorf("%d here, %d elsewhere", c.Here(), c.Elsewhere())
	}
}
