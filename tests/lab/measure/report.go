package main

import (
	"fmt"
	"math"
	"strings"

	"rtpjet/tests/lab/report"
)

// metric is one line of a table.
type metric struct {
	name   string
	key    string // in the results of a run
	format string
	want   string // what issue and design ask for, as words; empty: nothing
	ratio  bool   // whether a ratio to the first peer says something
}

// results are the numbers of one run, by the metrics' keys.
type results map[string]float64

// medians returns the median of each key over several runs.
func medians(runs []results) results {
	values := map[string][]float64{}
	for _, r := range runs {
		for k, v := range r {
			values[k] = append(values[k], v)
		}
	}
	m := results{}
	for k, v := range values {
		m[k] = report.Median(v)
	}
	return m
}

// table renders the medians of the peers as a Markdown table. The ratios are of the
// first peer to each of the others.
func table(peers []string, metrics []metric, runs map[string][]results) string {
	var b strings.Builder
	b.WriteString("| what |")
	for _, p := range peers {
		b.WriteString(" " + p + " |")
	}
	for _, p := range peers[min(1, len(peers)):] {
		fmt.Fprintf(&b, " %s ÷ %s |", peers[0], p)
	}
	b.WriteString(" wanted |\n|---|")
	b.WriteString(strings.Repeat("--:|", 2*len(peers)-1) + "---|\n")
	for _, m := range metrics {
		b.WriteString("| " + m.name + " |")
		value := make([]float64, len(peers))
		for i, p := range peers {
			v, ok := medians(runs[p])[m.key]
			if !ok {
				v = math.NaN()
			}
			value[i] = v
			b.WriteString(" " + report.Number(m.format, v) + " |")
		}
		for _, v := range value[1:] {
			if !m.ratio || v == 0 {
				b.WriteString(" |")
				continue
			}
			b.WriteString(" " + report.Number("%.2f", value[0]/v) + " |")
		}
		b.WriteString(" " + m.want + " |\n")
	}
	return b.String()
}
