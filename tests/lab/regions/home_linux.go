package main

import (
	"context"
	"time"

	"rtpjet/tests/lab"
)

// How long a load runs before it is measured, and while it is.
const (
	homeWarm    = 2 * time.Second
	homeMeasure = 10 * time.Second
)

// home measures a load in the first region, with regions that know of each other and with the same ones apart. All nodes
// run in both cases, so that the machine has the same number of processes to serve.
func (s *setup) home(ctx context.Context, run int) (*outcome, error) {
	o := &homeOutcome{}
	// Each round begins with the other one, so that none always runs first.
	order := []bool{run%2 == 0, run%2 != 0}
	for _, joined := range order {
		if joined && s.apart {
			continue
		}
		r := &homeRound{}
		err := s.inCluster(ctx, "home", joined, func(c *cluster) (err error) {
			*r, err = s.undisturbed(ctx, c)
			return err
		})
		if joined {
			o.Joined = r
		} else {
			o.Alone = r
		}
		if err != nil {
			return nil, err
		}
	}
	return &outcome{Home: o}, nil
}

// undisturbed repeats a round while others have the machine, but not for ever.
func (s *setup) undisturbed(ctx context.Context, c *cluster) (r homeRound, err error) {
	const late = 15.0 // ms
	for again := range 1 + s.repeats {
		if r, err = s.homeRound(ctx, c); err != nil {
			return r, err
		}
		if r.Repeats = again; r.CanaryMS <= late && r.LateMS <= late {
			break
		}
	}
	return r, nil
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
