package peers

import (
	"context"
	"encoding/json"
	"log/slog"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"rtpjet/cmd/rtpjet/admin"
	"rtpjet/cmd/rtpjet/node/notetest"
	"rtpjet/embed"
	"rtpjet/events"
	"rtpjet/projection/members"
	"rtpjet/relay/plan"
)

// network carries heartbeats by UDP.
type network struct {
	mu      sync.Mutex
	hosts   map[netip.AddrPort]*datagrams
	cut     map[string]bool // nodes that nothing reaches, and from which nothing comes
	refuses map[string]bool // nodes whose machine says that nobody listens
}

// datagrams is a node's socket of a network.
type datagrams struct {
	id   string
	at   netip.AddrPort
	net  *network
	in   chan []byte
	once sync.Once
	done chan struct{}
}

func (n *network) open(id string, at netip.AddrPort) *datagrams {
	n.mu.Lock()
	defer n.mu.Unlock()
	d := &datagrams{id: id, at: at, net: n, in: make(chan []byte, 1000), done: make(chan struct{})}
	n.hosts[at] = d
	return d
}

func (n *network) set(where map[string]bool, id string, on bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	where[id] = on
}

func (d *datagrams) addr() netip.AddrPort { return d.at }

func (d *datagrams) send(data []byte, peers map[string]netip.AddrPort) (refused []string) {
	for _, id := range slices.Sorted(maps.Keys(peers)) {
		if d.toward(id, peers[id], data) {
			refused = append(refused, id)
		}
	}
	return refused
}

func (d *datagrams) sendTo(id string, data []byte) (refused bool) {
	d.net.mu.Lock()
	var at netip.AddrPort
	for _, h := range d.net.hosts {
		if h.id == id {
			at = h.at
		}
	}
	d.net.mu.Unlock()
	return d.toward(id, at, data)
}

func (d *datagrams) toward(id string, at netip.AddrPort, data []byte) (refused bool) {
	d.net.mu.Lock()
	defer d.net.mu.Unlock()
	if d.net.cut[d.id] || d.net.cut[id] {
		return false
	}
	if h := d.net.hosts[at]; h != nil && !d.net.refuses[id] {
		h.in <- slices.Clone(data)
	}
	return d.net.refuses[id]
}

func (d *datagrams) receive(ctx context.Context, f func([]byte)) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case data := <-d.in:
			f(data)
		}
	}
}

func (d *datagrams) close() { d.once.Do(func() { close(d.done) }) }

func (d *datagrams) closed() bool {
	select {
	case <-d.done:
		return true
	default:
		return false
	}
}

// fakeHost is a node that notes what it is told, and says what a test says.
type fakeHost struct {
	notetest.Journal
	mu      sync.Mutex
	load    Load
	ports   []netip.AddrPort // of Reserve
	refused error            // likewise
	stats   map[netip.AddrPort]plan.Stats
	await   func() // of Deliver
	behind  bool   // events have to wait for the stream
}

func (h *fakeHost) set(change func(h *fakeHost)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	change(h)
}

func (h *fakeHost) Load() Load {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.load
}

func (h *fakeHost) Reserve(r Reservation, until int64) ([]netip.AddrPort, error) {
	h.Note("reserve %s of %q: %d at %v, held for %v", r.Key, r.Owner, r.Num, r.Bind, time.Until(time.UnixMicro(until)))
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.ports, h.refused
}

func (h *fakeHost) Release(key string, ports []netip.AddrPort) { h.Note("release %s %v", key, ports) }

func (h *fakeHost) Stats(local netip.AddrPort) (plan.Stats, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	s, ok := h.stats[local]
	return s, ok
}

func (h *fakeHost) Deliver(e Event) (await func(), ok bool) {
	h.Note("deliver %s %d after %d: %s", e.Key, e.Seq, e.Prev, e.Data)
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.await, !h.behind
}

func (h *fakeHost) NodesChanged() { h.Note("nodes changed") }

func (h *fakeHost) OtherLease(l embed.Lease, deleted bool) {
	h.Note("other lease %s %s %v", l.Key, l.Value, deleted)
}

// answers is a node as operators ask it.
type answers struct {
	admin.Server
	id string
}

func (a answers) Status(context.Context) admin.Status { return admin.Status{Node: a.id} }

// world is a bus and a network in a bubble, in which time passes as soon as nobody has anything to do.
type world struct {
	t *testing.T
	*bus
	net   *network
	nodes []*node
}

// node is a membership with all that is around it.
type node struct {
	*Membership
	w     *world
	host  *fakeHost
	link  *link
	wire  *datagrams
	log   *notetest.Journal
	stop  context.CancelFunc // nil: it does not run
	done  chan error
	skew  time.Duration // of its clock; constant
	epoch chan uint64   // with which what runs beside it began
}

