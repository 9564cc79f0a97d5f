package tests

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Bounds on the shape of the source, so that it stays easy to read. Generated files count for nothing.
const (
	maxFileLines  = 600
	medianLines   = 10 // of functions
	p99Lines      = 58 // likewise
	maxNodeMethod = 25 // methods of the node, and of each type that it is made of
	maxHostMethod = 8  // what a part of the node may ask of the node
)

// parsed are the files below folders, by name below the module's root.
func parsed(t *testing.T, folders ...string) (files map[string]*ast.File, set *token.FileSet) {
	t.Helper()
	files, set = map[string]*ast.File{}, token.NewFileSet()
	for _, name := range sources(t, "..") {
		if !slices.ContainsFunc(folders, func(folder string) bool { return strings.HasPrefix(name, folder+"/") }) {
			continue
		}
		f, err := parser.ParseFile(set, filepath.Join("..", filepath.FromSlash(name)), nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		if !ast.IsGenerated(f) {
			files[name] = f
		}
	}
	return files, set
}

// TestLengths: no file is long, and functions are short. -v prints how short.
func TestLengths(t *testing.T) {
	files, set := parsed(t, "cmd", "embed", "events", "ngserver", "projection", "relay")
	var lengths []int
	for name, f := range files {
		if n := set.Position(f.FileEnd).Line; n > maxFileLines+1 {
			t.Errorf("%s has %d lines, more than %d: a part of it has a name of its own", name, n, maxFileLines)
		}
		for _, d := range f.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Body != nil {
				lengths = append(lengths, set.Position(fn.End()).Line-set.Position(fn.Pos()).Line+1)
			}
		}
	}
	if len(lengths) == 0 {
		t.Fatal("there are no functions")
	}
	slices.Sort(lengths)
	median, p99 := lengths[len(lengths)/2], lengths[len(lengths)*99/100]
	t.Logf("%d functions: median %d lines, 99th percentile %d, longest %d", len(lengths), median, p99, lengths[len(lengths)-1])
	if median > medianLines || p99 > p99Lines {
		t.Errorf("functions have %d lines in the median and %d in the 99th percentile, want at most %d and %d", median, p99, medianLines, p99Lines)
	}
}

// TestTestsBeside: each package of the program's shell has at least as many lines of tests beside it as of source. -v prints both.
func TestTestsBeside(t *testing.T) {
	type lines struct{ source, tests int }
	folders := map[string]*lines{}
	count := func(root string) error {
		return filepath.WalkDir(filepath.Join("..", filepath.FromSlash(root)), func(name string, entry os.DirEntry, err error) error {
			if err != nil || entry.IsDir() || filepath.Ext(name) != ".go" {
				return err
			}
			data, err := os.ReadFile(name)
			if err != nil {
				return err
			}
			folder := path.Dir(strings.TrimPrefix(filepath.ToSlash(name), "../"))
			if folders[folder] == nil {
				folders[folder] = &lines{}
			}
			if n := bytes.Count(data, []byte("\n")); strings.HasSuffix(name, "_test.go") {
				folders[folder].tests += n
			} else {
				folders[folder].source += n
			}
			return nil
		})
	}
	for _, root := range []string{"cmd/rtpjet", "embed"} {
		if err := count(root); err != nil {
			t.Fatal(err)
		}
	}
	for folder, n := range folders {
		t.Logf("%-32s %5d lines, %5d of tests", folder, n.source, n.tests)
		switch {
		case folder == "cmd/rtpjet", strings.HasSuffix(folder, "test"), n.source < 120: // the program itself, test helpers, and small ones
		case n.tests < n.source:
			t.Errorf("%s has %d lines of source and %d of tests beside it", folder, n.source, n.tests)
		}
	}
	if len(folders) < 15 {
		t.Errorf("found %d packages", len(folders))
	}
}

// TestNodeIsMadeOfParts: the node and each type of its package have few methods, and a part in a package of its own asks little of it.
func TestNodeIsMadeOfParts(t *testing.T) {
	files, _ := parsed(t, "cmd/rtpjet/node")
	methods, hosts := map[string]int{}, 0
	for name, f := range files {
		folder := path.Dir(name)
		for _, d := range f.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				if d.Recv != nil && folder == "cmd/rtpjet/node" {
					methods[receiver(d.Recv.List[0].Type)]++
				}
			case *ast.GenDecl:
				for _, s := range d.Specs {
					ts, ok := s.(*ast.TypeSpec)
					if !ok || ts.Name.Name != "Host" || path.Dir(folder) != "cmd/rtpjet/node" {
						continue
					}
					it, ok := ts.Type.(*ast.InterfaceType)
					if !ok {
						t.Errorf("%s: Host is no interface", name)
						continue
					}
					hosts++
					if n := it.Methods.NumFields(); n > maxHostMethod {
						t.Errorf("%s: Host has %d methods, more than %d", name, n, maxHostMethod)
					}
				}
			}
		}
	}
	if methods["Node"] == 0 || hosts < 4 {
		t.Fatalf("Node has %d methods, and there are %d Hosts", methods["Node"], hosts)
	}
	delete(methods, "effects") // has the methods of two interfaces of the pure core
	for name, n := range methods {
		if n > maxNodeMethod {
			t.Errorf("%s of cmd/rtpjet/node has %d methods, more than %d", name, n, maxNodeMethod)
		}
	}
	t.Logf("Node has %d methods; all types: %v", methods["Node"], methods)
}

// receiver is the name of a method's type.
func receiver(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.StarExpr:
		return receiver(e.X)
	case *ast.IndexExpr:
		return receiver(e.X)
	case *ast.Ident:
		return e.Name
	}
	return ""
}
