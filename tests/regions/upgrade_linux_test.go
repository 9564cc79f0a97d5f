package regions

import (
	"fmt"
	"strings"
	"testing"

	"rtpjet/events"
	"rtpjet/tests/lab"
	"rtpjet/tests/procs"
)

// earlier is the build before offers were proposals, the last one that announces no level of events.
var earlier = procs.Program{Name: "regions-earlier", Commit: "bf4094aec3fe676d21da4a02f5affe74d53d96b3"}

// writes waits until a node writes a level of events, because of that region.
func (n *node) writes(level int, because string) {
	t := n.r.w.t
	t.Helper()
	want := fmt.Sprintf(`"writes":%d`, level)
	if because != "" {
		want += fmt.Sprintf(`,"writes_for":"region %s"`, because)
	}
	eventually(t, n.name()+" writes another level", func() error {
		out, err := n.tool("node", "list", "--json")
		if err == nil && !strings.Contains(out, want) {
			err = fmt.Errorf("want %s in %s", want, out)
		}
		return err
	})
}

// Two regions of two builds carry each other's commands out and adopt each other's calls; one after the other is upgraded.
func TestRegionsOfTwoBuilds(t *testing.T) {
	lab.Only(t, "minutes: it builds an earlier program, and judges regions by their silence")
	w := newWorld(t)
	w.mixed = true
	eu, us := w.add("eu", 1), w.add("us", 1)
	us.build = earlier.Path(t)
	w.join()
	w.launch()
	here, there := eu.nodes[0], us.nodes[0]
	here.writes(events.LevelFirst, "us")

	ours, theirs := w.place(here, here), w.place(there, there)
	w.agree(w.regions...)
	both := func() {
		t.Helper()
		for _, k := range []*call{ours, theirs} {
			w.must(k.reinvite(here, there))
			w.must(k.talk())
			w.must(k.reinvite(there, here))
			w.must(k.talk())
			w.must(k.offer(there, dict{"to-tag": "B"})) // and nobody answers
			w.must(k.talk())
		}
		w.agree(w.regions...)
	}
	both()

	// The region of the build before is lost, and comes back as it was: this one has its calls.
	there.proc.Kill()
	eventually(t, "the region cannot be adopted", func() error {
		_, err := here.tool("region", "adopt", "us")
		return err
	})
	w.must(theirs.reinvite(here, here))
	w.must(theirs.talk())
	there.spawn()
	there.ready()
	there.letGo([]*call{theirs}, 0)
	w.agree(w.regions...)
	both()
	here.writes(events.LevelFirst, "us")

	// It is upgraded.
	there.proc.Stop()
	us.build = ""
	there.spawn()
	there.ready()
	w.agree(w.regions...)
	here.writes(events.Level, "")
	there.writes(events.Level, "")
	both()
	for _, k := range []*call{ours, theirs} {
		there.ok(remove(k.id))
	}

	// And goes back: what this one wrote is there to be read.
	k := w.place(here, here)
	w.must(k.reinvite(here, here))
	w.must(k.offer(here, dict{"to-tag": "B"}))
	w.agree(w.regions...)
	there.proc.Stop()
	us.build = earlier.Path(t)
	there.spawn()
	there.ready()
	w.agree(w.regions...)
	here.writes(events.LevelFirst, "us")
	w.must(k.reinvite(there, there))
	w.must(k.talk())
	there.ok(remove(k.id))
}
