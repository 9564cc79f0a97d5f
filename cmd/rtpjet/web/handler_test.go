package web_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"rtpjet/cmd/rtpjet/web"
	"rtpjet/projection/pages"
)

// ask sends a request to a handler without a network.
func ask(t *testing.T, h http.Handler, method, path, body string, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	req := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body))
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, req)
	return w
}

func pagesOf(s web.Source, token string, log io.Writer) http.Handler {
	return web.New(web.Config{Source: func() web.Source { return s }, Token: token, Log: slog.New(slog.NewTextHandler(log, nil)), Every: time.Millisecond})
}

// TestMethods: questions are asked with GET, orders given with POST, and files got with GET or HEAD; nothing else does anything.
func TestMethods(t *testing.T) {
	s := &source{orders: make(chan string, 8)}
	h := pagesOf(s, token, io.Discard)
	for path, allowed := range map[string]string{
		"/api/v1/cluster": "GET HEAD", "/api/v1/calls": "GET HEAD", "/api/v1/call?id=call": "GET HEAD", "/api/v1/call/streams?id=call": "GET HEAD",
		"/": "GET HEAD", "/main.js": "GET HEAD", "/api/v1/token": "POST",
		"/api/v1/nodes/n2/drain": "POST", "/api/v1/nodes/n2/undrain": "POST", "/api/v1/nodes/n2/takeover": "POST", "/api/v1/floats/x/move": "POST",
	} {
		for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"} {
			w := ask(t, h, method, path, "", "Authorization", "Bearer "+token)
			if ok := w.Code == 200; ok != strings.Contains(allowed, method) {
				t.Errorf("%s %s: %d", method, path, w.Code)
			}
			if method == "OPTIONS" && w.Header().Get("Access-Control-Allow-Methods") != "" {
				t.Errorf("%s: other sites may ask", path)
			}
			select {
			case <-s.orders:
			default:
			}
		}
	}
	if w := ask(t, h, "DELETE", "/style.css", ""); w.Code != 405 || w.Header().Get("Allow") != "GET, HEAD" {
		t.Errorf("%d, allowed %q", w.Code, w.Header().Get("Allow"))
	}
}

// TestAnswersAreJSON: each answer of the API has its type, is kept by nobody, and a failure has a sentence.
func TestAnswersAreJSON(t *testing.T) {
	h := pagesOf(&source{orders: make(chan string, 8)}, token, io.Discard)
	for path, status := range map[string]int{
		"GET /api/v1/cluster": 200, "GET /api/v1/calls": 200, "GET /api/v1/call?id=call": 200, "GET /api/v1/call?id=call&at=0": 200, "GET /api/v1/call/streams?id=call": 200,
		"GET /api/v1/calls?from=x": 400, "GET /api/v1/live?limit=x": 400, "GET /api/v1/call?id=nobody": 404, "GET /api/v1/call": 404, "GET /api/v1/call?id=away": 503,
		"GET /api/": 404, "GET /api/v2/calls": 404, "POST /api/v1/token": 401, "POST /api/v1/nodes/n1/drain": 401,
	} {
		method, path, _ := strings.Cut(path, " ")
		w := ask(t, h, method, path, "")
		if w.Code != status || w.Header().Get("Content-Type") != "application/json; charset=utf-8" || w.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %d %v", path, w.Code, w.Header())
		}
		var v any
		if err := json.Unmarshal(w.Body.Bytes(), &v); err != nil {
			t.Errorf("%s: %v\n%s", path, err, w.Body)
		}
		if failure, _ := v.(map[string]any); status != 200 && (failure == nil || failure["error"] == "" || failure["error"] == nil) {
			t.Errorf("%s: no sentence in %s", path, w.Body)
		}
	}
}

