//go:build unix

package peers

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"rtpjet/tests/rerun"
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

	killed atomic.Bool // by the test
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

// kill is kill -9.
func (p *process) kill(t *testing.T) {
	t.Helper()
	p.killed.Store(true)
	if err := p.cmd.Process.Kill(); err != nil {
		t.Errorf("kill %s: %v", p.name, err)
	}
	<-p.done
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
	if !poll(ok) {
		t.Fatalf("gave up waiting: %s", what)
	}
}

// poll asks until ok says so, and reports whether it did before patience ended.
func poll(ok func() bool) bool {
	deadline := time.Now().Add(patience)
	for !ok() {
		if time.Now().After(deadline) {
			return false
		}
		time.Sleep(10 * time.Millisecond)
	}
	return true
}

// lastPort is the last one that freePort tried, counted from firstPort on.
var lastPort atomic.Uint32

func init() { lastPort.Store(rand.Uint32N(manyPorts)) }

// The ports that freePort gives lie between those of mediaPorts and those that
// the kernel gives to sockets which ask for none.
const (
	firstPort = 28000
	manyPorts = 4700
)

// freePort picks a port that was free a moment ago, another one each time.
func freePort(t *testing.T) int {
	t.Helper()
	var port int
	eventually(t, "a free port", func() bool {
		port = firstPort + int(lastPort.Add(1)%manyPorts)
		conn, err := net.ListenUDP("udp4", &net.UDPAddr{Port: port}) // fails if any address has the port in use
		if err != nil {
			return false
		}
		conn.Close()
		listener, err := net.Listen("tcp4", net.JoinHostPort(loopback, strconv.Itoa(port)))
		if err != nil {
			return false
		}
		listener.Close()
		return true
	})
	return port
}

// ports is a range of media ports, both ends included.
type ports struct{ min, max int }

// mediaPorts picks a range of free ports below those which the kernel hands
// out by itself. It is large enough for all calls of a test one after the other
// without using a port twice, since a freed port rests. It is none of those in
// use.
func mediaPorts(t *testing.T, used ...ports) ports {
	t.Helper()
	var p ports
	eventually(t, "500 free ports in a row", func() bool {
		low := 10000 + 500*rand.IntN(36)
		p = ports{low, low + 499}
		return !slices.Contains(used, p) && p.taken() == nil
	})
	return p
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

// server is the relay under test: a process, or a cluster of them.
type server struct {
	*process        // nil for a cluster
	ng       string // host:port of its NG socket
	port     int    // the port in ng
	socks    string // what Kamailio is told
	phones   string // the address of phones and proxy
	addr     string // of its media; empty: a loopback address
	media    ports
	args     []string
	within   string // the program that starts it; empty: it is started itself

	program string // rtpjet itself; empty if the relay is another
	nats    string // host:port of rtpjet's embedded NATS

	nodes []*server // the processes of a cluster
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
	s := newServer(t, freePort(t), mediaPorts(t), interfaces...)
	if s.program != "" {
		s.nats = net.JoinHostPort(loopback, strconv.Itoa(freePort(t)))
		s.args = append([]string{"serve", "--node-id=n1", "--nats-listen=" + s.nats, "--data-dir=" + t.TempDir()}, s.args...)
	}
	s.launch(t)
	s.answers(t)
	t.Cleanup(func() { s.rerun(t) })
	return s
}

// rerun makes the decisions again that are in the server's log, if that is wanted.
func (s *server) rerun(t *testing.T) {
	if s.nats != "" && !t.Failed() {
		rerun.Server(t, s.program, s.nats)
	}
}

// newServer prepares one process of the relay under test.
func newServer(t *testing.T, port int, media ports, interfaces ...string) *server {
	t.Helper()
	s := &server{port: port, media: media, phones: loopback, ng: net.JoinHostPort(loopback, strconv.Itoa(port))}
	s.socks = "udp:" + s.ng
	s.args = []string{
		"--listen-ng=" + s.ng, "--config-file=none",
		fmt.Sprintf("--port-min=%d", s.media.min), fmt.Sprintf("--port-max=%d", s.media.max),
		"--delete-delay=0",
	}
	if len(interfaces) == 0 {
		interfaces = []string{loopback}
	}
	for _, name := range interfaces {
		s.args = append(s.args, "--interface="+name)
	}
	switch choice := os.Getenv("RTPJET_TEST_SERVER"); choice {
	case "rtpengine":
		s.args = append(s.args, "--foreground", "--log-stderr", "--table=-1")
	case "":
		path, err := build()
		if err != nil {
			t.Fatal(err)
		}
		s.program = path
	default:
		s.program = choice
	}
	return s
}

// launch starts the process, which must end well unless the test kills it.
func (s *server) launch(t *testing.T) {
	t.Helper()
	var p *process
	t.Cleanup(func() { // after its own Cleanup has ended it
		if p != nil && p.err != nil && !p.killed.Load() {
			t.Errorf("the relay did not end well: %v\n%s", p.err, tail(p.log))
		}
	})
	path := s.program
	if s.within != "" {
		path = program(t, s.within, "util-linux")
	}
	if path == "" {
		path = program(t, "rtpengine", "rtpengine-daemon")
	}
	p = start(t, path, s.args...)
	s.process = p
}

// answers waits until the process answers.
func (s *server) answers(t *testing.T) {
	t.Helper()
	eventually(t, "the relay answers ping", func() bool {
		if s.ended() {
			t.Fatalf("the relay ended at its start: %v", s.err)
		}
		reply, err := s.try(request{"command": "ping"}, 200*time.Millisecond)
		return err == nil && reply["result"] == "pong"
	})
}

// running are the processes that the test has not killed.
func (s *server) running() []*server {
	if s.process != nil {
		return []*server{s}
	}
	return slices.DeleteFunc(slices.Clone(s.nodes), func(n *server) bool { return n.process.killed.Load() })
}

// owner is the running process whose media port this is.
func (s *server) owner(relay netip.AddrPort) *server { return among(s.running(), relay) }

// among finds the process whose media port this is.
func among(of []*server, relay netip.AddrPort) *server {
	for _, n := range of {
		if port := int(relay.Port()); (relay.Addr().String() == n.addr || n.addr == "" && relay.Addr().IsLoopback()) && port >= n.media.min && port <= n.media.max {
			return n
		}
	}
	return nil
}
