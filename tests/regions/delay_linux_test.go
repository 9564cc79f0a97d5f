package regions

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"rtpjet/tests/lab"
)

// Far away, a command for a call of another region costs one request there, and one at home none.
func TestRoundTrips(t *testing.T) {
	lab.Only(t, "compares times")
	t.Parallel()
	w := joined(t, "eu", "us")
	eu, us := w.at("eu"), w.at("us")
	w.delay("eu", "us", 40*time.Millisecond)
	atEU, atUS := eu.watch("us"), us.watch("eu")
	quiet := func(what string) {
		t.Helper()
		if list := slices.Concat(atEU.requests(), atUS.requests()); len(list) > 0 {
			t.Errorf("%s asks another region: %v", what, list)
		}
	}
	once := func(what string, from *watch, home string) {
		t.Helper()
		if list := from.requests(); fmt.Sprint(list) != "[rtpjet."+home+".command]" {
			t.Errorf("%s asks %v, want one command for %s", what, list, home)
		}
	}

	k := w.newCall("far")
	w.must(k.offer(eu))
	quiet("an offer at home")
	w.must(k.answer(us))
	once("an answer before the mirror has the call", atUS, "eu")
	eu.ok(query(k.id))
	quiet("a query at home")
	w.agree(w.regions...)
	w.must(k.offer(us, dict{"to-tag": "B"}))
	atUS.requests() // the watch itself, and what read the mirror
	atEU.requests()
	k.version++
	w.must(k.offer(us, dict{"to-tag": "B"}))
	once("an offer", atUS, "eu")
	w.must(k.answer(us))
	once("an answer", atUS, "eu")
	began := time.Now()
	us.ok(query(k.id))
	if took := time.Since(began); took < 80*time.Millisecond {
		t.Errorf("a query there and back took %v: the proxies do not delay it", took)
	}
	once("a query", atUS, "eu")
	us.ok(remove(k.id))
	once("a delete", atUS, "eu")
	quiet("what came of it at home")
	eu.ok(remove(k.id))
	quiet("a delete once more at home")
}

// While nothing crosses, commands at home are answered, and nothing is asked for them.
func TestHomeWhileFrozen(t *testing.T) {
	lab.Only(t, "freezes a node")
	t.Parallel()
	w := joined(t, "eu", "us", "ap")
	eu := w.at("eu")
	k := w.place(eu, eu)
	watches := []*watch{eu.watch("us"), eu.watch("ap")}
	w.isolate("eu")
	before := make([]int64, 0, 8)
	for _, p := range slices.Concat(w.between("eu", "us"), w.between("eu", "ap")) {
		before = append(before, p.bytes())
	}
	fresh := w.place(eu, eu)
	w.must(fresh.reinvite(eu, eu))
	w.must(k.reinvite(eu, eu))
	eu.ok(query(k.id))
	eu.ok(block(k.id))
	eu.ok(remove(k.id))
	eu.ok(remove(fresh.id))
	for i, p := range slices.Concat(w.between("eu", "us"), w.between("eu", "ap")) {
		if now := p.bytes(); now != before[i] {
			t.Errorf("%d bytes have crossed a cut", now-before[i])
		}
	}
	for _, x := range watches {
		if list := x.requests(); len(list) > 0 {
			t.Errorf("commands at home ask other regions: %v", list)
		}
	}
	w.rejoin("eu")
	w.agree(w.regions...)
}
