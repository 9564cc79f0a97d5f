package differential

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// An expectation is what a step of testdata/reference must answer.
type expectation struct {
	step, line int
	has, lacks bool // some lines of the reply, or none of them; else the whole reply
	lines      []string
}

// TestReference checks rtpjet against what the reference says of options that release 10.5 does not have, or has otherwise.
// The scripts are those of the other tests, and each command is followed by what it must be answered:
//
//	> offer from-tag=a @phone
//	----
//	v=0
//	…
//	> query
//	---- has
//	tags.a.label: caller
//	---- lacks
//	tags.b.label: caller
//
// An SDP stands for itself, ok for a reply with no other key, and error for an error with its reason; all other replies are
// written as in the other tests. With -update the whole replies are written as rtpjet gives them now: read them.
func TestReference(t *testing.T) {
	if *show {
		t.Skip("-show is for TestRecord")
	}
	templates := loadTemplates(t)
	files, err := filepath.Glob("testdata/reference/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no testdata/reference", err)
	}
	ours := rtpjet(t)
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(string(text), "\n")
		scripts, expected, err := parseReference(f, lines, templates)
		if err != nil {
			t.Fatal(err)
		}
		got := map[int][]string{} // by the line of the expectation
		for i := range scripts {
			s := &scripts[i]
			t.Run(s.name, func(t *testing.T) {
				tr, err := s.run(ours)
				if err != nil {
					t.Fatal(err)
				}
				for _, e := range expected[s.name] {
					reply := brief(tr[e.step])
					for _, d := range disorder(tr[e.step]) {
						t.Errorf("%s:%d: %s", f, s.steps[e.step].line, d)
					}
					got[e.line] = reply
					at := fmt.Sprintf("%s:%d: %s", f, s.steps[e.step].line, shorten(s.steps[e.step].text))
					switch {
					case e.has || e.lacks:
						for _, l := range e.lines {
							if slices.Contains(reply, l) != e.has {
								t.Errorf("%s\nhas line %q: %v, want %v\n%s", at, l, !e.has, e.has, strings.Join(reply, "\n"))
							}
						}
					case !*update:
						if d := cmp.Diff(e.lines, reply); d != "" {
							t.Errorf("%s (-want +got)\n%s", at, d)
						}
					}
				}
			})
		}
		if *update {
			writeReference(t, f, lines, got)
		}
	}
}

// brief writes a reply in the short form of testdata/reference. What rtpjet says beyond the reference, that it has not done something, is no part of
// that.
func brief(reply []string) []string {
	reply = slices.DeleteFunc(slices.Clone(reply), func(l string) bool { return strings.HasPrefix(l, "warning: Not supported and not done: ") })
	at := slices.Index(reply, "sdp:")
	switch {
	case slices.Equal(reply, []string{"result: ok"}):
		return []string{"ok"}
	case len(reply) == 2 && reply[1] == "result: error":
		reason, ok := strings.CutPrefix(reply[0], "error-reason: ")
		if ok {
			return []string{"error " + reason}
		}
	case at == 1 && reply[0] == "result: ok":
		var out []string
		for _, l := range reply[2:] {
			out = append(out, strings.TrimPrefix(l, "  "))
		}
		return out
	}
	return reply
}

func loadTemplates(t *testing.T) map[string]template {
	t.Helper()
	templates := map[string]template{}
	for _, glob := range []string{"testdata/*.txt", "testdata/reference/*.txt"} {
		files, err := filepath.Glob(glob)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			if filepath.Base(f) == "differences.txt" {
				continue
			}
			text, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			_, rest, err := withoutExpectations(f, strings.Split(string(text), "\n"))
			if err != nil {
				t.Fatal(err)
			}
			p := &scriptParser{file: f, templates: templates, onlyTemplates: true}
			if _, err := p.parse(rest); err != nil {
				t.Fatal(err)
			}
		}
	}
	return templates
}

// withoutExpectations takes the expectations out of a file; their lines become blank.
func withoutExpectations(file string, lines []string) (found []expectation, rest string, err error) {
	left := slices.Clone(lines)
	for i := 0; i < len(left); i++ {
		kind, ok := strings.CutPrefix(left[i], "----")
		if !ok {
			continue
		}
		e := expectation{line: i + 1, has: kind == " has", lacks: kind == " lacks"}
		if !e.has && !e.lacks && kind != "" {
			return nil, "", fmt.Errorf("%s:%d: unexpected %q", file, i+1, left[i])
		}
		left[i] = ""
		for i++; i < len(left) && left[i] != "" && left[i][0] != '>' && !strings.HasPrefix(left[i], "----"); i++ {
			e.lines = append(e.lines, left[i])
			left[i] = ""
		}
		i--
		found = append(found, e)
	}
	return found, strings.Join(left, "\n"), nil
}

// parseReference reads the scripts of a file, and by their names what they expect.
func parseReference(file string, lines []string, templates map[string]template) ([]script, map[string][]expectation, error) {
	found, text, err := withoutExpectations(file, lines)
	if err != nil {
		return nil, nil, err
	}
	p := &scriptParser{file: file, templates: templates}
	scripts, err := p.parse(text)
	if err != nil {
		return nil, nil, err
	}
	byScript := map[string][]expectation{}
	for _, e := range found {
		name, step := "", -1
		for i := range scripts {
			for j := range scripts[i].steps {
				if scripts[i].steps[j].line < e.line {
					name, step = scripts[i].name, j
				}
			}
		}
		if step < 0 {
			return nil, nil, fmt.Errorf("%s:%d: expectation before the first command", file, e.line)
		}
		e.step = step
		byScript[name] = append(byScript[name], e)
	}
	return scripts, byScript, nil
}

// writeReference puts the replies in the place of the whole expected ones.
func writeReference(t *testing.T, file string, lines []string, got map[int][]string) {
	t.Helper()
	var out []string
	for i := 0; i < len(lines); i++ {
		out = append(out, lines[i])
		reply, ok := got[i+1]
		if lines[i] != "----" || !ok {
			continue
		}
		out = append(out, reply...)
		for i+1 < len(lines) && lines[i+1] != "" && lines[i+1][0] != '>' && !strings.HasPrefix(lines[i+1], "----") {
			i++
		}
	}
	if err := os.WriteFile(file, []byte(strings.Join(out, "\n")), 0o644); err != nil {
		t.Fatal(err)
	}
}
