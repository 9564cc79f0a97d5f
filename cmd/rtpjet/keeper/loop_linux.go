package keeper

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"sync"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"rtpjet/cmd/rtpjet/keeper/netaddr"
	"rtpjet/projection/floats"
	"rtpjet/relay/eventfd"
)

const (
	// pulsesASilence is how many pulses go out in the time after which silence counts, and natsEvery is how many of them
	// also go by NATS: one of so many.
	pulsesASilence = 6
	natsEvery      = 3
	// idle is the longest time between two looks.
	idle = 100_000 // µs
	// addressRetry is the time between two tries to add or remove an address, µs; each is twice as far from the one before. A
	// node that could not have one addsTried times gives the float to another, and is not able to hold it for unableFor.
	addressRetry = 20_000
	addsTried    = 3
	unableFor    = 10_000_000
	unableMost   = 32 // times unableFor
	// statEvery is the time between two looks whether the node is stopped, µs.
	statEvery = 10_000
	// farewell is for how long a keeper without a node goes on saying that its floats are free.
	farewell = 300_000 // µs
	// lookEvery is the time between two looks how others are heard, for the log; µs.
	lookEvery = 25_000
	// slowTime bounds a provider that runs a script.
	slowTime = 15 * time.Second
)

// loop is the keeper's one loop. Its times are µs of CLOCK_MONOTONIC, but for the deadlines, which are ns of it.
type loop struct {
	cfg      Config
	log      *slog.Logger
	node     int // the socket to the node; -1: it is gone
	link     *link
	provider netaddr.Provider
	slow     bool // the provider runs scripts
	machine  *floats.Machine
	shared   *Deadlines
	units    []*unit

	wanted   bool  // the node is ready
	heardAt  int64 // when the node was heard last
	silent   bool  // it was not heard for too long
	probed   bool  // the network was asked whether somebody else has our addresses
	pulseDue int64
	pulses   uint64
	renewDue int64
	goneAt   int64 // when the node went; 0: it is there
	lookDue  int64 // when to look how others are heard
	peers    map[string]floats.Condition
	out      [][]byte
	reported []floats.State

	stat    int // /proc/PID/stat of the node; -1: there is none
	statDue int64
	stopped bool           // by a signal
	canary  int            // a pidfd of a thread of the node; -1: none
	wake    *eventfd.Event // something is in done
	done    chan func()
	besides sync.WaitGroup  // what is done beside the loop
	life    context.Context // done when the loop has ended
	end     context.CancelFunc
	polling []unix.PollFd
	buf     []byte
}

// unit is one float that the node can hold.
type unit struct {
	Float
	index   int
	present bool // its addresses are on this machine, as far as we know
	want    bool
	until   int64 // µs
	busy    bool  // a script is at work
	retryAt int64
	failed  int   // adds in a row
	unable  int64 // for how many times unableFor the float was given up for that
	ableAt  int64 // when to try again; 0: nothing is wrong
}

// now is CLOCK_MONOTONIC in µs.
func now() int64 { return nowNano() / 1000 }

func nowNano() int64 {
	var ts unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts) // cannot fail
	return ts.Nano()
}

// serve is the life of a keeper. It returns when the node is gone and its floats are given up.
func serve(node int, shared *Deadlines, log func(Config) *slog.Logger, runs []string) error {
	l := &loop{node: node, shared: shared, buf: make([]byte, maxMessage), done: make(chan func(), 64), canary: -1, stat: -1}
	l.life, l.end = context.WithCancel(context.Background())
	err := l.open(log)
	var report report
	report.Started = &started{Runs: runs}
	if err != nil {
		report.Started.Error = err.Error()
	} else {
		report.Started.Addr = l.link.addr
	}
	l.sendReport(report)
	defer l.close()
	if err != nil {
		return err
	}
	l.heardAt = now()
	for !l.over(now()) {
		if err := l.step(); err != nil {
			return err
		}
	}
	return nil
}

