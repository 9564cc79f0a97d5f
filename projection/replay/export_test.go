package replay

import (
	"bytes"
	"strings"
)

// AppendVersion writes a bundle of another version, with a line of a new kind after some events.
func (b *Bundle) AppendVersion(dst []byte, version, after int) []byte {
	text := string(b.Append(nil))
	text = strings.Replace(text, magic+" 1", magic+" "+string(rune('0'+version)), 1)
	var out []string
	n := 0
	for _, l := range strings.Split(text, "\n") {
		if strings.HasPrefix(l, "event ") {
			if n == after {
				out = append(out, "hologram 12 #00000000")
			}
			n++
		}
		out = append(out, l)
	}
	return append(dst, WithChecksums([]byte(strings.Join(out, "\n")))...)
}

// WithChecksums puts the right checksum on every line.
func WithChecksums(data []byte) []byte {
	var w bundleWriter
	for line := range bytes.Lines(data) {
		text := strings.TrimRight(string(line), "\r\n")
		if i := strings.LastIndex(text, " #"); i >= 0 {
			text = text[:i]
		}
		w.line("%s", text)
	}
	return w.out
}
