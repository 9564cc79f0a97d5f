package exchanges

import (
	"flag"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"rtpjet/ngserver/ngtest"
	"rtpjet/tests/procs"
)

// patience is how long something that must happen may take before a test gives up.
const patience = 20 * time.Second

var (
	program = procs.Program{Name: "exchanges"}
	another = flag.String("rtpjet", "", "rtpjet binary to test instead of one built from this source")
)

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(program.Main(m))
}

var hosts atomic.Uint32

// newHost returns a loopback address that nobody else uses, so that every port of it is free.
func newHost() netip.Addr {
	n := hosts.Add(1)
	return netip.AddrFrom4([4]byte{127, byte(192 + os.Getpid()%60), byte(n / 250), byte(1 + n%250)})
}

// relay is a running rtpjet with two interfaces.
type relay struct {
	ng         string // HOST:PORT
	interfaces map[string]netip.Addr
}

func serve(t *testing.T) *relay {
	t.Helper()
	path := *another
	if path == "" {
		path = program.Path(t)
	}
	out, in := newHost(), newHost()
	r := &relay{ng: out.String() + ":2223", interfaces: map[string]netip.Addr{"out": out, "in": in}}
	log, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, "serve", "--config-file", "none", "--foreground", "--log-stderr", "--log-level", "6", "--node-id", "n1",
		"--data-dir", t.TempDir(), "--nats-listen", "none", "--interface", "out/"+out.String(), "--interface", "in/"+in.String(),
		"--listen-ng", r.ng, "--port-min", "20000", "--port-max", "29999")
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		if err := cmd.Wait(); err != nil {
			t.Errorf("the relay's end: %v", err)
		}
		_ = log.Close()
		if text, err := os.ReadFile(log.Name()); t.Failed() && err == nil && testing.Verbose() {
			t.Logf("log of the relay:\n%s", text)
		}
	})
	c := r.dial(t)
	c.Timeout = 100 * time.Millisecond
	if err := procs.Poll(5*time.Millisecond, patience, func() error {
		_, err := c.Do(dict{"command": "ping"})
		return err
	}); err != nil {
		t.Fatalf("the relay answers no ping: %v", err)
	}
	return r
}

type dict = map[string]any

func (r *relay) dial(t *testing.T) *ngtest.Client {
	t.Helper()
	c, err := ngtest.Dial(r.ng)
	if err != nil {
		t.Fatal(err)
	}
	c.Timeout = patience
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// nothingLeft tells what of calls the relay still has.
func (r *relay) nothingLeft(t *testing.T) error {
	t.Helper()
	c := r.dial(t)
	defer c.Close()
	list, err := c.Do(dict{"command": "list"})
	if err != nil {
		return err
	}
	if calls, _ := list["calls"].([]any); len(calls) > 0 {
		return fmt.Errorf("calls %v", calls)
	}
	reply, err := c.Do(dict{"command": "statistics"})
	if err != nil {
		return err
	}
	statistics, _ := reply["statistics"].(dict)
	interfaces, _ := statistics["interfaces"].([]any)
	if len(interfaces) != len(r.interfaces) {
		return fmt.Errorf("%d interfaces in the statistics", len(interfaces))
	}
	for _, v := range interfaces {
		i, _ := v.(dict)
		ports, _ := i["ports"].(dict)
		if used, ok := ports["used"].(int64); !ok || used != 0 {
			return fmt.Errorf("ports of %v in use: %v", i["name"], ports["used"])
		}
	}
	return nil
}

// TestExchanges plays the scripts of testdata, all at the same time, and looks that nothing is left of them then.
func TestExchanges(t *testing.T) {
	scripts := load(t)
	r := serve(t)
	t.Run("call", func(t *testing.T) {
		for _, s := range scripts {
			t.Run(s.name, func(t *testing.T) {
				t.Parallel()
				play(t, r, s)
			})
		}
	})
	if t.Failed() {
		return // a script that stops in its middle leaves its call
	}
	if err := procs.Poll(5*time.Millisecond, patience, func() error { return r.nothingLeft(t) }); err != nil {
		t.Errorf("left after all scripts: %v", err)
	}
}

// TestSources: each script says what makes it right.
func TestSources(t *testing.T) {
	for _, s := range load(t) {
		if !strings.Contains(s.right, "RFC ") && !strings.Contains(s.right, "rtpengine") {
			t.Errorf("%s: %s has no source: %q", s.file, s.name, s.right)
		}
	}
}
