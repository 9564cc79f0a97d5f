package demo

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"rtpjet/ngserver/bencode"
)

// cluster is a double of the nodes. Processes of this test program stand for them, so that they can be killed, and say where they
// were told to listen; the cluster answers NG and relays RTP there for as long as they live. It does what a test plants.
type cluster struct {
	t        *testing.T
	dir      string // of the nodes, whose parent names the cluster to their processes
	listener net.Listener
	work     sync.WaitGroup

	// reply may change a reply, or has nobody answer if it returns false. media may change a packet of a call that goes to one
	// of its ends, or drop it.
	reply func(at string, cmd, reply *bencode.Dict) bool
	media func(c *relayed, to int, packet []byte) []byte

	mu    sync.Mutex
	nodes map[string]*double
	calls map[string]*relayed
	order []string          // the commands and who got them: offer n1
	first map[string]string // command and call-id → SDP of the first reply
}

// double is what answers for one process.
type double struct {
	addr netip.Addr
	ng   *net.UDPConn
}

// relayed is a call and the two sockets that face its ends.
type relayed struct {
	id    string
	owner string
	tags  [2]string
	conns [2]*net.UDPConn
	ends  [2]netip.AddrPort
}

// controlFile has the address of the cluster, beside the directory of the nodes.
const controlFile = "control"

// beNode is the process of a node: it says to the cluster what it was started with, and waits for its end.
func beNode(args []string) int {
	dir := args[slices.Index(args, "--data-dir")+1]
	fmt.Println("a node begins")
	addr, err := os.ReadFile(filepath.Join(filepath.Dir(filepath.Dir(dir)), controlFile))
	if err != nil {
		fmt.Println("no such luck:", err)
		return 3
	}
	conn, err := net.Dial("tcp", string(addr))
	if err != nil {
		fmt.Println(err)
		return 3
	}
	defer conn.Close()
	fmt.Fprintln(conn, strings.Join(args, "\t"))
	_, _ = io.Copy(io.Discard, conn)
	return 0
}

// newCluster makes a cluster whose nodes will live in a directory below dir.
func newCluster(t *testing.T, dir string) *cluster {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("needs a loopback network with many addresses")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &cluster{t: t, dir: dir, listener: l, nodes: map[string]*double{}, calls: map[string]*relayed{}, first: map[string]string{}}
	if err := os.WriteFile(filepath.Join(dir, controlFile), []byte(l.Addr().String()), 0o600); err != nil {
		t.Fatal(err)
	}
	c.work.Go(c.welcome)
	t.Cleanup(c.close)
	return c
}

// close ends all that the cluster does. The processes have ended by then.
func (c *cluster) close() {
	_ = c.listener.Close()
	c.mu.Lock()
	for _, n := range c.nodes {
		_ = n.ng.Close()
	}
	for _, r := range c.calls {
		r.close()
	}
	c.mu.Unlock()
	c.work.Wait()
}

func (r *relayed) close() {
	for _, conn := range r.conns {
		if conn != nil {
			_ = conn.Close()
		}
	}
}

func (c *cluster) welcome() {
	for {
		conn, err := c.listener.Accept()
		if err != nil {
			return
		}
		c.work.Go(func() { c.house(conn) })
	}
}

// house answers for a process while it lives.
func (c *cluster) house(conn net.Conn) {
	defer conn.Close()
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil {
		return
	}
	args := strings.Split(strings.TrimSpace(line), "\t")
	value := func(option string) string { return args[slices.Index(args, option)+1] }
	at, err := netip.ParseAddrPort(value("--listen-ng"))
	if err != nil {
		c.t.Error(err)
		return
	}
	ng, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(at))
	if err != nil {
		c.t.Error(err)
		return
	}
	id := value("--node-id")
	n := &double{addr: at.Addr(), ng: ng}
	c.mu.Lock()
	c.nodes[id] = n
	c.mu.Unlock()
	c.work.Go(func() { c.answer(id, n) })
	_, _ = io.Copy(io.Discard, conn) // until the process is gone
	_ = ng.Close()
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, r := range c.calls {
		if r.owner == id {
			r.close() // and the others remember the call
		}
	}
}

// answer takes commands.
func (c *cluster) answer(id string, n *double) {
	buf := make([]byte, 65535)
	said := map[string][]byte{} // cookie → reply, for who asks again
	for {
		size, from, err := n.ng.ReadFromUDPAddrPort(buf)
		if err != nil {
			return
		}
		cookie, body, _ := bytes.Cut(buf[:size], []byte(" "))
		if out := said[string(cookie)]; out != nil {
			_, _ = n.ng.WriteToUDPAddrPort(out, from)
			continue
		}
		cmd, _, err := bencode.DecodeDict(bytes.Clone(body))
		if err != nil {
			c.t.Error(err)
			return
		}
		reply, answered := c.do(id, n, cmd)
		if !answered {
			continue
		}
		out, err := bencode.Append(append(bytes.Clone(cookie), ' '), reply)
		if err != nil {
			c.t.Error(err)
			return
		}
		said[string(cookie)] = out
		_, _ = n.ng.WriteToUDPAddrPort(out, from)
	}
}

