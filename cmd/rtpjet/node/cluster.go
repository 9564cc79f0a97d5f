package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"rtpjet/embed"
	"rtpjet/projection/members"
	"rtpjet/projection/transact"
	"rtpjet/relay/plan"
)

// Link is what a node needs of NATS beside the log: the bucket of leases, and messages between the nodes. *embed.Log is one.
type Link interface {
	Connected() bool
	Publish(tokens string, data []byte) error
	Subscribe(tokens string, f func(embed.Msg)) (stop func(), err error)
	Request(ctx context.Context, tokens string, data []byte) ([]byte, error)

	GetLease(ctx context.Context, key string) (embed.Lease, error)
	PutLease(ctx context.Context, key string, value []byte, revision uint64) (uint64, error)
	// KeepReplicas keeps the streams on as many servers as there are for them.
	KeepReplicas(ctx context.Context) error
	FollowLeases(ctx context.Context, entry func(lease embed.Lease, deleted bool), caughtUp func()) error
}

// Times of the cluster.
const (
	// beatEvery is the time between two heartbeats.
	beatEvery = 100 * time.Millisecond
	// DefaultNodeTimeout is how long a node must be silent on both paths to be gone. A command that needs the owner waits for
	// the verdict, and its client waits for 1 s; a busy machine may hold a process up for a few hundred ms.
	DefaultNodeTimeout = 600 * time.Millisecond
	// leaveTime bounds the goodbye of a node that ends.
	leaveTime = 300 * time.Millisecond
	// maxSkew is how far a node's clock may be off.
	maxSkew = 5 * time.Second
	// warnEvery spaces repeated warnings.
	warnEvery = time.Minute
)

// cluster is a node's view of its peers, and its own lease. Its methods are safe for concurrent use.
type cluster struct {
	n     *Node
	link  Link
	log   *slog.Logger
	start time.Time // the table's clock counts from here
	udp   *beatSockets

	mu     sync.Mutex
	table  *members.Table
	leases map[string]peerLease // by node
	mine   members.Lease
	rev    uint64 // of mine
	warned map[string]time.Time

	epoch atomic.Uint64 // of mine
	began uint64        // the epoch with which this process began; constant after claim
	// reclaiming is true while mine is written again.
	reclaiming atomic.Bool
	seen       chan struct{} // closed when the leases that were there at the start are known
	listening  chan struct{} // closed when the requests of peers are answered
	lostOne    error         // under mu: why the node must end
	fatal      chan struct{} // closed then
}

// peerLease is what the bucket says of a node.
type peerLease struct {
	members.Lease
	rev   uint64
	table *plan.Interfaces
}

func newCluster(n *Node, link Link, silence time.Duration) *cluster {
	c := &cluster{
		n: n, link: link, log: n.log, start: time.Now(),
		leases: make(map[string]peerLease), warned: make(map[string]time.Time),
		seen: make(chan struct{}), listening: make(chan struct{}), fatal: make(chan struct{}),
	}
	c.table = members.New(members.Config{
		Self: n.id, Silence: silence.Microseconds(), Beat: beatEvery.Microseconds(),
	}, c.now())
	c.table.Locate(n.id, n.cfg.Zone, n.cfg.Interfaces)
	return c
}

// now is the time of the table's clock, which does not jump.
func (c *cluster) now() int64 { return time.Since(c.start).Microseconds() }

// run keeps the node a member until ctx ends. It returns an error if the node has lost its name to another process.
func (c *cluster) run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	unsubscribe, err := c.link.Subscribe("beat", func(m embed.Msg) { c.heard(members.NATS, m.Data) })
	if err != nil {
		return fmt.Errorf("cannot listen for heartbeats: %w", err)
	}
	defer unsubscribe()
	g.Go(func() error { return c.serve(ctx) })
	g.Go(func() error { return c.beat(ctx) })
	g.Go(func() error { return c.link.KeepReplicas(ctx) })
	g.Go(func() error { return c.udp.receive(ctx, c.heardUDP) })
	g.Go(func() error { return c.n.floats.Run(ctx, c.began) })
	g.Go(func() error {
		select {
		case <-ctx.Done():
			return nil
		case <-c.fatal:
			c.mu.Lock()
			defer c.mu.Unlock()
			return c.lostOne
		}
	})
	return g.Wait()
}

