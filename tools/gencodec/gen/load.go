package gen

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// rootMark stands in the comment of a type with which the codec begins.
const rootMark = "//gencodec:root"

// pkg is the syntax of a package, without its tests and what was generated.
type pkg struct {
	name    string
	set     *token.FileSet
	types   map[string]*ast.TypeSpec
	roots   []string
	methods []method // in the order of the source
}

type method struct {
	of, name string
	decl     *ast.FuncDecl
}

func load(folder string) (*pkg, error) {
	files, err := filepath.Glob(filepath.Join(folder, "*.go"))
	if err != nil {
		return nil, err
	}
	slices.Sort(files)
	p := &pkg{set: token.NewFileSet(), types: map[string]*ast.TypeSpec{}}
	for _, file := range files {
		if base := filepath.Base(file); strings.HasSuffix(base, "_test.go") || slices.Contains(Files, base) {
			continue
		}
		src, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		parsed, err := parser.ParseFile(p.set, file, src, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		p.add(parsed)
	}
	if len(p.roots) == 0 {
		return nil, fmt.Errorf("%s: no type is marked %s", folder, rootMark)
	}
	return p, nil
}

func (p *pkg) add(f *ast.File) {
	p.name = f.Name.Name
	for _, d := range f.Decls {
		switch d := d.(type) {
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				t, ok := spec.(*ast.TypeSpec)
				if !ok {
					continue
				}
				p.types[t.Name.Name] = t
				if marked(d.Doc) || marked(t.Doc) {
					p.roots = append(p.roots, t.Name.Name)
				}
			}
		case *ast.FuncDecl:
			if d.Recv == nil {
				continue
			}
			of := d.Recv.List[0].Type
			if star, ok := of.(*ast.StarExpr); ok {
				of = star.X
			}
			if id, ok := of.(*ast.Ident); ok {
				p.methods = append(p.methods, method{id.Name, d.Name.Name, d})
			}
		}
	}
}

func marked(doc *ast.CommentGroup) bool {
	return doc != nil && slices.ContainsFunc(doc.List, func(c *ast.Comment) bool { return c.Text == rootMark })
}

func (p *pkg) has(of, name string) bool {
	return slices.ContainsFunc(p.methods, func(m method) bool { return m.of == of && m.name == name })
}

// fault is an error at a place in the source.
func (p *pkg) fault(at ast.Node, format string, args ...any) error {
	return fmt.Errorf("%s: %s", p.set.Position(at.Pos()), fmt.Sprintf(format, args...))
}
