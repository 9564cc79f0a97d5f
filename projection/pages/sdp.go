package pages

import "strings"

// SDPRow is a line of an SDP that came, and the line of the one that was made from it that belongs to it. One of them may be
// missing.
type SDPRow struct {
	In   []Piece `json:"in,omitempty"`
	Out  []Piece `json:"out,omitempty"`
	Mark string  `json:"mark,omitempty"` // changed, removed, added; empty: as it came
}

// Piece is a part of a line that is, or is not, in the other one.
type Piece struct {
	Text string `json:"text"`
	New  bool   `json:"new,omitempty"`
}

// maxLines bounds what is compared line by line: the work grows with the square.
const maxLines = 500

// CompareSDP puts two SDPs side by side.
func CompareSDP(in, out string) []SDPRow {
	if in == "" && out == "" {
		return []SDPRow{}
	}
	a, b := sdpLines(in), sdpLines(out)
	if out == "" {
		b = nil
	}
	rows := []SDPRow{}
	if len(a) > maxLines || len(b) > maxLines {
		for i := range max(len(a), len(b)) {
			var r SDPRow
			if i < len(a) {
				r.In = whole(a[i])
			}
			if i < len(b) {
				r.Out = whole(b[i])
			}
			rows = append(rows, r)
		}
		return rows
	}
	match := align(a, b)
	j := 0
	for i := 0; i <= len(a); {
		// What stands before the next line that both have, paired by kind.
		i2 := i
		for i2 < len(a) && match[i2] < 0 {
			i2++
		}
		j2 := len(b)
		if i2 < len(a) {
			j2 = match[i2]
		}
		rows = append(rows, pair(a[i:i2], b[j:j2])...)
		if i2 == len(a) {
			break
		}
		rows = append(rows, SDPRow{In: whole(a[i2]), Out: whole(b[j2])})
		i, j = i2+1, j2+1
	}
	return rows
}

// align finds the longest common subsequence of lines: for each of a, its place in b, or -1.
func align(a, b []string) []int {
	best := make([][]int, len(a)+1)
	for i := range best {
		best[i] = make([]int, len(b)+1)
	}
	for i := len(a) - 1; i >= 0; i-- {
		for j := len(b) - 1; j >= 0; j-- {
			if a[i] == b[j] {
				best[i][j] = best[i+1][j+1] + 1
			} else {
				best[i][j] = max(best[i+1][j], best[i][j+1])
			}
		}
	}
	match := make([]int, len(a))
	for i, j := 0, 0; i < len(a); {
		switch {
		case j < len(b) && a[i] == b[j]:
			match[i] = j
			i, j = i+1, j+1
		case j < len(b) && best[i][j+1] >= best[i+1][j]:
			j++
		default:
			match[i] = -1
			i++
		}
	}
	return match
}

// kind is what a line is about: lines of one kind are taken to be the same line, changed.
func kind(line string) string {
	if !strings.HasPrefix(line, "a=") {
		return line[:min(2, len(line))]
	}
	name, _, _ := strings.Cut(line, ":")
	return name
}

// pair puts lines of the same kind side by side, and leaves the order of both as it is.
func pair(a, b []string) []SDPRow {
	var rows []SDPRow
	j := 0
	for _, line := range a {
		found := -1
		for k := j; k < len(b); k++ {
			if kind(b[k]) == kind(line) {
				found = k
				break
			}
		}
		if found < 0 {
			rows = append(rows, SDPRow{In: []Piece{{line, true}}, Mark: "removed"})
			continue
		}
		for ; j < found; j++ {
			rows = append(rows, SDPRow{Out: []Piece{{b[j], true}}, Mark: "added"})
		}
		in, out := pieces(line, b[j])
		rows = append(rows, SDPRow{In: in, Out: out, Mark: "changed"})
		j++
	}
	for ; j < len(b); j++ {
		rows = append(rows, SDPRow{Out: []Piece{{b[j], true}}, Mark: "added"})
	}
	return rows
}

func whole(line string) []Piece { return []Piece{{Text: line}} }

// pieces marks the words of two lines that the other one does not have at that place.
func pieces(a, b string) (in, out []Piece) {
	x, y := strings.SplitAfter(a, " "), strings.SplitAfter(b, " ")
	m := align(trimmed(x), trimmed(y))
	inY := make([]bool, len(y))
	for i, j := range m {
		if j >= 0 {
			inY[j] = true
		}
		in = add(in, x[i], j < 0)
	}
	for j := range y {
		out = add(out, y[j], !inY[j])
	}
	return in, out
}

func trimmed(words []string) []string {
	out := make([]string, len(words))
	for i, w := range words {
		out[i] = strings.TrimSuffix(w, " ")
	}
	return out
}

func add(list []Piece, text string, isNew bool) []Piece {
	if n := len(list); n > 0 && list[n-1].New == isNew {
		list[n-1].Text += text
		return list
	}
	return append(list, Piece{text, isNew})
}
