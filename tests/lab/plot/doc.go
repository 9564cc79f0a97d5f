// Package plot draws strips of points on a logarithmic scale, as SVG and as PNG:
// for each of several rows and kinds, all that was measured and its median.
package plot

import (
	"cmp"
	"fmt"
	"image/color"
	"io"
	"math"
	"slices"
	"strings"
)

// Figure is a picture with rows from top to bottom, and in each of them a strip for
// each kind.
type Figure struct {
	Title, Caption string
	Axis           string // what the scale means
	Unit           string // behind the values of the medians
	Kinds          []string
	Rows           []Row
	Mark           float64 // a value to draw a line at; 0: none
	MarkText       string
}

// Row is one row of a figure.
type Row struct {
	Name   string
	Values [][]float64 // by kind; what is empty is not drawn
}

// canvas is what a picture is drawn on. Coordinates are in pixels of a plain
// screen; text has its base line at y.
type canvas interface {
	line(x1, y1, x2, y2, width float64, c color.RGBA, dashed bool)
	rect(x, y, w, h float64, c color.RGBA)
	dot(x, y, r float64, c color.RGBA)
	text(x, y, size float64, anchor anchor, bold bool, c color.RGBA, s string)
}

type anchor int

const (
	atStart anchor = iota
	atMiddle
	atEnd
)

var (
	ink     = color.RGBA{0x22, 0x26, 0x2b, 0xff}
	faint   = color.RGBA{0x6b, 0x72, 0x7b, 0xff}
	grid    = color.RGBA{0xe2, 0xe5, 0xe9, 0xff}
	band    = color.RGBA{0xf6, 0xf7, 0xf9, 0xff}
	paper   = color.RGBA{0xff, 0xff, 0xff, 0xff}
	palette = []color.RGBA{ // told apart by those who confuse red and green, too
		{0x00, 0x72, 0xb2, 0xff}, {0xd5, 0x5e, 0x00, 0xff}, {0x00, 0x9e, 0x73, 0xff}, {0xcc, 0x79, 0xa7, 0xff}, {0x56, 0x4f, 0x8f, 0xff},
	}
)

const (
	width     = 960.0
	left      = 262.0 // of the scale
	right     = 884.0
	stripHigh = 24.0
	rowGap    = 14.0
	headHigh  = 92.0
	footHigh  = 74.0
)

// height is that of the whole picture.
func (f *Figure) height() float64 {
	return headHigh + float64(len(f.Rows))*f.rowHeight() + footHigh + captionLine*float64(len(f.captionLines()))
}

func (f *Figure) rowHeight() float64 { return stripHigh*float64(max(1, len(f.Kinds))) + rowGap }

const captionLine = 17.0

func (f *Figure) captionLines() []string { return wrap(f.Caption) }

