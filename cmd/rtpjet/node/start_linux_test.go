package node_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

// What keeps a node from starting is told in one sentence: what, where, and what to do.
func TestStartErrors(t *testing.T) {
	t.Parallel()
	host := newHost()
	here := host.String()
	taken, err := net.ListenPacket("udp", here+":2223")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = taken.Close() })
	natsTaken, err := net.Listen("tcp", here+":4222")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = natsTaken.Close() })
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	newer := t.TempDir()
	if err := os.WriteFile(filepath.Join(newer, "rtpjet.format"), []byte("99\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	used := serve(t)
	usedDir := used.args[indexOf(used.args, "--data-dir")+1]

	elsewhere := "nats://" + here + ":4999" // nobody is there

	// sane are options with which a node would start.
	sane := func(more ...string) []string {
		own := newHost().String()
		return append([]string{"serve", "--config-file", "none", "--interface", own, "--listen-ng", own + ":2223",
			"--nats-listen", own + ":4222", "--data-dir", filepath.Join(t.TempDir(), "data")}, more...)
	}
	for name, test := range map[string]struct {
		args []string
		want []string
	}{
		"NG port in use":               {sane("--listen-ng", here+":2223"), []string{here + ":2223", "in use", "--listen-ng"}},
		"NG address missing":           {sane("--listen-ng", "192.0.2.1:2223"), []string{"192.0.2.1:2223", "does not have the address", "--listen-ng"}},
		"media address missing":        {sane("--interface", "192.0.2.1"), []string{"192.0.2.1", "--interface"}},
		"data directory is a file":     {sane("--data-dir", file), []string{file, "not a directory", "--data-dir"}},
		"data directory below a file":  {sane("--data-dir", file+"/x"), []string{file + "/x", "not a directory", "--data-dir"}},
		"data directory not to create": {sane("--data-dir", "/proc/rtpjet"), []string{"/proc/rtpjet", "--data-dir"}},
		"data directory newer":         {sane("--data-dir", newer), []string{newer, "99", "newer version", "--data-dir"}},
		"data directory locked":        {sane("--data-dir", usedDir), []string{usedDir, fmt.Sprint(used.cmd.Process.Pid), "--data-dir"}},
		"NATS not there":               {[]string{"serve", "--config-file", "none", "--interface", here, "--listen-ng", here + ":2224", "--nats", elsewhere}, []string{elsewhere, "--nats"}},
		"NATS port in use":             {sane("--nats-listen", here+":4222"), []string{here + ":4222", "in use", "--nats-listen"}},
		"unknown option":               {sane("--tiemout", "7"), []string{"--tiemout", "--timeout"}},
		"bad number":                   {sane("--timeout", "soon"), []string{"--timeout", "soon"}},
		"no ports":                     {sane("--port-min", "40000", "--port-max", "39000"), []string{"--port-m"}},
		"bad node id":                  {sane("--node-id", "a.b c"), []string{"a.b c"}},
		"no configuration file":        {[]string{"serve", "--config-file", file + ".none"}, []string{file + ".none", "--config-file"}},
		"bad pid file":                 {sane("--pidfile", file+"/x"), []string{file + "/x", "--pidfile"}},
		"no command":                   {[]string{"sreve"}, []string{"sreve", "serve"}},
		"call list without NATS":       {[]string{"call", "list", "--nats", elsewhere}, []string{elsewhere}},
		"call show without a call-id":  {[]string{"call", "show"}, []string{"call-id"}},
		"call show of nothing":         {[]string{"call", "show", "--nats", used.nats, "--region", region, "nothing"}, []string{"nothing", "rtpjet call list"}},
		"call list of another region":  {[]string{"call", "list", "--nats", used.nats, "--region", "nowhere"}, []string{"nowhere", "--region"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			code, _, stderr := run(t, test.args...)
			complaint(t, code, stderr, test.want)
		})
	}
	t.Run("data directory not to write", func(t *testing.T) {
		t.Parallel()
		if os.Getuid() != 0 {
			t.Skip("needs root, to run the program as somebody else")
		}
		dir, err := os.MkdirTemp("", "rtpjet-node-dir") //nolint:usetesting // another user must be able to enter it
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = os.RemoveAll(dir) })
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		p := start(t, func(cmd *exec.Cmd) {
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
			cmd.Dir = "/"
		}, sane("--data-dir", dir)...)
		complaint(t, p.wait(), p.stderr.String(), []string{dir, "permission denied", "--data-dir"})
	})
}

