package regions

import (
	"context"
	"encoding/json"
	"strings"

	"rtpjet/cmd/rtpjet/node/internal/pause"
	"rtpjet/embed"
	"rtpjet/events"
	"rtpjet/projection"
	"rtpjet/projection/regions"
)

// applyFence ends the calls of this region that another one says in a greeting that it has adopted.
func (d *Driver) applyFence(ctx context.Context, by string, h regions.Hello) {
	if f, ok := regions.FenceOf(d.self.Region, d.self.Instance, made(h, by)); ok {
		d.endAdopted(ctx, f)
	}
}

// endAdopted ends the calls of this region that another one has adopted while this one was lost, and tells it so.
func (d *Driver) endAdopted(ctx context.Context, f regions.Fence) {
	if !d.host.State().Folded {
		return // they are not known yet; the next greeting comes
	}
	for was := d.fence.Load(); (was == nil || was.Seq < f.Seq) && !d.fence.CompareAndSwap(was, &f); was = d.fence.Load() {
	}
	p := d.peer(f.By)
	mirrored := p.index.last()
	if mirrored < f.Upto {
		return // commands would not find the calls there yet; the next greeting comes
	}
	d.mu.Lock()
	known := d.fenced == f
	d.mu.Unlock()
	left := d.host.EndAll(ctx, events.Ended{Reason: events.ReasonAdopted}, func(c *projection.Call) bool { return f.Ends(c.First, mirrored) })
	if !known {
		d.log.Warn("this region was taken for lost, and its calls were adopted; those that began before are ended here", "by", f.By, "up to", f.Seq)
	}
	d.mu.Lock()
	d.fenced = f
	d.mu.Unlock()
	if left > 0 {
		return // other nodes are at it, or the log was slow
	}
	l, _ := d.reach(p)
	if l == nil {
		return
	}
	data, err := json.Marshal(returned{Region: d.self.Region, Instance: d.self.Instance, Term: f.Term})
	if err != nil {
		return
	}
	rctx, cancel := context.WithTimeout(ctx, greetTime)
	defer cancel()
	if _, err := l.Request(rctx, tokensReturn, data); err != nil {
		d.log.Debug("the region that has adopted calls of this one does not answer; trying again", "region", f.By, "err", err)
	}
}

// returned tells the adopter that nothing of what it has adopted lives in the region any more.
type returned struct {
	Region   string `json:"region"`
	Instance string `json:"instance"`
	Term     uint64 `json:"term"`
}

// serveReturned notes that an adopted region is back.
func (d *Driver) serveReturned(ctx context.Context, m embed.Msg) {
	var ret returned
	if err := json.Unmarshal(m.Data, &ret); err != nil {
		_ = m.RespondJSON(promiseReply{Refusal: err.Error()})
		return
	}
	_, err := d.update(ctx, ret.Region, func(have regions.Record) (regions.Record, error) {
		want := regions.Return(have, ret.Instance, ret.Term, d.wall())
		if want != have {
			d.log.Info("a region that was adopted is back, and has ended what was adopted", "region", ret.Region)
		}
		return want, nil
	})
	var reply promiseReply
	if err != nil {
		reply.Refusal = err.Error()
	}
	_ = m.RespondJSON(reply)
}

// AwaitReturn has the first node of a region that starts hear, before it answers commands, whether the region's calls were adopted: as far
// as other regions can be reached at once. A region that runs hears it from the greetings of its nodes. The Driver may be nil.
func (d *Driver) AwaitReturn(ctx context.Context) {
	if d == nil || len(d.peers) == 0 {
		return
	}
	defer d.applyFences(ctx)
	ctx, cancel := context.WithTimeout(ctx, returnTime)
	defer cancel()
	for {
		var silent []string
		for _, p := range d.peers {
			p.mu.Lock()
			if p.link.Status(d.now()).State == regions.Connecting {
				silent = append(silent, p.Name)
			}
			p.mu.Unlock()
		}
		if len(silent) == 0 {
			return
		}
		if !pause.For(ctx, returnPace) {
			d.log.Warn("commands are answered without having heard of other regions: if they have adopted calls of this one, both have them until then",
				"regions", strings.Join(silent, " "))
			return
		}
	}
}

// applyFences applies what any region has said of this one.
func (d *Driver) applyFences(ctx context.Context) {
	for _, p := range d.peers {
		p.mu.Lock()
		h := p.link.Last()
		p.mu.Unlock()
		d.applyFence(ctx, p.Name, h)
	}
}

// adopter returns the region that has adopted a call which lives here yet; nil if none has.
func (d *Driver) adopter(c Call) *peer {
	f := d.fence.Load()
	if f == nil || !f.Ends(c.First, f.Upto) {
		return nil
	}
	return d.peer(f.By)
}
