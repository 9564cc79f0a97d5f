package plot

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"io"
	"math"

	"golang.org/x/image/font"
	"golang.org/x/image/font/gofont/gobold"
	"golang.org/x/image/font/gofont/goregular"
	"golang.org/x/image/font/opentype"
	"golang.org/x/image/math/fixed"
	"golang.org/x/image/vector"
)

// density is how many pixels of the PNG make one of a plain screen.
const density = 2

// WritePNG writes the figure as a PNG picture.
func (f *Figure) WritePNG(w io.Writer) error { return writePNG(w, f) }

func writePNG(w io.Writer, p Picture) error {
	r, err := newRaster(width, p.height())
	if err != nil {
		return err
	}
	p.draw(r)
	var b bytes.Buffer
	if err := png.Encode(&b, r.image); err != nil {
		return fmt.Errorf("encode the picture: %w", err)
	}
	return write(w, b.Bytes())
}

// raster is a canvas of pixels.
type raster struct {
	image *image.RGBA
	fonts [2]*opentype.Font
	faces map[faceKey]font.Face
}

type faceKey struct {
	size float64
	bold bool
}

func newRaster(w, h float64) (*raster, error) {
	r := &raster{image: image.NewRGBA(image.Rect(0, 0, int(w*density), int(math.Ceil(h*density)))), faces: map[faceKey]font.Face{}}
	for i, data := range [][]byte{goregular.TTF, gobold.TTF} {
		f, err := opentype.Parse(data)
		if err != nil {
			return nil, fmt.Errorf("read a font: %w", err)
		}
		r.fonts[i] = f
	}
	return r, nil
}

// fill fills a closed path, whose points are in pixels of a plain screen. No more of the picture is touched than it takes.
func (r *raster) fill(c color.RGBA, path [][2]float64) {
	low, high := path[0], path[0]
	for _, p := range path {
		for i := range p {
			low[i], high[i] = min(low[i], p[i]), max(high[i], p[i])
		}
	}
	box := image.Rect(int(math.Floor(low[0]*density)), int(math.Floor(low[1]*density)),
		int(math.Ceil(high[0]*density))+1, int(math.Ceil(high[1]*density))+1)
	v := vector.NewRasterizer(box.Dx(), box.Dy())
	for i, p := range path {
		x, y := float32(p[0]*density-float64(box.Min.X)), float32(p[1]*density-float64(box.Min.Y))
		if i == 0 {
			v.MoveTo(x, y)
		} else {
			v.LineTo(x, y)
		}
	}
	v.ClosePath()
	v.Draw(r.image, box, image.NewUniform(color.NRGBA(c)), image.Point{})
}

func (r *raster) line(x1, y1, x2, y2, width float64, c color.RGBA, dashed bool) {
	length := math.Hypot(x2-x1, y2-y1)
	if length == 0 {
		return
	}
	ux, uy := (x2-x1)/length, (y2-y1)/length
	nx, ny := -uy*width/2, ux*width/2
	piece := func(from, to float64) {
		ax, ay, bx, by := x1+ux*from, y1+uy*from, x1+ux*to, y1+uy*to
		r.fill(c, [][2]float64{{ax + nx, ay + ny}, {bx + nx, by + ny}, {bx - nx, by - ny}, {ax - nx, ay - ny}})
	}
	if !dashed {
		piece(0, length)
		return
	}
	for at := 0.0; at < length; at += 9 {
		piece(at, min(at+5, length))
	}
}

func (r *raster) rect(x, y, w, h float64, c color.RGBA) {
	at := image.Rect(int(math.Round(x*density)), int(math.Round(y*density)), int(math.Round((x+w)*density)), int(math.Round((y+h)*density)))
	draw.Draw(r.image, at, image.NewUniform(color.NRGBA(c)), image.Point{}, draw.Over)
}

func (r *raster) dot(x, y, radius float64, c color.RGBA) {
	const corners = 40
	var path [][2]float64
	for i := range corners {
		a := 2 * math.Pi * float64(i) / corners
		path = append(path, [2]float64{x + radius*math.Cos(a), y + radius*math.Sin(a)})
	}
	r.fill(c, path)
}

func (r *raster) text(x, y, size float64, a anchor, bold bool, c color.RGBA, text string) {
	face, err := r.face(size, bold)
	if err != nil {
		return // the fonts are built in and have been read
	}
	d := font.Drawer{Dst: r.image, Src: image.NewUniform(c), Face: face}
	at := x * density
	switch length := float64(d.MeasureString(text)) / 64; a {
	case atMiddle:
		at -= length / 2
	case atEnd:
		at -= length
	case atStart:
	}
	d.Dot = fixed.Point26_6{X: fixed.Int26_6(at * 64), Y: fixed.Int26_6(y * density * 64)}
	d.DrawString(text)
}

func (r *raster) face(size float64, bold bool) (font.Face, error) {
	key := faceKey{size, bold}
	if f, ok := r.faces[key]; ok {
		return f, nil
	}
	from := r.fonts[0]
	if bold {
		from = r.fonts[1]
	}
	f, err := opentype.NewFace(from, &opentype.FaceOptions{Size: size * density, DPI: 72, Hinting: font.HintingNone})
	if err != nil {
		return nil, fmt.Errorf("make a font's face: %w", err)
	}
	r.faces[key] = f
	return f, nil
}