// open takes the first message and prepares what it asks for.
func (l *loop) open(log func(Config) *slog.Logger) error {
	fds := []unix.PollFd{{Fd: int32(l.node), Events: unix.POLLIN}}
	for {
		if _, err := unix.Poll(fds, int(slowTime/time.Millisecond)); !errors.Is(err, unix.EINTR) {
			break
		}
	}
	n, err := unix.Read(l.node, l.buf)
	if err != nil || n <= 0 {
		return fmt.Errorf("read the keeper's configuration: %w", errors.Join(err, errors.New("there is none")))
	}
	var o order
	if err := decode(l.buf[:n], &o); err != nil {
		return err
	}
	if o.Config == nil {
		return errors.New("read the keeper's configuration: another message came first")
	}
	l.cfg = *o.Config
	l.log = log(l.cfg).With("by", "keeper")
	if l.wake, err = eventfd.New(); err != nil {
		return err
	}
	if l.stat, err = unix.Open(fmt.Sprintf("/proc/%d/stat", l.cfg.PID), unix.O_RDONLY|unix.O_CLOEXEC, 0); err != nil {
		l.stat = -1
	}
	if l.cfg.Canary != 0 {
		if l.canary, err = unix.PidfdOpen(l.cfg.Canary, unix.PIDFD_THREAD); err != nil {
			l.canary = -1 // an older kernel: the end of the socket will do
		}
	}
	if l.link, err = openLink(l.cfg.Bind, l.cfg.Key); err != nil {
		return err
	}
	if len(l.cfg.Floats) == 0 {
		return nil
	}
	return l.openProvider()
}

func (l *loop) openProvider() (err error) {
	if l.provider, err = netaddr.Open(l.cfg.Provider, netaddr.Config{Log: l.log, May: l.may}); err != nil {
		return err
	}
	_, l.slow = l.provider.(*netaddr.Exec)
	ctx, cancel := context.WithTimeout(context.Background(), slowTime)
	defer cancel()
	for i, f := range l.cfg.Floats {
		l.units = append(l.units, &unit{Float: f, index: i})
		if err := l.provider.Prepare(ctx, f.Addrs...); err != nil {
			return err
		}
		if err := l.provider.Sweep(ctx, f.Addrs...); err != nil {
			return err
		}
	}
	return nil
}

// may tells whether this node may act as the holder of the float of an address now.
func (l *loop) may(a netaddr.Address) bool {
	i := slices.IndexFunc(l.cfg.Floats, func(f Float) bool { return slices.Contains(f.Addrs, a) })
	return i >= 0 && nowNano() < l.shared.At(i).Load()
}

// close gives up all that the loop has. A script that is at work is waited for: the next keeper would otherwise begin to put
// the same addresses in order beside it.
func (l *loop) close() {
	l.shared.forbid()
	if l.link != nil {
		l.link.close()
	}
	l.end()
	l.besides.Wait()
	if l.provider != nil {
		_ = l.provider.Close()
	}
	if l.wake != nil {
		l.wake.Close()
	}
	for _, fd := range []int{l.node, l.canary, l.stat} {
		if fd >= 0 {
			_ = unix.Close(fd)
		}
	}
}

// over tells whether there is nothing more to do: the node is gone, and the others know that its floats are free.
func (l *loop) over(now int64) bool {
	if l.goneAt == 0 || now-l.goneAt < farewell && l.machine != nil && l.machine.Active() {
		return false
	}
	return !slices.ContainsFunc(l.units, func(u *unit) bool { return u.present || u.busy })
}

// step waits for something to happen, or to be due, and deals with it.
func (l *loop) step() error {
	t := now()
	next := min(t+idle, l.link.tend(t, l.refused))
	if l.machine != nil && l.machine.Active() {
		l.look(t)
		if t = now(); t >= l.pulseDue {
			l.machine.Tick(t)
			l.settle()
			l.pulse()
			l.pulseDue = t + l.cfg.Timeout.Microseconds()/pulsesASilence
		}
		next = min(next, l.pulseDue, l.machine.Next(t))
	}
	next = min(next, l.attend(t), l.watchNode(t))
	if err := l.poll(next); err != nil {
		return err
	}
	if l.machine != nil && l.machine.Active() {
		l.machine.Tick(now())
		l.settle()
	}
	return nil
}

