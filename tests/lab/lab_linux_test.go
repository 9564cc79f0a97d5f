package lab

import (
	"context"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

// needs skips a test whose peers or rights are missing.
func needs(t *testing.T, programs ...string) {
	t.Helper()
	if err := Installed(programs...); err != nil {
		t.Skip(err)
	}
	if err := Namespaces(); err != nil {
		t.Skip(err)
	}
}

func TestServersRunInANamespaceAndLeaveNothing(t *testing.T) {
	needs(t, "rtpengine", "redis-server", "nsenter")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	n, err := NewNet()
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := n.Close(); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat("/run/netns/" + n.Server.Name); err == nil {
			t.Errorf("the namespace %s is still there", n.Server.Name)
		}
	}()
	redis, err := StartRedis(ctx, &n.Server, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer redis.Stop()
	server, err := StartRtpengine(ctx, Options{Side: &n.Server, Addr: n.Server.Addr, Dir: t.TempDir(), Redis: redis})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Stop()

	// The other side of the veth pair reaches it, this process's namespace does not.
	if err := n.Client.Do(func() error { return PingNG(server.NG) }); err != nil {
		t.Errorf("ping from the client's namespace: %v", err)
	}
	if comm, err := os.ReadFile("/proc/" + strconv.Itoa(server.PID) + "/comm"); err != nil || !strings.HasPrefix(string(comm), "rtpengine") {
		t.Errorf("process %d is %q, %v", server.PID, comm, err)
	}
	server.Kill()
	if err := n.Client.Do(func() error { return PingNG(server.NG) }); err == nil {
		t.Error("the server answers after its end")
	}
}

func TestAServerThatCannotStartSaysWhy(t *testing.T) {
	needs(t, "rtpengine", "nsenter")
	n, err := NewNet()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = n.Close() }()
	_, err = StartRtpengine(t.Context(), Options{Side: &n.Server, Addr: n.Server.Addr, Dir: t.TempDir(), Args: []string{"--no-such-option"}})
	if err == nil || !strings.Contains(err.Error(), "ended before it was ready") {
		t.Errorf("error %v", err)
	}
}

func TestCommandLineIsForAShell(t *testing.T) {
	p := &Proc{args: (&Side{Name: "x"}).enter([]string{"a", "b c", "d'e", "", "--f=1:2/3"})}
	want := `nsenter --net=/run/netns/x -- a 'b c' 'd'\''e' '' --f=1:2/3`
	if got := p.CommandLine(); got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
}
