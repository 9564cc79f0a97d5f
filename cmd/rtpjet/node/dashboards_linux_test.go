package node_test

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	dto "github.com/prometheus/client_model/go"

	"rtpjet/cmd/rtpjet/app"
)

// The dashboard, the alerts and the table in docs/metrics.md name metrics and labels. Whether a node has them, a node says.

// wholeScrape is what nodes say that together have a series of each metric: one with a floating address in a process of its
// own, and two that know each other.
func wholeScrape(t *testing.T) scrape {
	t.Helper()
	host, float, here, there := newHost(), newHost(), newHost(), newHost()
	key := filepath.Join(t.TempDir(), "cluster.key")
	if err := os.WriteFile(key, []byte("the secret of both regions"), 0o600); err != nil {
		t.Fatal(err)
	}
	serve(t, "--region", "elsewhere", "--cluster-key-file", key,
		"--region-listen", there.String()+":7422", "--region-peer", region+"="+here.String()+":7422")
	s := serve(t, "--listen-http", host.String()+":8080", "--float", fmt.Sprintf("default/%s/32@lo", float), "--float-provider", "none",
		"--cluster-key-file", key, "--region-listen", here.String()+":7422", "--region-peer", "elsewhere="+there.String()+":7422")
	s.place("counted").talk()
	s.ok(remove(s.place("over").id))
	var all scrape
	eventually(t, "the node does not hold its float", func() error {
		all = scrapeURL(t, "http://"+netip.AddrPortFrom(host, 8080).String()+"/metrics")
		held, _ := all.value("rtpjet_float_held")
		moved, _ := all.value("rtpjet_float_moves_total")
		_, mirrored := all.value("rtpjet_region_mirror_age_seconds", "region", "elsewhere")
		return when(held == 1 && moved == 1 && mirrored)
	})
	var front *app.Front
	nodes := peers(t, 2, func(s *settings) {
		if s.ID == "n1" {
			fronted(&front)(s)
		}
	})
	front.Show(nodes[0].node)
	for name, f := range scrapeOf(t, front) {
		if all[name] == nil {
			all[name] = f
		}
	}
	return all
}

var (
	metricName = regexp.MustCompile(`\b(?:rtpengine|rtpjet|go|process)_[a-z0-9_]+`)
	selector   = regexp.MustCompile(`\b((?:rtpengine|rtpjet|go|process)_[a-z0-9_]+)\{([^}]*)\}`)
	matcher    = regexp.MustCompile(`([a-z_]+)\s*(?:=~|!~|!=|=)\s*"([^"]*)"`)
	grouping   = regexp.MustCompile(`\b(?:by|on)\s*\(([^)]*)\)`)
)

// known says what is wrong with a query, or nothing.
func (s scrape) known(query string) (faults []string) {
	var labels []string
	for _, name := range metricName.FindAllString(query, -1) {
		f := s.family(name)
		if f == nil {
			faults = append(faults, "no node has "+name)
			continue
		}
		for _, m := range f.Metric {
			for _, l := range m.Label {
				labels = append(labels, l.GetName())
			}
		}
	}
	for _, m := range selector.FindAllStringSubmatch(query, -1) {
		for _, pair := range matcher.FindAllStringSubmatch(m[2], -1) {
			if f := s.family(m[1]); f != nil && !hasLabel(f, pair[1], pair[2]) {
				faults = append(faults, fmt.Sprintf("%s has no %s", m[1], pair[0]))
			}
		}
	}
	for _, m := range grouping.FindAllStringSubmatch(query, -1) {
		for name := range strings.SplitSeq(m[1], ",") {
			if name = strings.TrimSpace(name); !slices.Contains(labels, name) && name != "le" && name != "instance" {
				faults = append(faults, "nothing has the label "+name)
			}
		}
	}
	return faults
}

// family finds the metric that a query names, of which a histogram has several names.
func (s scrape) family(name string) *dto.MetricFamily {
	if f := s[name]; f != nil {
		return f
	}
	for _, suffix := range []string{"_bucket", "_count", "_sum"} {
		if base, ok := strings.CutSuffix(name, suffix); ok && s[base].GetType() == dto.MetricType_HISTOGRAM {
			return s[base]
		}
	}
	return nil
}

