package keeper

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"rtpjet/cmd/rtpjet/keeper/netaddr"
	"rtpjet/projection/floats"
)

// processConfig is what a keeper of one float is started with.
func processConfig() Config {
	return Config{
		Node: "n1", Timeout: clusterSilence, NodeSilence: patience, Provider: "none", Bind: loopback4,
		Floats: []Float{{ID: "127.0.0.200", Addrs: []netaddr.Address{{Prefix: netip.MustParsePrefix("127.0.0.200/8"), Device: "lo"}}}},
	}
}

// startProcess starts a keeper as a node does. It is closed when the test ends.
func startProcess(t testing.TB, cfg Config, shared *Deadlines, log *lines) *Keeper {
	t.Helper()
	if testing.Short() {
		t.Skip("starts processes; not with -short")
	}
	k, err := Start(t.Context(), cfg, shared, log)
	must(t, err)
	t.Cleanup(func() { _ = k.Close() })
	return k
}

// pidOf is the process that has tied its life to the deadlines.
func pidOf(t testing.TB, shared *Deadlines) int {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", shared.Life().Load()))
	must(t, err)
	for line := range strings.Lines(string(status)) {
		if pid, ok := strings.CutPrefix(line, "Tgid:"); ok {
			n, err := strconv.Atoi(strings.TrimSpace(pid))
			must(t, err)
			return n
		}
	}
	t.Fatal("no process")
	return 0
}

// hold has a keeper hold its float.
func hold(t testing.TB, k *Keeper, run uint64) {
	t.Helper()
	must(t, k.Begin(run))
	must(t, k.Ready())
	eventually(t, "the float is not held", func() bool {
		must(t, k.Alive())
		return k.shared.At(0).Load() > nowNano()
	})
}

// TestCrash kills a keeper: the node hears of it, relays nothing any more, and another keeper goes on with the same memory.
func TestCrash(t *testing.T) {
	t.Parallel()
	shared := newShared(t)
	var log lines
	k := startProcess(t, processConfig(), shared, &log)
	hold(t, k, 1)
	pid := pidOf(t, shared)
	must(t, unix.Kill(pid, unix.SIGKILL))
	for range k.Reports() { // until it has ended
	}
	<-k.Done()
	if err := k.Err(); !errors.Is(err, ErrEnded) || !strings.HasSuffix(err.Error(), "signal: killed") {
		t.Errorf("%v", err)
	}
	if life := shared.Life().Load(); life&ownerDied == 0 || shared.At(0).Load() != 0 {
		t.Errorf("sign of life %x, deadline %d", life, shared.At(0).Load())
	}
	if err := k.Alive(); !errors.Is(err, ErrEnded) {
		t.Errorf("%v", err)
	}

	next := startProcess(t, processConfig(), shared, &log)
	if life := shared.Life().Load(); life == 0 || life&ownerDied != 0 {
		t.Errorf("sign of life %x of the next one", life)
	}
	hold(t, next, 2)
	must(t, next.Close())
	if shared.At(0).Load() != 0 {
		t.Error("closed, and a deadline is in force")
	}
}

// TestStartFails: what a keeper cannot do is the error of Start, in the words of the one who knows.
func TestStartFails(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("starts processes; not with -short")
	}
	shared := newShared(t)
	for want, change := range map[string]func(*Config){
		`open provider "magic": it is none of`:                func(c *Config) { c.Provider = "magic" },
		`find the script "float": name it with its`:           func(c *Config) { c.Provider = "exec:float" },
		"listen for pulses on 192.0.2.77: cannot assign":      func(c *Config) { c.Bind = netip.MustParseAddr("192.0.2.77") },
		"check address 127.0.0.200/8@: \"\" is no name of a ": func(c *Config) { c.Floats[0].Addrs[0].Device = "" },
	} {
		cfg := processConfig()
		change(&cfg)
		var log lines
		_, err := Start(t.Context(), cfg, shared, &log)
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
		if log.count("rtpjet: keeper: "+want) != 1 {
			t.Errorf("it does not say why it ends: %s", &log)
		}
	}
}

// TestByHand: whoever calls the command himself is told who does.
func TestByHand(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes; not with -short")
	}
	cmd := exec.Command("/proc/self/exe")
	cmd.Args = []string{"rtpjet", Arg}
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 2 || string(out) != "rtpjet: a keeper is started by rtpjet serve, and not by hand\n" {
		t.Errorf("%v: %s", err, out)
	}
}

// TestSignals: what ends a node by the terminal or the service manager does not end its keeper, which has to give the floats
// away when the node is gone.
func TestSignals(t *testing.T) {
	t.Parallel()
	shared := newShared(t)
	var log lines
	k := startProcess(t, processConfig(), shared, &log)
	must(t, k.Begin(1))
	pid := pidOf(t, shared)
	for _, s := range []unix.Signal{unix.SIGINT, unix.SIGTERM, unix.SIGHUP, unix.SIGQUIT, unix.SIGPIPE} {
		must(t, unix.Kill(pid, s))
		if _, err := k.Move(t.Context(), "127.0.0.200", ""); err == nil || err.Error() != floats.ErrNotHolder.Error() {
			t.Errorf("after signal %v: %v", s, err)
		}
	}
	sid, err := unix.Getsid(pid)
	if err != nil || sid != pid {
		t.Errorf("it is in session %d: what is sent to the node's process group reaches it, %v", sid, err)
	}
}

