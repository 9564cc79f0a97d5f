package differential

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rtpjet/tests/rerun"
)

var (
	update   = flag.Bool("update", false, "record the replies of rtpengine into testdata/golden")
	show     = flag.Bool("show", false, "print the replies of each script that runs")
	propose  = flag.Bool("propose", false, "print what is not listed in the form of testdata/differences.txt")
	binary   = flag.String("rtpjet", "", "rtpjet binary to test instead of one built from this source")
	logLevel = flag.String("server-log-level", "3", "log level of both servers; their logs are shown on failure if it is not 3")
)

// A transcript is what one server answered to one script, normalised: one list of lines per step.
type transcript [][]string

// run plays a script on a server.
func (s *script) run(srv *server) (transcript, error) {
	c, err := srv.dial()
	if err != nil {
		return nil, err
	}
	defer c.close()
	n := newNormaliser(s.name, srv.portMin, srv.portMax)
	var (
		out     transcript
		raw     []map[string]any
		cookie  string
		payload []byte
		last    []byte
	)
	const deadline = 10 * time.Second
	for i := range s.steps {
		st := &s.steps[i]
		fail := func(err error) error { return fmt.Errorf("%s.txt:%d: step %d: %w", s.file, st.line, i+1, err) }
		if st.bare != nil {
			// Nothing comes back; the ping that follows shows that the server still lives.
			if _, err := c.conn.Write(st.bare); err != nil {
				return nil, fail(err)
			}
			if _, err := c.exchange(fmt.Sprintf("%s_%d_after", s.name, i), []byte("d7:command4:pinge"), deadline); err != nil {
				return nil, fail(err)
			}
			out = append(out, []string{"(no reply)"})
			raw = append(raw, nil)
			continue
		}
		if st.freed {
			n.forget()
		}
		if !st.again {
			cookie = fmt.Sprintf("%s_%d", s.name, i)
			if payload, err = st.payload(raw); err != nil {
				return nil, fail(err)
			}
		}
		n.sent.Write(payload)
		reply, err := c.exchange(cookie, payload, deadline)
		if err != nil {
			if errors.Is(err, errNoReply) {
				return nil, fail(fmt.Errorf("%w to %s", err, st.text))
			}
			return nil, fail(err)
		}
		m, err := decodeReply(reply)
		if err != nil {
			return nil, fail(err)
		}
		raw = append(raw, m)
		var lines []string
		if enc := wantEncoding(payload); enc != reply[0] {
			lines = append(lines, fmt.Sprintf("(reply starts with %q)", reply[0]))
		}
		if st.again {
			lines = append(lines, fmt.Sprintf("(same bytes as before: %v)", bytes.Equal(reply, last)))
		}
		lines = append(lines, n.reply(st.text, m)...)
		out = append(out, lines)
		last = reply
	}
	return out, nil
}

func wantEncoding(payload []byte) byte {
	if len(payload) > 0 && payload[0] == '{' {
		return '{'
	}
	return 'd'
}

// format writes a transcript for people and for the golden files.
func (s *script) format(tr transcript) string {
	var b strings.Builder
	fmt.Fprintf(&b, "script %s\n", s.name)
	for i, lines := range tr {
		fmt.Fprintf(&b, "> %d %s\n", i+1, shorten(s.steps[i].text))
		for _, l := range lines {
			b.WriteString(l)
			b.WriteByte('\n')
		}
	}
	return b.String()
}

func shorten(s string) string {
	if len(s) > 160 {
		return s[:160] + "…"
	}
	return s
}

// release is the rtpengine whose replies are recorded and whose differences are listed.
const release = "10.5."

