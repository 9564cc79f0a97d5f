package plot

import (
	"image/color"
	"io"
	"math"
)

// Lines is a picture with curves.
type Lines struct {
	Title, Caption string
	X, Y           Axis
	Curves         []Curve
	Bands          []Band // of the X axis, behind the curves
}

// Axis is one of the two axes of a picture with curves.
type Axis struct {
	Name string
	Log  bool
	Low  float64 // where it begins
	High float64 // where it ends, at least
	// Ticks are the values that are marked, and Texts what stands there; without Texts the value does. No Ticks: as many
	// as there is room for.
	Ticks []float64
	Texts []string
}

// Curve is a line through points.
type Curve struct {
	Name   string
	Points [][2]float64
	Kind   int  // which colour it has
	Dashed bool // told apart from another curve of that colour
	Steps  bool // a value holds until the next one
}

// Band is a stretch of the X axis that something was the case in.
type Band struct {
	From, To float64
	Text     string // below the upper edge
}

const (
	linesLeft  = 84.0
	linesRight = width - 36
	linesHigh  = 300.0
	linesHead  = 92.0
	bandRows   = 2 // texts of bands that are beside each other
)

func (l *Lines) height() float64 {
	return linesHead + linesHigh + footHigh + captionLine*float64(len(wrap(l.Caption)))
}

// WriteSVG and WritePNG write the picture.
func (l *Lines) WriteSVG(w io.Writer) error { return writeSVG(w, l) }

// WritePNG writes the picture as pixels.
func (l *Lines) WritePNG(w io.Writer) error { return writePNG(w, l) }

// fit lets an axis reach to what it has to hold.
func (a *Axis) fit(v float64) { a.High = max(a.High, v) }

// share is where on the axis a value lies, from 0 to 1.
func (a *Axis) share(v float64) float64 {
	low, high := a.Low, a.High
	if a.Log {
		if v <= 0 {
			return 0
		}
		v, low, high = math.Log(v), math.Log(low), math.Log(high)
	}
	if high <= low {
		return 0
	}
	return min(max((v-low)/(high-low), 0), 1)
}

// ticks are the values that are marked.
func (a *Axis) ticks() []float64 {
	if a.Ticks != nil {
		return a.Ticks
	}
	if a.Log {
		return marks(a.Low, a.High)
	}
	const most = 10
	for _, step := range marks(1e-6, 1e12) {
		if (a.High-a.Low)/step > most {
			continue
		}
		var all []float64
		for v := math.Ceil(a.Low/step) * step; v <= a.High*1.0001; v += step {
			all = append(all, v)
		}
		return all
	}
	return nil
}

func (a *Axis) text(i int, v float64) string {
	if i < len(a.Texts) {
		return a.Texts[i]
	}
	return plain(v)
}

// draw draws the picture.
func (l *Lines) draw(c canvas) {
	x, y := l.X, l.Y
	for _, curve := range l.Curves {
		for _, p := range curve.Points {
			x.fit(p[0])
			y.fit(p[1])
		}
	}
	marked := y.ticks()
	if len(l.Bands) > 0 {
		y.High *= 1.2 // the names of the bands are there, and no lines
	}
	c.rect(0, 0, width, l.height(), paper)
	c.text(24, 32, 18, atStart, true, ink, l.Title)
	at := 24.0
	for _, curve := range l.Curves {
		if curve.Name == "" {
			continue
		}
		own := palette[curve.Kind%len(palette)]
		c.line(at, 55, at+22, 55, 2.5, own, curve.Dashed)
		c.text(at+28, 60, 14, atStart, false, ink, curve.Name)
		at += 52 + 7.2*float64(len([]rune(curve.Name)))
	}
	top, bottom := linesHead, linesHead+linesHigh
	px := func(v float64) float64 { return linesLeft + (linesRight-linesLeft)*x.share(v) }
	py := func(v float64) float64 { return bottom - linesHigh*y.share(v) }
	for i, b := range l.Bands {
		c.rect(px(b.From), top, px(b.To)-px(b.From), linesHigh, shade)
		c.text((px(b.From)+px(b.To))/2, top+14+13*float64(i%bandRows), 11, atMiddle, false, faint, b.Text)
	}
	for i, v := range x.ticks() {
		c.line(px(v), top, px(v), bottom, 1, grid, false)
		c.text(px(v), bottom+20, 13, atMiddle, false, ink, x.text(i, v))
	}
	for i, v := range marked {
		c.line(linesLeft, py(v), linesRight, py(v), 1, grid, false)
		c.text(linesLeft-8, py(v)+4, 13, atEnd, false, ink, y.text(i, v))
	}
	c.text((linesLeft+linesRight)/2, bottom+44, 13, atMiddle, false, ink, x.Name)
	c.text(linesLeft, top-8, 13, atStart, false, ink, y.Name)
	for _, curve := range l.Curves {
		l.drawCurve(c, curve, px, py)
	}
	for i, line := range wrap(l.Caption) {
		c.text(24, bottom+footHigh+captionLine*float64(i), 12, atStart, false, faint, line)
	}
}

func (l *Lines) drawCurve(c canvas, curve Curve, px, py func(float64) float64) {
	own := palette[curve.Kind%len(palette)]
	for i := 1; i < len(curve.Points); i++ {
		a, b := curve.Points[i-1], curve.Points[i]
		if curve.Steps {
			c.line(px(a[0]), py(a[1]), px(b[0]), py(a[1]), 1.8, own, curve.Dashed)
			a[0] = b[0]
		}
		c.line(px(a[0]), py(a[1]), px(b[0]), py(b[1]), 1.8, own, curve.Dashed)
	}
}

// shade is behind a curve where something was the case.
var shade = color.RGBA{0xec, 0xee, 0xf1, 0xff}
