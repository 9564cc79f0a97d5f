package httpd_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"

	"rtpjet/cmd/rtpjet/httpd"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func listen(t *testing.T, h http.Handler) (s *httpd.Server, url string) {
	t.Helper()
	s, err := httpd.Listen([]string{"127.0.0.1:0"}, h, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return s, "http://" + s.Addrs()[0].String()
}

func get(t *testing.T, url string) (status int, body string) {
	t.Helper()
	c := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	r, err := c.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return r.StatusCode, string(b)
}

func TestServes(t *testing.T) {
	s, url := listen(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.URL.Path) }))
	defer s.Close()
	if status, body := get(t, url+"/x"); status != 200 || body != "/x" {
		t.Error(status, body)
	}
}

// TestCloseEndsStreams: nobody who reads for ever keeps the process from ending.
func TestCloseEndsStreams(t *testing.T) {
	began := make(chan struct{})
	s, url := listen(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "first\n")
		_ = http.NewResponseController(w).Flush()
		close(began)
		<-r.Context().Done()
	}))
	conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	<-began
	s.Close()
	if _, err := io.Copy(io.Discard, bufio.NewReader(conn)); err != nil {
		t.Error(err)
	}
}

// TestCloseWithSilentClient: neither does one that connects and says nothing.
func TestCloseWithSilentClient(t *testing.T) {
	s, url := listen(t, http.NotFoundHandler())
	conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	get(t, url) // the silent one was accepted before this one
	s.Close()
}

// TestCloseWaitsForRequests: what answers a request may use what its owner gives up after Close.
func TestCloseWaitsForRequests(t *testing.T) {
	began, release := make(chan struct{}), make(chan struct{})
	var answered atomic.Bool
	s, url := listen(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(began)
		<-r.Context().Done() // Close is under way; the answer takes longer than it lets connections live
		<-release
		answered.Store(true)
	}))
	conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	<-began
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		s.Close()
		if !answered.Load() {
			t.Error("Close returned while a request was under way")
		}
	}()
	_, _ = io.Copy(io.Discard, conn) // until Close has cut the connection
	close(release)
	<-closed
}

func TestHeaderIsBounded(t *testing.T) {
	s, url := listen(t, http.NotFoundHandler())
	defer s.Close()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X", strings.Repeat("x", 1<<16))
	tr := &http.Transport{DisableKeepAlives: true}
	r, err := tr.RoundTrip(req)
	if err != nil {
		return // it did not even read it to the end
	}
	defer r.Body.Close()
	if r.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Error(r.Status)
	}
}

func TestAddressInUse(t *testing.T) {
	s, url := listen(t, http.NotFoundHandler())
	defer s.Close()
	addr := strings.TrimPrefix(url, "http://")
	if _, err := httpd.Listen([]string{"127.0.0.1:0", addr}, http.NotFoundHandler(), slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), addr) {
		t.Errorf("got %v", err)
	}
}

func TestLimit(t *testing.T) {
	const limit, clients = 2, 16
	var running, most atomic.Int64
	release := make(chan struct{})
	h := httpd.Limit(limit, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		n := running.Add(1)
		defer running.Add(-1)
		for {
			m := most.Load()
			if n <= m || most.CompareAndSwap(m, n) {
				break
			}
		}
		<-release
	}))
	var all sync.WaitGroup
	for range clients {
		all.Go(func() {
			r, _ := http.NewRequestWithContext(context.Background(), http.MethodGet, "/", nil)
			h.ServeHTTP(discard{}, r)
		})
	}
	for range clients {
		release <- struct{}{}
	}
	all.Wait()
	if most.Load() > limit {
		t.Errorf("%d requests at once", most.Load())
	}
}

type discard struct{}

func (discard) Header() http.Header         { return http.Header{} }
func (discard) Write(p []byte) (int, error) { return len(p), nil }
func (discard) WriteHeader(int)             {}
