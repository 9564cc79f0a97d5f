package main

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"time"

	"rtpjet/tests/lab"
)

const (
	cutsStay = 40 // calls in each region that outlive all cuts
	cutsCalm = 3 * time.Second
	cutsWait = 2 * time.Minute
)

// cut is a cut of some ways.
type cut struct {
	name string
	ways []way
	hold time.Duration // from when all know of it to its healing
}

func between(a, b int, hold time.Duration) cut {
	return cut{names[a] + " ↔ " + names[b], []way{{a, b}, {b, a}}, hold}
}

func oneWay(a, b int, hold time.Duration) cut {
	return cut{names[a] + " → " + names[b], []way{{a, b}}, hold}
}

func around(r int, hold time.Duration) (c cut) {
	c.name, c.hold = names[r]+" alone", hold
	for _, v := range everyWay() {
		if v.from == r || v.to == r {
			c.ways = append(c.ways, v)
		}
	}
	return c
}

// How long the cuts hold: some end before connections do, and some long after.
const (
	briefly = 3 * time.Second
	longer  = 12 * time.Second
	long    = 40 * time.Second
)

// tenCuts are those of a run.
var tenCuts = []cut{
	between(0, 1, briefly), around(2, longer), oneWay(0, 2, briefly), between(1, 2, long), around(0, briefly), oneWay(1, 0, longer),
	between(2, 0, longer), around(1, long), oneWay(2, 1, briefly), {"each alone", everyWay(), longer},
}

// cuts cuts ways and heals them while calls are placed in all regions.
func (s *setup) cuts(ctx context.Context, _ int) (*outcome, error) {
	o := &cutsOutcome{}
	err := s.inCluster(ctx, "cuts", true, func(c *cluster) error { return s.cutAll(ctx, c, o) })
	return &outcome{Cuts: o}, err
}

func (s *setup) cutAll(ctx context.Context, c *cluster, o *cutsOutcome) error {
	for _, r := range c.regions {
		if _, err := r.place(ctx, "stays", cutsStay); err != nil {
			return err
		}
	}
	if err := c.eachUp(ctx); err != nil {
		return err
	}
	v := c.watch(ctx)
	defer v.end()
	t := newTally()
	var loads []*load
	defer func() {
		for _, l := range loads {
			l.end()
		}
	}()
	for _, r := range c.regions {
		loads = append(loads, r.startLoad(ctx, "cuts", cutsRate, t))
	}
	if err := lab.Pause(ctx, cutsCalm); err != nil {
		return err
	}
	for _, one := range tenCuts {
		r, err := c.cutOne(ctx, v, t, one)
		if err != nil {
			return err
		}
		o.Cuts = append(o.Cuts, r)
		s.say("cuts: %s: noticed after %.1f s, caught up %.1f s after healing, %d failed", r.Name, r.Noticed, r.CaughtUp, r.FailedNow)
		if err := lab.Pause(ctx, cutsCalm); err != nil {
			return err
		}
	}
	for _, l := range loads {
		l.end()
	}
	loads = nil
	o.Course = thinned(v.end())
	o.Commands, o.First = t.spreads(), t.why()
	if err := c.eachUp(ctx); err != nil {
		return err
	}
	for of := range names {
		for _, at := range others(of) {
			m, err := c.compare(ctx, at, of)
			if err != nil {
				return err
			}
			o.Mirrors = append(o.Mirrors, m)
		}
	}
	return nil
}

