// Package tests holds what no single package can test about itself.
package tests

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "rtpjet"

// rule says what the files of one folder may import, test files aside. The
// standard library is free, except to pure packages.
type rule struct {
	helper  bool     // only tests import it
	pure    bool     // no I/O, clock, randomness, lock, goroutine or logger
	own     []string // our packages it may import
	foreign []string // prefixes of other modules' packages it may import
}

// arrows is the shape of the program; ARCHITECTURE.md has the picture. Folders
// below examples, tests and tools may import anything, and so may programs (cmd/NAME). A test helper (a folder whose
// name ends in "test", in one of these) may import anything but the program, and
// none of these may import a test helper.
var arrows = map[string]rule{
	"events":     {pure: true, own: []string{"events/compactjson"}},
	"relay/plan": {pure: true},
	"projection": {pure: true, own: []string{"events", "relay/plan", "ngserver/ng"}},

	"events/compactjson": {pure: true},

	"projection/members": {pure: true, own: []string{"events", "relay/plan"}},
	"projection/regions": {pure: true, own: []string{"events"}},
	"projection/floats":  {pure: true, own: []string{"projection/members", "relay/plan"}},
	"projection/transact": {pure: true, own: []string{
		"projection", "projection/members", "events", "relay/plan", "ngserver/ng", "ngserver/rewrite", "ngserver/report",
	}},

	"projection/replica": {pure: true, own: []string{"projection", "projection/transact", "events", "relay/plan"}},

	"projection/history": {pure: true, own: []string{"projection", "events", "ngserver/ng"}},
	"projection/replay": {pure: true, own: []string{
		"projection", "projection/history", "projection/members", "projection/transact", "events", "relay/plan", "ngserver/ng", "ngserver/sdp",
		"ngserver/rewrite", "ngserver/report",
	}},

	"projection/pages": {pure: true, own: []string{"projection", "projection/history", "events", "relay/plan"}},

	"ngserver/bencode": {pure: true},
	"ngserver/ng":      {pure: true, own: []string{"ngserver/bencode"}},
	"ngserver/sdp":     {pure: true},
	"ngserver/rewrite": {pure: true, own: []string{"projection", "events", "ngserver/ng", "ngserver/sdp"}},
	"ngserver/report":  {pure: true, own: []string{"projection", "events", "relay/plan", "ngserver/ng"}},

	"ngserver":             {own: []string{"ngserver/ng", "ngserver/bencode"}, foreign: []string{"golang.org/x/"}},
	"relay":                {own: []string{"relay/plan", "relay/srtp", "relay/eventfd"}, foreign: []string{"golang.org/x/"}},
	"relay/srtp":           {own: []string{"relay/plan"}},
	"relay/eventfd":        {foreign: []string{"golang.org/x/sys/unix"}},
	"embed":                {own: []string{"embed/internal/names"}, foreign: []string{"github.com/nats-io/nats.go", "github.com/nats-io/nuid"}},
	"embed/internal/names": {},
	"embed/server": {
		own: []string{"embed", "embed/internal/names", "embed/server/natsinternal"}, foreign: []string{"github.com/nats-io/"},
	},
	"embed/server/natsinternal": {foreign: []string{"github.com/nats-io/nats-server/v2/server"}},

	"cmd/rtpjet/keeper/netaddr": {foreign: []string{
		"github.com/vishvananda/netlink", "golang.org/x/sys/unix",
	}},

	// The program's own packages. Only the program itself, cmd/rtpjet, imports app.
	"cmd/rtpjet/version": {},
	"cmd/rtpjet/config": {own: []string{
		"embed", "ngserver/ng", "projection/members", "cmd/rtpjet/keeper/netaddr", "relay/plan",
	}},
	"cmd/rtpjet/admin": {own: []string{"embed", "projection", "projection/members", "projection/regions", "relay/plan"}},
	"cmd/rtpjet/cli": {own: []string{
		"cmd/rtpjet/admin", "cmd/rtpjet/config", "cmd/rtpjet/version", "embed", "events",
		"projection", "projection/history", "projection/members", "projection/replay",
	}, foreign: []string{"golang.org/x/sys/unix"}},
	"cmd/rtpjet/httpd":  {foreign: []string{"golang.org/x/net/netutil"}},
	"cmd/rtpjet/web":    {own: []string{"cmd/rtpjet/httpd", "projection/history", "projection/pages"}},
	"cmd/rtpjet/keeper": {own: []string{"projection/floats", "relay/eventfd", "cmd/rtpjet/keeper/netaddr"}, foreign: []string{"golang.org/x/sys/unix"}},
	"cmd/rtpjet/metrics": {own: []string{
		"events", "ngserver", "ngserver/ng", "ngserver/report", "projection/transact", "relay", "relay/plan",
	}, foreign: []string{"github.com/prometheus/client_golang/"}},
	"cmd/rtpjet/demo": {own: []string{"ngserver/bencode"}},
	"cmd/rtpjet/node/floats": {own: []string{
		"cmd/rtpjet/node/internal/pause", "cmd/rtpjet/admin", "cmd/rtpjet/keeper", "embed", "events", "projection/floats", "projection/members", "relay/plan",
	}, foreign: []string{"golang.org/x/sync/errgroup"}},
	"cmd/rtpjet/node/peers": {own: []string{
		"cmd/rtpjet/node/internal/tasks", "cmd/rtpjet/admin", "cmd/rtpjet/version", "embed", "events", "projection/members", "projection/transact", "relay/plan",
	}, foreign: []string{"golang.org/x/sync/errgroup"}},
	"cmd/rtpjet/node/regions": {own: []string{
		"cmd/rtpjet/node/internal/tasks", "cmd/rtpjet/node/internal/logerror", "cmd/rtpjet/node/internal/pause", "embed", "events", "ngserver/ng", "ngserver/report", "projection", "projection/members", "projection/regions", "projection/transact",
		"relay/plan",
	}, foreign: []string{"golang.org/x/sync/errgroup"}},
	"cmd/rtpjet/node/view": {own: []string{
		"cmd/rtpjet/admin", "cmd/rtpjet/web", "embed", "events", "projection", "projection/history", "projection/members", "projection/pages",
		"relay/plan",
	}},
	"cmd/rtpjet/node": {own: []string{
		"cmd/rtpjet/node/internal/logerror", "cmd/rtpjet/node/internal/pause", "cmd/rtpjet/admin", "cmd/rtpjet/config", "cmd/rtpjet/keeper", "cmd/rtpjet/metrics", "cmd/rtpjet/node/floats", "cmd/rtpjet/node/unlogged", "cmd/rtpjet/node/peers",
		"cmd/rtpjet/node/regions", "cmd/rtpjet/version", "embed", "events", "ngserver", "ngserver/ng", "ngserver/report", "projection",
		"projection/members", "projection/regions", "projection/replica", "projection/transact", "relay", "relay/plan",
	}, foreign: []string{"golang.org/x/sync/errgroup", "golang.org/x/time/rate"}},
	"cmd/rtpjet/node/internal/pause":    {},
	"cmd/rtpjet/node/internal/tasks":    {},
	"cmd/rtpjet/node/internal/logerror": {own: []string{"embed", "projection/transact"}},
	"cmd/rtpjet/node/unlogged":          {own: []string{"events", "projection/replica"}},
	"cmd/rtpjet/app": {own: []string{
		"cmd/rtpjet/config", "cmd/rtpjet/httpd", "cmd/rtpjet/keeper", "cmd/rtpjet/metrics", "cmd/rtpjet/node", "cmd/rtpjet/node/regions",
		"cmd/rtpjet/node/view", "cmd/rtpjet/web", "embed", "embed/server", "events", "projection", "relay",
	}, foreign: []string{"github.com/nats-io/nats.go", "github.com/prometheus/client_golang/prometheus/promhttp"}},

	// What measures servers shares nothing with ours, so that it cannot share its mistakes: all protocols come from libraries.
	"cmd/rtpjet-bench": {own: []string{"cmd/rtpjet-bench/bench"}},
	"cmd/rtpjet-bench/bench": {foreign: []string{
		"github.com/zeebo/bencode", "github.com/pion/sdp/v3", "github.com/pion/rtp", "github.com/pion/rtcp", "github.com/pion/srtp/v3",
		"github.com/HdrHistogram/hdrhistogram-go", "golang.org/x/sys/unix",
	}},
}

