package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"rtpjet/tests/lab"
)

// How long a load runs before it is measured, and while it is.
const (
	homeWarm    = 2 * time.Second
	homeMeasure = 10 * time.Second
)

// home measures a load in the first region: with regions that know of each other, with the same ones while all ways between
// them are cut, and with regions that know nothing of each other. All nodes run in all cases, so that the machine has the
// same number of processes to serve, and those of the other regions have only what is left of it: they would be elsewhere.
func (s *setup) home(ctx context.Context, run int) (*outcome, error) {
	o := &homeOutcome{}
	// Each round begins with the other one, so that none always runs first.
	order := []bool{run%2 == 0, run%2 != 0}
	for _, joined := range order {
		if joined && s.apart {
			continue
		}
		err := s.inCluster(ctx, "home", joined, func(c *cluster) error {
			if err := errors.Join(c.elsewhere(0), c.wan.GoLast()); err != nil {
				return err
			}
			r, err := s.undisturbed(ctx, c)
			if err != nil {
				return err
			}
			if !joined {
				o.Alone = r
				return nil
			}
			o.Joined = r
			if err := c.cutOff(ctx, 0); err != nil {
				return err
			}
			o.CutOff, err = s.undisturbed(ctx, c)
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return &outcome{Home: o}, nil
}

// elsewhere has the nodes of all regions but one be served last.
func (c *cluster) elsewhere(home int) error {
	for r, list := range c.procs {
		for _, p := range list {
			if r == home {
				continue
			}
			if err := lab.GoLast(p.PID); err != nil {
				return err
			}
		}
	}
	return nil
}

// undisturbed repeats a round while others have the machine, but not for ever.
func (s *setup) undisturbed(ctx context.Context, c *cluster) (*homeRound, error) {
	const late = 15.0 // ms
	var r homeRound
	for again := range 1 + s.repeats {
		var err error
		if r, err = s.homeRound(ctx, c); err != nil {
			return nil, err
		}
		if r.Repeats = again; r.CanaryMS <= late && r.LateMS <= late {
			break
		}
	}
	return &r, nil
}

// cutOff cuts all ways, and waits until a region knows.
func (c *cluster) cutOff(ctx context.Context, r int) error {
	for _, v := range everyWay() {
		c.cut(v)
	}
	err := eventually(ctx, time.Minute, 200*time.Millisecond, func() (bool, error) {
		rows, err := c.peers(ctx, r)
		for _, o := range others(r) {
			if w, ok := rowOf(rows, names[o]); !ok || w.State != stateCut {
				return false, err
			}
		}
		return true, err
	})
	if err != nil {
		return fmt.Errorf("wait until %s says that all others are cut: %w", names[r], err)
	}
	return nil
}

func (s *setup) homeRound(ctx context.Context, c *cluster) (r homeRound, err error) {
	warm := c.regions[0].startLoad(ctx, "warm", s.Rate, newTally())
	err = lab.Pause(ctx, homeWarm)
	warm.end()
	if err != nil {
		return r, err
	}
	before, err := c.usage()
	if err != nil {
		return r, err
	}
	canary, began := lab.NewCanary(), time.Now()
	l := c.regions[0].startLoad(ctx, "home", s.Rate, newTally())
	err = lab.Pause(ctx, homeMeasure)
	l.end()
	took, late := time.Since(began), canary.Stop()
	if err != nil {
		return r, err
	}
	after, err := c.usage()
	if err != nil {
		return r, err
	}
	r = homeRound{Commands: l.spreads(), First: l.why(), LateMS: ms(l.late), CanaryMS: ms(late)}
	r.CPUms = tidy(ms(after[0]-before[0]) / float64(max(1, r.Commands["offer"].N)))
	for i := 1; i < len(after); i++ {
		r.OthersMS += tidy(ms(after[i]-before[i]) / took.Seconds())
	}
	return r, nil
}

// usage is what each region has used of the processors so far.
func (c *cluster) usage() ([]time.Duration, error) {
	all := make([]time.Duration, len(names))
	for r := range names {
		used, err := c.cpu(r)
		if err != nil {
			return nil, err
		}
		all[r] = used
	}
	return all, nil
}

func ms(d time.Duration) float64 { return tidy(float64(d) / float64(time.Millisecond)) }