// TestLists: what part of the calls is meant, at the borders of what can be asked for.
func TestLists(t *testing.T) {
	h := pagesOf(&source{}, token, io.Discard)
	for query, want := range map[string]string{
		"": "q= from=0 limit=50", "limit=1": "q= from=0 limit=1", "limit=0": "q= from=0 limit=1", "limit=200": "q= from=0 limit=200", "limit=201": "q= from=0 limit=200",
		"from=7&limit=3": "q= from=7 limit=3", "from=&limit=": "q= from=0 limit=50", "q=%C3%A9+x": "q=é x from=0 limit=50", "q=" + strings.Repeat("x", 300): "q=" + strings.Repeat("x", 300) + " from=0 limit=50",
		"q=a&q=b": "q=a from=0 limit=50",
	} {
		w := ask(t, h, "GET", "/api/v1/calls?"+query, "")
		var p pages.Page
		if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil || len(p.Calls) != 1 {
			t.Errorf("%s: %d %v", query, w.Code, err)
			continue
		}
		if got := fmt.Sprintf("q=%s from=%d limit=%d", p.Calls[0].Call, p.From, p.Found); got != want {
			t.Errorf("%s: %s, want %s", query, got, want)
		}
	}
	for query, want := range map[string]string{
		"q=" + strings.Repeat("x", 301): "the search is too long", "from=-1": "from must be a number", "from=1.5": "from must be a number",
		"limit=99999999999999999999": "limit must be a number", "limit=x": "limit must be a number",
	} {
		if w := ask(t, h, "GET", "/api/v1/calls?"+query, ""); w.Code != 400 || !strings.Contains(w.Body.String(), want) {
			t.Errorf("%s: %d %s", query, w.Code, w.Body)
		}
	}
}

// TestToken: the one scheme in any case, the token as it is; the check of a token changes nothing.
func TestToken(t *testing.T) {
	s := &source{orders: make(chan string, 8)}
	h := pagesOf(s, token, io.Discard)
	for said, want := range map[string]int{
		"Bearer " + token: 200, "bearer " + token: 200, "BEARER " + token: 200, "Bearer  " + token: 401, "Bearer " + strings.ToUpper(token): 401, "Bearer": 401, "Bearer ": 401,
		token: 401, "Basic " + token: 401, "Bearer " + token + " ": 401, "": 401, "Bearer " + token + "\x00": 401,
	} {
		w := ask(t, h, "POST", "/api/v1/token", "", "Authorization", said)
		if w.Code != want || strings.Contains(w.Body.String(), token) {
			t.Errorf("%q: %d %s", said, w.Code, w.Body)
		}
	}
	if w := ask(t, h, "POST", "/api/v1/token", "", "Authorization", "Bearer "+token); w.Body.String() != `{"done":"the token is right"}`+"\n" {
		t.Errorf("%s", w.Body)
	}
	if w := ask(t, pagesOf(s, "", io.Discard), "POST", "/api/v1/token", "", "Authorization", "Bearer "); w.Code != 403 || !strings.Contains(w.Body.String(), "--http-token-file") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if len(s.orders) > 0 {
		t.Error("something was carried out")
	}
}

// TestBodies: what comes with an order is a small JSON object or nothing.
func TestBodies(t *testing.T) {
	s := &source{orders: make(chan string, 1)}
	h := pagesOf(s, token, io.Discard)
	for body, want := range map[string]string{
		"": "drain n2 on", "{}": "drain n2 on", `{"move":true}`: "drain n2 on move", `{"move":false,"more":1}`: "drain n2 on", "null": "drain n2 on",
		"[]": "", "1": "", `"x"`: "", `{"move":"yes"}`: "", "{": "", `{}{}`: "", strings.Repeat(" ", 4097): "", `{"to":"` + strings.Repeat("x", 5000) + `"}`: "",
	} {
		w := ask(t, h, "POST", "/api/v1/nodes/n2/drain", body, "Authorization", "Bearer "+token)
		did := ""
		select {
		case did = <-s.orders:
		default:
		}
		if did != want || (w.Code == 200) != (want != "") || want == "" && (w.Code != 400 || !strings.Contains(w.Body.String(), "the body must be a JSON object")) {
			t.Errorf("%.40q: %d %s, did %q", body, w.Code, w.Body, did)
		}
	}
}

// refusing is a cluster that does not do what it is told.
type refusing struct{ source }

func (*refusing) Drain(context.Context, string, bool, bool) (string, error) {
	return "", errors.New("node n2 does not run")
}

// TestRefusedOrder: an operator reads why, and the log has who asked and what came of it, and not the token.
func TestRefusedOrder(t *testing.T) {
	var log bytes.Buffer
	h := pagesOf(&refusing{}, token, &log)
	w := ask(t, h, "POST", "/api/v1/nodes/n2/drain", "", "Authorization", "Bearer "+token)
	if w.Code != 409 || w.Body.String() != `{"error":"node n2 does not run"}`+"\n" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	for _, want := range []string{"/api/v1/nodes/n2/drain", "from=192.0.2.1:1234", "node n2 does not run"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log lacks %q: %s", want, &log)
		}
	}
	if strings.Contains(log.String(), token) {
		t.Errorf("the token is in the log: %s", &log)
	}
}

