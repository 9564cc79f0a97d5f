package tests

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// A reader has the repository and what is public. So no comment, no page and no script of a test may cite notes of somebody's
// own, a section sign needs the RFC (or the like) that it belongs to, and what is cited of our own pages must be there.

var (
	// privateNotes are the ways in which notes that are not in the repository have been cited.
	privateNotes = regexp.MustCompile(
		`(?i)design(\.md)?, decision|\bng[- ]reference\b|\b(media|field)[- ]notes\b|\b(style|deps|design|field|media)\.md\b|\bdut(y|ies) \d|, pain \d`)
	// publicSource is what a section sign may belong to, somewhere in the same paragraph.
	publicSource = regexp.MustCompile(`RFC \d+|ITU-T|WHATWG|W3C`)
	// ourPage is a page of ours as comments cite it, with the headings behind it: docs/ng.md, "Spellings", "codec".
	ourPage = regexp.MustCompile(`\bdocs/[\w/-]+\.md(?:#[\w-]+)?((?:,? "[^"]+")*)`)
	// pageLink is a link of Markdown, other than to the web.
	pageLink = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	quoted   = regexp.MustCompile(`"([^"]+)"`)
	// sourceFile is a file of Go as pages name it, with its folder.
	sourceFile = regexp.MustCompile("`([a-z][\\w.-]*(?:/[\\w.-]+)+\\.go)`")
)

// TestCitations looks at all comments of Go files and at all text of the rest.
func TestCitations(t *testing.T) {
	pages := map[string][]string{} // headings of a page
	for _, file := range texts(t, "..") {
		if strings.HasSuffix(file, ".md") {
			pages[file] = headings(read(t, file))
		}
	}
	for _, file := range texts(t, "..") {
		for _, p := range paragraphs(t, file) {
			for _, fault := range citationFaults(file, p.text, pages) {
				t.Errorf("%s:%d: %s", file, p.line, fault)
			}
		}
	}
}

// TestCitationsRule checks the check.
func TestCitationsRule(t *testing.T) {
	pages := map[string][]string{"docs/ng.md": {"Spellings", "What clients send"}, "docs/sub/a.md": nil}
	for _, test := range []struct {
		file, text string
		faults     int
	}{
		{"a.go", "Parse reads it (RFC 8866 §5).", 0},
		{"a.go", "Parse reads it (RFC 8866 §5, §6).", 0},
		{"a.go", "Parse reads it (§5.1).", 1},
		{"a.go", "as the design, decision 3, wants it", 1},
		{"a.go", "see ng-" + "reference 4", 1},
		{"a.go", "Field " + "notes 2 say so", 1},
		{"a.go", "it repeats the reply, duty " + "4", 1},
		{"a.go", "on duty since 4 o'clock", 0},
		{"a.go", `see docs/ng.md, "Spellings"`, 0},
		{"a.go", `see docs/ng.md, "Spellings", "What clients send"`, 0},
		{"a.go", `see docs/ng.md, "Spelling"`, 1},
		{"a.go", `see docs/gone.md`, 1},
		{"docs/ng.md", "[a](sub/a.md) and [b](#what-clients-send) and [c](https://example.com/x)", 0},
		{"docs/ng.md", "[a](sub/b.md) and [b](#what-servers-send)", 2},
		{"docs/sub/a.md", "[a](../ng.md#spellings)", 0},
		{"docs/sub/a.md", "[a](../ng.md#spelling)", 1},
		{"docs/sub/a.md", "see `tests/docs_test.go` and `tests/no_docs_test.go`", 1},
	} {
		if got := citationFaults(test.file, test.text, pages); len(got) != test.faults {
			t.Errorf("%s: %s: %d faults, want %d: %v", test.file, test.text, len(got), test.faults, got)
		}
	}
}

