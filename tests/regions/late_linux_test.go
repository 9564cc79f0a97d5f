package regions

import (
	"testing"
)

// A command that could not reach its region was refused. It is not carried out later, when what was held back arrives.
func TestRefusedStaysRefused(t *testing.T) {
	t.Parallel()
	w := joined(t, "eu", "us")
	eu, us := w.at("eu"), w.at("us")
	k := w.newCall("late")
	w.must(k.offer(us))
	w.agree(w.regions...)
	w.cut("eu", "us")
	for _, req := range []dict{answer(k.id, k.b.sdp(1)), block(k.id), remove(k.id)} {
		eu.refused(req, reasonRegion)
	}
	eu.untilCut("us")
	w.heal("eu", "us")
	w.agree(w.regions...)
	eu.ok(query(k.id)) // behind what was held back, if that connection is still there
	if s, err := us.show("us", k.id); err != nil || s.kinds() != "offered" {
		t.Errorf("events of the call: %s, %v", s.kinds(), err)
	}
	w.must(k.answer(eu))
	w.must(k.talk())
}
