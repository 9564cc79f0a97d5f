package node

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"rtpjet/cmd/rtpjet/admin"
	"rtpjet/cmd/rtpjet/version"
	"rtpjet/cmd/rtpjet/web"
	"rtpjet/events"
	"rtpjet/projection/members"
	"rtpjet/projection/pages"
)

// pageSource is a node as the web page asks it.
type pageSource struct {
	n       *Node
	index   callIndex
	stories stories
}

var _ web.Source = (*pageSource)(nil)

// Source is the node as the web page asks it.
func (n *Node) Source() web.Source { return &pageSource{n: n} }

// pageAskTime bounds the question to each node how it is.
const pageAskTime = 600 * time.Millisecond

// Cluster implements [web.Source]. Nodes that are gone are not asked, and one that does not answer is not noted as absent: who
// looks changes nothing.
func (p *pageSource) Cluster(ctx context.Context) pages.Cluster {
	n := p.n
	rows := n.leaseRows()
	var asked sync.WaitGroup
	for i := range rows {
		r := &rows[i]
		switch {
		case r.Node == n.id:
			s := n.Status()
			s.Load = n.load(ctx)
			r.Status = &s
		case r.State == members.Up && r.Verdict != members.Gone.String():
			asked.Go(func() {
				ctx, cancel := context.WithTimeout(ctx, pageAskTime)
				defer cancel()
				var s admin.Status
				if admin.Ask(ctx, n.cfg.Link, r.Node, admin.VerbStatus, nil, &s) == nil {
					r.Status = &s
				}
			})
		}
	}
	asked.Wait()
	out := pages.Cluster{Node: n.id, At: n.now(), Nodes: []pages.Node{}, Floats: []pages.Float{}}
	for _, r := range rows {
		out.Nodes = append(out.Nodes, pageNode(r))
		if r.Status != nil {
			out.PacketsIn += r.Status.Load.PacketsIn
			out.PacketsOut += r.Status.Load.PacketsOut
		}
	}
	own, foreign := n.tally.calls()
	out.Calls = own + foreign
	for _, r := range admin.Floats(rows) {
		out.Floats = append(out.Floats, pageFloat(r))
	}
	return out
}

// leaseRows are all nodes by their leases, with what this node thinks of them.
func (n *Node) leaseRows() []admin.Node {
	if n.peers == nil {
		return []admin.Node{{Verdict: members.Alive.String(), Lease: members.Lease{Node: n.id, State: members.Up, Version: version.Short(), Started: n.started.UnixMicro(), NG: n.Addrs(), Zone: n.cfg.Zone}}}
	}
	return n.peers.Nodes()
}

func pageNode(r admin.Node) pages.Node {
	out := pages.Node{
		ID: r.Node, State: r.Verdict, Draining: r.Draining, Version: r.Version, Started: r.Started, Epoch: r.Epoch,
		NG: append([]string{}, r.NG...), Media: []string{}, Zone: r.Zone, Lease: r.State, By: r.By, LeaseAt: r.At,
	}
	if r.Verdict == members.Lost {
		out.State = members.Gone.String()
	}
	for _, i := range r.Interfaces {
		out.Media = append(out.Media, i.Name+"/"+i.Addr.String())
	}
	if s := r.Status; s != nil {
		out.Answers, out.Draining, out.Calls, out.Known = true, s.Draining, s.Own, s.Own+s.Foreign
		out.Behind, out.Lag, out.Unlogged = s.Load.Behind, s.Load.Lag, s.Unlogged
		out.PacketsIn, out.PacketsOut = s.Load.PacketsIn, s.Load.PacketsOut
	}
	return out
}

func pageFloat(r admin.Float) pages.Float {
	f := pages.Float{
		ID: r.Float, Addresses: append([]string{}, r.Addresses...), Holder: r.Holder, Successor: r.Successor, Epoch: r.Epoch, Calls: r.Calls,
		Moves: r.Moves, Why: pages.Why(r.Why, r.Holder), MovedAt: r.Since, Agreed: r.Seen == nil, Ready: r.Successor != "" && slices.Contains(r.Warm, r.Successor),
	}
	if r.Silence > 0 {
		f.Why += fmt.Sprintf(", silent for %d ms at most", (r.Silence+999)/1000)
	}
	return f
}

// Calls implements [web.Source].
func (p *pageSource) Calls(search string, from, limit int) pages.Page {
	return pages.NewPage(p.index.rows(p.n), search, from, limit)
}

// Near implements [web.Source].
func (p *pageSource) Near(callID string) []string {
	const most = 5
	return pages.Near(p.index.rows(p.n), callID, most)
}

// Last implements [web.Source].
func (p *pageSource) Last(callID string) uint64 {
	if e := p.n.calls.lookup(events.Key(callID)); e != nil {
		return e.applied.Load()
	}
	return 0
}

// Streams implements [web.Source].
func (p *pageSource) Streams(ctx context.Context, callID string) []pages.Stream {
	e := p.n.calls.acquire(events.Key(callID), false)
	if e == nil {
		return []pages.Stream{}
	}
	c := e.Call.Snapshot()
	p.n.calls.release(e) // the owner may be slow
	if !c.Live() {
		return []pages.Stream{}
	}
	stats, _ := p.n.stats(ctx, c)
	return pages.Streams(c, stats)
}

// News implements [web.Source].
func (p *pageSource) News(after uint64) ([]pages.Item, uint64) { return p.n.news.after(after) }

var errAlone = errors.New("this node has no cluster")

// Drain implements [web.Source].
func (p *pageSource) Drain(ctx context.Context, node string, on, move bool) (string, error) {
	if p.n.peers == nil {
		return "", errAlone
	}
	return admin.Drain(ctx, p.n.cfg.Link, node, admin.DrainRequest{On: on, Move: move})
}

// Takeover implements [web.Source].
func (p *pageSource) Takeover(ctx context.Context, node string) (string, error) {
	if v := p.n.owners.judge(node); v == members.Alive {
		return "", fmt.Errorf("node %s is alive: drain it instead", node)
	}
	if p.n.peers == nil {
		return "", errAlone
	}
	return admin.Takeover(ctx, p.n.cfg.Link, admin.TakeoverRequest{Node: node})
}

// Move implements [web.Source].
func (p *pageSource) Move(ctx context.Context, float, to string) (string, error) {
	if p.n.peers == nil {
		return "", errAlone
	}
	return admin.Move(ctx, p.n.cfg.Link, float, to)
}
