package metrics

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"go.uber.org/goleak"

	"rtpjet/ngserver"
	"rtpjet/ngserver/ng"
	"rtpjet/ngserver/report"
	"rtpjet/relay"
	"rtpjet/relay/plan"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// full is a snapshot with something of everything.
func full() *Snapshot {
	addr := netip.MustParseAddr("192.0.2.1")
	return &Snapshot{
		Running: true, Ready: true,
		Report: report.Snapshot{Managed: 1, Interfaces: []report.Interface{{Name: "\xff", Addr: addr, Used: 2, Free: 6, Total: 10}}},
		NG: ngserver.Stats{Proxies: []ngserver.ProxyStats{
			{Commands: make([]ngserver.CommandCount, len(ng.Commands))},
			{Proxy: addr, Commands: make([]ngserver.CommandCount, len(ng.Commands))},
		}},
		Relay:   relay.Totals{Pools: []relay.PoolUsage{{Addr: addr, Sums: relay.Sums{Received: plan.Reception{Counted: true, Lost: 1}}}}},
		Pools:   []Pool{{Addr: addr, Used: 2, Free: 6, Resting: 2}},
		Log:     Log{Reachable: true, Head: 5, Followed: 4, Lag: time.Second},
		Floats:  []Float{{ID: "192.0.2.100", Held: true}},
		Leases:  []Lease{{Node: "n1", State: "up"}},
		Peers:   []Peer{{Node: "n2", Verdict: "alive", UDP: -1}},
		Regions: []Region{{Name: "us", State: "up", RTT: time.Millisecond}},
	}
}

func gather(t *testing.T, take func() *Snapshot) *prometheus.Registry {
	t.Helper()
	r := prometheus.NewPedanticRegistry()
	c := NewCounters()
	c.Append(AppendOK, time.Millisecond)
	c.Command(-1, ng.ResultError, 0, 0)
	c.Command(0, ng.ResultPong, time.Millisecond, LargeReply+1)
	c.TakenOver(TakenIn, "owner gone")
	c.TakeoverSilence(time.Second)
	c.FloatMoved("192.0.2.100", "nobody held it", 0)
	r.MustRegister(newCollector(take))
	r.MustRegister(c.collectors()...)
	return r
}

// TestLint: names and types are as Prometheus wants them. What rtpengine has named is not for us to judge.
func TestLint(t *testing.T) {
	families, err := gather(t, full).Gather()
	if err != nil {
		t.Fatal(err)
	}
	problems, err := promlint.NewWithMetricFamilies(families).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		if strings.HasPrefix(p.Metric, "rtpjet_") {
			t.Errorf("%s: %s", p.Metric, p.Text)
		}
	}
	have := map[string]bool{}
	for _, f := range families {
		have[f.GetName()] = true
	}
	for _, m := range table {
		if !have[m.name] {
			t.Errorf("a full snapshot has no %s", m.name)
		}
	}
}

// TestStarting: a node that is not there yet says so, and nothing else.
func TestStarting(t *testing.T) {
	families, err := gather(t, func() *Snapshot { return &Snapshot{} }).Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		switch name := f.GetName(); {
		case name == "rtpjet_ready" && f.Metric[0].GetGauge().GetValue() == 0, name == "rtpjet_build_info":
		case strings.HasPrefix(name, "rtpengine_") || f.Metric[0].Gauge != nil:
			t.Errorf("there is %v already", f)
		}
	}
}

// TestNothingMeasured: what nobody has measured is not there, and no 0 in its place.
func TestNothingMeasured(t *testing.T) {
	s := &Snapshot{Running: true, Peers: []Peer{{Node: "n2", NATS: -1, UDP: -1}}, Regions: []Region{{Name: "us", Age: -1}}}
	families, err := gather(t, func() *Snapshot { return s }).Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, no := range []string{"mos", "duration_avg", "log_head", "projection_lag", "_clock_", "round_trip", "region_lag", "mirror_age", "heard", "rtpjet_rtp_"} {
			if strings.Contains(f.GetName(), no) {
				t.Errorf("there is %v", f)
			}
		}
	}
}

// BenchmarkCollect is what one scrape costs beside the look at the node.
func BenchmarkCollect(b *testing.B) {
	r := Registry(full, NewCounters())
	for b.Loop() {
		if _, err := r.Gather(); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkCommand is what counting costs each command.
func BenchmarkCommand(b *testing.B) {
	c := NewCounters()
	b.ReportAllocs()
	for b.Loop() {
		c.Command(1, ng.ResultOK, time.Millisecond, 500)
	}
}
