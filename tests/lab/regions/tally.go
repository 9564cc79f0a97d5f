package main

import (
	"fmt"
	"math"
	"slices"
	"sync"
	"time"
)

// levels are the shares of commands, as 1 of how many are slower, that a distribution is kept for.
var levels = []float64{1.25, 2, 4, 10, 20, 50, 100, 200, 500, 1000}

// spread is how long commands of a kind took, in milliseconds.
type spread struct {
	N      int       `json:"n"`
	Failed int       `json:"failed"`
	P50    float64   `json:"p50_ms"`
	P99    float64   `json:"p99_ms"`
	Worst  float64   `json:"worst_ms"`
	Levels []float64 `json:"levels_ms"` // by levels
}

// tally collects how long commands took. It is safe for concurrent use.
type tally struct {
	mu     sync.Mutex
	took   map[string][]float64 // ms, by command
	failed map[string]int
	first  string // the first failure
}

func newTally() *tally { return &tally{took: map[string][]float64{}, failed: map[string]int{}} }

func (t *tally) note(command string, took time.Duration, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.took[command] = append(t.took[command], float64(took)/float64(time.Millisecond))
	if err != nil {
		t.failed[command]++
		if t.first == "" {
			t.first = err.Error()
		}
	}
}

// spreads sums up.
func (t *tally) spreads() map[string]spread {
	t.mu.Lock()
	defer t.mu.Unlock()
	all := map[string]spread{}
	for command, took := range t.took {
		s := spreadOf(took)
		s.Failed = t.failed[command]
		all[command] = s
	}
	return all
}

// commands counts those that were sent, and those that failed.
func (t *tally) commands() (sent, failed int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for command, took := range t.took {
		sent += len(took)
		failed += t.failed[command]
	}
	return sent, failed
}

func (t *tally) why() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.first
}

func spreadOf(ms []float64) spread {
	if len(ms) == 0 {
		return spread{}
	}
	sorted := slices.Sorted(slices.Values(ms))
	s := spread{N: len(sorted), P50: quantile(sorted, 0.5), P99: quantile(sorted, 0.99), Worst: tidy(sorted[len(sorted)-1])}
	for _, l := range levels {
		s.Levels = append(s.Levels, quantile(sorted, 1-1/l))
	}
	return s
}

// quantile returns the least value that a share of all does not exceed.
func quantile(sorted []float64, share float64) float64 {
	return tidy(sorted[min(max(int(math.Ceil(share*float64(len(sorted))))-1, 0), len(sorted)-1)])
}

// tidy leaves out what no clock here tells.
func tidy(ms float64) float64 { return math.Round(ms*1000) / 1000 }

func (s spread) String() string {
	return fmt.Sprintf("%.2f/%.2f/%.2f ms (n %d, failed %d)", s.P50, s.P99, s.Worst, s.N, s.Failed)
}
