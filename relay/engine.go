package relay

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"sync/atomic"
	"time"

	"rtpjet/relay/plan"
)

// Engine relays packets as plans say. Every method is safe for concurrent use, but calls that concern the same call-key
// must come in the order in which they are meant: the engine cannot know which of two plans is the newer.
type Engine interface {
	// Reserve binds n sockets on addr and returns their addresses: for n = 2 an even port and the odd one after it, for
	// n = 1 an even port. The sockets receive nothing until Set adopts them; what arrives before waits in their queues.
	// Errors: ErrNoPorts if the pool is exhausted, ErrUnknownAddress if addr has no pool, a *BindError (which unwraps to
	// the system's error, such as EADDRNOTAVAIL or EMFILE) if the system refuses for another reason than a port in use.
	Reserve(addr netip.Addr, n int) ([]netip.AddrPort, error)

	// Release closes sockets that were reserved and not adopted; their ports go to rest. Addresses that are unknown or that
	// belong to a call are left alone.
	Release(locals ...netip.AddrPort)

	// Set states the whole set of streams of a call; see the package comment. A packet sees either the old route of its
	// stream or the new one, never a mix. The error joins a *BindError or ErrInUse for each stream that could not be had;
	// the other streams of the plan are in force nevertheless, so that half a call is heard rather than none, and a later
	// Set tries again. A stream whose Decrypt or Encrypt cannot be used carries nothing in that direction and is among the
	// errors. Set keeps no reference to streams, but does to their SRTP.
	Set(call string, streams []plan.Stream) error

	// Drop closes all sockets of a call; their ports go to rest. A call that is not known is ignored.
	Drop(call string)

	// Permit lets the streams on these floating addresses carry packets until then, and no longer; a zero time or one that is
	// past forbids it at once. Addresses that do not float are ignored. It counts for the very next packet, in the time that
	// it takes to store a number, so a holder calls it again with each sign that the address is its own. What a thread has in
	// hand at that moment may still leave: one packet. until needs the monotonic reading of time.Now. See the package comment.
	Permit(until time.Time, addrs ...netip.Addr)

	// Stats returns the counters of a stream since its socket was bound, false if no such socket is open here.
	Stats(local netip.AddrPort) (plan.Stats, bool)

	// Totals returns sums since the start, dropped calls included, and the state of the pools.
	Totals() Totals

	// Learned delivers the addresses that were learned. It is one bounded channel for all calls. While it is full the engine
	// keeps the latest address of each stream and delivers it later: addresses in between may be lost, the last one never.
	// It is closed by Close.
	Learned() <-chan plan.Learned

	// Crossed delivers news of the sources of streams that decrypt or encrypt: the first authentic packet of each, each
	// crossing of half of its sequence space, and what it takes to resume SRTCP. It is bounded, keeps the latest and is closed
	// like Learned. A stream that reports very often has to wait in between.
	Crossed() <-chan plan.Crossed

	// Rollovers returns the state of all sources of a stream now, of what arrives there and of what leaves. Streams of a call
	// that encrypt with the same keys share the state of what leaves.
	Rollovers(local netip.AddrPort) (in, out []plan.Rollover)

	// Answers asks each thread that moves packets for a sign of life, and returns when all have given it; an error if ctx ends
	// before that, or the engine is closed.
	Answers(ctx context.Context) error

	// Close stops all relaying and frees everything. It returns when the last thread has ended.
	Close() error
}

// Errors that a caller branches on.
var (
	// ErrNoPorts says that every port of the pool is in use, at rest, or taken by somebody else.
	ErrNoPorts = errors.New("no free port in the pool")
	// ErrUnknownAddress says that no pool was configured for the address.
	ErrUnknownAddress = errors.New("no port pool for this address")
	// ErrInUse says that another call owns the socket.
	ErrInUse = errors.New("socket belongs to another call")
	// ErrClosed says that the engine was closed.
	ErrClosed = errors.New("relay engine is closed")
)

// BindError says which address could not be bound; it unwraps to the system's error.
type BindError struct {
	Local netip.AddrPort
	Err   error
}

// Error names the address and the reason.
func (e *BindError) Error() string { return fmt.Sprintf("bind %s: %v", e.Local, e.Err) }

// Unwrap returns the system's error, a syscall.Errno.
func (e *BindError) Unwrap() error { return e.Err }

