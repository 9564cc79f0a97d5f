package cluster

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// times are how long things took, by what they were.
type times struct {
	mu     sync.Mutex
	byWhat map[string][]time.Duration
}

func (t *times) note(what string, took time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.byWhat == nil {
		t.byWhat = make(map[string][]time.Duration)
	}
	t.byWhat[what] = append(t.byWhat[what], took)
}

// String has one line for each, with quantiles.
func (t *times) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var lines []string
	for what, all := range t.byWhat {
		slices.Sort(all)
		at := func(q float64) time.Duration {
			return all[min(len(all)-1, int(q*float64(len(all))))].Round(10 * time.Microsecond)
		}
		within, _ := slices.BinarySearch(all, time.Second+1)
		lines = append(lines, fmt.Sprintf("%-14s %6d: p50 %v, p90 %v, p99 %v, p99.9 %v, longest %v; %.2f %% within 1 s",
			what, len(all), at(.5), at(.9), at(.99), at(.999), at(1), 100*float64(within)/float64(len(all))))
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}
