package history

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Layout says how a ladder is drawn.
type Layout struct {
	// Width is how many columns the terminal has; 0 is 100.
	Width int
	// Unfolded shows every step.
	Unfolded bool
	// Only has DrawSteps draw one step, with a head if it is the first.
	Only bool
}

const (
	defaultWidth = 100
	minWidth     = 60
	minGap       = 11 // columns between two lines that an arrow with a word needs
	maxGap       = 28
)

// Draw writes the ladder as plain text.
func (l *Ladder) Draw(w io.Writer, lay Layout) error {
	c := newCanvas(l, lay)
	c.title()
	for i := range l.Lives {
		c.life(i)
	}
	if len(l.Lives) == 0 { // what was kept of the call does not have its begin
		c.heads(nil)
		c.steps(0, len(l.Steps)-1)
	}
	_, err := io.WriteString(w, c.out.String())
	return err
}

// DrawSteps writes the steps from an index on, without a head: what --follow adds.
func (l *Ladder) DrawSteps(w io.Writer, lay Layout, from int) error {
	c := newCanvas(l, lay)
	if from > 0 {
		c.day = l.Steps[from-1].At.Format(time.DateOnly)
	}
	if lay.Only && from == 0 {
		c.title()
	}
	for i := from; i < len(l.Steps) && (!lay.Only || i == from); i++ {
		for _, life := range l.Lives {
			if life.First == i && (i > 0 || lay.Only) {
				c.heads(&life)
			}
		}
		c.step(&l.Steps[i], true)
	}
	_, err := io.WriteString(w, c.out.String())
	return err
}

// canvas draws one ladder.
type canvas struct {
	l     *Ladder
	lay   Layout
	out   strings.Builder
	seqs  int            // columns of a sequence
	col   map[string]int // column of each line; nil if there is no room for them
	width int            // of the drawing
	day   string         // of the last step
	names map[string]string
}

// Columns of what stands before the drawing: time, sequence, latency.
const (
	timeColumns = 12
	tookColumns = 7
)

func newCanvas(l *Ladder, lay Layout) *canvas {
	lay.Width = max(cmp.Or(lay.Width, defaultWidth), minWidth)
	c := &canvas{l: l, lay: lay, seqs: 5}
	for i := range l.Steps {
		c.seqs = max(c.seqs, len(strconv.FormatUint(l.Steps[i].Seq, 10)))
	}
	room := lay.Width - c.indent()
	if n := len(l.Lines); n > 0 {
		gap := maxGap
		if n > 1 {
			gap = min(maxGap, (room-minGap)/(n-1))
		}
		if gap >= minGap {
			c.col = make(map[string]int, n)
			for i, line := range l.Lines {
				c.col[line.Key] = gap/3 + i*gap
			}
			c.width = min(room, gap/3+(n-1)*gap+1)
		}
	}
	return c
}

// indent is where the drawing begins.
func (c *canvas) indent() int { return timeColumns + 1 + c.seqs + 1 + tookColumns + 2 }

func (c *canvas) line(format string, args ...any) {
	c.out.WriteString(strings.TrimRight(fmt.Sprintf(format, args...), " ") + "\n")
}

func (c *canvas) title() {
	lives := ""
	if n := len(c.l.Lives); n > 1 {
		lives = fmt.Sprintf(", %d calls one after the other", n)
	}
	c.line("call %s: %s%s", Printable(c.l.Call), count(len(c.l.Steps), "event"), lives)
	if c.l.Unreadable > 0 {
		c.line("%d of them cannot be read by this build", c.l.Unreadable)
	}
}

func (c *canvas) life(i int) {
	life := &c.l.Lives[i]
	c.line("")
	text := "began " + life.Began.Format("2006-01-02 15:04:05.000") + " UTC, owner " + life.Owner
	switch lasted, over := life.Lasted(); {
	case !over:
		text += ", lives"
	case life.Ended.IsZero():
		text += fmt.Sprintf(", over after %s, to be deleted", round(lasted))
	default:
		text += fmt.Sprintf(", ended after %s: %s", round(lasted), reasonText(life.Why))
	}
	if len(c.l.Lives) > 1 {
		text = fmt.Sprintf("%d. %s", i+1, text)
	}
	c.wrap("", text)
	c.line("")
	c.heads(life)
	first := life.First
	if i == 0 {
		first = 0
	}
	last := len(c.l.Steps) - 1
	if i+1 < len(c.l.Lives) {
		last = c.l.Lives[i+1].First - 1
	}
	c.steps(first, last)
}

