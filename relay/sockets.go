package relay

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"rtpjet/relay/plan"
	"rtpjet/relay/srtp"
)

// bindTries bounds how many ports of a pool are tried that turn out to be bound by somebody else.
const bindTries = 64

// driver moves the packets of bound sockets. The control side calls it with Sockets.mu held.
type driver interface {
	// bind opens a socket on local and returns a stream that nobody receives on yet. If it is floating, the machine need not
	// have the address. Unlike the rest, it may be called without the lock.
	bind(local netip.AddrPort, floating bool) (*stream, error)
	// setTOS sets the TOS or traffic class of what leaves from s.
	setTOS(s *stream, tos uint8) error
	// assign chooses a shard for a new call.
	assign() (shard int)
	// attach makes the shard receive on s, which has a route by then. If it fails, s must be detached all the same: other
	// streams may be sending from it already.
	attach(s *stream, shard int) error
	// attend makes the shard take up the route of s without waiting for a packet.
	attend(s *stream, shard int)
	// detach makes the shard forget s, whose route is nil by then, and close it. It does not wait for that.
	detach(s *stream, shard int)
	// discard closes a socket that was never attached.
	discard(s *stream)
	// settle returns once all sockets detached before are closed.
	settle()
	// totals sums what all shards have published.
	totals() sums
	// answers returns once every shard has taken note of it, or ctx ends.
	answers(ctx context.Context) error
	// close ends all threads, closes all attached sockets and returns when that is done.
	close()
}

// Sockets is an Engine that relays through ordinary UDP sockets.
type Sockets struct {
	cfg     Config
	drv     driver
	learned chan plan.Learned
	crossed chan plan.Crossed
	pools   map[netip.Addr]*pool

	mu      sync.RWMutex // guards what follows; a shard never takes it
	closed  bool
	streams map[netip.AddrPort]*stream // every bound socket
	calls   map[string]*call
}

type pool struct {
	cfg    Pool
	number int     // see stream.pool
	ports  *ports  // guarded by Sockets.mu
	permit *permit // nil unless the address floats
}

type call struct {
	shard   int
	streams []*stream
	senders map[secret]*srtp.Sender // see senderOf
	begun   bool                    // has had routes
	gen     *generation             // of the routes; nil if no stream floated at first
}

var _ Engine = (*Sockets)(nil)

