package members_test

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"rtpjet/projection/members"
	"rtpjet/relay/plan"
)

func (w *world) hear(list ...members.Beat) {
	for _, b := range list {
		b.Epoch = 1
		w.t.Heard(members.NATS, b, 0, w.now)
	}
}

// spread places so many calls, though no beat comes in between, and counts them by node.
func (w *world) spread(calls int, wish members.Wish, here members.Here) map[string]int {
	got := map[string]int{}
	for range calls {
		id, ok := w.t.Place(wish, here, w.now)
		if !ok {
			id = "nobody"
		}
		if id == "me" {
			here.Calls++
		}
		got[id]++
	}
	return got
}

func (w *world) expectSpread(t *testing.T, calls int, wish members.Wish, here members.Here, want map[string]int) {
	t.Helper()
	if got := w.spread(calls, wish, here); !gocmp.Equal(got, want) {
		t.Errorf("placed %v, want %v", got, want)
	}
}

// Without zones a node takes a call itself if it can.
func TestPlaceWithoutZones(t *testing.T) {
	w := newWorld()
	w.expectSpread(t, 1, members.Wish{}, members.Here{}, map[string]int{"nobody": 1})
	w.locate("", "full", "drains", "busy", "idle")
	w.hear(members.Beat{Node: "full"}, members.Beat{Node: "drains", Room: -1, Draining: true},
		members.Beat{Node: "busy", Room: 10, Calls: 3}, members.Beat{Node: "idle", Room: -1}, members.Beat{Node: "unlocated", Room: -1})
	w.expectSpread(t, 5, members.Wish{}, members.Here{}, map[string]int{"idle": 4, "busy": 1})
	w.expectSpread(t, 5, members.Wish{}, members.Here{Takes: true, Calls: 100}, map[string]int{"me": 5})
	w.expectSpread(t, 1, members.Wish{Tried: []string{"me", "idle"}}, members.Here{Takes: true}, map[string]int{"busy": 1})
	w.expectSpread(t, 1, members.Wish{}, members.Here{Takes: true, Last: true}, map[string]int{"idle": 1})
	w.expectSpread(t, 1, members.Wish{Tried: []string{"idle", "busy"}}, members.Here{Takes: true, Last: true}, map[string]int{"me": 1})
	w.expectSpread(t, 1, members.Wish{Tried: []string{"idle", "busy"}}, members.Here{}, map[string]int{"nobody": 1})
}

// With zones the nearest one that has room takes the calls, and spreads them.
func TestPlaceInZones(t *testing.T) {
	const calls = 6
	world := func(mine string) *world {
		w := newWorld()
		w.locate(mine, "me")
		w.locate("eu/fra/a", "a1", "a2")
		w.locate("eu/fra/b", "b")
		w.locate("us/nyc", "us")
		w.locate("", "any")
		for _, id := range []string{"a1", "a2", "b", "us", "any"} {
			w.hear(members.Beat{Node: id, Room: -1})
		}
		return w
	}
	tests := []struct {
		name, mine string
		here       members.Here
		tried      []string
		want       map[string]int
	}{
		{"its zone", "eu/fra/a", members.Here{Takes: true}, nil, map[string]int{"me": 2, "a1": 2, "a2": 2}},
		{"busy itself", "eu/fra/a", members.Here{Takes: true, Calls: 10}, nil, map[string]int{"a1": 3, "a2": 3}},
		{"full itself", "eu/fra/a", members.Here{}, nil, map[string]int{"a1": 3, "a2": 3}},
		{"young", "eu/fra/a", members.Here{Takes: true, Last: true}, nil, map[string]int{"a1": 3, "a2": 3}},
		{"without the log", "eu/fra/a", members.Here{Takes: true, First: true, Calls: 10}, nil, map[string]int{"me": 6}},
		{"without the log, and full", "eu/fra/a", members.Here{First: true, Calls: 10}, nil, map[string]int{"a1": 3, "a2": 3}},
		{"its zone is full", "eu/fra/a", members.Here{}, []string{"a1", "a2"}, map[string]int{"b": 6}},
		{"its city is full", "eu/fra/a", members.Here{}, []string{"a1", "a2", "b"}, map[string]int{"any": 3, "us": 3}},
		{"alone in its zone", "eu/fra/b", members.Here{Takes: true, Calls: 9}, []string{"b"}, map[string]int{"me": 6}},
		{"a wider zone", "eu/fra", members.Here{}, nil, map[string]int{"a1": 2, "a2": 2, "b": 2}},
		{"another city", "eu/ber", members.Here{}, nil, map[string]int{"a1": 2, "a2": 2, "b": 2}},
		{"no zone itself", "", members.Here{Takes: true}, nil, map[string]int{"me": 1, "a1": 1, "a2": 1, "any": 1, "b": 1, "us": 1}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			world(tt.mine).expectSpread(t, calls, members.Wish{Tried: tt.tried}, tt.here, tt.want)
		})
	}
}

