package regions

import (
	"strings"
	"testing"

	"rtpjet/tests/lab"
)

// A region is cut off: calls at home go on, those of others can be looked at and not changed; then everything is as before.
func TestCut(t *testing.T) {
	lab.Only(t, "waits for what a cut leads to")
	t.Parallel()
	w := joined(t, "eu", "us", "ap")
	eu, us, ap := w.at("eu"), w.at("us"), w.at("ap")
	ofUS, ofEU := w.place(us, us), w.place(eu, eu)
	early, late := w.newCall("early"), w.newCall("late") // offered, and not answered before the cut
	w.must(early.offer(us))
	w.must(late.offer(us))
	w.agree(w.regions...)

	w.isolate("us")
	// Nobody knows yet that nothing crosses.
	eu.refused(answer(late.id, late.b.sdp(1)), reasonRegion)
	eu.warned(query(ofUS.id), "mirror of region us")

	eu.untilCut("us")
	ap.untilCut("us")
	us.untilCut("eu")
	us.untilCut("ap")
	for _, n := range []*node{eu, ap} {
		r := n.warned(query(ofUS.id), "mirror of region us", "as of", "ago", "silent")
		if tags, _ := r.dict["tags"].(map[string]any); len(tags) != 2 || r.dict["region"] != "us" || r.dict["mirror age"] == nil {
			t.Errorf("query from the mirror: %v", r.dict)
		}
		for _, req := range []dict{answer(early.id, early.b.sdp(1)), offer(ofUS.id, ofUS.a.sdp(9), dict{"to-tag": "B"}), remove(ofUS.id), block(ofUS.id)} {
			n.refused(req, reasonRegion)
		}
		n.refused(query(newID("unknown")), reasonUnknown)
	}
	us.warned(query(ofEU.id), "mirror of region eu")
	us.refused(remove(ofEU.id), reasonRegion)
	if out, err := eu.tool("region", "list"); err != nil || !strings.Contains(out, "cut") || !strings.Contains(out, "region us is silent") {
		t.Errorf("region list: %v\n%s", err, out)
	}
	// At home everything goes on, and so do the other regions among themselves.
	for _, n := range w.nodes {
		k := w.place(n, n)
		w.must(k.reinvite(n, n))
		n.ok(remove(k.id))
	}
	across := w.place(eu, ap)
	w.agree(eu.r, ap.r)
	w.must(across.reinvite(ap, ap))
	w.must(ofUS.talk())
	w.must(ofUS.reinvite(us, us))
	w.must(early.answer(us))

	w.rejoin("us")
	w.agree(w.regions...)
	for _, home := range w.regions {
		want, err := home.nodes[0].listed(home.name)
		w.must(err)
		for _, at := range w.nodes {
			if got, err := at.listed(home.name); err != nil || got != want {
				t.Errorf("calls of %s seen at %s: %v\n%s\nat home:\n%s", home.name, at.name(), err, got, want)
			}
		}
	}
	for _, k := range []*call{ofUS, early} {
		w.must(k.reinvite(eu, ap))
		w.must(k.carried(us))
		w.must(k.talk())
		ap.ok(remove(k.id))
	}
	us.ok(remove(ofEU.id))
	us.ok(remove(across.id))
	eu.refused(query(ofEU.id), reasonUnknown)
}

// Of two regions one hears the other, which does not hear it. Both know that something is wrong, and go on alone.
func TestOneWayCut(t *testing.T) {
	lab.Only(t, "waits for what a cut leads to")
	t.Parallel()
	w := joined(t, "eu", "us")
	eu, us := w.at("eu"), w.at("us")
	ofEU, ofUS := w.place(eu, eu), w.place(us, us)
	w.agree(w.regions...)
	w.hold("eu", "us", true)
	eu.untilCut("us")
	us.untilCut("eu")
	eu.refused(remove(ofUS.id), reasonRegion)
	us.refused(remove(ofEU.id), reasonRegion)
	for _, n := range w.nodes {
		k := w.place(n, n)
		n.ok(remove(k.id))
	}
	w.hold("eu", "us", false)
	w.agree(w.regions...)
	w.must(ofUS.reinvite(eu, eu))
	w.must(ofEU.reinvite(us, us))
	w.must(ofUS.carried(us))
	w.must(ofEU.carried(eu))
	us.ok(remove(ofEU.id))
	eu.ok(remove(ofUS.id))
}
