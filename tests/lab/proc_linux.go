package lab

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// stopAfter is how long a process may take to end by itself.
const stopAfter = 10 * time.Second

// Proc is a running process of the lab.
type Proc struct {
	Name string
	PID  int
	Log  string // the file with its output

	args  []string
	cmd   *exec.Cmd
	ended chan struct{} // closed once it has ended; then cmd says how
}

// Start starts a program inside a namespace (nil: where this process is), with its
// output in the file log. It is killed if this process dies.
func Start(side *Side, log string, args ...string) (*Proc, error) {
	out, err := os.OpenFile(log, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open the log of %s: %w", args[0], err)
	}
	p := &Proc{Name: args[0], Log: log, args: side.enter(args), ended: make(chan struct{})}
	started := make(chan error)
	go func() {
		defer close(p.ended)
		defer func() { _ = out.Close() }()
		// The kernel takes the end of the starting thread for the end of this
		// process, so the thread stays until the child has ended.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		p.cmd = exec.Command(p.args[0], p.args[1:]...)
		p.cmd.Stdout, p.cmd.Stderr = out, out
		p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		err := p.cmd.Start()
		started <- err
		if err == nil {
			_ = p.cmd.Wait() // how it ended is read from cmd
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", p.Name, err)
	}
	p.PID = p.cmd.Process.Pid
	return p, nil
}

// Ended is closed once the process has ended.
func (p *Proc) Ended() <-chan struct{} { return p.ended }

// Kill ends the process at once, as `kill -9` does, and waits for its end.
func (p *Proc) Kill() {
	_ = p.cmd.Process.Kill() // fails only if it has ended
	<-p.ended
}

// Stop asks the process to end, and kills it if it does not.
func (p *Proc) Stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // fails only if it has ended
	select {
	case <-p.ended:
	case <-time.After(stopAfter):
		p.Kill()
	}
}

// CommandLine returns the line for a shell that starts the process again.
func (p *Proc) CommandLine() string {
	words := make([]string, len(p.args))
	for i, a := range p.args {
		words[i] = quote(a)
	}
	return strings.Join(words, " ")
}

// quote makes a word of a shell's command line.
func quote(s string) string {
	const plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_=./:,@%+"
	if s != "" && strings.Trim(s, plain) == "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// LastLines returns the end of the process's output, to explain a failure with.
func (p *Proc) LastLines() string {
	b, err := os.ReadFile(p.Log)
	if err != nil {
		return err.Error()
	}
	lines := bytes.Split(bytes.TrimSpace(b), []byte("\n"))
	return string(bytes.Join(lines[max(0, len(lines)-8):], []byte("\n")))
}

// Output runs a program inside a namespace to its end and returns its standard
// output; its standard error goes to this process's.
func Output(side *Side, args ...string) ([]byte, error) {
	args = side.enter(args)
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("run %s: %w", strings.Join(args, " "), err)
	}
	return out, nil
}

// Installed returns why one of the programs cannot be run, nil if all are there.
func Installed(programs ...string) error {
	var errs []error
	for _, name := range programs {
		if _, err := exec.LookPath(name); err != nil {
			errs = append(errs, fmt.Errorf("%s is not installed", name))
		}
	}
	return errors.Join(errs...)
}

// RaiseFileLimit lets this process and those that it starts open at least n files
// each.
func RaiseFileLimit(n uint64) error {
	var lim unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &lim); err != nil {
		return fmt.Errorf("read the limit of open files: %w", err)
	}
	// Setting it even where it is high enough passes it on: Go gives the programs
	// that it starts the soft limit that it was started with, until it is set.
	lim.Cur = max(n, lim.Max)
	lim.Max = lim.Cur
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &lim); err != nil {
		return fmt.Errorf("raise the limit of open files to %d: %w; set 'ulimit -Hn' as a user who may", lim.Cur, err)
	}
	return nil
}

// Freeze stops all processes of a namespace at once, as if the machine hung; its
// kernel still answers ARP and refuses packets to closed ports.
func (s *Side) Freeze() error { return s.signal(syscall.SIGSTOP) }

// Thaw lets them go on.
func (s *Side) Thaw() error { return s.signal(syscall.SIGCONT) }

func (s *Side) signal(sig syscall.Signal) error {
	pids, err := s.Processes()
	if err != nil {
		return err
	}
	var errs []error
	for _, pid := range pids {
		if err := syscall.Kill(pid, sig); err != nil && !errors.Is(err, syscall.ESRCH) {
			errs = append(errs, fmt.Errorf("signal process %d in %s: %w", pid, s.Name, err))
		}
	}
	return errors.Join(errs...)
}

// killAll ends what programs of the lab have left behind in a namespace.
func (s *Side) killAll() {
	pids, err := s.Processes()
	if err != nil {
		return
	}
	for _, pid := range pids {
		_ = syscall.Kill(pid, syscall.SIGKILL) // fails only if it has ended
	}
}

// GoFirst has the kernel serve this session's processes before those of others
// (sched(7), autogroups), so that what the laboratory measures does not depend on
// what else the machine does. It takes no more of the machine than before. The
// function that it returns undoes it.
func GoFirst() (undo func(), err error) {
	const file = "/proc/self/autogroup"
	old, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) {
		return func() {}, nil // a kernel without autogroups
	}
	if err != nil {
		return nil, fmt.Errorf("read the priority of this session: %w", err)
	}
	if err := os.WriteFile(file, []byte("-20"), 0o644); err != nil {
		return nil, fmt.Errorf("raise the priority of this session: %w", err)
	}
	_, nice, _ := bytes.Cut(bytes.TrimSpace(old), []byte("nice "))
	return func() { _ = os.WriteFile(file, nice, 0o644) }, nil
}

// IdleTime returns how long all processors together have been idle so far.
func IdleTime() (time.Duration, error) {
	stat, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, fmt.Errorf("read the load of the machine: %w", err)
	}
	var user, nice, system, idle, wait int64
	if _, err := fmt.Sscanf(string(stat), "cpu %d %d %d %d %d", &user, &nice, &system, &idle, &wait); err != nil {
		return 0, fmt.Errorf("read the load of the machine: %w", err)
	}
	const tick = 10 * time.Millisecond // of /proc/stat
	return time.Duration(idle+wait) * tick, nil
}

// CPU returns what all threads of the process have used of the processors so far,
// those that have ended included.
func (p *Proc) CPU() (time.Duration, error) {
	var ts unix.Timespec
	// The id of another process's clock, as clock_getcpuclockid(3) makes it.
	if err := unix.ClockGettime(int32(^p.PID<<3|2), &ts); err != nil {
		return 0, fmt.Errorf("read the CPU time of %s: %w", p.Name, err)
	}
	return time.Duration(ts.Nano()), nil
}