// citationFaults says what is wrong with the citations of one paragraph.
func citationFaults(file, text string, pages map[string][]string) []string {
	var faults []string
	if m := privateNotes.FindString(text); m != "" {
		faults = append(faults, fmt.Sprintf("%q is not in the repository: say the fact, and an RFC, rtpengine's documentation or a page of ours", m))
	}
	if strings.Contains(text, "§") && !publicSource.MatchString(text) {
		faults = append(faults, "§ of which document?")
	}
	for _, m := range ourPage.FindAllStringSubmatch(text, -1) {
		name, _, _ := strings.Cut(m[0], ".md")
		known, ok := pages[name+".md"]
		if !ok {
			faults = append(faults, "there is no "+name+".md")
			continue
		}
		for _, q := range quoted.FindAllStringSubmatch(m[1], -1) {
			if !slices.Contains(known, q[1]) {
				faults = append(faults, fmt.Sprintf("%s.md has no heading %q", name, q[1]))
			}
		}
	}
	if strings.HasSuffix(file, ".md") {
		faults = append(faults, linkFaults(file, text, pages)...)
	}
	return faults
}

// linkFaults says which links of a page lead nowhere in the repository, and which files of Go it names are not there.
func linkFaults(file, text string, pages map[string][]string) []string {
	var faults []string
	for _, m := range sourceFile.FindAllStringSubmatch(text, -1) {
		if _, err := os.Stat(filepath.Join("..", filepath.FromSlash(m[1]))); err != nil {
			faults = append(faults, "there is no "+m[1])
		}
	}
	for _, m := range pageLink.FindAllStringSubmatch(text, -1) {
		if strings.Contains(m[1], ":") {
			continue // to the web
		}
		target, anchor, _ := strings.Cut(m[1], "#")
		to := file
		if target != "" {
			to = path.Join(path.Dir(file), target)
		}
		known, page := pages[to]
		if !page {
			if _, err := os.Stat(filepath.Join("..", filepath.FromSlash(to))); err != nil {
				faults = append(faults, "link to "+m[1]+", which is not there")
			}
			continue
		}
		if anchor != "" && !slices.ContainsFunc(known, func(h string) bool { return slug(h) == anchor }) {
			faults = append(faults, "link to "+m[1]+", which has no such heading")
		}
	}
	return faults
}

// slug is the anchor that a heading has in a browser.
func slug(heading string) string {
	var b strings.Builder
	for _, r := range strings.ToLower(heading) {
		switch {
		case r == ' ':
			b.WriteByte('-')
		case r == '-' || r == '_' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r > 127:
			b.WriteRune(r)
		}
	}
	return b.String()
}

func headings(page string) []string {
	var hs []string
	for line := range strings.Lines(page) {
		if h := strings.TrimLeft(line, "#"); h != line && strings.HasPrefix(h, " ") {
			hs = append(hs, strings.TrimSpace(h))
		}
	}
	return hs
}

type paragraph struct {
	line int
	text string
}

// paragraphs are the groups of comments of a Go file, and the text between empty lines of others, in one line each.
func paragraphs(t *testing.T, file string) []paragraph {
	t.Helper()
	source := read(t, file)
	var ps []paragraph
	if strings.HasSuffix(file, ".go") {
		set := token.NewFileSet()
		parsed, err := parser.ParseFile(set, file, source, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, g := range parsed.Comments {
			ps = append(ps, paragraph{set.Position(g.Pos()).Line, oneLine(g)})
		}
		return ps
	}
	line := 1
	for p := range strings.SplitSeq(source, "\n\n") {
		ps = append(ps, paragraph{line, strings.Join(strings.Fields(p), " ")})
		line += strings.Count(p, "\n") + 2
	}
	return ps
}

func oneLine(g *ast.CommentGroup) string {
	var words []string
	for _, c := range g.List {
		words = append(words, strings.Fields(strings.Trim(c.Text, "/*"))...)
	}
	return strings.Join(words, " ")
}

func read(t *testing.T, file string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", filepath.FromSlash(file)))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// texts lists what people write and read: sources, pages, scripts of tests, examples.
func texts(t *testing.T, root string) []string {
	t.Helper()
	var files []string
	err := filepath.WalkDir(root, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		base := entry.Name()
		if entry.IsDir() {
			if name != root && (strings.HasPrefix(base, ".") || base == "node_modules" || base == "fuzz") {
				return filepath.SkipDir
			}
			return nil
		}
		if slices.Contains([]string{".go", ".md", ".txt", ".golden", ".yml", ".yaml", ".sh", ".conf", ".js", ".css", ".html"}, filepath.Ext(base)) {
			rel, err := filepath.Rel(root, name)
			if err != nil {
				return err
			}
			files = append(files, filepath.ToSlash(rel))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}
