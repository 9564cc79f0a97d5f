package demo

import (
	"bytes"
	"context"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// buildDir is where build put the program; "" if no test needed it.
var buildDir string

// build builds rtpjet once for all tests.
var build = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "rtpjet-demo-test-")
	if err != nil {
		return "", err
	}
	buildDir = dir
	bin := filepath.Join(dir, "rtpjet")
	out, err := exec.Command("go", "build", "-o", bin, "rtpjet/cmd/rtpjet").CombinedOutput()
	if err != nil {
		return string(out), err
	}
	return bin, nil
})

func program(t *testing.T) string {
	t.Helper()
	if testing.Short() {
		t.Skip("starts processes; not with -short")
	}
	bin, err := build()
	if err != nil {
		t.Fatal(err, bin)
	}
	return bin
}

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "serve" {
		os.Exit(beNode(os.Args[1:])) // a node of a demonstration under test
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		_ = os.RemoveAll(buildDir)
		os.Exit(code)
	}))
}

// emptyTemp has everything temporary go to a directory that is empty, and returns that.
func emptyTemp(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	return dir
}

func mustBeEmpty(t *testing.T, dir string) {
	t.Helper()
	left, err := os.ReadDir(dir)
	if err != nil || len(left) > 0 {
		t.Errorf("files left behind: %v %v", left, err)
	}
}

// TestDemo runs the command as an operator does.
func TestDemo(t *testing.T) {
	bin := program(t)
	temp := emptyTemp(t)
	cmd := exec.CommandContext(t.Context(), bin, "demo", "--calls", "5")
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	t.Logf("%s%s", &out, &errs)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`All three answer`,
		`All are up: n1 relays \d+, n2 relays \d+ and n3 relays \d+\.`,
		`Voice goes both ways through all of them: [\d,]+ packets heard`,
		`Killing n[123] \(kill -9`,
		`know 5 of 5`,
		`From the kill until both ends heard each other again: [\d.]+ m?s`,
		`Starting n[123] again`,
		`All calls have been deleted, and no node lists any`,
		`(?m)^  5 calls, \d+ of them relayed by n[123] when it was killed\.$`,
		`agreed on 5\.`,
		`none failed`,
	} {
		if !regexp.MustCompile(want).MatchString(out.String()) {
			t.Errorf("the output lacks %q", want)
		}
	}
	for line := range strings.Lines(out.String()) {
		if len(strings.TrimRight(line, "\n")) > columns {
			t.Errorf("wider than %d columns: %q", columns, line)
		}
	}
	if errs.Len() > 0 {
		t.Error("something on the standard error output")
	}
	mustBeEmpty(t, temp)
}

// watcher calls a function when a text is written for the first time.
type watcher struct {
	bytes.Buffer
	text string
	once sync.Once
	f    func()
}

func (w *watcher) Write(b []byte) (int, error) {
	n, err := w.Buffer.Write(b)
	if strings.Contains(w.String(), w.text) {
		w.once.Do(w.f)
	}
	return n, err
}

// TestInterrupt has Ctrl-C come at different moments.
func TestInterrupt(t *testing.T) {
	bin := program(t)
	for _, test := range []struct {
		name, at string
		keep     bool
		code     int
	}{
		{"starting", "Starting three", false, exitFailed},
		{"killing", "Killing", false, exitFailed},
		{"keeping", "Their logs and data", true, exitOK},
	} {
		t.Run(test.name, func(t *testing.T) {
			temp := emptyTemp(t)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			out := &watcher{text: test.at, f: cancel}
			d := &demo{out: teller{w: out, began: time.Now()}, exe: bin, wanted: 3}
			err := d.carryOut(ctx, test.keep)
			var errs bytes.Buffer
			code := d.end(ctx, err, &errs)
			t.Logf("%s%s", &out.Buffer, &errs)
			if code != test.code {
				t.Errorf("exit code %d, want %d", code, test.code)
			}
			for _, n := range d.nodes {
				if n.running() {
					t.Errorf("%s still runs", n.id)
				}
			}
			mustBeEmpty(t, temp)
		})
	}
}

// TestPhonesEnd: a phone that is closed neither speaks nor listens any more.
func TestPhonesEnd(t *testing.T) {
	others := goleak.IgnoreCurrent()
	c, err := newCall(1, 1)
	if err != nil {
		t.Fatal(err)
	}
	for i, p := range c.phones {
		p.expect(1)
		p.sendTo(c.phones[1-i].addr(), 1)
	}
	if _, err := c.voice(t.Context()); err != nil {
		t.Error(err)
	}
	c.hangUp()
	c.hangUp()
	if err := goleak.Find(others); err != nil {
		t.Error(err)
	}
}

