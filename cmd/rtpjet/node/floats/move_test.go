package floats_test

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"rtpjet/cmd/rtpjet/admin"
	"rtpjet/cmd/rtpjet/keeper"
	driver "rtpjet/cmd/rtpjet/node/floats"
	"rtpjet/projection/floats"
)

// A node that is drained gives its floats to others, and knows when they are there.
func TestHandOver(t *testing.T) {
	start(t, nil, func(w *world) {
		w.says(holds(one, 1), holds(two, 1))
		w.k.Take()
		w.k.moved = func(float, _ string) (string, error) {
			go func() {
				time.Sleep(100 * time.Millisecond)
				w.k.reports <- keeper.Report{States: []floats.State{elsewhere(float, "n2", 2)}}
			}()
			return "n2", nil
		}
		began := time.Now()
		if left := w.HandOver(w.t.Context()); left != 0 || time.Since(began) < 100*time.Millisecond {
			t.Errorf("%d floats left after %v", left, time.Since(began))
		}
		synctest.Wait()
		got := w.k.Take()
		for _, line := range []string{"drain true", "move " + one + ` ""`, "move " + two + ` ""`} {
			if !slices.Contains(got, line) {
				t.Errorf("the keeper is told %q, and not %q", got, line)
			}
		}
		w.Drain(false)
		if got := w.k.Take(); !slices.Contains(got, "drain false") {
			t.Errorf("the keeper is told %q", got)
		}
	})
}

// What nobody can take stays, and a node that ends does not wait for it; what is not taken in time stays as well.
func TestHandOverFails(t *testing.T) {
	start(t, nil, func(w *world) {
		w.says(holds(one, 1))
		w.k.moved = func(string, string) (string, error) { return "", errors.New("nobody is there") }
		began := time.Now()
		if left := w.HandOver(w.t.Context()); left != 1 || time.Since(began) > 0 {
			t.Errorf("%d floats left after %v", left, time.Since(began))
		}
		w.k.moved = func(string, string) (string, error) { return "n2", nil } // and n2 is never ready
		w.Leave(w.t.Context())
		if took := time.Since(began); took != 3*time.Second || len(w.Held()) != 1 {
			t.Errorf("the node has waited for %v", took)
		}
	})
}

func TestMove(t *testing.T) {
	start(t, nil, func(w *world) {
		w.k.moved = func(_, to string) (string, error) { return to, nil }
		if target, err := w.Move(w.t.Context(), one, "n3"); target != "n3" || err != nil {
			t.Error(target, err)
		}
	})
	start(t, func(c *driver.Config, w *world) { c.Keeper, w.k = nil, nil }, func(w *world) {
		if _, err := w.Move(w.t.Context(), one, "n3"); !errors.Is(err, keeper.ErrEnded) {
			t.Error(err)
		}
	})
}

// Whoever waits for a float hears of each change, and of the end of his time.
func TestWait(t *testing.T) {
	start(t, nil, func(w *world) {
		go func() {
			time.Sleep(time.Second)
			w.k.reports <- keeper.Report{States: []floats.State{elsewhere(one, "n2", 1)}}
		}()
		if !w.Wait(w.t.Context(), func() bool { return w.Float(one).Holder() == "n2" }) {
			t.Error("not heard of")
		}
		ctx, cancel := context.WithTimeout(w.t.Context(), time.Second)
		defer cancel()
		if w.Wait(ctx, func() bool { return w.Float(one).Holder() == "n3" }) {
			t.Error("heard of what is not so")
		}
	})
}

// The status is what operators, metrics and the web page see.
func TestStatus(t *testing.T) {
	start(t, func(_ *driver.Config, w *world) { w.host.calls[ownerOf(two)] = 9 }, func(w *world) {
		s := holds(two, 3)
		s.Warm, s.Successor, s.Moves = true, "n2", "n2"
		since := time.Now().UnixMicro()
		w.says(s, elsewhere(one, "n2", 1))
		got := w.Status()
		if len(got) != 2 || got[0].Float != one || got[0].Holding || got[0].Holder != "n2" || got[0].Why != "" || got[0].Since != 0 {
			t.Errorf("%+v", got)
		}
		want := admin.FloatStatus{
			Float: two, Addresses: []string{"pub/" + two}, Epoch: 3, Holder: "n1", Successor: "n2", Holding: true, Warm: true, Moves: "n2", Calls: 9,
			Why: "free", Silence: 41_000, Since: since,
		}
		a, _ := json.Marshal(got[1])
		b, _ := json.Marshal(want)
		if string(a) != string(b) {
			t.Errorf("%s, want %s", a, b)
		}
	})
}
