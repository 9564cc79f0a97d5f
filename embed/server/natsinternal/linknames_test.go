package natsinternal

import (
	"fmt"
	"go/ast"
	"go/build"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// serverModule and serverPackage are what the declarations here are linked with.
const (
	serverModule  = "github.com/nats-io/nats-server/v2"
	serverPackage = serverModule + "/server"
)

// TestLinknames: each declaration that is linked by name is what the server in go.mod has under that name: a variable of the same
// type, or a function with the same receiver, parameters and results.
func TestLinknames(t *testing.T) {
	dir, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", serverModule).Output()
	if err != nil {
		t.Fatalf("where is the source of the server: %v", err)
	}
	theirs, err := parsePackage(filepath.Join(strings.TrimSpace(string(dir)), "server"))
	if err != nil {
		t.Fatal(err)
	}
	ours, err := parsePackage(".")
	if err != nil {
		t.Fatal(err)
	}
	links := linknames(ours)
	if len(links) == 0 {
		t.Fatal("nothing is linked by name")
	}
	for _, l := range links {
		if err := compare(l, ours, theirs); err != nil {
			t.Error(err)
		}
	}
}

// TestCompare checks the check.
func TestCompare(t *testing.T) {
	const theirs = `package server
		import "time"
		type Server struct{}
		type stream struct{}
		type Info struct{}
		const defaultWait = 4 * time.Second
		const fixed = time.Second
		var wait = defaultWait
		var tries = 3
		var every time.Duration
		func (s *Server) kick(a, b string, hdr []byte, msg any) (*Info, error) { return nil, nil }
		func (mset *stream) retry() error { return nil }
		func lookup(name string) (*stream, error) { return nil, nil }
		func watch(c chan bool) {}`
	for _, test := range []struct{ name, ours, fault string }{
		{"a variable", "//go:linkname x PKG.wait\nvar x time.Duration", ""},
		{"a variable with a type", "//go:linkname x PKG.every\nvar x time.Duration", ""},
		{"a method", "//go:linkname f PKG.(*Server).kick\nfunc f(s *server.Server, a, b string, hdr []byte, msg interface{}) (*server.Info, error)", ""},
		{"a method of what is not exported", "//go:linkname f PKG.(*stream).retry\nfunc f(p unsafe.Pointer) error", ""},
		{"a function", "//go:linkname f PKG.lookup\nfunc f(name string) (unsafe.Pointer, error)", ""},

		{"gone", "//go:linkname x PKG.gone\nvar x time.Duration", "has no gone"},
		{"a method that is gone", "//go:linkname f PKG.(*stream).kick\nfunc f(p unsafe.Pointer) error", "has no (*stream).kick"},
		{"another type", "//go:linkname x PKG.wait\nvar x int", "int here and time.Duration there"},
		{"a type that cannot be told", "//go:linkname x PKG.tries\nvar x int", "cannot be told"},
		{"a type that is not read", "//go:linkname f PKG.watch\nfunc f(c chan bool)", "does not read"},
		{"a constant", "//go:linkname x PKG.fixed\nvar x time.Duration", "has no fixed"},
		{"a variable that is a function", "//go:linkname x PKG.lookup\nvar x time.Duration", "has no lookup"},
		{"a function that is a variable", "//go:linkname f PKG.wait\nfunc f() time.Duration", "has no wait"},
		{"another parameter", "//go:linkname f PKG.lookup\nfunc f(name []byte) (unsafe.Pointer, error)", "func([]byte) (unsafe.Pointer, error) here"},
		{"one parameter more", "//go:linkname f PKG.lookup\nfunc f(name string, more bool) (unsafe.Pointer, error)", "func(string, bool)"},
		{"one parameter less", "//go:linkname f PKG.(*Server).kick\nfunc f(s *server.Server, a, b string, hdr []byte) (*server.Info, error)", "func("},
		{"another result", "//go:linkname f PKG.(*stream).retry\nfunc f(p unsafe.Pointer) bool", "bool here"},
		{"no result", "//go:linkname f PKG.(*stream).retry\nfunc f(p unsafe.Pointer)", "error there"},
		{"no receiver", "//go:linkname f PKG.(*stream).retry\nfunc f() error", "func(unsafe.Pointer) error there"},
		{"a pointer for a value", "//go:linkname f PKG.(*Server).kick\nfunc f(s *server.Server, a, b string, hdr []byte, msg any) (server.Info, error)", "server.Info"},
		{"another package", "//go:linkname f strings.lookup\nfunc f(name string) (unsafe.Pointer, error)", "not of " + serverPackage},
		{"nothing declared", "//go:linkname f PKG.lookup\nvar g int", "declares no f"},
		{"a body", "//go:linkname f PKG.lookup\nfunc f(name string) (unsafe.Pointer, error) { return nil, nil }", "has a body"},
	} {
		t.Run(test.name, func(t *testing.T) {
			source := "package natsinternal\n" + strings.ReplaceAll(test.ours, "PKG", serverPackage)
			ours := parseText(t, source)
			links := linknames(ours)
			if len(links) != 1 {
				t.Fatalf("%d linknames in\n%s", len(links), source)
			}
			err := compare(links[0], ours, parseText(t, theirs))
			if (err == nil) != (test.fault == "") || err != nil && !strings.Contains(err.Error(), test.fault) {
				t.Errorf("%v, want %q", err, test.fault)
			}
		})
	}
}

// parsePackage parses the files of a package that are built here, tests aside.
func parsePackage(dir string) ([]*ast.File, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var files []*ast.File
	set := token.NewFileSet()
	for _, e := range entries {
		if name := e.Name(); strings.HasSuffix(name, "_test.go") || !strings.HasSuffix(name, ".go") {
			continue
		} else if ok, err := build.Default.MatchFile(dir, name); err != nil || !ok {
			continue
		}
		file, err := parser.ParseFile(set, filepath.Join(dir, e.Name()), nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		files = append(files, file)
	}
	return files, nil
}

func parseText(t *testing.T, source string) []*ast.File {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "x.go", source, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	return []*ast.File{file}
}

// linkname is one directive: what is declared here, and the symbol that it stands for.
type linkname struct{ local, symbol string }

func linknames(files []*ast.File) (found []linkname) {
	for _, file := range files {
		for _, group := range file.Comments {
			for _, c := range group.List {
				if f := strings.Fields(c.Text); len(f) == 3 && f[0] == "//go:linkname" {
					found = append(found, linkname{f[1], f[2]})
				}
			}
		}
	}
	return found
}

// compare tells how a declaration of ours differs from what theirs has.
func compare(l linkname, ours, theirs []*ast.File) error {
	name, ok := strings.CutPrefix(l.symbol, serverPackage+".")
	if !ok {
		return fmt.Errorf("%s is linked with %s, which is not of %s", l.local, l.symbol, serverPackage)
	}
	var here, there string
	if f := function(ours, l.local); f != nil {
		if f.Body != nil {
			return fmt.Errorf("%s has a body: it is linked with nothing", l.local)
		}
		here = signature(f, "natsinternal")
		if f = function(theirs, name); f == nil {
			return fmt.Errorf("the server has no %s, which is a function here (%s)", name, l.local)
		}
		there = signature(f, "server")
	} else if v := variable(ours, l.local); v != nil {
		here = typeText(v.typ, "natsinternal")
		v = variable(theirs, name)
		if v == nil {
			return fmt.Errorf("the server has no %s, which is a variable here (%s)", name, l.local)
		}
		var err error
		if there, err = v.text(theirs); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	} else {
		return fmt.Errorf("this package declares no %s", l.local)
	}
	if here != there || strings.Contains(here, unread) {
		return fmt.Errorf("%s, the server's %s: %s here and %s there", l.local, name, here, there)
	}
	return nil
}

// function finds a function by its name, a method by "(*T).name".
func function(files []*ast.File, name string) *ast.FuncDecl {
	for _, file := range files {
		for _, d := range file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok {
				continue
			}
			full := f.Name.Name
			if f.Recv != nil {
				full = receiver(f.Recv.List[0].Type) + "." + full
			}
			if full == name {
				return f
			}
		}
	}
	return nil
}

// receiver is how the linker writes the type of a receiver.
func receiver(e ast.Expr) string {
	if star, ok := e.(*ast.StarExpr); ok {
		return "(*" + receiver(star.X) + ")"
	}
	if name, ok := e.(*ast.Ident); ok {
		return name.Name
	}
	return "?"
}

// value is a variable or a constant of a package: what stands for its type, and its value.
type value struct {
	typ, init ast.Expr
}

func variable(files []*ast.File, name string) *value { return find(files, name, token.VAR) }

// find finds a variable or a constant.
func find(files []*ast.File, name string, kinds ...token.Token) *value {
	for _, file := range files {
		for _, d := range file.Decls {
			g, ok := d.(*ast.GenDecl)
			if !ok {
				continue
			}
			for _, kind := range kinds {
				if g.Tok != kind {
					continue
				}
				for _, s := range g.Specs {
					spec := s.(*ast.ValueSpec)
					for i, n := range spec.Names {
						if n.Name != name {
							continue
						}
						v := &value{typ: spec.Type}
						if i < len(spec.Values) {
							v.init = spec.Values[i]
						}
						return v
					}
				}
			}
		}
	}
	return nil
}

// text is the type of a variable of the server. One that has none written down has that of its value, of which only what the
// server's timers are made of is understood.
func (v *value) text(files []*ast.File) (string, error) {
	if v.typ != nil {
		return typeText(v.typ, "server"), nil
	}
	if isDuration(v.init, files) {
		return "time.Duration", nil
	}
	return "", fmt.Errorf("its type is not written down and cannot be told from its value")
}

// isDuration tells whether an expression is made of the units of package time.
func isDuration(e ast.Expr, files []*ast.File) bool {
	switch e := e.(type) {
	case *ast.ParenExpr:
		return isDuration(e.X, files)
	case *ast.BinaryExpr: // of a duration and a number without a type, or of two durations
		return isDuration(e.X, files) || isDuration(e.Y, files)
	case *ast.SelectorExpr:
		pkg, ok := e.X.(*ast.Ident)
		return ok && pkg.Name == "time" && (e.Sel.Name == "Millisecond" || e.Sel.Name == "Second" || e.Sel.Name == "Minute")
	case *ast.Ident:
		v := find(files, e.Name, token.VAR, token.CONST)
		if v == nil {
			return false
		}
		if v.typ != nil {
			return typeText(v.typ, "server") == "time.Duration"
		}
		return isDuration(v.init, files)
	}
	return false
}

// signature is a function as the linker takes it: with the receiver as the first parameter, and without names.
func signature(f *ast.FuncDecl, pkg string) string {
	var params []string
	if f.Recv != nil {
		params = append(params, typeText(f.Recv.List[0].Type, pkg))
	}
	text := "func(" + strings.Join(append(params, fields(f.Type.Params, pkg)...), ", ") + ")"
	switch results := fields(f.Type.Results, pkg); len(results) {
	case 0:
	case 1:
		text += " " + results[0]
	default:
		text += " (" + strings.Join(results, ", ") + ")"
	}
	return text
}

// fields are the types of a list of parameters, one for each.
func fields(list *ast.FieldList, pkg string) (types []string) {
	if list == nil {
		return nil
	}
	for _, f := range list.List {
		for range max(len(f.Names), 1) {
			types = append(types, typeText(f.Type, pkg))
		}
	}
	return types
}

// typeText writes a type so that the same type is the same text in both packages. A pointer to what the server does not export can
// only be an unsafe.Pointer here.
func typeText(e ast.Expr, pkg string) string {
	switch e := e.(type) {
	case *ast.Ident:
		if pkg == "server" && (ast.IsExported(e.Name) || !predeclared[e.Name]) {
			return "server." + e.Name
		}
		return e.Name
	case *ast.SelectorExpr:
		return typeText(e.X, "") + "." + e.Sel.Name
	case *ast.StarExpr:
		if name, ok := e.X.(*ast.Ident); ok && pkg == "server" && !ast.IsExported(name.Name) && !predeclared[name.Name] {
			return "unsafe.Pointer"
		}
		return "*" + typeText(e.X, pkg)
	case *ast.ArrayType:
		if e.Len == nil {
			return "[]" + typeText(e.Elt, pkg)
		}
	case *ast.InterfaceType:
		if len(e.Methods.List) == 0 {
			return "any"
		}
	}
	return fmt.Sprintf("%s (%T)", unread, e)
}

// unread is what stands for a type of a kind that no declaration has so far.
const unread = "a type that this test does not read"

var predeclared = map[string]bool{"any": true, "bool": true, "byte": true, "error": true, "int": true, "int64": true, "string": true, "uint64": true}
