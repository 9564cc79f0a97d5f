package server

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"rtpjet/embed"
	"rtpjet/embed/internal/names"
)

// Config describes the NATS server of one node.
type Config struct {
	// NodeID names the server; it must be unique in a cluster.
	NodeID string
	// Region names the region; it is part of the cluster's name.
	Region string
	// StoreDir is the directory for the streams. It is created if it is missing. One process may use it at a time.
	StoreDir string
	// Listen is the "host:port" that NATS clients outside of this process may connect to; a port of 0 takes a free one.
	// Empty: none, the server is reachable by [Server.Connect] only.
	Listen string
	// MaxStore bounds the bytes on disk. 0: what the store has at the start, and three quarters of what is free then.
	MaxStore int64
	// SyncAlways flushes to the disk before a write is confirmed: nothing is lost at a power cut, and an append takes about
	// 170 µs instead of 10. Without it, a write that was confirmed survives the end of the process, but not of the machine.
	SyncAlways bool
	// ClusterListen is the "host:port" at which the other servers of the cluster connect to this one. Empty: the server
	// stands alone. A store stays what it was at the beginning, a server's alone or a member's: see checkMode.
	ClusterListen string
	// Routes are the servers of the cluster, as "host:port" or nats-route://host:port; this one may be among them. How many
	// there are at the first start is how many the cluster has; more may join later and need to know only one of them.
	Routes []string
	// ClusterKey is a secret of at least [embed.MinClusterKey] bytes that all servers of the cluster have. Other servers are
	// refused then, and so are clients without it, over whatever network they come. Empty: everybody is let in.
	ClusterKey []byte
	// RegionListen is the "host:port" at which the servers of other regions connect to this one. Empty: nowhere. Peers are
	// the other regions. Both need a ClusterKey, the same in all regions.
	RegionListen string
	Peers        []embed.RegionPeer
	// TLS is for clients, RouteTLS for the other servers, who verify each other: its certificate must do for both ends of a
	// connection and name the host that stands in the others' routes.
	TLS, RouteTLS embed.TLSFiles
	// Logger receives what the server has to say. nil: slog.Default().
	Logger *slog.Logger
}

// Server is a NATS server with JetStream within this process.
type Server struct {
	opts *server.Options
	log  *serverLog
	lock *os.File
	once sync.Once
	// peers are the names of the other regions, woken says when each mirror was told last to ask again. Both are watch's.
	peers   []string
	woken   map[string]time.Time
	feeders []*feeder
	// keyed is true if there is a cluster key; user and password are what clients need then.
	keyed          bool
	user, password string
	stop           context.CancelFunc // ends watch
	done           chan struct{}      // closed when watch has ended; nil if it never began

	mu sync.Mutex
	ns *server.Server // the present one; watch replaces it. nil: none
}

// Times and sizes of the watch over the disk.
const (
	watchEvery = time.Second
	// roomToWrite is how many bytes must be free before a store that was full is opened again.
	roomToWrite = 8 << 20
)

// startTimeout bounds the wait for a server to come up. Recovering a large store takes the better part of it.
const startTimeout = 2 * time.Minute

