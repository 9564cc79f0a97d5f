package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"rtpjet/cmd/rtpjet/config"
	"rtpjet/projection/history/historytest"
	"rtpjet/projection/replay"
)

// TestExportedFile: it is for its owner only, replaces what was there, and has the call-id and who wrote it.
func TestExportedFile(t *testing.T) {
	r := newRegion(t)
	r.write(ordinary(), "two@example.com")
	dir := t.TempDir()
	name := filepath.Join(dir, "two.rtpjet")
	if err := os.WriteFile(name, bytes.Repeat([]byte("old"), 100_000), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := r.run("call export two@example.com -o " + name); err != nil || out != name+": 9 events; its keys are replaced\n" {
		t.Fatalf("%s %v", out, err)
	}
	fresh := filepath.Join(dir, "new.rtpjet")
	if out, err := r.run("call export two@example.com -o " + fresh); err != nil {
		t.Fatalf("%s %v", out, err)
	}
	info, err := os.Stat(fresh)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info, err)
	}
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	b, err := replay.Parse(data)
	if err != nil || b.Call != "two@example.com" || len(b.Records) != 9 {
		t.Errorf("%+v %v", b, err)
	}
	if out, err := r.run("call export two@example.com -o -"); err != nil || !strings.HasPrefix(out, string(data[:20])) {
		t.Errorf("on the standard output: %v\n%.200s", err, out)
	}
}

// TestExportSealed: with the key of the cluster, the keys of the call are in the file, and nobody else reads them.
func TestExportSealed(t *testing.T) {
	const key = "d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj"
	r := newRegion(t)
	s := historytest.New()
	s.Do("offer", "from-tag", "alice", "sdp", historytest.SecureSDP("198.51.100.3", 4000, key))
	r.write(s, "secret")
	dir := t.TempDir()
	keyFile, name := filepath.Join(dir, "key"), filepath.Join(dir, "out")
	if err := os.WriteFile(keyFile, []byte("a secret that is long enough for this\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd, err := config.ParseArgs(t.Context(), []string{"call", "export", "secret", "--sealed", "-o", name, "--cluster-key-file", keyFile}, config.Env{})
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := callExport(t.Context(), r.log, cmd, &out); err != nil || out.String() != name+": 1 events; its keys are sealed with the cluster key\n" {
		t.Fatalf("%s %v", &out, err)
	}
	if data, err := os.ReadFile(name); err != nil || bytes.Contains(data, []byte(key[:20])) {
		t.Errorf("%v, or the key can be read", err)
	}
	r.url = "nats://127.0.0.1:1"
	if out, err := r.run("replay " + name); err != nil || !strings.Contains(out, "offer") {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestReplayFiles: what is no file of a call is told of by its name.
func TestReplayFiles(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		name = filepath.Join(dir, name)
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	for name, want := range map[string]string{
		dir:                         "cannot read " + dir + ": is a directory",
		file("empty", ""):           filepath.Join(dir, "empty") + ", ",
		file("text", "hello\n"):     filepath.Join(dir, "text") + ", ",
		file("binary", "\x00\xff"):  filepath.Join(dir, "binary") + ", ",
		file("odd\x1b[2J", "hello"): `"` + filepath.Join(dir, `odd\x1b[2J`) + `", `,
	} {
		var out bytes.Buffer
		err := Run(t.Context(), config.Command{Name: "replay", Call: name}, &out)
		if err == nil || !strings.HasPrefix(err.Error(), want) || strings.ContainsRune(err.Error(), '\x1b') || out.Len() > 0 {
			t.Errorf("%q: %v\n%s", name, err, &out)
		}
	}
}

// TestReplayJSON: a script gets one object, of a file as of the log.
func TestReplayJSON(t *testing.T) {
	b, err := replay.Export("call", records(t, ordinary()), replay.Options{})
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "call.rtpjet")
	if err := os.WriteFile(name, b.Append(nil), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, rerun := range []bool{false, true} {
		var out bytes.Buffer
		cmd := config.Command{Name: "replay", Call: name, Log: config.LogOptions{JSON: true}, History: config.HistoryOptions{Rerun: rerun}}
		if err := Run(t.Context(), cmd, &out); err != nil {
			t.Fatal(err)
		}
		var v map[string]any
		if err := json.Unmarshal(out.Bytes(), &v); err != nil || v["call"] != "call" || strings.Count(out.String(), "\n") != 1 {
			t.Errorf("rerun %v: %v\n%.300s", rerun, err, &out)
		}
		if err := Run(t.Context(), cmd, failing{}); err == nil || err.Error() != "the terminal is gone" {
			t.Errorf("rerun %v, of which nothing can be written: %v", rerun, err)
		}
	}
	if err := Run(t.Context(), config.Command{Name: "replay", Call: name}, failing{}); err == nil {
		t.Error("nothing can be written, and nobody says so")
	}
}

// records are the entries of a story as the log has them.
func records(t *testing.T, s *historytest.Story) []replay.Record {
	t.Helper()
	r := newRegion(t)
	r.write(s, "call")
	list, err := callRecords(t.Context(), r.log, "call")
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// TestInterrupted: a command that is interrupted prints no half of an answer, and says why it ends.
func TestInterrupted(t *testing.T) {
	r := newRegion(t)
	r.write(living(), "one")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, line := range []string{"call list", "call show one", "call history one", "call why-alive one", "call export one", "node list", "replay --all"} {
		if out, err := r.runWith(ctx, line); err == nil || out != "" {
			t.Errorf("%s: %q, %v", line, out, err)
		}
	}
}

// TestOutputIsGone: whoever pipes into something that has ended gets an error, not silence.
func TestOutputIsGone(t *testing.T) {
	r := newRegion(t)
	r.write(ordinary(), "two")
	for _, line := range []string{"call list", "call list --json", "call show two --json", "call history two", "call history two --json", "call history two --follow", "call history two --follow --json", "call history two --at 5 --json",
		"call history two --diff 5 7 --json", "call why-alive two --json", "call export two -o -", "node list", "node list --json", "float list", "replay two --json"} {
		words := append(strings.Fields(line), "--nats", r.url)
		cmd, err := config.ParseArgs(t.Context(), words, config.Env{})
		if err != nil {
			t.Fatal(err)
		}
		if err := Run(t.Context(), cmd, failing{}); err == nil || !strings.Contains(err.Error(), "the terminal is gone") {
			t.Errorf("%s: %v", line, err)
		}
	}
	if _, err := fs.Stat(os.DirFS("."), "two"); err == nil {
		t.Error("a file was written")
	}
}
