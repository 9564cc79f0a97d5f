package cli

import (
	"bytes"
	"context"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"rtpjet/cmd/rtpjet/admin"
	"rtpjet/cmd/rtpjet/config"
	"rtpjet/events"
	"rtpjet/projection"
	"rtpjet/projection/history/historytest"
	"rtpjet/projection/members"
	"rtpjet/projection/regions"
	"rtpjet/relay/plan"
)

// node list has zones where a node has one.
func TestNodeListZones(t *testing.T) {
	rows := []admin.Node{
		{Lease: members.Lease{Node: "n1", Zone: "eu/a", Interfaces: []members.LeaseInterface{
			{Name: "pub", Zone: "eu/b"}, {Name: "pub", Zone: "eu/b"}, {Name: "priv", Zone: "eu/a"},
		}}, Verdict: "alive"},
		{Lease: members.Lease{Node: "n2", Interfaces: []members.LeaseInterface{{Name: "pub"}}}, Verdict: "alive"},
	}
	print := func(rows []admin.Node) []string {
		var b bytes.Buffer
		if err := printNodes(&b, rows); err != nil {
			t.Fatal(err)
		}
		return strings.Split(b.String(), "\n")
	}
	lines := print(rows)
	if h := strings.Fields(lines[0]); h[2] != "ZONE" || !strings.Contains(lines[1], "  eu/a pub=eu/b  0 ") || !strings.Contains(lines[2], "alive  -    ") {
		t.Errorf("%s", strings.Join(lines, "\n"))
	}
	if lines = print(rows[1:]); strings.Contains(lines[0], "ZONE") {
		t.Errorf("%s", lines[0])
	}
}

// TestNodes: what operators see of nodes, floating addresses and regions, and what they have nodes do.
func TestNodes(t *testing.T) {
	r := newRegion(t)
	golden(t, "nobody.txt", r.transcript("node list", "float list", "region list", "node list --json", "float list --json", "region list --json",
		"node drain n1", "node takeover n1", "float move pub", "region adopt us", "region forget us"))

	float := admin.FloatStatus{Float: "192.0.2.100", Addresses: []string{"pub/192.0.2.100", "priv/10.0.0.100"}, Epoch: 3, Holder: "n1", Successor: "n2", Calls: 4}
	held := float
	held.Holding = true
	moving := admin.FloatStatus{Float: "192.0.2.101", Addresses: []string{"pub/192.0.2.101"}, Epoch: 1, Holder: "n1", Holding: true, Moves: "n2"}
	vacant := admin.FloatStatus{Float: "192.0.2.102", Addresses: []string{"pub/192.0.2.102"}}
	warm := float
	warm.Warm = true
	elsewhere := moving
	elsewhere.Holder, elsewhere.Holding = "n2", false
	r.join(&peer{
		lease: up("n1"), reply: admin.Reply{Calls: 4, Node: "n2"},
		status: admin.Status{Own: 4, Foreign: 2, Writes: 3, WritesFor: "node n2", Floats: []admin.FloatStatus{held, moving, vacant},
			Peers: []members.Peer{{Beat: members.Beat{Node: "n3"}, Verdict: members.Gone}},
			Regions: []regions.Status{
				{Region: "us", State: regions.Up, AgeMS: 130, Lag: 2, RTTMS: 88.4, SkewMS: -3, Cuts: 1, Calls: 12},
				{Region: "ap", State: regions.Refused, Reason: "region ap has another cluster key: give it ours", AgeMS: -1},
			}},
	})
	r.join(&peer{
		lease: up("n2"), reply: admin.Reply{Error: "it cannot be done", Calls: 1},
		status: admin.Status{Own: 1, Draining: true, Floats: []admin.FloatStatus{warm, elsewhere},
			Regions: []regions.Status{{Region: "us", State: regions.CutOff, AgeMS: 5130, AdoptedBy: "eu"}}},
	})
	r.join(&peer{lease: members.Lease{Node: "n4", State: members.Lost, By: "n1", Started: historytest.New().Now}})
	gone := up("n3")
	if _, err := r.log.PutLease(t.Context(), members.LeasePrefix+"n3", gone.Encode(), 0); err != nil {
		t.Fatal(err)
	}
	golden(t, "nodes.txt", r.transcript("node list", "float list", "region list", "float list --json", "region list --json",
		"node drain n1 --move", "node undrain n1", "node drain n2", "node drain n3", "node takeover n3", "node takeover n1", "node takeover n9",
		"float move pub", "float move 10.0.0.100 n2", "float move 192.0.2.100 n1", "float move 192.0.2.102", "float move nowhere",
		"region adopt us --without ap", "region forget us"))
}