// Start starts a server and returns when it takes connections and writes. The first servers of a cluster wait for
// all that are in Routes, later on for as many as make a quorum, for as long as ctx allows, and say so in the log. Its errors are sentences for an operator: what
// failed, where, and what to do.
func Start(ctx context.Context, cfg Config) (*Server, error) {
	logger := cfg.Logger
	if logger == nil {
		logger = slog.Default()
	}
	if err := names.Check("node id", cfg.NodeID); err != nil {
		return nil, err
	}
	if err := names.Check("region", cfg.Region); err != nil {
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
		MaxPayload:             embed.MaxEntry + feedHeaders,
		MaxPending:             256 << 20,
		DontListen:             cfg.Listen == "",
	}
	if err := names.CheckKey(cfg.ClusterKey); err != nil {
		return nil, err
	}
	lock, err := claimDir(cfg.StoreDir) // waits for the ports of a process that was killed, too
	if err != nil {
		return nil, err
	}
	s := &Server{opts: opts, log: newServerLog(cfg, logger), lock: lock, keyed: len(cfg.ClusterKey) > 0}
	if err := s.configure(ctx, cfg); err != nil {
		s.Shutdown()
		return nil, err
	}
	if err := s.start(ctx); err != nil {
		s.Shutdown()
		return nil, explainStart(err, cfg)
	}
	if opts.Port == server.RANDOM_PORT && !opts.DontListen { // a server that is opened again has the same port
		if a, ok := s.ns.Addr().(*net.TCPAddr); ok {
			opts.Port = a.Port
		}
	}
	for _, region := range s.peers {
		f, err := s.startFeeder(region, cfg.Region)
		if err != nil {
			s.Shutdown()
			return nil, explainStart(err, cfg)
		}
		s.feeders = append(s.feeders, f)
	}
	wctx, stop := context.WithCancel(context.WithoutCancel(ctx))
	s.stop, s.done = stop, make(chan struct{})
	go s.watch(wctx)
	return s, nil
}

// configure sets what depends on the machine, its files and its ports.
func (s *Server) configure(ctx context.Context, cfg Config) error {
	opts := s.opts
	if cfg.Listen != "" {
		host, port, err := splitListen(clientListen, cfg.Listen)
		if err != nil {
			return err
		}
		opts.Host, opts.Port = host, port
		if err := probeListen(ctx, clientListen, cfg.Listen, host, port); err != nil {
			return err
		}
		if opts.TLSConfig, err = tlsConfig(cfg.TLS, "clients", false); err != nil {
			return err
		}
		opts.TLS, opts.TLSTimeout = opts.TLSConfig != nil, tlsTimeout
	}
	if s.keyed {
		s.user, s.password = names.ClientUser, names.ClientPassword(cfg.ClusterKey)
		opts.Username, opts.Password = s.user, s.password
	}
	if cfg.ClusterListen != "" {
		if err := clusterOptions(ctx, cfg, opts); err != nil {
			return err
		}
	}
	if err := regionOptions(ctx, cfg, opts); err != nil {
		return err
	}
	s.woken = make(map[string]time.Time)
	for _, p := range cfg.Peers {
		s.peers = append(s.peers, p.Name)
	}
	if err := checkMode(cfg.StoreDir, s.clustered()); err != nil {
		return err
	}
	if s.clustered() && !isMember(cfg.StoreDir) {
		return probeName(ctx, cfg)
	}
	return nil
}

// watch wakes mirrors, and opens the store again when a full disk has room. The server does not do it: a stream that could not be written
// once refuses everything until it is opened anew. Connections come back by themselves.
func (s *Server) watch(ctx context.Context) {
	defer close(s.done)
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		s.wakeMirrors()
		if !s.log.outOfSpace() || freeBytes(s.opts.StoreDir) < roomToWrite {
			continue
		}
		s.log.log.Warn("the disk of the event store has room again; opening the store anew", "dir", s.opts.StoreDir)
		s.close()
		s.log.reset()
		if err := s.start(ctx); err != nil {
			s.log.log.Error("the event store cannot be opened; trying again", "dir", s.opts.StoreDir, "err", err)
			s.log.setFull()
		}
	}
}

// usedBytes is the size of all files in a directory.
func usedBytes(dir string) (sum int64) {
	_ = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() { // what cannot be read does not count
			if info, err := d.Info(); err == nil {
				sum += info.Size()
			}
		}
		return nil
	})
	return sum
}

// freeBytes is how much an ordinary user may still write; 0 if that cannot be found out.
func freeBytes(dir string) int64 {
	var st syscall.Statfs_t
	if syscall.Statfs(dir, &st) != nil {
		return 0
	}
	return int64(st.Bavail) * st.Bsize
}