// settled returns once it is known who the peers are and that this node fits to them, and they are answered, as is another process
// that wants the name of this node: before it answers commands.
func (c *cluster) settled(ctx context.Context) error {
	for _, ready := range []chan struct{}{c.seen, c.listening} {
		select {
		case <-ctx.Done():
			return nil
		case <-ready:
		}
	}
	return c.checkClock(ctx)
}

// checkClock refuses a clock that is far from those of the others, at the start: the times in events would be wrong.
func (c *cluster) checkClock(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 4*beatEvery)
	defer cancel()
	tick := time.NewTicker(beatEvery / 2)
	defer tick.Stop()
	for c.expected() {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		c.mu.Lock()
		peers := c.table.Peers(c.now())
		c.mu.Unlock()
		off, near := 0, 0
		var worst members.Peer
		for _, p := range peers {
			switch {
			case p.Heard[members.NATS] < 0:
			case time.Duration(p.Skew)*time.Microsecond > maxSkew || time.Duration(p.Skew)*time.Microsecond < -maxSkew:
				off, worst = off+1, p
			default:
				near++
			}
		}
		if off+near > 0 {
			if off > near {
				return fmt.Errorf("the clock of this machine is %v off from that of node %s: set the clocks (NTP), and start again",
					(time.Duration(worst.Skew) * time.Microsecond).Abs().Round(time.Second), worst.Node)
			}
			return nil
		}
	}
	return nil
}

// expected tells whether there is a peer that should be heard.
func (c *cluster) expected() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for id, l := range c.leases {
		if id != c.n.id && l.State == members.Up {
			return true
		}
	}
	return false
}

// judge says how another node is.
func (c *cluster) judge(id string) members.Verdict {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.table.Judge(id, c.now())
}

// hasPeers tells whether there was ever another node.
func (c *cluster) hasPeers() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.leases) > 0
}

// company tells whether another node of this region is alive.
func (c *cluster) company() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for id := range c.leases {
		if id != c.n.id && c.table.Judge(id, c.now()) == members.Alive {
			return true
		}
	}
	return false
}

