package history

import "strconv"

// Printable quotes a text that would upset a terminal, or have it show something else than there is, such as characters that turn
// the direction of writing. A call-id, a tag or a file's word is what a stranger chose.
func Printable(s string) string {
	for _, r := range s {
		if !strconv.IsPrint(r) || r == '\uFFFD' {
			return strconv.Quote(s)
		}
	}
	return s
}
