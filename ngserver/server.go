package ngserver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"slices"
	"sync"
	"time"

	"rtpjet/ngserver/ng"
)

const (
	// DefaultWorkers is how many commands are executed at once. Most of their time they wait for an append to the log.
	DefaultWorkers = 1024
	// DefaultQueue is how many more commands may wait for their turn.
	DefaultQueue = 4096
	// MaxDatagram is the largest message that is received, MaxReply the largest that can be sent: the largest UDP payload
	// over IPv4.
	MaxDatagram = 65535
	MaxReply    = 65507

	readersPerSocket = 2

	// StaleAfter is how old a command on a floating address may be. What is older waited in a process that was frozen or
	// starved. Meanwhile the address has moved, and the proxy has asked again there, or given up: an offer that is executed
	// now could begin a call anew that is over.
	StaleAfter = time.Second
)

// Config says how to serve NG over UDP. Listen and Handler (or Dispatcher) must be set.
type Config struct {
	// Listen are addresses as [ADDR:]PORT; a bare port means all IPv4 and all IPv6 addresses.
	Listen []string
	// Floating are addresses as ADDR:PORT that this machine need not have (on Linux): commands arrive while it does. Those
	// that have waited there for StaleAfter are not executed.
	Floating []string
	// ControlTOS is the TOS or traffic class of replies, 0 for the system's.
	ControlTOS int
	// Workers bounds the commands in execution, Queue those that wait; 0 for the defaults. A command that finds the queue
	// full is refused with the error "Load limit exceeded", which is not kept for repetitions. Pings and repeated commands
	// need neither.
	Workers, Queue int

	// Dispatcher is shared with other transports. If it is nil the server makes one from the following fields.
	Dispatcher     *Dispatcher
	Handler        Handler
	Logger         *slog.Logger                                                         // nil: slog.Default()
	Clock          func() time.Time                                                     // nil: time.Now
	Budget         time.Duration                                                        // of a command; 0: DefaultBudget
	Templates      ng.Templates                                                         // see DispatcherConfig
	CacheRetention time.Duration                                                        // 0: DefaultCacheRetention
	CacheBytes     int                                                                  // 0: DefaultCacheBytes
	Observe        func(command int, result string, took time.Duration, replyBytes int) // see DispatcherConfig
	Trace          func(Exchange)                                                       // likewise
}

// Server serves NG over UDP. Its methods are safe for concurrent use.
type Server struct {
	d       *Dispatcher
	sockets []*socket
	pool    *pool

	stop     chan struct{} // closed by Close
	stopOnce sync.Once

	mu     sync.Mutex
	served bool
}

// Listen opens the sockets. Datagrams that come before Serve wait in the kernel. An error names the address at fault.
func Listen(cfg Config) (*Server, error) {
	d := cfg.Dispatcher
	if d == nil {
		var err error
		d, err = NewDispatcher(DispatcherConfig{
			Handler: cfg.Handler, Logger: cfg.Logger, Clock: cfg.Clock, Budget: cfg.Budget, Templates: cfg.Templates,
			CacheRetention: cfg.CacheRetention, CacheBytes: cfg.CacheBytes, Observe: cfg.Observe, Trace: cfg.Trace,
		})
		if err != nil {
			return nil, err
		}
	}
	if len(cfg.Listen)+len(cfg.Floating) == 0 {
		return nil, errors.New("ngserver: no address to listen on")
	}
	if cfg.ControlTOS < 0 || cfg.ControlTOS > 255 {
		return nil, fmt.Errorf("ngserver: control TOS %d is not within 0 to 255", cfg.ControlTOS)
	}
	if cfg.Workers <= 0 {
		cfg.Workers = DefaultWorkers
	}
	if cfg.Queue <= 0 {
		cfg.Queue = DefaultQueue
	}
	s := &Server{d: d, stop: make(chan struct{})}
	s.pool = newPool(cfg.Workers, cfg.Queue, s.run)
	for i, addr := range slices.Concat(cfg.Listen, cfg.Floating) {
		socks, err := listenAll(addr, cfg.ControlTOS, i >= len(cfg.Listen))
		if err != nil {
			s.closeSockets()
			return nil, err
		}
		s.sockets = append(s.sockets, socks...)
	}
	return s, nil
}

// Addrs are the addresses of the sockets, in the order of Config.Listen and Config.Floating, with the ports that were really bound.
func (s *Server) Addrs() []netip.AddrPort {
	out := make([]netip.AddrPort, len(s.sockets))
	for i, sock := range s.sockets {
		out[i] = netip.AddrPortFrom(sock.local.Addr().Unmap(), sock.local.Port())
	}
	return out
}

// Dispatcher is what the server takes its messages to, for other transports and for statistics.
func (s *Server) Dispatcher() *Dispatcher { return s.d }

// Stats returns the counters.
func (s *Server) Stats() Stats { return s.d.Stats() }

