package app

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"rtpjet/cmd/rtpjet/httpd"
	"rtpjet/cmd/rtpjet/metrics"
	"rtpjet/cmd/rtpjet/node"
	"rtpjet/cmd/rtpjet/node/view"
	"rtpjet/cmd/rtpjet/web"
)

// Front is what a node answers over HTTP. It is there before the node is, so that a probe can tell a process that starts
// from one that hangs. Its methods are safe for concurrent use.
type Front struct {
	node     atomic.Pointer[node.Node] // nil: the node starts
	view     atomic.Pointer[view.View] // likewise
	counters *metrics.Counters
	news     view.News
	mux      *http.ServeMux
}

// Requests of each kind that are at work at once.
const (
	maxScrapes = 2
	maxProbes  = 8
)

// NewFront returns a front without a node. Counters are those that go into [node.Config].
func NewFront(log *slog.Logger) *Front {
	f := &Front{counters: metrics.NewCounters(), mux: http.NewServeMux()}
	registry := metrics.Registry(f.snapshot, f.counters)
	f.mux.Handle("GET /metrics", httpd.Limit(maxScrapes, promhttp.HandlerFor(registry, promhttp.HandlerOpts{
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn), ErrorHandling: promhttp.ContinueOnError,
	})))
	f.mux.Handle("GET /healthz", httpd.Limit(maxProbes, http.HandlerFunc(f.health)))
	f.mux.Handle("GET /readyz", httpd.Limit(maxProbes, http.HandlerFunc(f.ready)))
	return f
}

// Page has the front show the web page, too. token is what operators say there to change something; empty: it is for looking only.
func (f *Front) Page(token string, log *slog.Logger) {
	f.mux.Handle("/", web.New(web.Config{Token: token, Log: log, Source: func() web.Source {
		if v := f.view.Load(); v != nil {
			return v
		}
		return nil
	}}))
}

// Counters are what the node has to count with.
func (f *Front) Counters() *metrics.Counters { return f.counters }

// News are those that the page shows: the node has to say to it who takes calls over.
func (f *Front) News() *view.News { return &f.news }

// Show has the front answer for a node from now on.
func (f *Front) Show(n *node.Node) { f.node.Store(n) }

// ShowPage has the web page show a node from now on.
func (f *Front) ShowPage(v *view.View) { f.view.Store(v) }

// Handle mounts something beside /metrics, /healthz and /readyz; "/" is free. It must be called before the listener is.
func (f *Front) Handle(pattern string, h http.Handler) { f.mux.Handle(pattern, h) }

// ServeHTTP implements [http.Handler].
func (f *Front) ServeHTTP(w http.ResponseWriter, r *http.Request) { f.mux.ServeHTTP(w, r) }

func (f *Front) snapshot() *metrics.Snapshot {
	n := f.node.Load()
	if n == nil {
		return &metrics.Snapshot{Build: node.Build()}
	}
	return node.Inspect(n).Measure(context.Background())
}

// health is about the process, whatever NATS does.
func (f *Front) health(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	if n := f.node.Load(); n != nil {
		if err := node.Inspect(n).Alive(r.Context()); err != nil {
			w.WriteHeader(http.StatusServiceUnavailable)
			_, _ = w.Write([]byte(err.Error() + "\n"))
			return
		}
	}
	_, _ = w.Write([]byte("ok\n"))
}

// Readiness is the body of /readyz.
type Readiness struct {
	Ready   bool     `json:"ready"`
	Node    string   `json:"node,omitempty"`
	Reasons []string `json:"reasons"` // why not
}

// ready is about the node's place in the cluster: whether it is to be sent commands.
func (f *Front) ready(w http.ResponseWriter, r *http.Request) {
	out := Readiness{Reasons: []string{"the node starts"}}
	if n := f.node.Load(); n != nil {
		out.Node = n.ID()
		out.Reasons = node.Inspect(n).Unready(r.Context())
		out.Ready = len(out.Reasons) == 0
	}
	if out.Reasons == nil {
		out.Reasons = []string{}
	}
	w.Header().Set("Content-Type", "application/json")
	if !out.Ready {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	_ = json.NewEncoder(w).Encode(out)
}
