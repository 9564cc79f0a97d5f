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
			t.ask(ctx, at, "re-offer", k.again())
			t.ask(ctx, at, "delete", k.remove())
			return nil // what failed is in the tally
		})
		o.Commands, o.First = t.spreads(), t.why()
		return nil
	})
	return &outcome{Foreign: o}, err
}