// poll waits until next, or for messages, and takes these in.
func (l *loop) poll(next int64) error {
	fds := append(l.polling[:0], unix.PollFd{Fd: int32(l.wake.FD), Events: unix.POLLIN})
	if l.node >= 0 {
		events := int16(unix.POLLIN)
		if len(l.out) > 0 {
			events |= unix.POLLOUT
		}
		fds = append(fds, unix.PollFd{Fd: int32(l.node), Events: events})
	}
	if l.canary >= 0 && l.node >= 0 {
		fds = append(fds, unix.PollFd{Fd: int32(l.canary), Events: unix.POLLIN})
	}
	fds = l.link.polls(fds)
	l.polling = fds
	errno := ppoll(fds, max(0, next-now()))
	if late := now() - next; late > l.cfg.Timeout.Microseconds()/4 {
		l.log.Warn("the keeper was held up: this machine is too busy for the float timeout, or it stood still", "ms", late/1000)
	}
	switch errno {
	case 0:
	case unix.EINTR:
		return nil
	default:
		return fmt.Errorf("wait for messages: %w", errno)
	}
	for _, p := range fds {
		switch {
		case p.Revents == 0:
		case int(p.Fd) == l.wake.FD:
			l.finish()
		case int(p.Fd) == l.canary:
			if l.node >= 0 {
				l.nodeGone()
			}
		case int(p.Fd) == l.node:
			l.fromNode()
		default:
			l.link.happened(int(p.Fd), now(), func(data []byte) { l.heard(floats.UDP, data) }, l.refused)
		}
	}
	return nil
}

// ppoll waits for at most so many µs. The scheduler is not told: if it were, its monitor thread would take the processor from
// this thread again and again and look every 20 µs whether it has to, which is most of what an idle keeper would cost. It
// interrupts the call if it needs the thread.
func ppoll(fds []unix.PollFd, limit int64) unix.Errno {
	ts := unix.NsecToTimespec(limit * 1000)
	_, _, errno := unix.RawSyscall6(unix.SYS_PPOLL, uintptr(unsafe.Pointer(&fds[0])), uintptr(len(fds)), uintptr(unsafe.Pointer(&ts)), 0, 0, 0)
	return errno
}

func (l *loop) refused(node string, begun int64) {
	if l.machine != nil {
		l.machine.Refused(node, begun, now())
		l.settle()
	}
}

// heard takes in a pulse.
func (l *loop) heard(path floats.Path, data []byte) {
	if l.machine == nil {
		return
	}
	p, err := floats.DecodePulse(data)
	if err != nil || p.Node == l.cfg.Node {
		return
	}
	l.machine.Heard(path, p, now())
	l.settle()
}

// pulse sends one to all peers, and now and then has the node send it by NATS.
func (l *loop) pulse() {
	data := l.machine.Pulse(now()).Encode()
	l.link.cast(data)
	if l.pulses++; l.pulses%natsEvery == 0 {
		l.sendReport(report{Pulse: data})
	}
}

// settle does what the machine's state demands: what stops packets first, and what others are told last.
func (l *loop) settle() {
	t := now()
	states := l.machine.States(t)
	for _, s := range states {
		i := slices.IndexFunc(l.units, func(u *unit) bool { return u.ID == s.Float })
		if i < 0 {
			continue
		}
		u := l.units[i]
		u.until, u.want = s.Until, s.Hold && s.Yield == ""
		if u.want {
			l.shared.At(i).Store(s.Until * 1000)
		} else {
			l.shared.At(i).Store(0)
		}
		l.attendUnit(u, t)
		if s.Yield != "" && !u.present && !u.busy {
			l.log.Info("giving a float up", "float", u.ID, "for", s.Yield)
			l.machine.Release(u.ID, s.Yield, now())
		}
	}
	if l.machine.Urgent() {
		l.pulse()
	}
	l.reportStates(l.machine.States(now()))
}

// reportStates tells the node what is new.
func (l *loop) reportStates(states []floats.State) {
	for i := range states {
		states[i].Until = 0 // changes all the time, and stands in the shared memory
	}
	if !slices.Equal(states, l.reported) {
		l.reported = states
		l.sendReport(report{States: states})
	}
}

// attend does what is due for the addresses, and returns when there is something next.
func (l *loop) attend(t int64) (next int64) {
	next = t + idle
	renew := t >= l.renewDue
	if renew {
		l.renewDue = t + netaddr.RenewEvery.Microseconds()
	}
	for _, u := range l.units {
		if u.ableAt != 0 && t >= u.ableAt && l.machine != nil {
			u.ableAt = 0
			l.machine.SetUnable(u.ID, false, t)
		}
		l.attendUnit(u, t)
		if renew && u.present && !u.busy {
			l.renew(u)
		}
		if u.present != u.want {
			next = min(next, max(u.retryAt, t+1000))
		}
	}
	return min(next, l.renewDue)
}

// attendUnit puts a unit's addresses on this machine or takes them away.
func (l *loop) attendUnit(u *unit, t int64) {
	if u.busy || u.present == u.want || t < u.retryAt && u.want {
		return
	}
	if u.want {
		l.add(u)
	} else {
		l.remove(u)
	}
}

