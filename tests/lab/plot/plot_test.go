package plot

import (
	"bytes"
	"encoding/xml"
	"errors"
	"image/color"
	"image/png"
	"io"
	"math"
	"strings"
	"testing"
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
	if size := img.Bounds().Size(); size.X != width*density || size.Y < int(f.height()*density) {
		t.Errorf("size %v", size)
	}
	if r, g, bl, _ := img.At(3, 3).RGBA(); r != 0xffff || g != 0xffff || bl != 0xffff {
		t.Error("the background is not white")
	}
	// The median of the first strip, in the colour of its kind.
	y := headHigh + rowGap/2 + stripHigh/2 + 7
	want := palette[0]
	got := color.RGBAModel.Convert(img.At(int(f.scaleOf().at(40.5)*density), int(y*density))).(color.RGBA)
	if got != want {
		t.Errorf("the median's mark has the colour %v, want %v", got, want)
	}
}

func TestScaleHoldsAllValues(t *testing.T) {
	s := sample().scaleOf()
	if s.low != 10 || s.high != 2000 {
		t.Errorf("from %v to %v", s.low, s.high)
	}
	if x := s.at(10); x != left {
		t.Errorf("the left end is at %v", x)
	}
	if x := s.at(2000); x != right {
		t.Errorf("the right end is at %v", x)
	}
	if x := s.at(math.Sqrt(10 * 2000)); math.Abs(x-(left+right)/2) > 1e-6 {
		t.Errorf("the middle is at %v", x)
	}
	if x := s.at(0); x != left {
		t.Errorf("nothing is at %v", x)
	}
	if s := (&Figure{}).scaleOf(); s.low >= s.high {
		t.Errorf("without values: %v", s)
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
	// The second curve, which is level, a third of the way up to 1,000 and the room for bands; where no other one is.
	up := math.Log(10) / math.Log(1200)
	x, y := int((linesLeft+(linesRight-linesLeft)*0.8)*density), int((sample().height()+linesHead+linesHigh*(1-up))*density)
	if got := color.RGBAModel.Convert(img.At(x, y)).(color.RGBA); got != palette[1] {
		t.Errorf("the curve has the colour %v, want %v", got, palette[1])
	}
}

func TestAxisMarksRoundValues(t *testing.T) {
	a := Axis{High: 47}
	if got := a.ticks(); len(got) < 5 || got[0] != 0 || got[1] != 5 || got[len(got)-1] != 45 {
		t.Errorf("marks %v", got)
	}
	a = Axis{Log: true, Low: 1, High: 30}
	if got := a.ticks(); len(got) != 5 || got[4] != 20 {
		t.Errorf("marks %v", got)
	}
	if a.share(0) != 0 || a.share(30) != 1 || math.Abs(a.share(math.Sqrt(30))-0.5) > 1e-9 {
		t.Error("values are not where they belong")
	}
}