// hasLabel tells whether a metric has a label, and that value of it if it is one of a fixed set.
func hasLabel(f *dto.MetricFamily, name, value string) bool {
	if name == "instance" || name == "job" || name == "quantile" { // Prometheus adds them, or the format has them otherwise
		return true
	}
	fixed := slices.Contains([]string{"reason", "direction", "state", "owner", "carried", "type", "path", "quantile"}, name) && !strings.Contains(value, "|")
	for _, m := range f.Metric {
		for _, l := range m.Label {
			if l.GetName() == name && (!fixed || l.GetValue() == value) {
				return true
			}
		}
	}
	return false
}

func TestDashboardsAndDocs(t *testing.T) {
	t.Parallel()
	s := wholeScrape(t)

	t.Run("grafana", func(t *testing.T) {
		text := readFile(t, "../../../examples/grafana/rtpjet.json")
		var dashboard any
		if err := json.Unmarshal([]byte(text), &dashboard); err != nil {
			t.Fatal(err)
		}
		queries := stringsAt(dashboard, "expr")
		if len(queries) < 40 {
			t.Fatalf("only %d queries", len(queries))
		}
		for _, q := range queries {
			for _, fault := range s.known(q) {
				t.Errorf("%s\n\t%s", q, fault)
			}
		}
	})
	t.Run("alerts", func(t *testing.T) {
		num := 0
		for line := range strings.Lines(readFile(t, "../../../examples/prometheus/alerts.yml")) {
			if q, ok := strings.CutPrefix(strings.TrimSpace(line), "expr: "); ok {
				num++
				for _, fault := range s.known(q) {
					t.Errorf("%s\n\t%s", q, fault)
				}
			}
		}
		if num < 10 {
			t.Errorf("only %d rules", num)
		}
	})
	t.Run("docs", func(t *testing.T) {
		text := readFile(t, "../../../docs/metrics.md")
		for name, f := range s {
			if !strings.HasPrefix(name, "rtpjet_") && !strings.HasPrefix(name, "rtpengine_") {
				continue
			}
			row := tableRow(text, name)
			if cells := strings.Split(row, "|"); len(cells) < 4 || strings.TrimSpace(cells[2]) != strings.ToLower(f.GetType().String()) {
				t.Errorf("%s is a %v, and docs/metrics.md says: %q", name, f.GetType(), row)
			}
			for _, l := range f.Metric[0].Label {
				if strings.HasPrefix(name, "rtpjet_") && !strings.Contains(row, "`"+l.GetName()+"`") {
					t.Errorf("docs/metrics.md does not tell of the label %s of %s", l.GetName(), name)
				}
			}
		}
		for _, name := range metricName.FindAllString(text, -1) {
			if row := tableRow(text, name); s.family(name) == nil && !strings.Contains(row, "| no") && len(name) > len("rtpjet_") {
				t.Errorf("docs/metrics.md tells of %s, which no node has", name)
			}
		}
		for _, reason := range stringsOf(s["rtpjet_packets_shed_total"], "reason") {
			if tableRow(text, reason) == "" {
				t.Errorf("docs/metrics.md does not tell of the reason %s", reason)
			}
		}
	})
}

func readFile(t testing.TB, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// stringsAt finds all strings under a key of a JSON value.
func stringsAt(v any, key string) (out []string) {
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			out = append(out, stringsAt(e, key)...)
		}
	case map[string]any:
		for k, e := range v {
			if s, ok := e.(string); ok && k == key {
				out = append(out, s)
			}
			out = append(out, stringsAt(e, key)...)
		}
	}
	return out
}

func stringsOf(f *dto.MetricFamily, label string) (out []string) {
	for _, m := range f.GetMetric() {
		for _, l := range m.Label {
			if l.GetName() == label {
				out = append(out, l.GetValue())
			}
		}
	}
	return out
}