// cutOff tells whether a node has been silent on NATS for longer than any verdict takes: it relays, and waiting for it would
// only be in the way of its calls.
func (c *cluster) cutOff(id string) bool {
	if c == nil {
		return true
	}
	if id = c.n.owners.carrier(id); id == "" {
		return false // a float between two holders
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.table.CutOff(id, c.now())
}

// young tells whether the process follows one of the same name that may have given ports to peers a moment before it ended:
// their events may come yet, and name them. Others take the new calls until then.
func (c *cluster) young() bool {
	return c.epoch.Load() > 1 && time.Since(c.start) < grantTime
}

// place chooses a node for a new call; young says that this one is rather not to have it. What it serves without the log are
// calls of its own only.
func (c *cluster) place(w transact.Wish, young bool) (string, bool) {
	here := members.Here{Takes: c.n.takesNew(), Last: young, First: c.n.cfg.ServeUnlogged && c.n.journal.away.Load() != 0, Calls: c.n.tally.own()}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.table.Place(w, here, c.now())
}

// interfaces returns a peer's media addresses, nil if they are not known.
func (c *cluster) interfaces(id string) *plan.Interfaces {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.leases[id].table
}

// caretaker tells whether this node looks after what a node that is gone has left under key, and since when that one is gone.
func (c *cluster) caretaker(owner, key string) (gone time.Duration, ok bool) {
	if gone, ok = c.n.owners.of(owner).goneFor(); !ok {
		return 0, false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return gone, c.table.Caretaker(key, c.now())
}

// goneFor tells for how long a node has been gone, and whether it is.
func (c *cluster) goneFor(id string) (time.Duration, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	since, gone := c.table.GoneSince(id, now)
	return time.Duration(now-since) * time.Microsecond, gone
}

// unheard tells for how long nothing has been heard of a node, if it is known.
func (c *cluster) unheard(id string) (time.Duration, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	us, ok := c.table.Unheard(id, c.now())
	return time.Duration(us) * time.Microsecond, ok
}

// beat tells the others of this node.
func (c *cluster) beat(ctx context.Context) error {
	tick := time.NewTicker(beatEvery)
	defer tick.Stop()
	defer c.leave()
	for {
		c.beatOnce(false)
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// beatData is what this node says of itself now.
func (c *cluster) beatData(leaving bool) []byte {
	b := members.Beat{
		Node: c.n.id, Epoch: c.epoch.Load(), At: c.n.now(), Calls: c.n.tally.own(), Room: c.n.room(),
		Draining: c.n.draining.Load(), Leaving: leaving,
	}
	if c.young() {
		b.Room = 0
	}
	data, err := json.Marshal(b)
	if err != nil {
		panic(err) // nothing in a Beat can fail
	}
	return data
}

// probe sends a beat to a node that may be gone. The machine of a killed process refuses it, which the next one shows.
func (c *cluster) probe(id string) {
	if c.udp.sendTo(id, c.beatData(false)) {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.table.Refused(id, c.now())
	}
}

func (c *cluster) beatOnce(leaving bool) {
	data := c.beatData(leaving)
	connected := c.link.Connected()
	c.mu.Lock()
	c.table.Tick(connected, c.now())
	c.mu.Unlock()
	if connected {
		_ = c.link.Publish("beat", data) // one of many
	}
	for _, id := range c.udp.send(data) {
		c.mu.Lock()
		c.table.Refused(id, c.now())
		c.mu.Unlock()
	}
}

// leave says goodbye, so that nobody has to wait for silence.
func (c *cluster) leave() {
	c.beatOnce(true)
	ctx, cancel := context.WithTimeout(context.Background(), leaveTime)
	defer cancel()
	c.mu.Lock()
	mine, rev := c.mine, c.rev
	c.mu.Unlock()
	mine.State, mine.At = members.Down, c.n.now()
	_, _ = c.link.PutLease(ctx, members.LeasePrefix+c.n.id, mine.Encode(), rev) // if it cannot be written, silence says it too
	c.udp.close()
}

func (c *cluster) heardUDP(data []byte) { c.heard(members.UDP, data) }

// heard notes a heartbeat.
func (c *cluster) heard(p members.Path, data []byte) {
	var b members.Beat
	if json.Unmarshal(data, &b) != nil || b.Node == c.n.id {
		return
	}
	wall := c.n.now()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.table.Heard(p, b, wall, c.now())
	if skew := time.Duration(b.At-wall) * time.Microsecond; p == members.NATS && skew.Abs() > maxSkew && c.warnLocked("skew "+b.Node) {
		c.log.Error("the clocks of two nodes differ; timers of calls and the order of logs suffer: set the clocks (NTP)",
			"peer", b.Node, "ahead", skew.Round(time.Millisecond))
	}
}

// warnLocked tells whether a warning is due again.
func (c *cluster) warnLocked(key string) bool {
	if now := time.Now(); now.Sub(c.warned[key]) >= warnEvery {
		c.warned[key] = now
		return true
	}
	return false
}

// absent notes that a node did not answer a request: it counts as silent on NATS until its next heartbeat.
func (c *cluster) absent(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.table.Absent(id, c.now())
}

// end makes the node end, with an error for the operator.
func (c *cluster) end(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.endLocked(err)
}

func (c *cluster) endLocked(err error) {
	if c.lostOne == nil {
		c.lostOne = err
		close(c.fatal)
	}
}

// peerAddrs returns where heartbeats go: to all nodes that have not given their lease back.
func (c *cluster) peerAddrs() map[string]netip.AddrPort {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := make(map[string]netip.AddrPort, len(c.leases))
	for id, l := range c.leases {
		if id != c.n.id && l.UDP.IsValid() && l.State != members.Down {
			out[id] = l.UDP
		}
	}
	return out
}

var errNameTaken = errors.New("the node id is in use")

func nameTaken(id, what string) error {
	return fmt.Errorf("%w: %s %s; give this node another --node-id, or stop the other one", errNameTaken, id, what)
}
