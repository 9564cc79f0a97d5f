package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"slices"
	"strings"
)

// pkg is a package with its laboratories.
type pkg struct {
	dir   string // slashes, below go.mod
	tests []string
}

// find lists the test functions that call lab.Only, by package.
func find(root fs.FS) ([]pkg, error) {
	by := make(map[string][]string)
	err := fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "node_modules" || d.Name() == "testdata" || name != "." && strings.HasPrefix(d.Name(), ".")):
			return fs.SkipDir
		case d.IsDir() || !strings.HasSuffix(name, "_test.go"):
			return nil
		}
		source, err := fs.ReadFile(root, name)
		if err != nil {
			return err
		}
		found, err := laboratories(name, source)
		if dir := path.Dir(name); len(found) > 0 {
			by[dir] = append(by[dir], found...)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	var all []pkg
	for dir, names := range by {
		slices.Sort(names)
		all = append(all, pkg{dir, names})
	}
	slices.SortFunc(all, func(a, b pkg) int { return strings.Compare(a.dir, b.dir) })
	return all, nil
}

// laboratories lists those of a file. A call that is in no test function itself is an error: nothing would run that laboratory.
func laboratories(name string, source []byte) ([]string, error) {
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, name, source, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	var found []string
	for _, decl := range file.Decls {
		for _, call := range callsOfOnly(decl) {
			f, ok := decl.(*ast.FuncDecl)
			if !ok || f.Recv != nil || !strings.HasPrefix(f.Name.Name, "Test") {
				return nil, fmt.Errorf("%v: lab.Only is called outside of a test function", set.Position(call.Pos()))
			}
			if !slices.Contains(found, f.Name.Name) {
				found = append(found, f.Name.Name)
			}
		}
	}
	return found, nil
}

func callsOfOnly(in ast.Node) []*ast.CallExpr {
	var calls []*ast.CallExpr
	ast.Inspect(in, func(n ast.Node) bool {
		if call, ok := n.(*ast.CallExpr); ok {
			if f, ok := call.Fun.(*ast.SelectorExpr); ok && f.Sel.Name == "Only" {
				if x, ok := f.X.(*ast.Ident); ok && x.Name == "lab" {
					calls = append(calls, call)
				}
			}
		}
		return true
	})
	return calls
}
