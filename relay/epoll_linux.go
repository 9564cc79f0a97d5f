package relay

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"rtpjet/relay/eventfd"
)

// New returns the engine that suits the system best: on Linux one epoll loop per core.
func New(cfg Config) (*Sockets, error) { return newSockets(cfg, startEpoll) }

// epoll is the driver that serves the sockets of a call from one of a few threads, each with an epoll instance of its own.
//
// Level-triggered, one datagram per socket and wake-up: a socket with a backlog comes up again in the next wake-up together
// with all others that have something, so no flood on one of them starves the rest, and no read ever finds a socket empty.
type epoll struct {
	cfg   Config
	loops []*loop

	stopped chan struct{}
	ended   sync.WaitGroup
}

func startEpoll(cfg Config, news news) (driver, error) {
	e := &epoll{cfg: cfg, stopped: make(chan struct{})}
	for range cfg.Loops {
		l, err := newLoop(cfg, news)
		if err != nil {
			for _, l := range e.loops {
				l.release()
			}
			return nil, err
		}
		e.loops = append(e.loops, l)
	}
	for _, l := range e.loops {
		e.ended.Go(l.run)
	}
	e.ended.Go(e.spareProcessors)
	return e, nil
}

// spareProcessors raises GOMAXPROCS while media flows, so that the loops need not share theirs. A loop spends its life in
// system calls. If all of the runtime's processors are with loops, its monitor thread takes them away from each wait after
// 20 µs and the loop must win one back: that cost a quarter of the CPU time of the relay on two cores, and commands had to
// wait for packets. Without media the spare ones only cost: goroutines that hand work on wake more threads than there are
// cores, which took a tenth of the CPU time of call set-up.
func (e *epoll) spareProcessors() {
	defer runtime.GOMAXPROCS(cores())
	tick := time.NewTicker(spareEvery)
	defer tick.Stop()
	var before uint64
	for {
		select {
		case <-e.stopped:
			return
		case <-tick.C:
		}
		sums := e.totals()
		in := sums.all().In
		want := cores()
		if in.Packets-before >= spareAbove {
			want += len(e.loops)
		}
		before = in.Packets
		if runtime.GOMAXPROCS(0) != want {
			runtime.GOMAXPROCS(want) // stops the world for some microseconds, so only on a change
		}
	}
}

const (
	spareEvery = time.Second
	spareAbove = 2000 // packets in spareEvery
)

func (e *epoll) bind(local netip.AddrPort, floating bool) (*stream, error) {
	fd, err := openUDP(local, floating, e.cfg.ReceiveBuffer)
	if err != nil {
		return nil, err
	}
	return &stream{local: local, fd: fd}, nil
}

func (e *epoll) setTOS(s *stream, tos uint8) error { return setTOS(s.fd, s.local.Addr(), tos) }

func (e *epoll) assign() int {
	least := 0
	for i, l := range e.loops {
		if l.attached < e.loops[least].attached {
			least = i
		}
	}
	return least
}

func (e *epoll) attach(s *stream, shard int) error { return e.loops[shard].attach(s) }
func (e *epoll) attend(s *stream, shard int)       { e.loops[shard].post(order{attend, s}) }

func (e *epoll) detach(s *stream, shard int) {
	e.loops[shard].attached--
	e.loops[shard].postLater(order{detach, s})
}

func (e *epoll) discard(s *stream) { _ = unix.Close(s.fd) }

func (e *epoll) settle() {
	for _, l := range e.loops {
		done := make(chan struct{})
		l.inbox.Lock()
		l.settled = append(l.settled, done)
		l.inbox.Unlock()
		l.wake()
		<-done
	}
}

func (e *epoll) answers(ctx context.Context) error {
	for i, l := range e.loops {
		done := make(chan struct{})
		l.inbox.Lock()
		l.settled = append(l.settled, done)
		l.inbox.Unlock()
		l.wake()
		select {
		case <-done:
		case <-e.stopped:
			return ErrClosed
		case <-ctx.Done():
			return fmt.Errorf("thread %d that moves packets does not answer: %w", i, ctx.Err())
		}
	}
	return nil
}

func (e *epoll) totals() (s sums) {
	for _, l := range e.loops {
		s.add(&l.shard)
	}
	return s
}

func (e *epoll) close() {
	close(e.stopped)
	for _, l := range e.loops {
		l.post(order{stop, nil})
	}
	e.ended.Wait()
}

