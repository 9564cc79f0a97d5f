package demo

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// speechTime is how long the phones talk before the kill.
const speechTime = time.Second

// atOnce is how many calls are placed at the same time.
const atOnce = 8

// demo is one demonstration.
type demo struct {
	out    teller
	exe    string
	wanted int // calls
	dir    string
	nodes  []*node
	routes string
	up     []*node // those that commands are sent to
	ng     client
	calls  []*call
}

// story is all of it up to the summary.
func (d *demo) story(ctx context.Context) error {
	if err := d.begin(ctx); err != nil {
		return err
	}
	if err := d.placeCalls(ctx); err != nil {
		return err
	}
	if err := d.talk(ctx); err != nil {
		return err
	}
	l, err := d.loseOne(ctx)
	if err != nil {
		return err
	}
	back, err := d.bringBack(ctx, l.victim)
	if err != nil {
		return err
	}
	if err := d.deleteAll(ctx); err != nil {
		return err
	}
	if t := listen(d.calls, false); t.stray > 0 {
		return fmt.Errorf("%s heard in calls that they do not belong to", counted(int(t.stray), "packet"))
	}
	d.summary(l, back)
	return nil
}

// begin starts the nodes.
func (d *demo) begin(ctx context.Context) error {
	places, err := findPlaces()
	if err != nil {
		return err
	}
	d.ng.run = fmt.Sprintf("%x", rand.Uint32())
	var names, routes []string
	for _, p := range places {
		n := &node{place: p, dir: filepath.Join(d.dir, p.id), logFile: filepath.Join(d.dir, p.id+".log")}
		d.nodes = append(d.nodes, n)
		names = append(names, fmt.Sprintf("%s on %s", p.id, p.at(p.ng)))
		routes = append(routes, p.at(p.cluster))
	}
	d.routes = strings.Join(routes, ",")
	d.out.say("Starting three nodes: %s.", listed(names))
	for _, n := range d.nodes {
		if err := n.start(d.exe, d.routes); err != nil {
			return err
		}
	}
	for _, n := range d.nodes {
		if err := n.answering(ctx, &d.ng); err != nil {
			return err
		}
	}
	d.up = d.nodes
	d.out.say("All three answer, and are one cluster.")
	d.out.more("Watch it in a browser: http://%s/", d.nodes[0].at(d.nodes[0].http))
	return nil
}

// pick is the node for the next command. Chance decides, as a load balancer would that knows nothing of calls.
func (d *demo) pick() *node { return d.up[rand.IntN(len(d.up))] }

// nodeOf is the node that an address of an SDP belongs to, or nil.
func (d *demo) nodeOf(a netip.AddrPort) *node {
	for _, n := range d.nodes {
		if n.relays(a) {
			return n
		}
	}
	return nil
}

// each does something with calls, some at a time, and joins what went wrong. limit 0 is all at once.
func each(calls []*call, limit int, do func(c *call) error) error {
	if limit == 0 {
		limit = len(calls)
	}
	var wg sync.WaitGroup
	slots := make(chan struct{}, limit)
	errs := make([]error, len(calls))
	for i, c := range calls {
		slots <- struct{}{}
		wg.Go(func() {
			errs[i] = do(c)
			<-slots
		})
	}
	wg.Wait()
	return few(errs)
}

// few joins errors, without burying the reader in them.
func few(errs []error) error {
	const shown = 5
	var out []error
	n := 0
	for _, err := range errs {
		if err == nil {
			continue
		}
		if n++; n <= shown {
			out = append(out, err)
		}
	}
	if n > shown {
		out = append(out, fmt.Errorf("and %d more", n-shown))
	}
	return errors.Join(out...)
}

// placeCalls places all calls: an offer and an answer each.
func (d *demo) placeCalls(ctx context.Context) error {
	run := rand.Uint64()
	for i := range d.wanted {
		c, err := newCall(run, i+1)
		if err != nil {
			return err
		}
		d.calls = append(d.calls, c)
	}
	d.out.say("Placing %s. Chance decides which node gets the offer, and which the answer.", counted(d.wanted, "call"))
	if err := each(d.calls, atOnce, func(c *call) error { return d.signal(ctx, c) }); err != nil {
		return err
	}
	var took []time.Duration
	for _, c := range d.calls {
		took = append(took, c.took...)
	}
	d.out.say("All are up: %s.", d.spreadOut(d.calls, d.nodes))
	d.out.more("An offer or an answer took %s.", spread(took))
	return nil
}

// spreadOut says which node relays how many of calls.
func (d *demo) spreadOut(calls []*call, nodes []*node) string {
	var parts []string
	for _, n := range nodes {
		parts = append(parts, fmt.Sprintf("%s relays %d", n.id, len(ownedBy(calls, n, true))))
	}
	return listed(parts)
}

// ownedBy are the calls that a node relays, or those that it does not.
func ownedBy(calls []*call, n *node, owned bool) []*call {
	var out []*call
	for _, c := range calls {
		if (c.owner == n) == owned {
			out = append(out, c)
		}
	}
	return out
}

// talk sends voice through all calls for a while, and asks for them then.
func (d *demo) talk(ctx context.Context) error {
	err := each(d.calls, 0, func(c *call) error {
		_, err := c.voice(ctx)
		return err
	})
	if err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(speechTime):
	}
	t := listen(d.calls, false)
	d.out.say("Voice goes both ways through all of them: %s packets heard, %s lost.", number(t.heard), number(t.lost))
	return d.askAround(ctx)
}

// askAround queries each call at any node.
func (d *demo) askAround(ctx context.Context) error {
	if err := each(d.calls, atOnce, func(c *call) error { return d.query(ctx, c, d.pick()) }); err != nil {
		return err
	}
	commands, away := 0, 0
	for _, c := range d.calls {
		commands, away = commands+c.commands, away+c.away
	}
	d.out.say("Any node is asked for each call, and knows it. %d of %d commands so far reached a node that does not relay the call.",
		away, commands)
	return nil
}

// deleteAll ends all calls and sees to it that every node knows.
func (d *demo) deleteAll(ctx context.Context) error {
	if err := each(d.calls, atOnce, func(c *call) error { return d.delete(ctx, c) }); err != nil {
		return err
	}
	for _, n := range d.nodes {
		if err := d.awaitNone(ctx, n); err != nil {
			return err
		}
	}
	d.out.say("All calls have been deleted, and no node lists any.")
	return nil
}

// awaitNone returns when a node lists no calls. What one node deleted the others hear of a moment later.
func (d *demo) awaitNone(ctx context.Context, n *node) error {
	deadline := time.Now().Add(voiceTime)
	for {
		reply, _, err := d.ng.ask(ctx, n.at(n.ng), listCommand())
		if err != nil {
			return fmt.Errorf("list at %s: %w", n.id, err)
		}
		left := len(strs(reply, "calls"))
		if left == 0 {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%s still lists %s, %v after the deletes", n.id, counted(left, "call"), voiceTime)
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(5 * time.Millisecond):
		}
	}
}
