package members_test

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"rtpjet/projection/members"
	"rtpjet/relay/plan"
)

const (
	ms      = int64(1000)
	silence = 600 * ms
	beat    = 50 * ms
)

// world plays one node's view: time passes in beats, and each peer is heard on the paths that are open to it.
type world struct {
	t     *members.Table
	now   int64
	nats  map[string]bool // heard by NATS
	udp   map[string]bool
	dead  map[string]bool // its machine refuses UDP
	asked map[string]bool // NATS says that there is nobody
	off   bool            // our own NATS is away
	epoch uint64
}

func newWorld(peers ...string) *world {
	w := &world{
		t: members.New(members.Config{Self: "me", Silence: silence, Beat: beat}, 0), epoch: 1,
		nats: map[string]bool{}, udp: map[string]bool{}, dead: map[string]bool{}, asked: map[string]bool{},
	}
	for _, p := range peers {
		w.nats[p], w.udp[p] = true, true
	}
	w.locate("", append(peers, "me")...)
	w.pass(time(1000))
	return w
}

// locate notes a zone of nodes that have one interface.
func (w *world) locate(zone string, nodes ...string) {
	for _, n := range nodes {
		w.t.Locate(n, zone, interfaces(plan.Interface{Name: "pub", Zone: zone}))
	}
}

// interfaces is a table of interfaces, whose addresses do not matter.
func interfaces(list ...plan.Interface) *plan.Interfaces {
	for i := range list {
		list[i].Addr, list[i].Ports = netip.AddrFrom4([4]byte{192, 0, 2, byte(i + 1)}), plan.PortRange{Min: 1000, Max: 2000}
	}
	t, err := plan.NewInterfaces(list, nil)
	if err != nil {
		panic(err)
	}
	return t
}

func time(ms int64) int64 { return ms * 1000 }

func (w *world) pass(d int64) {
	for end := w.now + d; w.now < end; {
		w.now += beat
		w.t.Tick(!w.off, w.now)
		for p, on := range w.nats {
			if on && !w.off {
				w.t.Heard(members.NATS, members.Beat{Node: p, Epoch: w.epoch, Room: -1}, 0, w.now)
			}
		}
		for p, on := range w.udp {
			if on {
				w.t.Heard(members.UDP, members.Beat{Node: p, Epoch: w.epoch}, 0, w.now)
			}
		}
		for p, on := range w.dead {
			if on {
				w.t.Refused(p, w.now)
			}
		}
		for p, on := range w.asked {
			if on {
				w.t.Absent(p, w.now)
			}
		}
	}
}

func (w *world) expect(t *testing.T, node string, want members.Verdict) {
	t.Helper()
	if got := w.t.Judge(node, w.now); got != want {
		t.Errorf("at %d ms node %s is %v, want %v", w.now/ms, node, got, want)
	}
}

// The cases of the package comment.
func TestVerdicts(t *testing.T) {
	w := newWorld("a", "b")
	w.expect(t, "a", members.Alive)
	w.expect(t, "me", members.Alive)

	w.nats["a"] = false // cut off from NATS, relaying
	w.pass(silence + beat)
	w.expect(t, "a", members.Silent)
	w.pass(20 * silence)
	w.expect(t, "a", members.Silent)
	w.expect(t, "b", members.Alive)
	w.udp["a"] = false // now the machine is gone
	w.pass(silence - beat)
	w.expect(t, "a", members.Silent)
	w.pass(2 * beat)
	w.expect(t, "a", members.Gone)
	w.nats["a"] = true
	w.pass(beat)
	w.expect(t, "a", members.Alive)
}

// A killed process is known at once: its machine refuses, and NATS knows nobody.
func TestKilled(t *testing.T) {
	w := newWorld("a")
	w.nats["a"], w.udp["a"], w.dead["a"] = false, false, true
	w.pass(beat)
	w.expect(t, "a", members.Alive) // one refusal may be a restart
	w.asked["a"] = true
	w.pass(beat)
	w.expect(t, "a", members.Gone)

	w = newWorld("a") // without a question, silence of three beats says it
	w.nats["a"], w.udp["a"], w.dead["a"] = false, false, true
	w.pass(4 * beat)
	w.expect(t, "a", members.Gone)

	w = newWorld("a") // a machine that refuses while NATS hears the node: a firewall
	w.udp["a"], w.dead["a"] = false, true
	w.pass(10 * silence)
	w.expect(t, "a", members.Alive)
}

