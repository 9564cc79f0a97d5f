package node_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"rtpjet/cmd/rtpjet/app"
	"rtpjet/cmd/rtpjet/node"
	"rtpjet/embed"
	"rtpjet/ngserver/ngtest"
	"rtpjet/relay"
	"rtpjet/tests/procs"
)

// scrape is what a /metrics says, by name.
type scrape map[string]*dto.MetricFamily

func parseScrape(t testing.TB, body io.Reader) scrape {
	t.Helper()
	p := expfmt.NewTextParser(model.LegacyValidation)
	families, err := p.TextToMetricFamilies(body)
	if err != nil {
		t.Fatal(err)
	}
	return families
}

func scrapeURL(t testing.TB, url string) scrape {
	t.Helper()
	var s scrape
	eventually(t, "no metrics at "+url, func() error {
		r, err := quickly.Get(url)
		if err != nil {
			return err
		}
		defer r.Body.Close()
		if r.StatusCode != http.StatusOK {
			return errors.New(r.Status)
		}
		s = parseScrape(t, r.Body)
		return nil
	})
	return s
}

// quickly is an HTTP client that leaves no connection behind.
var quickly = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}

// value is that of the series with these labels, name and value in turn; 0 and false if there is none.
func (s scrape) value(name string, labels ...string) (v float64, ok bool) {
	f := s[name]
	if f == nil {
		return 0, false
	}
	for _, m := range f.Metric {
		if !matches(m, labels) {
			continue
		}
		switch {
		case m.Counter != nil:
			v += m.GetCounter().GetValue()
		case m.Gauge != nil:
			v += m.GetGauge().GetValue()
		case m.Histogram != nil:
			v += float64(m.GetHistogram().GetSampleCount())
		}
		ok = true
	}
	return v, ok
}

func matches(m *dto.Metric, labels []string) bool {
	for i := 0; i < len(labels); i += 2 {
		if !slices.ContainsFunc(m.Label, func(l *dto.LabelPair) bool {
			return l.GetName() == labels[i] && l.GetValue() == labels[i+1]
		}) {
			return false
		}
	}
	return true
}

// labelNames are the names of a family's labels, with the values of those that are an enumeration.
func labelNames(f *dto.MetricFamily) []string {
	seen := map[string]bool{}
	for _, m := range f.Metric {
		for _, l := range m.Label {
			name := l.GetName()
			if slices.Contains([]string{"type", "reason", "request"}, name) {
				name += "=" + l.GetValue()
			}
			seen[name] = true
		}
	}
	return slices.Sorted(maps.Keys(seen))
}

// fronted makes a node answer HTTP, through the handler that is returned.
func fronted(f **app.Front) func(*settings) {
	return func(s *settings) {
		*f = app.NewFront(quiet())
		s.Counters = (*f).Counters()
	}
}

func ask(t testing.TB, h http.Handler, path string) (int, string) {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
	return w.Code, w.Body.String()
}

func scrapeOf(t testing.TB, h http.Handler) scrape {
	t.Helper()
	code, body := ask(t, h, "/metrics")
	if code != http.StatusOK {
		t.Fatalf("%d %s", code, body)
	}
	return parseScrape(t, strings.NewReader(body))
}

