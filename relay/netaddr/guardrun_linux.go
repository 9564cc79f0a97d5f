package netaddr

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// guard is the process that guards.
type guard struct {
	watch    watch
	provider Provider
	log      *slog.Logger
	commands decoder

	mu      sync.Mutex // scripts log from goroutines of their own
	reports []byte     // what the pipe to the parent has not taken yet
}

// Descriptors of the guard's pipes.
const (
	commandsFD = 0
	reportsFD  = 1
)

// RunGuard is all that a guard does, and returns its exit code. The arguments are those behind GuardArg, from StartGuard.
//
// One thread waits for the parent's messages with a time limit, and acts. It has a real-time priority if it may, and the
// process has one Go processor, on which the collector is switched off as long as memory is small: a thread of ordinary
// priority that held the processor when the machine is busy would hold this one up.
func RunGuard(args []string) int {
	runtime.LockOSThread()
	signal.Ignore(unix.SIGINT, unix.SIGTERM, unix.SIGHUP, unix.SIGQUIT, unix.SIGPIPE)
	debug.SetGCPercent(-1)
	debug.SetMemoryLimit(32 << 20)
	_ = os.Unsetenv("GOMAXPROCS") // it is for us and not for scripts
	var stat unix.Stat_t
	if len(args) != 3 || unix.Fstat(commandsFD, &stat) != nil || stat.Mode&unix.S_IFMT != unix.S_IFIFO {
		fmt.Fprintln(os.Stderr, "rtpjet guard is started by rtpjet itself")
		return 2
	}
	g := new(guard)
	g.log = slog.New(guardLog{send: func(payload []byte) { g.report(frame{kind: kindLog, at: bootTime(), payload: payload}) }})
	if err := g.open(args); err != nil {
		text := err.Error()
		g.report(frame{kind: kindFailed, at: bootTime(), payload: []byte(text[:min(len(text), maxPayload)])})
		return 1
	}
	g.report(frame{kind: kindReady, at: bootTime(), payload: []byte(strings.Join(privileges(), ", "))})
	runtime.GC()
	debug.FreeOSMemory()
	err := g.run()
	g.removeAll("its parent is gone")
	if err = errors.Join(err, g.provider.Close()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func (g *guard) open(args []string) error {
	if err := closeInherited(); err != nil {
		return err
	}
	for _, fd := range []int{commandsFD, reportsFD} {
		if err := unix.SetNonblock(fd, true); err != nil {
			return fmt.Errorf("set up the guard's pipes: %w", err)
		}
	}
	var err error
	if g.watch.limit, err = time.ParseDuration(args[1]); err != nil {
		return fmt.Errorf("read the guard's arguments: %w", err)
	}
	cfg := Config{Log: g.log}
	if cfg.ScriptTimeout, err = time.ParseDuration(args[2]); err != nil {
		return fmt.Errorf("read the guard's arguments: %w", err)
	}
	g.provider, err = Open(args[0], cfg)
	return err
}

// closeInherited closes what the parent had open without close-on-exec: all that Go has opened for us has that flag.
func closeInherited() error {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return fmt.Errorf("look for inherited files: %w", err)
	}
	for _, e := range entries {
		fd, err := strconv.Atoi(e.Name())
		if err != nil || fd <= 2 {
			continue
		}
		if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err == nil && flags&unix.FD_CLOEXEC == 0 {
			_ = unix.Close(fd)
		}
	}
	return nil
}

// priority is above all ordinary threads and below the kernel's own.
const priority = 10

// privileges takes what helps a guard on a busy machine, and says what it has got.
func privileges() []string {
	var has []string
	say := func(what string, err error) {
		if err != nil {
			what = "no " + what + " (" + err.Error() + ")"
		}
		has = append(has, what)
	}
	// For this thread alone, and for nothing that it starts: scripts, other threads of the Go runtime.
	err := unix.SchedSetAttr(0, &unix.SchedAttr{
		Size: unix.SizeofSchedAttr, Policy: unix.SCHED_RR, Flags: unix.SCHED_FLAG_RESET_ON_FORK, Priority: priority,
	}, 0)
	say("real-time priority", err)
	if err != nil {
		say("nice -20", unix.Setpriority(unix.PRIO_PROCESS, 0, -20))
	}
	// As they are touched: all that the Go runtime has reserved would be a lot.
	say("locked memory", unix.Mlockall(unix.MCL_CURRENT|unix.MCL_FUTURE|unix.MCL_ONFAULT))
	say("protection from the OOM killer", os.WriteFile("/proc/self/oom_score_adj", []byte("-1000"), 0))
	return has
}

// run returns when the parent is gone.
func (g *guard) run() error {
	buf := make([]byte, 16*maxFrame)
	for {
		g.act()
		if err := g.poll(); err != nil {
			return err
		}
		for {
			n, err := unix.Read(commandsFD, buf)
			if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR) {
				break
			}
			if err != nil {
				return fmt.Errorf("read the parent's messages: %w", err)
			}
			if n == 0 {
				return nil
			}
			g.commands.write(buf[:n])
			if err := g.obey(); err != nil {
				return err
			}
		}
	}
}