// TestInheritsNothing: of what somebody has left open for all children a keeper keeps its standard error, the node's socket and
// the deadlines. A socket of the node's that lived on in it would take packets after the node's end.
func TestInheritsNothing(t *testing.T) {
	t.Parallel()
	var open [2]int
	must(t, unix.Pipe(open[:]))
	defer func() { _, _ = unix.Close(open[0]), unix.Close(open[1]) }()
	name, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", open[0]))
	must(t, err)
	shared := newShared(t)
	var log lines
	k := startProcess(t, processConfig(), shared, &log)
	must(t, k.Begin(1))
	dir := fmt.Sprintf("/proc/%d/fd", pidOf(t, shared))
	entries, err := os.ReadDir(dir)
	must(t, err)
	memory := 0
	for _, e := range entries {
		switch to, _ := os.Readlink(filepath.Join(dir, e.Name())); {
		case to == name:
			t.Errorf("descriptor %s is a pipe that is none of its business", e.Name())
		case strings.Contains(to, "rtpjet-deadlines"):
			memory++
		}
	}
	if memory != 1 {
		t.Errorf("it has the deadlines open %d times", memory)
	}
}

// TestRuns: a keeper says which of its privileges it has got, and has them.
func TestRuns(t *testing.T) {
	t.Parallel()
	shared := newShared(t)
	var log lines
	k := startProcess(t, processConfig(), shared, &log)
	pid := pidOf(t, shared)
	has := map[string]bool{}
	for _, what := range k.Runs() {
		has[what] = true
		if reason, missing := strings.CutPrefix(what, "no "); missing && !strings.HasSuffix(reason, ")") {
			t.Errorf("%q does not say why", what)
		}
	}
	attr, err := unix.SchedGetAttr(int(shared.Life().Load()), 0)
	must(t, err)
	if rt := attr.Policy == unix.SCHED_RR && attr.Priority == priority; rt != has["real-time priority"] {
		t.Errorf("policy %d, priority %d, and it says %q", attr.Policy, attr.Priority, k.Runs())
	}
	score, err := os.ReadFile(fmt.Sprintf("/proc/%d/oom_score_adj", pid))
	must(t, err)
	if spared := strings.TrimSpace(string(score)) == "-900"; spared != has["spared by the OOM killer"] {
		t.Errorf("score %s, and it says %q", score, k.Runs())
	}
}

// TestCanary: the thread of the node that a keeper watches is one of the node's own, and there for as long as the keeper is.
func TestCanary(t *testing.T) {
	tid, end := canary()
	task := fmt.Sprintf("/proc/self/task/%d", tid)
	if _, err := os.Stat(task); err != nil {
		t.Errorf("there is no such thread: %v", err)
	}
	end()
	// The goroutine has ended; its thread goes right after it.
	eventually(t, "the thread does not end", func() bool { _, err := os.Stat(task); return errors.Is(err, os.ErrNotExist) })
}

// TestLogger: node and keeper write lines of one kind.
func TestLogger(t *testing.T) {
	var text, js lines
	for _, l := range []*slog.Logger{Logger(&text, slog.LevelWarn, false), Logger(&js, slog.LevelWarn, true)} {
		l.Info("below the level")
		l.Warn("a float moves", "float", float1)
	}
	if text.count() != 1 || text.count("level=WARN", `msg="a float moves"`, "float="+float1) != 1 {
		t.Errorf("%s", &text)
	}
	var line map[string]any
	if err := json.Unmarshal([]byte(js.String()), &line); err != nil || line["msg"] != "a float moves" || line["level"] != "WARN" || line["float"] != float1 {
		t.Errorf("%s: %v", &js, err)
	}
}

// TestProcessLog: what a keeper logs is told apart from what its node does, in the form and from the level on that the node
// has.
func TestProcessLog(t *testing.T) {
	t.Parallel()
	run := func(level slog.Level, asJSON bool) *lines {
		cfg := processConfig()
		cfg.LogLevel, cfg.LogJSON = level, asJSON
		var log lines
		k := startProcess(t, cfg, newShared(t), &log)
		hold(t, k, 1)
		must(t, k.Close())
		return &log
	}
	log := run(slog.LevelInfo, true)
	if n := log.count("the address of a float is on this machine"); n != 1 {
		t.Errorf("logged %d times:\n%s", n, log)
	}
	for line := range strings.Lines(log.String()) {
		var fields map[string]any
		if err := json.Unmarshal([]byte(line), &fields); err != nil || fields["by"] != "keeper" {
			t.Errorf("%s: %v", line, err)
		}
	}
	for line := range strings.Lines(run(slog.LevelWarn, false).String()) { // of a machine that is busy, perhaps
		if !strings.Contains(line, "level=WARN") || !strings.Contains(line, " by=keeper ") {
			t.Errorf("%s", line)
		}
	}
}

// TestCloseWhileHolding: a node that ends as it should does not end before its floats are given up.
func TestCloseWhileHolding(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("starts processes; not with -short")
	}
	script, asked := writeScript(t)
	cfg := processConfig()
	cfg.Provider = "exec:" + script
	var log lines
	shared := newShared(t)
	k := startProcess(t, cfg, shared, &log)
	hold(t, k, 1)
	eventually(t, "the script is not asked to add the address", func() bool { return strings.Contains(strings.Join(asked(), " "), "add") })
	began := time.Now()
	must(t, k.Close())
	if got := strings.Join(asked(), " "); got != "check add remove" {
		t.Errorf("after %v the script was asked for %s", time.Since(began), got)
	}
}
