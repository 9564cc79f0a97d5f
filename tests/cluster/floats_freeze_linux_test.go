package cluster

import (
	"fmt"
	"testing"

	"rtpjet/tests/lab"
)

// The holder is stopped for a while: the node alone, and then the node and its keeper, as a host that is frozen, for longer than
// the kernel keeps the address and for less. What waited in its sockets when it goes on is neither sent nor answered, and it is a
// standby then.
func TestFloatFrozen(t *testing.T) {
	lab.Only(t, "freezes machines, and takes half a minute")
	f := startFloats(t, 3, floatOne)
	at := f.ng(floatOne)
	ks := f.placeFloating(6)
	var late []string
	for round := range 3 {
		whole, early := round > 0, round > 1
		old := f.settled()[0]
		turns := f.w.handovers(floatOne)
		fs := speak(t, ks...)
		thaw := old.resume
		if whole {
			thaw = f.freeze(old)
		} else {
			old.pause()
		}
		// Commands that wait in its socket are not answered by it either. If the float has moved already, the new holder does.
		late = append(late, newID("late"))
		if err := f.post(floatOne, query(ks[0].id), offer(late[round], ks[0].a.sdp())); err != nil {
			t.Fatal(err)
		}
		next := f.moved(floatOne, old)
		if early {
			thaw() // while the kernel of its machine still has the address
			fs.more(t, 10)
		} else {
			fs.more(t, 10)
			f.commands(ks[0])
			eventually(t, "the address stays with a node that is stopped", func() error { return f.onlyOn(floatOne, next) })
			thaw()
		}
		f.agree()
		if now := f.settled()[0]; now != next || f.w.handovers(floatOne) != turns+1 {
			t.Errorf("%s holds the float after %s was thawed, and before it was %s: %d turns", now.id, old.id, next.id, f.w.handovers(floatOne)-turns)
		}
		fs.more(t, 10)
		fs.end(t, fmt.Sprintf("stopped (with its keeper: %v, for a short time: %v)", whole, early))
	}
	for _, k := range ks {
		at.ok(remove(k.id))
	}
	for _, id := range late {
		_, _ = at.good(remove(id)) // there may be no such call
	}
	f.idle()
}