// A zone that only a node has that is gone, matters no more.
func TestPlaceAfterZones(t *testing.T) {
	w := newWorld("a")
	w.locate("eu", "b", "never heard of")
	w.hear(members.Beat{Node: "a", Room: -1}, members.Beat{Node: "b", Room: -1})
	here := members.Here{Takes: true, Calls: 5}
	w.expectSpread(t, 2, members.Wish{}, here, map[string]int{"a": 1, "b": 1})
	w.hear(members.Beat{Node: "b", Leaving: true})
	w.expectSpread(t, 2, members.Wish{}, here, map[string]int{"me": 2})
	if n := len(w.t.Peers(w.now)); n != 2 {
		t.Errorf("%d peers, and two were heard", n)
	}
}

// The interfaces that a call names say how near a node is to it.
func TestPlaceByInterface(t *testing.T) {
	w := newWorld()
	w.locate("eu/fra/a", "me")
	w.t.Locate("x", "eu/fra/a", interfaces(plan.Interface{Name: "pub", Zone: "eu/fra/b"}, plan.Interface{Name: "priv", Zone: "eu/fra/a"}))
	w.t.Locate("y", "us", interfaces(plan.Interface{Name: "pub", Zone: "eu/fra/a"}, plan.Interface{Name: "priv", Zone: "us"}))
	w.t.Locate("z", "", interfaces(plan.Interface{Name: "g:1", Zone: "eu/fra/a"}, plan.Interface{Name: "g:2"}))
	w.hear(members.Beat{Node: "x", Room: -1}, members.Beat{Node: "y", Room: -1}, members.Beat{Node: "z", Room: -1})
	tests := []struct {
		want  string
		names []string
		turn  uint64
	}{
		{"y", nil, 1},
		{"y", []string{"pub", "pub"}, 1},     // x 4, y 6, z 0
		{"x", []string{"priv", "priv"}, 1},   // x 6, y 0, z 0
		{"x", []string{"pub", "priv"}, 1},    // x 5, y 3, z 0
		{"y", []string{"", "unknown"}, 1},    // the default interface
		{"z", []string{"priv", "unlike"}, 0}, // x 5, y 3, z 6: its group's turn
	}
	for _, tt := range tests {
		wish := members.Wish{Interfaces: tt.names, Turn: tt.turn}
		if id, _ := w.t.Place(wish, members.Here{}, w.now); id != tt.want {
			t.Errorf("a call on %v is at %s, want %s", tt.names, id, tt.want)
		}
	}
}

