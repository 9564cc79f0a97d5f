package main

import (
	"fmt"
	"slices"
	"strings"

	"rtpjet/tests/lab/report"
)

// task is the one that writes the tables.
const task = "lab:regions"

// section renders all that is known.
func (r runs) section() string {
	var b strings.Builder
	for _, part := range []func() string{r.homeTable, r.foreignTable, r.cutsTable, r.adoptTable, r.historyText} {
		if text := part(); text != "" {
			b.WriteString(text + "\n")
		}
	}
	if text := r.startText(); text != "" {
		b.WriteString(text + "\n")
	}
	b.WriteString("![Commands at home, and how far regions were behind each other](regions.svg)\n\n")
	fmt.Fprintf(&b, "%s.\n", report.Machine())
	return b.String()
}

// title says what was between the regions.
func (s setting) title() string {
	text := report.Number("%.3g", s.roundTrip()) + " ms round trip between regions"
	if s.Loss > 0 {
		text += fmt.Sprintf(", %g %% of the frames lost each way", 100*s.Loss)
	}
	return text
}

// settings lists those that there are runs in.
func (r runs) settings() (all []setting) {
	seen := map[setting]bool{}
	for _, o := range r {
		if !seen[o.setting] {
			seen[o.setting] = true
			all = append(all, o.setting)
		}
	}
	return all
}

func (r runs) in(s setting) (some runs) {
	for _, o := range r {
		if o.setting == s {
			some = append(some, o)
		}
	}
	return some
}

// values collects one figure of several runs.
func (r runs) values(f func(o *outcome) float64) (all []float64) {
	for i := range r {
		all = append(all, f(&r[i]))
	}
	return all
}

func number(v float64) string {
	if v < 10 {
		return report.Number("%.2f", v)
	}
	return report.Number("%.1f", v)
}

func (r runs) homeTable() string {
	var b strings.Builder
	r = r.wholeHome()
	for _, s := range r.settings() {
		some := r.in(s)
		fmt.Fprintf(&b, "### Commands at home, %s\n\n", s.title())
		fmt.Fprintf(&b, "%g calls/s at home for ten seconds, %d rounds each, in turn; medians of the rounds, and the worst of all, in ms.\n\n", s.Rate, len(some))
		b.WriteString("| command | median: three regions, cut off, alone | p99: three regions, cut off, alone | p99 ÷ p99 alone: three regions, cut off | " +
			"worst: three regions, cut off, alone | failed |\n|---|" + strings.Repeat("--:|", 5) + "\n")
		for _, command := range commandsOf(some[0].Home.Alone.Commands) {
			of := func(f func(spread) float64) (v [3][]float64) {
				for i := range some {
					for n, side := range some[i].Home.rounds() {
						v[n] = append(v[n], f(side.Commands[command]))
					}
				}
				return v
			}
			p50, p99 := of(func(s spread) float64 { return s.P50 }), of(func(s spread) float64 { return s.P99 })
			most, failed := of(func(s spread) float64 { return s.Worst }), of(func(s spread) float64 { return float64(s.Failed) })
			fmt.Fprintf(&b, "| %s | %s | %s | %.2f, %.2f | %s | %.0f |\n", command, three(p50, report.Median), three(p99, report.Median),
				report.Median(p99[0])/report.Median(p99[2]), report.Median(p99[1])/report.Median(p99[2]), three(most, worst), sum(failed[0])+sum(failed[1])+sum(failed[2]))
		}
		var home, away [3][]float64
		for i := range some {
			for n, side := range some[i].Home.rounds() {
				home[n], away[n] = append(home[n], side.CPUms), append(away[n], side.OthersMS/float64(nodesEach*(len(names)-1)))
			}
		}
		fmt.Fprintf(&b, "\nCPU of the nodes at home, ms a call: %s. CPU of a node of another region, ms a second: %s.\n", three(home, report.Median), three(away, report.Median))
	}
	return b.String()
}

// rounds are those with the other regions, cut off from them, and alone.
func (h *homeOutcome) rounds() []*homeRound { return []*homeRound{h.Joined, h.CutOff, h.Alone} }

// three sums up values of the three.
func three(v [3][]float64, by func([]float64) float64) string {
	return number(by(v[0])) + ", " + number(by(v[1])) + ", " + number(by(v[2]))
}

// wholeHome are the runs of home that have all rounds.
func (r runs) wholeHome() runs {
	return slices.DeleteFunc(r.of("home"), func(o outcome) bool { return slices.Contains(o.Home.rounds(), nil) })
}

