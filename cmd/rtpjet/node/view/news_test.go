package view_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"rtpjet/cmd/rtpjet/admin"
	"rtpjet/projection/members"
	"rtpjet/projection/pages"
)

const (
	// tick is the time between two looks at the cluster.
	tick = 250 * time.Millisecond
	// kept is how many items are.
	kept = 100
)

// watch has the view watch until the function that is returned is called, or the test ends. One look has been taken.
func (w *world) watch() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var done sync.WaitGroup
	done.Go(func() { w.Watch(ctx) })
	w.tick()
	return func() { cancel(); done.Wait() }
}

// tick has the view look at the cluster once.
func (w *world) tick() {
	time.Sleep(tick)
	synctest.Wait()
}

// texts of what has happened after an item.
func (w *world) texts(after uint64) (out []string, last uint64) {
	items, last := w.News(after)
	for _, it := range items {
		out = append(out, it.Text)
	}
	return out, last
}

func up(node string, verdict members.Verdict) admin.Node {
	return admin.Node{Lease: members.Lease{Node: node, State: members.Up, Epoch: 1}, Verdict: verdict.String()}
}

// What the node sees of its cluster becomes news, once; what was so at the first look is none.
func TestWatch(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		h := w.host
		h.nodes = []admin.Node{up("n1", members.Alive), up("n2", members.Alive)}
		h.floats = []admin.FloatStatus{{Float: "f1", Holder: "n2", Epoch: 1}}
		h.carried = map[string]int64{"n1": 1, "n2": 7, "": 2}
		w.news.TakenOver("before", "n9", "n1", "gone")
		defer w.watch()()
		var last uint64
		for _, step := range []struct {
			change func()
			want   []string
		}{
			{func() {}, nil},
			{func() { h.nodes = append(h.nodes, up("n3", members.Alive)) }, []string{"n3 has joined the cluster"}},
			{func() { h.nodes[1].Verdict = "silent" }, []string{"n2 is not heard by NATS"}},
			{func() { h.nodes[1].Verdict, h.carried["n2"] = "gone", 0 }, []string{"n2 is gone; it had 7 calls"}},
			{func() { h.nodes[1].Verdict, h.nodes[1].State, h.nodes[1].By = members.Lost, members.Lost, "n1" }, nil}, // it is gone as before
			{func() {
				h.floats[0] = admin.FloatStatus{Float: "f1", Holder: "n3", Epoch: 2, Calls: 5, Why: "this node was next", Silence: 41_001}
			}, []string{"f1 is with n3 now, with 5 calls: n3 was next (silent for 42 ms at most)"}},
			{func() { h.floats[0].Moves = "n1" }, []string{"f1 moves to n1"}},
			{func() { h.floats[0].Successor = "n1" }, nil},
			{func() { h.nodes[1] = up("n2", members.Alive); h.nodes[1].Epoch = 2 }, []string{"n2 is back"}},
			{func() { h.nodes[0].Draining = true }, []string{"n1 is draining: it takes no new calls, and has 1 call"}},
			{func() { w.news.TakenOver("c", "n2", "n1", "gone") }, []string{"n1 took over a call of n2: gone"}},
			{func() {}, nil},
			{func() { h.nodes[2].Verdict, h.nodes[2].State = members.Down, members.Down }, []string{"n3 has ended as it should"}},
			{func() { h.nodes[2] = up("n3", members.Alive) }, []string{"n3 is back"}},
			{func() { h.nodes[2].Verdict, h.nodes[2].State = members.Lost, members.Lost }, []string{"n3 is gone"}},
		} {
			h.mu.Lock()
			step.change()
			h.mu.Unlock()
			w.tick()
			var got []string
			got, last = w.texts(last)
			equal(t, "news", got, step.want)
		}
		items, _ := w.News(0)
		for i, it := range items {
			if it.ID != uint64(i+1) || it.At == 0 || it.At > time.Now().UnixMicro() {
				t.Errorf("item %d: %s", i, asJSON(t, it))
			}
		}
	})
}

// Whoever asks for what has happened after an item gets all of it in order, as far as it is kept. One that this process has not given
// yet is of the process before, and who names it has seen nothing.
func TestNewsReaders(t *testing.T) {
	for seed := range uint64(20) {
		inBubble(t, func(t *testing.T, w *world) {
			r := rand.New(rand.NewPCG(seed, 2))
			w.host.nodes = []admin.Node{up("n1", members.Alive)}
			defer w.watch()()
			var have uint64 // so many items there are
			readers := make([]uint64, 5)
			for range 200 {
				happens := r.IntN(5)
				if r.IntN(50) == 0 {
					happens = 60
				}
				for i := range happens {
					w.news.TakenOver("c", fmt.Sprint("n", i), "n1", "gone")
				}
				w.tick()
				have += uint64(happens)
				for i, after := range readers {
					if r.IntN(1+10*i) > 0 {
						continue // the last ones read seldom, and miss some
					}
					if r.IntN(20) == 0 {
						after = have + 1 + r.Uint64N(1000)
					}
					items, last := w.News(after)
					from := after
					if after > have {
						from = 0
					}
					if have > kept {
						from = max(from, have-kept)
					}
					for k, it := range items {
						if it.ID != from+uint64(k)+1 {
							t.Fatalf("seed %d: after item %d of %d, the item %d has the id %d", seed, after, have, k, it.ID)
						}
					}
					if last != have || uint64(len(items)) != have-from {
						t.Fatalf("seed %d: after item %d of %d there are %d items, the last is said to be %d", seed, after, have, len(items), last)
					}
					readers[i] = last
				}
			}
		})
	}
}