// TestDrainWait: node drain --wait says how many calls there are, until there are none, or the node ends, or somebody undrains it.
func TestDrainWait(t *testing.T) {
	for name, tt := range map[string]struct {
		line string
		step func(p *peer, leave func()) // what happens when the node is asked how it is
		out  string
		err  string
	}{
		"empty": {"node drain n1 --wait", func(p *peer, _ func()) { p.status.Own-- }, "n1 takes no new calls; it has 2.\n1 calls\nn1 has no more calls.\n", ""},
		"ended": {
			"node drain n1 --wait --stop", func(_ *peer, leave func()) { leave() },
			"n1 takes no new calls; it has 2.\n2 calls\nn1 has ended.\n", "",
		},
		"gone": {"node drain n1 --wait", func(_ *peer, leave func()) { leave() }, "n1 takes no new calls; it has 2.\n2 calls\n", "node n1 does not run"},
		"undrained": {
			"node drain n1 --wait", func(p *peer, _ func()) { p.status.Draining = false }, "n1 takes no new calls; it has 2.\n",
			"node n1 takes new calls again: somebody has undrained it",
		},
		"over": {
			"node drain n1 --wait --deadline 1.5", func(*peer, func()) {}, "n1 takes no new calls; it has 2.\n2 calls\n",
			"the deadline is over, and node n1 has 2 calls",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRegion(t)
			p := &peer{lease: up("n1"), status: admin.Status{Own: 2}, reply: admin.Reply{Calls: 2}}
			leave := r.join(p)
			var once sync.Once
			p.asks = func() { tt.step(p, func() { once.Do(func() { go leave() }) }) }
			out, err := r.run(tt.line)
			if out != tt.out || (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
				t.Errorf("%q, %v", out, err)
			}
		})
	}
}

// TestWhyAlive: what keeps a call, by the word of the node that has it.
func TestWhyAlive(t *testing.T) {
	r := newRegion(t)
	s := living()
	r.write(s, "call")
	float := historytest.New()
	float.Owner = "float.192.0.2.100"
	float.Do("offer", "from-tag", "alice", "sdp", historytest.SDP("198.51.100.1", 4000))
	r.write(float, "floating")
	golden(t, "why-nobody.txt", r.transcript("call why-alive call", "call why-alive floating"))

	locals := s.Call.Locals()
	now := s.Now + 10_000_000
	n1 := &peer{lease: up("n1"), why: admin.WhyReply{
		Carried: true, Now: now,
		Timeouts: projection.Timeouts{Media: 60_000_000, Silent: 3600_000_000, Offer: 3600_000_000, Final: 7200_000_000},
		Stats:    []admin.SocketStats{{Local: locals[0], Stats: plan.Stats{LastPacket: now - 2_000_000}}},
	}}
	r.join(n1)
	lines := []string{"call why-alive call", "call why-alive floating"}
	text := r.transcript(lines...)
	n1.now(func() { n1.why.Timeouts = projection.Timeouts{} })
	text += r.transcript(lines[0])
	n1.now(func() { n1.why.Carried = false })
	text += r.transcript(lines[0])
	n1.now(func() { n1.why.Unknown = true })
	text += r.transcript(lines[0])
	n1.now(func() {
		n1.status.Floats = []admin.FloatStatus{{Float: "192.0.2.100", Holder: "n1", Holding: true, Epoch: 2}}
	})
	text += r.transcript(lines[1])
	golden(t, "why.txt", text)

}

// TestAttachErrors: a region that is not there, and a NATS that is not there.
func TestAttachErrors(t *testing.T) {
	r := newRegion(t)
	if _, err := r.run("call list --region us"); err == nil || !strings.Contains(err.Error(), "us") {
		t.Error(err)
	}
	r.url = "nats://127.0.0.1:1"
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for _, line := range []string{"call list", "node list", "replay --all"} {
		if out, err := r.runWith(ctx, line); err == nil || !strings.Contains(err.Error(), "cannot reach NATS at nats://127.0.0.1:1") || out != "" {
			t.Errorf("%s: %q, %v", line, out, err)
		}
	}
}

// TestJobs: each command that config reads for operators is carried out here.
func TestJobs(t *testing.T) {
	for name := range jobs {
		cmd, err := config.ParseArgs(t.Context(), append([]string{"help"}, strings.Fields(name)...), config.Env{})
		if err != nil || cmd.Topic != name {
			t.Errorf("there is no help on %s: %v", name, err)
		}
	}
	for _, name := range []string{"serve", "call", ""} {
		if err := Run(t.Context(), config.Command{Name: name}, &bytes.Buffer{}); err == nil || !strings.Contains(err.Error(), "is no command for a cluster") {
			t.Errorf("%q: %v", name, err)
		}
	}
}

// TestDescribeEvent: one line has what most want to know.
func TestDescribeEvent(t *testing.T) {
	for _, tt := range []struct {
		ev   events.Event
		want string
	}{
		{events.EndpointLearned{Party: 1, Media: 0, Remote: netip.MustParseAddrPort("192.0.2.7:4000")}, "by n1, party 1 media 1 sends from 192.0.2.7:4000"},
		{events.Ended{Reason: events.ReasonTimeout, RTP: events.Counters{Packets: 3}}, "RTP 3 packets, RTCP 0 packets"},
		{events.DeletionScheduled{At: 1_785_578_400_000_000}, "by n1, for 10:00:00.000"},
	} {
		if got := describeEvent(events.Envelope{Node: "n1", Event: tt.ev}); !strings.HasSuffix(got, tt.want) {
			t.Errorf("%s\nwant %s", got, tt.want)
		}
	}
	env := events.Envelope{Node: "n1", Event: events.Ended{}, Cause: &events.Cause{Cookie: "c 1", From: netip.MustParseAddrPort("192.0.2.50:5070")}}
	if got := describeEvent(env); !strings.Contains(got, `asked by 192.0.2.50:5070 with cookie "c 1"`) {
		t.Error(got)
	}
	if got := terminalWidth(&bytes.Buffer{}); got != 0 {
		t.Errorf("a buffer is a terminal of %d columns", got)
	}
}
