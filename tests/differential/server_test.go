package differential

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Both servers get the same interfaces. The addresses that go into SDPs are from the documentation ranges where an
// advertised one is configured, so a script can tell bound and advertised addresses apart.
var interfaces = []string{
	"pub/127.0.0.1!203.0.113.1",
	"pub/::1!2001:db8::1",
	"priv/127.0.0.2",
}

// A server is a running peer.
type server struct {
	name             string
	addr             *net.UDPAddr
	portMin, portMax int
	log              string // file
}

// startServer runs argv with the options that both servers know, and waits until it answers a ping.
func startServer(t *testing.T, name string, portMin, portMax int, argv ...string) *server {
	t.Helper()
	probe, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	s := &server{name: name, addr: probe.LocalAddr().(*net.UDPAddr), portMin: portMin, portMax: portMax}
	if err := probe.Close(); err != nil {
		t.Fatal(err)
	}
	for _, i := range interfaces {
		argv = append(argv, "--interface", i)
	}
	argv = append(argv,
		"--listen-ng", s.addr.String(),
		"--port-min", fmt.Sprint(portMin),
		"--port-max", fmt.Sprint(portMax),
		"--foreground", "--log-stderr", "--log-level", *logLevel)

	s.log = filepath.Join(t.TempDir(), name+".log")
	logFile, err := os.Create(s.log)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Stdout, cmd.Stderr = logFile, logFile
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 5 * time.Second
	if err := cmd.Start(); err != nil {
		cancel()
		t.Fatalf("start %s: %v", name, err)
	}
	exited := make(chan struct{})
	go func() {
		defer close(exited)
		_ = cmd.Wait() // how it ended shows in what it answered, and in its log
	}()
	t.Cleanup(func() {
		cancel()
		<-exited
		_ = logFile.Close()
		if t.Failed() && *logLevel != "3" {
			t.Logf("log of %s:\n%s", name, tail(s.log))
		}
	})
	if err := s.waitReady(exited); err != nil {
		t.Fatalf("%v\n%s\n%s", err, strings.Join(argv, " "), tail(s.log))
	}
	return s
}

func tail(file string) string {
	b, err := os.ReadFile(file)
	if err != nil {
		return err.Error()
	}
	if const64k := 64 << 10; len(b) > const64k {
		b = b[len(b)-const64k:]
	}
	return string(b)
}

// waitReady pings until a pong comes. A refused ping comes back at once, so the next try waits for a tick.
func (s *server) waitReady(exited <-chan struct{}) error {
	deadline := time.NewTimer(20 * time.Second)
	defer deadline.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for n := 0; ; n++ {
		select {
		case <-exited:
			return fmt.Errorf("%s ended at its start", s.name)
		case <-deadline.C:
			return fmt.Errorf("%s answers no ping at %v", s.name, s.addr)
		case <-tick.C:
		}
		c, err := s.dial()
		if err != nil {
			return err
		}
		reply, err := c.exchange(fmt.Sprintf("ready_%d", n), []byte("d7:command4:pinge"), 500*time.Millisecond)
		c.close()
		if err == nil && bytes.Contains(reply, []byte("pong")) {
			return nil
		}
	}
}

// A client is one socket; scripts do not share sockets.
type client struct{ conn *net.UDPConn }

func (s *server) dial() (*client, error) {
	conn, err := net.DialUDP("udp", nil, s.addr)
	if err != nil {
		return nil, err
	}
	return &client{conn}, nil
}

func (c *client) close() { _ = c.conn.Close() }

var errNoReply = errors.New("no reply")

// exchange sends one command and returns the payload of the reply that has its cookie.
func (c *client) exchange(cookie string, payload []byte, timeout time.Duration) ([]byte, error) {
	if _, err := c.conn.Write(append([]byte(cookie+" "), payload...)); err != nil {
		return nil, err
	}
	if err := c.conn.SetReadDeadline(time.Now().Add(timeout)); err != nil {
		return nil, err
	}
	buf := make([]byte, 1<<16)
	n, err := c.conn.Read(buf)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errNoReply, err)
	}
	got, reply, ok := bytes.Cut(buf[:n], []byte(" "))
	if !ok || string(got) != cookie {
		return nil, fmt.Errorf("reply with cookie %q, want %q", got, cookie)
	}
	return bytes.Clone(reply), nil
}