// The calls that went from one owner to another for one reason are one item, which has their number; a single one is named.
func TestTakeoversAreGathered(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.host.nodes = []admin.Node{up("n1", members.Alive)}
		defer w.watch()()
		for range 3 {
			w.news.TakenOver("many", "n2", "n1", "owner gone")
		}
		w.news.TakenOver("asked", "n2", "n1", "asked for")
		w.news.TakenOver("there", "n2", "n3", "owner gone")
		w.news.TakenOver("from", "n3", "n1", "owner gone")
		w.news.TakenOver("why", "n2", "n1", "")
		w.tick()
		items, last := w.News(0)
		var got []string
		for _, it := range items {
			got = append(got, it.Kind+" "+it.Node+" "+it.Call+": "+it.Text)
		}
		slices.Sort(got)
		equal(t, "takeovers", got, []string{
			"takeover n1 : n1 took over 3 calls of n2: owner gone",
			"takeover n1 asked: n1 took over a call of n2: asked for",
			"takeover n1 from: n1 took over a call of n3: owner gone",
			"takeover n1 why: n1 took over a call of n2: no reason given",
			"takeover n3 there: n3 took over a call of n2: owner gone",
		})
		w.news.TakenOver("many", "n2", "n1", "owner gone")
		w.tick()
		more, _ := w.texts(last)
		equal(t, "counted anew", more, []string{"n1 took over a call of n2: owner gone"})
	})
}

// Between two looks there are 64 kinds of takeovers at most. Of those that are known all are counted, and the next look begins anew.
func TestTakeoversAreBounded(t *testing.T) {
	const kinds = 64
	inBubble(t, func(t *testing.T, w *world) {
		w.host.nodes = []admin.Node{up("n1", members.Alive)}
		defer w.watch()()
		var last uint64
		for range 2 {
			for range 2 {
				for i := range kinds + 10 {
					w.news.TakenOver("c", fmt.Sprint("n", i), "n1", "gone")
				}
			}
			w.tick()
			var got []string
			got, last = w.texts(last)
			if len(got) != kinds {
				t.Fatalf("%d kinds", len(got))
			}
			for i := range kinds {
				if want := fmt.Sprintf("n1 took over 2 calls of n%d: gone", i); !slices.Contains(got, want) {
					t.Errorf("%q is missing", want)
				}
			}
		}
	})
}

var number = regexp.MustCompile(`^n1 took over (a|\d+) calls? of `)

// calls is how many an item about a takeover is about.
func calls(t *testing.T, it pages.Item) int {
	t.Helper()
	found := number.FindStringSubmatch(it.Text)
	switch {
	case found == nil:
		t.Fatalf("%q is about no takeover", it.Text)
	case found[1] == "a":
		return 1
	}
	n, err := strconv.Atoi(found[1])
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// However takeovers and looks coincide, each takeover is told once.
func TestTakeoversAreToldOnce(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.host.nodes = []admin.Node{up("n1", members.Alive)}
		defer w.watch()()
		told := map[string]int{}
		var last uint64
		const nodes, each = 5, 400
		var all sync.WaitGroup
		for i := range nodes {
			all.Go(func() {
				for k := range each {
					w.news.TakenOver("c", fmt.Sprint("n", i+2), "n1", "gone")
					time.Sleep(time.Duration(k%4) * tick / 7)
				}
			})
		}
		for range each {
			time.Sleep(tick / 2)
			var items []pages.Item
			items, last = w.News(last)
			for _, it := range items {
				_, of, _ := strings.Cut(strings.TrimSuffix(it.Text, ": gone"), " of ")
				told[of] += calls(t, it)
			}
		}
		all.Wait()
		for i := range nodes {
			if of := fmt.Sprint("n", i+2); told[of] != each {
				t.Errorf("%d calls of %s were told of, and it lost %d", told[of], of, each)
			}
		}
	})
}

// Before somebody watches, and for a view that nobody watches for, takeovers cost nothing and are no news.
func TestNobodyWatches(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.host.nodes = []admin.Node{up("n1", members.Alive)}
		w.news.TakenOver("early", "n2", "n1", "gone")
		if n := testing.AllocsPerRun(100, func() { w.news.TakenOver("early", "n2", "n1", "gone") }); n != 0 {
			t.Errorf("a takeover costs %v allocations", n)
		}
		time.Sleep(time.Hour)
		if items, last := w.News(0); len(items) != 0 || last != 0 {
			t.Errorf("%s, %d", asJSON(t, items), last)
		}
		stop := w.watch()
		w.tick()
		if items, last := w.News(0); len(items) != 0 || last != 0 {
			t.Errorf("the first look is news: %s, %d", asJSON(t, items), last)
		}
		stop()
		w.news.TakenOver("late", "n2", "n1", "gone")
		time.Sleep(time.Hour)
		if items, _ := w.News(0); len(items) != 0 {
			t.Errorf("news after the end: %s", asJSON(t, items))
		}
	})
}
