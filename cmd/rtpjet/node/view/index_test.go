package view_test

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"rtpjet/projection"
	"rtpjet/projection/pages"
)

const (
	// fresh is how long a list is good enough.
	fresh = 500 * time.Millisecond
	// idle is how long a list is kept that nobody wants.
	idle = time.Minute
)

// all is the whole list.
func (w *world) all() []*pages.Row { return w.Calls("", 0, 1000).Calls }

func (w *world) ids() []string {
	out := []string{}
	for _, r := range w.all() {
		out = append(out, r.Call)
	}
	return out
}

// listed is what a list must show: a model of it, that looks at everything each time.
type listed struct {
	host  *host
	shown map[string]*pages.Row
	list  []*pages.Row
	at    time.Time
}

// look is a look at the list, in the course of which some calls end: after they were listed, and before one is looked at. It returns
// the list, the calls that have to be looked at, and whether there is to be a look at all.
func (m *listed) look(ending []string) (list []*pages.Row, changed []string, looks bool) {
	since := time.Since(m.at)
	if !m.at.IsZero() && since < fresh {
		return m.list, nil, false
	}
	if since > idle {
		m.shown = nil
	}
	next := map[string]*pages.Row{}
	for id, c := range m.host.calls {
		if !c.Live() {
			continue
		}
		had := m.shown[id]
		switch {
		case had != nil && had.Seq == c.last:
			next[id] = had
			continue
		case c.busy && had != nil:
			next[id] = had
		case !c.busy && !slices.Contains(ending, id):
			next[id] = pages.NewRow(&c.Call)
			next[id].Seq = c.last
		}
		changed = append(changed, id)
	}
	m.shown, m.at, m.list = next, time.Now(), nil
	for _, r := range next {
		m.list = append(m.list, r)
	}
	slices.SortFunc(m.list, func(a, b *pages.Row) int {
		return cmp.Or(-cmp.Compare(a.Created, b.Created), cmp.Compare(a.Call, b.Call))
	})
	slices.Sort(changed)
	return m.list, changed, true
}

// step does something to a call.
func step(r *rand.Rand, h *host, id string) {
	c := h.calls[id]
	switch n := r.IntN(12); {
	case c == nil || !c.Live() && n < 8:
		h.begin(id, fmt.Sprint("n", 1+r.IntN(3)), int64(r.IntN(5)))
	case !c.Live():
		delete(h.calls, id)
	case n < 3:
		h.change(id, func(c *projection.Call) { c.Owner = fmt.Sprint("n", 1+r.IntN(3)) })
	case n < 5:
		h.change(id, func(c *projection.Call) { c.Blocked = !c.Blocked })
	case n < 7:
		h.change(id, end)
	case n < 10:
		c.busy = !c.busy
	}
}

// Whatever comes in whatever order, the list shows exactly the calls that live. Only those are looked at that an event has reached.
func TestIndexIsTheLiveCalls(t *testing.T) {
	waits := []time.Duration{0, 0, fresh / 5, fresh - 1, fresh, fresh, 2 * time.Second, idle - fresh, idle + 1}
	for seed := range uint64(50) {
		inBubble(t, func(t *testing.T, w *world) {
			r := rand.New(rand.NewPCG(seed, 1))
			m := &listed{host: w.host}
			type seen struct {
				list []*pages.Row
				text string
			}
			var before []seen
			for i := range 60 {
				for range r.IntN(6) {
					step(r, w.host, fmt.Sprint("call-", r.IntN(12)))
				}
				time.Sleep(waits[r.IntN(len(waits))])
				var ending []string
				for id, c := range w.host.calls {
					if c.Live() && r.IntN(8) == 0 {
						ending = append(ending, id)
					}
				}
				want, changed, looks := m.look(ending)
				w.host.onPeek = nil
				if len(changed) > 0 {
					w.host.onPeek = func() {
						for _, id := range ending {
							w.host.changeLocked(id, end)
						}
					}
				}
				got := w.all()
				if asJSON(t, got) != asJSON(t, append([]*pages.Row{}, want...)) {
					t.Fatalf("seed %d, step %d: the list is\n%s\nand must be\n%s", seed, i, asJSON(t, got), asJSON(t, want))
				}
				peeked, lists := w.host.looks()
				equal(t, fmt.Sprintf("seed %d, step %d: looked at", seed, i), peeked, changed)
				if (lists > 0) != looks || lists > 1 {
					t.Fatalf("seed %d, step %d: the calls were listed %d times", seed, i, lists)
				}
				before = append(before, seen{got, asJSON(t, got)})
			}
			for i, s := range before {
				if asJSON(t, s.list) != s.text {
					t.Fatalf("seed %d: the list of step %d was changed after it was handed out", seed, i)
				}
			}
		})
	}
}

