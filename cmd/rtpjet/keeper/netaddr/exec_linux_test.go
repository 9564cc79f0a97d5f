package netaddr

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"rtpjet/tests/procs"
)

// scripted is an exec provider with a script of the test.
type scripted struct {
	*Exec
	dir string
	log *procs.Output
}

// newScripted writes a script that notes its arguments in the file calls, and then does what body says.
func newScripted(t *testing.T, body string, timeout time.Duration) *scripted {
	t.Helper()
	s := &scripted{dir: t.TempDir(), log: new(procs.Output)}
	script := filepath.Join(s.dir, "float")
	text := "#!/bin/sh\ncd " + s.dir + "\necho \"$@\" >> calls\n" + body + "\n"
	must(t, os.WriteFile(script, []byte(text), 0o755))
	var err error
	s.Exec, err = OpenExec(script, Config{Log: slog.New(slog.NewTextHandler(s.log, nil)), ScriptTimeout: timeout})
	must(t, err)
	t.Cleanup(func() { must(t, s.Close()) })
	return s
}

func (s *scripted) read(name string) string {
	b, _ := os.ReadFile(filepath.Join(s.dir, name))
	return string(b)
}

// held is a script that keeps a file for an address that is here.
const held = `
echo "$RTPJET_FLOAT_ACTION $RTPJET_FLOAT_ADDRESS $RTPJET_FLOAT_PREFIX $RTPJET_FLOAT_FAMILY $RTPJET_FLOAT_DEVICE $RTPJET_FLOAT_TIMEOUT" >> env
file=$(echo "$2" | tr / -)
case $1 in
add) touch "$file" ;;
remove) rm -f "$file" ;;
check) test -e "$file" ;;
esac`

func TestExec(t *testing.T) {
	s := newScripted(t, held, 0)
	for range 2 {
		must(t, s.Add(t.Context(), both...))
	}
	must(t, s.Renew(t.Context(), both...))
	if here, err := s.Check(t.Context(), float6); !here || err != nil {
		t.Error(here, err)
	}
	s.Announce(both...)
	eventually(t, "announce has run", func() bool { return strings.Count(s.read("calls"), "announce") == 2 })
	for range 2 {
		must(t, s.Remove(t.Context(), both...))
	}
	if here, err := s.Check(t.Context(), float6); here || err != nil {
		t.Error(here, err)
	}
	s.Announce(both...) // what is not held is not announced
	must(t, s.Add(t.Context(), float6))
	must(t, s.Sweep(t.Context(), both...))
	for call, times := range map[string]int{
		"add 10.98.0.100/24 media0\n": 2, "add fd98::100/64 media0\n": 3, "remove 10.98.0.100/24 media0\n": 2, "remove fd98::100/64 media0\n": 3,
		"announce 10.98.0.100/24 media0\n": 1, "check fd98::100/64 media0\n": 3,
	} {
		if n := strings.Count(s.read("calls"), call); n != times {
			t.Errorf("%q %d times, want %d", call, n, times)
		}
	}
	for _, want := range []string{"add 10.98.0.100 24 4 media0 10\n", "remove fd98::100 64 6 media0 10\n"} {
		if !strings.Contains(s.read("env"), want) {
			t.Errorf("the environment lacks %q:\n%s", want, s.read("env"))
		}
	}
}

// TestExecFails: the node does not have the address then, and remove makes sure.
func TestExecFails(t *testing.T) {
	s := newScripted(t, `echo "asking"; case $1-$RTPJET_FLOAT_FAMILY in add-4) echo "no such network interface" >&2; exit 3;; check-*) exit 2;; esac`, 0)
	err := s.Add(t.Context(), both...)
	t.Log(err)
	if err == nil || !strings.Contains(err.Error(), "no such network interface") || !strings.Contains(err.Error(), "exit status 3") {
		t.Error("the error does not say what the script said")
	}
	for _, call := range []string{"remove 10.98.0.100/24", "remove fd98::100/64"} {
		if !strings.Contains(s.read("calls"), call) {
			t.Errorf("%s was not called:\n%s", call, s.read("calls"))
		}
	}
	if log := s.log.String(); !strings.Contains(log, "level=WARN") || !strings.Contains(log, `line="no such network interface"`) {
		t.Errorf("the log lacks it:\n%s", log)
	}
	here, err := s.Check(t.Context(), float4)
	t.Log(err)
	if here || err == nil {
		t.Error("a check that fails is no answer")
	}
}

