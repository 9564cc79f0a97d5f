package cli

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rtpjet/cmd/rtpjet/admin"
	"rtpjet/cmd/rtpjet/config"
	"rtpjet/embed"
	"rtpjet/embed/server"
	"rtpjet/events"
	"rtpjet/projection/history/historytest"
	"rtpjet/projection/members"
)

var update = flag.Bool("update", false, "write golden files anew")

// region is a log on a NATS of its own, as the commands find it.
type region struct {
	t   *testing.T
	url string
	log *embed.Log
}

func newRegion(t *testing.T) *region {
	t.Helper()
	quiet := slog.New(slog.NewTextHandler(io.Discard, nil))
	ns, err := server.Start(t.Context(), server.Config{NodeID: "n1", Region: "default", StoreDir: t.TempDir(), Listen: "127.0.0.1:0", Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(ns.Shutdown)
	nc, err := ns.Connect()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	l, err := embed.Open(t.Context(), nc, embed.Config{Region: "default", Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	return &region{t: t, url: ns.URL(), log: l}
}

// write puts the events of a story into the log, under another call-id if one is named.
func (r *region) write(s *historytest.Story, callID string) {
	r.t.Helper()
	last := uint64(0)
	for _, e := range s.History() {
		env := e.Envelope
		env.Call = callID
		data, err := events.Encode(env)
		if err != nil {
			r.t.Fatal(err)
		}
		if last, err = r.log.Append(r.t.Context(), events.Key(callID), last, data); err != nil {
			r.t.Fatal(err)
		}
	}
}

// run carries out a command line. NATS and the region are added.
func (r *region) run(line string) (string, error) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), time.Minute)
	defer cancel()
	return r.runWith(ctx, line)
}

func (r *region) runWith(ctx context.Context, line string) (string, error) {
	r.t.Helper()
	return r.runWords(ctx, strings.Fields(line)...)
}

// runWords is runWith for words that have space or worse in them.
func (r *region) runWords(ctx context.Context, words ...string) (string, error) {
	r.t.Helper()
	first := min(2, len(words))
	if words[0] == "replay" {
		first = 1
	}
	line := append(slices.Clone(words[:first]), "--nats", r.url)
	cmd, err := config.ParseArgs(ctx, append(line, words[first:]...), config.Env{})
	if err != nil {
		r.t.Fatalf("%q: %v", words, err)
	}
	var out bytes.Buffer
	err = Run(ctx, cmd, &out)
	return out.String(), err
}

// transcript is what a terminal would show of commands.
func (r *region) transcript(lines ...string) string {
	r.t.Helper()
	var all strings.Builder
	for _, line := range lines {
		out, err := r.run(line)
		fmt.Fprintf(&all, "$ rtpjet %s\n%s", line, out)
		if err != nil {
			fmt.Fprintf(&all, "! %s\n", strings.ReplaceAll(err.Error(), "\n", "\n! "))
		}
		all.WriteString("\n")
	}
	return all.String()
}

// golden compares a text with a file of testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	name = filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(name, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got, "\n")); diff != "" {
		t.Errorf("%s (-file +now):\n%s", name, diff)
	}
}

// peer is a node that answers operators from what the test has put into it.
type peer struct {
	lease  members.Lease
	status admin.Status
	why    admin.WhyReply
	reply  admin.Reply
	asks   func() // called when the node is asked how it is

	mu sync.Mutex // of status and why
}

func (p *peer) Status(context.Context) admin.Status {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.asks != nil {
		p.asks()
	}
	s := p.status
	s.Node = p.lease.Node
	return s
}
func (p *peer) Why(admin.WhyRequest) admin.WhyReply {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.why
}

// now changes what a node that runs says.
func (p *peer) now(change func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change()
}
func (p *peer) Drain(_ context.Context, req admin.DrainRequest, answer func(admin.Reply)) {
	p.mu.Lock()
	p.status.Draining = req.On
	p.mu.Unlock()
	answer(p.reply)
}
func (p *peer) Takeover(context.Context, admin.TakeoverRequest) admin.Reply { return p.reply }
func (p *peer) Move(context.Context, admin.MoveRequest) admin.Reply         { return p.reply }
func (p *peer) Adopt(context.Context, admin.AdoptRequest) admin.Reply       { return p.reply }
func (p *peer) Forget(context.Context, admin.ForgetRequest) admin.Reply     { return p.reply }

// join has a node hold its lease, and answer if it is up.
func (r *region) join(p *peer) (leave func()) {
	r.t.Helper()
	if _, err := r.log.PutLease(r.t.Context(), members.LeasePrefix+p.lease.Node, p.lease.Encode(), 0); err != nil {
		r.t.Fatal(err)
	}
	if p.lease.State != members.Up {
		return func() {}
	}
	stop, err := admin.Listen(r.t.Context(), r.log, p.lease.Node, p)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(stop)
	return stop
}

// up is the lease of a node that runs since the begin of the stories.
func up(node string) members.Lease {
	return members.Lease{Node: node, State: members.Up, Epoch: 1, Version: "v1", Started: historytest.New().Now, NG: []string{"192.0.2.1:2223"}}
}

// ordinary is a call that was taken over, and has ended.
func ordinary() *historytest.Story {
	s := living()
	s.TakeOver("n2", "owner gone")
	s.Do("offer", "from-tag", "bob", "to-tag", "alice", "sdp", historytest.SDP("198.51.100.2", 6000, "a=sendonly"))
	s.Do("answer", "from-tag", "bob", "to-tag", "alice", "sdp", historytest.SDP("198.51.100.1", 4000, "a=recvonly"))
	s.Wait(40_000_000)
	s.Do("block media", "from-tag", "alice")
	s.Do("delete", "from-tag", "alice")
	s.Wait(29_999_000)
	s.Note(events.Ended{Reason: events.ReasonDeleted, RTP: events.Counters{Packets: 6400, Bytes: 1100800}, OneWay: 1})
	return s
}

// living is a call that goes on.
func living() *historytest.Story {
	s := historytest.New()
	s.Do("offer", "from-tag", "alice", "sdp", historytest.SDP("198.51.100.1", 4000))
	s.Wait(2_300_000)
	s.Do("answer", "from-tag", "alice", "to-tag", "bob", "sdp", historytest.SDP("198.51.100.2", 6000))
	s.Wait(80_000)
	s.Learn(0, 0, "203.0.113.9:4711")
	return s
}
