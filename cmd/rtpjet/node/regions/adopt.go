package regions

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"rtpjet/embed"
	"rtpjet/events"
	"rtpjet/projection"
	"rtpjet/projection/regions"
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
func (d *Driver) servePromise(ctx context.Context, m embed.Msg) {
	var req promiseRequest
	if err := json.Unmarshal(m.Data, &req); err != nil {
		_ = m.RespondJSON(promiseReply{Refusal: err.Error()})
		return
	}
	refusal, err := d.promise(ctx, req.Region, req.By)
	if err != nil {
		refusal = err.Error()
	}
	_ = m.RespondJSON(promiseReply{Refusal: refusal})
}

// promise notes that a region may be adopted by another one, unless something speaks against it.
func (d *Driver) promise(ctx context.Context, name, by string) (refusal string, err error) {
	p := d.peer(name)
	if p == nil {
		return "", nil // this region knows nothing of it, and so has nothing against it
	}
	p.mu.Lock()
	lost := p.link.Lost(d.now())
	p.mu.Unlock()
	known := d.known()
	_, err = d.update(ctx, name, func(have regions.Record) (regions.Record, error) {
		want, why := regions.Promise(have, by, lost, known, d.wall())
		refusal = why
		return want, nil
	})
	return refusal, err
}

// Adopt makes the calls of a lost region this one's: the promises of the others, the record that fences, and then call by
// call. It returns how many are this region's then. The promises of the regions in without are not asked for. It may be repeated: what
// is done already is passed over.
func (d *Driver) Adopt(ctx context.Context, region string, without []string) (calls int, err error) {
	p := d.peer(region)
	if p == nil {
		return 0, fmt.Errorf("there is no region %s here; rtpjet region list shows those that there are", region)
	}
	p.mu.Lock()
	l, s, lost := p.log, p.link.Status(d.now()), p.link.Lost(d.now())
	p.mu.Unlock()
	if l == nil {
		return 0, fmt.Errorf("the mirror of region %s is not open: %s", region, s.Reason)
	}
	if why := regions.Adoptable(s, lost, d.self.Region, d.known()); why != "" {
		return 0, errors.New(why)
	}
	p.adopting.Lock() // two at once would be in each other's way
	defer p.adopting.Unlock()
	asked := d.wall()
	if err := d.askPromises(ctx, region, without); err != nil {
		return 0, err
	}
	entries, err := d.readMirror(ctx, l)
	if err != nil {
		return 0, fmt.Errorf("read the mirror of region %s: %w", region, err)
	}
	rec, err := d.update(ctx, region, func(have regions.Record) (regions.Record, error) {
		want, why := regions.Take(have, d.self.Region, entries.Last, asked, d.wall())
		if why != "" {
			return have, errors.New(why)
		}
		return want, nil
	})
	if err != nil {
		return 0, err
	}
	entries.Keep(rec)
	d.log.Warn("adopting the calls of a region", "region", region, "calls", len(entries.Calls), "up to", rec.Seq)
	return d.adoptCalls(ctx, rec, entries)
}

// askPromises asks all other regions, but for those in without, for their promise of a region.
func (d *Driver) askPromises(ctx context.Context, region string, without []string) error {
	data, err := json.Marshal(promiseRequest{Region: region, By: d.self.Region})
	if err != nil {
		return fmt.Errorf("ask for a promise: %w", err)
	}
	for _, p := range d.peers {
		if p.Name == region || slices.Contains(without, p.Name) {
			continue
		}
		l, why := d.reach(p)
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
				p.Name, region, why, p.Name)
		case reply.Refusal != "":
			return fmt.Errorf("region %s does not agree to the adoption of %s: %s", p.Name, region, reply.Refusal)
		}
	}
	return nil
}

// readMirror reads a mirror up to its present end.
func (d *Driver) readMirror(ctx context.Context, l Log) (out regions.Haul[embed.Entry], err error) {
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
func (d *Driver) adoptCalls(ctx context.Context, rec regions.Record, m regions.Haul[embed.Entry]) (int, error) {
	var done int
	var upto uint64 // of the stream here
	left := m.Calls
	for {
		round := d.adoptRound(ctx, rec, left)
		upto = max(upto, round.upto)
		done += round.done
		if len(round.left) == 0 {
			_, err := d.update(ctx, rec.Region, func(have regions.Record) (regions.Record, error) { return regions.Finish(have, upto), nil })
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

func (d *Driver) adoptRound(ctx context.Context, rec regions.Record, calls map[string][]embed.Entry) adoptRound {
	out := adoptRound{left: make(map[string][]embed.Entry)}
	var mu sync.Mutex
	var g errgroup.Group
	g.SetLimit(adoptWorkers)
	for key, entries := range calls {
		g.Go(func() error {
			c, err := d.adoptCall(ctx, rec, key, entries)
			mu.Lock()
			defer mu.Unlock()
			out.upto = max(out.upto, c.seq)
			switch {
			case err != nil:
				d.log.Error("a call cannot be adopted", "call-id", c.id, "region", rec.Region, "key", key, "err", err)
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
func (d *Driver) adoptCall(ctx context.Context, rec regions.Record, key string, entries []embed.Entry) (out adoptedCall, err error) {
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
	err = d.host.Adopt(ctx, key, "region "+rec.Region+" adopted", func(c *projection.Call) (regions.Move, error) {
		out.ours, out.seq = c.Live(), c.Seq
		next := regions.Next(c.Gen, c.Live(), c.Owner, c.EndedAt, rec.At)
		if next != regions.Import {
			return next, nil
		}
		_, err := d.cfg.Server.AppendAll(ctx, key, c.Seq, list)
		if err != nil && !errors.Is(err, embed.ErrConflict) {
			return regions.Settled, err
		}
		return next, err
	})
	return out, err
}
