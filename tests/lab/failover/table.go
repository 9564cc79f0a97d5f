package main

import (
	"fmt"
	"slices"
	"strings"

	"rtpjet/tests/lab/report"
)

// column is one column of the table.
type column struct {
	name string
	cell func(r runs) string
}

// columns of the tables. Where two numbers stand, they are the median and the worst
// of the runs.
var columns = []column{
	{"longest silence, ms", both("%.0f", func(o *outcome) float64 { return o.LongestMS })},
	{"the median stream's, ms", both("%.0f", func(o *outcome) float64 { return o.MedianLongestMS })},
	{"packets lost a stream", func(r runs) string {
		return report.Number("%.3g", report.Median(r.values(func(o *outcome) float64 { return o.LostMedian }))) + " / " +
			report.Number("%.0f", worst(r.values(func(o *outcome) float64 { return float64(o.LostWorst) })))
	}},
	{"seconds of anything dead", both("%.1f", func(o *outcome) float64 { return o.DeadSeconds })},
	{"calls one-way, dead", func(r runs) string {
		return report.Number("%.0f", worst(r.values(func(o *outcome) float64 { return float64(o.OneWay) }))) + ", " +
			report.Number("%.0f", worst(r.values(func(o *outcome) float64 { return float64(o.DeadCalls) })))
	}},
	{"two senders: ms, duplicates", func(r runs) string {
		overlap := worst(r.values(func(o *outcome) float64 { return o.OverlapMS }))
		twice := worst(r.values(func(o *outcome) float64 { return float64(o.Duplicates) }))
		if overlap == 0 && twice == 0 && worst(r.values(func(o *outcome) float64 { return float64(o.DoubleStreams) })) == 0 {
			return "never"
		}
		return report.Number("%.1f", overlap) + ", " + report.Number("%.0f", twice)
	}},
	{"calls unknown", func(r runs) string {
		return report.Number("%.0f", worst(r.values(func(o *outcome) float64 { return float64(o.Unknown) })))
	}},
	{"commands failed", func(r runs) string {
		return report.Number("%.0f", worst(r.values(func(o *outcome) float64 {
			if o.NewCall != "" {
				return float64(o.Failed) + 1
			}
			return float64(o.Failed)
		})))
	}},
	{"longest command, ms", both("%.0f", func(o *outcome) float64 { return o.LongestNG })},
}

// both renders a figure's median and worst.
func both(format string, f func(o *outcome) float64) func(runs) string {
	return func(r runs) string {
		v := r.values(f)
		return report.Number(format, report.Median(v)) + " / " + report.Number(format, worst(v))
	}
}

func worst(v []float64) float64 { return slices.Max(v) }

// table renders the runs of a scene, a row for each fault and system. It is empty
// if there are none.
func (r runs) table(s scene, systems []string) string {
	var b strings.Builder
	b.WriteString("| what breaks | system |")
	for _, c := range columns {
		b.WriteString(" " + c.name + " |")
	}
	b.WriteString("\n|---|---|" + strings.Repeat("--:|", len(columns)) + "\n")
	rows := 0
	for _, f := range titles {
		for _, system := range systems {
			some := r.of(key{system, f.name, s})
			if len(some) == 0 {
				continue
			}
			rows++
			fmt.Fprintf(&b, "| %s | %s |", f.title, shown(system))
			for _, c := range columns {
				b.WriteString(" " + c.cell(some) + " |")
			}
			b.WriteString("\n")
		}
	}
	if rows == 0 {
		return ""
	}
	return b.String()
}

// title is a fault's name for people.
type title struct{ name, title string }

// titles are the faults in the order of the table.
var titles = []title{
	{"none", "nothing (control)"},
	{"kill", "kill -9 of the process"},
	{"leader", "kill -9, of the leader too"},
	{"freeze", "frozen host, thawed later"},
	{"cut", "cut cable"},
	{"isolate", "cut off behind the switch"},
	{"move", "planned move"},
	{"drain", "drain with a move"},
	{"upgrade", "rolling upgrade"},
	{"store", "NATS or Redis away for a minute"},
}

// task is the one that writes the tables.
const task = "lab:failover"

// section renders a scene: its table, its picture, and what they mean.
func (r runs) section(s scene) string {
	var b strings.Builder
	fmt.Fprintf(&b, "### Failover, %s\n\n", s.title())
	fmt.Fprintf(&b, "%s: %s. Where two numbers are parted by a stroke, they are the median and the worst of %s runs; single ones are the worst.\n\n",
		strings.ToUpper(s.title()[:1])+s.title()[1:], s.load(), r.numberOfRuns(s))
	b.WriteString(r.table(s, r.systems(s)))
	fmt.Fprintf(&b, "\n![Longest silence of each run](%s.svg)\n\n", s.name())
	fmt.Fprintf(&b, "%s. The table: `go tool task lab:failover -- --calls %d --fast %d --slow-rate %g", report.Machine(), s.Calls, s.Fast, s.SlowRate)
	if s.Media != "RTP" {
		fmt.Fprintf(&b, " --media %s", s.Media)
	}
	b.WriteString("`.\n")
	return b.String()
}

// numberOfRuns is how many runs the cells of a scene stand for: one number, or the
// least and the most.
func (r runs) numberOfRuns(s scene) string {
	count := map[key]int{}
	for i := range r {
		if r[i].scene == s && slices.Contains(r.systems(s), r[i].System) {
			count[r[i].key()]++
		}
	}
	least, most := 0, 0
	for _, n := range count {
		if least == 0 || n < least {
			least = n
		}
		most = max(most, n)
	}
	if least == most {
		return fmt.Sprint(most)
	}
	return fmt.Sprintf("%d to %d", least, most)
}

// shapes renders all ways of running rtpengine that were tried; empty if it was one.
func (r runs) shapes() string {
	var names []string
	for i := range r {
		if strings.HasPrefix(r[i].System, "rtpengine:") && !slices.Contains(names, r[i].System) {
			names = append(names, r[i].System)
		}
	}
	if len(names) < 2 {
		return ""
	}
	slices.Sort(names)
	var b strings.Builder
	b.WriteString("### Failover, the shapes of rtpengine + Redis + keepalived that were tried\n\n")
	for _, s := range r.scenes() {
		if text := r.table(s, names); text != "" {
			fmt.Fprintf(&b, "%s:\n\n%s\n", s.title(), strings.ReplaceAll(text, "rtpengine + Redis + keepalived", bestEngine+" (shown above)"))
		}
	}
	b.WriteString("What each means stands in `tests/lab/failover/engine_linux.go`.\n")
	return b.String()
}
