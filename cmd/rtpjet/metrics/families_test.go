package metrics

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"rtpjet/ngserver/ng"
	"rtpjet/ngserver/report"
	"rtpjet/projection/transact"
)

// documented is a row of a table of docs/metrics.md.
type documented struct {
	name, kind string
	cells      []string
}

func documentedMetrics(t *testing.T) (all []documented) {
	t.Helper()
	text, err := os.ReadFile("../../../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		name := strings.Trim(strings.TrimSpace(cells[0]), "`")
		if len(cells) < 4 || !strings.HasPrefix(name, "rtp") {
			continue
		}
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		all = append(all, documented{name, cells[1], cells[2:]})
	}
	return all
}

// TestFamilies: what operators read of each metric is what it is: its name, type and labels, and each has a help of its own.
func TestFamilies(t *testing.T) {
	families, err := gather(t, full).Gather()
	if err != nil {
		t.Fatal(err)
	}
	have := map[string]*dto.MetricFamily{}
	helps := map[string]string{}
	for _, f := range families {
		have[f.GetName()] = f
		help := f.GetHelp()
		if other, there := helps[help]; there || !strings.HasSuffix(help, ".") {
			t.Errorf("the help of %s is %q, as of %s", f.GetName(), help, other)
		}
		helps[help] = f.GetName()
	}
	rows := documentedMetrics(t)
	if len(rows) < 80 {
		t.Fatalf("%d rows", len(rows))
	}
	for _, row := range rows {
		f := have[row.name]
		delete(have, row.name)
		if theirs := strings.HasPrefix(row.name, "rtpengine_"); theirs && row.cells[0] == "no" {
			if f != nil {
				t.Errorf("there is %s, and its row says no", row.name)
			}
			continue
		} else if theirs {
			if f == nil || kindOf(f) != row.kind {
				t.Errorf("%s is %v, and is said to be a %s", row.name, f, row.kind)
			} else if row.cells[0] == "0" && f.Metric[0].GetGauge().GetValue()+f.Metric[0].GetCounter().GetValue() != 0 {
				t.Errorf("%s is said to be 0", row.name)
			}
			continue
		}
		if f == nil || kindOf(f) != row.kind {
			t.Errorf("%s is %v, and is said to be a %s", row.name, f, row.kind)
			continue
		}
		var labels []string
		for label := range strings.SplitSeq(row.cells[0], ",") {
			if label = strings.Trim(strings.TrimSpace(label), "`"); label != "" {
				labels = append(labels, label)
			}
		}
		slices.Sort(labels)
		for _, m := range f.Metric {
			var got []string
			for _, l := range m.Label {
				got = append(got, l.GetName())
			}
			slices.Sort(got)
			if !slices.Equal(got, labels) {
				t.Errorf("%s has the labels %q, and is said to have %q", row.name, got, labels)
			}
		}
	}
	for name := range have {
		t.Errorf("nobody is told of %s", name)
	}
}

func kindOf(f *dto.MetricFamily) string { return strings.ToLower(f.GetType().String()) }

// TestTotals: what ends in _total is what only grows, and nothing else is.
func TestTotals(t *testing.T) {
	families, err := gather(t, full).Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if total := strings.HasSuffix(f.GetName(), "_total"); total != (f.GetType() == dto.MetricType_COUNTER) {
			t.Errorf("%s is a %v", f.GetName(), f.GetType())
		}
	}
}

