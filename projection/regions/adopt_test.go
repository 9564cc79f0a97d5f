package regions_test

import (
	"testing"

	"rtpjet/projection/regions"
)

// Of two regions that want the same one at the same moment none gets the other's promise for good: a promise lapses.
func TestPromiseLapses(t *testing.T) {
	lost := regions.Record{Region: "l", Instance: "1"}
	promised, why := regions.Promise(lost, "a", true, nil, 1*sec)
	if why != "" {
		t.Fatal(why)
	}
	if _, why := regions.Promise(promised, "b", true, nil, 2*sec); why == "" {
		t.Error("promised to two")
	}
	if _, why := regions.Take(promised, "b", 5, 2*sec, 2*sec); why == "" {
		t.Error("taken though it was promised to another one")
	}
	if _, why := regions.Promise(promised, "b", true, nil, 1*sec+regions.PromiseTime); why != "" {
		t.Error(why)
	}
	if _, why := regions.Promise(lost, "b", false, nil, 0); why == "" {
		t.Error("promised by who hears it")
	}
	taken, why := regions.Take(lost, "a", 5, 0, 1*sec)
	if why != "" {
		t.Fatal(why)
	}
	if _, why := regions.Promise(lost, "b", true, []regions.Record{taken}, 2*sec); why == "" {
		t.Error("promised though another one is known to have it")
	}
	if _, why := regions.Take(lost, "a", 5, 0, regions.TakeTime+1); why == "" {
		t.Error("taken by promises that may have lapsed")
	}
}

// A repeated adoption is the same one.
func TestTakeAgain(t *testing.T) {
	first, _ := regions.Take(regions.Record{Region: "l", Instance: "1"}, "a", 5, 0, 1)
	again, _ := regions.Take(first, "a", 9, 2, 3)
	if again != first || !again.Unfinished("a") {
		t.Errorf("%+v, was %+v", again, first)
	}
	if _, ok := regions.FenceOf("l", "1", []regions.Record{again}); ok {
		t.Error("a region ends calls that the adopter has not got yet")
	}
	done := regions.Finish(again, 17)
	f, ok := regions.FenceOf("l", "1", []regions.Record{done})
	if !ok || f.Ends(5, 16) || !f.Ends(5, 17) || f.Ends(6, 17) {
		t.Errorf("fence %+v", f)
	}
	back := regions.Return(done, "1", 1, 4)
	once, _ := regions.Take(back, "a", 30, 5, 6)
	if once.Term != 2 || once.Seq != 30 || once.Upto != 0 {
		t.Errorf("second adoption %+v", once)
	}
}

// Who carries out a command for a call of a region that was adopted.
func TestDecideAdopted(t *testing.T) {
	rec := regions.Record{Region: "l", Instance: "1", State: regions.Returned, By: "b", Seq: 10, Upto: 20, Term: 1}
	for _, tt := range []struct {
		name   string
		others []regions.Sighting
		want   string
	}{
		{"adopted", []regions.Sighting{{Region: "b", First: 15}, {Region: "l", First: 3}}, "b"},
		{"begun since", []regions.Sighting{{Region: "l", First: 11}}, "l"},
		{"begun since under the call-id of one that was adopted after its end", []regions.Sighting{{Region: "b", First: 15}, {Region: "l", First: 11}}, "l"},
		{"twins", []regions.Sighting{{Region: "c", First: 1}, {Region: "d", First: 1}}, "c"},
	} {
		if got := regions.Decide(false, false, false, tt.others, []regions.Record{rec}).Home; got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}

// What the adoption of a call needs next.
func TestNext(t *testing.T) {
	for _, tt := range []struct {
		name  string
		gen   uint64
		live  bool
		owner string
		ended int64
		want  regions.Move
	}{
		{"unknown", 0, false, "", 0, regions.Import},
		{"an earlier call", 1, false, "n1", 5, regions.Import},
		{"ended since it was adopted", 1, false, "n1", 50, regions.Settled},
		{"broken off", 1, true, "l/n1", 0, regions.Rehome},
		{"done", 1, true, "n1", 0, regions.Settled},
	} {
		if got := regions.Next(tt.gen, tt.live, tt.owner, tt.ended, 10); got != tt.want {
			t.Errorf("%s: %d, want %d", tt.name, got, tt.want)
		}
	}
}
