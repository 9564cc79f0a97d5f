package regions

import (
	"fmt"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"

	"rtpjet/embed"
	"rtpjet/events"
	"rtpjet/projection/regions"
	"rtpjet/tests/lab"
)

// refusedWith waits until a node marks a region with a sentence that has all the words, and checks that its own calls go on.
func (n *node) refusedWith(region string, words ...string) {
	t := n.r.w.t
	t.Helper()
	s := n.until(region, "refused with "+strings.Join(words, ", "), func(s regions.Status) bool {
		for _, w := range words {
			if !strings.Contains(s.Reason, w) {
				return false
			}
		}
		return s.State != regions.Up
	})
	t.Logf("%s about %s: %s: %s", n.name(), region, s.State, s.Reason)
	n.works()
}

// works checks that a region carries its own calls.
func (n *node) works() {
	w := n.r.w
	w.t.Helper()
	k := w.place(n, n)
	w.must(k.reinvite(n, n))
	n.ok(remove(k.id))
}

// lead has what a region dials of another one lead elsewhere.
func (w *world) lead(from, to string, target *node) {
	for _, p := range w.links[[2]string{from, to}] {
		p.set(func() { p.target = target.at(7422) })
		p.sever()
	}
}

// start starts nodes and waits until they answer.
func (w *world) start(list ...*node) {
	w.t.Helper()
	for _, n := range list {
		n.spawn()
	}
	for _, n := range list {
		n.ready()
	}
}

// There is a second region of the same name. It is refused by who knows the first one, also when it stands in that one's place.
func TestTwoOfOneName(t *testing.T) {
	lab.Only(t, "four regions and their restarts")
	t.Parallel()
	w := joined(t, "eu", "us")
	eu, us := w.at("eu"), w.at("us")
	k := w.place(us, us)
	w.agree(eu.r, us.r)

	second := w.add("us", 1)
	w.peer(second, "eu", eu.r)
	twin := second.nodes[0]
	twin.id = "n2" // two servers of one name would take each other's place in the NATS of eu, over and over
	w.start(twin)
	twin.refusedWith("eu", "region eu refuses this one", "another region us", "region forget us")
	w.agree(eu.r, us.r)
	w.must(k.reinvite(eu, eu))
	w.must(k.carried(us))

	for range 10 { // the stream of the second one goes on where that of the first one has not come to yet
		twin.works()
	}
	w.lead("eu", "us", twin)
	eu.refusedWith("us", "region us is another one than before", "two of that name", "rtpjet region forget us")
	eventually(t, "eu does not mirror the second region, which is what is to be undone", func() error {
		n, err := eu.entries("us")
		if err == nil && len(n) < 20 {
			err = fmt.Errorf("%d entries", len(n))
		}
		return err
	})
	twin.works()
	us.works()
	eu.proc.Kill()
	w.start(eu)
	eu.refusedWith("us", "region us is another one than before")
	eu.fails([]string{"cannot be adopted"}, "region", "adopt", "us")
	eu.refused(remove(k.id), reasonRegion)

	w.lead("eu", "us", us)
	w.agree(eu.r, us.r)
	w.must(k.reinvite(eu, eu))
	w.must(k.carried(us))
	eu.ok(remove(k.id))
}

// A region has begun anew, without what it had. Once an operator says so, it is the one of its name.
func TestForget(t *testing.T) {
	lab.Only(t, "waits for what a cut leads to")
	t.Parallel()
	w := joined(t, "eu", "us")
	eu, us := w.at("eu"), w.at("us")
	lost := w.place(us, us)
	w.agree(w.regions...)
	us.proc.Kill()
	us.dir += "-anew"
	w.start(us)
	eu.refusedWith("us", "region us is another one than before")
	us.refusedWith("eu", "region eu refuses this one")
	if _, err := eu.tool("region", "forget", "us"); err != nil {
		t.Fatal(err)
	}
	w.agree(w.regions...)
	eu.refused(query(lost.id), reasonUnknown)
	k := w.place(us, us)
	w.agree(w.regions...)
	w.must(k.reinvite(eu, eu))
	w.must(k.carried(us))
	eu.ok(remove(k.id))
	w.agree(w.regions...)
}

// The addresses of other regions are wrong, or their key is.
func TestWrongPeers(t *testing.T) {
	lab.Only(t, "waits for connections that must not be")
	t.Parallel()
	w := newWorld(t)
	eu, us, other := w.add("eu", 1), w.add("us", 1), w.add("other", 1)
	other.key = w.keyFile("quite another key, but just as long")
	w.peer(eu, "us", us)
	w.peer(us, "eu", eu)
	w.peer(eu, "asia", us)   // it is us
	w.peer(eu, "africa", eu) // it is eu itself
	w.peer(eu, "other", other)
	w.peer(other, "eu", eu)
	w.start(w.nodes...)
	n := eu.nodes[0]
	n.refusedWith("asia", "us", "--region-peer")
	n.refusedWith("africa", "not of region africa", "our region's name")
	n.refusedWith("other", "--cluster-key-file")
	other.nodes[0].refusedWith("eu", "--cluster-key-file")
	w.agree(eu, us)
	k := w.place(n, us.nodes[0])
	us.nodes[0].ok(remove(k.id))
}

// The events of a call are of a newer release than its neighbours have.
func TestNewerEvents(t *testing.T) {
	lab.Only(t, "regions of two builds")
	t.Parallel()
	w := joined(t, "eu", "us")
	eu, us := w.at("eu"), w.at("us")
	k, other := w.place(us, us), w.place(us, us)
	w.agree(w.regions...)
	nc, err := embed.Connect(t.Context(), "newer", []string{us.url()}, embed.Credentials{ClusterKey: []byte(keyText)})
	w.must(err)
	t.Cleanup(nc.Close)
	data := fmt.Sprintf(`{"v":%d,"kind":"offered"}`, events.Version+1) + "\n"
	_, err = nc.RequestMsg(&nats.Msg{Subject: "calls.us." + events.Key(k.id), Data: []byte(data)}, patience)
	w.must(err)
	w.agree(w.regions...)

	// The home has to say what it makes of it, and what it says arrives.
	for _, req := range []dict{query(k.id), answer(k.id, k.b.sdp(1)), block(k.id), unblock(k.id)} {
		want, err := us.do(req)
		w.must(err)
		got, err := eu.do(req)
		w.must(err)
		if got.result() != want.result() || got.reason() != want.reason() {
			t.Errorf("%v through another region: %v, at home %v", req["command"], got.dict, want.dict)
		}
	}
	w.must(k.talk())
	w.must(other.reinvite(eu, eu))

	w.cut("eu", "us")
	eu.untilCut("us")
	for _, req := range []dict{query(k.id), answer(k.id, k.b.sdp(1)), remove(k.id)} {
		eu.refused(req, reasonRegion)
	}
	if !eu.said("its events are of a newer release") || !eu.said("run that release here, too") {
		t.Error("the log does not say what to do about a newer release")
	}
	eu.warned(query(other.id), "mirror of region us")
	us.works()
	eu.works()
	w.heal("eu", "us")
	w.agree(w.regions...)
}
