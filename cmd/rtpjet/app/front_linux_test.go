package app

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"rtpjet/cmd/rtpjet/metrics"
)

func request(t *testing.T, h http.Handler, method, path string) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), method, path, nil))
	return w
}

// TestFrontStarting: a process whose node is not there yet is healthy, not ready, and has metrics that say so.
func TestFrontStarting(t *testing.T) {
	f := NewFront(quiet())
	w := request(t, f, http.MethodGet, "/healthz")
	if w.Code != http.StatusOK || w.Body.String() != "ok\n" || w.Header().Get("Content-Type") != "text/plain; charset=utf-8" {
		t.Errorf("/healthz: %d %q %v", w.Code, w.Body, w.Header())
	}
	w = request(t, f, http.MethodGet, "/readyz")
	if w.Code != http.StatusServiceUnavailable || w.Body.String() != `{"ready":false,"reasons":["the node starts"]}`+"\n" ||
		w.Header().Get("Content-Type") != "application/json" {
		t.Errorf("/readyz: %d %s %v", w.Code, w.Body, w.Header())
	}
	w = request(t, f, http.MethodGet, "/metrics")
	text := w.Body.String()
	if w.Code != http.StatusOK || !strings.Contains(text, "\nrtpjet_ready 0\n") || !strings.Contains(text, "\nrtpjet_build_info{") {
		t.Errorf("/metrics: %d %s", w.Code, text)
	}
	for _, no := range []string{"rtpengine_sessions", "rtpjet_calls", "rtpjet_log_reachable"} {
		if strings.Contains(text, "\n"+no) {
			t.Errorf("there is %s, and no node", no)
		}
	}
}

// TestFrontCounts: what is counted before the node is there is not lost.
func TestFrontCounts(t *testing.T) {
	f := NewFront(quiet())
	f.Counters().Append(metrics.AppendOK, time.Millisecond)
	if text := request(t, f, http.MethodGet, "/metrics").Body.String(); !strings.Contains(text, "\nrtpjet_append_seconds_count{result=\"ok\"} 1\n") {
		t.Errorf("%s", text)
	}
}

// TestFrontPaths: only what is there is answered, and only to those who want to look.
func TestFrontPaths(t *testing.T) {
	f := NewFront(quiet())
	for _, path := range []string{"/metrics", "/healthz", "/readyz"} {
		for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodDelete} {
			if w := request(t, f, method, path); w.Code != http.StatusMethodNotAllowed {
				t.Errorf("%s %s: %d", method, path, w.Code)
			}
		}
		if w := request(t, f, http.MethodHead, path); w.Code == http.StatusMethodNotAllowed {
			t.Errorf("HEAD %s: %d", path, w.Code)
		}
		if w := request(t, f, http.MethodGet, path+"/more"); w.Code != http.StatusNotFound {
			t.Errorf("%s/more: %d", path, w.Code)
		}
	}
	if w := request(t, f, http.MethodGet, "/"); w.Code != http.StatusNotFound {
		t.Errorf("there is no page, and it is answered with %d", w.Code)
	}
	f.Handle("/", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }))
	if w := request(t, f, http.MethodGet, "/anything"); w.Code != http.StatusTeapot {
		t.Errorf("what is mounted is not asked: %d", w.Code)
	}
	if w := request(t, f, http.MethodGet, "/healthz"); w.Code != http.StatusOK {
		t.Errorf("what is mounted hides the probes: %d", w.Code)
	}
}

// TestFrontPage: the page is there before the node is.
func TestFrontPage(t *testing.T) {
	f := NewFront(quiet())
	f.Page("", quiet())
	w := request(t, f, http.MethodGet, "/")
	if w.Code != http.StatusOK || !strings.Contains(w.Body.String(), "<html") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if w := request(t, f, http.MethodGet, "/healthz"); w.Body.String() != "ok\n" {
		t.Errorf("the page hides the probes: %d %s", w.Code, w.Body)
	}
}

// blocked is a client that does not read.
type blocked struct {
	header http.Header
	code   int
	at     chan<- struct{} // told when something is written
	goOn   <-chan struct{}
}

func (b *blocked) Header() http.Header  { return b.header }
func (b *blocked) WriteHeader(code int) { b.code = code }
func (b *blocked) Write(p []byte) (int, error) {
	select {
	case b.at <- struct{}{}:
	default:
	}
	<-b.goOn
	return len(p), nil
}

// TestFrontLimits: clients that do not read keep others of their kind waiting for two seconds, and nobody else at all.
func TestFrontLimits(t *testing.T) {
	for path, limit := range map[string]int{"/metrics": maxScrapes, "/healthz": maxProbes, "/readyz": maxProbes} {
		t.Run(path[1:], func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := NewFront(quiet())
				goOn := make(chan struct{})
				at := make(chan struct{}, limit)
				for range limit {
					go f.ServeHTTP(&blocked{header: http.Header{}, at: at, goOn: goOn}, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
				}
				began := time.Now()
				for range limit {
					<-at
				}
				if took := time.Since(began); took != 0 {
					t.Errorf("%d at once are answered after %v", limit, took)
				}
				w := request(t, f, http.MethodGet, path)
				if w.Code != http.StatusServiceUnavailable || w.Body.String() != "too many requests at once\n" || time.Since(began) != 2*time.Second {
					t.Errorf("one too many is answered with %d %q after %v", w.Code, w.Body, time.Since(began))
				}
				began = time.Now()
				for _, other := range []string{"/metrics", "/healthz", "/readyz"} {
					if w := request(t, f, http.MethodGet, other); other != path && w.Body.String() == "too many requests at once\n" {
						t.Errorf("%s waits for those", other)
					}
				}
				if took := time.Since(began); took != 2*time.Second { // of path itself
					t.Errorf("the others are answered after %v", took)
				}
				close(goOn)
				synctest.Wait()
				if w := request(t, f, http.MethodGet, path); w.Body.String() == "too many requests at once\n" {
					t.Errorf("they have read, and another one is refused")
				}
			})
		})
	}
}

// TestReadiness: what programs read.
func TestReadiness(t *testing.T) {
	var r Readiness
	must(t, json.Unmarshal([]byte(`{"ready":true,"node":"n1","reasons":["a","b"]}`), &r))
	if want := (Readiness{Ready: true, Node: "n1", Reasons: []string{"a", "b"}}); !reflect.DeepEqual(r, want) {
		t.Errorf("%+v", r)
	}
	data, err := json.Marshal(Readiness{Reasons: []string{}})
	must(t, err)
	if !slices.Equal(data, []byte(`{"ready":false,"reasons":[]}`)) {
		t.Errorf("%s", data)
	}
}