func (l *loop) add(u *unit) {
	u.present = true // what was begun has to be undone, whatever becomes of it
	until := time.Now().Add(time.Duration(u.until-now()) * time.Microsecond)
	l.work(u, func() error {
		ctx, cancel := context.WithDeadline(context.Background(), until)
		defer cancel()
		if l.slow {
			ctx, cancel = context.WithTimeout(context.Background(), slowTime)
			defer cancel()
		}
		return l.provider.Add(ctx, u.Addrs...)
	}, func(err error) {
		if err == nil {
			u.failed, u.unable = 0, 0
			l.log.Info("the address of a float is on this machine", "float", u.ID)
			return
		}
		u.present = false
		if errors.Is(err, context.DeadlineExceeded) && !l.slow {
			return // its time was over
		}
		u.retryAt = now() + addressRetry<<u.failed
		u.failed++
		l.log.Error("the address of a float cannot be put on this machine; trying again", "float", u.ID, "err", err)
		if u.failed >= addsTried {
			u.failed, u.unable = 0, min(2*u.unable+1, unableMost)
			l.disable(u, now()+u.unable*unableFor)
			l.log.Error("another node has to hold the float", "float", u.ID, "seconds until this one may again", u.unable*unableFor/1_000_000)
		}
	})
}

// disable has this node not hold a float until a time, 0: until somebody says otherwise.
func (l *loop) disable(u *unit, until int64) {
	u.ableAt = until
	l.machine.SetUnable(u.ID, true, now())
}

func (l *loop) remove(u *unit) {
	l.work(u, func() error {
		ctx, cancel := context.WithTimeout(context.Background(), slowTime)
		defer cancel()
		return l.provider.Remove(ctx, u.Addrs...)
	}, func(err error) {
		if err == nil {
			u.present = false
			l.log.Info("the address of a float is no longer on this machine", "float", u.ID)
			return
		}
		u.retryAt = now() + addressRetry
		l.log.Error("the address of a float cannot be taken away; trying again", "float", u.ID, "err", err)
	})
}

func (l *loop) renew(u *unit) {
	l.work(u, func() error {
		ctx, cancel := context.WithTimeout(context.Background(), slowTime)
		defer cancel()
		return l.provider.Renew(ctx, u.Addrs...)
	}, func(err error) {
		switch {
		case errors.Is(err, netaddr.ErrGone):
			l.log.Warn("somebody has taken the address of a float away; it is put back", "float", u.ID)
			u.present = false
		case err != nil:
			l.log.Warn("cannot renew the address of a float", "float", u.ID, "err", err)
		}
	})
}

// work has the provider do something: at once if it is quick, else beside the loop.
func (l *loop) work(u *unit, do func() error, then func(error)) {
	if !l.slow {
		then(do())
		return
	}
	u.busy = true
	l.beside(func() func() {
		err := do()
		return func() { u.busy = false; then(err) }
	})
}

// beside does something that takes long, and what it returns in the loop, if that has not ended by then.
func (l *loop) beside(do func() (then func())) {
	l.besides.Go(func() {
		runtime.LockOSThread()                    // and never unlocked: the thread ends here
		_ = setScheduler(0, unix.SCHED_NORMAL, 0) // scripts are not to go before everything else
		select {
		case l.done <- do():
			l.wake.Signal()
		case <-l.life.Done():
		}
	})
}

func (l *loop) finish() {
	l.wake.Drain()
	for {
		select {
		case f := <-l.done:
			f()
		default:
			return
		}
	}
}

// look logs what has changed in how the others are heard.
func (l *loop) look(t int64) {
	if t < l.lookDue {
		return
	}
	l.lookDue = t + lookEvery
	if l.peers == nil {
		l.peers = make(map[string]floats.Condition)
	}
	heard, known := 0, 0
	changed := false
	for _, p := range l.machine.Peers(t) {
		if p.Condition != floats.Unknown {
			known++
		}
		if p.Condition == floats.Heard || p.Condition == floats.NoNATS || p.Condition == floats.NoUDP {
			heard++
		}
		if l.peers[p.Node] == p.Condition {
			continue
		}
		l.peers[p.Node] = p.Condition
		changed = true
		level := slog.LevelWarn
		if p.Condition == floats.Heard {
			level = slog.LevelInfo
		}
		l.log.Log(context.Background(), level, "node "+p.Node+" "+p.Condition.String())
	}
	if changed && known > 0 && heard == 0 {
		l.log.Warn("no other node is heard: this machine may be the one that is cut off")
	}
}