// TestFailure has nodes that do not start.
func TestFailure(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("needs a shell script")
	}
	temp := emptyTemp(t)
	exe := filepath.Join(t.TempDir(), "rtpjet")
	if err := os.WriteFile(exe, []byte("#!/bin/sh\necho no such luck >&2\nexit 3\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	var out, errs bytes.Buffer
	if code := run(t.Context(), nil, exe, &out, &errs); code != exitFailed {
		t.Errorf("exit code %d", code)
	}
	kept, err := filepath.Glob(filepath.Join(temp, "rtpjet-demo-*"))
	if err != nil || len(kept) != 1 {
		t.Fatal("directories left:", kept, err)
	}
	for _, want := range []string{"n1 ended at its start: exit status 3", "  no such luck\n", kept[0]} {
		if !strings.Contains(errs.String(), want) {
			t.Errorf("the error lacks %q:\n%s", want, &errs)
		}
	}
}

func TestUsage(t *testing.T) {
	for _, test := range []struct {
		args string
		code int
	}{
		{"--help", exitOK}, {"--calls 0", exitUsage}, {"--calls 1000", exitUsage}, {"--calls x", exitUsage},
		{"now", exitUsage}, {"--nodes 3", exitUsage},
	} {
		var out, errs bytes.Buffer
		if code := run(t.Context(), strings.Fields(test.args), "", &out, &errs); code != test.code || (errs.Len() > 0) != (code == exitUsage) {
			t.Errorf("%s: exit code %d, want %d: %s%s", test.args, code, test.code, &out, &errs)
		}
	}
}

func TestTeller(t *testing.T) {
	var b bytes.Buffer
	out := teller{w: &b}
	out.lines("  1.0 s  ", margin, strings.Repeat("word ", 30)+"end")
	out.item("a list  keeps its spaces")
	out.lines("", "", strings.Repeat("x", 100))
	out.lines("", "", strings.Repeat("y", 77)+" 5"+tie+"ms")
	want := "  1.0 s  " + strings.TrimSpace(strings.Repeat("word ", 14)) + "\n" +
		margin + strings.TrimSpace(strings.Repeat("word ", 14)) + "\n" + margin + "word word end\n" +
		margin + "  a list  keeps its spaces\n" + strings.Repeat("x", 80) + "\n" + strings.Repeat("x", 20) + "\n" +
		strings.Repeat("y", 77) + "\n5 ms\n"
	if b.String() != want {
		t.Errorf("wrote\n%s\nwant\n%s", &b, want)
	}
}

func TestWords(t *testing.T) {
	for got, want := range map[string]string{
		ms(1540 * time.Microsecond): "1.5 ms", ms(140 * time.Millisecond): "140 ms", ms(12340 * time.Millisecond): "12.3 s",
		number(7): "7", number(1234567): "1,234,567", number(-1234): "-1,234", number(-123): "-123",
		counted(1, "call"): "1 call", counted(2000, "call"): "2,000 calls",
		listed([]string{"a", "b", "c"}): "a, b and c", listed([]string{"a"}): "a", listed(nil): "",
		spread([]time.Duration{3e6, 1e6, 2e6}): "2.0 ms at the median, 3.0 ms at most", spread([]time.Duration{3e6}): "3.0 ms",
	} {
		if got = strings.ReplaceAll(got, tie, " "); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestMediaAddress(t *testing.T) {
	at := netip.MustParseAddrPort("127.0.1.3:30004")
	if got, err := mediaAddress(phoneSDP(at, 1)); got != at || err != nil {
		t.Error(got, err)
	}
	for _, sdp := range []string{"", "v=0\r\nc=IN IP4 127.0.0.1\r\n", "m=audio 4 RTP/AVP 0\r\n", "c=IN IP4 x\r\nm=audio 4 RTP/AVP 0\r\n"} {
		if _, err := mediaAddress(sdp); err == nil {
			t.Errorf("no error for %q", sdp)
		}
	}
}

// TestOneAddress is for systems whose loopback network has one address.
func TestOneAddress(t *testing.T) {
	places, err := oneAddress(netip.MustParseAddr("127.0.0.1"))
	if err != nil || len(places) != nodeCount {
		t.Fatal(places, err)
	}
	seen := map[uint16]bool{}
	for i, p := range places {
		for _, port := range []uint16{p.nats, p.cluster} {
			if port == 0 || seen[port] {
				t.Errorf("port %d given twice", port)
			}
			seen[port] = true
		}
		for j := range places {
			if relays := p.relays(netip.AddrPortFrom(p.addr, places[j].mediaMin+10)); relays != (i == j) {
				t.Errorf("a port of %s belongs to %s: %v", places[j].id, p.id, relays)
			}
		}
	}
}