// cutOne cuts, waits until the regions know of it, heals, and waits until nothing is missing anywhere.
func (c *cluster) cutOne(ctx context.Context, v *watcher, t *tally, one cut) (r cutOutcome, err error) {
	r.Name, r.Noticed, r.AllKnow, r.CaughtUp = one.name, -1, -1, -1
	_, failed := t.commands()
	for _, w := range one.ways {
		c.cut(w)
	}
	r.At = round(v.now())
	// Who does not hear another one, knows it; of a way that is cut, those are both ends: answers do not come either.
	var sides []way // who says it of whom
	for _, w := range one.ways {
		for _, side := range []way{w, {w.to, w.from}} {
			if !slices.Contains(sides, side) {
				sides = append(sides, side)
			}
		}
	}
	_ = eventually(ctx, cutsWait, cutsEvery/4, func() (bool, error) { // who waits in vain, has -1
		know := 0
		for _, side := range sides {
			if m, ok := v.last(side); ok && m.T > r.At && m.State == stateCut {
				know++
			}
		}
		if know > 0 && r.Noticed < 0 {
			r.Noticed = round(v.now() - r.At)
		}
		if know == len(sides) {
			r.AllKnow = round(v.now() - r.At)
		}
		return know == len(sides), nil
	})
	if err := lab.Pause(ctx, one.hold); err != nil {
		return r, err
	}
	for _, w := range one.ways {
		c.heal(w)
	}
	r.HealedAt = round(v.now())
	_ = eventually(ctx, cutsWait, cutsEvery/4, func() (bool, error) {
		for _, side := range sides {
			m, ok := v.last(side)
			if !ok || m.T <= r.HealedAt || m.State != stateUp || m.Lag > v.usual {
				return false, nil
			}
		}
		r.CaughtUp = round(v.now() - r.HealedAt)
		return true, nil
	})
	_, after := t.commands()
	r.FailedNow = after - failed
	return r, ctx.Err()
}

func round(seconds float64) float64 { return math.Round(seconds*100) / 100 }

// watcher asks all regions about the others, again and again.
type watcher struct {
	began time.Time
	stop  context.CancelFunc
	done  sync.WaitGroup
	// usual is the lag that is no lag: while calls are placed, some events are always under way.
	usual int

	mu     sync.Mutex
	course []moment
}

func (c *cluster) watch(ctx context.Context) *watcher {
	// A call writes three events, and what a region knows of another one is a second old.
	v := &watcher{began: time.Now(), usual: 3 * cutsRate}
	ctx, v.stop = context.WithCancel(ctx)
	for r := range names {
		v.done.Go(func() {
			tick := time.NewTicker(cutsEvery)
			defer tick.Stop()
			for {
				rows, err := c.peers(ctx, r)
				if ctx.Err() != nil {
					return
				}
				if err != nil {
					rows = nil // said below as a state of its own
				}
				v.note(r, rows)
				select {
				case <-tick.C:
				case <-ctx.Done():
					return
				}
			}
		})
	}
	return v
}

// stateUnknown is what the lab notes while a region does not say anything.
const stateUnknown = "unknown"

func (v *watcher) note(at int, rows []row) {
	t := v.now()
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, of := range others(at) {
		m := moment{T: round(t), At: names[at], Of: names[of], State: stateUnknown}
		if w, ok := rowOf(rows, names[of]); ok {
			m.State, m.Lag, m.AgeMS = w.State, w.Lag, w.AgeMS
		}
		v.course = append(v.course, m)
	}
}

func (v *watcher) now() float64 { return time.Since(v.began).Seconds() }

// last is what one region said last of another one.
func (v *watcher) last(side way) (moment, bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, m := range slices.Backward(v.course) {
		if m.At == names[side.from] && m.Of == names[side.to] {
			return m, true
		}
	}
	return moment{}, false
}

// end asks no more, and returns all that was said.
func (v *watcher) end() []moment {
	v.stop()
	v.done.Wait()
	return v.course
}

// compare holds what a region has of another one against what that has itself.
func (c *cluster) compare(ctx context.Context, at, of int) (m mirrorOutcome, err error) {
	m.At, m.Of = names[at], names[of]
	there, err := c.live(ctx, of, of)
	if err != nil {
		return m, err
	}
	here, err := c.live(ctx, at, of)
	if err != nil {
		return m, err
	}
	m.Calls, m.Difference = len(there), differences(there, here)
	m.Equal = len(m.Difference) == 0
	return m, nil
}

// say tells whoever watches.
func (s *setup) say(format string, args ...any) {
	fmt.Fprintln(s.stderr, strings.TrimRight(fmt.Sprintf(format, args...), "\n"))
}
