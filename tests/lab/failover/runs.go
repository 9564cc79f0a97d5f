package main

import (
	"fmt"
	"slices"
	"strings"

	"rtpjet/tests/lab/report"
)

// runs are all runs that are known, in the order in which they were made.
type runs []outcome

// readRuns reads a file of runs.
func readRuns(file string) (runs, error) { return report.ReadRuns[outcome](file) }

// write writes the file of runs.
func (r runs) write(file string) error { return report.WriteRuns(file, r) }

// without leaves the runs of one kind out.
func (r runs) without(k key) runs {
	return slices.DeleteFunc(slices.Clone(r), func(o outcome) bool { return o.key() == k })
}

// of returns the runs of one kind.
func (r runs) of(k key) runs {
	return slices.DeleteFunc(slices.Clone(r), func(o outcome) bool { return o.key() != k })
}

// scenes lists those that there are runs of.
func (r runs) scenes() (all []scene) {
	for _, o := range r {
		if !slices.Contains(all, o.scene) {
			all = append(all, o.scene)
		}
	}
	return all
}

// systems lists those of a scene that are shown beside each other: each system in
// its best shape.
func (r runs) systems(s scene) (all []string) {
	for _, name := range []string{"rtpjet", bestEngine} {
		if slices.ContainsFunc(r, func(o outcome) bool { return o.System == name && o.scene == s }) {
			all = append(all, name)
		}
	}
	return all
}

// bestEngine is the shape of rtpengine that is shown beside rtpjet.
const bestEngine = "rtpengine:hot-cli"

// shown is a system's name for people.
func shown(system string) string {
	switch system {
	case "rtpengine", bestEngine:
		return "rtpengine + Redis + keepalived"
	}
	return system
}

// values collects one figure of several runs.
func (r runs) values(f func(o *outcome) float64) (all []float64) {
	for i := range r {
		all = append(all, f(&r[i]))
	}
	return all
}

// name is a scene's name in files and documents.
func (s scene) name() string {
	name := fmt.Sprintf("failover-%d", s.Calls)
	if s.Media != "RTP" {
		name += "-" + strings.ToLower(s.Media)
	}
	return name
}

// title is a scene's name for people.
func (s scene) title() string {
	calls := report.Number("%.0f", float64(s.Calls)) + " calls"
	if s.Media != "RTP" {
		calls += " with " + s.Media
	}
	return calls
}

// load says what the phones send.
func (s scene) load() string {
	if s.Fast >= s.Calls {
		return fmt.Sprintf("50 packets/s a leg, %s packets/s in all", report.Number("%.0f", s.packets()))
	}
	return fmt.Sprintf("%d of them, evenly spread, with 50 packets/s a leg, the others with %g, %s packets/s in all, because the machine "+
		"carries no more with the generator on it; silence and loss are those of the %d, and dead is said of all",
		s.Fast, s.SlowRate, report.Number("%.0f", s.packets()), s.Fast)
}

func (s scene) packets() float64 {
	return 2 * (50*float64(s.Fast) + s.SlowRate*float64(s.Calls-s.Fast))
}
