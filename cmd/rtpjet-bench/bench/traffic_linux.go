package bench

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

const (
	sendBurst  = 64                     // packets sent between two looks at what has arrived
	maxLate    = 200 * time.Millisecond // packets later than this are not sent any more
	quietAfter = 300 * time.Millisecond // nothing for so long after the end: what is missing is lost
	drainLimit = 2 * time.Second        // the end, quiet or not
	pollBatch  = 256
)

// leg is one phone of one call: its socket, and what has gone through it. While
// a stretch runs it belongs to its worker.
type leg struct {
	fd     int
	at     netip.AddrPort // its own address
	relay  netip.AddrPort // where it sends to
	peer   *leg
	srtp   *secured // nil: it speaks plain RTP
	packet packet
	next   uint64 // number of the next packet
	window seqWindow
	// arrivals is what came, if the worker keeps it.
	arrivals []Arrival

	// Of the running stretch:
	first                                                   uint64 // number of its first packet
	sent, received, late, duplicate, damaged, refused, full uint64
}

// call is a placed call.
type call struct {
	names          callNames
	caller, callee *leg
}

// trafficOptions shape the calls and their packets.
type trafficOptions struct {
	ng      string
	local   netip.Addr
	payload int
	calls   int
	workers int
	rcvbuf  int
	nat     bool
	srtp    *suite // what callers speak; nil: plain RTP, as callees always do
	options ngOptions
	tick    time.Duration
}

// traffic is a number of placed calls.
type traffic struct {
	opts    trafficOptions
	run     string
	calls   []*call
	workers []*worker
	placed  time.Duration // how long placing them took
}

// placers is how many calls are being placed at a time.
const placers = 4

// place opens the sockets and places the calls. On an error it leaves nothing
// open; calls that the server already knew are deleted.
func place(ctx context.Context, opts trafficOptions) (t *traffic, err error) {
	if err := raiseFileLimit(uint64(2*opts.calls + 64)); err != nil {
		return nil, err
	}
	t = &traffic{opts: opts, run: runName(), calls: make([]*call, opts.calls)}
	defer func() {
		if err != nil {
			t.end(context.WithoutCancel(ctx))
			t = nil
		}
	}()
	for i := range t.calls {
		c := &call{names: namesOf(t.run, i)}
		t.calls[i] = c
		if c.caller, err = newLeg(uint32(2*i), opts); err != nil {
			return t, err
		}
		if c.callee, err = newLeg(uint32(2*i+1), opts); err != nil {
			return t, err
		}
		c.caller.peer, c.callee.peer = c.callee, c.caller
		if opts.srtp != nil {
			if c.caller.srtp, err = newSecured(opts.srtp, len(c.caller.packet.bytes)); err != nil {
				return t, err
			}
		}
	}

	began := time.Now()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var group sync.WaitGroup
	var index atomic.Int64
	for range min(placers, opts.calls) {
		group.Go(func() {
			if err := t.placeSome(ctx, &index); err != nil {
				cancel(err)
			}
		})
	}
	group.Wait()
	if err := context.Cause(ctx); err != nil {
		return t, err
	}
	t.placed = time.Since(began)

	for i := range opts.workers {
		w, err := newWorker(opts)
		if err != nil {
			return t, err
		}
		t.workers = append(t.workers, w)
		for j := i; j < len(t.calls); j += opts.workers {
			if err := w.add(t.calls[j].caller, t.calls[j].callee); err != nil {
				return t, err
			}
		}
	}
	return t, nil
}

