package main

import (
	"fmt"
	"math"
	"slices"
	"strings"
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

// median returns the middle of the values, the mean of the two middle ones if
// their number is even, NaN without any.
func median(xs []float64) float64 {
	if len(xs) == 0 {
		return math.NaN()
	}
	xs = slices.Sorted(slices.Values(xs))
	mid := len(xs) / 2
	if len(xs)%2 == 1 {
		return xs[mid]
	}
	return (xs[mid-1] + xs[mid]) / 2
}

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
		m[k] = median(v)
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
			b.WriteString(" " + number(m.format, v) + " |")
		}
		for _, v := range value[1:] {
			if !m.ratio || v == 0 {
				b.WriteString(" |")
				continue
			}
			b.WriteString(" " + number("%.2f", value[0]/v) + " |")
		}
		b.WriteString(" " + m.want + " |\n")
	}
	return b.String()
}

// number renders a value, a dash if there is none.
func number(format string, v float64) string {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return "–"
	}
	s := fmt.Sprintf(format, v)
	digits, rest, _ := strings.Cut(s, ".")
	if len(digits) <= 3 || strings.ContainsFunc(digits, func(r rune) bool { return r < '0' || r > '9' }) {
		return s
	}
	var groups []string
	for len(digits) > 3 {
		groups = append([]string{digits[len(digits)-3:]}, groups...)
		digits = digits[:len(digits)-3]
	}
	s = strings.Join(append([]string{digits}, groups...), ",")
	if rest != "" {
		s += "." + rest
	}
	return s
}

// replaceBlock puts text between the markers of a block of a document, at the end
// of the document if it has no such block.
func replaceBlock(doc, block, text string) (string, error) {
	begin := fmt.Sprintf("<!-- %s: begin; written by `go tool task bench` -->\n", block)
	end := fmt.Sprintf("<!-- %s: end -->\n", block)
	text = begin + strings.TrimRight(text, "\n") + "\n" + end
	from := strings.Index(doc, begin)
	if from < 0 {
		if strings.Contains(doc, end) {
			return "", fmt.Errorf("find the block %s: it has an end and no beginning", block)
		}
		if doc != "" && !strings.HasSuffix(doc, "\n\n") {
			doc = strings.TrimRight(doc, "\n") + "\n\n"
		}
		return doc + text, nil
	}
	length := strings.Index(doc[from:], end)
	if length < 0 {
		return "", fmt.Errorf("find the block %s: it has a beginning and no end", block)
	}
	return doc[:from] + text + doc[from+length+len(end):], nil
}