// TestMetricsOfCalls: what a scrape says is what the node has.
func TestMetricsOfCalls(t *testing.T) {
	t.Parallel()
	var front *app.Front
	n := startNode(t, fronted(&front))
	front.Show(n.node)

	first, second := n.place("first"), n.place("second")
	first.talk()
	n.ok(remove(second.id))
	send(t, first.a.rtp, first.atA.rtp, []byte("x"))
	n.do(answer("never", newPhone(t).body()))
	for _, id := range []string{"first", "first", "second"} {
		n.raw("same", dict{"command": "query", "call-id": id})
	}

	var s scrape
	eventually(t, "the node does not read what it has written", func() error {
		s = scrapeOf(t, front)
		lag, ok := s.value("rtpjet_projection_lag_entries")
		shed, _ := s.value("rtpjet_packets_shed_total", "reason", "malformed")
		head, _ := s.value("rtpjet_log_head")
		appends, _ := s.value("rtpjet_append_seconds", "result", "ok")
		if head != float64(n.store.last()) || appends != float64(n.journal.appends.Load()) { // addresses are still being learned
			return fmt.Errorf("the log ends at %v after %v appends, and a scrape says %v and %v", n.store.last(), n.journal.appends.Load(), head, appends)
		}
		return when(ok && lag == 0 && shed == 1)
	})
	for _, want := range []struct {
		name   string
		labels []string
		value  float64
	}{
		{"rtpengine_sessions", []string{"type", "own"}, 1},
		{"rtpengine_sessions", []string{"type", "foreign"}, 0},
		{"rtpjet_calls", []string{"owner", "node", "carried", "here"}, 1},
		{"rtpengine_sessions_total", nil, 1},
		{"rtpengine_closed_sessions_total", []string{"reason", "terminated"}, 1},
		{"rtpengine_mediastreams", []string{"type", "userspace"}, 4},
		{"rtpengine_packets_total", []string{"type", "userspace"}, 2},
		{"rtpengine_packet_errors_total", []string{"type", "userspace"}, 1},
		{"rtpjet_packets_shed_total", nil, 1},
		{"rtpjet_packets_total", []string{"direction", "out"}, 2},
		{"rtpengine_requests_total", []string{"request", "offer"}, 2},
		{"rtpengine_requests_total", []string{"request", "answer"}, 3},
		{"rtpengine_errors_total", nil, 2},
		{"rtpjet_ng_command_seconds", []string{"command", "answer", "result", "error"}, 1},
		{"rtpjet_ng_command_seconds", []string{"command", "offer", "result", "ok"}, 2},
		{"rtpjet_ng_cookie_collisions_total", nil, 1},
		{"rtpjet_ng_repeats_total", []string{"outcome", "answered"}, 1},
		{"rtpjet_pool_ports", []string{"state", "used"}, 4},
		{"rtpjet_log_reachable", nil, 1},
		{"rtpjet_log_away_seconds", nil, 0},
		{"rtpjet_ready", nil, 1},
		{"rtpjet_draining", nil, 0},
		{"rtpjet_build_info", nil, 1},
	} {
		if got, ok := s.value(want.name, want.labels...); !ok || got != want.value {
			t.Errorf("%s%v is %v (%v), want %v", want.name, want.labels, got, ok, want.value)
		}
	}
}

// TestMetricsAreTheStatistics: both say the same of the same node, however its calls have come and gone.
func TestMetricsAreTheStatistics(t *testing.T) {
	t.Parallel()
	var front *app.Front
	nodes := peers(t, 2, func(s *settings) {
		if s.ID == "n1" {
			fronted(&front)(s)
		}
	})
	n := nodes[0]
	front.Show(n.node)
	for i := range 20 {
		at := nodes[i%2]
		at.place(fmt.Sprint("call", i))
		if i%3 == 0 {
			at.ok(remove(fmt.Sprint("call", i)))
		}
	}
	eventually(t, "scrape and statistics differ", func() error {
		current := n.ok(dict{"command": "statistics"})["statistics"].(dict)["currentstatistics"].(dict)
		s := scrapeOf(t, front)
		own, _ := s.value("rtpengine_sessions", "type", "own")
		foreign, _ := s.value("rtpengine_sessions", "type", "foreign")
		status := node.Inspect(n.node).State()
		got, want := []int64{int64(own), int64(foreign), int64(own + foreign)}, []int64{status.Own, status.Foreign, 13}
		if !slices.Equal(got, want) || current["sessionsown"] != status.Own || current["sessionsforeign"] != status.Foreign {
			return fmt.Errorf("a scrape says %v, the node %v, statistics %v and %v", got, want, current["sessionsown"], current["sessionsforeign"])
		}
		return nil
	})
	var s scrape
	eventually(t, "nothing about the heartbeats of n2", func() error {
		s = scrapeOf(t, front)
		_, nats := s.value("rtpjet_peer_heard_seconds", "node", "n2", "path", "nats")
		_, udp := s.value("rtpjet_peer_heard_seconds", "node", "n2", "path", "udp")
		return when(nats && udp)
	})
	if v, _ := s.value("rtpjet_peer_verdict", "node", "n2", "verdict", "alive"); v != 1 {
		t.Error("n2 is not alive")
	}
	if v, _ := s.value("rtpjet_lease_epoch", "node", "n1"); v != 1 {
		t.Errorf("the epoch of n1 is %v", v)
	}
}

// TestMetricsOfTakeover: a node that dies leaves its calls, and who takes one over says so.
func TestMetricsOfTakeover(t *testing.T) {
	t.Parallel()
	var front *app.Front
	nodes := peers(t, 2, func(s *settings) {
		if s.ID == "n2" {
			fronted(&front)(s)
		}
	})
	front.Show(nodes[1].node)
	c := nodes[0].place("moves")
	nodes[0].stop() // it says goodbye, so it counts as gone at once
	nodes[1].sdp(with(maps.Clone(c.offer), dict{"to-tag": "B"}))
	s := scrapeOf(t, front)
	if got, _ := s.value("rtpjet_takeovers_total", "direction", "in", "why", "owner gone"); got != 1 {
		t.Errorf("%v takeovers", got)
	}
	if got, _ := s.value("rtpjet_takeover_silence_seconds"); got != 1 {
		t.Errorf("the silence of %v takeovers is known", got)
	}
}

