package differential

import (
	"fmt"
	"os"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// A difference is one entry of testdata/differences.txt: a line that only one of the servers answers, where, and why.
type difference struct {
	line    int
	scripts []string // globs
	steps   []int    // none is any
	mark    byte     // '-' only rtpengine, '+' only rtpjet
	pattern *regexp.Regexp
	reason  string
	used    bool
}

func (e *difference) String() string {
	return fmt.Sprintf("%s: %c %s", strings.Join(e.scripts, " "), e.mark, e.pattern)
}

type differences struct {
	mu      sync.Mutex
	entries []*difference
	scripts map[string]bool // those that ran
}

// loadDifferences reads blocks of
//
//	script: GLOB …
//	step: N …          (optional)
//	- LINE             (of rtpengine; /REGEXP/ for a pattern)
//	+ LINE             (of rtpjet)
//	reason: TEXT
//
// with any number of - and + lines. Each of them is an entry of its own that must occur. Blank lines separate blocks, and
// a reason goes on in lines that begin with a space.
func loadDifferences(t *testing.T) *differences {
	t.Helper()
	const file = "testdata/differences.txt"
	d := &differences{scripts: map[string]bool{}}
	text, err := os.ReadFile(file)
	if os.IsNotExist(err) {
		return d
	}
	if err != nil {
		t.Fatal(err)
	}
	var (
		block  []*difference
		globs  []string
		steps  []int
		reason string
	)
	flush := func(n int) {
		if len(block) > 0 && (reason == "" || len(globs) == 0) {
			t.Fatalf("%s:%d: block needs script: and reason:", file, n)
		}
		for _, e := range block {
			e.scripts, e.steps, e.reason = globs, steps, reason
		}
		d.entries = append(d.entries, block...)
		block, globs, steps, reason = nil, nil, nil, ""
	}
	lines := strings.Split(string(text), "\n")
	for i, l := range lines {
		switch {
		case l == "":
			flush(i + 1)
		case l[0] == '#':
		case strings.HasPrefix(l, "script: "):
			globs = strings.Fields(l[len("script: "):])
		case strings.HasPrefix(l, "step: "):
			for _, f := range strings.Fields(l[len("step: "):]) {
				n, err := strconv.Atoi(f)
				if err != nil {
					t.Fatalf("%s:%d: %v", file, i+1, err)
				}
				steps = append(steps, n)
			}
		case strings.HasPrefix(l, "reason: "), strings.HasPrefix(l, " "):
			reason = strings.TrimSpace(reason + " " + strings.TrimSpace(strings.TrimPrefix(l, "reason: ")))
		case strings.HasPrefix(l, "- "), strings.HasPrefix(l, "+ "):
			text := regexp.QuoteMeta(l[2:])
			if len(l) > 3 && l[2] == '/' && l[len(l)-1] == '/' {
				text = l[3 : len(l)-1]
			}
			re, err := regexp.Compile("^(?:" + text + ")$")
			if err != nil {
				t.Fatalf("%s:%d: %v", file, i+1, err)
			}
			block = append(block, &difference{line: i + 1, mark: l[0], pattern: re})
		default:
			t.Fatalf("%s:%d: unexpected line %q", file, i+1, l)
		}
	}
	flush(len(lines))
	return d
}

func (e *difference) covers(script string) bool {
	return slices.ContainsFunc(e.scripts, func(g string) bool {
		ok, err := path.Match(g, script)
		return ok && err == nil
	})
}

func (d *differences) ran(script string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.scripts[script] = true
}

// explain reports whether a line is expected to differ, and notes that it did.
func (d *differences) explain(script string, step int, mark byte, line string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	found := false
	for _, e := range d.entries {
		if e.mark == mark && (e.steps == nil || slices.Contains(e.steps, step)) && e.covers(script) && e.pattern.MatchString(strings.TrimPrefix(line, "  ")) {
			e.used, found = true, true
		}
	}
	return found
}

// stale returns the entries that did not occur although all of their scripts ran.
func (d *differences) stale(all []script) []*difference {
	d.mu.Lock()
	defer d.mu.Unlock()
	var out []*difference
	for _, e := range d.entries {
		if e.used {
			continue
		}
		complete := true
		for i := range all {
			if e.covers(all[i].name) && !d.scripts[all[i].name] {
				complete = false
			}
		}
		if complete {
			out = append(out, e)
		}
	}
	return out
}

type lineOp struct {
	mark byte // ' ', '-' or '+'
	line string
}

// align is a longest common subsequence: replies are short enough for the plain table.
func align(a, b []string) []lineOp {
	table := make([][]int, len(a)+1)
	for i := range table {
		table[i] = make([]int, len(b)+1)
	}
	for i := len(a) - 1; i >= 0; i-- {
		for j := len(b) - 1; j >= 0; j-- {
			if a[i] == b[j] {
				table[i][j] = table[i+1][j+1] + 1
			} else {
				table[i][j] = max(table[i+1][j], table[i][j+1])
			}
		}
	}
	var out []lineOp
	i, j := 0, 0
	for i < len(a) || j < len(b) {
		switch {
		case i < len(a) && j < len(b) && a[i] == b[j]:
			out = append(out, lineOp{' ', a[i]})
			i, j = i+1, j+1
		case j == len(b) || i < len(a) && table[i+1][j] >= table[i][j+1]:
			out = append(out, lineOp{'-', a[i]})
			i++
		default:
			out = append(out, lineOp{'+', b[j]})
			j++
		}
	}
	return out
}

func lineDiff(a, b []string) (removed, added []string) {
	for _, op := range align(a, b) {
		switch op.mark {
		case '-':
			removed = append(removed, op.line)
		case '+':
			added = append(added, op.line)
		}
	}
	return removed, added
}