// TestUnknown: what is not known leaves its series out; what is 0 does not.
func TestUnknown(t *testing.T) {
	complete := func() *Snapshot {
		s := newMarked(t).Snapshot
		s.Draining, s.Ready = false, false
		return s
	}
	all := samples(t, complete())
	for name, c := range map[string]struct {
		change func(s *Snapshot)
		gone   []string // beginnings of names
	}{
		"the log does not answer":       {func(s *Snapshot) { s.Log.Reachable = false }, []string{"rtpjet_log_head", "rtpjet_projection_lag_"}},
		"the lag is 0":                  {func(s *Snapshot) { s.Log.Lag, s.Log.Head = 0, s.Log.Followed }, nil},
		"no call has ended":             {func(s *Snapshot) { s.Report.Managed = 0 }, []string{"rtpengine_call_duration_avg"}},
		"calls were short":              {func(s *Snapshot) { s.Report.Seconds = 0 }, nil},
		"a peer is not heard by NATS":   {func(s *Snapshot) { s.Peers[0].NATS = -1 }, []string{"rtpjet_peer_heard_seconds{node=text-Peers[0].Node,path=nats}"}},
		"a peer is not heard by UDP":    {func(s *Snapshot) { s.Peers[0].UDP = -1 }, []string{"rtpjet_peer_heard_seconds{node=text-Peers[0].Node,path=udp}"}},
		"a peer was never heard":        {func(s *Snapshot) { s.Peers[0].NATS, s.Peers[0].UDP = -1, -1 }, []string{"rtpjet_peer_heard_", "rtpjet_peer_clock_"}},
		"a peer is heard now":           {func(s *Snapshot) { s.Peers[0].NATS, s.Peers[0].UDP, s.Peers[0].Skew = 0, 0, 0 }, nil},
		"a mirror was never complete":   {func(s *Snapshot) { s.Regions[0].Age = -1 }, []string{"rtpjet_region_mirror_age_"}},
		"a mirror is new":               {func(s *Snapshot) { s.Regions[0].Age = 0 }, nil},
		"a region has not answered":     {func(s *Snapshot) { s.Regions[0].RTT = 0 }, []string{"rtpjet_region_lag_", "rtpjet_region_round_", "rtpjet_region_clock_"}},
		"a region's clock is ours":      {func(s *Snapshot) { s.Regions[0].Skew, s.Regions[0].Lag = 0, 0 }, nil},
		"there is no other region":      {func(s *Snapshot) { s.Regions = nil }, []string{"rtpjet_region_"}},
		"there is no other node":        {func(s *Snapshot) { s.Peers, s.Leases = nil, nil }, []string{"rtpjet_peer_", "rtpjet_lease_"}},
		"there is no float":             {func(s *Snapshot) { s.Floats = nil }, []string{"rtpjet_float_"}},
		"nobody counts what is missing": {func(s *Snapshot) { s.Relay.Pools[0].Received.Counted = false }, []string{"rtpjet_rtp_"}},
		"nobody has sent a command":     {func(s *Snapshot) { s.NG.Proxies = nil }, []string{"rtpengine_request", "rtpengine_errors_"}},
		"a reason is unknown":           {func(s *Snapshot) { s.Report.Ended["of a later release"] = 5 }, nil},
		"no call has ended for any":     {func(s *Snapshot) { s.Report.Ended = nil }, nil},
	} {
		s := complete()
		c.change(s)
		have := samples(t, s)
		for name := range have {
			if _, there := all[name]; !there {
				t.Errorf("there is %s", name)
			}
		}
		used := map[string]bool{}
		for series := range all {
			gone := ""
			for _, g := range c.gone {
				if strings.HasPrefix(series, g) {
					gone, used[g] = g, true
				}
			}
			if _, there := have[series]; there != (gone == "") {
				t.Errorf("%s: %s is there: %v", name, series, there)
			}
		}
		for _, g := range c.gone {
			if !used[g] {
				t.Errorf("%s: no series is called %s", name, g)
			}
		}
	}
}

// scrape reads a node's metrics as Prometheus does.
func scrape(t *testing.T, s *Snapshot, c *Counters) (string, map[string]*dto.MetricFamily) {
	t.Helper()
	w := httptest.NewRecorder()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil)
	promhttp.HandlerFor(Registry(func() *Snapshot { return s }, c), promhttp.HandlerOpts{}).ServeHTTP(w, r)
	if w.Code != http.StatusOK {
		t.Fatalf("%d: %s", w.Code, w.Body)
	}
	text := w.Body.String()
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(text))
	if err != nil {
		t.Fatalf("Prometheus would not read it: %v", err)
	}
	return text, families
}