// heads writes the names of the lines.
func (c *canvas) heads(life *Life) {
	c.names = map[string]string{}
	for _, line := range c.l.Lines {
		c.names[line.Key] = line.Name
		if life != nil && line.Kind == "party" {
			c.names[line.Key] = life.Names[line.Key]
		}
	}
	head := fmt.Sprintf("%-*s %*s %*s", timeColumns, "time (UTC)", c.seqs, "event", tookColumns, "took")
	if c.col == nil {
		c.line("%s", head)
		return
	}
	row := []rune(strings.Repeat(" ", c.lay.Width-c.indent()))
	for i, line := range c.l.Lines {
		at := c.col[line.Key]
		gap := c.width
		if i+1 < len(c.l.Lines) {
			gap = c.col[c.l.Lines[i+1].Key] - at
		} else if i > 0 {
			gap = at - c.col[c.l.Lines[i-1].Key]
		}
		name := []rune(clip(c.names[line.Key], gap-1))
		start := max(0, at-len(name)/2)
		if start+len(name) > len(row) {
			start = max(0, len(row)-len(name))
		}
		copy(row[start:], name)
	}
	c.line("%s  %s", head, string(row))
}

func (c *canvas) steps(first, last int) {
	for _, r := range c.l.Rows {
		if r.Last < first || r.First > last {
			continue
		}
		from, to := max(r.First, first), min(r.Last, last)
		switch {
		case c.lay.Unfolded || r.Single():
			for i := from; i <= to; i++ {
				c.step(&c.l.Steps[i], true)
			}
		case r.Round == 0:
			c.rollovers(r)
		default:
			shown := 0
			for i := from; i <= to && shown < r.Round; i++ {
				if c.l.Steps[i].Label == "rollover" {
					continue
				}
				c.step(&c.l.Steps[i], true)
				shown++
			}
			c.repetitions(r)
		}
	}
}

// rollovers is the line for a number of rollovers.
func (c *canvas) rollovers(r Row) {
	a, z := &c.l.Steps[r.First], &c.l.Steps[r.Last]
	c.date(a)
	c.begin(a, fmt.Sprintf("· %d rollovers noted, the last at %s, event %d", r.Rollovers, c.moment(z), z.Seq))
	c.day = z.At.Format(time.DateOnly)
}

// moment is the time of a step, with its day if that is another one than the last that was shown.
func (c *canvas) moment(s *Step) string {
	if s.At.Format(time.DateOnly) != c.day {
		return s.At.Format("2006-01-02 15:04:05.000")
	}
	return s.At.Format("15:04:05.000")
}

// repetitions is the line for all rounds of a pattern but the first.
func (c *canvas) repetitions(r Row) {
	var labels []string
	for i := r.First; i <= r.Last && len(labels) < r.Round; i++ {
		if l := c.l.Steps[i].Label; l != "rollover" {
			labels = append(labels, l)
		}
	}
	z := &c.l.Steps[r.Last]
	text := fmt.Sprintf("↻ the same %d more times: %s; the last at %s, event %d", r.Times-1, strings.Join(compress(labels), ", "),
		c.moment(z), z.Seq)
	if r.Rollovers > 0 {
		text += fmt.Sprintf("; and %s in between", count(r.Rollovers, "rollover"))
	}
	c.wrap(strings.Repeat(" ", c.indent()), text)
	if len(z.Says) > 0 {
		c.detail("the last one: " + z.Says[0])
	}
	c.day = z.At.Format(time.DateOnly)
}

// compress writes the same word several times over as one.
func compress(words []string) []string {
	var out []string
	for i := 0; i < len(words); {
		j := i
		for j < len(words) && words[j] == words[i] {
			j++
		}
		if j-i > 1 {
			out = append(out, fmt.Sprintf("%s ×%d", words[i], j-i))
		} else {
			out = append(out, words[i])
		}
		i = j
	}
	return out
}

// date writes the day of a step if it is another one than that of the step before.
func (c *canvas) date(s *Step) {
	if day := s.At.Format(time.DateOnly); day != c.day {
		if c.day != "" {
			c.line("%s", day)
		}
		c.day = day
	}
}

// begin writes the first line of a step.
func (c *canvas) begin(s *Step, drawing string) {
	c.date(s)
	took := ""
	if t := s.Took + s.Logged; t > 0 {
		took = latency(t)
	}
	c.line("%-*s %*d %*s  %s", timeColumns, s.At.Format("15:04:05.000"), c.seqs, s.Seq, tookColumns, took, drawing)
}

func (c *canvas) step(s *Step, details bool) {
	lines := c.arrows(s)
	c.begin(s, lines[0])
	for _, l := range lines[1:] {
		c.line("%s%s", strings.Repeat(" ", c.indent()), l)
	}
	if details {
		for _, t := range s.Says {
			c.detail(t)
		}
	}
}

