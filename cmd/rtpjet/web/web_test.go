package web_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"rtpjet/cmd/rtpjet/web"
	"rtpjet/projection/history"
	"rtpjet/projection/history/historytest"
	"rtpjet/projection/pages"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const token = "0123456789abcdef-token"

// source is a cluster that does what it is told.
type source struct {
	looks  atomic.Int64 // at the cluster
	orders chan string
}

func (s *source) Cluster(context.Context) pages.Cluster {
	s.looks.Add(1)
	return pages.Cluster{Node: "n1", Nodes: []pages.Node{}, Floats: []pages.Float{}, Calls: 1}
}

func (s *source) Calls(search string, from, limit int) pages.Page {
	return pages.Page{Calls: []*pages.Row{{Call: search, Tags: []string{}}}, From: from, Found: limit}
}

func (s *source) Story(_ context.Context, id string) (*web.Story, error) {
	if id == "away" {
		return nil, errors.New("secret of the log")
	}
	if id != "call" {
		return nil, web.ErrNoCall
	}
	st := historytest.New()
	st.Do("offer", "from-tag", "a", "sdp", "v=0\r\no=- 1 1 IN IP4 198.51.100.7\r\ns=-\r\nc=IN IP4 198.51.100.7\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n")
	list := history.Moments(id, st.Entries)
	return &web.Story{Moments: list, Ladder: history.NewLadder(id, list)}, nil
}

func (s *source) Near(string) []string                           { return []string{"call"} }
func (s *source) Last(string) uint64                             { return 7 }
func (s *source) Streams(context.Context, string) []pages.Stream { return []pages.Stream{} }
func (s *source) News(after uint64) ([]pages.Item, uint64) {
	if after >= 1 {
		return nil, 1
	}
	return []pages.Item{{ID: 1, Text: "it began"}}, 1
}

func (s *source) order(text string) (string, error) {
	s.orders <- text
	return text, nil
}

func (s *source) Drain(_ context.Context, node string, on, move bool) (string, error) {
	return s.order("drain " + node + map[bool]string{true: " on"}[on] + map[bool]string{true: " move"}[move])
}
func (s *source) Takeover(_ context.Context, node string) (string, error) {
	return s.order("takeover " + node)
}
func (s *source) Move(_ context.Context, float, to string) (string, error) {
	return s.order("move " + float + " to " + to)
}

func serve(t *testing.T, token string) (*source, *httptest.Server) {
	t.Helper()
	s := &source{orders: make(chan string, 8)}
	server := httptest.NewServer(web.New(web.Config{
		Source: func() web.Source { return s }, Token: token, Log: slog.New(slog.DiscardHandler), Every: time.Millisecond,
	}))
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
		http.DefaultClient.CloseIdleConnections()
	})
	return s, server
}

func do(t *testing.T, method, url, body string, set func(*http.Request)) (int, string, http.Header) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if set != nil {
		set(req)
	}
	r, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return r.StatusCode, string(b), r.Header
}

func bearer(said string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+said) }
}

var orders = []struct{ path, body, does string }{
	{"/api/v1/nodes/n2/drain", `{"move":true}`, "drain n2 on move"},
	{"/api/v1/nodes/n2/drain", "", "drain n2 on"},
	{"/api/v1/nodes/n2/undrain", "", "drain n2"},
	{"/api/v1/nodes/n2/takeover", "", "takeover n2"},
	{"/api/v1/floats/192.0.2.10/move", `{"to":"n3"}`, "move 192.0.2.10 to n3"},
}

func TestOrders(t *testing.T) {
	s, server := serve(t, token)
	for _, o := range orders {
		if status, body, _ := do(t, "POST", server.URL+o.path, o.body, bearer(token)); status != 200 {
			t.Error(o.path, status, body)
		} else if got := <-s.orders; got != o.does {
			t.Errorf("%s did %q", o.path, got)
		}
	}
	if status, _, _ := do(t, "POST", server.URL+"/api/v1/nodes/n2/drain", "no JSON", bearer(token)); status != 400 {
		t.Error(status)
	}
	if len(s.orders) > 0 {
		t.Error("a mistake was carried out")
	}
}

// TestOrdersWithoutToken: whatever else a browser sends by itself, nothing is changed.
func TestOrdersWithoutToken(t *testing.T) {
	s, server := serve(t, token)
	without := map[string]func(*http.Request){
		"nothing": nil,
		"wrong":   bearer("0123456789abcdef-tokem"),
		"longer":  bearer(token + "x"),
		"shorter": bearer(token[:10]),
		"empty":   bearer(""),
		"basic":   func(r *http.Request) { r.SetBasicAuth("admin", token) },
		"cookie":  func(r *http.Request) { r.AddCookie(&http.Cookie{Name: "token", Value: token}) },
		"query":   func(r *http.Request) { r.URL.RawQuery = "token=" + token },
	}
	for name, set := range without {
		for _, o := range orders {
			if status, _, header := do(t, "POST", server.URL+o.path, o.body, set); status != 401 || header.Get("WWW-Authenticate") == "" {
				t.Errorf("%s, %s: %d", o.path, name, status)
			}
		}
	}
	for _, method := range []string{"GET", "PUT", "DELETE", "OPTIONS"} {
		if status, _, _ := do(t, method, server.URL+orders[0].path, "", bearer(token)); status < 400 {
			t.Errorf("%s: %d", method, status)
		}
	}
	if len(s.orders) > 0 {
		t.Error("something was carried out")
	}
}