// play runs a test in a bubble, and ends the nodes that run at its end.
func play(t *testing.T, f func(w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &world{t: t, bus: newBus(), net: &network{hosts: map[netip.AddrPort]*datagrams{}, cut: map[string]bool{}, refuses: map[string]bool{}}}
		f(w)
		for _, n := range w.nodes {
			n.end()
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		for tokens, subs := range w.subs {
			if len(subs) > 0 {
				t.Errorf("somebody listens yet to %s", tokens)
			}
		}
		if len(w.watchers) > 0 {
			t.Error("somebody follows the leases yet")
		}
	})
}

// at is where a node hears heartbeats: n3 at 192.0.2.3.
func at(id string) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, id[len(id)-1] - '0'}), 5000)
}

// media is a table of one address, in no zone.
func media(a netip.Addr) *plan.Interfaces { return mediaIn(a, "") }

func mediaIn(a netip.Addr, zone string) *plan.Interfaces {
	t, err := plan.NewInterfaces([]plan.Interface{
		{Name: "pub", Addr: a, Advertised: a, Ports: plan.PortRange{Min: 30000, Max: 39999}, Zone: zone},
	}, nil)
	if err != nil {
		panic(err)
	}
	return t
}

const orphanTimeout = time.Minute

// budget is for commands; what was reserved is held for half a second longer.
const budget = 2500 * time.Millisecond

// make makes a node, which has not claimed its lease yet.
func (w *world) make(id string, change func(*Config, *node)) *node {
	n := &node{
		w: w, host: &fakeHost{load: Load{Room: -1}}, link: &link{bus: w.bus}, log: &notetest.Journal{}, wire: w.net.open(id, at(id)),
		epoch: make(chan uint64, 1), done: make(chan error, 1),
	}
	cfg := Config{
		Node: id, Interfaces: media(at(id).Addr()), NG: []string{netip.AddrPortFrom(at(id).Addr(), 2223).String()},
		OrphanTimeout: orphanTimeout, CommandBudget: budget, Host: n.host, Link: n.link, Operators: answers{id: id},
		Clock: func() time.Time { return time.Now().Add(n.skew) },
		Logger: slog.New(slog.NewTextHandler(n.log, &slog.HandlerOptions{Level: slog.LevelDebug, ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		}})),
	}
	if change != nil {
		change(&cfg, n)
	}
	n.Membership = newMembership(cfg, n.wire)
	w.nodes = append(w.nodes, n)
	return n
}

// join makes a node that is a member.
func (w *world) join(id string) *node { return w.joinAs(id, nil) }

func (w *world) joinAs(id string, change func(*Config, *node)) *node {
	w.t.Helper()
	n := w.make(id, change)
	n.run()
	return n
}

// run claims the lease and keeps the node a member, until end.
func (n *node) run() {
	n.w.t.Helper()
	if err := n.Claim(n.w.t.Context()); err != nil {
		n.w.t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	n.stop = stop
	go func() {
		n.done <- n.Run(ctx, func(ctx context.Context, epoch uint64) error {
			n.epoch <- epoch
			<-ctx.Done()
			return nil
		})
	}()
	synctest.Wait()
}

// end ends a node that runs, and returns what Run returned; nil if it does not run.
func (n *node) end() error {
	if n.stop == nil {
		return nil
	}
	n.stop()
	n.stop = nil
	err := <-n.done
	if !n.wire.closed() {
		n.w.t.Errorf("node %s has ended, and hears heartbeats yet", n.id)
	}
	synctest.Wait()
	return err
}

// kill ends a node without a goodbye.
func (n *node) kill() {
	n.link.setCut(true)
	n.w.net.set(n.w.net.cut, n.id, true)
	n.end()
}

// pass lets time pass, and whatever happens meanwhile.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// leaseOf is a lease as a node of this build writes it.
func leaseOf(id string, epoch uint64, state string) members.Lease {
	l := members.Lease{
		Format: events.Version, Level: events.Level, Node: id, Epoch: epoch, State: state, Instance: "of " + id, Version: "v1", NG: []string{"192.0.2.9:2223"},
	}
	l.Describe(media(at(id).Addr()))
	return l
}

// putLease writes the lease of a node that does not run here.
func (w *world) putLease(l members.Lease) {
	w.put(members.LeasePrefix+l.Node, l.Encode())
	synctest.Wait()
}

// says is a heartbeat by NATS of a node that does not run here.
func (w *world) says(b members.Beat) {
	w.t.Helper()
	w.send("beat", encodeBeat(b), nil)
	synctest.Wait()
}

func (w *world) want(what string, got []string, want ...string) {
	w.t.Helper()
	if !slices.Equal(got, want) {
		w.t.Errorf("%s:\ngot  %q\nwant %q", what, got, want)
	}
}

func (w *world) wantError(what string, err error, text string) {
	w.t.Helper()
	if err == nil || err.Error() != text {
		w.t.Errorf("%s:\ngot  %v\nwant %s", what, err, text)
	}
}

// having are the lines that contain a text.
func having(lines []string, text string) (out []string) {
	for _, l := range lines {
		if strings.Contains(l, text) {
			out = append(out, l)
		}
	}
	return out
}

func encodeBeat(b members.Beat) []byte {
	data, err := json.Marshal(b)
	if err != nil {
		panic(err)
	}
	return data
}