func (c *canvas) detail(text string) {
	c.wrap(strings.Repeat(" ", c.indent()+2), text)
}

// wrap writes a text in lines of the terminal's width, all but the first a little to the right.
func (c *canvas) wrap(indent, text string) {
	room := max(20, c.lay.Width-len(indent))
	for first := true; ; first = false {
		if !first {
			text = "  " + text
		}
		if utf8.RuneCountInString(text) <= room {
			c.line("%s%s", indent, text)
			return
		}
		r := []rune(text)
		cut := room
		for i := room; i > room/2; i-- {
			if r[i] == ' ' {
				cut = i
				break
			}
		}
		c.line("%s%s", indent, string(r[:cut]))
		text = strings.TrimLeft(string(r[cut:]), " ")
	}
}

// arrows draws the path of a step: one line, or two if it goes back over itself.
func (c *canvas) arrows(s *Step) []string {
	if c.col == nil || len(s.Path) == 0 {
		return []string{c.words(s)}
	}
	label := s.Label
	if len(s.Path) == 1 {
		row := c.blank()
		at := c.col[s.Path[0]]
		row[at] = '●'
		place(row, at+2, " "+label+" ")
		return []string{string(row)}
	}
	var lines []string
	row := c.blank()
	for i := 0; i+1 < len(s.Path); i++ {
		from, to := c.col[s.Path[i]], c.col[s.Path[i+1]]
		if i > 0 {
			before := c.col[s.Path[i-1]]
			if (from > before) != (to > from) { // back over what is drawn already
				lines = append(lines, string(row))
				row = c.blank()
			}
		}
		draw(row, from, to, ifElse(i == 0, label, ""), i > 0 && row[from] != '│')
	}
	return append(lines, string(row))
}

// blank is a row with nothing but the lines.
func (c *canvas) blank() []rune {
	row := []rune(strings.Repeat(" ", c.lay.Width-c.indent()))
	for _, at := range c.col {
		row[at] = '│'
	}
	return row
}

// draw draws one arrow. on says that the arrow goes on from one that is drawn.
func draw(row []rune, from, to int, label string, on bool) {
	a, z, head := from+1, to-1, '►'
	if to < from {
		a, z, head = to+1, from-1, '◄'
	}
	for i := a; i <= z; i++ {
		if row[i] == '│' {
			row[i] = '┼'
		} else {
			row[i] = '─'
		}
	}
	if !on {
		row[from] = '●'
	}
	if to > from {
		row[z] = head
	} else {
		row[a] = head
	}
	row[to] = '●'
	if label = clip(label, z-a-2); label != "" {
		place(row, a+(z-a+1-utf8.RuneCountInString(label))/2, label)
	}
}

func place(row []rune, at int, text string) {
	for _, r := range text {
		if at >= 0 && at < len(row) {
			row[at] = r
		}
		at++
	}
}

// words is a step in a line where there is no room for a drawing.
func (c *canvas) words(s *Step) string {
	var out []string
	for _, key := range s.Path {
		name := c.names[key]
		if name == "" {
			_, name, _ = strings.Cut(key, " ")
		}
		out = append(out, clip(name, 24))
	}
	path := strings.Join(out, " ► ")
	return clip(fmt.Sprintf("%-8s %s", s.Label, path), c.lay.Width-c.indent())
}

// clip cuts a text to n columns, and shows that it did.
func clip(s string, n int) string {
	r := []rune(s)
	switch {
	case len(r) <= n:
		return s
	case n <= 0:
		return ""
	case n == 1:
		return "…"
	}
	return string(r[:n-1]) + "…"
}

// latency prints µs in four columns or so.
func latency(us int64) string {
	switch {
	case us < 1000:
		return fmt.Sprintf("%dµs", us)
	case us < 100_000:
		return fmt.Sprintf("%.1fms", float64(us)/1000)
	case us < 1_000_000:
		return fmt.Sprintf("%dms", us/1000)
	}
	return fmt.Sprintf("%.1fs", float64(us)/1e6)
}

// round drops the digits that nobody reads.
func round(d time.Duration) string {
	switch {
	case d >= time.Minute:
		return d.Round(time.Second).String()
	case d >= time.Second:
		return d.Round(10 * time.Millisecond).String()
	}
	return d.Round(100 * time.Microsecond).String()
}

// StepAt finds the step of a sequence; -1 if there is none.
func (l *Ladder) StepAt(seq uint64) int {
	return slices.IndexFunc(l.Steps, func(s Step) bool { return s.Seq == seq })
}
