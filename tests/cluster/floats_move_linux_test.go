package cluster

import (
	"errors"
	"strings"
	"testing"

	"rtpjet/tests/lab"
)

// fewLost is how many packets of a stream a planned move may cost: those that wait in the old holder's sockets when the address
// goes. On a machine that is not busy it is none.
const fewLost = 50

// An operator moves a float, drains its node with --move, and restarts one node after the other.
func TestFloatMoved(t *testing.T) {
	lab.Only(t, "half a minute of moves under media, and counts lost packets")
	f := withFloats(t, newSpread(t), 3, floatOne, floatTwo)
	f.args = append(f.args, "--float-settle", "0") // what an operator has moved stays there
	f.begin()
	ks := f.placeFloating(6)
	holders := f.settled()
	if holders[0] == holders[1] { // it was ready before the others
		f.move(floatTwo, f.others(holders[0])[0])
		holders = f.settled()
	}

	fs := speak(t, ks...)
	f.move(floatOne, holders[1])
	fs.more(t, 5)
	if lost := fs.end(t, "moved"); lost > fewLost {
		t.Errorf("%d packets of a stream were lost", lost)
	}
	if _, err := f.nodes[0].tool("float", "move", floatOne.String(), "nobody"); err == nil || !strings.Contains(err.Error(), "nobody") {
		t.Errorf("a move to a node that is not there: %v", err)
	}
	if _, err := f.nodes[0].tool("float", "move", "192.0.2.1", "n1"); err == nil || !strings.Contains(err.Error(), "192.0.2.1") {
		t.Errorf("a move of an address that does not float: %v", err)
	}

	if _, err := f.nodes[0].tool("float", "move", "default"); err == nil || !strings.Contains(err.Error(), "2 floating addresses") {
		t.Errorf("a move of an interface that has two: %v", err)
	}
	table, err := f.nodes[0].tool("float", "list")
	if err != nil || !strings.Contains(table, "default/"+floatTwo.String()) || strings.Count(table, holders[1].id) < 2 || strings.Contains(table, "not") {
		t.Errorf("float list: %v\n%s", err, table)
	}

	// Both floats leave the node, which goes on, and takes none before it is undrained.
	full := holders[1]
	fs = speak(t, ks...)
	if _, err := full.tool("node", "drain", full.id, "--move"); err != nil {
		t.Fatal(err)
	}
	for i, n := range f.settled() {
		if n == full {
			t.Errorf("%s is at the drained node", f.addrs[i])
		}
	}
	f.commands(ks[0])
	fs.more(t, 5)
	if lost := fs.end(t, "drained"); lost > fewLost {
		t.Errorf("%d packets of a stream were lost", lost)
	}
	if _, err := f.nodes[0].tool("node", "undrain", full.id); err != nil {
		t.Fatal(err)
	}
	if out, err := f.nodes[0].tool("float", "move", floatTwo.String()); err != nil || !strings.Contains(out, floatTwo.String()) {
		t.Errorf("a move to any node: %v, %s", err, out)
	}
	f.move(floatTwo, full)

	fs = speak(t, ks...)
	for _, n := range f.nodes {
		n.stop()
		f.settled()
		n.restart()
		f.agree()
		f.settled()
	}
	fs.more(t, 5)
	f.commands(ks[0])
	f.commands(ks[1])
	if lost := fs.end(t, "all nodes restarted"); lost > 2*fewLost {
		t.Errorf("%d packets of a stream were lost", lost)
	}
	for _, k := range ks {
		f.ng(k.atA.Addr()).ok(remove(k.id))
	}
	f.idle()
}

// Two floats are at two nodes, and again so once a node has been back for a while. A third node votes only.
func TestFloatBalance(t *testing.T) {
	lab.Only(t, "a quarter of a minute of moves")
	f := withVoters(t, newSpread(t), 3, floatOne, floatTwo)
	f.carry(f.nodes[:2]...)
	f.args = append(f.args, "--float-settle", "3")
	f.begin()
	ks := f.placeFloating(4)
	spread := func() {
		t.Helper()
		eventually(t, "two floats stay at one node", func() error {
			if f.w.holder(floatOne) == f.w.holder(floatTwo) {
				return errors.New("they are there")
			}
			return nil
		})
		f.settled()
	}
	spread()
	gone := f.settled()[0]
	fs := speak(t, ks...)
	gone.stop()
	f.settled()
	fs.more(t, 5)
	gone.restart()
	spread()
	fs.more(t, 5)
	if lost := fs.end(t, "a node left and came back"); lost > 2*fewLost {
		t.Errorf("%d packets of a stream were lost", lost)
	}
}
