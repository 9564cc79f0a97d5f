package sim

import (
	"flag"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"rtpjet/tests/lab"
)

var (
	seedsFlag = flag.Uint64("sim.seeds", 0, "how many seeds to run (or RTPJET_SIM_SEEDS); 0: as many as fit in a test")
	seedFlag  = flag.Uint64("sim.seed", 0, "the one seed to run")
	firstFlag = flag.Uint64("sim.first", 1, "the seed to begin with")
)

// usualSeeds is how many fit in a test that is run all the time; the other worlds have fewer.
var usualSeeds uint64 = 200

// TestManySeeds runs enough of them in each world to find what is rare.
func TestManySeeds(t *testing.T) {
	lab.Only(t, "a thousand seeds")
	usual := usualSeeds
	usualSeeds = 1000
	defer func() { usualSeeds = usual }()
	t.Run("calls", TestSeeds)
	t.Run("floats", TestFloatSeeds)
	t.Run("regions", TestRegionSeeds)
}

// seeds is how many to run.
func seeds(t *testing.T) uint64 {
	if n, err := strconv.ParseUint(os.Getenv("RTPJET_SIM_SEEDS"), 10, 64); err == nil && *seedsFlag == 0 {
		return n
	}
	switch {
	case *seedsFlag > 0:
		return *seedsFlag
	case testing.Short():
		return 60
	}
	return usualSeeds
}

func TestSeeds(t *testing.T) {
	if *seedFlag > 0 {
		if w := simulate(*seedFlag, none, true); w.broken != nil {
			complain(t, w)
		}
		return
	}
	var next, bad atomic.Uint64
	var mu sync.Mutex
	var sum counters
	var workers sync.WaitGroup
	last := *firstFlag + seeds(t) - 1
	next.Store(*firstFlag - 1)
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for seed := next.Add(1); seed <= last && bad.Load() < 3; seed = next.Add(1) {
				w := simulate(seed, none, false)
				mu.Lock()
				sum.add(w.stats)
				if w.broken != nil {
					bad.Add(1)
					complain(t, w)
				}
				mu.Unlock()
			}
		})
	}
	workers.Wait()
	t.Logf("%+v", sum)
	if bad.Load() == 0 && last-*firstFlag >= 50 && (sum.takeovers == 0 || sum.conflicts == 0 || sum.uncertain == 0 || sum.repeats == 0 || sum.rerun == 0 || sum.kept == 0 || sum.served == 0 || last-*firstFlag >= 500 && sum.orphans == 0) {
		t.Errorf("the runs try too little: %+v", sum)
	}
}

func (c *counters) add(d counters) {
	c.steps += d.steps
	c.commands += d.commands
	c.events += d.events
	c.takeovers += d.takeovers
	c.rerun += d.rerun
	c.conflicts += d.conflicts
	c.uncertain += d.uncertain
	c.repeats += d.repeats
	c.refusals += d.refusals
	c.exchanges += d.exchanges
	c.atOnce += d.atOnce
	c.twinned += d.twinned
	c.movedOffers += d.movedOffers
	c.kept += d.kept
	c.served += d.served
	c.orphans += d.orphans
	c.repeated += d.repeated
}

// complain prints a violation and what led to it.
func complain(t *testing.T, w *world) {
	var b strings.Builder
	w.trace.print(&b)
	t.Errorf("seed %d: %v\n%+v\n%s\nagain: go test ./tests/sim -run TestSeeds -sim.seed=%d", w.seed, w.broken, w.cfg, b.String(), w.seed)
}

// The same seed gives the same run, step by step.
func TestDeterministic(t *testing.T) {
	for seed := uint64(1); seed <= 20; seed++ {
		a, b := simulate(seed, none, true), simulate(seed, none, true)
		if a.trace.sum != b.trace.sum || a.stats != b.stats {
			t.Errorf("seed %d ran in two ways: %x %+v, %x %+v", seed, a.trace.sum, a.stats, b.trace.sum, b.stats)
		}
	}
}

// parallel runs f for all seeds on all cores, until one of them returns false.
func parallel(first, last uint64, f func(seed uint64) bool) {
	var next atomic.Uint64
	var stop atomic.Bool
	var workers sync.WaitGroup
	next.Store(first - 1)
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for seed := next.Add(1); seed <= last && !stop.Load(); seed = next.Add(1) {
				if !f(seed) {
					stop.Store(true)
				}
			}
		})
	}
	workers.Wait()
}
