package events

import (
	"go/ast"
	"go/parser"
	"go/token"
	"strconv"
	"testing"
)

// Each word stands twice in its table; the two must be the same.
func TestInternTables(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "intern.go", nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	find := map[string]func([]byte) (string, bool){"word": word, "codecName": codecName, "parameters": parameters}
	words := 0
	for _, d := range file.Decls {
		f, ok := d.(*ast.FuncDecl)
		if !ok || find[f.Name.Name] == nil {
			continue
		}
		ast.Inspect(f, func(n ast.Node) bool {
			c, ok := n.(*ast.CaseClause)
			if !ok || len(c.List) != 1 {
				return true
			}
			want, err := strconv.Unquote(c.List[0].(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			if got, ok := find[f.Name.Name]([]byte(want)); !ok || got != want {
				t.Errorf("%s finds %q for %q", f.Name.Name, got, want)
			}
			words++
			return true
		})
	}
	if words < 50 {
		t.Errorf("%d words: has the form of the tables changed?", words)
	}
	for n := range 1000 {
		s := strconv.Itoa(n)
		if got, ok := payloadType([]byte(s)); ok != (n < 128) || ok && got != s {
			t.Errorf("payload type %s is %q", s, got)
		}
	}
	b := []byte("telephone-event")
	if n := testing.AllocsPerRun(100, func() { codecName(b); word(b[:0]); payloadType([]byte("127")) }); n != 0 {
		t.Errorf("%.0f allocations", n)
	}
}
