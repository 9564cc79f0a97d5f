package main

import (
	"fmt"
	"os"
	"path/filepath"

	"rtpjet/tests/lab/plot"
)

// figure draws the longest silence of each run of a scene.
func (r runs) figure(s scene, systems []string) *plot.Figure {
	f := &plot.Figure{
		Title: "Longest silence of any stream, " + s.title(),
		Caption: "Each dot is a run: the longest gap between two packets of a stream at its receiver, over all streams with " +
			"50 packets/s, whose ordinary gap is 20 ms. The bar is the median of the runs.",
		Axis: "milliseconds, logarithmic", Unit: " ms", Mark: 20, MarkText: "ordinary gap",
	}
	for _, system := range systems {
		f.Kinds = append(f.Kinds, shown(system))
	}
	for _, t := range titles {
		row := plot.Row{Name: t.title}
		some := false
		for _, system := range systems {
			v := r.of(key{system, t.name, s}).values(func(o *outcome) float64 { return o.LongestMS })
			row.Values = append(row.Values, v)
			some = some || len(v) > 0
		}
		if some {
			f.Rows = append(f.Rows, row)
		}
	}
	return f
}

// writeFigure writes a figure as NAME.svg and NAME.png.
func writeFigure(f *plot.Figure, dir, name string) error {
	for _, kind := range []struct {
		suffix string
		write  func(*os.File) error
	}{
		{".svg", func(to *os.File) error { return f.WriteSVG(to) }},
		{".png", func(to *os.File) error { return f.WritePNG(to) }},
	} {
		file := filepath.Join(dir, name+kind.suffix)
		to, err := os.Create(file)
		if err != nil {
			return fmt.Errorf("write %s: %w", file, err)
		}
		if err := kind.write(to); err != nil {
			_ = to.Close()
			return fmt.Errorf("write %s: %w", file, err)
		}
		if err := to.Close(); err != nil {
			return fmt.Errorf("write %s: %w", file, err)
		}
	}
	return nil
}
