package demo

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	columns = 80
	margin  = "         " // as wide as the time in front of a line
	// tie stands for a space at which a line must not be broken: between a number and its unit.
	tie = "\x1f"
)

// teller writes the account: each step behind the time since the beginning.
type teller struct {
	w     io.Writer
	began time.Time
}

// say writes a step.
func (t teller) say(format string, args ...any) {
	t.lines(fmt.Sprintf("%5.1f s  ", time.Since(t.began).Seconds()), margin, fmt.Sprintf(format, args...))
}

// more writes what belongs to the step before.
func (t teller) more(format string, args ...any) {
	t.lines(margin, margin, fmt.Sprintf(format, args...))
}

// item writes a line of a list.
func (t teller) item(format string, args ...any) {
	t.lines(margin+"  ", margin+"    ", fmt.Sprintf(format, args...))
}

// lines breaks text between words so that it fits a terminal. Spaces at which it is not broken stay as they are.
func (t teller) lines(first, next, text string) {
	for {
		room := columns - len(first)
		if len(text) <= room {
			fmt.Fprintf(t.w, "%s%s\n", first, strings.ReplaceAll(text, tie, " "))
			return
		}
		cut := strings.LastIndexByte(text[:room+1], ' ')
		if cut <= 0 {
			cut = room
		}
		fmt.Fprintf(t.w, "%s%s\n", first, strings.ReplaceAll(strings.TrimRight(text[:cut], " "), tie, " "))
		text, first = strings.TrimLeft(text[cut:], " "), next
	}
}

// ms is a duration in words; all that is measured here is between a fraction of a millisecond and some seconds.
func ms(d time.Duration) string {
	switch m := float64(d) / 1e6; {
	case m < 9.95:
		return fmt.Sprintf("%.1f"+tie+"ms", m)
	case m < 9999.5:
		return fmt.Sprintf("%.0f"+tie+"ms", m)
	default:
		return fmt.Sprintf("%.1f"+tie+"s", d.Seconds())
	}
}

// spread is the median and the largest of durations in words.
func spread(all []time.Duration) string {
	if len(all) == 0 {
		return "nothing to measure"
	}
	all = slices.Sorted(slices.Values(all))
	if len(all) == 1 {
		return ms(all[0])
	}
	return fmt.Sprintf("%s at the median, %s at most", ms(all[(len(all)-1)/2]), ms(all[len(all)-1]))
}

// number writes thousands apart.
func number(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// counted is a number with its noun.
func counted(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return number(int64(n)) + " " + noun + "s"
}

// listed joins words as one says them.
func listed(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " and " + words[last]
}