// placeSome places calls until all are taken.
func (t *traffic) placeSome(ctx context.Context, index *atomic.Int64) error {
	ng, err := dialNG(t.opts.ng)
	if err != nil {
		return err
	}
	defer ng.close()
	for {
		i := int(index.Add(1)) - 1
		if i >= len(t.calls) {
			return nil
		}
		c := t.calls[i]
		sdp := phoneSDP(t.advertised(c.caller), c.caller.describe(t.opts.options.sdp))
		err = c.callee.askForMedia(ctx, ng, offerRequest(c.names, sdp, t.opts.local, t.opts.options))
		if err != nil {
			return fmt.Errorf("place call %d of %d, offer: %w", i+1, len(t.calls), err)
		}
		sdp = phoneSDP(t.advertised(c.callee), t.opts.options.sdp)
		err = c.caller.askForMedia(ctx, ng, answerRequest(c.names, sdp, t.opts.local, t.opts.options))
		if err != nil {
			return fmt.Errorf("place call %d of %d, answer: %w", i+1, len(t.calls), err)
		}
		for _, l := range []*leg{c.caller, c.callee} {
			if err := unix.Connect(l.fd, sockaddr(l.relay)); err != nil {
				return fmt.Errorf("connect a leg to the relay's %s: %w", l.relay, err)
			}
		}
	}
}

// advertised returns the address that a leg's SDP names. Behind a NAT that is not
// the one that its packets come from.
func (t *traffic) advertised(l *leg) netip.AddrPort {
	if t.opts.nat {
		return netip.AddrPortFrom(l.at.Addr(), l.at.Port()^0x4000)
	}
	return l.at
}

// describe returns what a leg's SDP says beside its address.
func (l *leg) describe(o sdpOptions) sdpOptions {
	if l.srtp != nil {
		o.crypto = l.srtp.suite.cryptoValue(l.srtp.key)
	}
	return o
}

// askForMedia sends an offer or answer; its reply's SDP says where and how the leg has to send.
func (l *leg) askForMedia(ctx context.Context, ng *client, r request) error {
	reply, err := ng.request(ctx, r)
	if err != nil {
		return err
	}
	if !reply.ok() {
		return fmt.Errorf("server refused: %s", reply.why())
	}
	m, err := readMedia(reply.SDP)
	if err != nil {
		return err
	}
	l.relay = m.at
	if l.srtp != nil {
		return l.srtp.answered(m.crypto)
	}
	if m.secured {
		return errors.New("the server speaks SRTP to a phone that does not")
	}
	return nil
}

func newLeg(id uint32, opts trafficOptions) (*leg, error) {
	fd, at, err := legSocket(opts.local, opts.rcvbuf)
	if err != nil {
		return nil, err
	}
	return &leg{fd: fd, at: at, packet: newPacket(id, opts.payload)}, nil
}

// legs returns all legs of all calls.
func (t *traffic) legs() []*leg {
	var all []*leg
	for _, c := range t.calls {
		if c != nil && c.caller != nil && c.callee != nil {
			all = append(all, c.caller, c.callee)
		}
	}
	return all
}

// end closes the sockets and deletes the calls, unless the server is gone.
func (t *traffic) end(ctx context.Context) {
	for _, w := range t.workers {
		w.poll.close()
	}
	for _, c := range t.calls {
		if c == nil {
			continue
		}
		for _, l := range []*leg{c.caller, c.callee} {
			if l != nil {
				_ = unix.Close(l.fd)
			}
		}
	}
	ng, err := dialNG(t.opts.ng)
	if err != nil {
		return
	}
	defer ng.close()
	now := t.opts.options
	now.deleteDelay = 0
	for _, c := range t.calls {
		if c == nil || c.callee == nil || !c.callee.relay.IsValid() {
			continue // never offered
		}
		_, err := ng.request(ctx, deleteRequest(c.names, now))
		if err != nil {
			return // the server is gone
		}
	}
}

// worker is one thread and the legs that it serves.
type worker struct {
	legs []*leg
	poll *poller
	rx   *receiver
	tick int64
	keep bool // note each arrival at its leg

	// Of the running stretch:
	pace      pacer
	latency   *histogram
	lastHeard int64
	foreign   uint64
	sent      uint64
	received  uint64
	from      int64 // packets sent before this do not count in the latency

	// Copies of sent and received for other threads to read.
	sentNow, receivedNow atomic.Uint64
}

func newWorker(opts trafficOptions) (*worker, error) {
	poll, err := newPoller(pollBatch)
	if err != nil {
		return nil, err
	}
	return &worker{poll: poll, rx: newReceiver(1, 2048), tick: int64(opts.tick), latency: newHistogram()}, nil
}

func (w *worker) add(legs ...*leg) error {
	for _, l := range legs {
		if err := w.poll.add(l.fd, int32(len(w.legs))); err != nil {
			return err
		}
		w.legs = append(w.legs, l)
	}
	return nil
}

