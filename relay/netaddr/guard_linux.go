package netaddr

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Guard is the parent's side of the process that removes held addresses when the parent dies or freezes. Its methods are safe
// for concurrent use.
//
// The order of a holder is: Hold, Provider.Add, and Alive all the time; then Provider.Remove, Let. Whatever comes from Removed
// is no longer held, nor are its sockets any good; before it is taken again it must be given to Provider.Remove, since an Add
// that was under way may have been behind the guard's removal.
type Guard struct {
	log    *slog.Logger
	limit  time.Duration
	cmd    *exec.Cmd
	stderr lastWords

	removed chan []Address
	done    chan struct{}
	err     error // read it after done
	up      bool  // it was ready; for the goroutine that reads its reports

	mu      sync.Mutex
	closed  bool
	pipe    *os.File
	raw     syscall.RawConn
	out     []byte                // what write is to send
	write   func(fd uintptr) bool // one try; made once, so that Alive allocates nothing
	written error
	last    time.Duration // this process's latest sign of life
	late    bool          // one came too late, and Alive has not said so yet
	held    map[Address]bool
}

// StartGuard starts a guard in the network namespace of the calling thread, and waits until it is ready.
func StartGuard(ctx context.Context, cfg GuardConfig) (*Guard, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	g := &Guard{
		log: cfg.Log, limit: cfg.Silence, removed: make(chan []Address, 1), done: make(chan struct{}), held: make(map[Address]bool),
	}
	commands, pipe, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("start the guard: %w", err)
	}
	reports, stdout, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start the guard: %w", err), commands.Close(), pipe.Close())
	}
	g.cmd = &exec.Cmd{
		Path:        "/proc/self/exe", // this very program, even if its file has been replaced
		Args:        []string{os.Args[0], GuardArg, cfg.Provider, cfg.Silence.String(), cfg.ScriptTimeout.String()},
		Env:         append(os.Environ(), "GOMAXPROCS=1"),
		Stdin:       commands,
		Stdout:      stdout,
		Stderr:      &g.stderr,
		SysProcAttr: &syscall.SysProcAttr{Setsid: true}, // what is sent to our group is not for the guard
	}
	err = g.cmd.Start()
	_, _ = commands.Close(), stdout.Close()
	if err == nil {
		g.pipe = pipe
		g.raw, err = pipe.SyscallConn()
	}
	if err != nil {
		_, _ = pipe.Close(), reports.Close()
		return nil, fmt.Errorf("start the guard: %w", err)
	}
	g.write = func(fd uintptr) bool {
		_, g.written = unix.Write(int(fd), g.out)
		return true // a full pipe is not waited for
	}
	ready := make(chan error, 1)
	go g.read(reports, ready)
	select {
	case err = <-ready:
	case <-ctx.Done():
		err = ctx.Err()
	}
	if err != nil {
		_ = g.Close() // says the same
		return nil, fmt.Errorf("start the guard: %w", err)
	}
	return g, nil
}

// Hold tells the guard of addresses before they are added. If it fails they must not be.
func (g *Guard) Hold(addrs ...Address) error { return g.tell(kindHold, addrs) }

// Let tells the guard of addresses that have been removed.
func (g *Guard) Let(addrs ...Address) error { return g.tell(kindLet, addrs) }

// Removed has the addresses that the guard has removed, or tried to, because this process was silent. It is closed when the
// guard has ended. What nobody reads is kept.
func (g *Guard) Removed() <-chan []Address { return g.removed }

// Done is closed when the guard has ended, by Close or otherwise. Nobody guards then; start another one and Hold all anew.
func (g *Guard) Done() <-chan struct{} { return g.done }

// Pid is for the log.
func (g *Guard) Pid() int { return g.cmd.Process.Pid }

// Alive says that this process lives. It is called every AliveEvery, best by a thread that does nothing else. ErrSilent comes
// once for each silence that was too long, at the first sign of life after it; Removed says which addresses it cost.
func (g *Guard) Alive() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	at := g.sign()
	g.out = frame{kind: kindAlive, at: at}.append(g.out[:0])
	if err := g.send(); err != nil {
		return err
	}
	if g.late {
		g.late = false
		return ErrSilent
	}
	return nil
}

// sign takes the time for a message. It is called under mu.
func (g *Guard) sign() time.Duration {
	now := bootTime()
	if len(g.held) > 0 && now-g.last > g.limit {
		g.late = true
	}
	g.last = now
	return now
}