// Whatever the zones are: a call goes to no node while a nearer one has room, nor past one that is as near and has fewer
// calls; and without zones to where it went when there were none.
func TestPlaceInvariant(t *testing.T) {
	zones := rapid.SampledFrom([]string{"", "eu", "eu/fra", "eu/fra/a", "eu/fra/b", "eu/ber", "us", "us/nyc/a"})
	rapid.Check(t, func(t *rapid.T) {
		w, zoned := newWorld(), rapid.Bool().Draw(t, "zones")
		zone := map[string]string{}
		locate := func(id string) {
			if zoned {
				zone[id] = zones.Draw(t, "zone of "+id)
			}
			w.locate(zone[id], id)
		}
		locate("me")
		beats := map[string]members.Beat{}
		for _, id := range []string{"a", "b", "m", "n", "z"}[:rapid.IntRange(0, 5).Draw(t, "peers")] {
			locate(id)
			beats[id] = members.Beat{
				Node: id, Room: rapid.Int64Range(-1, 2).Draw(t, "room"), Calls: rapid.Int64Range(0, 3).Draw(t, "calls"),
				Draining: rapid.IntRange(0, 4).Draw(t, "draining") == 0,
			}
			w.hear(beats[id])
		}
		here := members.Here{Takes: rapid.Bool().Draw(t, "takes"), Last: rapid.IntRange(0, 4).Draw(t, "last") == 0, Calls: rapid.Int64Range(0, 3).Draw(t, "own")}
		tried := rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"me", "a", "b", "m"}), 0, 3, rapid.ID).Draw(t, "tried")
		if !slices.ContainsFunc(slices.Collect(maps.Values(zone)), func(z string) bool { return z != "" }) {
			zoned = false
		}

		got, ok := w.t.Place(members.Wish{Tried: tried, Interfaces: []string{"pub", ""}}, here, w.now)
		self := here.Takes && !slices.Contains(tried, "me")
		var peers []string
		for id, b := range beats {
			if !b.Draining && b.Room != 0 && !slices.Contains(tried, id) {
				peers = append(peers, id)
			}
		}
		less := func(a, b string) int {
			return cmp.Or(cmp.Compare(beats[a].Calls, beats[b].Calls), strings.Compare(a, b))
		}
		switch {
		case !zoned: // the rule before there were zones
			want, can := "me", self
			if len(peers) > 0 && (!self || here.Last) {
				want, can = slices.MinFunc(peers, less), true
			}
			if got != want || ok != can {
				t.Fatalf("placed on %s, %v; without zones it was %s, %v", got, ok, want, can)
			}
			return
		case self && (!here.Last || len(peers) == 0):
			peers = append(peers, "me")
			beats["me"] = members.Beat{Calls: here.Calls}
		}
		if ok != (len(peers) > 0) || ok && !slices.Contains(peers, got) {
			t.Fatalf("placed on %s, %v, of %v", got, ok, peers)
		}
		near := func(id string) int { return members.Nearness(zone["me"], zone[id]) }
		for _, id := range peers {
			if near(id) > near(got) {
				t.Errorf("placed on %s in %q, and %s in %q has room", got, zone[got], id, zone[id])
			}
			if near(id) == near(got) && beats[id].Calls < beats[got].Calls {
				t.Errorf("placed on %s, and %s, as near, has fewer calls", got, id)
			}
		}
	})
}

func TestNearness(t *testing.T) {
	tests := []struct {
		a, b string
		want int
	}{
		{"", "", 0}, {"eu", "", 0}, {"eu", "eu", 1}, {"eu", "us", 0}, {"eu/fra/a", "eu/fra/a", 3}, {"eu/fra/a", "eu/fra/b", 2},
		{"eu/fra", "eu/fra/a", 2}, {"eu/fra", "eu/frankfurt", 1}, {"a/x", "b/x", 0}, {"EU", "eu", 0},
	}
	for _, tt := range tests {
		if got, back := members.Nearness(tt.a, tt.b), members.Nearness(tt.b, tt.a); got != tt.want || back != tt.want {
			t.Errorf("%q and %q share %d and %d names, want %d", tt.a, tt.b, got, back, tt.want)
		}
	}
}

func TestValidZone(t *testing.T) {
	for _, s := range []string{"", "eu", "eu/fra/a", "EU-1/dc_2/r.3"} {
		if !members.ValidZone(s) {
			t.Errorf("%q is no zone", s)
		}
	}
	for _, s := range []string{"/", "/eu", "eu/", "eu//a", "eu fra", "eu=a", "eu;us", "zürich", "eu\n"} {
		if members.ValidZone(s) {
			t.Errorf("%q is a zone", s)
		}
	}
}
