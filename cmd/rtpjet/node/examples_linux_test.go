package node_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"rtpjet/events"
	"rtpjet/tests/procs"
)

// The programs in examples that follow the events of a real node.

// missing skips a test for want of a program, or fails it where all must be there.
func missing(t *testing.T, format string, args ...any) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf(format, args...)
	}
	t.Skipf(format, args...)
}

// follower is a running example.
type follower struct {
	cmd            *exec.Cmd
	stdout, stderr procs.Output
	done           chan struct{}
}

func follow(t *testing.T, dir string, argv ...string) *follower {
	t.Helper()
	f := &follower{cmd: exec.Command(argv[0], argv[1:]...), done: make(chan struct{})}
	f.cmd.Dir, f.cmd.Stdout, f.cmd.Stderr = dir, &f.stdout, &f.stderr
	if err := f.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { _ = f.cmd.Wait(); close(f.done) }()
	t.Cleanup(func() {
		_ = f.cmd.Process.Kill()
		<-f.done
		if t.Failed() {
			t.Logf("%v\n%s%s", argv, &f.stdout, &f.stderr)
		}
	})
	eventually(t, argv[0]+" does not follow", func() error { return when(strings.Contains(f.stderr.String(), "following")) })
	return f
}

// end asks the program to end, and waits until it has.
func (f *follower) end(t *testing.T) {
	t.Helper()
	if err := f.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	select {
	case <-f.done:
	case <-time.After(patience):
		t.Fatal("the program does not end")
	}
	if code := f.cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("it ends with %d: %s", code, &f.stderr)
	}
}

// line is what both programs print.
type line struct {
	Event   string
	Call    string
	Tag     string
	Reason  string
	Seconds float64
	Packets int
	Bytes   int
	OneWay  int `json:"one_way"`
	Before  int `json:"packets_before"`
}

func (f *follower) lines(t *testing.T) (out []line) {
	t.Helper()
	for text := range strings.Lines(f.stdout.String()) {
		var l line
		if err := json.Unmarshal([]byte(text), &l); err != nil {
			t.Fatalf("%v in %q", err, text)
		}
		out = append(out, l)
	}
	return out
}

func goExample(t *testing.T) []string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "events-go")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", path, "rtpjet/examples/events-go").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return []string{path}
}

func nodeExample(t *testing.T) []string {
	t.Helper()
	node, err := exec.LookPath("node")
	if err != nil {
		missing(t, "node is not installed (Debian package nodejs)")
	}
	if _, err := os.Stat("../../../examples/events-node/node_modules/nats"); err != nil {
		missing(t, "the npm package is not installed (npm ci --prefix examples/events-node)")
	}
	return []string{node, "main.js"}
}

func TestExamples(t *testing.T) {
	t.Parallel()
	for name, program := range map[string]func(*testing.T) []string{"go": goExample, "node": nodeExample} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			argv := program(t)
			s := serve(t, "--leg-silence", "1")
			dir := "../../../examples/events-" + name
			argv = append(argv, "--nats", s.nats, "--region", region)
			copyStream(t, s.nats, "COPY")
			copied := follow(t, dir, append(slices.Clone(argv), "--stream", "COPY")...)
			now, durable := follow(t, dir, argv...), follow(t, dir, append(slices.Clone(argv), "--durable", "billing")...)

			c := s.place("first")
			c.talk()
			silent := func(f *follower) func() error {
				return func() error {
					var tags []string
					for _, l := range f.lines(t) {
						if l.Event == "silent" && l.Call == "first" && l.Before == 1 && l.Seconds >= 1 {
							tags = append(tags, l.Tag)
						}
					}
					slices.Sort(tags)
					return when(slices.Equal(tags, []string{"A", "B"}))
				}
			}
			eventually(t, "nobody is told of the silence", silent(now))
			eventually(t, "nobody is told of the silence, durably", silent(durable))

			// What happens while the durable one is away, it hears later.
			durable.end(t)
			s.ok(remove("first"))
			second := s.place("caf\xe9")
			s.ok(remove(second.id))
			again := follow(t, dir, append(slices.Clone(argv), "--durable", "billing")...)
			for _, f := range []*follower{now, again, copied} {
				var ends []line
				eventually(t, "nobody is told of the ends", func() error {
					ends = slices.DeleteFunc(f.lines(t), func(l line) bool { return l.Event != "ended" })
					return when(len(ends) == 2)
				})
				if ends[0].Call != "first" { // NATS gave it to the one that was ending, and gives it again when nobody acknowledges it
					ends[0], ends[1] = ends[1], ends[0]
				}
				first := ends[0]
				if first.Call != "first" || first.Reason != "deleted" || first.Packets != 2 || first.Bytes == 0 || first.OneWay != 0 || first.Seconds < 1 {
					t.Errorf("the first call ended with %+v", first)
				}
				if ends[1].Call != "café" || ends[1].Packets != 0 {
					t.Errorf("the second one ended with %+v", ends[1])
				}
			}
			now.end(t)
			again.end(t)
		})
	}
}