// frozen is an engine whose threads do not answer.
type frozen struct{ relay.Engine }

func (frozen) Answers(context.Context) error { return errors.New("thread 0 does not answer") }

// TestHealth: health is the process, readiness the cluster.
func TestHealth(t *testing.T) {
	t.Parallel()
	var front *app.Front
	n := startNode(t, fronted(&front))

	ready := func() app.Readiness {
		t.Helper()
		code, body := ask(t, front, "/readyz")
		var r app.Readiness
		if err := json.Unmarshal([]byte(body), &r); err != nil {
			t.Fatal(err)
		}
		if (code == http.StatusOK) != r.Ready || r.Ready != (len(r.Reasons) == 0) || !r.Ready && code != http.StatusServiceUnavailable {
			t.Errorf("%d %s", code, body)
		}
		return r
	}
	healthy := func(want int) {
		t.Helper()
		if code, body := ask(t, front, "/healthz"); code != want {
			t.Errorf("%d %s", code, body)
		}
	}
	isReady := func() error { r := ready(); return when(r.Ready && r.Node == "n1") }
	because := func(part string) func() error {
		return func() error {
			r := ready()
			return when(slices.ContainsFunc(r.Reasons, func(s string) bool { return strings.Contains(s, part) }))
		}
	}

	front.Handle("GET /{$}", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "a page") }))
	if code, body := ask(t, front, "/"); code != http.StatusOK || body != "a page" {
		t.Errorf("%d %s", code, body)
	}

	// The process is there, and the node is not yet.
	healthy(http.StatusOK)
	eventually(t, "not starting", because("starts"))
	if v, _ := scrapeOf(t, front).value("rtpjet_ready"); v != 0 {
		t.Error("ready before it was there")
	}

	front.Show(n.node)
	healthy(http.StatusOK)
	eventually(t, "not ready", isReady)

	// Without its log it is alive, relays, and is not ready.
	n.journal.blind.Store(true)
	eventually(t, "ready without a log", because("does not answer"))
	healthy(http.StatusOK)
	s := scrapeOf(t, front)
	if _, ok := s.value("rtpjet_projection_lag_entries"); ok {
		t.Error("a lag behind a log that nobody can see")
	}
	if v, ok := s.value("rtpjet_log_reachable"); v != 0 || !ok {
		t.Error("the log is reachable")
	}
	n.journal.blind.Store(false)
	eventually(t, "not ready again", isReady)

	n.stop()
	eventually(t, "ready at its end", because("ends"))
}

func TestHealthOfLoops(t *testing.T) {
	t.Parallel()
	var front *app.Front
	n := startNode(t, fronted(&front), func(s *settings) { s.wrap = func(e relay.Engine) relay.Engine { return frozen{e} } })
	front.Show(n.node)
	if code, body := ask(t, front, "/healthz"); code != http.StatusServiceUnavailable || !strings.Contains(body, "thread 0") {
		t.Errorf("%d %s", code, body)
	}
}

// TestReadyDrained: a node that drains takes no new calls, so nobody should send it any.
func TestReadyDrained(t *testing.T) {
	t.Parallel()
	var front *app.Front
	n := peers(t, 1, fronted(&front))[0]
	front.Show(n.node)
	for _, on := range []bool{true, false} {
		eventually(t, "the node cannot be drained", func() error {
			_, err := n.store.log.Request(t.Context(), "node.n1.drain", fmt.Appendf(nil, `{"on":%v}`, on))
			return err
		})
		if code, body := ask(t, front, "/readyz"); (code == http.StatusServiceUnavailable) != on || strings.Contains(body, "draining") != on {
			t.Errorf("drain %v: %d %s", on, code, body)
		}
		if v, _ := scrapeOf(t, front).value("rtpjet_draining"); (v == 1) != on {
			t.Errorf("drain %v: %v", on, v)
		}
	}
}