// stretch is one run of packets at one rate over all legs.
type stretch struct {
	rate     float64 // packets/s per leg
	warmup   time.Duration
	duration time.Duration
	pids     []int
}

// stretchResult is what a stretch showed. Counts are of the whole stretch with its
// warm-up, rates and usage of the part after it.
type stretchResult struct {
	sent, received, late, duplicate, damaged, foreign, refused, full, skipped uint64

	seconds        float64
	windowSent     uint64
	windowReceived uint64
	worstLoss      float64
	lossyStreams   int
	perLeg         []float64 // packets/s delivered, by receiving leg
	latency        *histogram
	worstLag       time.Duration
	before, after  usage
	ownCPU         time.Duration
	ownOverflows   uint64
}

// stream runs a stretch.
func (t *traffic) stream(ctx context.Context, s stretch) (*stretchResult, error) {
	legs := t.legs()
	for _, l := range legs {
		l.first = l.next
		l.sent, l.received, l.late, l.duplicate, l.damaged, l.refused, l.full = 0, 0, 0, 0, 0, 0, 0
	}
	batch := 1
	if s.rate > 500 {
		batch = 32 // only a busy leg has several packets waiting
	}
	var cancelled atomic.Bool
	stopWatching := context.AfterFunc(ctx, func() { cancelled.Store(true) })
	defer stopWatching()

	start := time.Now().Add(50 * time.Millisecond)
	from := start.Add(s.warmup)
	stop := from.Add(s.duration)
	interval := float64(time.Second) / s.rate
	overflows := udpErrors()
	var group sync.WaitGroup
	var until atomic.Int64
	until.Store(stop.UnixNano())
	for i, w := range t.workers {
		shift := interval / float64(len(legs)) * float64(i)
		w.begin(start.UnixNano()+int64(shift), interval, from.UnixNano(), batch)
		group.Go(func() { w.run(&until, &cancelled) })
	}

	r := &stretchResult{latency: newHistogram()}
	err := t.watch(ctx, r, s, from, stop)
	if err != nil {
		cancelled.Store(true)
	}
	group.Wait()
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return nil, err
	}

	r.ownOverflows = udpErrors() - overflows
	for _, w := range t.workers {
		r.latency.merge(w.latency)
		r.foreign += w.foreign
		r.skipped += w.pace.skipped
		r.worstLag = max(r.worstLag, time.Duration(w.pace.worstLag))
	}
	for _, l := range legs {
		r.sent += l.sent
		r.received += l.received
		r.late += l.late
		r.duplicate += l.duplicate
		r.damaged += l.damaged
		r.refused += l.refused
		r.full += l.full
		r.perLeg = append(r.perLeg, float64(l.received)/(s.warmup+s.duration).Seconds())
		if lost := float64(l.peer.sent) - float64(l.received); lost > 0 {
			r.lossyStreams++
			r.worstLoss = max(r.worstLoss, lost/float64(l.peer.sent))
		}
	}
	return r, nil
}

// watch reads counters and usage at both ends of the measured part.
func (t *traffic) watch(ctx context.Context, r *stretchResult, s stretch, from, stop time.Time) error {
	if err := waitUntil(ctx, from); err != nil {
		return err
	}
	var err error
	if r.before, err = usageOf(s.pids, false); err != nil {
		return err
	}
	own := ownCPU()
	sent, received := t.counts()
	began := time.Now()
	if err := waitUntil(ctx, stop); err != nil {
		return err
	}
	if r.after, err = usageOf(s.pids, false); err != nil {
		return err
	}
	r.ownCPU = ownCPU() - own
	r.seconds = time.Since(began).Seconds()
	sentAfter, receivedAfter := t.counts()
	r.windowSent, r.windowReceived = sentAfter-sent, receivedAfter-received
	return nil
}

// counts returns the packets sent and received so far in the running stretch.
func (t *traffic) counts() (sent, received uint64) {
	for _, w := range t.workers {
		sent += w.sentNow.Load()
		received += w.receivedNow.Load()
	}
	return sent, received
}