// TestHostileLabels: names that others choose (a region, a node, an interface) make no line of their own, and arrive as they
// are.
func TestHostileLabels(t *testing.T) {
	for _, name := range []string{
		`a"} 1` + "\nrtpjet_ready 0\n#", `back\slash\n`, "tab\tnul\x00", "\u2028\u0085", "", strings.Repeat("long ", 10_000), "{}=,", "日本", "\\", `"`,
	} {
		s := full()
		s.Report.Interfaces[0].Name, s.Leases[0].Node, s.Leases[0].State, s.Peers[0].Node, s.Regions[0].Name = name, name, name, name, name
		s.Floats[0].ID, s.Pools[0].Float, s.Build.Version = name, name, name
		_, families := scrape(t, s, NewCounters())
		if v := families["rtpjet_ready"].Metric; len(v) != 1 || v[0].GetGauge().GetValue() != 1 {
			t.Errorf("%.20q: ready %v", name, v)
		}
		for family, label := range map[string]string{
			"rtpengine_ports": "name", "rtpjet_lease_epoch": "node", "rtpjet_peer_verdict": "node", "rtpjet_region_calls": "region",
			"rtpjet_float_held": "float", "rtpjet_build_info": "version", "rtpjet_pool_ports": "float",
		} {
			f := families[family]
			if f == nil {
				t.Errorf("%.20q: there is no %s", name, family)
				continue
			}
			i := slices.IndexFunc(f.Metric[0].Label, func(l *dto.LabelPair) bool { return l.GetName() == label })
			if i < 0 || f.Metric[0].Label[i].GetValue() != name {
				t.Errorf("%.20q: %s arrives with %v", name, family, f.Metric[0].Label)
			}
		}
	}
}

// TestInvalidText: a name that is no UTF-8 costs that name, and not the scrape.
func TestInvalidText(t *testing.T) {
	s := full()
	s.Report.Interfaces = []report.Interface{{Name: "a\xff\xfeb", Addr: netip.MustParseAddr("192.0.2.1"), Used: 3}}
	text, _ := scrape(t, s, NewCounters())
	if !strings.Contains(text, `rtpengine_ports_used{address="192.0.2.1",name="a?b"} 3`) {
		t.Error("the interface is not there")
	}
}

// TestRegistry: beside our own there is what any program of Go says of itself.
func TestRegistry(t *testing.T) {
	_, families := scrape(t, full(), NewCounters())
	for _, name := range []string{"go_goroutines", "go_memstats_alloc_bytes", "process_open_fds", "rtpjet_ready", "rtpjet_append_seconds"} {
		if families[name] == nil {
			t.Errorf("there is no %s", name)
		}
	}
}

// counted is what the counters say, as NAME{LABEL=VALUE,...}. Histograms have _count, _sum and _bucket{LE}.
func counted(t *testing.T, c *Counters) map[string]float64 {
	t.Helper()
	r := prometheus.NewPedanticRegistry()
	r.MustRegister(c.collectors()...)
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]float64{}
	for _, f := range families {
		for _, m := range f.Metric {
			name := seriesName(f, m)
			if h := m.GetHistogram(); h != nil {
				out[name+" count"], out[name+" sum"] = float64(h.GetSampleCount()), h.GetSampleSum()
				continue
			}
			out[name] = m.GetCounter().GetValue()
		}
	}
	return out
}