// A node that was asleep, or without NATS, hears everybody late and judges nobody.
func TestAsleep(t *testing.T) {
	w := newWorld("a")
	w.now += 10 * silence
	w.expect(t, "a", members.Silent)
	w.t.Tick(true, w.now)
	w.expect(t, "a", members.Alive) // nothing was missed while it listened
	w.pass(beat)
	w.expect(t, "a", members.Alive)

	w.off, w.udp["a"] = true, false
	w.pass(10 * silence)
	w.expect(t, "a", members.Silent)
	w.off, w.nats["a"] = false, false
	w.pass(silence)
	w.expect(t, "a", members.Silent)
	w.pass(2 * beat)
	w.expect(t, "a", members.Gone)
}

// A sleep does not make a node that is gone look alive for longer than it was not listened for.
func TestAsleepWhileGone(t *testing.T) {
	w := newWorld("a")
	w.nats["a"], w.udp["a"] = false, false
	w.pass(silence / 2)
	w.now += silence
	w.t.Tick(true, w.now)
	w.expect(t, "a", members.Alive)
	w.pass(silence/2 + 2*beat)
	w.expect(t, "a", members.Gone)
}

// A node that was never heard of is gone once we have listened for long enough.
func TestNeverHeard(t *testing.T) {
	w := newWorld()
	w.t.Judge("ghost", w.now)
	w.pass(silence)
	w.expect(t, "ghost", members.Gone)
	w.nats["nat-only"] = true // never by UDP: NATS alone is trusted for longer
	w.pass(silence)
	w.nats["nat-only"] = false
	w.pass(2 * silence)
	w.expect(t, "nat-only", members.Silent)
	w.pass(4 * silence)
	w.expect(t, "nat-only", members.Gone)
}

func TestLeaving(t *testing.T) {
	w := newWorld("a")
	w.t.Heard(members.NATS, members.Beat{Node: "a", Epoch: 1, Leaving: true}, 0, w.now)
	w.expect(t, "a", members.Gone)
	w.t.Heard(members.NATS, members.Beat{Node: "a", Epoch: 0}, 0, w.now) // a late beat of an earlier process
	w.expect(t, "a", members.Gone)
	w.t.Heard(members.NATS, members.Beat{Node: "a", Epoch: 2}, 0, w.now) // it is back
	w.expect(t, "a", members.Alive)
}

// Of all that are alive, just one looks after a key.
func TestCaretaker(t *testing.T) {
	nodes := []string{"a", "b", "c"}
	for k := range 200 {
		key, found := fmt.Sprint("key", k), 0
		for _, self := range nodes {
			tab := members.New(members.Config{Self: self, Silence: silence, Beat: beat}, 0)
			tab.Tick(true, 0)
			for _, p := range nodes {
				tab.Heard(members.NATS, members.Beat{Node: p, Epoch: 1}, 0, 1)
			}
			if tab.Caretaker(key, 1) {
				found++
			}
		}
		if found != 1 {
			t.Fatalf("%s has %d caretakers", key, found)
		}
	}
}

func TestLease(t *testing.T) {
	table, err := plan.NewInterfaces([]plan.Interface{
		{Name: "pub", Addr: netip.MustParseAddr("192.0.2.1"), Advertised: netip.MustParseAddr("203.0.113.1"), Ports: plan.PortRange{Min: 30000, Max: 30099}, Zone: "eu/fra/b"},
		{Name: "priv", Addr: netip.MustParseAddr("2001:db8::1"), Ports: plan.PortRange{Min: 40000, Max: 40099}},
	}, map[string]string{"default": "pub"})
	if err != nil {
		t.Fatal(err)
	}
	l := members.Lease{Format: 1, Node: "n1", Zone: "eu/fra/a", Epoch: 7, State: members.Up, Instance: "i", UDP: netip.MustParseAddrPort("192.0.2.1:5000"), NG: []string{"192.0.2.1:2223"}}
	l.Describe(table)
	got, err := members.DecodeLease(l.Encode())
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(l, got, cmpopts.EquateComparable(netip.Addr{}, netip.AddrPort{})); d != "" {
		t.Error(d)
	}
	again, err := got.Table()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"", "pub", "priv", "default", "other"} {
		for _, family := range []string{"IP4", "IP6"} {
			a, aok := table.Lookup(name, family, 0)
			b, bok := again.Lookup(name, family, 0)
			if aok != bok || a.Name != b.Name || a.Addr != b.Addr || a.Advertised != b.Advertised || a.Ports != b.Ports || a.Zone != b.Zone {
				t.Errorf("Lookup(%q, %q): %v %v, before %v %v", name, family, b, bok, a, aok)
			}
		}
	}
	if _, err := members.DecodeLease([]byte("nonsense")); err == nil {
		t.Error("nonsense is a lease")
	}
}
