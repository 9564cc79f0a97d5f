package cluster

import (
	"net/netip"
	"testing"

	"rtpjet/tests/lab"
)

// One float is an address of each family and interface. They move together, with calls from one to another.
func TestFloatFamilies(t *testing.T) {
	lab.Only(t, "half a minute")
	s := newSpread(t, privNet)
	f := withVoters(t, s, 3)
	six, priv := onNet6(mediaNet, 100), onNet(privNet, 100)
	f.addrs, f.more = []netip.Addr{floatOne}, map[netip.Addr]netip.Addr{six: floatOne, priv: floatOne}
	f.carry(f.nodes...)
	for i, n := range f.nodes {
		n.args = append(n.args, "--interface", onNet6(mediaNet, i+1).String(), "--interface", "priv/"+onNet(privNet, i+1).String())
		n.args = append(n.args, floatArg("default", mediaNet, six)...)
		n.args = append(n.args, floatArg("priv", privNet, priv)...)
	}
	f.begin()
	at := f.ng(floatOne)
	fs := &flows{stop: make(chan struct{})}
	var ks []*call
	for _, side := range []struct {
		a, b     netip.Addr
		toA, toB netip.Addr // where they are told to send
		more     dict
	}{
		{onNet(mediaNet, 254), onNet(mediaNet, 254), floatOne, floatOne, nil},
		{onNet(mediaNet, 254), onNet6(mediaNet, 254), floatOne, six, dict{"address-family": "IP6"}},
		{onNet6(mediaNet, 254), onNet6(mediaNet, 254), six, six, dict{"address-family": "IP6"}},
		{onNet(mediaNet, 254), onNet(privNet, 254), floatOne, priv, dict{"direction": []any{"default", "priv"}}},
	} {
		k := &call{c: f.cluster, id: newID("family"), version: 1}
		var err error
		if k.a, err = newPhoneAt(s, side.a); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(k.a.close)
		if k.b, err = newPhoneAt(s, side.b); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(k.b.close)
		if err = k.offer(at, side.more); err != nil {
			t.Fatal(err)
		}
		if err = k.answer(at); err != nil {
			t.Fatal(err)
		}
		if k.atA.Addr() != side.toA || k.atB.Addr() != side.toB {
			t.Fatalf("a is told %v, want %v; b is told %v, want %v", k.atA, side.toA, k.atB, side.toB)
		}
		ks = append(ks, k)
		fs.streams = append(fs.streams, newFlow(k.id, k.a, k.atA, k.b, k.atB), newFlow(k.id, k.b, k.atB, k.a, k.atA))
	}
	fs.begin(t)
	old := f.settled()[0]
	old.kill()
	next := f.moved(floatOne, old)
	fs.more(t, 10)
	for a := range f.more {
		eventually(t, "an address is where it should not be", func() error { return f.onlyOn(a, next) })
	}
	old.restart()
	f.agree()
	f.settled()

	// The same with a host that is frozen: an IPv6 socket that is bound to an address goes on sending when that is gone.
	thaw := f.freeze(next)
	last := f.moved(floatOne, next)
	fs.more(t, 10)
	thaw()
	f.agree()
	f.settled()
	for a := range f.more {
		eventually(t, "an address is where it should not be", func() error { return f.onlyOn(a, last) })
	}
	fs.more(t, 10)
	f.move(floatOne, next)
	fs.more(t, 10)
	if lost := fs.end(t, "families"); lost > 500 {
		t.Errorf("%d packets were lost", lost)
	}
	for _, k := range ks {
		f.ng(six).ok(remove(k.id))
	}
	f.idle()
}
