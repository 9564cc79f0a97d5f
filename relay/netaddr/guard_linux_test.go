package netaddr

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// awaitGone waits until a node has none of the addresses, and says how long each took.
func (s *space) awaitGone(t testing.TB, since time.Time) {
	t.Helper()
	for _, a := range both {
		eventually(t, a.String()+" goes", func() bool { _, ok := s.has(t, a); return !ok })
		t.Logf("%s: gone after %.1f ms", a, float64(time.Since(since).Microseconds())/1000)
	}
}

func TestParentKilled(t *testing.T) {
	w := newWorld(t)
	n := w.nodes[0]
	h := n.startHolder(t, "-silence=1m")
	n.awaitGone(t, h.signal(unix.SIGKILL))
	eventually(t, "the guard ends", func() bool { return !running(h.guard) })
	n.checkNoBar(t)
}

func (s *space) checkNoBar(t testing.TB) {
	t.Helper()
	eventually(t, "no rule is left", func() bool {
		rules, err := s.kernel.RuleList(unix.AF_INET6)
		must(t, err)
		for _, r := range rules {
			if r.Priority == barPriority {
				return false
			}
		}
		return true
	})
}

// TestParentFrozen stops the parent, and wakes it up.
func TestParentFrozen(t *testing.T) {
	w := newWorld(t)
	n := w.nodes[0]
	h := n.startHolder(t)
	n.awaitGone(t, h.signal(unix.SIGSTOP))
	time.Sleep(100 * time.Millisecond)
	began := h.signal(unix.SIGCONT)
	h.await("silent")
	told := h.await("removed")
	t.Logf("told %.1f ms after it woke up: %s", float64(time.Since(began).Microseconds())/1000, told)
	for _, a := range both {
		if !strings.Contains(told, a.String()) {
			t.Errorf("%q lacks %s", told, a)
		}
	}
	h.await("renew") // and does not bring them back
	for _, a := range both {
		if _, ok := n.has(t, a); ok {
			t.Errorf("%s is back", a)
		}
	}
	h.signal(unix.SIGKILL)
	eventually(t, "the guard ends", func() bool { return !running(h.guard) })
	n.checkNoBar(t)
}

// TestAllFrozen stops the guard first: the kernel remains.
func TestAllFrozen(t *testing.T) {
	w := newWorld(t)
	n := w.nodes[0]
	h := n.startHolder(t, "-lifetime=1s")
	must(t, syscall.Kill(h.guard, unix.SIGSTOP))
	n.awaitGone(t, h.signal(unix.SIGSTOP))
	h.signal(unix.SIGKILL)
	must(t, syscall.Kill(h.guard, unix.SIGCONT))
}

// TestNoGuard kills a holder that has none: the kernel remains.
func TestNoGuard(t *testing.T) {
	w := newWorld(t)
	n := w.nodes[0]
	h := n.startHolder(t, "-guard=false", "-lifetime=1s")
	n.awaitGone(t, h.signal(unix.SIGKILL))
}