func indexOf(list []string, s string) int {
	for i := range list {
		if list[i] == s {
			return i
		}
	}
	return -1
}

// complaint checks what a program says that could not do what it was asked for.
func complaint(t *testing.T, code int, stderr string, want []string) {
	t.Helper()
	if code == 0 {
		t.Errorf("exit code 0\n%s", stderr)
	}
	var sentences []string
	for line := range strings.Lines(stderr) {
		if strings.HasPrefix(line, "rtpjet: ") {
			sentences = append(sentences, line)
		} else if !strings.HasPrefix(line, "time=") {
			t.Errorf("neither a sentence nor a log line: %s", line)
		}
		if strings.Contains(line, "level=ERROR") {
			t.Errorf("the log says it a second time: %s", line)
		}
	}
	if len(sentences) != 1 {
		t.Fatalf("%d sentences, want 1:\n%s", len(sentences), stderr)
	}
	for _, w := range want {
		if !strings.Contains(sentences[0], w) {
			t.Errorf("%q is missing in: %s", w, sentences[0])
		}
	}
	t.Log(strings.TrimSpace(sentences[0]))
}

func TestVersionAndHelp(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"version"}, {"--version"}, {"serve", "--version"}} {
		if code, stdout, stderr := run(t, args...); code != 0 || !strings.HasPrefix(stdout, "rtpjet ") || stderr != "" {
			t.Errorf("%v: %d, %q, %q", args, code, stdout, stderr)
		}
	}
	for _, args := range [][]string{{}, {"help"}, {"--help"}, {"help", "serve"}, {"serve", "--help"}, {"help", "call"}, {"call", "list", "-h"}} {
		if code, stdout, stderr := run(t, args...); code != 0 || !strings.Contains(stdout, "Usage: rtpjet") || stderr != "" {
			t.Errorf("%v: %d, %q, %q", args, code, stdout, stderr)
		}
	}
}