// waitUntil waits until a time or until ctx is done.
func waitUntil(ctx context.Context, at time.Time) error {
	timer := time.NewTimer(time.Until(at))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// ownCPU returns the CPU time of this process.
func ownCPU() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_PROCESS_CPUTIME_ID, &ts); err != nil {
		return 0
	}
	return time.Duration(ts.Nano())
}

// begin makes a worker ready for a stretch.
func (w *worker) begin(start int64, interval float64, from int64, batch int) {
	w.pace = newPacer(start, interval, len(w.legs), int64(maxLate))
	w.latency.reset()
	w.foreign, w.sent, w.received, w.lastHeard = 0, 0, 0, 0
	w.from = from
	w.sentNow.Store(0)
	w.receivedNow.Store(0)
	if len(w.rx.msgs) != batch {
		w.rx = newReceiver(batch, 2048)
	}
}

// run sends what is due and takes what arrives, tick by tick, until the time in
// until, which may come to be known later, and the last packets after it.
func (w *worker) run(until *atomic.Int64, cancelled *atomic.Bool) {
	if len(w.legs) == 0 {
		return
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	exactTimers()
	wake := w.pace.start
	for !cancelled.Load() {
		now := time.Now().UnixNano()
		stop := until.Load()
		for {
			first, n := w.pace.take(min(now, stop-1), sendBurst)
			w.sendFrom(first, n)
			w.takeAll()
			w.sentNow.Store(w.sent)
			w.receivedNow.Store(w.received)
			now = time.Now().UnixNano()
			if n < sendBurst || cancelled.Load() {
				break
			}
		}
		if now >= stop && (w.received >= w.sent || now-max(w.lastHeard, stop) > int64(quietAfter) || now-stop > int64(drainLimit)) {
			return
		}
		if wake += w.tick; wake > now {
			sleepUntil(wake)
		} else {
			wake = now
		}
	}
}

// sendFrom sends one packet from each of n legs, beginning with the first.
func (w *worker) sendFrom(first, n int) {
	for i := range n {
		k := first + i
		for k >= len(w.legs) {
			k -= len(w.legs)
		}
		l := w.legs[k]
		l.packet.stamp(l.next, time.Now().UnixNano())
		pkt := l.packet.bytes
		if l.srtp != nil {
			if pkt = l.srtp.seal(pkt); pkt == nil {
				l.full++
				continue
			}
		}
		errno := send(l.fd, pkt)
		if errno == unix.ECONNREFUSED {
			// It tells of an earlier packet; this one has not been sent.
			l.refused++
			errno = send(l.fd, pkt)
		}
		if errno != 0 {
			l.full++
			continue
		}
		l.next++
		l.sent++
		w.sent++
	}
}

// takeAll reads all that has arrived, but not for ever.
func (w *worker) takeAll() {
	for range 4 {
		events := w.poll.ready()
		for i := range events {
			w.take(w.legs[events[i].Fd])
		}
		if len(events) < pollBatch {
			return
		}
	}
}

// take reads one batch of a leg.
func (w *worker) take(l *leg) {
	n, errno := w.rx.receive(l.fd)
	if errno != 0 {
		if errno == unix.ECONNREFUSED {
			l.refused++
		}
		return
	}
	for i := range n {
		pkt := w.rx.packet(i)
		if l.srtp != nil {
			if pkt = l.srtp.open(pkt); pkt == nil {
				l.damaged++
				continue
			}
		}
		number, sent, v := check(pkt, &l.peer.packet)
		switch v {
		case packetForeign:
			w.foreign++
			continue
		case packetDamaged:
			l.damaged++
			continue
		}
		if number < l.peer.first {
			continue // a straggler of the stretch before
		}
		at := w.rx.arrived(i)
		if w.keep {
			l.arrivals = append(l.arrivals, Arrival{Number: number, Sent: sent, At: at})
		}
		switch l.window.add(number) {
		case arrivalDuplicate:
			l.duplicate++
			continue
		case arrivalLate:
			l.late++
		case arrivalNew:
		}
		l.received++
		w.received++
		w.lastHeard = at
		if sent >= w.from {
			w.latency.record(at - sent)
		}
	}
}