// copyStream makes a stream that copies that of the live calls.
func copyStream(t *testing.T, url, name string) {
	t.Helper()
	nc, err := nats.Connect(url)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{
		Name: name, Sources: []*jetstream.StreamSource{{Name: "CALLS_" + region}},
	}); err != nil {
		t.Fatal(err)
	}
}

// TestExamplesAgree: both programs print the same.
func TestExamplesAgree(t *testing.T) {
	t.Parallel()
	a, b := goExample(t), nodeExample(t)
	s := serve(t, "--leg-silence", "1")
	at := []string{"--nats", s.nats, "--region", region}
	one := follow(t, "../../../examples/events-go", append(a, at...)...)
	two := follow(t, "../../../examples/events-node", append(b, at...)...)
	for i := range 3 {
		s.place(fmt.Sprint("<&> ", i))
	}
	eventually(t, "silences are missing", func() error { return when(len(one.lines(t)) == 6) })
	for i := range 3 {
		s.ok(remove(fmt.Sprint("<&> ", i)))
	}
	eventually(t, "the two differ", func() error {
		x, y := one.stdout.String(), two.stdout.String()
		return when(strings.Count(x, "\n") == 9 && x == y)
	})
}

// TestLegSilence: the owner tells of a silence once, and a restart does not make it news.
func TestLegSilence(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	host := newHost()
	begin := func() *testNode {
		return startNode(t, func(o *settings) {
			o.store, o.host, o.LegSilence = s, host, 20*time.Second
			o.Timeouts.Media = time.Hour.Microseconds()
		})
	}
	told := func(n *testNode, id string) (tags []string) {
		for _, env := range n.events(id) {
			if ev, ok := env.Event.(events.LegSilent); ok {
				tags = append(tags, ev.Tag)
			}
		}
		slices.Sort(tags)
		return tags
	}
	n := begin()
	c := n.place("quiet")
	c.talk()
	n.alive(c.id)
	if tags := told(n, c.id); len(tags) > 0 {
		t.Errorf("silent already: %v", tags)
	}
	n.clock.advance(25 * time.Second)
	eventually(t, "nobody is told", func() error { return when(slices.Equal(told(n, c.id), []string{"A", "B"})) })
	n.clock.advance(25 * time.Second)
	n.alive(c.id)
	if tags := told(n, c.id); len(tags) != 2 {
		t.Errorf("told again: %v", tags)
	}
	n.stop()
	n = begin()
	n.clock.advance(25 * time.Second)
	n.alive(c.id)
	if tags := told(n, c.id); len(tags) != 2 {
		t.Errorf("told again after a restart: %v", tags)
	}
	n.ok(remove(c.id))
	all := n.events(c.id)
	if end := all[len(all)-1].Event.(events.Ended); end.Created != all[0].At || end.Created == 0 {
		t.Errorf("the call began at %d, and its end says %d", all[0].At, end.Created)
	}
}