// TestReadOnly: without a token in the configuration there is none that is right, not even an empty one.
func TestReadOnly(t *testing.T) {
	s, server := serve(t, "")
	for _, o := range orders {
		if status, _, _ := do(t, "POST", server.URL+o.path, o.body, bearer("")); status != 403 {
			t.Error(o.path, status)
		}
	}
	if _, body, _ := do(t, "GET", server.URL+"/api/v1/cluster", "", nil); !strings.Contains(body, `"read_only":true`) {
		t.Error(body)
	}
	if len(s.orders) > 0 {
		t.Error("something was carried out")
	}
}

func TestQuestions(t *testing.T) {
	_, server := serve(t, token)
	for _, test := range []struct {
		path   string
		status int
		has    string
	}{
		{"/api/v1/cluster", 200, `"node":"n1"`},
		{"/api/v1/calls?q=x+y&from=50&limit=9999", 200, `"call":"x y"`},
		{"/api/v1/calls?q=x+y&from=50&limit=9999", 200, `"found":200`},
		{"/api/v1/calls?from=-1", 400, "from"},
		{"/api/v1/calls?limit=many", 400, "limit"},
		{"/api/v1/calls?q=" + strings.Repeat("x", 400), 400, "long"},
		{"/api/v1/call?id=call", 200, `"label":"offer"`},
		{"/api/v1/call?id=call&at=0", 200, `"exchanges"`},
		{"/api/v1/call?id=call&at=1", 400, "step"},
		{"/api/v1/call?id=call&at=-1", 400, "step"},
		{"/api/v1/call?id=cal", 404, `"near":["call"]`},
		{"/api/v1/call?id=%3Cscript%3E", 404, `\u003cscript\u003e`},
		{"/api/v1/call?id=away", 503, "does not answer"},
		{"/api/v1/call/streams?id=call", 200, "[]"},
		{"/api/v1/nothing", 404, "nothing here"},
		{"/", 200, "<title>rtpjet</title>"},
		{"/main.js", 200, "import"},
		{"/nothing", 404, ""},
		{"/../handler.go", 404, ""},
	} {
		status, body, header := do(t, "GET", server.URL+test.path, "", nil)
		if status != test.status || !strings.Contains(body, test.has) {
			t.Errorf("%s: %d %s", test.path, status, body)
		}
		if strings.Contains(body, "secret of the log") {
			t.Errorf("%s tells what is the log's", test.path)
		}
		if csp := header.Get("Content-Security-Policy"); !strings.Contains(csp, "default-src 'none'") || strings.Contains(csp, "unsafe") {
			t.Errorf("%s: policy %q", test.path, csp)
		}
		if header.Get("X-Content-Type-Options") != "nosniff" || header.Get("Set-Cookie") != "" || header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s: %v", test.path, header)
		}
	}
}

// TestAssetsAreKept by browsers until they differ.
func TestAssetsAreKept(t *testing.T) {
	_, server := serve(t, token)
	_, _, header := do(t, "GET", server.URL+"/style.css", "", nil)
	status, body, _ := do(t, "GET", server.URL+"/style.css", "", func(r *http.Request) { r.Header.Set("If-None-Match", header.Get("ETag")) })
	if status != 304 || body != "" {
		t.Error(status, len(body))
	}
}

