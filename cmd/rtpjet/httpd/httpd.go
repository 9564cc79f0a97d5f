package httpd

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"golang.org/x/net/netutil"
)

// Bounds of a listener.
const (
	maxConns      = 256 // per address; more wait in the kernel
	maxHeader     = 16 << 10
	readTimeout   = 5 * time.Second
	writeTimeout  = 30 * time.Second
	idleTimeout   = 2 * time.Minute
	farewellTime  = 500 * time.Millisecond // for requests that are under way when the listener ends
	accessTimeout = 2 * time.Second        // a request that has to wait for others longer than that is refused
)

// Server answers HTTP requests on some addresses. Its methods are safe for concurrent use.
type Server struct {
	log       *slog.Logger
	listeners []net.Listener
	http      *http.Server
	end       context.CancelFunc // ends the contexts of all requests
	ended     sync.WaitGroup     // listeners

	mu       sync.Mutex // makes the last request and Close exclude each other
	closed   bool
	requests sync.WaitGroup // under way
}

// Listen opens addresses, [ADDR:]PORT each, and answers with h until Close is called. An error names the address at fault.
func Listen(addrs []string, h http.Handler, log *slog.Logger) (*Server, error) {
	ctx, end := context.WithCancel(context.Background())
	s := &Server{log: log, end: end}
	s.http = &http.Server{
		Handler: s.counted(h), ReadHeaderTimeout: readTimeout, ReadTimeout: readTimeout, WriteTimeout: writeTimeout, IdleTimeout: idleTimeout,
		MaxHeaderBytes: maxHeader, BaseContext: func(net.Listener) context.Context { return ctx },
		// What clients do wrong is of no interest to an operator, and anybody could fill the log with it.
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	for _, addr := range addrs {
		if !strings.Contains(addr, ":") {
			addr = ":" + addr
		}
		l, err := net.Listen("tcp", addr)
		if err != nil {
			s.closeListeners()
			end()
			return nil, fmt.Errorf("cannot listen for HTTP on %s: %w", addr, err)
		}
		s.listeners = append(s.listeners, netutil.LimitListener(l, maxConns))
	}
	for _, l := range s.listeners {
		s.ended.Go(func() {
			if err := s.http.Serve(l); err != nil && !errors.Is(err, http.ErrServerClosed) {
				log.Error("the HTTP listener has ended", "listen", l.Addr().String(), "err", err)
			}
		})
	}
	return s, nil
}

// Addrs are the addresses with the ports that were really bound.
func (s *Server) Addrs() []netip.AddrPort {
	out := make([]netip.AddrPort, len(s.listeners))
	for i, l := range s.listeners {
		a := l.Addr().(*net.TCPAddr).AddrPort()
		out[i] = netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
	}
	return out
}

// Close ends the listener. Requests under way have their contexts cancelled and their connections closed after a moment; they
// are waited for, so that nobody answers any more when it returns.
func (s *Server) Close() {
	ctx, cancel := context.WithTimeout(context.Background(), farewellTime)
	defer cancel()
	s.end() // streams end now
	if s.http.Shutdown(ctx) != nil {
		_ = s.http.Close()
	}
	s.ended.Wait()
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.requests.Wait()
}

// counted has h answer until the server is closed, and notes that it does: http.Server waits for listeners only.
func (s *Server) counted(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		if s.closed {
			s.mu.Unlock()
			panic(http.ErrAbortHandler) // closes the connection, which is what Close has done or is about to do
		}
		s.requests.Add(1)
		s.mu.Unlock()
		defer s.requests.Done()
		h.ServeHTTP(w, r)
	})
}

func (s *Server) closeListeners() {
	for _, l := range s.listeners {
		_ = l.Close()
	}
}