// rtpengine starts Debian's rtpengine, or skips.
func rtpengine(t *testing.T) *server {
	t.Helper()
	missing := t.Skipf
	if os.Getenv("CI") == "true" {
		missing = t.Fatalf
	}
	path, err := exec.LookPath("rtpengine")
	if err != nil {
		missing("rtpengine is not installed (Debian 12: apt-get install rtpengine-daemon): %v", err)
	}
	version, err := exec.Command(path, "--version").CombinedOutput()
	if err != nil {
		t.Fatalf("%s --version: %v\n%s", path, err, version)
	}
	if !bytes.Contains(version, []byte(" "+release)) {
		missing("the installed rtpengine is %q, the differences are listed for release %s*", bytes.TrimSpace(version), release)
	}
	return startServer(t, "rtpengine", 20000, 25999, path, "--config-file=none", "--table=-1", "--num-threads=2")
}

var buildDir string // set by TestMain

// build makes the program under test, once for all tests.
var build = sync.OnceValues(func() (string, error) {
	bin := filepath.Join(buildDir, "rtpjet")
	if out, err := exec.Command("go", "build", "-o", bin, "rtpjet/cmd/rtpjet").CombinedOutput(); err != nil {
		return "", fmt.Errorf("build rtpjet: %w\n%s", err, out)
	}
	return bin, nil
})