// loop is one thread with its epoll instance.
type loop struct {
	// Constant.
	log    *slog.Logger
	epfd   int
	event  *eventfd.Event
	gather unix.Timespec // how long to sleep
	nice   int

	// The control side's, guarded by Sockets.mu.
	attached int
	gen      uint32

	// table finds a socket by the slot number that epoll hands back. Its cells are written by the control side when a
	// socket is attached and by the loop when it is closed; the slice is replaced when it is full, by the control side.
	table atomic.Pointer[[]atomic.Pointer[stream]]

	// inbox holds what the control side wants done by the loop. It is bounded by the number of sockets.
	inbox   sync.Mutex
	orders  []order
	settled []chan struct{}
	free    []uint32 // slots
	waking  bool     // a wake for orders that can wait is on its way
	woken   atomic.Bool

	// The loop's own.
	shard     shard
	moderator moderator
	turns     turns
	from      sockaddr
	buf       []byte
	events    []unix.EpollEvent
	spare     []order
}

// order asks a loop for something that only the loop may do.
type order struct {
	what orderKind
	s    *stream
}

type orderKind uint8

const (
	attend orderKind = iota
	detach
	stop
)

const (
	// wakeSlot marks the event of a loop's own eventfd.
	wakeSlot = ^uint32(0)
	// gatherOrders is how long an order that can wait does.
	gatherOrders = 10 * time.Millisecond
	// maxEvents is how many sockets are served between two looks at the inbox.
	maxEvents = 256
)

func newLoop(cfg Config, news news) (*loop, error) {
	epfd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("create epoll instance: %w", err)
	}
	event, err := eventfd.New()
	if err != nil {
		_ = unix.Close(epfd)
		return nil, err
	}
	l := &loop{
		log: cfg.Logger, epfd: epfd, event: event, nice: cfg.Nice, gather: unix.NsecToTimespec(cfg.Moderation.Nanoseconds()),
		moderator: moderator{interval: cfg.Moderation.Microseconds()},
		buf:       make([]byte, maxDatagram), events: make([]unix.EpollEvent, maxEvents),
	}
	l.shard = newShard(l, news, len(cfg.Pools))
	table := make([]atomic.Pointer[stream], 0)
	l.table.Store(&table)
	if err := l.watch(event.FD, wakeSlot, 0); err != nil {
		l.release()
		return nil, err
	}
	return l, nil
}

func (l *loop) release() {
	_ = unix.Close(l.epfd)
	l.event.Close()
}

func (l *loop) watch(fd int, slot, gen uint32) error {
	ev := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(slot), Pad: int32(gen)}
	if err := unix.EpollCtl(l.epfd, unix.EPOLL_CTL_ADD, fd, &ev); err != nil {
		return fmt.Errorf("add to epoll instance: %w", err)
	}
	return nil
}

// attach gives s a slot and has it watched. Called by the control side.
func (l *loop) attach(s *stream) error {
	l.inbox.Lock()
	if len(l.free) == 0 {
		l.grow()
	}
	s.slot = l.free[len(l.free)-1]
	l.free = l.free[:len(l.free)-1]
	l.inbox.Unlock()
	l.gen++
	s.gen = l.gen
	l.attached++
	(*l.table.Load())[s.slot].Store(s)
	return l.watch(s.fd, s.slot, s.gen)
}

// grow doubles the table. Called with the inbox locked, so that the loop cannot clear a cell of the old one meanwhile.
func (l *loop) grow() {
	old := *l.table.Load()
	table := make([]atomic.Pointer[stream], max(64, 2*len(old)))
	for i := range old {
		table[i].Store(old[i].Load())
	}
	for i := len(table) - 1; i >= len(old); i-- {
		l.free = append(l.free, uint32(i))
	}
	l.table.Store(&table)
}

// post hands an order to the loop.
func (l *loop) post(o order) {
	l.inbox.Lock()
	l.orders = append(l.orders, o)
	l.inbox.Unlock()
	l.wake()
}

// postLater hands an order to the loop that can wait for others. Waking a thread for each socket of each call that ends
// would cost more than closing it.
func (l *loop) postLater(o order) {
	l.inbox.Lock()
	defer l.inbox.Unlock()
	l.orders = append(l.orders, o)
	if !l.waking {
		l.waking = true
		time.AfterFunc(gatherOrders, l.wake)
	}
}

