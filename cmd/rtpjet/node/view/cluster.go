package view

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"rtpjet/cmd/rtpjet/admin"
	"rtpjet/projection/members"
	"rtpjet/projection/pages"
)

// askTime bounds the question to each node how it is.
const askTime = 600 * time.Millisecond

// Cluster implements [web.Source]. Nodes that are gone are not asked, and one that does not answer is not noted as absent: who
// looks changes nothing.
func (v *View) Cluster(ctx context.Context) pages.Cluster {
	rows, _ := v.host.Cluster()
	v.ask(ctx, rows)
	out := pages.Cluster{Node: v.cfg.Node, At: v.now(), Nodes: []pages.Node{}, Floats: []pages.Float{}}
	for _, r := range rows {
		out.Nodes = append(out.Nodes, pageNode(r))
		if r.Status != nil {
			out.PacketsIn += r.Status.Load.PacketsIn
			out.PacketsOut += r.Status.Load.PacketsOut
		}
	}
	for _, calls := range v.host.Carried() {
		out.Calls += calls
	}
	for _, r := range admin.Floats(rows) {
		out.Floats = append(out.Floats, pageFloat(r))
	}
	return out
}

// ask has each node that may answer say how it is.
func (v *View) ask(ctx context.Context, rows []admin.Node) {
	var asked sync.WaitGroup
	defer asked.Wait()
	for i := range rows {
		r := &rows[i]
		switch {
		case r.Node == v.cfg.Node:
			s := v.host.Status(ctx)
			r.Status = &s
		case v.cfg.Link != nil && r.State == members.Up && r.Verdict != members.Gone.String():
			asked.Go(func() {
				ctx, cancel := context.WithTimeout(ctx, askTime)
				defer cancel()
				var s admin.Status
				if admin.Ask(ctx, v.cfg.Link, r.Node, admin.VerbStatus, nil, &s) == nil {
					r.Status = &s
				}
			})
		}
	}
}

// stateOf is how a node is, for the page: that its lease was taken from it is the same as that it is gone.
func stateOf(r admin.Node) string {
	if r.Verdict == members.Lost {
		return members.Gone.String()
	}
	return r.Verdict
}

func pageNode(r admin.Node) pages.Node {
	out := pages.Node{
		ID: r.Node, State: stateOf(r), Draining: r.Draining, Version: r.Version, Started: r.Started, Epoch: r.Epoch,
		NG: append([]string{}, r.NG...), Media: []string{}, Zone: r.Zone, Lease: r.State, By: r.By, LeaseAt: r.At,
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