func (g *Guard) tell(k kind, addrs []Address) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, f := range addressFrames(k, g.sign(), addrs) {
		g.out = f.append(g.out[:0])
		if err := g.send(); err != nil {
			return err
		}
	}
	for _, a := range addrs {
		if k == kindHold {
			g.held[a] = true
		} else {
			delete(g.held, a)
		}
	}
	return nil
}

// send writes a message in one piece, or not at all. It is called under mu.
func (g *Guard) send() error {
	if g.closed {
		return ErrNoGuard
	}
	if err := g.raw.Write(g.write); err != nil {
		return fmt.Errorf("%w: %w", ErrNoGuard, err)
	}
	if g.written != nil { // EPIPE: it has ended; EAGAIN: it has read nothing for a minute
		return fmt.Errorf("%w: %w", ErrNoGuard, g.written)
	}
	return nil
}

// read takes the guard's reports until it has ended.
func (g *Guard) read(reports *os.File, ready chan<- error) {
	var d decoder
	var err error
	buf := make([]byte, maxFrame)
	for err == nil {
		var n int
		n, err = reports.Read(buf)
		d.write(buf[:n])
		for ok := true; ok; {
			var f frame
			var damaged error
			if f, ok, damaged = d.next(); damaged != nil {
				err, ok = damaged, false
			}
			if ok {
				g.report(f, ready)
			}
		}
	}
	_ = reports.Close()
	wait := g.cmd.Wait()
	if !errors.Is(err, io.EOF) {
		wait = errors.Join(wait, err)
	}
	g.mu.Lock()
	asked := g.closed
	g.mu.Unlock()
	if wait == nil && !asked {
		wait = errors.New("it has ended unasked")
	}
	if wait != nil {
		g.err = fmt.Errorf("run the guard: %w%s", wait, g.stderr.quoted())
		if g.up && !asked {
			g.log.Error("the guard of the floating addresses has ended: nobody would remove them if this process died", "error", g.err)
		}
	}
	select {
	case ready <- g.err:
	default: // StartGuard has heard
	}
	close(g.done)
	close(g.removed)
}

// report handles one report.
func (g *Guard) report(f frame, ready chan<- error) {
	switch f.kind {
	case kindReady:
		g.log.Info("the guard of the floating addresses is ready", "pid", g.Pid(), "runs", string(f.payload), "silence", g.limit)
		g.up = true
		ready <- nil
	case kindFailed:
		ready <- errors.New(string(f.payload))
	case kindRemoved:
		addrs, err := f.addresses()
		if err != nil {
			g.log.Error("a report of the guard cannot be read", "error", err)
			return
		}
		g.mu.Lock()
		if bootTime()-g.last > g.limit {
			g.late = true // for the next Alive, which will find nothing that is held
		}
		for _, a := range addrs {
			delete(g.held, a)
		}
		g.mu.Unlock()
		select {
		case unread := <-g.removed: // nobody else writes to the channel, so there is room now
			addrs = append(unread, addrs...)
		default:
		}
		g.removed <- addrs
	case kindLog:
		replay(g.log, f.payload)
	case kindAlive, kindHold, kindLet: // ours
	}
}

// Close ends the guard: it removes what is still held, and is waited for.
func (g *Guard) Close() error {
	g.mu.Lock()
	if !g.closed {
		g.closed = true
		_ = g.pipe.Close()
	}
	g.mu.Unlock()
	const patience = 60 * time.Second // a script may be slow, and is tried several times
	kill := time.AfterFunc(patience, func() { _ = g.cmd.Process.Kill() })
	<-g.done
	kill.Stop()
	return g.err
}

// lastWords keeps the beginning of what a guard writes when it panics.
type lastWords struct {
	mu   sync.Mutex
	text []byte
}

func (w *lastWords) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.text = append(w.text, b[:min(len(b), maxFrame-len(w.text))]...)
	return len(b), nil
}

func (w *lastWords) quoted() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.text) == 0 {
		return ""
	}
	return fmt.Sprintf(": it wrote %q", strings.TrimSpace(string(w.text)))
}

// bootTime is a clock that all processes of the machine share, and that goes on while the machine sleeps.
func bootTime() time.Duration {
	var ts unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts) // cannot fail
	return time.Duration(ts.Nano())
}