func TestCallCommands(t *testing.T) {
	t.Parallel()
	s := serve(t)
	odd := "odd \xff\x1b[31m"
	c, d := s.place("first@example.org"), s.place(odd)
	s.ok(remove(d.id, dict{"delete delay": 100}))
	s.place("over")
	s.ok(remove("over"))
	at := []string{"--nats", s.nats, "--region", region}
	call := func(args ...string) string {
		t.Helper()
		code, stdout, stderr := run(t, append(append([]string{"call"}, args...), at...)...)
		if code != 0 || stderr != "" {
			t.Errorf("call %q: %d\n%s", args, code, stderr)
		}
		return stdout
	}
	list := call("list")
	for _, want := range []string{"CALL-ID", c.id, `"odd \xff\x1b[31m"`, "being deleted", "n1"} {
		if !strings.Contains(list, want) {
			t.Errorf("call list does not say %q:\n%s", want, list)
		}
	}
	if strings.Contains(list, "over") || strings.ContainsRune(list, '\x1b') {
		t.Errorf("call list:\n%q", list)
	}
	var calls []any
	if err := json.Unmarshal([]byte(call("list", "--json")), &calls); err != nil || len(calls) != 2 {
		t.Errorf("call list --json: %d calls, %v", len(calls), err)
	}
	if name := regexp.MustCompile(`"\w*[A-Z]\w*":`).FindString(call("list", "--json")); name != "" {
		t.Errorf("call list --json spells %s otherwise than the events do", name)
	}
	show := call("show", c.id)
	for _, want := range []string{c.id, c.atA.rtp.String(), c.a.addr().String(), "offered", "answered", "PCMU"} {
		if !strings.Contains(show, want) {
			t.Errorf("call show does not say %q:\n%s", want, show)
		}
	}
	if show := call("show", "over"); !strings.Contains(show, "ended") || !strings.Contains(show, "deleted") {
		t.Errorf("call show of an ended call:\n%s", show)
	}
	if show := call("show", odd); strings.ContainsRune(show, '\x1b') || !strings.Contains(show, "deletion_scheduled") {
		t.Errorf("call show of an odd call-id:\n%q", show)
	}
	var view struct {
		Events []struct{ Kind, Cookie, Request, Reply string }
	}
	if err := json.Unmarshal([]byte(call("show", c.id, "--json")), &view); err != nil || len(view.Events) != 2 ||
		!strings.Contains(view.Events[0].Request, c.offer["sdp"].(string)) {
		t.Errorf("call show --json: %+v, %v", view, err)
	}
	expect := func(what string, got string, wants ...string) {
		t.Helper()
		for _, want := range wants {
			if !strings.Contains(got, want) {
				t.Errorf("%s does not say %q:\n%s", what, want, got)
			}
		}
	}
	expect("call history", call("history", c.id), c.id, "offer──", "answer──", "a new call, owner n1", "asked by ", c.a.addr().String())
	expect("call history of an ended call", call("history", "over"), "ended after", "deleted")
	if h := call("history", odd, "--json"); strings.ContainsRune(h, '\x1b') {
		t.Errorf("call history of an odd call-id: %q", h)
	}
	expect("call history --at", call("history", c.id, "--at", "+0s"), "after event 1 of 2", "no tag yet")
	expect("call history --diff", call("history", c.id, "--diff", "+0s", "+1h"), "+ party 1/media 1/remote/rtp: "+c.b.addr().String())
	expect("call why-alive", call("why-alive", c.id), "owner n1", "lease of n1: up", "--timeout", "if nothing happens, it ends in")
	expect("call why-alive of an ended call", call("why-alive", "over"), "ended", "deleted", "asked by")
	file := filepath.Join(t.TempDir(), "call.rtpjet")
	expect("call export", call("export", c.id, "-o", file), file, "2 events")
	for _, what := range [][]string{{"replay", file}, append([]string{"replay", c.id}, at...)} {
		if code, stdout, stderr := run(t, what...); code != 0 || stderr != "" || !strings.Contains(stdout, "+ party 1/media 1/remote/rtp") {
			t.Errorf("%q: %d\n%s%s", what, code, stdout, stderr)
		}
		if code, stdout, stderr := run(t, append(what, "--rerun")...); code != 0 || !strings.Contains(stdout, "2 decisions made again: no difference") {
			t.Errorf("%q --rerun: %d\n%s%s", what, code, stdout, stderr)
		}
	}
	if code, stdout, stderr := run(t, append([]string{"replay", "--all", "--since", "1h"}, at...)...); code != 0 || !strings.Contains(stdout, "3 calls") {
		t.Errorf("replay --all: %d\n%s%s", code, stdout, stderr)
	}
	bundle, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, bytes.Replace(bundle, []byte("answered"), []byte("amswered"), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, stdout, stderr := run(t, "replay", file); code != 1 || !strings.Contains(stdout, "offer") || !strings.Contains(stderr, "line 9: damaged") {
		t.Errorf("replay of a damaged file: %d\n%s%s", code, stdout, stderr)
	}
	if code, _, stderr := run(t, append([]string{"call", "history", "frist@example.org"}, at...)...); code != 1 || !strings.Contains(stderr, "did you mean first@example.org?") {
		t.Errorf("call history of a call-id with a slip: %d %s", code, stderr)
	}
}

// call history --follow goes on with what happens.
func TestCallFollow(t *testing.T) {
	t.Parallel()
	s := serve(t)
	c := s.place("followed")
	p := start(t, nil, "call", "history", c.id, "--follow", "--nats", s.nats, "--region", region)
	eventually(t, "the ladder does not come", func() error {
		if !strings.Contains(p.stdout.String(), "answer") {
			return errors.New(p.stdout.String())
		}
		return nil
	})
	s.ok(remove(c.id))
	eventually(t, "the end is not told", func() error {
		if !strings.Contains(p.stdout.String(), "ended") {
			return errors.New(p.stdout.String())
		}
		return nil
	})
}

// The signal of an init system ends the node with status 0 while calls are up, and they are there again at the next start.
func TestTerminate(t *testing.T) {
	t.Parallel()
	pid := filepath.Join(t.TempDir(), "pid")
	s := serve(t, "--pidfile", pid)
	if b, err := os.ReadFile(pid); err != nil || strings.TrimSpace(string(b)) != fmt.Sprint(s.cmd.Process.Pid) {
		t.Errorf("the pid file has %q, %v", b, err)
	}
	var calls []*call
	for i := range 20 {
		calls = append(calls, s.place(fmt.Sprint("call ", i)))
	}
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		if err := s.cmd.Process.Signal(sig); err != nil {
			t.Fatal(err)
		}
		if code := s.wait(); code != 0 {
			t.Errorf("%v: exit code %d\n%s", sig, code, &s.stderr)
		}
		if text := s.stderr.String(); strings.Contains(text, "level=ERROR") || strings.Contains(text, "rtpjet:") {
			t.Errorf("%v: it complains:\n%s", sig, text)
		}
		if _, err := os.Stat(pid); !os.IsNotExist(err) {
			t.Errorf("the pid file is still there: %v", err)
		}
		s.start()
		for _, c := range calls {
			c.talk()
		}
	}
}