// Serve answers commands until ctx ends or Close is called. It then takes no new ones, lets those in execution finish,
// which their time budget bounds, sends their replies, closes the sockets and returns nil. It returns an error only if a
// socket fails for good. It must be called once.
func (s *Server) Serve(ctx context.Context) error {
	s.mu.Lock()
	if s.served {
		s.mu.Unlock()
		return errors.New("ngserver: Serve called twice, or after Close")
	}
	s.served = true
	s.mu.Unlock()
	defer s.closeSockets()

	failed := make(chan error, len(s.sockets)*readersPerSocket)
	var readers sync.WaitGroup
	for _, sock := range s.sockets {
		for range readersPerSocket {
			readers.Go(func() {
				if err := s.read(sock); err != nil {
					failed <- err
				}
			})
		}
	}
	var err error
	select {
	case <-ctx.Done():
	case <-s.stop:
	case err = <-failed:
	}
	s.stopOnce.Do(func() { close(s.stop) })
	for _, sock := range s.sockets {
		_ = sock.conn.SetReadDeadline(time.Unix(1, 0)) // wakes the readers; the sockets still send
	}
	readers.Wait()
	s.pool.wait()
	return err
}

// Close makes Serve return, or closes the sockets if Serve was not called. It does not wait.
func (s *Server) Close() error {
	s.stopOnce.Do(func() { close(s.stop) })
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.served {
		s.served = true
		s.closeSockets()
	}
	return nil
}

func (s *Server) closeSockets() {
	for _, sock := range s.sockets {
		_ = sock.conn.Close()
	}
}

// job is one datagram on its way: what is needed to answer it, and, once it is claimed, what to execute.
type job struct {
	srv     *Server
	sock    *socket
	source  netip.AddrPort
	control [maxControl]byte // of the reply
	ncontr  int

	// Set when the job is claimed; a job that joined another one does not have them.
	cookie   []byte
	payload  []byte
	received time.Time
	ticket   Ticket
}

// send sends reply to where the datagram came from, from where it was sent to: clients use connected sockets.
func (j *job) send(reply []byte) {
	_, _, err := j.sock.conn.WriteMsgUDPAddrPort(reply, j.control[:j.ncontr], j.source)
	if err != nil && !errors.Is(err, net.ErrClosed) {
		j.srv.d.badMessages.Do(func() {
			j.srv.d.log.Warn("NG reply not sent", "err", err, "to", j.source, "bytes", len(reply))
		})
	}
}

// Deliver answers a repeated command once the first one is finished.
func (j *job) Deliver(reply []byte) {
	if reply != nil {
		j.send(reply)
	}
}

// run executes a claimed job. The context has no tie to Serve's: when the server stops, commands are finished.
func (s *Server) run(j *job) {
	m := ng.Message{Source: j.source, Cookie: string(j.cookie), Raw: j.payload, Received: j.received}
	j.send(s.d.execute(context.Background(), &m, j.cookie, j.ticket, MaxReply))
}

// maxReadErrors is how many reads may fail in a row before a socket counts as broken.
const maxReadErrors = 100

// read receives datagrams until the server stops. It answers pings and known commands itself, so that they do not wait for
// slow commands, and hands the others over.
func (s *Server) read(sock *socket) error {
	buf := make([]byte, MaxDatagram+1)
	scratch := make([]byte, 0, 256)
	failures := 0
	j := &job{srv: s, sock: sock}
	for {
		n, ncontr, _, source, err := sock.conn.ReadMsgUDPAddrPort(buf, j.control[:])
		if err != nil {
			select {
			case <-s.stop:
				return nil
			default:
			}
			if errors.Is(err, net.ErrClosed) || errors.Is(err, os.ErrDeadlineExceeded) {
				return nil
			}
			if failures++; failures > maxReadErrors {
				return fmt.Errorf("ngserver: receive on %v: %w", sock.local, err)
			}
			s.d.log.Warn("NG receive failed", "err", err, "socket", sock.local)
			continue
		}
		failures = 0
		if sock.stamped {
			if at, ok := arrival(j.control[:ncontr]); ok && s.d.clock().Sub(at) > StaleAfter {
				s.d.stale.Add(1)
				continue
			}
		}
		j.source = source
		j.ncontr = 0
		if sock.pktinfo {
			j.ncontr = copy(j.control[:], replyControl(j.control[:ncontr]))
		}
		cookie, payload, ok := splitCookie(buf[:n])
		if !ok {
			s.d.ignore(buf[:n], source)
			continue
		}
		if isPing(payload) {
			scratch = s.d.appendPong(scratch[:0], cookie, source)
			j.send(scratch)
			continue
		}
		now := s.d.clock()
		outcome, ticket, reply := s.d.cache.Claim(cookie, payload, now, j)
		switch outcome {
		case Known:
			s.d.traceRepeated(source, cookie, payload, reply)
			j.send(reply)
			continue
		case Refused:
			continue
		case Claimed:
			data := make([]byte, n)
			copy(data, buf[:n])
			j.cookie, j.payload, j.received, j.ticket = data[:len(cookie):len(cookie)], data[len(cookie)+1:], now, ticket
			if !s.pool.submit(j) {
				ticket.Drop()
				j.send(s.d.refuse(cookie, payload, source))
				j.ticket = Ticket{}
				continue
			}
		case Joined:
		}
		j = &job{srv: s, sock: sock} // the other one is in use now
	}
}
