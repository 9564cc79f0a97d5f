package embed

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// ServerConfig describes the NATS server of one node.
type ServerConfig struct {
	// NodeID names the server; it must be unique in a cluster.
	NodeID string
	// Region names the region; it is part of the cluster's name.
	Region string
	// StoreDir is the directory for the streams. It is created if it is missing. One process may use it at a time.
	StoreDir string
	// Listen is the "host:port" that NATS clients outside of this process may connect to; a port of 0 takes a free one.
	// Empty: none, the server is reachable by [Server.Connect] only.
	Listen string
	// MaxStore bounds the bytes on disk. 0 leaves it to the server: three quarters of what is free at the start.
	MaxStore int64
	// SyncAlways flushes to the disk before a write is confirmed: nothing is lost at a power cut, and an append takes about
	// 170 µs instead of 10. Without it, a write that was confirmed survives the end of the process, but not of the machine.
	SyncAlways bool
	// Logger receives what the server has to say. nil: slog.Default().
	Logger *slog.Logger
}

// Server is a NATS server with JetStream within this process.
type Server struct {
	ns   *server.Server
	log  *serverLog
	lock *os.File
	name string
	once sync.Once
}

// startTimeout bounds the wait for a server to come up. Recovering a large store takes the better part of it.
const startTimeout = 2 * time.Minute

// StartServer starts a server and returns when it takes connections. Its errors are sentences for an operator: what
// failed, where, and what to do.
func StartServer(ctx context.Context, cfg ServerConfig) (*Server, error) {
	logger := cfg.Logger
	if logger == nil {
		logger = slog.Default()
	}
	if err := checkToken("node id", cfg.NodeID); err != nil {
		return nil, err
	}
	if err := checkToken("region", cfg.Region); err != nil {
		return nil, err
	}
	opts := &server.Options{
		ServerName:             cfg.NodeID,
		JetStream:              true,
		StoreDir:               cfg.StoreDir,
		JetStreamMaxStore:      cfg.MaxStore,
		SyncAlways:             cfg.SyncAlways,
		DisableJetStreamBanner: true,
		NoSigs:                 true,
		MaxPayload:             maxPayload,
		MaxPending:             256 << 20,
		DontListen:             cfg.Listen == "",
	}
	if cfg.Listen != "" {
		host, port, err := splitListen(cfg.Listen)
		if err != nil {
			return nil, err
		}
		opts.Host, opts.Port = host, port
		if err := probeListen(ctx, cfg.Listen, host, port); err != nil {
			return nil, err
		}
	}
	lock, err := claimDir(cfg.StoreDir)
	if err != nil {
		return nil, err
	}
	s := &Server{log: &serverLog{log: logger}, lock: lock, name: cfg.NodeID}
	if err := s.start(ctx, opts); err != nil {
		s.Shutdown()
		return nil, explainStart(err, cfg)
	}
	return s, nil
}

func (s *Server) start(ctx context.Context, opts *server.Options) error {
	ns, err := server.NewServer(opts)
	if err != nil {
		return err
	}
	s.ns = ns
	debug := s.log.log.Enabled(ctx, slog.LevelDebug-4)
	ns.SetLoggerV2(s.log, debug, false, false)
	ns.Start() // recovers the store before it returns
	if f := s.log.failure(); f != "" {
		return errors.New(f)
	}
	deadline := time.Now().Add(startTimeout)
	for !ns.ReadyForConnections(50 * time.Millisecond) {
		if f := s.log.failure(); f != "" {
			return errors.New(f)
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("not ready after %v", startTimeout)
		}
	}
	if !ns.JetStreamEnabled() {
		return errors.New("JetStream did not start")
	}
	return nil
}

// Connect returns a connection that does not leave the process. The caller closes it.
func (s *Server) Connect() (*nats.Conn, error) {
	nc, err := nats.Connect("", append(connOptions(s.name), nats.InProcessServer(s.ns))...)
	if err != nil {
		return nil, fmt.Errorf("connect to the embedded NATS server: %w", err)
	}
	return nc, nil
}

// URL is where clients outside of this process connect; "" if the server does not listen.
func (s *Server) URL() string {
	if s.ns.Addr() == nil {
		return ""
	}
	return s.ns.ClientURL()
}

// Healthy reports whether the store takes writes: JetStream switches itself off when the disk is full.
func (s *Server) Healthy() error {
	if s.ns.JetStreamEnabled() {
		return nil
	}
	if s.log.outOfSpace() {
		return fmt.Errorf("the NATS store is off since its disk was full: %w", ErrFull)
	}
	return fmt.Errorf("the NATS store is off: %w", ErrUnavailable)
}

// Shutdown stops the server and returns when its files are closed. It may be called more than once.
func (s *Server) Shutdown() {
	s.once.Do(func() {
		if s.ns != nil {
			s.ns.Shutdown()
			s.ns.WaitForShutdown()
		}
		if s.lock != nil {
			_ = s.lock.Close() // gives the lock back
		}
	})
}

// splitListen reads "host:port".
func splitListen(listen string) (string, int, error) {
	host, p, err := net.SplitHostPort(listen)
	port, perr := strconv.Atoi(p)
	if err != nil || perr != nil || port < 0 || port > 65535 {
		return "", 0, fmt.Errorf("cannot listen for NATS clients on %q: it is not of the form ADDRESS:PORT", listen)
	}
	if port == 0 {
		port = server.RANDOM_PORT
	}
	return host, port, nil
}

// probeListen finds out whether the address can be bound, for the sake of a good error. The server binds it again.
func probeListen(ctx context.Context, listen, host string, port int) error {
	if port < 0 {
		port = 0
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", net.JoinHostPort(host, strconv.Itoa(port)))
	switch {
	case err == nil:
		return l.Close()
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("cannot listen for NATS clients on %s: %w; "+
			"another program has the port: stop it, or choose another with --nats-listen", listen, syscall.EADDRINUSE)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return fmt.Errorf("cannot listen for NATS clients on %s: %w; "+
			"this machine does not have the address: add it, or choose another with --nats-listen", listen, syscall.EADDRNOTAVAIL)
	case errors.Is(err, syscall.EACCES):
		return fmt.Errorf("cannot listen for NATS clients on %s: %w; "+
			"ports below 1024 need a privilege: choose another with --nats-listen", listen, syscall.EACCES)
	}
	return fmt.Errorf("cannot listen for NATS clients on %s: %w; choose another address with --nats-listen", listen, err)
}

func explainStart(err error, cfg ServerConfig) error {
	switch {
	case isNoSpace(err):
		return fmt.Errorf("cannot start the event store in %s: the disk is full; free some space or choose another --data-dir: %w",
			cfg.StoreDir, ErrFull)
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("start the event store in %s: %w", cfg.StoreDir, err)
	}
	return fmt.Errorf("cannot start the event store in %s: %w; see the log for what NATS says about it", cfg.StoreDir, err)
}