// newSockets checks cfg, fills its defaults in and starts the driver that start makes.
func newSockets(cfg Config, start func(Config, news) (driver, error)) (*Sockets, error) {
	if cfg.Loops <= 0 {
		cfg.Loops = cores()
	}
	orDefault(&cfg.PortRest, defaultPortRest)
	orDefault(&cfg.Moderation, defaultModeration)
	if cfg.ReceiveBuffer <= 0 {
		cfg.ReceiveBuffer = defaultReceiveBuffer
	}
	if cfg.LearnedQueue <= 0 {
		cfg.LearnedQueue = defaultLearnedQueue
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	e := &Sockets{
		cfg:     cfg,
		learned: make(chan plan.Learned, cfg.LearnedQueue),
		crossed: make(chan plan.Crossed, cfg.LearnedQueue),
		streams: make(map[netip.AddrPort]*stream),
		calls:   make(map[string]*call),
		pools:   make(map[netip.Addr]*pool),
	}
	for i, p := range cfg.Pools {
		if !p.Addr.IsValid() || p.Min == 0 || p.Max <= p.Min {
			return nil, fmt.Errorf("port pool %v %d-%d is empty", p.Addr, p.Min, p.Max)
		}
		if e.pools[p.Addr] != nil {
			return nil, fmt.Errorf("address %v has two port pools", p.Addr)
		}
		pl := &pool{cfg: p, number: i + 1, ports: newPorts(p.Min, p.Max, p.First, cfg.PortRest.Microseconds(), nil)}
		if p.Floating {
			if p.Deadline == nil {
				p.Deadline = new(atomic.Int64)
			}
			pl.permit = &permit{until: p.Deadline, life: p.Life}
		}
		for _, r := range p.Exclude {
			pl.ports.exclude(r.Min, r.Max)
		}
		e.pools[p.Addr] = pl
	}
	drv, err := start(cfg, news{learned: e.learned, crossed: e.crossed})
	if err != nil {
		return nil, err
	}
	e.drv = drv
	return e, nil
}

// cores is the number of processors that the runtime meant to use when the first engine was made.
var cores = sync.OnceValue(func() int { return runtime.GOMAXPROCS(0) })

// orDefault turns 0 into def and a negative duration into 0.
func orDefault(d *time.Duration, def time.Duration) {
	switch {
	case *d == 0:
		*d = def
	case *d < 0:
		*d = 0
	}
}

// Reserve implements Engine.
func (e *Sockets) Reserve(addr netip.Addr, n int) ([]netip.AddrPort, error) {
	if n != 1 && n != 2 {
		return nil, fmt.Errorf("reserve %d ports: only 1 or 2 can be had together", n)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return nil, ErrClosed
	}
	p := e.pools[addr]
	if p == nil {
		return nil, fmt.Errorf("%w: %v", ErrUnknownAddress, addr)
	}
	now := time.Now().UnixMicro()
	for range bindTries {
		even, ok := p.ports.take(n, now)
		if !ok {
			return nil, fmt.Errorf("%w: %v %d-%d", ErrNoPorts, addr, p.cfg.Min, p.cfg.Max)
		}
		locals, err := e.bindAll(addr, even, n)
		switch {
		case err == nil:
			return locals, nil
		case errors.Is(err, syscall.EADDRINUSE):
			p.ports.busy(even, now)
		default:
			p.ports.refund(even, now)
			return nil, err
		}
	}
	return nil, fmt.Errorf("%w: %v %d-%d: somebody else has bound %d ports in a row",
		ErrNoPorts, addr, p.cfg.Min, p.cfg.Max, bindTries)
}

// bind opens the socket of a stream. It is called with or without the lock.
func (e *Sockets) bind(local netip.AddrPort) (*stream, error) {
	p := e.pools[local.Addr()]
	s, err := e.drv.bind(local, p != nil && p.permit != nil)
	if err != nil {
		return nil, err
	}
	if p != nil {
		s.permit, s.pool = p.permit, p.number
	}
	return s, nil
}

// bindAll binds n consecutive ports or none.
func (e *Sockets) bindAll(addr netip.Addr, first uint16, n int) ([]netip.AddrPort, error) {
	locals := make([]netip.AddrPort, 0, n)
	for i := range n {
		local := netip.AddrPortFrom(addr, first+uint16(i))
		s, err := e.bind(local)
		if err != nil {
			for _, l := range locals {
				e.drv.discard(e.streams[l])
				delete(e.streams, l)
			}
			return nil, &BindError{Local: local, Err: err}
		}
		e.streams[local] = s
		locals = append(locals, local)
	}
	return locals, nil
}

// Release implements Engine.
func (e *Sockets) Release(locals ...netip.AddrPort) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, l := range locals {
		if s := e.streams[l]; s != nil && s.owner == nil {
			e.drv.discard(s)
			e.forget(s)
		}
	}
}

// Set implements Engine.
func (e *Sockets) Set(key string, streams []plan.Stream) error {
	ahead := e.bindAhead(streams)
	e.mu.Lock()
	defer e.mu.Unlock()
	defer func() {
		for _, s := range ahead {
			e.drv.discard(s)
		}
	}()
	if e.closed {
		return ErrClosed
	}
	c := e.calls[key]
	if c == nil {
		c = &call{shard: e.drv.assign()}
		e.calls[key] = c
	}

	// First all sockets, so that routes can name them.
	var faults []error
	open := make(map[netip.AddrPort]*stream, len(streams))
	for i := range streams {
		local := streams[i].Local
		s, err := e.obtain(c, local, ahead)
		if err != nil {
			faults = append(faults, err)
			continue
		}
		open[local] = s
		if s.tos != streams[i].TOS {
			if err := e.drv.setTOS(s, streams[i].TOS); err != nil {
				e.cfg.Logger.Warn("cannot set TOS", "local", local, "tos", streams[i].TOS, "err", err)
			}
			s.tos = streams[i].TOS // not to be tried again with each plan
		}
	}

	// Then all routes, and only then the first packets of new sockets, which may leave from any of the others.
	routes, unprotected := c.compile(key, streams, open)
	faults = append(faults, unprotected...)
	var fresh []*stream
	for i, r := range routes {
		if r == nil {
			continue
		}
		s := open[streams[i].Local]
		if s.route.Swap(r) == nil {
			fresh = append(fresh, s)
		}
	}
	for _, s := range fresh {
		if err := e.drv.attach(s, c.shard); err != nil {
			faults = append(faults, fmt.Errorf("receive on %v: %w", s.local, err))
			e.retire(s, c)
			delete(open, s.local)
		}
	}
	for i := range streams {
		if s := open[streams[i].Local]; s != nil && streams[i].PierceNAT {
			e.drv.attend(s, c.shard)
		}
	}

	// No route leads to the sockets that are left over.
	for _, s := range c.streams {
		if open[s.local] == nil && s.owner == c {
			e.retire(s, c)
		}
	}
	c.streams = c.streams[:0]
	for _, s := range open {
		c.streams = append(c.streams, s)
	}
	if len(c.streams) == 0 {
		delete(e.calls, key)
	}
	return errors.Join(faults...)
}

