package replica_test

import (
	"flag"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"rtpjet/events"
	"rtpjet/projection/replica"
	"rtpjet/relay/plan"
)

var rewrite = flag.Bool("rewrite", false, "write the outputs of scripts anew")

// TestScripts plays what happens to a replica. A script is a list of commands, each with the state of the replica after it:
// what the log has, how far that is known, what waits, what changed, and what is to be done.
func TestScripts(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("testdata", "*.txt"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, f := range files {
		t.Run(strings.TrimSuffix(filepath.Base(f), ".txt"), func(t *testing.T) { runScript(t, f) })
	}
}

func runScript(t *testing.T, file string) {
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	n := newFakeNode(&fakeLog{})
	var out []string
	for line := range strings.Lines(string(data)) {
		line = strings.TrimRight(line, "\n")
		command, want, _ := strings.Cut(line, " => ")
		command = strings.TrimSpace(command)
		if command == "" || strings.HasPrefix(command, "#") {
			out = append(out, line)
			continue
		}
		got := n.command(t, strings.Fields(command))
		if got != want && !*rewrite {
			t.Errorf("%s\n got %s\nwant %s", command, got, want)
		}
		out = append(out, fmt.Sprintf("%-28s => %s", command, got))
	}
	if *rewrite {
		if err := os.WriteFile(file, []byte(strings.Join(out, "\n")+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// command carries out one line.
func (n *fakeNode) command(t *testing.T, words []string) string {
	said := ""
	say := func(err error) {
		if said = "ok"; err != nil {
			said = err.Error()
		}
	}
	arg := func(i int) string {
		if i < len(words) {
			return words[i]
		}
		return ""
	}
	number := func(i int) int64 {
		v, err := strconv.ParseInt(arg(i), 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	switch words[0] {
	case "serve":
		n.core.ServeUnlogged = true
	case "carries":
		n.carries = arg(1)
	case "full":
		n.full = true
	case "log":
		n.log.mute, n.log.deaf = arg(1) == "mute", arg(1) == "deaf"
		n.unattended = arg(1) == "away"
		n.log.mute = n.log.mute || n.unattended
	case "own":
		_, err := n.act(event(t, words[1:]))
		say(err)
	case "other":
		n.other(event(t, words[1:]))
	case "garble":
		if _, err := n.log.append(n.log.last(), []byte("?")); err != nil {
			t.Fatal(err)
		}
	case "stream":
		for _, in := range n.log.since(n.Logged().Seq) {
			n.Fold(in)
		}
	case "early":
		in := n.log.entries[number(1)-1]
		in.Early = true
		n.Fold(in)
	case "catch-up":
		say(n.CatchUp(n))
	case "refresh":
		say(n.Refresh(n))
	case "publish":
		say(n.Publish(n))
	case "compare":
		n.Compare(n, uint64(number(1)))
	case "retired":
		n.log.gone = len(n.log.entries)
	case "restart":
		left, core := n.file, n.core
		*n = fakeNode{log: n.log, now: n.now, carries: n.carries, core: core, file: left}
		n.core.Carries = func(owner string) bool { return owner == n.carries }
		n.Replica = replica.New(&n.core)
		n.inherit()
	case "routed":
		n.Routed()
	case "wait":
		n.now += number(1) * 1e6
	case "due":
		ev := n.Due(n.now, n.care(t, words[1:]))
		if said = "nothing"; ev != nil {
			said = string(events.KindOf(ev))
			if end, ok := ev.(events.Ended); ok {
				said += " " + string(end.Reason)
			}
		}
	case "over":
		said = fmt.Sprint(n.Over(n.now))
	default:
		t.Fatalf("no command %q", words)
	}
	return strings.TrimSpace(said + " " + n.state())
}

// inherit folds the log as a process that starts, and takes over what the one before has left.
func (n *fakeNode) inherit() {
	var inbox replica.Inbox
	for _, in := range n.log.since(0) {
		inbox.Collect(in)
	}
	batch := inbox.Take()
	for _, in := range batch {
		n.Fold(in)
	}
	var left []replica.Event
	for _, data := range n.file {
		env, err := events.Decode(data)
		if err != nil {
			panic(err)
		}
		left = append(left, replica.Event{Envelope: env, Data: data})
	}
	if len(left) > 0 {
		n.Took(events.Envelope{}, n.Inherit(left, batch))
	}
	n.Routed()
}

func event(t *testing.T, words []string) events.Event {
	port := uint16(100)
	if len(words) > 1 {
		if v, err := strconv.ParseUint(words[len(words)-1], 10, 16); err == nil {
			port = uint16(v)
		}
	}
	switch words[0] {
	case "offer":
		return offered(words[1], port)
	case "answer":
		return moved(port)
	case "block":
		return blocked(true)
	case "unblock":
		return blocked(false)
	case "end":
		return events.Ended{Reason: events.ReasonDeleted}
	case "takeover":
		epoch := uint64(2)
		return events.TakenOver{Owner: words[1], From: "n1", Epoch: epoch, Parties: []events.Party{party(0, 200), party(1, 202)}}
	}
	t.Fatalf("no event %q", words)
	return nil
}

// care reads how the call is looked after: carried [last=SECONDS], or gone SECONDS.
func (n *fakeNode) care(t *testing.T, words []string) replica.Care {
	if len(words) == 0 {
		return replica.Care{}
	}
	v := int64(0)
	if len(words) > 1 {
		var err error
		if v, err = strconv.ParseInt(words[1], 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	if words[0] == "gone" {
		return replica.Care{Caretaker: true, Gone: v * 1e6}
	}
	return replica.Care{Carried: true, Silences: true, Stats: func(netip.AddrPort) (plan.Stats, bool) {
		return plan.Stats{LastPacket: n.now - v*1e6}, true
	}}
}

// state says how the replica is, and takes what has changed.
func (n *fakeNode) state() string {
	var parts []string
	add := func(format string, args ...any) { parts = append(parts, fmt.Sprintf(format, args...)) }
	base := n.Logged()
	switch c := &n.Call; {
	case c.Live():
		add("%s of %s", map[bool]string{true: "live", false: "live, blocked"}[!c.Blocked], c.Owner)
	case c.Ended:
		add("ended")
	default:
		add("none")
	}
	add("log %d/%d", base.Seq, len(n.log.entries))
	if n.Waiting() {
		add("served %s, waits %s", n.Call.Owner, kinds(n.file))
	}
	if n.First() > 0 {
		add("from %d", n.First())
	}
	if n.Unrouted() {
		add("unrouted")
	}
	for name, list := range map[string]*[][]byte{"published": &n.published, "dropped": &n.dropped} {
		if len(*list) > 0 {
			add("%s %s", name, kinds(*list))
		}
		*list = nil
	}
	if len(n.free) > 0 {
		add("frees %s", ports(n.free))
	}
	if n.lost {
		add("lost")
	}
	n.free, n.lost = nil, false
	slices.Sort(parts[1:])
	return strings.Join(parts, "; ")
}

func kinds(list [][]byte) string {
	var out []string
	for _, data := range list {
		out = append(out, kind(data))
	}
	return strings.Join(out, " ")
}

func ports(list []netip.AddrPort) string {
	var out []string
	for _, a := range list {
		out = append(out, fmt.Sprint(a.Port()))
	}
	return strings.Join(out, " ")
}
