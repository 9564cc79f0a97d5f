package demo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"rtpjet/tests/procs"
)

// sleeper is a node whose process is this test program without a cluster: it says so in its log, and ends with 3.
func sleeper(t *testing.T) (*node, string) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	return &node{place: place{id: "n1", addr: netip.MustParseAddr("127.0.0.1"), ng: 9}, dir: filepath.Join(dir, "nodes", "n1"), logFile: filepath.Join(dir, "n1.log")}, exe
}

// TestNodeStart: a node that cannot be started, or ends at once, is told of by its name, and its log is kept.
func TestNodeStart(t *testing.T) {
	t.Parallel()
	n, exe := sleeper(t)
	if n.running() {
		t.Error("it runs before its start")
	}
	n.terminate()
	n.await(0) // of a process that never was
	if err := n.start(filepath.Join(t.TempDir(), "missing"), ""); err == nil || !strings.HasPrefix(err.Error(), "start n1: ") || !errors.Is(err, os.ErrNotExist) {
		t.Errorf("without a program: %v", err)
	}
	for range 2 {
		if err := n.start(exe, "routes"); err != nil {
			t.Fatal(err)
		}
		if err := n.answering(t.Context(), &client{}); err == nil || err.Error() != "n1 ended at its start: exit status 3" {
			t.Errorf("%v", err)
		}
		if n.running() {
			t.Error("it runs after its end")
		}
		n.await(time.Hour)
		n.terminate()
	}
	var tail bytes.Buffer
	n.writeTail(&tail)
	if got := tail.String(); !strings.HasPrefix(got, "\nn1, the end of n1.log:\n  a node begins\n  no such luck: ") || strings.Count(got, "a node begins") != 2 {
		t.Errorf("%s", got)
	}
	n.logFile = filepath.Join(n.dir, "no", "log")
	if err := n.start(exe, ""); err == nil || !strings.HasPrefix(err.Error(), "open the log of n1: ") {
		t.Errorf("without a place for the log: %v", err)
	}
}

// TestNodeEnds: a node ends when it is asked to, and is killed if it does not.
func TestNodeEnds(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		end  func(n *node)
		want string
	}{
		"asked":  {func(n *node) { n.terminate(); n.await(time.Minute) }, "signal: terminated"},
		"killed": {func(n *node) { n.await(time.Millisecond) }, "signal: killed"},
	} {
		c := newCluster(t, t.TempDir())
		d, _ := c.started(0)
		n := d.nodes[0]
		if !n.running() {
			t.Errorf("%s: it does not run", name)
		}
		tt.end(n)
		if n.running() || n.err == nil || n.err.Error() != tt.want {
			t.Errorf("%s: %v", name, n.err)
		}
	}
}

// TestNodeDoesNotAnswer: who waits for it is told why he stops.
func TestNodeDoesNotAnswer(t *testing.T) {
	t.Parallel()
	addr, _ := server(t, func(string, string) []string { return nil })
	at := netip.MustParseAddrPort(addr)
	n := &node{place: place{id: "n2", addr: at.Addr(), ng: at.Port()}, ended: make(chan struct{})}
	ctx, cancel := context.WithTimeoutCause(t.Context(), 50*time.Millisecond, errors.New("not done after 50ms"))
	defer cancel()
	if err := n.answering(ctx, &client{}); err == nil || err.Error() != "n2 does not answer a ping: not done after 50ms" {
		t.Error(err)
	}
}

