package main

import (
	"slices"

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

// of returns the runs of a scene.
func (r runs) of(scene string) runs {
	return slices.DeleteFunc(slices.Clone(r), func(o outcome) bool { return o.Scene != scene })
}
