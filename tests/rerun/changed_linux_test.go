package rerun

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"rtpjet/events"
	"rtpjet/projection/history/historytest"
	"rtpjet/projection/replay"
	"rtpjet/tests/lab"
)

// TestChangedRule: a build whose rules for SDP are not those of the build that made a call finds that out from a bundle, on a
// machine that has neither NATS nor a configuration; and the build that made it finds nothing.
func TestChangedRule(t *testing.T) {
	lab.Only(t, "builds the program three times")
	if testing.Short() {
		t.Skip("builds the program twice")
	}
	s := historytest.New()
	s.Do("offer", "from-tag", "alice", "sdp", historytest.SDP("198.51.100.1", 4000))
	s.Do("answer", "from-tag", "alice", "to-tag", "bob", "sdp", historytest.SDP("198.51.100.2", 6000))
	var records []replay.Record
	for _, e := range s.History() {
		data, err := events.Encode(e.Envelope)
		if err != nil {
			t.Fatal(err)
		}
		records = append(records, replay.Record{Seq: e.Seq, Stored: e.Stored, Data: data})
	}
	b, err := replay.Export("call", records, replay.Options{})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "call.rtpjet")
	if err := os.WriteFile(file, b.Append(nil), 0o600); err != nil {
		t.Fatal(err)
	}

	out, code := elsewhere(t, build(t, nil), "replay", file, "--rerun")
	if code != 0 || !strings.Contains(out, "2 decisions made again: no difference") {
		t.Errorf("this build: %d\n%s", code, out)
	}
	changed := build(t, map[string][2]string{"../../ngserver/rewrite/render.go": {
		`sdp.AppendLine(r.out, 't', "0 0")`, `sdp.AppendLine(r.out, 't', "1 1")`,
	}})
	out, code = elsewhere(t, changed, "replay", file, "--rerun")
	if code != 0 { // the rule is for SDPs without a t= line
		t.Errorf("a rule that these SDPs do not meet: %d\n%s", code, out)
	}
	changed = build(t, map[string][2]string{"../../ngserver/rewrite/render.go": {
		`name := s.Name`, `name := s.Name + " by another rule"`,
	}})
	out, code = elsewhere(t, changed, "replay", file, "--rerun")
	if code != 1 || !strings.Contains(out, "-s=-") || !strings.Contains(out, "+s=- by another rule") || !strings.Contains(out, "2 of 2 decisions") {
		t.Errorf("a changed rule: %d\n%s", code, out)
	}
	if testing.Verbose() {
		t.Log(out)
	}
}

// build builds the program, with texts of files replaced.
func build(t *testing.T, changes map[string][2]string) string {
	t.Helper()
	dir := t.TempDir()
	overlay := struct{ Replace map[string]string }{map[string]string{}}
	for name, c := range changes {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Contains(data, []byte(c[0])) {
			t.Fatalf("%s has no %q any more", name, c[0])
		}
		abs, err := filepath.Abs(name)
		if err != nil {
			t.Fatal(err)
		}
		overlay.Replace[abs] = filepath.Join(dir, filepath.Base(name))
		if err := os.WriteFile(overlay.Replace[abs], bytes.Replace(data, []byte(c[0]), []byte(c[1]), 1), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	data, err := json.Marshal(overlay)
	if err != nil {
		t.Fatal(err)
	}
	list := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(list, data, 0o600); err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(dir, "rtpjet")
	if out, err := exec.Command("go", "build", "-overlay", list, "-o", program, "rtpjet/cmd/rtpjet").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return program
}

// elsewhere runs a program as on another machine: without an environment, in an empty directory, and, for root, without a
// network.
func elsewhere(t *testing.T, program string, args ...string) (out string, code int) {
	t.Helper()
	cmd := exec.Command(program, args...)
	cmd.Env, cmd.Dir = []string{}, t.TempDir()
	if os.Getuid() == 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	}
	text, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return string(text), cmd.ProcessState.ExitCode()
}