// TestCounters: each event counts where it belongs, and nowhere else.
func TestCounters(t *testing.T) {
	c := NewCounters()
	before := counted(t, c)
	offer := slices.IndexFunc(ng.Commands, func(i ng.CommandInfo) bool { return i.Name == ng.CommandOffer })
	count := func(what string, do func(), want map[string]float64) {
		t.Helper()
		do()
		now := counted(t, c)
		for name, v := range now {
			if grown := v - before[name]; grown != want[name] {
				t.Errorf("%s: %s has grown by %v, want %v", what, name, grown, want[name])
			}
		}
		for name := range want {
			if _, there := now[name]; !there {
				t.Errorf("%s: there is no %s", what, name)
			}
		}
		before = now
	}
	count("nothing", func() {}, nil)
	for result, name := range map[int]string{AppendOK: "ok", AppendConflict: "conflict", AppendFailed: "failed"} {
		count("append "+name, func() { c.Append(result, 2*time.Second) },
			map[string]float64{"rtpjet_append_seconds{result=" + name + "} count": 1, "rtpjet_append_seconds{result=" + name + "} sum": 2})
	}
	for _, result := range []string{ng.ResultOK, ng.ResultPong, ng.ResultError} {
		series := "rtpjet_ng_command_seconds{command=offer,result=ok}"
		if result == ng.ResultError {
			series = "rtpjet_ng_command_seconds{command=offer,result=error}"
		}
		count(result, func() { c.Command(offer, result, time.Second, LargeReply) }, map[string]float64{series + " count": 1, series + " sum": 1})
	}
	count("a large reply", func() { c.Command(offer, ng.ResultOK, 0, LargeReply+1) },
		map[string]float64{"rtpjet_ng_command_seconds{command=offer,result=ok} count": 1, "rtpjet_ng_large_replies_total{command=offer}": 1})
	count("no command", func() { c.Command(-1, ng.ResultError, time.Second, LargeReply+1) }, map[string]float64{
		"rtpjet_ng_command_seconds{command=none,result=error} count": 1, "rtpjet_ng_command_seconds{command=none,result=error} sum": 1,
		"rtpjet_ng_large_replies_total{command=none}": 1,
	})
	count("the last command", func() { c.Command(len(ng.Commands)-1, ng.ResultOK, time.Second, 0) }, func() map[string]float64 {
		series := "rtpjet_ng_command_seconds{command=" + ng.Commands[len(ng.Commands)-1].Name + ",result=ok}"
		return map[string]float64{series + " count": 1, series + " sum": 1}
	}())
	for _, direction := range []string{TakenIn, TakenOut, TakenElsewhere} {
		for _, why := range []string{transact.WhyGone, transact.WhyAsked} {
			count("takeover", func() { c.TakenOver(direction, why) }, map[string]float64{"rtpjet_takeovers_total{direction=" + direction + ",why=" + why + "}": 1})
		}
	}
	count("silence", func() { c.TakeoverSilence(1500 * time.Millisecond) },
		map[string]float64{"rtpjet_takeover_silence_seconds count": 1, "rtpjet_takeover_silence_seconds sum": 1.5})
	moved := "rtpjet_float_moves_total{float=192.0.2.100,why=nobody held it}"
	count("a planned move", func() { c.FloatMoved("192.0.2.100", "nobody held it", 0) }, map[string]float64{moved: 1})
	count("a move", func() { c.FloatMoved("192.0.2.100", "nobody held it", 500*time.Millisecond) },
		map[string]float64{moved: 1, "rtpjet_float_silence_seconds count": 1, "rtpjet_float_silence_seconds sum": 0.5})
	for _, feature := range ng.AllUndone.Labels() {
		if _, there := before["rtpjet_ng_unsupported_total{feature="+feature+"}"]; !there {
			t.Errorf("a series of %s that begins at 1 has no increase", feature)
		}
	}
	all := map[string]float64{}
	for _, feature := range ng.AllUndone.Labels() {
		all["rtpjet_ng_unsupported_total{feature="+feature+"}"] = 1
	}
	count("everything", func() { c.Unsupported(ng.AllUndone) }, all)
	count("nothing", func() { c.Unsupported(0) }, nil)
}