// obtain returns the socket of a stream of c: the one it has, a reserved one, or a new one.
func (e *Sockets) obtain(c *call, local netip.AddrPort, ahead map[netip.AddrPort]*stream) (*stream, error) {
	s := e.streams[local]
	switch {
	case s == nil && ahead[local] != nil:
		s = ahead[local]
		delete(ahead, local)
		e.enter(s)
	case s == nil:
		var err error
		if s, err = e.bind(local); errors.Is(err, syscall.EADDRINUSE) {
			// It may be one of ours that is just being closed.
			e.drv.settle()
			s, err = e.bind(local)
		}
		if err != nil {
			return nil, &BindError{Local: local, Err: err}
		}
		e.enter(s)
	case s.owner != nil && s.owner != c:
		return nil, fmt.Errorf("%w: %v", ErrInUse, local)
	}
	s.owner = c
	return s, nil
}

// bindAhead binds the sockets that a plan names and that are not there yet, outside of the lock: after a restart these are
// all, and several callers can bind at once. Those that cannot be had are left to obtain.
func (e *Sockets) bindAhead(streams []plan.Stream) map[netip.AddrPort]*stream {
	var missing []netip.AddrPort
	e.mu.RLock()
	for i := range streams {
		if e.streams[streams[i].Local] == nil && !e.closed {
			missing = append(missing, streams[i].Local)
		}
	}
	e.mu.RUnlock()
	if len(missing) == 0 {
		return nil
	}
	ahead := make(map[netip.AddrPort]*stream, len(missing))
	for _, local := range missing {
		if s, err := e.bind(local); err == nil {
			ahead[local] = s
		}
	}
	return ahead
}

// enter makes a socket that was bound by its number known.
func (e *Sockets) enter(s *stream) {
	e.streams[s.local] = s
	if p := e.pools[s.local.Addr()]; p != nil {
		p.ports.claim(s.local.Port())
	}
}

// retire ends a stream of c.
func (e *Sockets) retire(s *stream, c *call) {
	s.route.Store(nil)
	e.drv.detach(s, c.shard)
	e.forget(s)
}

// forget lets the port of s rest.
func (e *Sockets) forget(s *stream) {
	s.owner = nil
	delete(e.streams, s.local)
	if p := e.pools[s.local.Addr()]; p != nil {
		p.ports.release(s.local.Port(), time.Now().UnixMicro())
	}
}

// Drop implements Engine.
func (e *Sockets) Drop(key string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	c := e.calls[key]
	if c == nil || e.closed {
		return
	}
	for _, s := range c.streams {
		e.retire(s, c)
	}
	delete(e.calls, key)
}

// Stats implements Engine.
func (e *Sockets) Stats(local netip.AddrPort) (plan.Stats, bool) {
	e.mu.RLock()
	s := e.streams[local]
	e.mu.RUnlock()
	if s == nil {
		return plan.Stats{}, false
	}
	return s.stats(), true
}

// Totals implements Engine.
func (e *Sockets) Totals() Totals {
	var t Totals
	sums := e.drv.totals()
	t.Sums, t.Shed = sums.all(), sums.shed
	now := time.Now().UnixMicro()
	e.mu.RLock()
	defer e.mu.RUnlock()
	t.Calls = len(e.calls)
	for _, c := range e.calls {
		t.Streams += len(c.streams)
	}
	for i := range e.cfg.Pools {
		p := e.pools[e.cfg.Pools[i].Addr]
		u := PoolUsage{Addr: p.cfg.Addr, Min: p.cfg.Min, Max: p.cfg.Max, Sums: sums.pools[p.number]}
		u.Total, u.Used, u.Free, u.Resting = p.ports.usage(now)
		t.Pools = append(t.Pools, u)
	}
	return t
}

// Answers implements Engine.
func (e *Sockets) Answers(ctx context.Context) error {
	e.mu.RLock()
	closed := e.closed
	e.mu.RUnlock()
	if closed {
		return ErrClosed
	}
	return e.drv.answers(ctx)
}

// Learned implements Engine.
func (e *Sockets) Learned() <-chan plan.Learned { return e.learned }

// Crossed implements Engine.
func (e *Sockets) Crossed() <-chan plan.Crossed { return e.crossed }

// Close implements Engine.
func (e *Sockets) Close() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return nil
	}
	e.closed = true
	for _, s := range e.streams {
		if s.owner == nil {
			e.drv.discard(s)
		}
	}
	e.drv.close()
	e.streams, e.calls = nil, nil
	close(e.learned)
	close(e.crossed)
	return nil
}