// TestSignalsToGuard sends what a terminal or systemd sends.
func TestSignalsToGuard(t *testing.T) {
	w := newWorld(t)
	n := w.nodes[0]
	h := n.startHolder(t, "-silence=1m")
	for _, sig := range []syscall.Signal{unix.SIGINT, unix.SIGTERM, unix.SIGHUP, unix.SIGQUIT} {
		must(t, syscall.Kill(h.guard, sig))
	}
	if group, err := unix.Getpgid(h.guard); err != nil || group != h.guard {
		t.Errorf("it is in group %d: %v", group, err)
	}
	if session, err := unix.Getsid(h.guard); err != nil || session != h.guard {
		t.Errorf("it is in session %d: %v", session, err)
	}
	time.Sleep(20 * time.Millisecond)
	if !running(h.guard) {
		t.Error("a signal has ended it")
	}
	files, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", h.guard))
	must(t, err)
	for _, f := range files {
		target, _ := os.Readlink(fmt.Sprintf("/proc/%d/fd/%s", h.guard, f.Name()))
		t.Logf("fd %s: %s", f.Name(), target)
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", h.guard))
	must(t, err)
	for line := range strings.Lines(string(status)) {
		if strings.HasPrefix(line, "VmRSS") || strings.HasPrefix(line, "RssAnon") || strings.HasPrefix(line, "VmLck") || strings.HasPrefix(line, "Threads") {
			t.Log(strings.TrimSpace(line))
		}
	}
	n.awaitGone(t, h.signal(unix.SIGKILL))
}

// guarded starts a guard whose parent is the test.
func (s *space) guarded(t testing.TB, cfg GuardConfig) *Guard {
	t.Helper()
	var g *Guard
	must(t, s.do(func() (err error) {
		g, err = StartGuard(t.Context(), cfg)
		return err
	}))
	t.Cleanup(func() { _ = g.Close() })
	return g
}

// TestGuardTwice lets a guard remove, and takes the addresses again.
func TestGuardTwice(t *testing.T) {
	w := newWorld(t)
	n := w.nodes[0]
	g := n.guarded(t, GuardConfig{Provider: "netlink", Silence: 100 * time.Millisecond})
	p := n.netlinkProvider(t, Config{Lifetime: 10 * time.Second})
	for range 2 {
		must(t, g.Hold(both...))
		must(t, p.Add(t.Context(), both...))
		removed := <-g.Removed() // nobody calls Alive
		if !slices.Equal(removed, both) {
			t.Errorf("removed %v", removed)
		}
		must(t, p.Remove(t.Context(), both...))
	}
}

// TestGuardEnds ends a guard: it removes what it holds and nothing else.
func TestGuardEnds(t *testing.T) {
	w := newWorld(t)
	n := w.nodes[0]
	g := n.guarded(t, GuardConfig{Provider: "netlink", Silence: time.Minute})
	p := n.netlinkProvider(t, Config{Lifetime: 10 * time.Second})
	must(t, g.Hold(both...))
	must(t, g.Let(both[0]))
	must(t, p.Add(t.Context(), both...))
	must(t, g.Close())
	for i, a := range both {
		if _, ok := n.has(t, a); ok != (i == 0) {
			t.Errorf("%s: %v after the guard was ended", a, ok)
		}
	}
	if err := g.Alive(); !errors.Is(err, ErrNoGuard) {
		t.Errorf("Alive after Close: %v", err)
	}
	if removed := <-g.Removed(); !slices.Equal(removed, both[1:]) {
		t.Errorf("it reports %v", removed)
	}
	must(t, p.Remove(t.Context(), both...))
}

// TestGuardSilent wakes up before the guard can act: it acts all the same, and the parent knows it at once.
func TestGuardSilent(t *testing.T) {
	w := newWorld(t)
	g := w.nodes[0].guarded(t, GuardConfig{Provider: "netlink", Silence: 500 * time.Millisecond})
	must(t, g.Hold(float4))
	must(t, syscall.Kill(g.Pid(), unix.SIGSTOP))
	time.Sleep(510 * time.Millisecond)
	if err := g.Alive(); !errors.Is(err, ErrSilent) {
		t.Errorf("after a silence: %v", err)
	}
	must(t, syscall.Kill(g.Pid(), unix.SIGCONT))
	if removed := <-g.Removed(); !slices.Equal(removed, []Address{float4}) {
		t.Error(removed)
	}
}

// TestGuardDies tells the parent.
func TestGuardDies(t *testing.T) {
	w := newWorld(t)
	g := w.nodes[0].guarded(t, GuardConfig{Provider: "netlink"})
	must(t, syscall.Kill(g.Pid(), unix.SIGKILL))
	<-g.Done()
	if err := g.Alive(); !errors.Is(err, ErrNoGuard) {
		t.Error(err)
	}
	if err := g.Hold(float4); !errors.Is(err, ErrNoGuard) {
		t.Error(err)
	}
	t.Log(g.Close())
}

// TestGuardCannotStart has the guard's own error.
func TestGuardCannotStart(t *testing.T) {
	for _, provider := range []string{"exec:/no/such/script", "wire"} {
		g, err := StartGuard(t.Context(), GuardConfig{Provider: provider})
		t.Log(err)
		if err == nil {
			_ = g.Close()
			t.Errorf("%s started", provider)
		}
	}
}

// TestAliveAllocates keeps the call that is made all the time small.
func TestAliveAllocates(t *testing.T) {
	g, err := StartGuard(t.Context(), GuardConfig{Provider: "none"})
	must(t, err)
	if n := testing.AllocsPerRun(100, func() { must(t, g.Alive()) }); n != 0 {
		t.Errorf("Alive makes %v allocations", n)
	}
	must(t, g.Close())
}

// TestGuardInherits leaves a file without close-on-exec open.
func TestGuardInherits(t *testing.T) {
	r, pipe, err := os.Pipe()
	must(t, err)
	defer r.Close()
	_, err = unix.FcntlInt(pipe.Fd(), unix.F_SETFD, 0)
	must(t, err)
	g, err := StartGuard(t.Context(), GuardConfig{Provider: "none"})
	must(t, err)
	must(t, pipe.Close())
	must(t, r.SetReadDeadline(time.Now().Add(10*time.Second)))
	if n, err := r.Read(make([]byte, 1)); err == nil || os.IsTimeout(err) {
		t.Errorf("the guard has the pipe open: %d, %v", n, err)
	}
	must(t, g.Close())
}

// TestMovesBetweenProcesses is the whole: the holder is killed, another node takes over, and a peer goes on talking.
func TestMovesBetweenProcesses(t *testing.T) {
	w := newWorld(t)
	h := w.nodes[0].startHolder(t, "-silence=1m")
	eventually(t, "the first node has them", func() bool { _, ok := w.nodes[0].has(t, float6); return ok })
	other := w.nodes[1].netlinkProvider(t, Config{Lifetime: 10 * time.Second})
	peer := w.peer.udp(t, netip.AddrPortFrom(peer4, 0))
	_, _ = peer.WriteToUDPAddrPort([]byte("x"), netip.AddrPortFrom(float4.Addr(), 4000))
	h.signal(unix.SIGKILL)
	must(t, other.Add(t.Context(), both...))
	to := netip.AddrPortFrom(float4.Addr(), 4000)
	node := w.nodes[1].udp(t, to)
	must(t, node.SetReadDeadline(time.Now().Add(10*time.Second)))
	if _, err := peer.WriteToUDPAddrPort([]byte("x"), to); err != nil {
		t.Fatal(err)
	}
	if _, err := node.Read(make([]byte, 16)); err != nil {
		t.Error(err)
	}
	w.nodes[0].awaitGone(t, time.Now())
	must(t, other.Remove(t.Context(), both...))
}
