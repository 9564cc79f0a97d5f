package cluster

import (
	"testing"
	"time"

	"rtpjet/tests/lab"
)

// One network of a node is cut, or both. What follows is in the table of package floats.
func TestFloatCut(t *testing.T) {
	lab.Only(t, "half a minute of cuts")
	f := startFloats(t, 3, floatOne)
	at := f.ng(floatOne)
	ks := f.placeFloating(6)
	cut := func(number int, nets ...string) {
		for _, network := range nets {
			f.s.pull(network, number)
		}
	}
	join := func(number int, nets ...string) {
		for _, network := range nets {
			f.s.plug(network, number)
		}
	}

	// A standby loses one network or the other, or both: nothing happens.
	holder := f.settled()[0]
	other := f.number(f.others(holder)[0])
	turns := f.w.handovers(floatOne)
	for _, nets := range [][]string{{natsNet}, {mediaNet}, {mediaNet, natsNet}} {
		fs := speak(t, ks...)
		cut(other, nets...)
		fs.longerThan(t, floatSilence)
		f.commands(ks[0])
		join(other, nets...)
		f.agree()
		f.settled()
		fs.more(t, 5)
		if lost := fs.end(t, "a standby is cut off"); lost > 0 || f.w.handovers(floatOne) != turns {
			t.Errorf("a standby without %v: %d packets lost, %d turns", nets, lost, f.w.handovers(floatOne)-turns)
		}
	}

	// The holder loses NATS only: it relays, and nobody takes anything over.
	fs := speak(t, ks...)
	cut(f.number(holder), natsNet)
	fs.longerThan(t, floatSilence)
	join(f.number(holder), natsNet)
	f.agree()
	fs.more(t, 5)
	if now := f.settled()[0]; now != holder || f.w.handovers(floatOne) != turns {
		t.Errorf("%s was cut off from NATS, and %s holds the float", holder.id, now.id)
	}
	if lost := fs.end(t, "NATS cut"); lost > 0 {
		t.Errorf("%d packets were lost while the holder had no NATS", lost)
	}

	// It loses its media network, or both: the float moves, and does not come back with the cable.
	for _, nets := range [][]string{{mediaNet}, {mediaNet, natsNet}} {
		holder = f.settled()[0]
		fs := speak(t, ks...)
		turns := f.w.handovers(floatOne)
		cut(f.number(holder), nets...)
		holder.up = false
		next := f.moved(floatOne, holder)
		fs.more(t, 10)
		f.commands(ks[0])
		eventually(t, "the address stays with a node that is cut off", func() error { return f.onlyOn(floatOne, next) })
		join(f.number(holder), nets...)
		holder.up = true
		f.agree()
		if now := f.settled()[0]; now != next || f.w.handovers(floatOne) != turns+1 {
			t.Errorf("%s holds the float after %s is back, and %s had it: %d turns", now.id, holder.id, next.id, f.w.handovers(floatOne)-turns)
		}
		fs.more(t, 10)
		fs.end(t, "media cut")
	}
	for _, k := range ks {
		at.ok(remove(k.id))
	}
	f.idle()
}

// All of NATS is cut: nobody takes anything over, media flows, and everybody agrees afterwards.
func TestFloatNATSCut(t *testing.T) {
	lab.Only(t, "waits for what a cut leads to")
	f := startFloats(t, 3, floatOne, floatTwo)
	ks := f.placeFloating(6)
	before := f.settled()
	turns := f.w.handovers(floatOne) + f.w.handovers(floatTwo)
	fs := speak(t, ks...)
	for i := range f.nodes {
		f.s.pull(natsNet, i+1)
	}
	fs.longerThan(t, time.Second)
	for i := range f.nodes {
		f.s.plug(natsNet, i+1)
	}
	f.level()
	after := f.settled()
	if after[0] != before[0] || after[1] != before[1] || f.w.handovers(floatOne)+f.w.handovers(floatTwo) != turns {
		t.Errorf("%v held the floats, and %v do now", []string{before[0].id, before[1].id}, []string{after[0].id, after[1].id})
	}
	f.commands(ks[0])
	f.commands(ks[1])
	if lost := fs.end(t, "all of NATS cut"); lost > 0 {
		t.Errorf("%d packets were lost without NATS", lost)
	}
}

// All nodes lose the media network. They hear each other by NATS, and media flows when the cables are plugged in again.
func TestFloatAllCut(t *testing.T) {
	lab.Only(t, "waits for what a cut leads to")
	f := startFloats(t, 3, floatOne)
	ks := f.placeFloating(4)
	fs := speak(t, ks...)
	for i := range f.nodes {
		f.s.pull(mediaNet, i+1)
	}
	fs.deafFor(t, floatSilence)
	for i := range f.nodes {
		f.s.plug(mediaNet, i+1)
	}
	fs.more(t, 10)
	f.agree()
	f.settled()
	f.commands(ks[0])
	fs.more(t, 10)
	fs.end(t, "the media network was away")
}
