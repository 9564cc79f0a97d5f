package plot

import (
	"bytes"
	"encoding/xml"
	"errors"
	"image/color"
	"image/png"
	"io"
	"strings"
	"testing"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
)

func sample() *Figure {
	return &Figure{
		Title: "Longest silence <of all>", Caption: strings.Repeat("words of a caption ", 20), Axis: "ms", Unit: " ms",
		Kinds: []string{"one", "another"}, Mark: 20, MarkText: "ordinary",
		Rows: []Row{
			{"kill", [][]float64{{40, 41, 39, 60}, {100, 2000}}},
			{"nothing", [][]float64{{}, {20}}},
		},
	}
}

func TestSVGIsWellFormedAndSaysEverything(t *testing.T) {
	var b bytes.Buffer
	if err := sample().WriteSVG(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"Longest silence &lt;of all&gt;", ">kill<", ">another<", "40.5 ms, worst 60", "1,050 ms, worst 2,000", ">20 ms<", "ordinary"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in it", want)
		}
	}
	d := xml.NewDecoder(&b)
	for {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
}

// pixelOf is where a value lies in the PNG of a picture whose plot this is, and which is a part of another one that high.
func pixelOf(p *plot.Plot, room draw.Canvas, high vg.Length, x, y float64) (int, int) {
	data := p.DataCanvas(room)
	toX, toY := p.Transforms(&data)
	return int(toX(x) * dpi / vg.Inch), int((high - toY(y)) * dpi / vg.Inch)
}

// scratch is a canvas that nobody looks at.
func scratch(high vg.Length) draw.Canvas { return draw.New(vgimg.New(width, high)) }

func TestPNGShowsTheSameOnALightBackground(t *testing.T) {
	f := sample()
	var b bytes.Buffer
	if err := f.WritePNG(&b); err != nil {
		t.Fatal(err)
	}
	img, err := png.Decode(&b)
	if err != nil {
		t.Fatal(err)
	}
	if size := img.Bounds().Size(); size.X != int(width)*2 || size.Y < int(f.height()*2) {
		t.Errorf("size %v", size)
	}
	if r, g, bl, _ := img.At(3, 3).RGBA(); r != 0xffff || g != 0xffff || bl != 0xffff {
		t.Error("the background is not white")
	}
	// The median of the first strip, in the colour of its kind.
	p, err := f.plot()
	if err != nil {
		t.Fatal(err)
	}
	room := frame(scratch(f.height()), f.Title, f.Caption, f.kinds())
	x, y := pixelOf(p, room, f.height(), 40.5, -float64((rowGap/2+stripHigh/2)/f.rowHeight()))
	if got := color.NRGBAModel.Convert(img.At(x, y+14)); got != palette[0] {
		t.Errorf("the median's mark has the colour %v, want %v", got, palette[0])
	}
}

func TestScaleHoldsAllValues(t *testing.T) {
	if low, high := sample().scaleOf(); low != 10 || high != 2000 {
		t.Errorf("from %v to %v", low, high)
	}
	if low, high := (&Figure{}).scaleOf(); low >= high {
		t.Errorf("without values: %v to %v", low, high)
	}
}

// A measurement may be nothing at all, or zero, which no logarithmic scale has.
func TestPicturesOfNothing(t *testing.T) {
	zero := sample()
	zero.Rows[0].Values[0][0] = 0
	flat := lines()
	flat.Curves[0].Points[0][1] = 0
	for i, p := range []Picture{&Figure{}, zero, &Lines{}, flat, Sheet{&Figure{Rows: []Row{{Name: "empty"}}}}} {
		if err := p.WriteSVG(io.Discard); err != nil {
			t.Errorf("picture %d: %v", i, err)
		}
	}
}

func TestPlain(t *testing.T) {
	for in, want := range map[float64]string{0.5: "0.5", 20: "20", 999: "999", 1000: "1,000", 60000: "60,000", 1234567: "1,234,567"} {
		if got := plain(in); got != want {
			t.Errorf("%v: %s, want %s", in, got, want)
		}
	}
}

func lines() *Lines {
	return &Lines{
		Title: "Lag", Caption: "some words", X: Axis{Name: "seconds"}, Y: Axis{Name: "events", Log: true, Low: 1},
		Curves: []Curve{{Name: "one", Points: [][2]float64{{0, 1}, {10, 1000}}}, {Name: "steps", Kind: 1, Steps: true, Points: [][2]float64{{0, 10}, {10, 10}}}},
		Bands:  []Band{{2, 4, "a cut"}},
	}
}

func TestSheetShowsItsPicturesBelowEachOther(t *testing.T) {
	s := Sheet{sample(), lines()}
	var b bytes.Buffer
	if err := s.WriteSVG(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{">Lag<", ">a cut<", ">another<", ">1,000<", ">seconds<"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in it", want)
		}
	}
	b.Reset()
	if err := s.WritePNG(&b); err != nil {
		t.Fatal(err)
	}
	img, err := png.Decode(&b)
	if err != nil {
		t.Fatal(err)
	}
	// The second curve, which is level, where no other one is.
	l := lines()
	p, kinds, err := l.plot()
	if err != nil {
		t.Fatal(err)
	}
	x, y := pixelOf(p, frame(scratch(l.height()), l.Title, l.Caption, kinds), l.height(), 8, 10)
	if got := color.NRGBAModel.Convert(img.At(x, y+int(sample().height()*2))); got != palette[1] {
		t.Errorf("the curve has the colour %v, want %v", got, palette[1])
	}
}

func TestAxisMarksRoundValues(t *testing.T) {
	if got := (round{}).Ticks(0, 47); len(got) != 10 || got[0].Value != 0 || got[1].Label != "5" || got[9].Value != 45 {
		t.Errorf("marks %v", got)
	}
	if got := (steps{}).Ticks(1, 30); len(got) != 5 || got[4].Label != "20" {
		t.Errorf("marks %v", got)
	}
}
