package peers

import (
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netns"

	"rtpjet/tests/lab"
)

// The addresses of examples/high-availability.
const (
	floatAddr = "192.0.2.100"
	sipAddr   = "192.0.2.50"
	ngPort    = 2223
)

// floating is a cluster of three nodes, each a network namespace on a switch,
// that holds the floating address of examples/high-availability. SIP has a
// namespace too, which the test's goroutine enters.
type floating struct {
	*server
	sip    *lab.Port
	key    string // the file with the nodes' secret
	places map[*server]*lab.Port
}

// floatRow is what `rtpjet float list --json` says of the float.
type floatRow struct {
	Holder, Successor string
	Warm              []string
}

// startFloating starts the nodes with the files of the example, and waits until
// one holds the address and the others are ready to.
func startFloating(t *testing.T) *floating {
	t.Helper()
	if os.Getenv("RTPJET_TEST_SERVER") == "rtpengine" {
		t.Skip("rtpengine has no floating address")
	}
	program(t, "nsenter", "util-linux")
	if err := lab.Namespaces(); err != nil {
		t.Skip(err)
	}
	sw, err := lab.NewSwitch()
	if err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() {
		if err := sw.Close(); err != nil {
			t.Error(err)
		}
	})
	plug := func(name, addr string) *lab.Port {
		p, err := sw.Plug(name, netip.MustParseAddr(addr))
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	f := &floating{sip: plug("sip", sipAddr), places: make(map[*server]*lab.Port)}
	f.server = &server{
		ng: net.JoinHostPort(floatAddr, strconv.Itoa(ngPort)), port: ngPort, socks: exampleSocks(t), phones: sipAddr,
		addr: floatAddr, media: ports{30000, 39999},
	}
	f.enter(t)
	secret := []byte("a secret of the nodes of this test")
	f.key = filepath.Join(t.TempDir(), "cluster.key")
	if err := os.WriteFile(f.key, secret, 0o600); err != nil {
		t.Fatal(err)
	}
	for i := range clusterSize {
		name := fmt.Sprint("n", i+1)
		addr := fmt.Sprint("192.0.2.", i+1)
		n := newServer(t, ngPort, f.media)
		n.ng, n.addr, n.nats = net.JoinHostPort(addr, strconv.Itoa(ngPort)), floatAddr, net.JoinHostPort(addr, "4222")
		place := plug(name, addr)
		n.args = []string{
			"--net=/run/netns/" + place.Name, "--", n.program, "serve", "--config-file", example(t, name+".conf"),
			"--data-dir=" + filepath.Join(t.TempDir(), "data"), "--cluster-key-file=" + f.key, "--delete-delay=0",
		}
		n.within = "nsenter"
		f.program = n.program
		f.places[n] = place
		f.nodes = append(f.nodes, n)
		n.launch(t)
	}
	for _, n := range f.nodes {
		n.answers(t)
	}
	copied(t, f.door(t, f.nodes[0].nats), secret)
	f.ready(t)
	return f
}

func example(t *testing.T, name string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("../../examples/high-availability", name))
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// exampleSocks is the relay in the example's lines for kamailio.cfg.
func exampleSocks(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(example(t, "kamailio-rtpengine.cfg"))
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`(?m)^modparam\("rtpengine", "rtpengine_sock", "(.*)"\)$`).FindSubmatch(text)
	if found == nil {
		t.Fatal("the example names no relay")
	}
	return string(found[1])
}

// enter moves the calling goroutine, and the programs that it starts, to where
// SIP is. Its thread ends with it.
func (f *floating) enter(t *testing.T) {
	t.Helper()
	runtime.LockOSThread()
	ns, err := netns.GetFromName(f.sip.Name)
	if err == nil {
		err = netns.Set(ns)
		_ = ns.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
}

// door listens outside of the namespaces, for a client whose goroutines are
// there, and passes on to an address inside.
func (f *floating) door(t *testing.T, to string) (at string) {
	t.Helper()
	var outside net.Listener
	opened := make(chan error)
	go func() { // on a thread that has not entered
		var err error
		outside, err = net.Listen("tcp4", net.JoinHostPort(loopback, "0"))
		opened <- err
	}()
	if err := <-opened; err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { outside.Close() })
	go func() { // ends with the listener
		for {
			client, err := outside.Accept()
			if err != nil {
				return
			}
			var server net.Conn
			if err = f.sip.Do(func() (err error) { server, err = net.Dial("tcp4", to); return err }); err != nil {
				client.Close()
				continue
			}
			pass := func(to, from net.Conn) {
				_, _ = io.Copy(to, from) // its end is the end of both
				to.Close()
			}
			go pass(client, server)
			go pass(server, client)
		}
	}()
	return outside.Addr().String()
}

// run is t.Run where SIP is.
func (f *floating) run(t *testing.T, name string, test func(*testing.T)) {
	t.Helper()
	t.Run(name, func(t *testing.T) {
		f.enter(t)
		test(t)
	})
}