func (c *cluster) do(id string, n *double, cmd *bencode.Dict) (*bencode.Dict, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	name := text(cmd, "command")
	if name != "ping" {
		c.order = append(c.order, name+" "+id)
	}
	reply := new(bencode.Dict).Add("result", "ok")
	r := c.calls[text(cmd, "call-id")]
	switch {
	case name == "ping":
		reply.Set("result", "pong")
	case name == "list":
		var ids bencode.List
		for call := range c.calls {
			ids = append(ids, call)
		}
		reply.Add("calls", ids)
	case name == "offer":
		if r == nil || r.owner != id && text(cmd, "to-tag") != "" {
			r = c.take(id, n, cmd)
		}
		reply.Add("sdp", c.describe(r, caller, cmd))
	case r == nil:
		reply.Set("result", "error").Add("error-reason", "Unknown call-id")
	case name == "answer":
		r.tags[callee] = text(cmd, "to-tag")
		reply.Add("sdp", c.describe(r, callee, cmd))
	case name == "query":
		tags := new(bencode.Dict)
		for end, tag := range r.tags {
			local := r.local(end)
			stream := new(bencode.Dict).Add("local address", local.Addr().String()).Add("local port", int(local.Port()))
			tags.Add(tag, new(bencode.Dict).Add("medias", bencode.List{new(bencode.Dict).Add("streams", bencode.List{stream})}))
		}
		reply.Add("tags", tags)
	case name == "delete":
		r.close()
		delete(c.calls, r.id)
	}
	if c.reply != nil && !c.reply(id, cmd, reply) {
		return nil, false
	}
	return reply, true
}

// take has a node relay a call, and lets go of what another one had of it.
func (c *cluster) take(id string, n *double, cmd *bencode.Dict) *relayed {
	r := &relayed{id: text(cmd, "call-id"), owner: id, tags: [2]string{text(cmd, "from-tag"), text(cmd, "to-tag")}}
	if old := c.calls[r.id]; old != nil {
		old.close()
		r.ends = old.ends
	}
	c.calls[r.id] = r
	for end := range r.conns {
		conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(n.addr, 0)))
		if err != nil {
			c.t.Error(err)
			return r
		}
		r.conns[end] = conn
	}
	for end := range r.conns {
		c.work.Go(func() { c.forward(r, end) })
	}
	return r
}

// local is the address that faces an end.
func (r *relayed) local(end int) netip.AddrPort {
	return r.conns[end].LocalAddr().(*net.UDPAddr).AddrPort()
}

// describe notes where an end is, and returns the SDP for the other one.
func (c *cluster) describe(r *relayed, from int, cmd *bencode.Dict) string {
	r.ends[from], _ = mediaAddress(text(cmd, "sdp"))
	sdp, first := phoneSDP(r.local(1-from), 1), text(cmd, "command")+r.id
	if c.first[first] == "" {
		c.first[first] = sdp
	}
	return sdp
}

// forward passes on what one end sends.
func (c *cluster) forward(r *relayed, from int) {
	buf := make([]byte, 2048)
	for {
		n, err := r.conns[from].Read(buf)
		if err != nil {
			if strings.Contains(err.Error(), "refused") { // a phone that is gone
				continue
			}
			return
		}
		c.mu.Lock()
		packet, to := buf[:n], r.ends[1-from]
		if c.media != nil {
			packet = c.media(r, 1-from, packet)
		}
		c.mu.Unlock()
		if packet != nil && to.IsValid() {
			_, _ = r.conns[1-from].WriteToUDPAddrPort(packet, to)
		}
	}
}

// ordered are the commands that nodes got, and forgets them.
func (c *cluster) ordered() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := c.order
	c.order = nil
	return out
}

// blocks gives each cluster of these tests addresses of its own.
var blocks atomic.Uint32

// started is a demonstration whose nodes run and answer, and have addresses that no other test has.
func (c *cluster) started(calls int) (*demo, *bytes.Buffer) {
	c.t.Helper()
	exe, err := os.Executable()
	if err != nil {
		c.t.Fatal(err)
	}
	var out bytes.Buffer
	d := &demo{out: teller{w: &out, began: time.Now()}, exe: exe, wanted: calls, dir: filepath.Join(c.dir, "nodes")}
	if err := os.Mkdir(d.dir, 0o700); err != nil {
		c.t.Fatal(err)
	}
	d.ng.run = "t"
	block := byte(blocks.Add(1))
	for i := range byte(nodeCount) {
		p := place{
			id: fmt.Sprintf("n%d", i+1), addr: netip.AddrFrom4([4]byte{127, 64 + byte(os.Getpid()>>8)&63, byte(os.Getpid()), 4*block + i}),
			ng: 2223, nats: 4222, cluster: 6222, http: 8080,
		}
		d.nodes = append(d.nodes, &node{place: p, dir: filepath.Join(d.dir, p.id), logFile: filepath.Join(d.dir, p.id+".log")})
	}
	c.t.Cleanup(func() {
		for _, call := range d.calls {
			call.hangUp()
		}
		for _, n := range d.nodes {
			if n.running() {
				_ = n.cmd.Process.Kill()
			}
			n.await(endTime)
		}
	})
	for _, n := range d.nodes {
		if err := n.start(d.exe, ""); err != nil {
			c.t.Fatal(err)
		}
	}
	for _, n := range d.nodes {
		if err := n.answering(c.t.Context(), &d.ng); err != nil {
			c.t.Fatal(err)
		}
	}
	d.up = d.nodes
	return d, &out
}
