package main

import (
	"context"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"rtpjet/ngserver/bencode"
	"rtpjet/tests/lab"
)

// hold is how long a call of a load stands.
const hold = 500 * time.Millisecond

// load sets calls up and deletes them at a fixed rate, whatever the answers take: at each node of a region in turn.
type load struct {
	*tally
	stop context.CancelFunc
	done sync.WaitGroup
	late time.Duration // how late a call has begun, at worst
}

// callOf is call number i of a name.
func (r *region) callOf(name string, i int) call {
	at := r.client.Addr
	return call{
		id:     fmt.Sprintf("%s-%s-%d@regions.invalid", name, r.name, i),
		caller: netip.AddrPortFrom(at, uint16(20000+2*(i%9000))), callee: netip.AddrPortFrom(at, uint16(40000+2*(i%9000))),
	}
}

// startLoad begins to place rate calls a second, and notes in t what becomes of them.
func (r *region) startLoad(ctx context.Context, name string, rate float64, t *tally) *load {
	l := &load{tally: t}
	ctx, l.stop = context.WithCancel(ctx)
	l.done.Go(func() {
		began := time.Now()
		for i := 0; ; i++ {
			due := began.Add(time.Duration(float64(i) * float64(time.Second) / rate))
			if lab.Pause(ctx, time.Until(due)) != nil {
				return
			}
			l.late = max(l.late, time.Since(due))
			l.done.Go(func() { l.carryOut(r.lines[i%len(r.lines)], r.callOf(name, i)) })
		}
	})
	return l
}

// carryOut is one call. Nothing interrupts it: what has begun is deleted.
func (l *load) carryOut(at *line, c call) {
	ctx := context.Background()
	if !l.ask(ctx, at, "offer", c.offer()) {
		return
	}
	if l.ask(ctx, at, "answer", c.answer()) {
		time.Sleep(hold)
	}
	l.ask(ctx, at, "delete", c.remove())
}

// ask sends a command and notes what became of it.
func (t *tally) ask(ctx context.Context, at *line, name string, d *bencode.Dict) bool {
	took, err := at.ask(ctx, d)
	t.note(name, took, err)
	return err == nil
}

// end places no more calls, and returns when the last one is deleted.
func (l *load) end() {
	l.stop()
	l.done.Wait()
}

// place sets calls up that stay, a few at a time, each at the nodes in turn.
func (r *region) place(ctx context.Context, name string, count int) ([]call, error) {
	calls := make([]call, count)
	for i := range calls {
		calls[i] = r.callOf(name, i)
	}
	err := inParallel(calls, func(i int, c call) error {
		at := r.lines[i%len(r.lines)]
		if _, err := at.ask(ctx, c.offer()); err != nil {
			return err
		}
		_, err := at.ask(ctx, c.answer())
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("place %d calls in %s: %w", count, r.name, err)
	}
	return calls, nil
}

// inParallel carries out something for each call, a few at a time, and returns the first error.
func inParallel(calls []call, f func(i int, c call) error) error {
	const workers = 8
	var wg sync.WaitGroup
	errs := make([]error, workers)
	for w := range workers {
		wg.Go(func() {
			for i := w; i < len(calls) && errs[w] == nil; i += workers {
				errs[w] = f(i, calls[i])
			}
		})
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