// Pool is the port range of one local media address.
type Pool struct {
	Addr netip.Addr
	// Min and Max are the first and the last port that may be used. An odd Min and an even Max lose that port.
	Min, Max uint16
	// Exclude are ports of the range that must not be used; their neighbours in the pair are not used either.
	Exclude []plan.PortRange
	// Floating is true for an address that moves between nodes. Its sockets can be bound whether the machine has it or not
	// (on Linux), and its streams carry packets only while Permit allows it.
	Floating bool
	// Deadline, if it is not nil, is what Permit sets, for somebody who may set it by himself, from another process: the time
	// until which streams on the floating address may carry packets, in ns of CLOCK_MONOTONIC; 0: they may not.
	Deadline *atomic.Int64
	// Life, if it is not nil, is the sign of life of whoever sets Deadline: the number of a thread, in a futex that the kernel
	// marks when that thread ends (set_robust_list(2)). Then nothing is carried, whatever Deadline is.
	Life *atomic.Uint32
	// First, if it is not 0, has nodes that share the pool begin to give out ports at different places, so that none begins
	// with ports that another one has just freed. It is counted in pairs and may be any number, such as a hash of the node's
	// name. Ports are then in random order only within each sixteenth of the pool. Default: random order throughout.
	First uint16
}

// Config says how an engine is set up. The zero value of each field but Pools means its default.
type Config struct {
	// Pools has one entry for each local media address. Streams on other addresses may be Set, but not reserved.
	Pools []Pool
	// Loops is the number of threads that move packets. Default: GOMAXPROCS.
	Loops int
	// PortRest is how long a freed port is kept from being given out again, so that the last packets of one call do not
	// reach the next. The port that has rested longest is always taken first, so in a pool that is not full ports rest much
	// longer; only where nothing else is left may it have rested for less. Default: 1 s; negative: no rest.
	PortRest time.Duration
	// ReceiveBuffer is the size of a socket's receive queue in bytes, as for SO_RCVBUF (Linux doubles it for its own
	// bookkeeping). It bounds how old a packet may get under overload: small packets of 20 ms audio take about 0.8 kB
	// each. Default: 64 KiB.
	ReceiveBuffer int
	// LearnedQueue is the capacity of the Learned channel and of the Crossed channel. Default: 1024.
	LearnedQueue int
	// Moderation is for how long at most a busy thread lets packets gather before it wakes up for them, which saves
	// wake-ups as interrupt moderation does in a network card. It adds up to that much latency under load, from some
	// thousand packets a second on, and nothing otherwise. Default: 250 µs; negative: never wait.
	Moderation time.Duration
	// Nice is the nice value of the threads that move packets, -20 to 19, where the system lets a thread have its own and
	// permits it (CAP_SYS_NICE); otherwise they run like the rest. A negative one has media carried before everything else
	// that the machine does: with -10 a relay that shares its cores with busy programs carried up to twice as much.
	// Default: the process's own.
	Nice int
	// Logger receives the rare messages about things that the engine handled itself. Default: slog.Default().
	Logger *slog.Logger
}

// Defaults of Config.
const (
	defaultPortRest      = time.Second
	defaultReceiveBuffer = 64 << 10
	defaultLearnedQueue  = 1024
	defaultModeration    = 250 * time.Microsecond
)

// Totals are sums over all streams since the start, dropped calls included.
type Totals struct {
	Sums

	// Shed counts the packets that went no further, by reason. A packet that has several ways to go is counted for each.
	Shed [numShed]uint64

	Calls   int // calls that are set now
	Streams int // sockets that belong to a call now

	Pools []PoolUsage // in the order of Config.Pools
}

// PoolUsage is the state of one port pool, counted in ports.
type PoolUsage struct {
	Addr     netip.Addr
	Min, Max uint16
	Total    int // ports that the pool manages
	Used     int // bound, or the unused odd neighbour of one that is
	Free     int // may be given out now
	Resting  int // freed lately, or found to be in use by somebody else

	Sums // of all streams on the address since the start
}

// Sums are counts of several streams.
type Sums struct {
	In       plan.Counters  // received and accepted; Errors are packets that were refused
	Out      plan.Counters  // sent; Errors are packets that the system did not take
	Received plan.Reception // of RTP
	Jitter   plan.Samples   // of RTP
}
