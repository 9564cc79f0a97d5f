package sim

import (
	"sync"
	"sync/atomic"
	"testing"

	"rtpjet/tests/lab"
)

// regionBug is a fault that is put in on purpose.
type regionBug int

const (
	regionsWell        regionBug = iota
	regionsNoFence               // a region that returns keeps what was adopted
	regionsTwoPromises           // a region promises a lost one to whoever asks
	regionsBareNames             // adopted events have the names that nodes have at home
	regionsDrop                  // a mirror misses an entry
	regionsAge                   // the age of a mirror counts from the answer to a greeting
	regionsAdoptNew              // a repeated adoption is about what began since the first one, too
	regionsNoResume              // an adoption that was broken off stays so
	regionsAll                   // all calls of an adopted region are the adopter's, whenever they began
	regionsEarly                 // a region that returns ends its calls before the adopter has all of them
)

// regionCalls is how many call-ids a run has.
const regionCalls = 60

func simulateRegions(seed uint64, bug regionBug, full bool) *regionWorld {
	w := newRegionWorld(seed, bug)
	w.trace.full = full
	defer func() {
		w.over = true
		for _, g := range w.regions {
			for _, n := range g.nodes {
				n.kill()
			}
		}
	}()
	for _, g := range w.regions {
		for _, n := range g.nodes {
			n.boot()
		}
		w.after(w.between(0, 500*ms), g.repair)
		w.after(w.between(0, 3*sec), g.resume)
	}
	w.runUntil(w.now + 3*sec)
	w.calm = false
	for i := range regionCalls {
		c := w.newClient(i)
		w.clients = append(w.clients, c)
		w.after(w.between(0, 10*sec), c.step)
	}
	w.after(0, w.faults)
	w.after(5*sec, w.operators)
	w.after(w.between(0, 12*sec), w.quarrel)
	w.runUntil(w.now + 30*sec)
	w.heal()
	w.runUntil(w.now + 20*sec)
	if w.broken == "" {
		w.checkQuiet()
	}
	return w
}

// TestRegionSeeds runs ten regions of ten nodes through random faults.
func TestRegionSeeds(t *testing.T) {
	if *seedFlag > 0 {
		if w := simulateRegions(*seedFlag, regionsWell, true); w.broken != "" {
			t.Errorf("seed %d: %s\n%s", w.seed, w.broken, w.print())
		}
		return
	}
	num := seeds(t)
	if *seedsFlag == 0 {
		num = max(num/50, 5)
	}
	var mu sync.Mutex
	var sum regionStats
	var bad atomic.Uint64
	parallel(*firstFlag, *firstFlag+num-1, func(seed uint64) bool {
		w := simulateRegions(seed, regionsWell, false)
		mu.Lock()
		defer mu.Unlock()
		sum.add(w.stats)
		if w.broken != "" {
			t.Errorf("seed %d: %s\n%s\nagain: go test ./tests/sim -run TestRegionSeeds -sim.seed=%d", seed, w.broken, w.print(), seed)
			bad.Add(1)
		}
		return bad.Load() < 3
	})
	t.Logf("%+v", sum)
	if num >= 20 && bad.Load() == 0 && (sum.Calls == 0 || sum.Fenced == 0 || sum.Returned == 0 || sum.MirrorAppends == 0 || sum.Twice == 0 || sum.Resumed == 0) {
		t.Errorf("the runs try too little: %+v", sum)
	}
}

func (s *regionStats) add(d regionStats) {
	s.Steps += d.Steps
	s.Commands += d.Commands
	s.Forwarded += d.Forwarded
	s.FromMirror += d.FromMirror
	s.MirrorAppends += d.MirrorAppends
	s.Asked += d.Asked
	s.Events += d.Events
	s.Adoptions += d.Adoptions
	s.Refused += d.Refused
	s.Calls += d.Calls
	s.Resumed += d.Resumed
	s.Fenced += d.Fenced
	s.Returned += d.Returned
	s.Splits += d.Splits
	s.Twice += d.Twice
}

// The same seed gives the same run, step by step.
func TestRegionsDeterministic(t *testing.T) {
	a, b := simulateRegions(3, regionsWell, true), simulateRegions(3, regionsWell, true)
	if a.trace.sum != b.trace.sum || a.stats != b.stats {
		t.Errorf("a seed ran in two ways: %x %+v, %x %+v", a.trace.sum, a.stats, b.trace.sum, b.stats)
	}
}

// TestRegionBugs puts faults in and expects the simulation to find them.
func TestRegionBugs(t *testing.T) {
	lab.Only(t, "up to eighty seeds for each of nine bugs")
	for _, tt := range []struct {
		name string
		bug  regionBug
	}{
		{"no fence on return", regionsNoFence},
		{"promised to two", regionsTwoPromises},
		{"owners without their region", regionsBareNames},
		{"entry missing in a mirror", regionsDrop},
		{"age from the answer on", regionsAge},
		{"a repeated adoption takes what is new", regionsAdoptNew},
		{"an adoption stays unfinished", regionsNoResume},
		{"what began after the adoption is the adopter's, too", regionsAll},
		{"fenced before all is adopted", regionsEarly},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var found atomic.Uint64
			parallel(1, 80, func(seed uint64) bool {
				if w := simulateRegions(seed, tt.bug, false); w.broken != "" && found.CompareAndSwap(0, seed) {
					t.Logf("seed %d: %.300s", seed, w.broken)
				}
				return found.Load() == 0
			})
			if found.Load() == 0 {
				t.Error("not found in 80 seeds")
			}
		})
	}
}
