package regions

import (
	"slices"
	"strings"
	"testing"

	"rtpjet/projection/regions"
)

// A call that begins in one region is signalled through the others, and stays where it began.
func TestThroughOthers(t *testing.T) {
	t.Parallel()
	w := joined(t, "eu", "us", "ap")
	eu, us, ap := w.at("eu"), w.at("us"), w.at("ap")

	k := w.newCall("through")
	w.must(k.offer(eu))
	w.must(k.answer(us)) // at once: the mirror need not have the call yet
	w.must(k.carried(eu))
	w.must(k.talk())
	w.agree(w.regions...) // an offer for a call that a region has not heard of yet begins one there
	w.must(k.reinvite(ap, us))
	w.must(k.carried(eu))
	w.must(k.talk())

	ap.ok(block(k.id))
	w.must(k.deaf())
	us.ok(unblock(k.id))
	w.must(k.talk())
	if tags, _ := us.ok(query(k.id)).dict["tags"].(map[string]any); len(tags) != 2 {
		t.Errorf("query through another region: %v", tags)
	}
	for _, n := range w.nodes {
		if got := n.calls(); slices.Contains(got, k.id) != (n == eu) {
			t.Errorf("%s lists %v", n.name(), got)
		}
	}

	us.ok(remove(k.id))
	for _, n := range w.nodes {
		n.refused(query(k.id), reasonUnknown)
	}
	history, err := eu.tool("call", "history", k.id)
	w.must(err)
	for _, name := range []string{"us/n1", "ap/n1"} {
		if !strings.Contains(history, name) {
			t.Errorf("the history of the call does not name %s:\n%s", name, history)
		}
	}
}

// A call-id whose call is over may be used again, in any region.
func TestBeginsElsewhere(t *testing.T) {
	t.Parallel()
	w := joined(t, "eu", "us")
	eu, us := w.at("eu"), w.at("us")
	k := w.place(eu, us)
	lives := func(home, other *node) {
		t.Helper()
		other.until(home.r.name, "with a call", func(s regions.Status) bool { return s.Calls == 1 })
	}
	// An offer that comes before the other region knows of the end begins the call where it was. That region has seen the call
	// live, or none would be there for want of its beginning.
	over := func(home, other *node) {
		t.Helper()
		other.until(home.r.name, "without calls", func(s regions.Status) bool { return s.Calls == 0 })
	}
	lives(eu, us)
	eu.ok(remove(k.id))
	over(eu, us)
	for _, n := range []*node{us, eu, us} {
		k.version++
		other := us
		if n == us {
			other = eu
		}
		w.must(k.setUp(n, n))
		w.must(k.carried(n))
		w.must(k.talk())
		lives(n, other)
		// What comes to the other region concerns the call that lives.
		w.must(k.reinvite(other, other))
		w.must(k.carried(n))
		other.ok(remove(k.id))
		n.refused(query(k.id), reasonUnknown)
		over(n, other)
	}
}

// Commands for calls that nobody knows are answered as by a region that has no others.
func TestUnknownCalls(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.add("eu", 1)
	w.add("us", 1)
	w.join()
	alone := w.add("eu", 1)
	alone.alone = true
	for _, n := range w.nodes {
		n.spawn()
	}
	for _, n := range w.nodes {
		n.ready()
	}
	eu, us := w.at("eu"), w.at("us")
	w.agree(eu.r, us.r)
	p, err := w.newPhone()
	w.must(err)
	t.Cleanup(p.close)
	id := newID("unknown")
	commands := []dict{
		answer(id, p.sdp(1)), query(id), remove(id), remove(id, dict{"fatal": "yes"}), block(id), unblock(id),
		{"command": "block DTMF", "call-id": id}, {"command": "start recording", "call-id": id},
		{"command": "offer", "call-id": id}, {"command": "query"}, {"command": "delete"}, {"command": "list"},
		{"command": "nonsense", "call-id": id},
	}
	for _, req := range commands {
		want, err := alone.nodes[0].do(req)
		w.must(err)
		for _, n := range []*node{eu, us} {
			if got, err := n.do(req); err != nil || string(got.raw) != string(want.raw) {
				t.Errorf("%v: %s says %s (%v), a region alone %s", req["command"], n.name(), got.raw, err, want.raw)
			}
		}
	}
}
