package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"rtpjet/cmd/rtpjet/admin"
	"rtpjet/embed"
	"rtpjet/events"
	"rtpjet/projection/regions"
	"rtpjet/projection/transact"
)

// adoptWorkers is how many calls are adopted at once. A stream takes 50 batches at a time, and keeps one that was begun and not
// finished for 10 s: a slow log, at which each attempt ends after adoptTime, has three of each worker, and takes the next.
const adoptWorkers = 16

// adoptTime bounds one attempt to adopt a call.
const adoptTime = 5 * time.Second

// promiseRequest asks another region for its promise.
type promiseRequest struct {
	Region string `json:"region"`
	By     string `json:"by"`
}

type promiseReply struct {
	Refusal string `json:"refusal,omitempty"`
}

// servePromise answers a region that wants to adopt another one.
func (r *regionState) servePromise(ctx context.Context, m embed.Msg) {
	var req promiseRequest
	if err := json.Unmarshal(m.Data, &req); err != nil {
		_ = m.RespondJSON(promiseReply{Refusal: err.Error()})
		return
	}
	refusal, err := r.promise(ctx, req.Region, req.By)
	if err != nil {
		refusal = err.Error()
	}
	_ = m.RespondJSON(promiseReply{Refusal: refusal})
}

// promise notes that a region may be adopted by another one, unless something speaks against it.
func (r *regionState) promise(ctx context.Context, name, by string) (refusal string, err error) {
	p := r.peer(name)
	if p == nil {
		return "", nil // this region knows nothing of it, and so has nothing against it
	}
	p.mu.Lock()
	lost := p.link.Lost(r.now())
	p.mu.Unlock()
	known := r.known()
	_, err = r.record(ctx, name, func(have regions.Record) (regions.Record, error) {
		want, why := regions.Promise(have, by, lost, known, r.n.calls.now())
		refusal = why
		return want, nil
	})
	return refusal, err
}

// adopt makes the calls of a lost region this one's: the promises of the others, the record that fences, and then call by
// call. It may be repeated: what is done already is passed over.
func (r *regionState) adopt(ctx context.Context, req admin.AdoptRequest) (calls int, err error) {
	p := r.peer(req.Region)
	if p == nil {
		return 0, fmt.Errorf("there is no region %s here; rtpjet region list shows those that there are", req.Region)
	}
	p.mu.Lock()
	l, s, lost := p.log, p.link.Status(r.now()), p.link.Lost(r.now())
	p.mu.Unlock()
	if l == nil {
		return 0, fmt.Errorf("the mirror of region %s is not open: %s", req.Region, s.Reason)
	}
	if why := regions.Adoptable(s, lost, r.cfg.Region, r.known()); why != "" {
		return 0, errors.New(why)
	}
	p.adopting.Lock() // two at once would be in each other's way
	defer p.adopting.Unlock()
	asked := r.n.calls.now()
	if err := r.promises(ctx, req); err != nil {
		return 0, err
	}
	entries, err := r.mirrored(ctx, l)
	if err != nil {
		return 0, fmt.Errorf("read the mirror of region %s: %w", req.Region, err)
	}
	rec, err := r.record(ctx, req.Region, func(have regions.Record) (regions.Record, error) {
		want, why := regions.Take(have, r.cfg.Region, entries.Last, asked, r.n.calls.now())
		if why != "" {
			return have, errors.New(why)
		}
		return want, nil
	})
	if err != nil {
		return 0, err
	}
	entries.Keep(rec)
	r.log.Warn("adopting the calls of a region", "region", req.Region, "calls", len(entries.Calls), "up to", rec.Seq)
	return r.adoptCalls(ctx, rec, entries)
}

// promises asks all other regions.
func (r *regionState) promises(ctx context.Context, req admin.AdoptRequest) error {
	data, err := json.Marshal(promiseRequest{Region: req.Region, By: r.cfg.Region})
	if err != nil {
		return fmt.Errorf("ask for a promise: %w", err)
	}
	for _, p := range r.peers {
		if p.Name == req.Region || slices.Contains(req.Without, p.Name) {
			continue
		}
		l, why := r.reach(p)
		var reply promiseReply
		if l != nil {
			actx, cancel := context.WithTimeout(ctx, greetTime)
			answer, err := l.Request(actx, tokensPromise, data)
			cancel()
			if err == nil {
				err = json.Unmarshal(answer, &reply)
			}
			if err != nil {
				l, why = nil, err.Error()
			}
		}
		switch {
		case l == nil:
			return fmt.Errorf("region %s cannot be asked whether it has adopted %s or hears it (%s): mend that, or say --without %s if you know that it does not",
				p.Name, req.Region, why, p.Name)
		case reply.Refusal != "":
			return fmt.Errorf("region %s does not agree to the adoption of %s: %s", p.Name, req.Region, reply.Refusal)
		}
	}
	return nil
}