// TestAskedOnce: whoever looks at the same time gets one answer, who looks later a new one, and who has changed something too.
func TestAskedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &source{orders: make(chan string, 8)}
		h := web.New(web.Config{Source: func() web.Source { return s }, Token: token, Log: slog.New(slog.DiscardHandler)})
		look := func(want int64, when string) {
			t.Helper()
			ask(t, h, "GET", "/api/v1/cluster", "")
			if got := s.looks.Load(); got != want {
				t.Errorf("%s: the nodes were asked %d times, want %d", when, got, want)
			}
		}
		look(1, "first")
		look(1, "at the same time")
		time.Sleep(800 * time.Millisecond)
		look(1, "before the second is over")
		time.Sleep(200 * time.Millisecond)
		look(2, "a second later")
		ask(t, h, "POST", "/api/v1/nodes/n2/drain", "", "Authorization", "Bearer "+token)
		look(3, "after an order")
		ask(t, h, "POST", "/api/v1/nodes/n2/drain", "", "Authorization", "Bearer wrong")
		look(3, "after an order that was none")
	})
}

// slow is a cluster whose nodes take their time, and whose log does.
type slow struct{ source }

func (s *slow) Cluster(ctx context.Context) pages.Cluster {
	<-ctx.Done()
	return pages.Cluster{Node: ctx.Err().Error()}
}

func (s *slow) Story(ctx context.Context, _ string) (*web.Story, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

// TestBounds: nodes and a log that do not answer hold nobody up for long.
func TestBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := pagesOf(&slow{}, token, io.Discard)
		began := time.Now()
		if w := ask(t, h, "GET", "/api/v1/cluster", ""); w.Code != 200 || !strings.Contains(w.Body.String(), "deadline") || time.Since(began) != 2*time.Second {
			t.Errorf("%d %s after %v", w.Code, w.Body, time.Since(began))
		}
		began = time.Now()
		if w := ask(t, h, "GET", "/api/v1/call?id=x", ""); w.Code != 503 || time.Since(began) != 20*time.Second {
			t.Errorf("%d %s after %v", w.Code, w.Body, time.Since(began))
		}
	})
}

// stream is a browser that is kept up to date, without a network.
type stream struct {
	header http.Header
	lines  chan string
}

func (s *stream) Header() http.Header              { return s.header }
func (s *stream) WriteHeader(int)                  {}
func (s *stream) Flush()                           {}
func (s *stream) SetReadDeadline(time.Time) error  { return nil }
func (s *stream) SetWriteDeadline(time.Time) error { return nil }
func (s *stream) Write(b []byte) (int, error) {
	for line := range bytes.Lines(b) {
		if text := strings.TrimSpace(string(line)); text != "" {
			s.lines <- text
		}
	}
	return len(b), nil
}

// TestStream: a browser is told what is new to it and nothing else, is told each 10 s that somebody is there, and the handler ends with
// it.
func TestStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &counting{}
		h := web.New(web.Config{Source: func() web.Source { return s }, Log: slog.New(slog.DiscardHandler)})
		ctx, cancel := context.WithCancel(t.Context())
		w := &stream{http.Header{}, make(chan string, 100)}
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			h.ServeHTTP(w, httptest.NewRequestWithContext(ctx, "GET", "/api/v1/live?call=a", nil))
		}()
		synctest.Wait()
		told := func() string {
			var out []string
			for len(w.lines) > 0 {
				if line := <-w.lines; !strings.HasPrefix(line, "data: ") {
					out = append(out, line)
				}
			}
			return strings.Join(out, ", ")
		}
		if got := told(); got != "retry: 2000, event: cluster, event: news, event: call, event: streams" {
			t.Errorf("at first: %s", got)
		}
		if got := w.header; got.Get("Content-Type") != "text/event-stream" || got.Get("Cache-Control") != "no-store" || got.Get("X-Accel-Buffering") != "no" {
			t.Errorf("%v", got)
		}
		time.Sleep(9500 * time.Millisecond)
		if got := told(); got != "" {
			t.Errorf("while nothing happens: %s", got)
		}
		time.Sleep(time.Second)
		if got := told(); got != ": still here" {
			t.Errorf("after 10 s: %s", got)
		}
		s.last.Store(8)
		time.Sleep(time.Second)
		if got := told(); got != "event: call" {
			t.Errorf("when something happened: %s", got)
		}
		time.Sleep(9 * time.Second)
		if got := told(); got != "" {
			t.Errorf("then: %s", got)
		}
		cancel()
		<-ended
	})
}

