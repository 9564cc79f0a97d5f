package main

import (
	"fmt"

	"rtpjet/tests/lab/plot"
	"rtpjet/tests/lab/report"
)

// figure draws how long commands take at home, and how far regions were behind each other while ways were cut.
func (r runs) figure() plot.Sheet {
	var s plot.Sheet
	if l := r.latencies(); l != nil {
		s = append(s, l)
	}
	if all := r.of("cuts"); len(all) > 0 {
		o := all[len(all)-1]
		s = append(s,
			o.course("How old the news of another region is, while ways are cut", "seconds since it was heard", func(m moment) float64 { return m.AgeMS / 1000 }),
			o.course("What is missing of another region", "events that are known to be missing", func(m moment) float64 { return float64(m.Lag) }))
	}
	return s
}

// latencies is the distribution of the last setting that was measured: medians of all rounds.
func (r runs) latencies() *plot.Lines {
	if r = r.wholeHome(); len(r) == 0 {
		return nil
	}
	r = r.in(r[len(r)-1].setting)
	l := &plot.Lines{
		Title: "Commands at home, with and without other regions",
		Caption: fmt.Sprintf("Solid: three regions, %s. Dashed: the same nodes, which know of no other region. %g calls/s; medians of %d rounds of ten seconds, in turn.",
			r[0].title(), r[0].Rate, len(r)),
		X: plot.Axis{Name: "share of commands that were as fast", Log: true, Low: levels[0], Ticks: []float64{2, 10, 100, 1000}, Texts: []string{"50 %", "90 %", "99 %", "99.9 %"}},
		Y: plot.Axis{Name: "milliseconds, logarithmic", Log: true, Low: 0.2, High: 1},
	}
	for i, command := range commandsOf(r[0].Home.Alone.Commands) {
		for _, side := range []func(*outcome) *homeRound{
			func(o *outcome) *homeRound { return o.Home.Joined }, func(o *outcome) *homeRound { return o.Home.Alone },
		} {
			c := plot.Curve{Kind: i, Dashed: len(l.Curves)%2 == 1}
			if !c.Dashed {
				c.Name = command
			}
			for n, level := range levels {
				c.Points = append(c.Points, [2]float64{level, report.Median(r.values(func(o *outcome) float64 {
					if all := side(o).Commands[command].Levels; n < len(all) {
						return all[n]
					}
					return 0
				}))})
			}
			l.Curves = append(l.Curves, c)
		}
	}
	return l
}

// course draws one value of what each region said of each other one.
func (o *outcome) course(title, axis string, value func(moment) float64) *plot.Lines {
	l := &plot.Lines{
		Title:   title,
		Caption: fmt.Sprintf("Grey: a cut, by name. Each curve is the worst of what two regions say of the third; %s, %g calls/s in each region.", o.title(), cutsRate),
		X:       plot.Axis{Name: "seconds"}, Y: plot.Axis{Name: axis, High: 1},
	}
	for _, c := range o.Cuts.Cuts {
		l.Bands = append(l.Bands, plot.Band{From: c.At, To: c.HealedAt, Text: c.Name})
	}
	for i, name := range names {
		l.Curves = append(l.Curves, plot.Curve{Name: "of " + name, Kind: i, Points: o.Cuts.worstOf(name, value)})
	}
	return l
}

// worstOf is the course of what others say of a region: at each moment the worst of what they said last.
func (o *cutsOutcome) worstOf(name string, value func(moment) float64) (points [][2]float64) {
	last := map[string]float64{}
	for _, m := range o.Course {
		if m.Of != name {
			continue
		}
		last[m.At] = value(m)
		most := 0.0
		for _, v := range last {
			most = max(most, v)
		}
		// In the middle of a level stretch nothing need be drawn.
		if n := len(points); n > 1 && points[n-1][1] == most && points[n-2][1] == most {
			points = points[:n-1]
		}
		points = append(points, [2]float64{m.T, most})
	}
	return points
}

// thinned leaves out of a course what says nothing new within a second.
func thinned(course []moment) (some []moment) {
	kept := map[string]moment{}
	for _, m := range course {
		k, ok := kept[m.At+m.Of]
		if ok && m.State == k.State && m.Lag == k.Lag && m.AgeMS >= k.AgeMS && m.T-k.T < 1 {
			continue
		}
		kept[m.At+m.Of] = m
		some = append(some, m)
	}
	return some
}