// mirrored reads a mirror up to its present end.
func (r *regionState) mirrored(ctx context.Context, l RegionLog) (out regions.Haul[embed.Entry], err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var mu sync.Mutex
	err = l.Follow(ctx, 1, embed.Follower{
		Entry: func(e embed.Entry) {
			mu.Lock()
			defer mu.Unlock()
			out.Note(e.Key, e.Seq, events.IsEnd(e.Data), e)
		},
		CaughtUp: func(last uint64) {
			mu.Lock()
			defer mu.Unlock()
			out.Last = max(out.Last, last)
			cancel()
		},
		Pace: -1,
	})
	if errors.Is(err, context.Canceled) && ctx.Err() != nil {
		err = nil
	}
	mu.Lock()
	defer mu.Unlock()
	return out, err
}

// adoptCalls adopts all calls of a mirror, notes that they are in the stream here, and returns how many are this region's then.
// Where a region was lost the log of the one that adopts is often slow: what fails is tried again for as long as that brings
// further calls home.
func (r *regionState) adoptCalls(ctx context.Context, rec regions.Record, m regions.Haul[embed.Entry]) (int, error) {
	var done int
	var upto uint64 // of the stream here
	left := m.Calls
	for {
		round := r.adoptRound(ctx, rec, left)
		upto = max(upto, round.upto)
		done += round.done
		if len(round.left) == 0 {
			_, err := r.record(ctx, rec.Region, func(have regions.Record) (regions.Record, error) { return regions.Finish(have, upto), nil })
			return done, unfinished(done, len(m.Calls), err)
		}
		if ctx.Err() != nil || len(round.left) == len(left) {
			return done + round.stay, unfinished(done+round.stay, len(m.Calls), round.err)
		}
		left = round.left
	}
}

func unfinished(done, of int, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%d calls of %d are this region's, and it is not finished, because of: %w; say it once more when that is mended", done, of, err)
}

// adoptRound is what one attempt to adopt some calls has led to.
type adoptRound struct {
	done int    // calls that live here
	upto uint64 // the last of their events in the stream here

	left map[string][]embed.Entry // those that failed
	stay int                      // of these, calls that live here all the same, with their old owner
	err  error                    // of one of these
}

func (r *regionState) adoptRound(ctx context.Context, rec regions.Record, calls map[string][]embed.Entry) adoptRound {
	out := adoptRound{left: make(map[string][]embed.Entry)}
	var mu sync.Mutex
	var g errgroup.Group
	g.SetLimit(adoptWorkers)
	for key, entries := range calls {
		g.Go(func() error {
			c, err := r.adoptCall(ctx, rec, key, entries)
			mu.Lock()
			defer mu.Unlock()
			out.upto = max(out.upto, c.seq)
			switch {
			case err != nil:
				r.log.Error("a call cannot be adopted", "call-id", c.id, "region", rec.Region, "key", key, "err", err)
				out.left[key], out.err = entries, err
				if c.ours {
					out.stay++
				}
			case c.ours:
				out.done++
			}
			return nil
		})
	}
	_ = g.Wait() // nothing in it returns an error
	return out
}

// adoptedCall is what has become of a call that is adopted.
type adoptedCall struct {
	id   string
	ours bool   // it lives here
	seq  uint64 // of its last event here
}

// adoptCall writes the events of a call into this region's stream, all at once, and gives it an owner here.
func (r *regionState) adoptCall(ctx context.Context, rec regions.Record, key string, entries []embed.Entry) (out adoptedCall, err error) {
	ctx, cancel := context.WithTimeout(ctx, adoptTime)
	defer cancel()
	list := make([][]byte, 0, len(entries))
	for _, in := range entries {
		// Secrets stay sealed: all regions have the same key.
		env, err := events.Decode(in.Data)
		if err != nil {
			return out, fmt.Errorf("event %d: %w", in.Seq, err)
		}
		data, err := events.Encode(regions.Adopted(env, rec.Region))
		if err != nil {
			return out, fmt.Errorf("event %d: %w", in.Seq, err)
		}
		out.id = env.Call
		list = append(list, data)
	}
	n := r.n
	e := n.calls.acquire(key, true)
	defer n.calls.release(e)
	for range 6 { // others may be at work on the same
		if cerr := n.calls.catchUp(ctx, e); cerr != nil {
			return out, cerr
		}
		c := &e.Call
		out.ours, out.seq = c.Live(), c.Seq
		switch regions.Next(c.Gen, c.Live(), c.Owner, c.EndedAt, rec.At) {
		case regions.Import:
			if _, err = n.cfg.RegionServer.AppendAll(ctx, key, c.Seq, list); err != nil && !isConflict(err) {
				return out, err
			}
		case regions.Rehome:
			err = transact.TakeOver(n.calls.effects(ctx, e), n.id, "region "+rec.Region+" adopted")
		case regions.Settled:
			return out, nil
		}
	}
	return out, err
}

