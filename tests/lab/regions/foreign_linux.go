package main

import (
	"context"
	"fmt"
)

// foreignCalls is how many calls are signalled from elsewhere.
const foreignCalls = 200

// foreign measures what commands take in the second region for calls of the first one.
func (s *setup) foreign(ctx context.Context, _ int) (*outcome, error) {
	o := &foreignOutcome{}
	err := s.inCluster(ctx, "foreign", true, func(c *cluster) error {
		home, away := c.regions[0], c.regions[1]
		t := newTally()
		calls := make([]call, foreignCalls)
		for i := range calls {
			calls[i] = home.callOf("foreign", i)
		}
		err := inParallel(calls, func(i int, k call) error {
			_, err := home.lines[i%len(home.lines)].ask(ctx, k.offer())
			return err
		})
		if err != nil {
			return fmt.Errorf("offer calls at home: %w", err)
		}
		if err := c.awaitAll(ctx, 1, 0); err != nil {
			return err
		}
		_ = inParallel(calls, func(i int, k call) error {
			at := away.lines[i%len(away.lines)]
			t.ask(ctx, at, "answer", k.answer())
			t.ask(ctx, at, "query", k.query())
			t.ask(ctx, at, "re-offer", k.reoffer())
			t.ask(ctx, at, "delete", k.remove())
			return nil // what failed is in the tally
		})
		if err := c.atOnce(ctx, t); err != nil {
			return err
		}
		o.Commands, o.First = t.spreads(), t.why()
		// All of these calls are of the first region.
		own, err := c.live(ctx, 1, 1)
		for id := range own {
			o.Twins = append(o.Twins, id)
		}
		return err
	})
	return &outcome{Foreign: o}, err
}

// atOnce has calls answered and offered again in the second region as soon as the first one has them: before a mirror can
// have them, too.
func (c *cluster) atOnce(ctx context.Context, t *tally) error {
	home, away := c.regions[0], c.regions[1]
	calls := make([]call, foreignCalls/2)
	for i := range calls {
		calls[i] = home.callOf("at-once", i)
	}
	return inParallel(calls, func(i int, k call) error {
		here, there := home.lines[i%len(home.lines)], away.lines[i%len(away.lines)]
		if _, err := here.ask(ctx, k.offer()); err != nil {
			return fmt.Errorf("offer a call at home: %w", err)
		}
		if i%2 == 0 {
			t.ask(ctx, there, "answer at once", k.answer())
		} else {
			if _, err := here.ask(ctx, k.answer()); err != nil {
				return fmt.Errorf("answer a call at home: %w", err)
			}
			t.ask(ctx, there, "re-offer at once", k.reoffer())
		}
		_, err := here.ask(ctx, k.remove())
		return err
	})
}