func TestWriteTail(t *testing.T) {
	file := filepath.Join(t.TempDir(), "n1.log")
	n := &node{place: place{id: "n1"}, logFile: file}
	var long strings.Builder
	for i := range 30 {
		fmt.Fprintf(&long, "line %d\n", i)
	}
	for name, tt := range map[string]struct{ text, want string }{
		"missing":   {"", ""},
		"empty":     {"", ""},
		"one":       {"a\n", "\nn1, the end of n1.log:\n  a\n"},
		"not ended": {"a\n\nb", "\nn1, the end of n1.log:\n  a\n  \n  b\n"},
		"long":      {long.String(), "\nn1, the end of n1.log:\n  line 18\n"},
	} {
		if name != "missing" {
			if err := os.WriteFile(file, []byte(tt.text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		var b bytes.Buffer
		n.writeTail(&b)
		_ = os.Remove(file)
		if name == "long" {
			if !strings.HasPrefix(b.String(), tt.want) || !strings.HasSuffix(b.String(), "  line 29\n") || strings.Count(b.String(), "\n") != 2+tailLines {
				t.Errorf("%s: %s", name, &b)
			}
			continue
		}
		if b.String() != tt.want {
			t.Errorf("%s: %q, want %q", name, &b, tt.want)
		}
	}
}

// TestStay: what an operator is left with, and that he hears of a node that ends meanwhile.
func TestStay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out procs.Output
		d := &demo{out: teller{w: &out, began: time.Now()}, dir: "/tmp/rtpjet-demo-1", calls: []*call{{id: "demo-7-1"}}}
		for i := range byte(nodeCount) {
			d.nodes = append(d.nodes, &node{
				place: place{id: fmt.Sprintf("n%d", i+1), addr: netip.AddrFrom4([4]byte{127, 0, 1, 1 + i}), ng: 2223, nats: 4222, http: 8080},
				cmd:   &exec.Cmd{Process: &os.Process{Pid: 100 + int(i)}}, ended: make(chan struct{}),
			})
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { defer close(ended); d.stay(ctx) }()
		synctest.Wait()
		const told = `The cluster is yours until Ctrl-C. In kamailio.cfg:

  modparam("rtpengine", "rtpengine_sock", "udp:127.0.1.1:2223 udp:127.0.1.2:2223 udp:127.0.1.3:2223")

To look at it:

  rtpjet node list --nats nats://127.0.1.1:4222
  rtpjet call list --nats nats://127.0.1.1:4222

In a browser: http://127.0.1.1:8080/, where a call that has ended can be looked at by its call-id, demo-7-1 for one.

n1 is process 100, n2 is process 101 and n3 is process 102.
Their logs and data are in /tmp/rtpjet-demo-1
`
		if got := out.String(); got != told {
			t.Errorf("%s\nwant\n%s", got, told)
		}
		time.Sleep(2 * time.Second)
		d.nodes[1].err = errors.New("exit status 1")
		close(d.nodes[1].ended)
		synctest.Wait()
		if want := told + "  2.0 s  n2 has ended: exit status 1\n"; out.String() != want {
			t.Errorf("%s\nwant\n%s", out.String(), want)
		}
		select {
		case <-ended:
			t.Error("it ends with a node")
		default:
		}
		cancel()
		<-ended
	})
}

// TestEnd: the exit code, what is said, and what is left on the disk.
func TestEnd(t *testing.T) {
	failed := errors.New("call 1: it broke")
	stopped, stop := context.WithCancel(t.Context())
	stop()
	for name, tt := range map[string]struct {
		ctx       context.Context
		err       error
		code      int
		out, errs string
		kept      bool
	}{
		"well":                  {t.Context(), nil, exitOK, "the nodes have been ended and their files removed\n", "", false},
		"failed":                {t.Context(), failed, exitFailed, "", "\nrtpjet demo: call 1: it broke\n\nThe nodes have been ended. All they wrote is in DIR\n", true},
		"interrupted":           {stopped, failed, exitFailed, "", "\nrtpjet demo: interrupted; the nodes have been ended and their files removed\n", false},
		"interrupted when done": {stopped, nil, exitOK, "the nodes have been ended and their files removed\n", "", false},
	} {
		var out, errs bytes.Buffer
		d := &demo{out: teller{w: &out, began: time.Now()}, dir: filepath.Join(t.TempDir(), "nodes")}
		if err := os.Mkdir(d.dir, 0o700); err != nil {
			t.Fatal(err)
		}
		code := d.end(tt.ctx, tt.err, &errs)
		_, statErr := os.Stat(d.dir)
		if code != tt.code || !strings.HasSuffix(out.String(), tt.out) || strings.ReplaceAll(errs.String(), d.dir, "DIR") != tt.errs || (statErr == nil) != tt.kept {
			t.Errorf("%s: %d %q %q, the directory: %v", name, code, &out, &errs, statErr)
		}
	}
	var errs bytes.Buffer
	if code := (&demo{}).end(t.Context(), failed, &errs); code != exitFailed || strings.Contains(errs.String(), "All they wrote") {
		t.Errorf("without a directory: %d %s", code, &errs)
	}
}

// TestNoDirectory: a machine without a place for temporary files.
func TestNoDirectory(t *testing.T) {
	t.Setenv("TMPDIR", filepath.Join(t.TempDir(), "missing"))
	var out, errs bytes.Buffer
	if code := run(t.Context(), nil, "nothing", &out, &errs); code != exitFailed || out.Len() > 0 ||
		!strings.HasPrefix(errs.String(), "\nrtpjet demo: make a directory for the nodes: ") || strings.Contains(errs.String(), "All they wrote") {
		t.Errorf("%d %s%s", code, &out, &errs)
	}
}

// TestMissingProgram: what is said if there is no program to start.
func TestMissingProgram(t *testing.T) {
	emptyTemp(t)
	var out, errs bytes.Buffer
	if code := run(t.Context(), nil, filepath.Join(t.TempDir(), "rtpjet"), &out, &errs); code != exitFailed || !strings.HasPrefix(errs.String(), "\nrtpjet demo: start n1: ") {
		t.Errorf("%d %s%s", code, &out, &errs)
	}
}
