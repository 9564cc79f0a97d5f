package tests

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// Whoever looks for what happened to a call looks for its call-id. So a line of the log that is about one call has it, under
// one name, and so has each line about a command or a party.

// logLevels are the methods of slog.Logger that write a line.
var logLevels = []string{"Debug", "Info", "Warn", "Error"}

// aboutACall matches messages about one call; aboutKeys are what only a call has.
var (
	aboutACall = regexp.MustCompile(`\bcall\b`)
	aboutKeys  = []string{"command", "tag", "party", "call", "callid", "call_id"}
)

// ofAllCalls are messages with the word that are about no call of ours.
var ofAllCalls = []string{}

func TestLogsNameTheirCall(t *testing.T) {
	lines := 0
	for _, file := range sources(t, "..") {
		top, rest, _ := strings.Cut(file, "/")
		// The demonstration and the benchmark talk to people, and have no log.
		if !slices.Contains([]string{"cmd", "ngserver", "relay", "embed"}, top) || strings.HasPrefix(rest, "rtpjet/demo/") || strings.HasPrefix(rest, "rtpjet/bench/") {
			continue
		}
		set := token.NewFileSet()
		parsed, err := parser.ParseFile(set, filepath.Join("..", filepath.FromSlash(file)), nil, parser.SkipObjectResolution)
		if err != nil {
			t.Error(err)
			continue
		}
		n, faults := logFaults(parsed)
		lines += n
		for _, f := range faults {
			t.Errorf("%s:%d: %s", file, set.Position(f.at).Line, f.text)
		}
	}
	if lines < 50 {
		t.Errorf("only %d lines of the log were found", lines)
	}
}

// TestLogsRule checks the check.
func TestLogsRule(t *testing.T) {
	for source, want := range map[string]int{
		`n.log.Info("calls taken up again", "calls", 3)`:                      0,
		`n.log.Info("a call is gone", "err", err)`:                            1,
		`n.log.Info("a call is gone: " + "twice", "err", err)`:                1,
		`n.log.Info("a call is gone", "call-id", id, "err", err)`:             0,
		`log.Warn("refused", "command", c)`:                                   1,
		`log.Warn("refused", "command", c, "call-id", id)`:                    0,
		`log.Warn("refused", "callid", id)`:                                   1,
		`log.Error(text)`:                                                     0,
		`n.log.Error("it is the owner of a call", "owner", o, "call-id", id)`: 0,
	} {
		parsed, err := parser.ParseFile(token.NewFileSet(), "x.go", "package x; func f() { "+source+" }", parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		if n, faults := logFaults(parsed); n != 1 || len(faults) != want {
			t.Errorf("%s: %d lines, faults %v, want %d", source, n, faults, want)
		}
	}
}

// logFaults finds the lines of the log that a file writes, and those that do not say which call they are about.
func logFaults(file *ast.File) (lines int, faults []fault) {
	ast.Inspect(file, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok || len(call.Args) == 0 {
			return true
		}
		f, ok := call.Fun.(*ast.SelectorExpr)
		if !ok || !slices.Contains(logLevels, f.Sel.Name) || !isLogger(f.X) {
			return true
		}
		lines++
		message := literal(call.Args[0])
		var keys []string
		for _, a := range call.Args[1:] {
			if k := literal(a); k != "" {
				keys = append(keys, k)
			}
		}
		about := aboutACall.MatchString(message) && !slices.Contains(ofAllCalls, message) ||
			slices.ContainsFunc(aboutKeys, func(k string) bool { return slices.Contains(keys, k) })
		if about && !slices.Contains(keys, "call-id") {
			faults = append(faults, fault{call.Pos(), "a line of the log about a call has no call-id: " + strconv.Quote(message)})
		}
		return true
	})
	return lines, faults
}

// isLogger tells whether an expression is what a logger is called here.
func isLogger(x ast.Expr) bool {
	switch x := x.(type) {
	case *ast.Ident:
		return x.Name == "log" || x.Name == "logger"
	case *ast.SelectorExpr:
		return isLogger(x.Sel)
	}
	return false
}

// literal is a text that stands in the source, put together or not; empty if it is something else.
func literal(x ast.Expr) string {
	switch x := x.(type) {
	case *ast.BasicLit:
		if s, err := strconv.Unquote(x.Value); err == nil && x.Kind == token.STRING {
			return s
		}
	case *ast.BinaryExpr:
		return literal(x.X) + literal(x.Y)
	}
	return ""
}