// free tells whether the files of a folder may import anything.
func free(folder string) bool {
	if _, ok := arrows[folder]; ok {
		return false
	}
	if folder == "cmd/rtpjet" || strings.HasPrefix(folder, "cmd/") && !strings.HasPrefix(folder, "cmd/rtpjet/") {
		return true // a program
	}
	top, _, _ := strings.Cut(folder, "/")
	return slices.Contains([]string{".", "examples", "tests", "tools"}, top)
}

// impure are packages of the standard library, with all below them, that a pure
// package must not import, and why.
var impure = map[string]string{
	"net": "I/O (net/netip is free)", "os": "I/O", "syscall": "I/O", "path/filepath": "I/O", "io/ioutil": "I/O",
	"log":       "logging",
	"math/rand": "randomness", "crypto/rand": "randomness", "hash/maphash": "randomness",
	"sync": "locks", "context": "belongs to who waits, and nothing here waits",
	"runtime": "scheduling", "testing": "tests", "unsafe": "memory",
}

// clock are the functions of package time that read a clock or wait for one.
var clock = []string{"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "Tick", "NewTicker", "NewTimer", "Local", "LoadLocation"}

func TestImports(t *testing.T) {
	seen := map[string]bool{}
	for _, file := range sources(t, "..") {
		folder := path.Dir(file)
		if free(folder) {
			continue
		}
		r, ok := ruleFor(folder)
		if !ok {
			t.Errorf("%s: no arrows for %s: add it to the table in tests/imports_test.go", file, folder)
			continue
		}
		seen[folder] = true
		set := token.NewFileSet()
		parsed, err := parser.ParseFile(set, filepath.Join("..", filepath.FromSlash(file)), nil, parser.SkipObjectResolution)
		if err != nil {
			t.Error(err)
			continue
		}
		for _, fault := range r.faults(parsed) {
			at := set.Position(fault.at)
			t.Errorf("%s:%d: %s", file, at.Line, fault.text)
		}
	}
	for folder := range arrows {
		if !seen[folder] {
			t.Errorf("%s has arrows and no files", folder)
		}
	}
}

// TestImportsRule checks the check.
func TestImportsRule(t *testing.T) {
	for _, test := range []struct {
		folder, source string
		faults         int
	}{
		{"events", `import "net/netip"`, 0},
		{"events", `import "net"`, 1},
		{"events", `import "net/http"`, 1},
		{"events", `import "log/slog"`, 1},
		{"events", `import "rtpjet/projection"`, 1},
		{"events", `import "golang.org/x/sync/errgroup"`, 1},
		{"events", `import "time"; const d = time.Second`, 0},
		{"events", `import "time"; var t = time.Now()`, 1},
		{"events", `import clock "time"; var now = clock.Now`, 1},
		{"events", `import . "time"`, 1},
		{"projection", `func f() { go f() }`, 1},
		{"projection", `import "rtpjet/events"; import "rtpjet/relay/plan"; import "rtpjet/ngserver/ng"`, 0},
		{"projection", `import "rtpjet/ngserver/rewrite"`, 1},
		{"relay", `import "net"; func f() { go f() }`, 0},
		{"relay", `import "rtpjet/projection"`, 1},
		{"relay", `import "github.com/nats-io/nats.go"`, 1},
		{"relay/relaytest", `import "rtpjet/relay"; import "rtpjet/relay/plan"`, 0},
		{"relay/relaytest", `import "rtpjet/cmd/rtpjet/app"`, 1},
		{"relay", `import "rtpjet/relay/relaytest"`, 1},
		{"embed", `import "github.com/nats-io/nats.go/jetstream"`, 0},
		{"embed", `import "rtpjet/projection"`, 1},
		{"embed", `import "rtpjet/embed/server"`, 1},
		{"embed", `import "github.com/nats-io/nats-server/v2/server"`, 1},
		{"embed/server", `import "rtpjet/embed"; import "github.com/nats-io/nats-server/v2/server"`, 0},
		{"cmd/rtpjet/keeper/netaddr", `import "rtpjet/relay"`, 1},
		{"cmd/rtpjet/node/floats", `import "rtpjet/cmd/rtpjet/keeper"; import "rtpjet/embed"; import "time"; var t = time.Now()`, 0},
		{"cmd/rtpjet/node/floats", `import "rtpjet/cmd/rtpjet/app"`, 1},
		{"cmd/rtpjet/node/view", `import "rtpjet/cmd/rtpjet/node"`, 1},
		{"cmd/rtpjet/node", `import "rtpjet/cmd/rtpjet/node/view"`, 1},
		{"cmd/rtpjet-bench/bench", `import "github.com/pion/rtp"; import "github.com/zeebo/bencode"; import "net"`, 0},
		{"cmd/rtpjet-bench/bench", `import "rtpjet/ngserver/bencode"`, 1},
		{"cmd/rtpjet-bench/bench", `import "rtpjet/tests/lab"`, 1},
		{"ngserver/rewrite", `import "rtpjet/ngserver"`, 1},
		{"cmd/rtpjet/cli", `import "rtpjet/cmd/rtpjet/admin"; import "rtpjet/embed"`, 0},
		{"cmd/rtpjet/cli", `import "rtpjet/cmd/rtpjet/app"`, 1},
		{"cmd/rtpjet/admin", `import "rtpjet/cmd/rtpjet/config"`, 1},
		{"cmd/rtpjet-bench/bench", `import "github.com/pion/rtp"; import "github.com/zeebo/bencode"; import "net"`, 0},
		{"cmd/rtpjet-bench/bench", `import "rtpjet/ngserver/bencode"`, 1},
		{"cmd/rtpjet-bench/bench", `import "rtpjet/tests/lab"`, 1},
		{"ngserver/rewrite", `import "rtpjet/cmd/rtpjet/app"`, 1},
	} {
		parsed, err := parser.ParseFile(token.NewFileSet(), "x.go", "package x;"+test.source, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		r, ok := ruleFor(test.folder)
		if faults := r.faults(parsed); !ok || len(faults) != test.faults {
			t.Errorf("%s: %s: %d faults %v, want %d", test.folder, test.source, len(faults), faults, test.faults)
		}
	}
}

// ruleFor finds the rule of a folder, or that of a test helper.
func ruleFor(folder string) (rule, bool) {
	if r, ok := arrows[folder]; ok {
		return r, true
	}
	if _, ok := arrows[path.Dir(folder)]; ok && strings.HasSuffix(folder, "test") {
		return rule{helper: true}, true
	}
	return rule{}, false
}

type fault struct {
	at   token.Pos
	text string
}

func (r rule) faults(file *ast.File) []fault {
	var found []fault
	timeName := ""
	for _, spec := range file.Imports {
		name, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			found = append(found, fault{spec.Pos(), err.Error()})
			continue
		}
		if why := r.refuses(name); why != "" {
			found = append(found, fault{spec.Pos(), "imports " + name + ": " + why})
		}
		if name == "time" {
			timeName = "time"
			if spec.Name != nil {
				timeName = spec.Name.Name
			}
			if r.pure && timeName == "." {
				found = append(found, fault{spec.Pos(), "imports time without its name, which hides its clock"})
			}
		}
	}
	if !r.pure {
		return found
	}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt:
			found = append(found, fault{n.Pos(), "starts a goroutine in a pure package"})
		case *ast.SelectorExpr:
			if x, ok := n.X.(*ast.Ident); ok && x.Name == timeName && slices.Contains(clock, n.Sel.Name) {
				found = append(found, fault{n.Pos(), "uses time." + n.Sel.Name + " in a pure package: time is an argument"})
			}
		}
		return true
	})
	return found
}