// counting is a cluster one of whose calls goes on.
type counting struct {
	source
	last atomic.Uint64
}

func (c *counting) Last(string) uint64 { return c.last.Load() }

// TestStreamEndsWithClient: a browser that is gone leaves nothing behind on the node, over a real connection.
func TestStreamEndsWithClient(t *testing.T) {
	s, server := serve(t, token)
	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(conn, "GET /api/v1/live HTTP/1.1\r\nHost: %s\r\n\r\n", server.Listener.Addr())
	if line, err := bufio.NewReader(conn).ReadString('\n'); err != nil || line != "HTTP/1.1 200 OK\r\n" {
		t.Fatal(line, err)
	}
	_ = conn.Close()
	server.Close() // which waits for the handlers
	if s.looks.Load() == 0 {
		t.Error("nobody looked")
	}
}

// TestAssets: each file has its type and a tag that is its own, and what is no file of the page is not there.
func TestAssets(t *testing.T) {
	h := pagesOf(&source{}, token, io.Discard)
	tags := map[string]string{}
	for path, kind := range map[string]string{"/": "text/html", "/index.html": "text/html", "/style.css": "text/css", "/main.js": "text/javascript", "/icon.svg": "image/svg+xml"} {
		w := ask(t, h, "GET", path, "")
		if w.Code != 200 || !strings.HasPrefix(w.Header().Get("Content-Type"), kind) || w.Header().Get("Cache-Control") != "no-cache" || w.Body.Len() == 0 {
			t.Errorf("%s: %d %v", path, w.Code, w.Header())
		}
		tag := w.Header().Get("ETag")
		for other, have := range tags {
			if (have == tag) != (path == "/" && other == "/index.html" || path == "/index.html" && other == "/") {
				t.Errorf("%s and %s have the tags %s and %s", path, other, tag, have)
			}
		}
		tags[path] = tag
		if w = ask(t, h, "GET", path, "", "If-None-Match", `"other"`); w.Code != 200 {
			t.Errorf("%s with another tag: %d", path, w.Code)
		}
		if w = ask(t, h, "GET", path, "", "If-None-Match", tag); w.Code != 304 || w.Body.Len() > 0 || w.Header().Get("ETag") != tag {
			t.Errorf("%s with its tag: %d", path, w.Code)
		}
	}
	for _, path := range []string{"/assets/main.js", "/main", "/handler.go", "//main.js", "/.", "/%00", "/assets", "/MAIN.JS"} {
		if w := ask(t, h, "GET", path, ""); w.Code == 200 {
			t.Errorf("%s is there", path)
		}
	}
}

// TestLoopbackOnly: the name in the Host header is of interest on a loopback address; elsewhere a proxy's name is fine.
func TestLoopbackOnly(t *testing.T) {
	h := pagesOf(&source{}, token, io.Discard)
	for _, tt := range []struct {
		local, host string
		want        int
	}{
		{"127.0.0.1", "rtpjet.example.com", 421}, {"::1", "rtpjet.example.com:8080", 421}, {"192.0.2.1", "rtpjet.example.com", 200}, {"127.0.0.1", "127.0.0.1:8080", 200},
		{"::1", "[::1]", 200}, {"127.0.0.1", "localhost.example.com", 421}, {"127.0.0.1", "", 421}, {"127.0.0.1", "[]", 421}, {"127.0.0.1", "localhost:", 200},
	} {
		ctx := context.WithValue(t.Context(), http.LocalAddrContextKey, &net.TCPAddr{IP: net.ParseIP(tt.local)})
		for _, path := range []string{"/", "/api/v1/calls"} {
			req := httptest.NewRequestWithContext(ctx, "GET", path, nil)
			req.Host = tt.host
			w := httptest.NewRecorder()
			h.ServeHTTP(w, req)
			if w.Code != tt.want {
				t.Errorf("on %s, asked for %q%s: %d", tt.local, tt.host, path, w.Code)
			}
		}
	}
}

// ExampleNew: the pages are a handler, which a node mounts on its listener.
func ExampleNew() {
	h := web.New(web.Config{Source: func() web.Source { return nil }, Log: slog.New(slog.DiscardHandler)}) // of a node that has not started
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(context.Background(), "GET", "/api/v1/calls", nil))
	fmt.Print(w.Code, " ", w.Body)
	// Output: 503 {"error":"the node starts"}
}