// TestBeginAtZero: a series that began with its first event at 1 would have no increase that anybody could see.
func TestBeginAtZero(t *testing.T) {
	have := counted(t, NewCounters())
	for _, name := range []string{
		"rtpjet_takeovers_total{direction=in,why=" + transact.WhyGone + "}", "rtpjet_takeovers_total{direction=elsewhere,why=" + transact.WhyAsked + "}",
		"rtpjet_ng_large_replies_total{command=offer}", "rtpjet_ng_large_replies_total{command=list}", "rtpjet_append_seconds{result=conflict} count",
		"rtpjet_takeover_silence_seconds count", "rtpjet_float_silence_seconds count",
	} {
		if v, there := have[name]; !there || v != 0 {
			t.Errorf("%s is %v, there: %v", name, v, there)
		}
	}
	for name, v := range have {
		if v != 0 {
			t.Errorf("%s begins at %v", name, v)
		}
	}
}

// TestScrapesAtOnce: commands are counted while several scrapes read, and none is lost.
func TestScrapesAtOnce(t *testing.T) {
	c := NewCounters()
	r := Registry(full, c)
	const writers, each = 4, 500
	var all sync.WaitGroup
	for w := range writers {
		all.Go(func() {
			for range each {
				c.Command(w, ng.ResultOK, time.Millisecond, LargeReply+1)
				c.Command(-1, ng.ResultError, time.Millisecond, 0)
				c.Append(w%int(numAppends), time.Millisecond)
				c.TakenOver(TakenIn, transact.WhyGone)
				c.TakeoverSilence(time.Second)
				c.FloatMoved("192.0.2.100", "nobody held it", time.Second)
				c.Unsupported(ng.AllUndone)
			}
		})
	}
	for range 3 {
		all.Go(func() {
			last := -1.0
			for range 10 {
				families, err := r.Gather()
				if err != nil {
					t.Error(err)
					return
				}
				for _, f := range families {
					if f.GetName() != "rtpjet_takeovers_total" {
						continue
					}
					sum := 0.0
					for _, m := range f.Metric {
						sum += m.GetCounter().GetValue()
					}
					if sum < last {
						t.Errorf("a counter has fallen from %v to %v", last, sum)
					}
					last = sum
				}
			}
		})
	}
	all.Wait()
	have := counted(t, c)
	for name, want := range map[string]float64{
		"rtpjet_ng_command_seconds{command=none,result=error} count":                     writers * each,
		"rtpjet_ng_command_seconds{command=" + ng.Commands[0].Name + ",result=ok} count": each,
		"rtpjet_ng_command_seconds{command=" + ng.Commands[3].Name + ",result=ok} count": each,
		"rtpjet_ng_large_replies_total{command=" + ng.Commands[0].Name + "}":             each,
		"rtpjet_takeovers_total{direction=in,why=" + transact.WhyGone + "}":              writers * each,
		"rtpjet_takeover_silence_seconds count":                                          writers * each,
		"rtpjet_float_moves_total{float=192.0.2.100,why=nobody held it}":                 writers * each,
		"rtpjet_ng_unsupported_total{feature=" + ng.AllUndone.Labels()[0] + "}":          writers * each,
		"rtpjet_append_seconds{result=ok} count":                                         2 * each,
		"rtpjet_append_seconds{result=failed} count":                                     each,
	} {
		if have[name] != want {
			t.Errorf("%s is %v, want %v", name, have[name], want)
		}
	}
}

// TestCommandAllocatesNothing: each command is counted.
func TestCommandAllocatesNothing(t *testing.T) {
	c := NewCounters()
	c.Command(1, ng.ResultOK, time.Millisecond, 500)
	if n := testing.AllocsPerRun(100, func() { c.Command(1, ng.ResultOK, time.Millisecond, 500) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
