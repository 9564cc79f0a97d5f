package plot

import (
	"fmt"
	"os"
	"path/filepath"
)

// WriteFiles writes a picture as NAME.svg and NAME.png.
func WriteFiles(p Picture, dir, name string) error {
	for _, kind := range []struct {
		suffix string
		write  func(*os.File) error
	}{
		{".svg", func(to *os.File) error { return p.WriteSVG(to) }},
		{".png", func(to *os.File) error { return p.WritePNG(to) }},
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
