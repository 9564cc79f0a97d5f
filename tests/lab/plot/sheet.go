package plot

import (
	"image/color"
	"io"
)

// Picture is a Figure, Lines, or a Sheet of them.
type Picture interface {
	WriteSVG(w io.Writer) error
	WritePNG(w io.Writer) error
	height() float64
	draw(c canvas)
}

// Sheet is several pictures below each other.
type Sheet []Picture

func (s Sheet) height() (all float64) {
	for _, p := range s {
		all += p.height()
	}
	return all
}

func (s Sheet) draw(c canvas) {
	at := 0.0
	for _, p := range s {
		p.draw(lowered{c, at})
		at += p.height()
	}
}

// WriteSVG writes them as one SVG picture.
func (s Sheet) WriteSVG(w io.Writer) error { return writeSVG(w, s) }

// WritePNG writes them as one PNG picture.
func (s Sheet) WritePNG(w io.Writer) error { return writePNG(w, s) }

// lowered is a canvas that begins further down on another one.
type lowered struct {
	canvas
	by float64
}

func (l lowered) line(x1, y1, x2, y2, width float64, c color.RGBA, dashed bool) {
	l.canvas.line(x1, y1+l.by, x2, y2+l.by, width, c, dashed)
}
func (l lowered) rect(x, y, w, h float64, c color.RGBA) { l.canvas.rect(x, y+l.by, w, h, c) }
func (l lowered) dot(x, y, r float64, c color.RGBA)     { l.canvas.dot(x, y+l.by, r, c) }
func (l lowered) text(x, y, size float64, a anchor, bold bool, c color.RGBA, s string) {
	l.canvas.text(x, y+l.by, size, a, bold, c, s)
}
