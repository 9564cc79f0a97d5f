package main

import "rtpjet/tests/lab/plot"

// figure draws the longest silence of each run of a scene.
func (r runs) figure(s scene, systems []string) *plot.Figure {
	f := &plot.Figure{
		Title: "Longest silence of any stream, " + s.title(),
		Caption: "Each dot is a run: the longest gap between two packets of a stream at its receiver, over all streams with " +
			"50 packets/s, whose ordinary gap is 20 ms. The bar is the median of the runs.",
		Axis: "milliseconds, logarithmic", Unit: " ms", Mark: 20, MarkText: "ordinary gap",
	}
	for _, system := range systems {
		f.Kinds = append(f.Kinds, shown(system))
	}
	for _, t := range titles {
		row := plot.Row{Name: t.title}
		some := false
		for _, system := range systems {
			v := r.of(key{system, t.name, s}).values(func(o *outcome) float64 { return o.LongestMS })
			row.Values = append(row.Values, v)
			some = some || len(v) > 0
		}
		if some {
			f.Rows = append(f.Rows, row)
		}
	}
	return f
}