// refuses says why a package must not be imported, or nothing.
func (r rule) refuses(name string) string {
	if own, ok := strings.CutPrefix(name, module+"/"); ok {
		if slices.Contains(r.own, own) || r.helper && !strings.HasPrefix(own, "cmd/") {
			return ""
		}
		return "no arrow points there"
	}
	if first, _, _ := strings.Cut(name, "/"); strings.Contains(first, ".") {
		if r.helper {
			return ""
		}
		for _, prefix := range r.foreign {
			if strings.HasPrefix(name, prefix) {
				return ""
			}
		}
		return "no library for this package"
	}
	if !r.pure || name == "net/netip" {
		return ""
	}
	for banned, why := range impure {
		if name == banned || strings.HasPrefix(name, banned+"/") {
			return "a pure package has no " + why
		}
	}
	return ""
}

// sources lists the Go files of the tree that are not tests, whatever their
// build tags. It opens the folders itself, so that the test cache knows them.
func sources(t *testing.T, root string) []string {
	t.Helper()
	var files []string
	err := filepath.WalkDir(root, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		base := entry.Name()
		if entry.IsDir() {
			if name != root && (strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_") || base == "testdata" || base == "node_modules") {
				return filepath.SkipDir
			}
			return nil
		}
		if strings.HasSuffix(base, ".go") && !strings.HasSuffix(base, "_test.go") {
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

// linknames is the only folder that links declarations of its own with what others do not export: a test there compares the two.
const linknames = "embed/server/natsinternal"

func TestLinknames(t *testing.T) {
	there := 0
	for _, file := range sources(t, "..") {
		text, err := os.ReadFile(filepath.Join("..", filepath.FromSlash(file)))
		if err != nil {
			t.Fatal(err)
		}
		n := strings.Count(string(text), "\n//go:"+"linkname ")
		if path.Dir(file) == linknames {
			there += n
		} else if n > 0 {
			t.Errorf("%s: links by name; %s is the place for that", file, linknames)
		}
	}
	if there == 0 {
		t.Errorf("%s links nothing by name", linknames)
	}
}
