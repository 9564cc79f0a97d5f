package plot

import (
	"fmt"
	"image/color"
	"io"
	"math"
	"strings"

	stdfont "golang.org/x/image/font"
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
	"gonum.org/v1/plot/vg/vgsvg"
)

// Lengths are in points, of which one is a pixel of a plain screen.
const (
	width       = vg.Length(960)
	margin      = vg.Length(24)
	headHigh    = vg.Length(76) // title and kinds
	captionLine = vg.Length(17)

	// dpi makes two pixels of the PNG of each point.
	dpi = 144
)

var (
	ink     = color.NRGBA{0x22, 0x26, 0x2b, 0xff}
	faint   = color.NRGBA{0x6b, 0x72, 0x7b, 0xff}
	grid    = color.NRGBA{0xe2, 0xe5, 0xe9, 0xff}
	band    = color.NRGBA{0xf6, 0xf7, 0xf9, 0xff} // behind every other row
	shade   = color.NRGBA{0xec, 0xee, 0xf1, 0xff} // behind a curve where something was the case
	palette = []color.NRGBA{                      // told apart by those who confuse red and green, too
		{0x00, 0x72, 0xb2, 0xff}, {0xd5, 0x5e, 0x00, 0xff}, {0x00, 0x9e, 0x73, 0xff}, {0xcc, 0x79, 0xa7, 0xff}, {0x56, 0x4f, 0x8f, 0xff},
	}
)

// colourOf is the colour of a kind.
func colourOf(kind int) color.NRGBA { return palette[kind%len(palette)] }

// Picture is a Figure, Lines, or a Sheet of them.
type Picture interface {
	WriteSVG(w io.Writer) error
	WritePNG(w io.Writer) error
	height() vg.Length
	draw(c draw.Canvas) error
}

// Sheet is several pictures below each other.
type Sheet []Picture

func (s Sheet) height() (all vg.Length) {
	for _, p := range s {
		all += p.height()
	}
	return all
}

func (s Sheet) draw(c draw.Canvas) error {
	for _, p := range s {
		if err := p.draw(draw.Crop(c, 0, 0, c.Max.Y-c.Min.Y-p.height(), 0)); err != nil {
			return err
		}
		c.Max.Y -= p.height()
	}
	return nil
}

// WriteSVG writes them as one SVG picture.
func (s Sheet) WriteSVG(w io.Writer) error { return writeSVG(w, s) }

// WritePNG writes them as one PNG picture.
func (s Sheet) WritePNG(w io.Writer) error { return writePNG(w, s) }

func writeSVG(w io.Writer, p Picture) error {
	return write(w, vgsvg.New(width, p.height()), p)
}

func writePNG(w io.Writer, p Picture) error {
	return write(w, vgimg.PngCanvas{Canvas: vgimg.NewWith(vgimg.UseWH(width, p.height()), vgimg.UseDPI(dpi))}, p)
}

func write(w io.Writer, c vg.CanvasWriterTo, p Picture) error {
	all := draw.NewCanvas(c, width, p.height())
	all.SetColor(color.White)
	all.Fill(all.Path())
	if err := p.draw(all); err != nil {
		return fmt.Errorf("draw the picture: %w", err)
	}
	if _, err := c.WriteTo(w); err != nil {
		return fmt.Errorf("write the picture: %w", err)
	}
	return nil
}

// style is that of a text.
func style(size vg.Length, c color.Color) text.Style {
	return text.Style{
		Color: c, Font: font.From(font.Font{Typeface: "Liberation", Variant: "Sans"}, size),
		XAlign: draw.XLeft, YAlign: draw.YBottom, Handler: plot.DefaultTextHandler,
	}
}

// newPlot returns a plot in the style of all pictures.
func newPlot() *plot.Plot {
	p := plot.New()
	for _, a := range []*plot.Axis{&p.X, &p.Y} {
		own := a.Tick.Label
		a.Tick.Label = style(13, ink)
		a.Tick.Label.XAlign, a.Tick.Label.YAlign = own.XAlign, own.YAlign
		a.Label.TextStyle = style(13, ink)
		a.Label.TextStyle.XAlign = draw.XCenter
		a.Label.Padding = 8
		a.Width, a.Tick.Width, a.Padding = 0, 0, 2
	}
	return p
}

// frame draws what surrounds a plot, and returns the room for it. kinds are the names of what it has, with what they look like.
func frame(c draw.Canvas, title, caption string, kinds []kind) draw.Canvas {
	heading := style(18, ink)
	heading.Font.Weight = stdfont.WeightBold
	c.FillText(heading, vg.Point{X: c.Min.X + margin, Y: c.Max.Y - 32}, title)
	at := c.Min.X + margin
	for _, k := range kinds {
		l := plot.NewLegend()
		l.TextStyle, l.Left, l.Top = style(14, ink), true, true
		l.Add(k.name, k.look)
		room := draw.Crop(c, at-c.Min.X, 0, 0, -44)
		l.Draw(room)
		at += l.Rectangle(room).Size().X + 24
	}
	lines := wrap(caption)
	for i, line := range lines {
		c.FillText(style(12, faint), vg.Point{X: c.Min.X + margin, Y: c.Min.Y + captionHigh(caption) - captionLine*vg.Length(i+1)}, line)
	}
	return draw.Crop(c, margin, -margin, captionHigh(caption)+8, -headHigh)
}

// kind is a name in the head of a picture.
type kind struct {
	name string
	look plot.Thumbnailer
}

// captionHigh is the height of a caption with the room below it.
func captionHigh(caption string) vg.Length { return captionLine*vg.Length(len(wrap(caption))) + 14 }

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

// steps is a logarithmic axis's marks: 1, 2, 5, 10 and so on.
type steps struct{}

// Ticks implements plot.Ticker.
func (steps) Ticks(low, high float64) (all []plot.Tick) {
	for _, v := range marks(low, high) {
		all = append(all, plot.Tick{Value: v, Label: plain(v)})
	}
	return all
}

// round is a linear axis's marks: at most ten, at multiples of 1, 2, 5, 10 and so on.
type round struct{}

// Ticks implements plot.Ticker.
func (round) Ticks(low, high float64) (all []plot.Tick) {
	const most = 10
	for _, step := range marks(1e-6, 1e12) {
		if (high-low)/step > most {
			continue
		}
		for v := math.Ceil(low/step) * step; v <= high*1.0001; v += step {
			all = append(all, plot.Tick{Value: v, Label: plain(v)})
		}
		return all
	}
	return nil
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

// digits keeps three digits of a number.
func digits(v float64) float64 {
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