// dev needs no option but those that keep it from other nodes, and says where everything is.
func TestDev(t *testing.T) {
	t.Parallel()
	host, dir := newHost().String(), t.TempDir()
	p := start(t, nil, "dev", "--interface", host, "--listen-ng", host+":2223", "--nats-listen", host+":4222", "--data-dir", dir)
	eventually(t, "it says nothing", func() error { return when(strings.Contains(p.stdout.String(), "Ctrl-C")) })
	for _, want := range []string{host + ":2223", host + ":4222", dir, "rtpengine_sock", "rtpjet call list"} {
		if !strings.Contains(p.stdout.String(), want) {
			t.Errorf("it does not say %q:\n%s", want, &p.stdout)
		}
	}
	dial(t, host+":2223").place("first").talk()
	if err := p.cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if code := p.wait(); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

// On a full disk calls go on, commands are refused, and there is a sentence at the next start.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=64m"); err != nil {
		t.Skipf("cannot mount a small file system: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
	s := serve(t, "--data-dir", filepath.Join(dir, "data"))
	c := s.place("before")
	c.talk()
	fill(t, filepath.Join(dir, "filler"))
	a := newPhone(t)
	refused := 0
	for i := range 2000 {
		reply := s.do(offer(fmt.Sprint("full ", i), a.body("a=x:"+strings.Repeat("x", 8000))))
		if reply["result"] == "error" {
			if reply["error-reason"] != logAway {
				t.Errorf("%v", reply)
			}
			refused++
		}
		if refused == 10 {
			break
		}
	}
	if refused == 0 {
		t.Fatal("the disk never got full")
	}
	c.talk()
	s.ok(dict{"command": "query", "call-id": c.id})
	select {
	case <-s.done:
		t.Fatal("the node has ended")
	default:
	}
	empty := func(name string) {
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	empty("filler")
	eventually(t, "with room on the disk the node does not work again", func() error {
		if reply := s.do(offer("again", a.body())); reply["result"] != "ok" {
			return fmt.Errorf("%v", reply)
		}
		return nil
	})
	s.place("more").talk()

	fill(t, filepath.Join(dir, "filler"))
	s.kill()
	fill(t, filepath.Join(dir, "filler2"))
	code, _, stderr := run(t, s.args...)
	complaint(t, code, stderr, []string{"no space left on device", dir})
	empty("filler")
	empty("filler2")
	s.start()
	c.talk()
	s.place("after").talk()
}

// fill writes until the disk is full.
func fill(t *testing.T, name string) {
	t.Helper()
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	for size := 1 << 16; size > 0; size /= 2 {
		for err = nil; err == nil; {
			_, err = f.Write(make([]byte, size))
		}
	}
	_ = f.Close()
}
