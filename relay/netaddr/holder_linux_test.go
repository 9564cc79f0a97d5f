package netaddr

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// runHolder is the program that tests kill and freeze: it holds both addresses as a node would, with a guard if it is told to,
// and tells on its standard output what happens to it.
func runHolder(args []string) int {
	flags := flag.NewFlagSet(holderArg, flag.ContinueOnError)
	guarded := flags.Bool("guard", true, "")
	provider := flags.String("provider", "netlink", "")
	lifetime := flags.Duration("lifetime", 5*time.Second, "")
	silence := flags.Duration("silence", DefaultSilence, "")
	sockets := flags.Int("sockets", 0, "UDP sockets that are open too")
	memory := flags.Int("memory", 0, "MB of memory")
	busy := flags.Int("busy", 0, "goroutines that compute")
	if flags.Parse(args) != nil {
		return 2
	}
	err := hold(*provider, *guarded, *lifetime, *silence, *sockets, *memory, *busy)
	fmt.Println("error", err)
	return 1
}

func hold(provider string, guarded bool, lifetime, silence time.Duration, sockets, memory, busy int) error {
	ctx := context.Background()
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	p, err := Open(provider, Config{Log: log, Lifetime: lifetime})
	if err != nil {
		return err
	}
	if err := p.Prepare(ctx, both...); err != nil {
		return err
	}
	ballast := make([]byte, memory<<20)
	for i := 0; i < len(ballast); i += 4096 {
		ballast[i] = 1
	}
	for range sockets {
		if _, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)}); err != nil {
			return err
		}
	}
	for range busy {
		go func() {
			for x := uint(1); ; x *= 3 {
				_ = x
			}
		}()
	}
	var g *Guard
	removed := make(<-chan []Address)
	if guarded {
		if g, err = StartGuard(ctx, GuardConfig{Log: log, Provider: provider, Silence: silence}); err != nil {
			return err
		}
		removed = g.Removed()
		if err := g.Hold(both...); err != nil {
			return err
		}
	}
	if err := p.Add(ctx, both...); err != nil {
		return err
	}
	silent := make(chan error, 100)
	if guarded {
		go func() {
			runtime.LockOSThread()
			for range time.Tick(AliveEvery) {
				if err := g.Alive(); err != nil {
					silent <- err
				}
			}
		}()
		fmt.Println("guard", g.Pid())
	}
	fmt.Println("holding")
	for renew := time.Tick(RenewEvery); ; {
		select {
		case <-renew:
			if err := p.Renew(ctx, both...); err != nil {
				fmt.Println("renew", strings.ReplaceAll(err.Error(), "\n", "; "))
			}
		case addrs := <-removed:
			fmt.Println("removed", list(addrs))
		case err := <-silent:
			fmt.Println("silent", err)
		}
	}
}

// holder is a process that holds addresses.
type holder struct {
	t     testing.TB
	cmd   *exec.Cmd
	lines chan string
	guard int // its process id
	seen  []string
}

// startHolder starts one in a namespace and waits until it holds.
func (s *space) startHolder(t testing.TB, args ...string) *holder {
	t.Helper()
	h := &holder{t: t, cmd: exec.Command("/proc/self/exe", append([]string{holderArg}, args...)...), lines: make(chan string, 1000)}
	out, err := h.cmd.StdoutPipe()
	must(t, err)
	h.cmd.Stderr = testWriter{t}
	h.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	must(t, s.do(h.cmd.Start))
	go func() {
		for lines := bufio.NewScanner(out); lines.Scan(); {
			h.lines <- lines.Text()
		}
		close(h.lines)
	}()
	t.Cleanup(func() {
		_ = h.cmd.Process.Kill()
		for range h.lines {
		}
		_ = h.cmd.Wait()
		if h.guard != 0 {
			eventually(t, "the guard ends with its parent", func() bool { return !running(h.guard) })
		}
	})
	h.await("holding")
	if len(h.seen) > 1 {
		h.guard, err = strconv.Atoi(strings.TrimPrefix(h.seen[0], "guard "))
		must(t, err)
	}
	return h
}

// await waits for a line that begins so, or finds it in what was said before.
func (h *holder) await(prefix string) string {
	h.t.Helper()
	for _, line := range h.seen {
		if strings.HasPrefix(line, prefix) {
			return line
		}
	}
	limit := time.After(20 * time.Second)
	for {
		select {
		case line, ok := <-h.lines:
			if !ok {
				h.t.Fatalf("the holder ended before it said %q: %q", prefix, h.seen)
			}
			h.seen = append(h.seen, line)
			if strings.HasPrefix(line, prefix) {
				return line
			}
		case <-limit:
			h.t.Fatalf("the holder did not say %q, but %q", prefix, h.seen)
		}
	}
}

func (h *holder) signal(sig syscall.Signal) time.Time {
	h.t.Helper()
	must(h.t, h.cmd.Process.Signal(sig))
	return time.Now()
}

func running(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && !strings.Contains(string(stat), ") Z ")
}

// testWriter writes lines into a test's log.
type testWriter struct{ t testing.TB }

func (w testWriter) Write(b []byte) (int, error) {
	w.t.Log(strings.TrimSpace(string(b)))
	return len(b), nil
}
