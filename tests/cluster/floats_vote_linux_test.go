package cluster

import (
	"fmt"
	"testing"

	"rtpjet/tests/lab"
)

// A node without a float votes: of three of which two can hold it, the holder dies, and the other one takes over.
func TestFloatVoter(t *testing.T) {
	lab.Only(t, "a quarter of a minute")
	f := withVoters(t, newSpread(t), 3, floatOne)
	f.carry(f.nodes[:2]...)
	f.begin()
	at, voter := f.ng(floatOne), f.nodes[2]
	ks := f.placeFloating(2)
	// Calls that are asked for at the voter have the float as well.
	k := f.place(voter, voter)
	if k.atA.Addr() != floatOne || k.atB.Addr() != floatOne {
		t.Errorf("a call asked for at the voter is at %v and %v", k.atA, k.atB)
	}
	ks = append(ks, k)
	fs := speak(t, ks...)
	holder := f.settled()[0]
	holder.kill()
	if next := f.moved(floatOne, holder); next == voter {
		t.Errorf("%s has no float, and holds one", next.id)
	}
	fs.more(t, 10)
	f.settled()
	f.commands(ks[0])
	if err := k.reinvite(voter, voter); err != nil {
		t.Error(err)
	}
	holder.restart()
	f.agree()
	f.settled()
	fs.more(t, 5)
	fs.end(t, "of two that can hold it, one is killed")
	for _, k := range ks {
		at.ok(remove(k.id))
	}
	f.idle()
}

// Of two nodes, the one that is left holds the float if the other's machine says that its process is gone. If it only does not
// hear it, nobody holds it: the other one may be on the other side of a cut.
func TestFloatPair(t *testing.T) {
	lab.Only(t, "kills nodes, and judges them by their silence")
	f := startFloats(t, 2, floatOne)
	ks := f.placeFloating(2)
	holder := f.settled()[0]
	fs := speak(t, ks...)
	holder.kill()
	next := f.moved(floatOne, holder)
	fs.more(t, 10)
	fs.end(t, "of two, one is killed")
	holder.restart()
	f.agree()
	if now := f.settled()[0]; now != next {
		t.Errorf("the node that is back has the float moved: %s", now.id)
	}

	fs = speak(t, ks...)
	number := f.number(holder)
	f.s.pull(mediaNet, number)
	f.s.pull(natsNet, number)
	eventually(t, "somebody has the float, without a majority", func() error {
		for i := range f.nodes {
			if has, err := f.s.has(i+1, floatOne); err != nil || has {
				return fmt.Errorf("n%d: %v, %v", i+1, has, err)
			}
		}
		return nil
	})
	f.s.plug(mediaNet, number)
	f.s.plug(natsNet, number)
	fs.more(t, 10)
	f.agree()
	f.settled()
	fs.end(t, "of two, one is cut off")
	f.commands(ks[0])
}
