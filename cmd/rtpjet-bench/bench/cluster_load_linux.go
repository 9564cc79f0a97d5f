package bench

import (
	"context"
	"net/netip"
	"sync"
	"time"
)

// ClusterLoad is what calls at a fixed rate showed.
type ClusterLoad struct {
	CommandTally
	Rate    float64 `json:"calls_per_s_wanted"`
	Seconds float64 `json:"seconds"`
	Calls   uint64  `json:"calls"` // begun
	AtOnce  int     `json:"most_at_once"`
}

// ClusterHeld is what was done with a number of calls without media.
type ClusterHeld struct {
	CommandTally
	What    string  `json:"what"` // hold, ask, drop
	Calls   int     `json:"calls"`
	Seconds float64 `json:"seconds"`
}

// nobody returns the address of a phone that sends nothing.
func (r *clusterRun) nobody(i int) netip.AddrPort {
	return netip.AddrPortFrom(r.local, uint16(10000+2*(i%20000)))
}

// load begins calls at a fixed rate, whatever becomes of those before: offer, answer and delete, each to any node.
func (r *clusterRun) load(ctx context.Context, rate float64, duration time.Duration) (*ClusterLoad, error) {
	out := &ClusterLoad{Rate: rate}
	t := newTally()
	var mu sync.Mutex
	var free []*asker
	var first error
	busy := 0
	take := func() *asker {
		mu.Lock()
		defer mu.Unlock()
		busy++
		out.AtOnce = max(out.AtOnce, busy)
		if n := len(free); n > 0 {
			a := free[n-1]
			free = free[:n-1]
			return a
		}
		a, err := newAsker(r.nodes, t)
		if err != nil && first == nil {
			first = err
		}
		return a
	}
	give := func(a *asker) {
		mu.Lock()
		defer mu.Unlock()
		busy--
		free = append(free, a)
	}
	defer func() {
		for _, a := range free {
			a.close()
		}
	}()

	began := time.Now()
	var group sync.WaitGroup
	defer group.Wait()
	for i := 0; ; i++ {
		due := began.Add(time.Duration(float64(i) / rate * float64(time.Second)))
		if due.Sub(began) >= duration {
			break
		}
		if err := waitUntil(ctx, due); err != nil {
			return nil, err
		}
		a := take()
		if a == nil {
			return nil, first
		}
		out.Calls++
		group.Go(func() {
			defer give(a)
			r.briefCall(ctx, a, i)
		})
	}
	group.Wait()
	out.Seconds = time.Since(began).Seconds()
	out.CommandTally = t.result()
	return out, ctx.Err()
}

func (r *clusterRun) briefCall(ctx context.Context, a *asker, i int) {
	names := namesOf(r.name, i)
	owner, ok := r.placeOne(ctx, a, names, i)
	if !ok && owner < 0 {
		return
	}
	a.ask(ctx, r.anyNode(), owner, "delete", names.callID, deleteRequest(names, r.opts))
}

// placeOne sends offer and answer of a call without media. owner is -1 if there is none.
func (r *clusterRun) placeOne(ctx context.Context, a *asker, names callNames, i int) (owner int, ok bool) {
	s := signalling{command: "offer", names: names, from: r.local, sdp: phoneSDP(r.nobody(2*i), r.sdp)}
	at := r.anyNode()
	media, ok := a.askMedia(ctx, at, -1, "offer", s)
	if !ok {
		return -1, false
	}
	if owner = r.nodes.owner(media); owner < 0 {
		owner = at
	}
	s.command, s.sdp = "answer", phoneSDP(r.nobody(2*i+1), r.sdp)
	_, ok = a.askMedia(ctx, r.anyNode(), owner, "answer", s)
	return owner, ok
}

// held places calls and leaves them, or queries or deletes those that another run of this name has placed.
func (r *clusterRun) held(ctx context.Context, what string, calls, callers int) (*ClusterHeld, error) {
	t := newTally()
	began := time.Now()
	err := r.each(ctx, calls, callers, t, func(ctx context.Context, a *asker, i int) error {
		names := namesOf(r.name, i)
		switch what {
		case "hold":
			r.placeOne(ctx, a, names, i)
		case "ask":
			a.ask(ctx, r.anyNode(), -1, "query", names.callID, queryRequest(names))
		case "drop":
			a.ask(ctx, r.anyNode(), -1, "delete", names.callID, deleteRequest(names, r.opts))
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &ClusterHeld{CommandTally: t.result(), What: what, Calls: calls, Seconds: time.Since(began).Seconds()}, nil
}