// obey ends the calls of this region that another one has adopted while this one was lost, and tells it so.
func (r *regionState) obey(ctx context.Context, f regions.Fence) {
	n := r.n
	if n.calls.backlog.Load() {
		return // they are not known yet; the next greeting comes
	}
	for was := r.fence.Load(); (was == nil || was.Seq < f.Seq) && !r.fence.CompareAndSwap(was, &f); was = r.fence.Load() {
	}
	p := r.peer(f.By)
	mirrored := p.index.last()
	if mirrored < f.Upto {
		return // commands would not find the calls there yet; the next greeting comes
	}
	r.mu.Lock()
	known := r.fenced == f
	r.mu.Unlock()
	left := 0
	for _, e := range n.calls.all() {
		e.mu.Lock()
		if c := &e.Call; !e.dead && c.Live() && f.Ends(c.First, mirrored) && (n.owners.carries(c.Owner) || n.endsFor(e)) {
			if err := n.calls.own(ctx, e, events.Ended{Reason: events.ReasonAdopted}); err != nil && e.Call.Live() {
				left++
			}
		} else if !e.dead && c.Live() && f.Ends(c.First, mirrored) {
			left++
		}
		n.calls.release(e)
	}
	if !known {
		r.log.Warn("this region was taken for lost, and its calls were adopted; those that began before are ended here", "by", f.By, "up to", f.Seq)
	}
	r.mu.Lock()
	r.fenced = f
	r.mu.Unlock()
	if left > 0 {
		return // other nodes are at it, or the log was slow
	}
	l, _ := r.reach(p)
	if l == nil {
		return
	}
	data, err := json.Marshal(returned{Region: r.cfg.Region, Instance: r.cfg.Instance, Term: f.Term})
	if err != nil {
		return
	}
	rctx, cancel := context.WithTimeout(ctx, greetTime)
	defer cancel()
	if _, err := l.Request(rctx, tokensReturn, data); err != nil {
		r.log.Debug("the region that has adopted calls of this one does not answer; trying again", "region", f.By, "err", err)
	}
}

// endsFor tells whether this node ends a call whose owner is gone.
func (n *Node) endsFor(e *entry) bool {
	_, ok := n.owners.of(e.Call.Owner).caretaker(e.key)
	return ok
}

// returned tells the adopter that nothing of what it has adopted lives in the region any more.
type returned struct {
	Region   string `json:"region"`
	Instance string `json:"instance"`
	Term     uint64 `json:"term"`
}

// serveReturned notes that an adopted region is back.
func (r *regionState) serveReturned(ctx context.Context, m embed.Msg) {
	var ret returned
	if err := json.Unmarshal(m.Data, &ret); err != nil {
		_ = m.RespondJSON(promiseReply{Refusal: err.Error()})
		return
	}
	_, err := r.record(ctx, ret.Region, func(have regions.Record) (regions.Record, error) {
		want := regions.Return(have, ret.Instance, ret.Term, r.n.calls.now())
		if want != have {
			r.log.Info("a region that was adopted is back, and has ended what was adopted", "region", ret.Region)
		}
		return want, nil
	})
	var reply promiseReply
	if err != nil {
		reply.Refusal = err.Error()
	}
	_ = m.RespondJSON(reply)
}

// awaitReturn has a region that starts hear, before it answers commands, whether its calls were adopted: as far as other regions can
// be reached at once.
func (r *regionState) awaitReturn(ctx context.Context) {
	if r == nil || len(r.peers) == 0 || r.n.peers.Accompanied() {
		return // a region that runs hears it from the greetings of its nodes
	}
	defer r.obeyAll(ctx)
	ctx, cancel := context.WithTimeout(ctx, returnTime)
	defer cancel()
	for {
		var silent []string
		for _, p := range r.peers {
			p.mu.Lock()
			if p.link.Status(r.now()).State == regions.Connecting {
				silent = append(silent, p.Name)
			}
			p.mu.Unlock()
		}
		if len(silent) == 0 {
			return
		}
		if !pause(ctx, followPace) {
			r.log.Warn("commands are answered without having heard of other regions: if they have adopted calls of this one, both have them until then",
				"regions", strings.Join(silent, " "))
			return
		}
	}
}

// obeyAll obeys what any region has said of this one.
func (r *regionState) obeyAll(ctx context.Context) {
	for _, p := range r.peers {
		p.mu.Lock()
		h := p.link.Last()
		p.mu.Unlock()
		if f, ok := regions.FenceOf(r.cfg.Region, r.cfg.Instance, adopted(h, p.Name)); ok {
			r.obey(ctx, f)
		}
	}
}

// adopter returns the region that has adopted a call which lives here yet; nil if none has.
func (r *regionState) adopter(e *entry) *regionPeer {
	f := r.fence.Load()
	if f == nil || !f.Ends(e.first.Load(), f.Upto) {
		return nil
	}
	return r.peer(f.By)
}

// forget drops what is noted of a region.
func (r *regionState) forget(ctx context.Context, name string) error {
	p := r.peer(name)
	if p == nil {
		return fmt.Errorf("there is no region %s here; rtpjet region list shows those that there are", name)
	}
	if _, err := r.record(ctx, name, func(regions.Record) (regions.Record, error) {
		return regions.Record{Region: name}, nil
	}); err != nil {
		return err
	}
	p.mu.Lock()
	l := p.log
	p.mu.Unlock()
	if l == nil {
		return nil
	}
	return l.ResetMirror(ctx)
}