// tool runs one of rtpjet's own commands.
func (f *floating) tool(args ...string) ([]byte, error) {
	cmd := exec.Command(f.program, append(args, "--cluster-key-file="+f.key, "--nats=nats://"+f.running()[0].nats)...)
	out, err := cmd.Output()
	if err != nil {
		var said []byte
		if e := new(exec.ExitError); errors.As(err, &e) {
			said = e.Stderr
		}
		return out, fmt.Errorf("%q: %w\n%s", args, err, said)
	}
	return out, nil
}

// json runs one of rtpjet's own commands and reads what it prints.
func (f *floating) json(into any, args ...string) error {
	out, err := f.tool(append(args, "--json")...)
	if err != nil {
		return err
	}
	return json.Unmarshal(out, into)
}

// ready waits until all nodes that run know each other, and the float has a
// holder and a successor that has its calls ready. It returns the holder.
func (f *floating) ready(t *testing.T) *server {
	t.Helper()
	var holder *server
	var why error
	ok := poll(func() bool {
		var nodes []struct{ Verdict string }
		var rows []floatRow
		why = errors.Join(f.json(&nodes, "node", "list"), f.json(&rows, "float", "list"))
		if why != nil {
			return false
		}
		why = fmt.Errorf("%v, %v", nodes, rows)
		for _, n := range nodes {
			if n.Verdict != "alive" {
				return false
			}
		}
		if len(nodes) != clusterSize || len(rows) != 1 || !slices.Contains(rows[0].Warm, rows[0].Successor) {
			return false
		}
		for i, n := range f.nodes {
			if rows[0].Holder == fmt.Sprint("n", i+1) {
				holder = n
			}
		}
		return holder != nil
	})
	if !ok {
		t.Fatalf("the floating address is not ready: %v", why)
	}
	return holder
}

// signal sends a signal to all processes of a node: itself and its keeper.
func (f *floating) signal(t *testing.T, n *server, s syscall.Signal) {
	t.Helper()
	all, err := f.places[n].Processes()
	if err != nil || len(all) < 2 {
		t.Fatalf("the processes of %s: %v, %v", n.ng, all, err)
	}
	for _, pid := range all {
		if err := syscall.Kill(pid, s); err != nil {
			t.Fatal(err)
		}
	}
}

// restart starts a node that was killed.
func (f *floating) restart(t *testing.T, n *server) {
	t.Helper()
	n.launch(t)
	n.answers(t)
}

// TestKamailioFloat has SIPp phones call each other through Kamailio and a
// floating address, with Debian's configuration of Kamailio and no line changed
// but the one that names the relay. The address moves to another node, by plan
// or by misfortune, while calls are in every state, and while others begin,
// change and end. No call and no SIP transaction may fail.
func TestKamailioFloat(t *testing.T) {
	lab.Only(t, "moves, kills and freezes under twenty calls a second")
	sipPeers(t)
	const config = "/etc/kamailio/kamailio.cfg"
	if _, err := os.Stat(config); err != nil {
		missing(t, "no default configuration of Debian's kamailio: %v", err)
	}
	f := startFloating(t)
	k := startKamailio(t, f.server, config, "-A", "WITH_NAT", "-A", "WITH_RTPENGINE")
	for _, fault := range []struct {
		name    string
		seconds int // of calls, twenty a second
		strike  func(t *testing.T, holder *server)
		mend    func(t *testing.T, holder *server)
	}{
		{"moved", 4, func(t *testing.T, _ *server) {
			if _, err := f.tool("float", "move", "pub"); err != nil {
				t.Fatal(err)
			}
		}, nil},
		{"killed", 10, func(t *testing.T, holder *server) { holder.kill(t) }, f.restart},
		{"frozen", 4,
			func(t *testing.T, holder *server) { f.signal(t, holder, syscall.SIGSTOP) },
			func(t *testing.T, holder *server) { f.signal(t, holder, syscall.SIGCONT) }},
	} {
		var holder *server
		f.run(t, fault.name, func(t *testing.T) {
			holder = f.ready(t)
			f.outlived(t, k, fault.seconds, func() { fault.strike(t, holder) })
		})
		if t.Failed() {
			return
		}
		if holder == nil {
			continue // another one was asked for
		}
		if fault.mend != nil {
			fault.mend(t, holder)
		}
		if now := f.ready(t); now == holder {
			t.Errorf("%s: the floating address is still at %s", fault.name, holder.ng)
		}
		f.idle(t)
	}
}

