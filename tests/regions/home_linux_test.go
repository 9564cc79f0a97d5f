package regions

import (
	"slices"
	"strings"
	"testing"
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
	w.must(k.again(ap, us))
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
