package web

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience bounds every wait. No test passes or fails on how much of it was used.
const patience = 30 * time.Second

const (
	ngPort, natsPort, routePort, httpPort = 2223, 4222, 6222, 8080
	token                                 = "a-token-for-tests-only-0123456789"
)

// buildDir is where program has put it; "" if no test needed it.
var buildDir string

// program builds rtpjet once.
var program = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "rtpjet-web-test-")
	if err != nil {
		return "", err
	}
	buildDir = dir
	name := filepath.Join(dir, "rtpjet")
	if out, err := exec.Command("go", "build", "-o", name, "rtpjet/cmd/rtpjet").CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return name, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	_ = os.RemoveAll(buildDir)
	os.Exit(code)
}

// cluster is three nodes on addresses of the loopback network that nobody else uses.
type cluster struct {
	t      *testing.T
	net    [3]byte
	nodes  []*node
	phones []*phone
}

type node struct {
	id    string
	addr  netip.Addr
	args  []string
	log   string
	cmd   *exec.Cmd
	ended chan struct{}
}

func (c *cluster) addr(last byte) netip.Addr {
	return netip.AddrFrom4([4]byte{c.net[0], c.net[1], c.net[2], last})
}

func startCluster(t *testing.T) *cluster {
	t.Helper()
	bin, err := program()
	if err != nil {
		t.Fatal(err)
	}
	c := &cluster{t: t, net: [3]byte{127, byte(100 + os.Getpid()%90), byte(1 + os.Getpid()/90%200)}}
	secret := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(secret, []byte(token+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	key := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(key, []byte("a-cluster-key-for-tests-0123456789\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var routes []string
	for i := range byte(3) {
		routes = append(routes, netip.AddrPortFrom(c.addr(i+1), routePort).String())
	}
	for i := range byte(3) {
		a := c.addr(i + 1)
		at := func(port uint16) string { return netip.AddrPortFrom(a, port).String() }
		n := &node{id: fmt.Sprintf("n%d", i+1), addr: a}
		n.log = filepath.Join(t.TempDir(), n.id+".log")
		n.args = []string{
			"serve", "--config-file", "none", "--node-id", n.id, "--interface", a.String(), "--listen-ng", at(ngPort),
			"--nats-listen", at(natsPort), "--nats-cluster-listen", at(routePort), "--nats-routes", strings.Join(routes, ","),
			"--data-dir", t.TempDir(), "--cluster-key-file", key, "--listen-http", at(httpPort), "--http-token-file", secret,
			"--float-provider", "none", "--float-timeout", "400", "--float-settle", "0",
			"--float", "default/" + c.addr(101).String() + "/8@lo", "--float", "default/" + c.addr(102).String() + "/8@lo",
		}
		c.nodes = append(c.nodes, n)
		c.start(n, bin)
	}
	t.Cleanup(func() {
		for _, n := range c.nodes {
			_ = n.cmd.Process.Signal(syscall.SIGTERM)
		}
		for _, n := range c.nodes {
			select {
			case <-n.ended:
			case <-time.After(patience):
				_ = n.cmd.Process.Kill()
				<-n.ended
			}
			if t.Failed() {
				text, _ := os.ReadFile(n.log)
				t.Logf("%s:\n%s", n.id, text[max(0, len(text)-4000):])
			}
		}
		for _, p := range c.phones {
			p.close()
		}
	})
	for _, n := range c.nodes {
		eventually(t, n.id+" is not ready", func() error {
			select {
			case <-n.ended:
				t.Fatal(n.id, "has ended at its start")
			default:
			}
			return n.get(t.Context(), "/readyz", nil)
		})
	}
	return c
}

func (c *cluster) start(n *node, bin string) {
	c.t.Helper()
	log, err := os.OpenFile(n.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		c.t.Fatal(err)
	}
	defer log.Close()
	n.cmd = exec.Command(bin, n.args...)
	n.cmd.Stdout, n.cmd.Stderr = log, log
	n.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := n.cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	cmd, ended := n.cmd, make(chan struct{})
	n.ended = ended
	go func() {
		_ = cmd.Wait()
		close(ended)
	}()
}

func (n *node) url() string { return fmt.Sprintf("http://%s:%d", n.addr, httpPort) }

// get asks a node over HTTP, and decodes what it answers.
func (n *node) get(ctx context.Context, path string, out any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, n.url()+path, nil)
	if err != nil {
		return err
	}
	r, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer r.Body.Close()
	if r.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", path, r.Status)
	}
	if out == nil {
		return nil
	}
	return json.NewDecoder(r.Body).Decode(out)
}

// ng sends a command and returns its reply.
func (n *node) ng(cmd map[string]any) (map[string]any, error) {
	conn, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(netip.AddrPortFrom(n.addr, ngPort)))
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	body, err := json.Marshal(cmd)
	if err != nil {
		return nil, err
	}
	msg := append(fmt.Appendf(nil, "%s_1 ", conn.LocalAddr().String()[len("127."):]), body...)
	buf := make([]byte, 65536)
	for range 10 { // as a proxy does
		if _, err := conn.Write(msg); err != nil {
			return nil, err
		}
		_ = conn.SetReadDeadline(time.Now().Add(3 * time.Second))
		num, err := conn.Read(buf)
		if err != nil {
			continue
		}
		_, text, _ := strings.Cut(string(buf[:num]), " ")
		var reply map[string]any
		return reply, json.Unmarshal([]byte(text), &reply)
	}
	return nil, fmt.Errorf("%s does not answer %v", n.id, cmd["command"])
}

// bystander is a node that holds no floating address: one that does is killed, and the page is to go on.
func (c *cluster) bystander() (found *node) {
	eventually(c.t, "not all floating addresses have a holder", func() error {
		var view struct {
			Floats []struct{ Holder string }
		}
		if err := c.nodes[0].get(c.t.Context(), "/api/v1/cluster", &view); err != nil {
			return err
		}
		holds := map[string]bool{}
		for _, f := range view.Floats {
			holds[f.Holder] = true
		}
		if len(view.Floats) != 2 || holds[""] {
			return fmt.Errorf("%+v", view)
		}
		for _, n := range c.nodes {
			if !holds[n.id] {
				found = n
			}
		}
		return nil
	})
	return found
}

// eventually waits for a condition.
func eventually(t *testing.T, what string, f func() error) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		err := f()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: %v", what, err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}