// wrap breaks a caption at words.
func wrap(caption string) (lines []string) {
	const most = 150
	line := ""
	for _, word := range strings.Fields(caption) {
		if line != "" && len(line)+1+len(word) > most {
			lines = append(lines, line)
			line = ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	if line != "" {
		lines = append(lines, line)
	}
	return lines
}

// scale is a logarithmic axis, from one of the numbers 1, 2, 5, 10, 20 and so on to
// another one.
type scale struct{ low, high float64 }

// scaleOf finds an axis that holds all values, with some room at its left.
func (f *Figure) scaleOf() scale {
	low, high := math.Inf(1), math.Inf(-1)
	see := func(v float64) {
		if v > 0 {
			low, high = min(low, v), max(high, v)
		}
	}
	for _, r := range f.Rows {
		for _, vs := range r.Values {
			for _, v := range vs {
				see(v)
			}
		}
	}
	see(f.Mark)
	if math.IsInf(low, 1) {
		low, high = 2, 9
	}
	var s scale
	for _, v := range marks(low/10, high*10) {
		if v < low*0.95 {
			s.low = v
		}
		if s.high == 0 && v >= high {
			s.high = v
		}
	}
	return s
}

// marks are the numbers 1, 2, 5, 10 and so on within bounds.
func marks(low, high float64) (all []float64) {
	for decade := math.Floor(math.Log10(low)); decade <= math.Ceil(math.Log10(high)); decade++ {
		for _, m := range []float64{1, 2, 5} {
			if v := m * math.Pow(10, decade); v >= low*0.999 && v <= high*1.001 {
				all = append(all, v)
			}
		}
	}
	return all
}

// at returns where a value lies; what is too small for the scale lies at its left end.
func (s scale) at(v float64) float64 {
	if v <= 0 {
		return left
	}
	return left + (right-left)*min(max(math.Log(v/s.low)/math.Log(s.high/s.low), 0), 1)
}

// draw draws the figure.
func (f *Figure) draw(c canvas) {
	h := f.height()
	c.rect(0, 0, width, h, paper)
	c.text(24, 32, 18, atStart, true, ink, f.Title)
	x := 24.0
	for i, k := range f.Kinds {
		c.dot(x+6, 55, 5, palette[i%len(palette)])
		c.text(x+18, 60, 14, atStart, false, ink, k)
		x += 40 + 7.6*float64(len([]rune(k)))
	}
	s := f.scaleOf()
	top, bottom := headHigh, headHigh+float64(len(f.Rows))*f.rowHeight()
	for i := range f.Rows {
		if i%2 == 0 {
			c.rect(24, top+float64(i)*f.rowHeight(), width-48, f.rowHeight(), band)
		}
	}
	for _, v := range marks(s.low, s.high) {
		c.line(s.at(v), top, s.at(v), bottom, 1, grid, false)
		c.text(s.at(v), bottom+20, 13, atMiddle, false, ink, plain(v))
	}
	c.text((left+right)/2, bottom+44, 13, atMiddle, false, ink, f.Axis)
	if f.Mark > 0 {
		c.line(s.at(f.Mark), top-8, s.at(f.Mark), bottom, 1.2, faint, true)
		c.text(s.at(f.Mark)+5, top-5, 12, atStart, false, faint, f.MarkText)
	}
	for i, r := range f.Rows {
		f.drawRow(c, s, r, top+float64(i)*f.rowHeight())
	}
	for i, line := range f.captionLines() {
		c.text(24, bottom+footHigh+captionLine*float64(i), 12, atStart, false, faint, line)
	}
}

// drawRow draws the strips of one row whose upper edge is at y.
func (f *Figure) drawRow(c canvas, s scale, r Row, y float64) {
	c.text(36, y+f.rowHeight()/2+5, 14, atStart, false, ink, r.Name)
	for k, values := range r.Values {
		if len(values) == 0 {
			continue
		}
		own := palette[k%len(palette)]
		pale := color.RGBA{own.R, own.G, own.B, 0x66}
		mid := y + rowGap/2 + stripHigh*(float64(k)+0.5)
		sorted := slices.SortedFunc(slices.Values(values), cmp.Compare[float64])
		c.line(s.at(sorted[0]), mid, s.at(sorted[len(sorted)-1]), mid, 1.5, pale, false)
		for _, v := range sorted {
			c.dot(s.at(v), mid, 4.5, pale)
		}
		median := (sorted[(len(sorted)-1)/2] + sorted[len(sorted)/2]) / 2
		c.line(s.at(median), mid-9, s.at(median), mid+9, 3, own, false)
		at := s.at(sorted[len(sorted)-1]) + 9
		label := plain(round(median)) + f.Unit
		if len(sorted) > 1 {
			label += ", worst " + plain(round(sorted[len(sorted)-1]))
		}
		if at+6.5*float64(len(label)) > width-12 {
			c.text(s.at(sorted[0])-9, mid+4, 12, atEnd, false, own, label)
			continue
		}
		c.text(at, mid+4, 12, atStart, false, own, label)
	}
}

// round keeps three digits.
func round(v float64) float64 {
	if v == 0 {
		return 0
	}
	step := math.Pow(10, math.Floor(math.Log10(math.Abs(v)))-2)
	return math.Round(v/step) * step
}

// plain writes a number without an exponent, with commas.
func plain(v float64) string {
	s := fmt.Sprintf("%.4g", v)
	if v >= 1000 {
		s = fmt.Sprintf("%.0f", v)
		for i := len(s) - 3; i > 0; i -= 3 {
			s = s[:i] + "," + s[i:]
		}
	}
	return s
}

// write writes all of b.
func write(w io.Writer, b []byte) error {
	if _, err := w.Write(b); err != nil {
		return fmt.Errorf("write the picture: %w", err)
	}
	return nil
}