// wake makes the loop look at its inbox. One system call serves all who call before it does. The timer of postLater may call
// it when the loop has ended.
func (l *loop) wake() {
	if l.woken.CompareAndSwap(false, true) {
		l.event.Signal()
	}
}

// run is the thread.
func (l *loop) run() {
	runtime.LockOSThread() // and never unlocked: the thread ends with the loop, its priority would not suit others
	if l.nice != 0 {
		if err := unix.Setpriority(unix.PRIO_PROCESS, 0, l.nice); err != nil {
			l.log.Debug("cannot set the priority of a relay thread", "nice", l.nice, "err", err)
		}
	}
	timeout := -1
	for {
		n, errno := epollWait(l.epfd, l.events, timeout)
		if errno != 0 && errno != unix.EINTR {
			// Only a bug can bring this about (a descriptor that is not ours). Say so, and do not spin.
			l.log.Error("relay loop cannot wait for packets", "err", errno)
			time.Sleep(time.Second)
		}
		now := time.Now().UnixMicro()
		table := *l.table.Load()
		woken := false
		for i := range l.events[:n] {
			ev := &l.events[i]
			slot := uint32(ev.Fd)
			if slot == wakeSlot {
				woken = true
				continue
			}
			if s := table[slot].Load(); s != nil && s.gen == uint32(ev.Pad) {
				l.serve(s, ev.Events, now)
			}
		}
		if woken && !l.obey(now) {
			return
		}
		timeout = l.untilDue(now)
		l.shard.publish()
		if l.turns.served(n, now) {
			runtime.Gosched()
		}
		switch l.moderator.served(n, now) {
		case stepWait:
		case stepPoll:
			timeout = 0
		case stepSleep:
			_ = unix.Nanosleep(&l.gather, nil) // a signal may cut it short
		}
	}
}

// serve reads one datagram from s and relays it.
func (l *loop) serve(s *stream, events uint32, now int64) {
	if events&unix.EPOLLERR != 0 {
		clearError(s.fd)
	}
	n, errno := recvFrom(s.fd, l.buf, &l.from)
	if errno != 0 {
		return // nothing there after all, or an error that reading has cleared
	}
	l.shard.handle(s, l.buf[:n], l.from.decode(), now)
}

// send implements sender.
func (l *loop) send(s *stream, pkt []byte) bool {
	errno := sendTo(s.fd, pkt, &s.sockaddr)
	if errno == unix.ECONNREFUSED {
		// That was the answer to an earlier packet; this one was not even tried.
		errno = sendTo(s.fd, pkt, &s.sockaddr)
	}
	return errno == 0
}

// untilDue does the shard's chores and returns how long to wait for packets, in ms as for epollWait.
func (l *loop) untilDue(now int64) int {
	due := l.shard.chores(now)
	if due == 0 {
		return -1
	}
	return int(max(0, (due-now+999)/1000))
}

// obey carries out what is in the inbox, between two batches of events: no event of this batch can name a descriptor that
// is closed here. It returns false when the loop is to end.
func (l *loop) obey(now int64) bool {
	l.event.Drain()
	l.woken.Store(false)

	l.inbox.Lock()
	l.waking = false
	orders, settled := l.orders, l.settled
	l.orders, l.settled = l.spare[:0], nil
	l.inbox.Unlock()

	stopped := false
	for _, o := range orders {
		switch o.what {
		case attend:
			l.shard.attend(o.s, now)
		case detach:
			l.detach(o.s)
		case stop:
			stopped = true
		}
	}
	clear(orders)
	l.spare = orders
	if stopped {
		l.end()
	}
	for _, done := range settled {
		close(done)
	}
	return !stopped
}

func (l *loop) detach(s *stream) {
	l.shard.forget(s)
	// Closing takes the socket out of the epoll instance. Should a fork of this process hold it open for a moment, its events
	// find an empty slot, or one of another generation.
	_ = unix.Close(s.fd)
	l.inbox.Lock()
	(*l.table.Load())[s.slot].Store(nil)
	l.free = append(l.free, s.slot)
	l.inbox.Unlock()
}

// end closes everything.
func (l *loop) end() {
	for i := range *l.table.Load() {
		if s := (*l.table.Load())[i].Load(); s != nil {
			_ = unix.Close(s.fd)
		}
	}
	l.shard.publish()
	l.release()
}