// TestHTTPOfProcess: the option, and what is answered from the first moment to the last.
func TestHTTPOfProcess(t *testing.T) {
	t.Parallel()
	host := newHost()
	at := "http://" + host.String() + ":8080"
	s := serve(t, "--log-format=json", "--listen-http", host.String()+":8080", "--listen-http="+host.String()+":8081")
	for _, path := range []string{"/healthz", "/readyz", "/metrics"} {
		for _, base := range []string{at, "http://" + host.String() + ":8081"} {
			eventually(t, base+path, func() error {
				r, err := quickly.Get(base + path)
				if err != nil {
					return err
				}
				r.Body.Close()
				return when(r.StatusCode == http.StatusOK)
			})
		}
	}
	for path, want := range map[string]int{"/": http.StatusOK, "/nothing": http.StatusNotFound, "/metrics/x": http.StatusNotFound} {
		r, err := quickly.Get(at + path)
		if err != nil {
			t.Fatal(err)
		}
		r.Body.Close()
		if r.StatusCode != want {
			t.Errorf("%s: %s", path, r.Status)
		}
	}
	for text := range strings.Lines(s.stderr.String()) {
		if line := map[string]any{}; json.Unmarshal([]byte(text), &line) != nil || line["msg"] == nil {
			t.Errorf("a line of the log is no JSON: %s", text)
		}
	}
	code, _, stderr := run(t, append(slices.Clone(s.args), "--listen-ng", newHost().String()+":2223", "--listen-http", host.String()+":8080")...)
	if code == 0 || !strings.Contains(stderr, "--listen-http") {
		t.Errorf("a second process on the address ends with %d: %s", code, stderr)
	}
}

// TestMetricsLikeRTPEngine drives Debian's rtpengine and rtpjet alike, and compares what the two tell Prometheus.
func TestMetricsLikeRTPEngine(t *testing.T) {
	t.Parallel()
	theirs := scrapeRTPEngine(t)
	var front *app.Front
	n := startNode(t, fronted(&front))
	front.Show(n.node)
	driveForMetrics(t, n.ng)
	ours := scrapeOf(t, front)

	text, err := os.ReadFile("../../../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range slices.Sorted(maps.Keys(theirs)) {
		a, b := theirs[name], ours[name]
		row := tableRow(string(text), name)
		switch {
		case row == "":
			t.Errorf("docs/metrics.md has no row about %s", name)
		case b == nil && strings.Contains(row, "| no"):
		case b == nil:
			t.Errorf("there is no %s, and docs/metrics.md says: %s", name, row)
		case a.GetType() != b.GetType():
			t.Errorf("%s is a %v, and rtpengine's is a %v", name, b.GetType(), a.GetType())
		default:
			have := labelNames(b)
			for _, l := range labelNames(a) {
				if !slices.Contains(have, l) {
					t.Errorf("%s has no label %s: %v", name, l, have)
				}
			}
		}
	}
	for name := range ours {
		if strings.HasPrefix(name, "rtpengine_") && theirs[name] == nil {
			t.Errorf("rtpengine has no %s", name)
		}
	}
}

// tableRow is the row of a table whose first cell names a metric.
func tableRow(text, name string) string {
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "| `"+name+"`") {
			return line
		}
	}
	return ""
}

// driveForMetrics has a server come by a series of each kind.
func driveForMetrics(t testing.TB, n *ng) {
	t.Helper()
	n.place("metrics").talk()
	n.ok(remove(n.place("over").id))
	n.do(answer("never", newPhone(t).body()))
	n.do(dict{"command": "statistics"})
}

// scrapeRTPEngine starts the installed rtpengine and scrapes it.
func scrapeRTPEngine(t *testing.T) scrape {
	t.Helper()
	path, err := exec.LookPath("rtpengine")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("rtpengine is not installed")
		}
		t.Skip("rtpengine is not installed")
	}
	host := newHost().String()
	cmd := exec.CommandContext(t.Context(), path, "--config-file=none", "--interface="+host, "--listen-ng="+host+":2223", "--listen-http="+host+":8080",
		"--table=-1", "--foreground", "--log-stderr", "--log-level=3", "--port-min=30000", "--port-max=30099")
	out := &procs.Output{}
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("rtpengine says\n%s", out)
		}
	})
	eventually(t, "rtpengine answers no ping", func() error {
		c, err := ngtest.Dial(net.JoinHostPort(host, "2223"))
		if err != nil {
			return err
		}
		defer c.Close()
		_, err = c.Do(dict{"command": "ping"})
		return err
	})
	n := dial(t, net.JoinHostPort(host, strconv.Itoa(2223)))
	driveForMetrics(t, n)
	// A transcoding call is what it has some series for only.
	if reply := n.do(offer("transcoded", newPhone(t).body(), dict{"codec": dict{"mask": []any{"PCMA"}, "transcode": []any{"PCMU"}}})); reply["result"] != "ok" {
		t.Fatal(reply)
	}
	return scrapeURL(t, "http://"+net.JoinHostPort(host, "8080")+"/metrics")
}

// Head fails while the journal is blind.
func (j *journal) Head(ctx context.Context) (uint64, error) {
	if j.blind.Load() {
		return 0, fmt.Errorf("read the end of the log: %w", embed.ErrUnavailable)
	}
	return j.Log.Head(ctx)
}
