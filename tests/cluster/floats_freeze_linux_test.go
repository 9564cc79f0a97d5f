package cluster

import (
	"fmt"
	"testing"
)

// The holder is stopped for a while: the node alone, and then the node and its keeper, as a host that is frozen. Packets that
// waited in its sockets when it goes on are not sent, and it is a standby then.
func TestFloatFrozen(t *testing.T) {
	f := startFloats(t, 3, floatOne)
	at := f.ng(floatOne)
	ks := f.placeFloating(6)
	for _, whole := range []bool{false, true} {
		old := f.settled()[0]
		turns := f.w.handovers(floatOne)
		fs := speak(t, ks...)
		thaw := old.resume
		if whole {
			thaw = f.freeze(old)
		} else {
			old.pause()
		}
		next := f.moved(floatOne, old)
		fs.more(t, 10)
		f.commands(ks[0])
		eventually(t, "the address stays with a node that is stopped", func() error { return f.onlyOn(floatOne, next) })
		thaw()
		f.agree()
		if now := f.settled()[0]; now != next || f.w.handovers(floatOne) != turns+1 {
			t.Errorf("%s holds the float after %s was thawed, and before it was %s: %d turns", now.id, old.id, next.id, f.w.handovers(floatOne)-turns)
		}
		fs.more(t, 10)
		fs.end(t, fmt.Sprintf("stopped (with its keeper: %v)", whole))
	}
	for _, k := range ks {
		at.ok(remove(k.id))
	}
	f.idle()
}