func (r runs) foreignTable() string {
	var b strings.Builder
	for _, s := range r.of("foreign").settings() {
		some := r.of("foreign").in(s)
		fmt.Fprintf(&b, "### Commands for calls of another region, %s\n\n", s.title())
		fmt.Fprintf(&b, "In ms, and in round trips in brackets; medians of %d runs, and the worst of all.\n\n", len(some))
		b.WriteString("| command | median | p99 | worst | failed |\n|---|--:|--:|--:|--:|\n")
		trips := func(ms float64) string {
			if s.roundTrip() == 0 {
				return number(ms)
			}
			return fmt.Sprintf("%s (%.2f)", number(ms), ms/s.roundTrip())
		}
		for _, command := range commandsOf(some[0].Foreign.Commands) {
			of := func(f func(spread) float64) []float64 {
				return some.values(func(o *outcome) float64 { return f(o.Foreign.Commands[command]) })
			}
			fmt.Fprintf(&b, "| %s | %s | %s | %s | %.0f |\n", command,
				trips(report.Median(of(func(s spread) float64 { return s.P50 }))), trips(report.Median(of(func(s spread) float64 { return s.P99 }))),
				trips(worst(of(func(s spread) float64 { return s.Worst }))), sum(of(func(s spread) float64 { return float64(s.Failed) })))
		}
		twins := sum(some.values(func(o *outcome) float64 { return float64(len(o.Foreign.Twins)) }))
		fmt.Fprintf(&b, "\nAt once: the moment the home has answered the command before, which no mirror can know. %.0f calls lived in both regions afterwards.\n", twins)
	}
	return b.String()
}

func (r runs) cutsTable() string {
	var b strings.Builder
	for _, o := range r.of("cuts") {
		fmt.Fprintf(&b, "### Cuts between regions, %s\n\n", o.title())
		fmt.Fprintf(&b, "Calls are set up and deleted at home in all three regions meanwhile, %g a second in each. Times are in seconds, told by `rtpjet region list`, "+
			"which is asked every %g s.\n\n", cutsRate, cutsEvery.Seconds())
		b.WriteString("| what is cut | first region knows | all know | caught up after healing | commands at home that failed |\n|---|--:|--:|--:|--:|\n")
		for _, c := range o.Cuts.Cuts {
			fmt.Fprintf(&b, "| %s | %s | %s | %s | %d |\n", c.Name, seconds(c.Noticed), seconds(c.AllKnow), seconds(c.CaughtUp), c.FailedNow)
		}
		sent, failed, equal := 0, 0, 0
		slowest := 0.0
		for _, s := range o.Cuts.Commands {
			sent, failed, slowest = sent+s.N, failed+s.Failed, max(slowest, s.Worst)
		}
		for _, m := range o.Cuts.Mirrors {
			if m.Equal {
				equal++
			}
		}
		fmt.Fprintf(&b, "\nOf %s commands at home %d failed, and the slowest took %s ms. Afterwards %d of %d mirrors had the same calls as their home, byte for byte.\n",
			report.Number("%.0f", float64(sent)), failed, number(slowest), equal, len(o.Cuts.Mirrors))
	}
	return b.String()
}

func seconds(v float64) string {
	if v < 0 {
		return "never"
	}
	return report.Number("%.1f", v)
}

func (r runs) adoptTable() string {
	var b strings.Builder
	for _, o := range r.of("adopt") {
		a := o.Adopt
		fmt.Fprintf(&b, "### A region dies, and another one adopts its calls, %s\n\n", o.title())
		b.WriteString("| what | |\n|---|--:|\n")
		for _, line := range []struct {
			name  string
			value string
		}{
			{"calls of the region that was killed", report.Number("%.0f", float64(a.Calls))},
			{"until the other region says that it is cut, s", seconds(a.Noticed)},
			{"`rtpjet region adopt`, s", seconds(a.Took)},
			{"calls that it said it adopted", report.Number("%.0f", float64(a.Said))},
			{"calls whose owner is a node of the adopter", report.Number("%.0f", float64(a.Owned))},
			{"calls in the adopter with another owner", report.Number("%.0f", float64(a.Foreign))},
			{"queries that were answered at once", fmt.Sprintf("%d of %d", a.Answered, a.Asked)},
			{"the dead region started again, until it answers, s", seconds(a.Back)},
			{"from then until none of these calls is live in it, s", seconds(a.EndedIn)},
			{"media ports that it has open, before the kill and in the end", fmt.Sprintf("%s, %d", report.Number("%.0f", float64(a.OpenFirst)), a.LeftOpen)},
			{"calls that are live in the adopter in the end", report.Number("%.0f", float64(a.KnownBack))},
			{"calls that are live in both", fmt.Sprint(a.Both)},
		} {
			fmt.Fprintf(&b, "| %s | %s |\n", line.name, line.value)
		}
	}
	return b.String()
}

func (r runs) historyText() string {
	all := r.of("history")
	if len(all) == 0 {
		return ""
	}
	o := all[len(all)-1]
	return "### A call in three regions\n\nOffered in " + names[0] + ", answered through " + names[1] + ", deleted through " + names[2] +
		", as `rtpjet call history` shows it:\n\n```\n" + strings.TrimRight(o.History.Ladder, "\n") + "\n```\n"
}

func (r runs) startText() string {
	var all []float64
	for _, o := range r {
		all = append(all, o.Starts...)
	}
	if len(all) == 0 {
		return ""
	}
	return fmt.Sprintf("From the start of all regions at once until a call of each was in the mirrors of the others: %s s in the median, %s at worst, of %d times.\n",
		seconds(report.Median(all)), seconds(worst(all)), len(all))
}

func worst(v []float64) (most float64) {
	for _, x := range v {
		most = max(most, x)
	}
	return most
}

func sum(v []float64) (all float64) {
	for _, x := range v {
		all += x
	}
	return all
}
