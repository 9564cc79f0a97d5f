package web

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"sync"
	"time"

	"rtpjet/cmd/rtpjet/httpd"
	"rtpjet/projection/pages"
)

const (
	maxPages   = 8   // requests that are at work at once
	maxStreams = 64  // browsers that are kept up to date at once
	maxLimit   = 200 // calls on one page of the list
	defLimit   = 50
	maxSearch  = 300 // bytes
	// every is the time between two looks at what a browser is kept up to date about.
	every = time.Second
	// clusterTime bounds the question how all nodes are, storyTime the reading of a call's history.
	clusterTime = 2 * time.Second
	storyTime   = 20 * time.Second
)

// Config is what makes the pages.
type Config struct {
	// Source returns the node; nil while it starts.
	Source func() Source
	// Token lets operators change something; empty: nobody can.
	Token string
	Log   *slog.Logger
	// Every is the time between two looks for those who are kept up to date; 0: a second.
	Every time.Duration
}

type handler struct {
	cfg     Config
	streams chan struct{} // one for each browser that is kept up to date

	mu      sync.Mutex // held while the nodes are asked, so that they are asked once for all
	asked   time.Time
	cluster pages.Cluster
}

// New returns what answers under / and /api/v1/.
func New(cfg Config) http.Handler {
	if cfg.Every <= 0 {
		cfg.Every = every
	}
	h := &handler{cfg: cfg, streams: make(chan struct{}, maxStreams)}
	mux := http.NewServeMux()
	get := func(pattern string, f func(Source, http.ResponseWriter, *http.Request)) {
		mux.Handle("GET /api/v1/"+pattern, httpd.Limit(maxPages, h.with(f)))
	}
	get("cluster", h.getCluster)
	get("calls", h.getCalls)
	get("call", h.getCall)
	get("call/streams", h.getStreams)
	mux.Handle("GET /api/v1/live", h.with(h.live))
	h.actions(mux)
	mux.HandleFunc("/api/", func(w http.ResponseWriter, _ *http.Request) {
		fail(w, http.StatusNotFound, "there is nothing here; docs/web.md lists what there is")
	})
	mux.Handle("/", assets())
	return guard(mux)
}

// with answers for a node that has started.
func (h *handler) with(f func(Source, http.ResponseWriter, *http.Request)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s := h.cfg.Source()
		if s == nil {
			w.Header().Set("Retry-After", "1")
			fail(w, http.StatusServiceUnavailable, "the node starts")
			return
		}
		f(s, w, r)
	})
}

func reply(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	_ = json.NewEncoder(w).Encode(v) // who asked may be gone
}

// failure is the body of an answer that is none.
type failure struct {
	Error string   `json:"error"`
	Near  []string `json:"near,omitempty"`
}

func fail(w http.ResponseWriter, status int, text string) { failWith(w, status, failure{Error: text}) }

func failWith(w http.ResponseWriter, status int, f failure) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(f)
}

func (h *handler) getCluster(s Source, w http.ResponseWriter, r *http.Request) {
	reply(w, h.look(r.Context(), s))
}

// look asks the nodes, or has the answer of a moment ago.
func (h *handler) look(ctx context.Context, s Source) pages.Cluster {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.asked.IsZero() || time.Since(h.asked) >= h.cfg.Every*9/10 {
		// Not the asker's context: who hangs up must not spoil the answer for the others.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), clusterTime)
		defer cancel()
		h.cluster = s.Cluster(ctx)
		h.cluster.ReadOnly = h.cfg.Token == ""
		h.asked = time.Now()
	}
	return h.cluster
}

// forget has the nodes asked anew by whoever looks next.
func (h *handler) forget() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.asked = time.Time{}
}

// list is what part of the calls somebody wants.
type list struct {
	search      string
	from, limit int
}

func readList(r *http.Request) (l list, err error) {
	q := r.URL.Query()
	l.search, l.limit = q.Get("q"), defLimit
	if len(l.search) > maxSearch {
		return l, errors.New("the search is too long")
	}
	for name, to := range map[string]*int{"from": &l.from, "limit": &l.limit} {
		v := q.Get(name)
		if v == "" {
			continue
		}
		n, err := strconv.Atoi(v)
		if err != nil || n < 0 {
			return l, errors.New(name + " must be a number")
		}
		*to = n
	}
	l.limit = max(1, min(l.limit, maxLimit))
	return l, nil
}

func (h *handler) getCalls(s Source, w http.ResponseWriter, r *http.Request) {
	l, err := readList(r)
	if err != nil {
		fail(w, http.StatusBadRequest, err.Error())
		return
	}
	reply(w, s.Calls(l.search, l.from, l.limit))
}

func (h *handler) getCall(s Source, w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	id := q.Get("id")
	ctx, cancel := context.WithTimeout(r.Context(), storyTime)
	defer cancel()
	story, err := s.Story(ctx, id)
	switch {
	case errors.Is(err, ErrNoCall):
		failWith(w, http.StatusNotFound, failure{"There is no call " + strconv.Quote(id) + " in the log.", s.Near(id)})
		return
	case err != nil:
		h.cfg.Log.Warn("the history of a call cannot be read", "call-id", id, "err", err)
		fail(w, http.StatusServiceUnavailable, "the event log does not answer")
		return
	}
	at := q.Get("at")
	if at == "" {
		reply(w, pages.Slim(story.Ladder))
		return
	}
	i, err := strconv.Atoi(at)
	if err != nil || i < 0 || i >= len(story.Moments) {
		fail(w, http.StatusBadRequest, "at must be the number of a step, from 0")
		return
	}
	reply(w, pages.NewState(story.Moments, story.Ladder, i))
}

func (h *handler) getStreams(s Source, w http.ResponseWriter, r *http.Request) {
	reply(w, s.Streams(r.Context(), r.URL.Query().Get("id")))
}