// TestExecSlow: the script and what it has started are killed.
func TestExecSlow(t *testing.T) {
	s := newScripted(t, `test $1 = add || exit 0; echo "waiting for the cloud"; sleep 1000 & echo $! > child; wait`, 200*time.Millisecond)
	err := s.Add(t.Context(), float4)
	t.Log(err)
	if err == nil || !strings.Contains(err.Error(), "longer than 200ms") || !strings.Contains(err.Error(), "waiting for the cloud") {
		t.Error(err)
	}
	child, err := strconv.Atoi(strings.TrimSpace(s.read("child")))
	must(t, err)
	eventually(t, "what the script has started ends", func() bool { return !running(child) })

	// The caller's own limit counts too.
	slow := newScripted(t, `test $1 = add || exit 0; sleep 1000`, 0)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	err = slow.Add(ctx, float4)
	t.Log(err)
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(slow.read("calls"), "remove") {
		t.Errorf("%v; calls: %s", err, slow.read("calls"))
	}
}

// TestExecAnnounceEnds: remove and Close end an announcement that hangs.
func TestExecAnnounceEnds(t *testing.T) {
	s := newScripted(t, `test $1 = announce && sleep 1000; exit 0`, time.Hour)
	must(t, s.Add(t.Context(), float4))
	for range 2 {
		s.Announce(float4)
		s.Announce(float4) // one is under way
		must(t, s.Remove(t.Context(), float4))
		must(t, s.Add(t.Context(), float4))
	}
	s.Announce(float4)
}

// TestExecMissing: the script was there, and is gone.
func TestExecMissing(t *testing.T) {
	s := newScripted(t, "", 0)
	must(t, s.Prepare(t.Context(), both...))
	must(t, os.Remove(s.script))
	for name, err := range map[string]error{"Prepare": s.Prepare(t.Context(), float4), "Add": s.Add(t.Context(), float4), "Remove": s.Remove(t.Context(), float4)} {
		t.Logf("%s: %v", name, err)
		if !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v", name, err)
		}
	}
	s = newScripted(t, "", 0)
	must(t, os.Chmod(s.script, 0o644))
	t.Log(s.Prepare(t.Context(), float4))
	if s.Prepare(t.Context(), float4) == nil {
		t.Error("a script that may not be executed is good")
	}
}

// TestExecLoud: a script that writes a lot and leaves a process behind.
func TestExecLoud(t *testing.T) {
	s := newScripted(t, `yes | head -c 1000000; (sleep 5 &)`, 0)
	must(t, s.Add(t.Context(), float4))
	if n := len(s.log.String()); n > 20_000 {
		t.Errorf("%d bytes in the log", n)
	}
}

// TestExecExample runs the example that sets addresses with ip.
func TestExecExample(t *testing.T) {
	for _, tool := range []string{"ip", "arping"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("the example needs %s: %v", tool, err)
		}
	}
	script, err := filepath.Abs("../../../../examples/float-provider/ip.sh")
	must(t, err)
	w := newWorld(t)
	n := w.nodes[0]
	log := new(procs.Output)
	p, err := OpenExec(script, Config{Log: slog.New(slog.NewTextHandler(log, nil))})
	must(t, err)
	defer p.Close()
	old := &netlink.Neigh{LinkIndex: w.peer.index, IP: float4.Addr().AsSlice(), HardwareAddr: w.nodes[1].mac, State: unix.NUD_REACHABLE}
	must(t, w.peer.kernel.NeighSet(old))
	// A script runs in the namespace of the thread that starts it: one address at a time keeps to this thread.
	must(t, n.do(func() error {
		for _, a := range both {
			for range 2 {
				if _, err := p.run(t.Context(), verbAdd, a); err != nil {
					return err
				}
			}
			if code, err := p.run(t.Context(), verbCheck, a); code != 0 || err != nil {
				return fmt.Errorf("check: %d, %w", code, err)
			}
		}
		return nil
	}))
	for _, a := range both {
		if _, ok := n.has(t, a); !ok {
			t.Errorf("%s is not there", a)
		}
	}
	eventually(t, "the peer has heard of it", func() bool { mac, _ := w.peer.neighbor(t, float4.Addr()); return slices.Equal(mac, n.mac) })
	must(t, n.do(func() error {
		for _, a := range both {
			for range 2 {
				if _, err := p.run(t.Context(), verbRemove, a); err != nil {
					return err
				}
			}
			if code, _ := p.run(t.Context(), verbCheck, a); code != 1 {
				return fmt.Errorf("check: %d", code)
			}
		}
		return nil
	}))
	for _, a := range both {
		if _, ok := n.has(t, a); ok {
			t.Errorf("%s is there", a)
		}
	}
	t.Log(log)
}

func running(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && !strings.Contains(string(stat), ") Z ")
}
