package plot

import (
	"cmp"
	"image/color"
	"io"
	"math"
	"slices"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// Figure is a picture with rows from top to bottom, and in each of them a strip of points for
// each kind, on a logarithmic scale.
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

const (
	stripHigh = vg.Length(24)
	rowGap    = vg.Length(14)
	axisHigh  = vg.Length(80) // the scale below the rows, and the room above them
)

// WriteSVG writes the figure as an SVG picture.
func (f *Figure) WriteSVG(w io.Writer) error { return writeSVG(w, f) }

// WritePNG writes the figure as a PNG picture.
func (f *Figure) WritePNG(w io.Writer) error { return writePNG(w, f) }

func (f *Figure) height() vg.Length {
	return headHigh + vg.Length(len(f.Rows))*f.rowHeight() + axisHigh + captionHigh(f.Caption)
}

func (f *Figure) rowHeight() vg.Length { return stripHigh*vg.Length(max(1, len(f.Kinds))) + rowGap }

// scaleOf finds a scale from one of the numbers 1, 2, 5, 10, 20 and so on to another one that holds all values, with some
// room at its left.
func (f *Figure) scaleOf() (from, to float64) {
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
	for _, v := range marks(low/10, high*10) {
		if v < low*0.95 {
			from = v
		}
		if to == 0 && v >= high {
			to = v
		}
	}
	return from, to
}

func (f *Figure) draw(c draw.Canvas) error {
	p, err := f.plot()
	if err != nil {
		return err
	}
	p.Draw(frame(c, f.Title, f.Caption, f.kinds()))
	return nil
}

func (f *Figure) kinds() (all []kind) {
	for i, name := range f.Kinds {
		all = append(all, kind{name, &plotter.Scatter{GlyphStyle: dot(colourOf(i), 5)}})
	}
	return all
}

// plot makes the plot of the figure. The first row lies from -1 to 0 of its vertical axis, the next one below that.
func (f *Figure) plot() (*plot.Plot, error) {
	p := newPlot()
	p.X.Scale, p.X.Tick.Marker, p.X.Label.Text = plot.LogScale{}, steps{}, f.Axis
	p.X.Min, p.X.Max = f.scaleOf()
	p.Y.Min, p.Y.Max = -float64(max(1, len(f.Rows))), 0
	var names plot.ConstantTicks
	for i, r := range f.Rows {
		names = append(names, plot.Tick{Value: -float64(i) - 0.5, Label: r.Name})
		if i%2 == 0 {
			p.Add(area(p.X.Min, p.X.Max, -float64(i)-1, -float64(i), band))
		}
	}
	p.Y.Tick.Marker = names
	lines := plotter.NewGrid()
	lines.Vertical, lines.Horizontal.Color = draw.LineStyle{Color: grid, Width: 1}, nil
	p.Add(lines)
	if f.Mark > 0 {
		if err := f.mark(p); err != nil {
			return nil, err
		}
	}
	for i, r := range f.Rows {
		for k, values := range r.Values {
			if err := f.strip(p, i, k, values); err != nil {
				return nil, err
			}
		}
	}
	return p, nil
}

// mark draws a dashed line through all rows.
func (f *Figure) mark(p *plot.Plot) error {
	line, err := plotter.NewLine(plotter.XYs{{X: f.Mark, Y: p.Y.Min}, {X: f.Mark, Y: p.Y.Max}})
	if err != nil {
		return err
	}
	line.LineStyle = draw.LineStyle{Color: faint, Width: 1.2, Dashes: dashes}
	p.Add(line)
	return label(p, f.Mark, p.Y.Max, f.MarkText, 12, faint, draw.XLeft, vg.Point{X: 5, Y: 5})
}

// strip draws the values of a kind in a row: all of them, their span, and their median.
func (f *Figure) strip(p *plot.Plot, row, kind int, values []float64) error {
	if len(values) == 0 {
		return nil
	}
	sorted := slices.SortedFunc(slices.Values(values), cmp.Compare[float64])
	y := -float64(row) - float64((rowGap/2+stripHigh*(vg.Length(kind)+0.5))/f.rowHeight())
	var points plotter.XYs
	for _, v := range sorted {
		points = append(points, plotter.XY{X: max(v, p.X.Min), Y: y}) // what is too small for the scale lies at its left end
	}
	own := colourOf(kind)
	pale := own
	pale.A = 0x66
	span, err := plotter.NewLine(points)
	if err != nil {
		return err
	}
	span.LineStyle = draw.LineStyle{Color: pale, Width: 1.5}
	all, err := plotter.NewScatter(points)
	if err != nil {
		return err
	}
	all.GlyphStyle = dot(pale, 4.5)
	median := (sorted[(len(sorted)-1)/2] + sorted[len(sorted)/2]) / 2
	middle, err := plotter.NewScatter(plotter.XYs{{X: max(median, p.X.Min), Y: y}})
	if err != nil {
		return err
	}
	middle.GlyphStyle = draw.GlyphStyle{Color: own, Radius: 9, Shape: upright{}}
	p.Add(span, all, middle)
	worst := sorted[len(sorted)-1]
	text := plain(digits(median)) + f.Unit
	if len(sorted) > 1 {
		text += ", worst " + plain(digits(worst))
	}
	return label(p, max(worst, p.X.Min), y, text, 12, own, draw.XLeft, vg.Point{X: 9, Y: -4})
}

// upright is a vertical bar as high as twice its radius.
type upright struct{}

// DrawGlyph implements draw.GlyphDrawer.
func (upright) DrawGlyph(c *draw.Canvas, s draw.GlyphStyle, at vg.Point) {
	c.StrokeLine2(draw.LineStyle{Color: s.Color, Width: s.Radius / 3}, at.X, at.Y-s.Radius, at.X, at.Y+s.Radius)
}

// dot is the look of a point.
func dot(c color.Color, radius vg.Length) draw.GlyphStyle {
	return draw.GlyphStyle{Color: c, Radius: radius, Shape: draw.CircleGlyph{}}
}

// area is a rectangle behind what else a plot has.
func area(x1, x2, y1, y2 float64, c color.Color) *plotter.Polygon {
	return &plotter.Polygon{XYs: []plotter.XYs{{{X: x1, Y: y1}, {X: x2, Y: y1}, {X: x2, Y: y2}, {X: x1, Y: y2}}}, Color: c}
}

// label adds a text near a value.
func label(p *plot.Plot, x, y float64, text string, size vg.Length, c color.Color, align draw.XAlignment, off vg.Point) error {
	l, err := plotter.NewLabels(plotter.XYLabels{XYs: plotter.XYs{{X: x, Y: y}}, Labels: []string{text}})
	if err != nil {
		return err
	}
	l.TextStyle[0] = style(size, c)
	l.TextStyle[0].XAlign, l.Offset = align, off
	p.Add(l)
	return nil
}
