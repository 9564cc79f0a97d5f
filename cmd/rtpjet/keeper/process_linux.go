package keeper

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"runtime/debug"
	"strconv"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// Arg is the first argument that makes a process a keeper: main calls Run before anything else.
const Arg = "keeper"

// Descriptors of a keeper, beside the standard ones.
const (
	nodeFD   = 3
	sharedFD = 4
)

// priority is above all ordinary threads and below the kernel's own.
const priority = 10

// Run is all that a keeper does, and returns its exit code.
func Run(stderr io.Writer) int {
	runtime.LockOSThread()
	signal.Ignore(unix.SIGINT, unix.SIGTERM, unix.SIGHUP, unix.SIGQUIT, unix.SIGPIPE)
	debug.SetGCPercent(400) // little is left over from a message
	debug.SetMemoryLimit(64 << 20)
	kind, err := unix.GetsockoptInt(nodeFD, unix.SOL_SOCKET, unix.SO_TYPE)
	if err != nil || kind != unix.SOCK_SEQPACKET {
		fmt.Fprintln(stderr, "rtpjet: a keeper is started by rtpjet serve, and not by hand")
		return 2
	}
	closeInherited()
	mem, err := unix.Mmap(sharedFD, 0, sharedSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err == nil {
		err = unix.SetNonblock(nodeFD, true)
	}
	shared := &Deadlines{mem: mem, fd: -1}
	if err == nil {
		err = shared.live()
	}
	if err == nil {
		err = serve(nodeFD, shared, func(c Config) *slog.Logger {
			return Logger(stderr, c.LogLevel, c.LogJSON)
		}, privileges())
	}
	if err != nil {
		fmt.Fprintln(stderr, "rtpjet: keeper:", err)
		return 1
	}
	return 0
}

// closeInherited closes what an ancestor had open without close-on-exec: all that Go has opened has that flag.
func closeInherited() {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return
	}
	for _, e := range entries {
		fd, err := strconv.Atoi(e.Name())
		if err != nil || fd <= sharedFD {
			continue
		}
		if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err == nil && flags&unix.FD_CLOEXEC == 0 {
			_ = unix.Close(fd)
		}
	}
}

// privileges takes what helps a keeper on a busy machine, and says what it has got.
func privileges() []string {
	var has []string
	say := func(what string, err error) {
		if err != nil {
			what = "no " + what + " (" + err.Error() + ")"
		}
		has = append(has, what)
	}
	// For all threads, also those to come: the collector's must not be in the way of the one that matters.
	runtime.GC() // has started its threads now
	err := forThreads(func(tid int) error { return setScheduler(tid, unix.SCHED_RR, priority) })
	say("real-time priority", err)
	if err != nil {
		say("nice -20", forThreads(func(tid int) error { return unix.Setpriority(unix.PRIO_PROCESS, tid, -20) }))
	}
	// As it is touched: all that the Go runtime has reserved would be a lot.
	say("locked memory", unix.Mlockall(unix.MCL_CURRENT|unix.MCL_FUTURE|unix.MCL_ONFAULT))
	say("spared by the OOM killer", os.WriteFile("/proc/self/oom_score_adj", []byte("-900"), 0))
	return has
}

func setScheduler(tid int, policy uint32, priority uint32) error {
	return unix.SchedSetAttr(tid, &unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: policy, Priority: priority}, 0)
}

// forThreads does something for all threads of this process.
func forThreads(do func(tid int) error) error {
	entries, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return err
	}
	for _, e := range entries {
		if tid, err := strconv.Atoi(e.Name()); err == nil {
			if err := do(tid); err != nil && !errors.Is(err, unix.ESRCH) {
				return err
			}
		}
	}
	return nil
}

// canary starts a thread of this process that does nothing, and returns its number. When the process is killed its threads
// die before its sockets are closed: before them its memory is freed, which takes some milliseconds. So the keeper watches the
// canary. It lives until end is called, which returns when it is gone.
func canary() (tid int, end func()) {
	up, stop := make(chan int), make(chan struct{})
	var thread sync.WaitGroup
	thread.Go(func() {
		runtime.LockOSThread()                       // and never unlocked: the thread ends here
		_ = setScheduler(0, unix.SCHED_RR, priority) // to die at once; without the right, soon
		up <- unix.Gettid()
		<-stop
	})
	return <-up, func() { close(stop); thread.Wait() }
}

// spawn starts a keeper's process in the network namespace of the calling thread. It returns the node's end of the socket, and
// a function that waits for the process's end.
func spawn(shared *Deadlines, stderr io.Writer) (node *os.File, wait func() error, err error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("start a keeper: %w", err)
	}
	for _, fd := range pair {
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUF, 4*maxMessage)
	}
	node, far := os.NewFile(uintptr(pair[0]), "keeper"), os.NewFile(uintptr(pair[1]), "node")
	defer far.Close()
	memory, err := unix.FcntlInt(uintptr(shared.fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("start a keeper: %w", err), node.Close())
	}
	mem := os.NewFile(uintptr(memory), "deadlines")
	defer mem.Close()
	cmd := &exec.Cmd{
		Path: "/proc/self/exe", // this very program, even if its file has been replaced
		Args: []string{os.Args[0], Arg}, Env: append(os.Environ(), "GOMAXPROCS=2"),
		Stderr: stderr, ExtraFiles: []*os.File{far, mem},
		SysProcAttr: &syscall.SysProcAttr{Setsid: true}, // what is sent to our group is not for the keeper
	}
	if err := cmd.Start(); err != nil {
		return nil, nil, errors.Join(fmt.Errorf("start a keeper: %w", err), node.Close())
	}
	return node, cmd.Wait, nil
}

// NewDeadlines makes the memory, with all deadlines 0.
func NewDeadlines() (*Deadlines, error) {
	fd, err := unix.MemfdCreate("rtpjet-deadlines", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("make memory to share with a keeper: %w", err)
	}
	err = unix.Ftruncate(fd, sharedSize)
	var mem []byte
	if err == nil {
		mem, err = unix.Mmap(fd, 0, sharedSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	}
	if err != nil {
		_ = unix.Close(fd)
		return nil, fmt.Errorf("make memory to share with a keeper: %w", err)
	}
	return &Deadlines{mem: mem, fd: fd}, nil
}

// Start starts a keeper and waits until it is ready. What it logs goes to stderr. Keepers that follow each other share the
// deadlines.
func Start(ctx context.Context, cfg Config, shared *Deadlines, stderr io.Writer) (*Keeper, error) {
	node, wait, err := spawn(shared, stderr)
	if err != nil {
		return nil, err
	}
	tid, end := canary()
	cfg.PID, cfg.Canary = os.Getpid(), tid
	return attach(ctx, cfg, node, shared, func() error {
		defer end()
		return wait()
	})
}
