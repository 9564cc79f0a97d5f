package main

import (
	"context"
	"fmt"
	"regexp"
	"strings"
)

// history has a call offered in the first region, answered through the second one and deleted through the third, and
// looks at its ladder.
func (s *setup) history(ctx context.Context, _ int) (*outcome, error) {
	o := &historyOutcome{}
	err := s.inCluster(ctx, "history", true, func(c *cluster) error {
		k := c.regions[0].callOf("history", 0)
		for i, d := range []func() error{
			func() error { _, err := c.regions[0].lines[0].ask(ctx, k.offer()); return err },
			func() error { _, err := c.regions[1].lines[0].ask(ctx, k.answer()); return err },
			func() error { _, err := c.regions[2].lines[0].ask(ctx, k.remove()); return err },
		} {
			if err := d(); err != nil {
				return fmt.Errorf("signal a call in %s: %w", names[i], err)
			}
			for at := range names {
				if at == 0 {
					continue
				}
				if err := c.awaitAll(ctx, at, 0); err != nil {
					return err
				}
			}
		}
		out, err := c.tool(ctx, 0, names[0], "call", "history", k.id)
		if err != nil {
			return err
		}
		o.Ladder, o.Missing = string(out), missing(string(out))
		return nil
	})
	return &outcome{History: o}, err
}

// missing lists what a ladder does not say: what happened, and each region, alone or as part of a node's name.
func missing(ladder string) (words []string) {
	for _, word := range []string{"offer", "answer", "delete"} {
		if !strings.Contains(ladder, word) {
			words = append(words, word)
		}
	}
	for _, name := range names {
		if !regexp.MustCompile(`\b` + name + `(/|\d+\b)`).MatchString(ladder) {
			words = append(words, name)
		}
	}
	return words
}