func TestMain(m *testing.M) {
	flag.Parse()
	dir, err := os.MkdirTemp("", "differential")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	buildDir = dir
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// rtpjet starts the program under test.
func rtpjet(t *testing.T) *server { return rtpjetOn(t, 26000, 31999) }

// rtpjetOn is rtpjet with a port range of its own.
func rtpjetOn(t *testing.T, portMin, portMax int) *server {
	t.Helper()
	bin := *binary
	if bin == "" {
		var err error
		if bin, err = build(); err != nil {
			t.Fatal(err)
		}
	}
	nats := "none"
	if rerun.Wanted() {
		nats = freeAddress(t)
	}
	s := startServer(t, "rtpjet", portMin, portMax, bin, "serve", "--config-file", "none", "--node-id", "n1",
		"--data-dir", t.TempDir(), "--nats-listen", nats)
	t.Cleanup(func() { rerun.Server(t, bin, nats) })
	return s
}

// freeAddress is an address that nobody listens on.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// TestDifferential gives the same scripts to rtpengine and to rtpjet and compares what they answer. Each difference must
// be listed in testdata/differences.txt, and each listed one must occur.
func TestDifferential(t *testing.T) {
	skipUnlessComparing(t)
	scripts := loadScripts(t)
	theirs := rtpengine(t)
	compare(t, scripts, func(s *script) (transcript, error) { return s.run(theirs) })
}

// TestRecorded compares rtpjet with the replies that rtpengine gave when they were recorded, and so needs no rtpengine.
func TestRecorded(t *testing.T) {
	skipUnlessComparing(t)
	scripts := loadScripts(t)
	golden := loadGolden(t)
	compare(t, scripts, func(s *script) (transcript, error) {
		tr, ok := golden[s.name]
		if !ok {
			return nil, fmt.Errorf("script %s is not in testdata/golden: run go test ./tests/differential -run TestRecord -update", s.name)
		}
		return tr, nil
	})
}

func skipUnlessComparing(t *testing.T) {
	t.Helper()
	if *update || *show {
		t.Skip("-update and -show are for TestRecord")
	}
}

// compare runs the scripts on rtpjet and compares its replies with those of want.
func compare(t *testing.T, scripts []script, want func(*script) (transcript, error)) {
	ours := rtpjet(t)
	diffs := loadDifferences(t)
	// The subtests are parallel; the group returns when all of them are done.
	t.Run("script", func(t *testing.T) {
		for i := range scripts {
			s := &scripts[i]
			t.Run(s.name, func(t *testing.T) {
				t.Parallel()
				w, err := want(s)
				if err != nil {
					t.Fatalf("rtpengine: %v", err)
				}
				g, err := s.run(ours)
				if err != nil {
					t.Fatalf("rtpjet: %v", err)
				}
				diffs.ran(s.name)
				for i := range g {
					g[i] = append(g[i], disorder(g[i])...)
				}
				w, g = canonical(w), canonical(g)
				for step := range w {
					var left []string
					removed, added := lineDiff(w[step], g[step])
					for _, l := range removed {
						if !diffs.explain(s.name, step+1, '-', l) {
							left = append(left, "- "+strings.TrimPrefix(l, "  "))
						}
					}
					for _, l := range added {
						if !diffs.explain(s.name, step+1, '+', l) {
							left = append(left, "+ "+strings.TrimPrefix(l, "  "))
						}
					}
					if len(left) > 0 && *propose {
						fmt.Printf("script: %s\nstep: %d\n%s\nreason: ?\n\n", s.name, step+1, strings.Join(left, "\n"))
						t.Fail()
					} else if len(left) > 0 {
						t.Errorf("%s.txt:%d: step %d: %s\nnot listed in testdata/differences.txt:\n%s\nrtpengine (-) and rtpjet (+), whole reply:\n%s",
							s.file, s.steps[step].line, step+1, s.steps[step].text, strings.Join(left, "\n"), sideBySide(w[step], g[step]))
					}
				}
			})
		}
	})
	for _, stale := range diffs.stale(scripts) {
		t.Errorf("testdata/differences.txt:%d: difference does not occur any more: %s", stale.line, stale)
	}
}

// sideBySide marks each line with the server that it is from.
func sideBySide(want, got []string) string {
	var b strings.Builder
	for _, op := range align(want, got) {
		fmt.Fprintf(&b, "  %c %s\n", op.mark, op.line)
	}
	return b.String()
}

// TestRecord checks that the recorded replies are what the installed rtpengine answers; with -update it records them.
func TestRecord(t *testing.T) {
	scripts := loadScripts(t)
	theirs := rtpengine(t)
	got := map[string]transcript{}
	var mu sync.Mutex
	t.Run("script", func(t *testing.T) {
		for i := range scripts {
			s := &scripts[i]
			t.Run(s.name, func(t *testing.T) {
				t.Parallel()
				tr, err := s.run(theirs)
				if err != nil {
					t.Fatal(err)
				}
				mu.Lock()
				got[s.name] = tr
				mu.Unlock()
				if *show {
					fmt.Printf("%s\n", s.format(tr))
				}
			})
		}
	})
	if *update {
		if t.Failed() {
			t.Fatal("nothing recorded")
		}
		saveGolden(t, scripts, got)
		return
	}
	if *show {
		return
	}
	golden := loadGolden(t)
	for i := range scripts {
		s := &scripts[i]
		if tr, ok := got[s.name]; ok {
			if d := cmp.Diff(s.format(golden[s.name]), s.format(tr)); d != "" {
				t.Errorf("%s: rtpengine answers otherwise than recorded (-recorded +now):\n%s", s.name, d)
			}
		}
	}
}

const goldenDir = "testdata/golden"

// saveGolden writes one file per script file. Scripts that did not run keep what was recorded.
func saveGolden(t *testing.T, scripts []script, got map[string]transcript) {
	t.Helper()
	old := loadGolden(t)
	files := map[string]*strings.Builder{}
	var order []string
	for i := range scripts {
		s := &scripts[i]
		tr, ok := got[s.name]
		if !ok {
			tr, ok = old[s.name]
		}
		if !ok {
			continue
		}
		b := files[s.file]
		if b == nil {
			b = &strings.Builder{}
			files[s.file] = b
			order = append(order, s.file)
		}
		b.WriteString(s.format(tr))
		b.WriteByte('\n')
	}
	if err := os.MkdirAll(goldenDir, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, f := range order {
		if err := os.WriteFile(filepath.Join(goldenDir, f+".txt"), []byte(files[f].String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func loadGolden(t *testing.T) map[string]transcript {
	t.Helper()
	out := map[string]transcript{}
	files, err := filepath.Glob(goldenDir + "/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		name := ""
		for _, l := range strings.Split(string(text), "\n") {
			switch {
			case strings.HasPrefix(l, "script "):
				name = l[len("script "):]
				out[name] = transcript{}
			case strings.HasPrefix(l, "> "):
				out[name] = append(out[name], nil)
			case l != "" && name != "":
				steps := out[name]
				steps[len(steps)-1] = append(steps[len(steps)-1], l)
			}
		}
	}
	return out
}
