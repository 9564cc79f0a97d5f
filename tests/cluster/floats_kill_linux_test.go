package cluster

import (
	"fmt"
	"syscall"
	"testing"

	"rtpjet/tests/lab"
)

// The node that holds a float, and that leads the streams, is killed. Calls go on at the same addresses and ports, commands
// go on, and the node is a standby when it is back. Then its successor's keeper is killed, and it is the holder again.
func TestFloatKilled(t *testing.T) {
	f := startFloats(t, 3, floatOne)
	at := f.ng(floatOne)
	lead := f.leader(callsStream)
	if f.settled()[0] != lead {
		f.move(floatOne, lead)
	}
	ks := f.placeFloating(8)
	fs := speak(t, ks...)
	lead.kill()
	next := f.moved(floatOne, lead)
	fs.more(t, 10)
	f.commands(ks[0])
	fs.end(t, "killed")
	if now := f.settled()[0]; now != next {
		t.Errorf("%s holds the float, and said that %s did", now.id, next.id)
	}
	turns := f.w.handovers(floatOne)
	ks = append(ks, f.placeFloating(4)...)

	lead.restart()
	fs = speak(t, ks...)
	f.level()
	if now := f.settled()[0]; now != next || f.w.handovers(floatOne) != turns {
		t.Errorf("the node that is back has the float moved: it is at %s", now.id)
	}
	fs.more(t, 10)
	if lost := fs.end(t, "started again"); lost > 0 {
		t.Errorf("%d packets were lost while a standby started", lost)
	}
	for _, k := range ks {
		at.ok(remove(k.id))
	}
	f.idle()
}

// The keeper of the holder alone is killed, and then that of a standby. The node goes on, with a keeper that follows.
func TestFloatKeeperKilled(t *testing.T) {
	lab.Only(t, "a quarter of a minute of kills")
	f := startFloats(t, 3, floatOne)
	ks := f.placeFloating(4)
	for _, who := range []func() *node{func() *node { return f.settled()[0] }, func() *node { return f.successor(floatOne) }} {
		n := who()
		before := n.keeper()
		fs := speak(t, ks...)
		if err := syscall.Kill(before, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		eventually(t, "no other keeper follows", func() error {
			if now := n.keeper(); now == 0 || now == before {
				return fmt.Errorf("process %d", now)
			}
			return nil
		})
		f.settled()
		fs.more(t, 10)
		f.commands(ks[0])
		fs.end(t, "keeper of "+n.id+" killed")
	}
	f.agree()

	// Somebody takes the address away by hand: it is put back, and stays where it is.
	holder, turns := f.settled()[0], f.w.handovers(floatOne)
	fs := speak(t, ks...)
	f.s.strip(f.number(holder), mediaNet, floatOne)
	fs.more(t, 10)
	if now := f.settled()[0]; now != holder || f.w.handovers(floatOne) != turns {
		t.Errorf("the address was taken from %s, and %s has it now", holder.id, now.id)
	}
	fs.more(t, 10)
	fs.end(t, "the address taken away")
	for _, k := range ks {
		f.ng(floatOne).ok(remove(k.id))
	}
	f.idle()
}