// A list costs nothing while nobody looks: it is given up a minute after the last look, and not before.
func TestIndexIsForgotten(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.host.begin("one", "n1", 1)
		w.host.begin("two", "n1", 2)
		equal(t, "at first", w.ids(), []string{"two", "one"})
		w.host.looks()
		for range 5 {
			time.Sleep(idle - 1)
			equal(t, "each minute", w.ids(), []string{"two", "one"})
		}
		if peeked, lists := w.host.looks(); len(peeked) != 0 || lists != 5 {
			t.Errorf("%d looks at what has not changed, and calls looked at again: %v", lists, peeked)
		}
		time.Sleep(10 * idle)
		if peeked, lists := w.host.looks(); len(peeked) != 0 || lists != 0 {
			t.Errorf("nobody looks, and the calls are listed %d times and looked at: %v", lists, peeked)
		}
		equal(t, "after a while", w.ids(), []string{"two", "one"})
		peeked, _ := w.host.looks()
		equal(t, "looked at again", peeked, []string{"one", "two"})
	})
}

// Searching, paging and guessing work on what the list shows, as it is at that moment.
func TestIndexIsSearched(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		for i := range 20 {
			w.host.begin(fmt.Sprintf("call-%02d", i), []string{"n1", "n2"}[i%2], int64(i))
		}
		p := w.Calls("N2", 2, 3)
		if p.Live != 20 || p.Found != 10 || p.From != 2 || len(p.Calls) != 3 || p.Calls[0].Call != "call-15" {
			t.Errorf("%s", asJSON(t, p))
		}
		equal(t, "near", w.Near("call-0"), []string{"call-09", "call-08", "call-07", "call-06", "call-05"})
		w.host.change("call-15", func(c *projection.Call) { c.Owner = "n1" })
		w.host.change("call-09", end)
		time.Sleep(fresh)
		if p := w.Calls("n2", 0, 100); p.Live != 19 || p.Found != 8 {
			t.Errorf("after a takeover and an end: %d live, %d found", p.Live, p.Found)
		}
		equal(t, "near", w.Near("call-0"), []string{"call-08", "call-07", "call-06", "call-05", "call-04"})
		if n := w.Near("something else"); n == nil || len(n) != 0 {
			t.Errorf("near to nothing: %#v", n)
		}
	})
}

// Many look while calls come and go: each sees a list that is sorted and has each call once.
func TestIndexConcurrently(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		var all sync.WaitGroup
		for i := range 4 {
			all.Go(func() {
				for k := range 200 {
					id := fmt.Sprint("call-", i, "-", k%7)
					w.host.begin(id, "n1", int64(k))
					time.Sleep(fresh / 3)
					w.host.change(id, end)
				}
			})
			all.Go(func() {
				for range 200 {
					time.Sleep(fresh / 4)
					list := w.all()
					seen := map[string]bool{}
					for _, r := range list {
						seen[r.Call] = true
					}
					if len(seen) != len(list) || !slices.IsSortedFunc(list, pages.Newer) {
						t.Errorf("a list of %d rows has %d calls: %s", len(list), len(seen), asJSON(t, list))
					}
				}
			})
		}
		all.Wait()
		time.Sleep(fresh)
		equal(t, "when all have ended", w.ids(), nil)
	})
}