// outlived has calls outlive what strike does to the float.
func (f *floating) outlived(t *testing.T, k *proxy, seconds int, strike func()) {
	t.Helper()
	defer f.noComplaint(t, k)
	began := time.Now()
	rests := make([]func(*testing.T), len(scenarios))
	for i, c := range scenarios {
		rests[i] = c.begin(t, f.server, k)
	}
	t.Logf("calls in %d states after %v", len(rests), time.Since(began).Round(time.Millisecond))

	// Twenty calls a second: half of them are changed after a moment and end by themselves, half last until they were
	// heard.
	brief := newPair(t, k)
	brief.calls, brief.limit, brief.rate = 10*seconds, 10*seconds, 10
	brief.start(t, k,
		steps(invite(), answered(), note("set-up"), pause(200), reinvite(aliceSends, 2, sdp(2, "media", "sendrecv")), note("changed"),
			pause(200), hangUp(aliceSends, 3)),
		steps(called(), note("set-up"), ring(), pickUp(), reinvited(sdp(2, "media", "sendrecv")), note("changed"), hungUp()))
	long := newPair(t, k)
	long.calls, long.limit, long.rate = 10*seconds, 10*seconds, 10
	aliceDoes, bobDoes := talking(hangUp(aliceSends, 2), hungUp())
	long.start(t, k, aliceDoes, bobDoes)
	eventually(t, "half of the calls are there", func() bool { return len(long.alice.reached(t, "talking")) >= long.calls/2 })
	asker := f.ask(t)
	strike()
	t.Logf("struck %v after the begin", time.Since(began).Round(time.Millisecond))

	long.eachCall(t, func(int) {
		a, b := long.sides(t, f.server, "talking")
		bothReach(t, long.aliceMedia, long.bobMedia, a, b)
		long.goOn(t, long.alice)
	})
	asker.stop()
	if n := asker.refused.Load(); n > 0 {
		t.Logf("the machine of the floating address refused %d pings", n)
	}
	for _, side := range []*agent{long.alice, long.bob, brief.alice, brief.bob} {
		side.finish(t)
		side.count(t)
	}
	for _, side := range []*agent{brief.alice, brief.bob} {
		for _, word := range []string{"set-up", "changed"} {
			all := side.reached(t, word)
			if len(all) != brief.calls {
				t.Errorf("%d of %d calls were %s", len(all), brief.calls, word)
			}
			for _, one := range all {
				f.relays(t, one, "sendrecv")
			}
		}
	}
	for i, c := range scenarios {
		f.run(t, c.name, rests[i])
	}
	t.Logf("all over %v after the begin", time.Since(began).Round(time.Millisecond))
}

// asker asks the floating address for a sign of life all the time, on one
// connected socket as Kamailio does, and notes what its machine says instead of
// the relay: after "connection refused" Kamailio lets a relay alone for a minute.
type asker struct {
	conn    net.Conn
	refused atomic.Int32
	done    sync.WaitGroup
}

func (f *floating) ask(t *testing.T) *asker {
	t.Helper()
	conn, err := net.Dial("udp4", f.ng)
	if err != nil {
		t.Fatal(err)
	}
	a := &asker{conn: conn}
	note := func(err error) (over bool) {
		if errors.Is(err, syscall.ECONNREFUSED) {
			a.refused.Add(1)
		}
		return errors.Is(err, net.ErrClosed)
	}
	a.done.Go(func() {
		every := time.NewTicker(500 * time.Microsecond)
		defer every.Stop()
		for range every.C {
			if _, err := conn.Write([]byte("asker d7:command4:pinge")); note(err) {
				return
			}
		}
	})
	a.done.Go(func() {
		buf := make([]byte, 256)
		for {
			if _, err := conn.Read(buf); note(err) {
				return
			}
		}
	})
	t.Cleanup(a.stop)
	return a
}

func (a *asker) stop() {
	a.conn.Close()
	a.done.Wait()
}

// count checks SIPp's own counters: no call failed.
func (a *agent) count(t *testing.T) {
	t.Helper()
	file, err := os.Open(a.stat)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	r := csv.NewReader(file)
	r.Comma, r.FieldsPerRecord = ';', -1
	all, err := r.ReadAll()
	if err != nil || len(all) < 2 {
		t.Fatalf("SIPp's counters: %v, %v", all, err)
	}
	last := all[len(all)-1]
	for i, name := range all[0] {
		if i >= len(last) {
			break
		}
		switch {
		case name == "FailedCall(C)" && last[i] != "0":
			t.Errorf("port %d: %s calls failed", a.port, last[i])
		case name == "Retransmissions(C)" && last[i] != "0":
			t.Logf("port %d: %s messages were sent again", a.port, last[i])
		}
	}
}

// noComplaint checks that Kamailio never thought its relay gone. An error in a
// reply is another matter: a 200 that a slow phone sends again after the BYE is
// an answer for a call that is over.
func (f *floating) noComplaint(t *testing.T, k *proxy) {
	t.Helper()
	text, err := os.ReadFile(k.log)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if strings.Contains(line, "rtpengine") && (strings.Contains(line, "ERROR") || strings.Contains(line, "WARNING")) &&
			!strings.Contains(line, "proxy replied with error: Unknown call-id") {
			t.Errorf("Kamailio complains: %s", line)
		}
	}
}
