package plot

import (
	"io"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
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
	linesHigh = vg.Length(370) // the plot with its axes
	bandRows  = 2              // texts of bands that are beside each other
	bandShare = 0.2            // of the curves' height, for these texts above them
)

var dashes = []vg.Length{5, 4}

// WriteSVG writes the picture as SVG.
func (l *Lines) WriteSVG(w io.Writer) error { return writeSVG(w, l) }

// WritePNG writes the picture as pixels.
func (l *Lines) WritePNG(w io.Writer) error { return writePNG(w, l) }

func (l *Lines) height() vg.Length { return headHigh + linesHigh + captionHigh(l.Caption) }

// set makes an axis of a plot that reaches to all values.
func (a *Axis) set(p *plot.Axis, values func(yield func(float64) bool)) {
	p.Label.Text, p.Min, p.Max = a.Name, a.Low, a.High
	for v := range values {
		p.Max = max(p.Max, v)
	}
	p.Tick.Marker = round{}
	if a.Log {
		p.Scale, p.Tick.Marker = plot.LogScale{}, steps{}
	}
	if a.Ticks == nil {
		return
	}
	var ticks plot.ConstantTicks
	for i, v := range a.Ticks {
		text := plain(v)
		if i < len(a.Texts) {
			text = a.Texts[i]
		}
		ticks = append(ticks, plot.Tick{Value: v, Label: text})
	}
	p.Tick.Marker = ticks
}

// coordinates are one of the two of all points.
func (l *Lines) coordinates(axis int) func(yield func(float64) bool) {
	return func(yield func(float64) bool) {
		for _, c := range l.Curves {
			for _, p := range c.Points {
				if !yield(p[axis]) {
					return
				}
			}
		}
	}
}

func (l *Lines) draw(c draw.Canvas) error {
	p, kinds, err := l.plot()
	if err != nil {
		return err
	}
	p.Draw(frame(c, l.Title, l.Caption, kinds))
	return nil
}

// plot makes the plot of the picture, and finds the names of its kinds.
func (l *Lines) plot() (*plot.Plot, []kind, error) {
	p := newPlot()
	l.X.set(&p.X, l.coordinates(0))
	l.Y.set(&p.Y, l.coordinates(1))
	if err := l.addBands(p); err != nil {
		return nil, nil, err
	}
	lines := plotter.NewGrid()
	lines.Vertical = draw.LineStyle{Color: grid, Width: 1}
	lines.Horizontal = lines.Vertical
	p.Add(lines)
	var kinds []kind
	for _, c := range l.Curves {
		line := l.line(c)
		if c.Name != "" {
			kinds = append(kinds, kind{c.Name, line})
		}
		if len(line.XYs) > 0 {
			p.Add(line)
		}
	}
	return p, kinds, nil
}

// addBands adds the bands, and room for their names above the curves.
func (l *Lines) addBands(p *plot.Plot) error {
	if len(l.Bands) == 0 {
		return nil
	}
	marked := p.Y.Tick.Marker.Ticks(p.Y.Min, p.Y.Max) // nothing is marked up there
	p.Y.Tick.Marker = plot.ConstantTicks(marked)
	p.Y.Max *= 1 + bandShare
	for i, b := range l.Bands {
		p.Add(area(b.From, b.To, p.Y.Min, p.Y.Max, shade))
		off := vg.Point{Y: -16 - 13*vg.Length(i%bandRows)}
		if err := label(p, (b.From+b.To)/2, p.Y.Max, b.Text, 11, faint, draw.XCenter, off); err != nil {
			return err
		}
	}
	return nil
}

// line is a curve as the plot draws it. What is too small for a logarithmic axis lies at its end.
func (l *Lines) line(c Curve) *plotter.Line {
	line := &plotter.Line{LineStyle: draw.LineStyle{Color: colourOf(c.Kind), Width: 1.8}}
	for _, p := range c.Points {
		if l.X.Log {
			p[0] = max(p[0], l.X.Low)
		}
		if l.Y.Log {
			p[1] = max(p[1], l.Y.Low)
		}
		line.XYs = append(line.XYs, plotter.XY{X: p[0], Y: p[1]})
	}
	if c.Dashed {
		line.Dashes = dashes
	}
	if c.Steps {
		line.StepStyle = plotter.PostStep
	}
	return line
}
