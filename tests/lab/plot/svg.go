package plot

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"image/color"
	"io"
)

// WriteSVG writes the figure as an SVG picture.
func (f *Figure) WriteSVG(w io.Writer) error { return writeSVG(w, f) }

func writeSVG(w io.Writer, p Picture) error {
	var b bytes.Buffer
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %.0f %.0f" width="%.0f" height="%.0f" font-family="Helvetica, Arial, sans-serif">`+"\n",
		width, p.height(), width, p.height())
	p.draw(svg{&b})
	b.WriteString("</svg>\n")
	return write(w, b.Bytes())
}

// svg is a canvas that writes elements.
type svg struct{ out *bytes.Buffer }

func paint(attribute string, c color.RGBA) string {
	s := fmt.Sprintf(`%s="#%02x%02x%02x"`, attribute, c.R, c.G, c.B)
	if c.A != 0xff {
		s += fmt.Sprintf(` %s-opacity="%.2f"`, attribute, float64(c.A)/255)
	}
	return s
}

func (s svg) line(x1, y1, x2, y2, width float64, c color.RGBA, dashed bool) {
	dash := ""
	if dashed {
		dash = ` stroke-dasharray="5 4"`
	}
	fmt.Fprintf(s.out, `<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" stroke-width="%.1f" %s%s/>`+"\n", x1, y1, x2, y2, width, paint("stroke", c), dash)
}

func (s svg) rect(x, y, w, h float64, c color.RGBA) {
	fmt.Fprintf(s.out, `<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" %s/>`+"\n", x, y, w, h, paint("fill", c))
}

func (s svg) dot(x, y, r float64, c color.RGBA) {
	fmt.Fprintf(s.out, `<circle cx="%.1f" cy="%.1f" r="%.1f" %s/>`+"\n", x, y, r, paint("fill", c))
}

func (s svg) text(x, y, size float64, a anchor, bold bool, c color.RGBA, text string) {
	extra := ""
	switch a {
	case atMiddle:
		extra = ` text-anchor="middle"`
	case atEnd:
		extra = ` text-anchor="end"`
	case atStart:
	}
	if bold {
		extra += ` font-weight="bold"`
	}
	fmt.Fprintf(s.out, `<text x="%.1f" y="%.1f" font-size="%.0f"%s %s>`, x, y, size, extra, paint("fill", c))
	_ = xml.EscapeText(s.out, []byte(text)) // a buffer takes everything
	s.out.WriteString("</text>\n")
}
