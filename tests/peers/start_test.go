//go:build unix

package peers

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience bounds every wait for a peer. It is long because the machine may be
// busy; no test passes or fails on how much of it was used.
const patience = 30 * time.Second

func TestMain(m *testing.M) {
	code := m.Run()
	if buildDir != "" {
		if err := os.RemoveAll(buildDir); err != nil {
			fmt.Fprintln(os.Stderr, "remove test build:", err)
		}
	}
	os.Exit(code)
}

// missing skips the test, or fails it where every peer must be there.
func missing(t *testing.T, format string, args ...any) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf(format, args...)
	}
	t.Skipf(format, args...)
}

// program finds a peer's program. Debian keeps some of them in directories
// that an ordinary user does not search.
func program(t *testing.T, name, debianPackage string) string {
	t.Helper()
	if path, err := exec.LookPath(name); err == nil {
		return path
	}
	for _, dir := range []string{"/usr/sbin", "/usr/local/sbin"} {
		path := filepath.Join(dir, name)
		if info, err := os.Stat(path); err == nil && info.Mode()&0o111 != 0 {
			return path
		}
	}
	missing(t, "%s is not installed (Debian package %s)", name, debianPackage)
	return ""
}

// process is a program that a test started and ends.
type process struct {
	name string
	cmd  *exec.Cmd
	log  string        // file with its standard output and error
	done chan struct{} // closed when it has ended
	err  error         // how it ended; read after done
}

// start runs a program in a directory of its own and ends it with the test.
func start(t *testing.T, path string, args ...string) *process {
	t.Helper()
	name := filepath.Base(path)
	dir := t.TempDir()
	out, err := os.Create(filepath.Join(dir, name+".log"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close() // the program has a descriptor of its own

	p := &process{name: name, log: out.Name(), done: make(chan struct{})}
	p.cmd = exec.Command(path, args...)
	p.cmd.Dir = dir
	p.cmd.Stdout, p.cmd.Stderr = out, out
	p.cmd.Env = append(os.Environ(), "TERM=xterm") // SIPp draws a screen
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := p.cmd.Start(); err != nil {
		t.Fatalf("start %s: %v", name, err)
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.done)
	}()
	t.Cleanup(func() {
		p.stop(t)
		if t.Failed() {
			t.Logf("%s %s\n%s", name, strings.Join(args, " "), tail(p.log))
		}
	})
	return p
}

// stop asks the program to end, and its process group to if it does not.
func (p *process) stop(t *testing.T) {
	t.Helper()
	select {
	case <-p.done:
		return
	default:
	}
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		t.Errorf("stop %s: %v", p.name, err)
	}
	select {
	case <-p.done:
	case <-time.After(10 * time.Second):
		if err := syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL); err != nil {
			t.Errorf("kill %s: %v", p.name, err)
		}
		<-p.done
		t.Errorf("%s did not end within 10 s of SIGTERM", p.name)
	}
}

// finish waits for a program that ends by itself, successfully.
func (p *process) finish(t *testing.T) {
	t.Helper()
	select {
	case <-p.done:
		if p.err != nil {
			t.Fatalf("%s: %v\n%s", p.name, p.err, tail(p.log))
		}
	case <-time.After(patience):
		t.Fatalf("%s did not end\n%s", p.name, tail(p.log))
	}
}

// ended says whether the program is gone.
func (p *process) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

func tail(path string) string {
	const most = 8 << 10
	data, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	if len(data) > most {
		data = data[len(data)-most:]
	}
	return string(data)
}

// eventually polls until ok says so, and fails the test when patience ends.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("gave up waiting: %s", what)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// freePort picks a UDP port that was free a moment ago.
func freePort(t *testing.T) int {
	t.Helper()
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	return conn.LocalAddr().(*net.UDPAddr).Port
}

// ports is a range of media ports, both ends included.
type ports struct{ min, max int }

// mediaPorts picks a range of free ports below those which the kernel hands
// out by itself. It is large enough for all calls of a test one after the other
// without using a port twice, since a freed port rests.
func mediaPorts(t *testing.T) ports {
	t.Helper()
	for range 50 {
		low := 10000 + 500*rand.IntN(36)
		p := ports{low, low + 499}
		if p.taken() == nil {
			return p
		}
	}
	t.Fatal("found no 500 free ports in a row")
	return ports{}
}

// taken lists the ports of the range that somebody holds.
func (p ports) taken() []int {
	var held []int
	for port := p.min; port <= p.max; port++ {
		conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port})
		if err != nil {
			held = append(held, port)
			continue
		}
		conn.Close()
	}
	return held
}

// server is the relay under test.
type server struct {
	*process
	ng    string // host:port of its NG socket
	port  int    // the port in ng
	media ports

	program string // rtpjet itself; empty if the relay is another
	nats    string // host:port of rtpjet's embedded NATS
}

var (
	buildDir string
	build    = sync.OnceValues(func() (string, error) {
		dir, err := os.MkdirTemp("", "rtpjet-peers-")
		if err != nil {
			return "", err
		}
		buildDir = dir
		path := filepath.Join(dir, "rtpjet")
		if out, err := exec.Command("go", "build", "-o", path, "rtpjet/cmd/rtpjet").CombinedOutput(); err != nil {
			return "", fmt.Errorf("build rtpjet: %w\n%s", err, out)
		}
		return path, nil
	})
)

// startServer starts the relay under test and waits until it answers. Without
// interfaces it has one, 127.0.0.1.
func startServer(t *testing.T, interfaces ...string) *server {
	t.Helper()
	s := &server{port: freePort(t), media: mediaPorts(t)}
	s.ng = net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port))
	args := []string{
		"--listen-ng=" + s.ng, "--config-file=none",
		fmt.Sprintf("--port-min=%d", s.media.min), fmt.Sprintf("--port-max=%d", s.media.max),
		"--delete-delay=0",
	}
	t.Cleanup(func() { // after its own Cleanup has ended it
		if s.process != nil && s.err != nil {
			t.Errorf("the relay did not end well: %v\n%s", s.err, tail(s.log))
		}
	})
	if len(interfaces) == 0 {
		interfaces = []string{"127.0.0.1"}
	}
	for _, name := range interfaces {
		args = append(args, "--interface="+name)
	}
	switch choice := os.Getenv("RTPJET_TEST_SERVER"); choice {
	case "rtpengine":
		args = append(args, "--foreground", "--log-stderr", "--table=-1")
		s.process = start(t, program(t, "rtpengine", "rtpengine-daemon"), args...)
	case "":
		path, err := build()
		if err != nil {
			t.Fatal(err)
		}
		s.program = path
	default:
		s.program = choice
	}
	if s.program != "" {
		s.nats = net.JoinHostPort("127.0.0.1", strconv.Itoa(freePort(t)))
		own := []string{"serve", "--node-id=n1", "--nats-listen=" + s.nats, "--data-dir=" + t.TempDir()}
		s.process = start(t, s.program, append(own, args...)...)
	}
	eventually(t, "the relay answers ping", func() bool {
		if s.ended() {
			t.Fatalf("the relay ended at its start: %v", s.err)
		}
		reply, err := s.try(request{"command": "ping"}, 200*time.Millisecond)
		return err == nil && reply["result"] == "pong"
	})
	return s
}