// TestNothingFromElsewhere: no file of the page names another host, or has scripts and styles in line.
func TestNothingFromElsewhere(t *testing.T) {
	_, server := serve(t, token)
	_, page, _ := do(t, "GET", server.URL+"/", "", nil)
	if regexp.MustCompile(`<script[^>]*>[^<]|<style|\son\w+=|\sstyle=`).MatchString(page) {
		t.Error("something in line in index.html")
	}
	names := []string{"/", "/style.css", "/icon.svg", "/main.js"}
	imports := regexp.MustCompile(`from "\./([^"]+)"`)
	for i := 0; i < len(names); i++ {
		status, text, _ := do(t, "GET", server.URL+names[i], "", nil)
		if status != 200 {
			t.Errorf("%s: %d", names[i], status)
		}
		for _, m := range imports.FindAllStringSubmatch(text, -1) {
			if name := "/" + m[1]; !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
		for _, u := range regexp.MustCompile(`https?://[^"' )]+`).FindAllString(text, -1) {
			if u != "http://www.w3.org/2000/svg" {
				t.Errorf("%s names %s", names[i], u)
			}
		}
		if regexp.MustCompile(`innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(`).MatchString(text) {
			t.Errorf("%s makes HTML out of text", names[i])
		}
	}
	if len(names) < 10 {
		t.Error(names)
	}
}

// TestHost: a name that somebody made lead to this machine's own address is refused.
func TestHost(t *testing.T) {
	_, server := serve(t, token)
	for host, want := range map[string]int{"127.0.0.1:8080": 200, "localhost": 200, "localhost:8080": 200, "[::1]:8080": 200, "attack.example:8080": 421, "attack.example": 421} {
		if status, _, _ := do(t, "GET", server.URL+"/api/v1/calls", "", func(r *http.Request) { r.Host = host }); status != want {
			t.Errorf("%s: %d", host, status)
		}
	}
}

func TestLive(t *testing.T) {
	_, server := serve(t, token)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL+"/api/v1/live?calls=1&q=x&call=call", nil)
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	if ct := r.Header.Get("Content-Type"); ct != "text/event-stream" {
		t.Error(ct)
	}
	want := map[string]bool{"cluster": true, "news": true, "calls": true, "call": true, "streams": true}
	lines := bufio.NewScanner(r.Body)
	for len(want) > 0 && lines.Scan() {
		name, ok := strings.CutPrefix(lines.Text(), "event: ")
		if !ok {
			continue
		}
		if !want[name] {
			t.Errorf("%s came twice, or is unknown", name)
		}
		delete(want, name)
		lines.Scan()
		if data, ok := strings.CutPrefix(lines.Text(), "data: "); !ok || !json.Valid([]byte(data)) {
			t.Errorf("%s: %s", name, lines.Text())
		}
	}
}

// deaf is a browser that does not read: what is written to it meets the deadline that was set.
type deaf struct {
	*httptest.ResponseRecorder
	deadlines int
}

func (d *deaf) SetReadDeadline(time.Time) error { return nil }
func (d *deaf) SetWriteDeadline(at time.Time) error {
	if !at.IsZero() {
		d.deadlines++
	}
	return nil
}
func (d *deaf) Write([]byte) (int, error) { return 0, errors.New("deadline exceeded") }

// TestSlowBrowserIsLetGo, and nobody else has noticed.
func TestSlowBrowserIsLetGo(t *testing.T) {
	s := &source{}
	h := web.New(web.Config{Source: func() web.Source { return s }, Log: slog.New(slog.DiscardHandler), Every: time.Millisecond})
	for range 200 { // more than may look at once
		d := &deaf{ResponseRecorder: httptest.NewRecorder()}
		h.ServeHTTP(d, httptest.NewRequestWithContext(t.Context(), "GET", "/api/v1/live?calls", nil))
		if d.deadlines != 1 || d.Code != 200 {
			t.Fatal(d.deadlines, d.Code)
		}
	}
}

// TestManyBrowsers: those beyond the bound are told so, the nodes are asked once for all of them, and a place that is free again
// is given out again.
func TestManyBrowsers(t *testing.T) {
	s := &source{}
	h := web.New(web.Config{Source: func() web.Source { return s }, Log: slog.New(slog.DiscardHandler), Every: time.Hour})
	ctx, cancel := context.WithCancel(t.Context())
	began, ended := make(chan struct{}), make(chan int, 64)
	for range 64 {
		go func() {
			w := &quiet{ResponseRecorder: httptest.NewRecorder(), began: began}
			h.ServeHTTP(w, httptest.NewRequestWithContext(ctx, "GET", "/api/v1/live", nil))
			ended <- w.Code
		}()
		<-began
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(ctx, "GET", "/api/v1/live", nil))
	if w.Code != 503 {
		t.Error(w.Code)
	}
	if n := s.looks.Load(); n != 1 {
		t.Errorf("the nodes were asked %d times", n)
	}
	cancel()
	for range 64 {
		if code := <-ended; code != 200 {
			t.Error(code)
		}
	}
	w = httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(ctx, "GET", "/api/v1/live", nil))
	if w.Code != 200 {
		t.Error(w.Code)
	}
}

// quiet tells when it is written to.
type quiet struct {
	*httptest.ResponseRecorder
	began chan struct{}
}

func (q *quiet) SetReadDeadline(time.Time) error  { return nil }
func (q *quiet) SetWriteDeadline(time.Time) error { return nil }
func (q *quiet) Write(b []byte) (int, error) {
	q.began <- struct{}{}
	return len(b), nil
}

// TestStarting: a node that is not there yet says so.
func TestStarting(t *testing.T) {
	h := web.New(web.Config{Source: func() web.Source { return nil }, Log: slog.New(slog.DiscardHandler)})
	for path, want := range map[string]int{"/": 200, "/api/v1/calls": 503, "/api/v1/live": 503} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), "GET", path, nil))
		if w.Code != want {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
}