// act removes what is due.
func (g *guard) act() {
	if g.watch.overdue(bootTime()) {
		g.remove(g.watch.take(), "its parent is silent", false)
	}
	if failed := g.watch.takeFailed(bootTime()); failed != nil {
		g.remove(failed, "it failed before", true)
	}
}

// poll waits for messages, for room for reports, and until something is due.
func (g *guard) poll() error {
	fds := []unix.PollFd{{Fd: commandsFD, Events: unix.POLLIN}, {Fd: reportsFD}}
	g.mu.Lock()
	if len(g.reports) > 0 {
		fds[1].Events = unix.POLLOUT
	} else {
		fds = fds[:1] // or a reader that is gone would wake us up again and again
	}
	g.mu.Unlock()
	var limit *unix.Timespec
	if d, ok := g.watch.wait(bootTime()); ok {
		ts := unix.NsecToTimespec(int64(d))
		limit = &ts
	}
	if _, err := unix.Ppoll(fds, limit, nil); err != nil && !errors.Is(err, unix.EINTR) {
		return fmt.Errorf("wait for the parent's messages: %w", err)
	}
	g.flush()
	return nil
}

// obey handles the messages that have arrived.
func (g *guard) obey() error {
	for {
		f, ok, err := g.commands.next()
		if err != nil || !ok {
			return err
		}
		if g.watch.heard(f.at) {
			g.remove(g.watch.take(), "its parent was silent", false)
		}
		if f.kind != kindHold && f.kind != kindLet {
			continue
		}
		addrs, err := f.addresses()
		if err != nil {
			return err
		}
		if f.kind == kindLet {
			g.watch.let(addrs)
			continue
		}
		g.watch.hold(addrs)
		if err := g.provider.Prepare(context.Background(), addrs...); err != nil {
			g.log.Warn("the guard has not found all for removing an address", "error", err)
		}
	}
}

// remove removes addresses, and reports them even if that fails: the parent must not use them any more.
func (g *guard) remove(addrs []Address, why string, again bool) {
	began := bootTime()
	var left []Address
	for _, a := range addrs {
		if err := g.provider.Remove(context.Background(), a); err != nil {
			g.log.Error("the guard could not remove a floating address", "error", err, "why", why)
			left = append(left, a)
			continue
		}
		g.log.Warn("the guard has removed a floating address", "address", a.Prefix.String(), "device", a.Device, "why", why,
			"silence", began-g.watch.last, "took", bootTime()-began)
	}
	if len(left) > 0 {
		g.watch.fail(bootTime(), left, again)
	}
	if !again {
		for _, f := range addressFrames(kindRemoved, bootTime(), addrs) {
			g.report(f)
		}
	}
}

// removeAll removes all that is held, with a few tries: nobody comes after.
func (g *guard) removeAll(why string) {
	pause := 20 * time.Millisecond
	for range 3 {
		g.remove(g.watch.take(), why, false)
		if len(g.watch.failed) == 0 {
			return
		}
		time.Sleep(pause)
		pause *= 10
	}
}

// report sends a frame to the parent, now or when there is room.
func (g *guard) report(f frame) {
	const most = 1 << 20 // of a log that nobody reads, with a script that goes on writing
	g.mu.Lock()
	if f.kind != kindLog || len(g.reports) < most {
		g.reports = f.append(g.reports)
	}
	g.mu.Unlock()
	g.flush()
}

func (g *guard) flush() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for len(g.reports) > 0 {
		n, err := unix.Write(reportsFD, g.reports)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if errors.Is(err, unix.EAGAIN) {
			return
		}
		if err != nil { // nobody listens
			g.reports = nil
			return
		}
		g.reports = g.reports[n:]
	}
	g.reports = nil
}