func (s *Server) start(ctx context.Context) error {
	opts := s.opts.Clone()
	if opts.JetStreamMaxStore == 0 {
		// The server's own default is three quarters of what is free, and less than it has after a while.
		opts.JetStreamMaxStore = usedBytes(opts.StoreDir) + freeBytes(opts.StoreDir)/4*3
	}
	fresh := !isMember(opts.StoreDir)
	ns, err := server.NewServer(opts)
	if err != nil {
		return err
	}
	debug := s.log.log.Enabled(ctx, slog.LevelDebug-4)
	ns.SetLoggerV2(s.log, debug, false, false)
	s.mu.Lock()
	s.ns = ns
	s.mu.Unlock()
	ns.Start() // recovers the store before it returns
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
	if f := s.log.failure(); f != "" {
		return errors.New(f)
	}
	if !ns.JetStreamEnabled() {
		return errors.New("JetStream did not start")
	}
	if s.clustered() {
		return s.awaitCluster(ctx, ns, fresh)
	}
	return nil
}

// current is the server that runs now; nil between two.
func (s *Server) current() *server.Server {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ns
}

// close stops the present server.
func (s *Server) close() {
	s.mu.Lock()
	ns := s.ns
	s.ns = nil
	s.mu.Unlock()
	if ns != nil {
		ns.Shutdown()
		ns.WaitForShutdown()
	}
}

// InProcessConn makes a connection to the server that runs now. It lets the client library come back after a restart.
func (s *Server) InProcessConn() (net.Conn, error) {
	ns := s.current()
	if ns == nil {
		return nil, errors.New("the embedded NATS server is being opened anew")
	}
	return ns.InProcessConn()
}

// Connect returns a connection that does not leave the process. The caller closes it.
func (s *Server) Connect() (*nats.Conn, error) {
	nc, err := embed.ConnectInProcess(s.opts.ServerName, s, embed.Credentials{User: s.user, Password: s.password})
	if err != nil {
		return nil, fmt.Errorf("connect to the embedded NATS server: %w", err)
	}
	return nc, nil
}

// URL is where clients outside of this process connect; "" if the server does not listen.
func (s *Server) URL() string {
	ns := s.current()
	if ns == nil || ns.Addr() == nil {
		return ""
	}
	return ns.ClientURL()
}

// Healthy tells why the store takes no writes; nil if it takes them, as far as is known.
func (s *Server) Healthy() error {
	ns := s.current()
	switch {
	case s.log.outOfSpace():
		return fmt.Errorf("the event store in %s takes no writes: the disk is full; free some space, and it goes on by itself: %w",
			s.opts.StoreDir, embed.ErrFull)
	case ns == nil || !ns.JetStreamEnabled():
		return fmt.Errorf("the event store in %s takes no writes: %w", s.opts.StoreDir, embed.ErrUnavailable)
	}
	return nil
}

// Shutdown stops the server and returns when its files are closed. It may be called more than once.
func (s *Server) Shutdown() {
	s.once.Do(func() {
		if s.done != nil {
			s.stop()
			<-s.done
		}
		for _, f := range s.feeders {
			f.close()
		}
		s.close()
		if s.lock != nil {
			_ = s.lock.Close() // gives the lock back
		}
	})
}

func explainStart(err error, cfg Config) error {
	var refused refusedError
	switch {
	case errors.As(err, &refused):
		return fmt.Errorf("cannot join the cluster: %w", err)
	case isNoSpace(err):
		return fmt.Errorf("cannot start the event store in %s: the disk is full; free some space or choose another --data-dir: %w",
			cfg.StoreDir, embed.ErrFull)
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("start the event store in %s: %w", cfg.StoreDir, err)
	}
	return fmt.Errorf("cannot start the event store in %s: %w; see the log for what NATS says about it", cfg.StoreDir, err)
}
