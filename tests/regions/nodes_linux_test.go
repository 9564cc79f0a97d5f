package regions

import (
	"fmt"
	"strings"
	"testing"

	"rtpjet/tests/lab"
)

// Of the nodes of a region one after the other is killed. The rest go on with the commands of other regions.
func TestNodeKilled(t *testing.T) {
	lab.Only(t, "five nodes, and kills")
	t.Parallel()
	w := newWorld(t)
	eu := w.add("eu", 3) // the least that goes on without one of its nodes
	us := w.add("us", 1).nodes[0]
	w.join()
	w.launch()
	for _, n := range eu.nodes {
		eventually(t, "the server of "+n.name()+" has no connection with us", func() error {
			out, err := n.tool("call", "list", "--region", "us")
			if err == nil && !strings.Contains(out, "CALL-ID") {
				err = fmt.Errorf("%s", out)
			}
			return err
		})
	}
	if made := w.links[[2]string{"eu", "us"}][0].connections(); made < len(eu.nodes) {
		t.Errorf("the servers of eu have %d connections to us, want one each", made)
	}
	for _, dead := range eu.nodes {
		k := w.newCall("nodes")
		w.must(k.offer(dead))
		w.must(k.answer(us))
		w.must(k.talk())
		w.agree(w.regions...)
		dead.proc.Kill()
		eventually(t, "commands of us are not carried out without "+dead.name(), func() error { return k.reinvite(us, us) })
		w.must(k.talk())
		us.ok(remove(k.id))
		dead.spawn()
		dead.ready()
		w.agree(w.regions...)
	}
}
