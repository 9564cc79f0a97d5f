package replica_test

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"slices"
	"testing"

	"rtpjet/events"
	"rtpjet/projection/transact"
)

// TestRandom does anything in any order, and holds what has to be true after each step.
func TestRandom(t *testing.T) {
	kept, dropped, published := 0, 0, 0
	for seed := range uint64(200) {
		r := &run{t: t, rng: rand.New(rand.NewPCG(seed, 0)), n: newFakeNode(&fakeLog{}), fate: map[string]string{}}
		r.n.core.ServeUnlogged = seed%4 > 0
		for range 60 {
			r.step()
			r.check()
			if t.Failed() {
				t.Fatalf("seed %d: %q", seed, r.did)
			}
		}
		r.finish()
		if t.Failed() {
			t.Fatalf("seed %d, at the end: %q", seed, r.did)
		}
		kept += len(r.fate)
		for _, f := range r.fate {
			switch f {
			case "dropped":
				dropped++
			case "published":
				published++
			}
		}
	}
	t.Logf("%d events waited, %d of them were published, %d dropped", kept, published, dropped)
	if published == 0 || dropped == 0 {
		t.Error("the runs try too little")
	}
}

type run struct {
	t    *testing.T
	rng  *rand.Rand
	n    *fakeNode
	did  []string
	port uint16

	acked [][]byte          // that were said to be in effect without the log
	fate  map[string]string // what became of them
}

func (r *run) event() events.Event {
	r.port += 4
	c := &r.n.Call
	k := r.rng.IntN(8)
	switch {
	case !c.Live():
		return offered("n1", 1000+r.port)
	case k == 0:
		return events.Ended{Reason: events.ReasonDeleted}
	case k < 3:
		return moved(1000 + r.port)
	case k == 3:
		return events.TakenOver{Owner: "n2", From: c.Owner, Epoch: c.Epoch + 1, Parties: []events.Party{party(0, 1000+r.port), party(1, 1002+r.port)}}
	case k == 4:
		return offered("", 1000+r.port)
	}
	return blocked(k == 5)
}

func (r *run) foreign() events.Event {
	r.port += 4
	c := fold(r.n.log.entries)
	k := r.rng.IntN(6)
	switch {
	case !c.Live():
		return offered([]string{"n1", "n2"}[k%2], 1000+r.port)
	case k == 0:
		return events.Ended{Reason: events.ReasonDeleted}
	case k == 1:
		owner := []string{"n1", "n2"}[r.rng.IntN(2)]
		return events.TakenOver{Owner: owner, From: c.Owner, Epoch: c.Epoch + 1, Parties: []events.Party{party(0, 1000+r.port), party(1, 1002+r.port)}}
	}
	return blocked(k%2 == 0)
}

func (r *run) step() {
	n := r.n
	did := ""
	switch r.rng.IntN(12) {
	case 0, 1, 2:
		did = "own"
		before := len(n.log.entries)
		at, err := n.act(r.event())
		switch {
		case err == nil && at.Seq == 0:
			data := n.file[len(n.file)-1]
			r.acked, r.fate[string(data)] = append(r.acked, data), "waits"
			if !n.core.ServeUnlogged {
				r.t.Error("an event took effect without the log")
			}
		case err == nil && (at.Seq != n.log.last() || !bytes.Equal(n.log.entries[at.Seq-1].Data, at.Data)):
			r.t.Error("what was acknowledged is not in the log")
		case errors.Is(err, transact.ErrConflict) && len(n.log.entries) != before:
			r.t.Error("a conflict, and it was written")
		}
	case 3:
		did = "other"
		n.other(r.foreign())
	case 4, 5:
		did = "stream"
		if list := n.log.since(n.Logged().Seq); len(list) > 0 {
			n.Fold(list[0])
		}
	case 6:
		did = "early"
		if list := n.log.since(n.Logged().Seq); len(list) > 0 {
			in := list[r.rng.IntN(len(list))]
			in.Early = true
			n.Fold(in)
		}
	case 7:
		did = "catch up"
		_ = n.CatchUp(n)
	case 8:
		did = "publish"
		_ = n.Publish(n)
	case 9:
		did = "mute"
		n.log.mute, n.log.deaf = true, false
		n.unattended = n.Waiting() && r.rng.IntN(2) == 0
	case 10:
		did = "deaf"
		n.log.mute, n.log.deaf, n.unattended = false, true, false
	case 11:
		did = "fine"
		n.log.mute, n.log.deaf, n.unattended = false, false, false
	}
	r.did = append(r.did, did)
}

// check holds what is always true.
func (r *run) check() {
	n, t := r.n, r.t
	served := fold(n.log.entries[:n.Logged().Seq])
	if !same(served, n.Logged()) {
		t.Errorf("the log has %+v, and it is known as %+v", served, n.Logged())
	}
	if !n.Waiting() && len(n.file) > 0 || n.Waiting() && len(n.file) == 0 {
		t.Errorf("waiting %v, with %d events", n.Waiting(), len(n.file))
	}
	for _, data := range n.file {
		env, err := events.Decode(data)
		if err != nil {
			t.Fatal(err)
		}
		served.ID = env.Call
		served.Apply(served.Seq+1, env)
	}
	if !same(served, &n.Call) {
		t.Errorf("it is served as %+v, and is %+v", &n.Call, served)
	}
	if got := n.waits(); n.Waiting() && !slices.EqualFunc(got, n.file, bytes.Equal) {
		t.Errorf("%d events are read that wait, and %d do", len(got), len(n.file))
	}
	r.fates()
	if c := &n.Call; n.Logged().Live() && n.First() != n.Logged().First || c.Gen == 0 && n.First() != 0 {
		t.Errorf("events have to stay from %d on, the call begins at %d", n.First(), n.Logged().First)
	}
}

// fates notes what became of the events that waited: once, and in their order.
func (r *run) fates() {
	for _, done := range []struct {
		name string
		list [][]byte
	}{{"published", r.n.published}, {"dropped", r.n.dropped}} {
		for _, data := range done.list {
			if r.fate[string(data)] != "waits" {
				r.t.Errorf("%s is %s, and was %q before", kind(data), done.name, r.fate[string(data)])
			}
			r.fate[string(data)] = done.name
		}
	}
	r.n.published, r.n.dropped = nil, nil
	for data, f := range r.fate {
		if f == "waits" && !contains(r.n.file, []byte(data)) {
			r.t.Errorf("%s waits no longer, and nobody says why", kind([]byte(data)))
		}
	}
	var at []int // in the log, of those that were published
	for _, data := range r.acked {
		var found []int
		for i, in := range r.n.log.entries {
			if bytes.Equal(in.Data, data) {
				found = append(found, i)
			}
		}
		switch {
		case len(found) > 1:
			r.t.Errorf("%s is in the log %d times", kind(data), len(found))
		case r.fate[string(data)] == "published" && len(found) == 0:
			r.t.Errorf("%s is said to be published and is not in the log", kind(data))
		case len(found) == 1:
			at = append(at, found[0])
		}
	}
	if !slices.IsSorted(at) {
		r.t.Errorf("the events that waited are in the log in the order %v", at)
	}
}

// finish lets the log answer again: nothing waits then, and the call is what the log has.
func (r *run) finish() {
	n := r.n
	n.log.mute, n.log.deaf, n.unattended = false, false, false
	if err := n.Publish(n); err != nil {
		r.t.Error(err)
	}
	if err := n.CatchUp(n); err != nil {
		r.t.Error(err)
	}
	if n.Waiting() || !same(fold(n.log.entries), &n.Call) {
		r.t.Errorf("all is well, and the call is %+v instead of %+v, waiting %v", n.Call, fold(n.log.entries), n.Waiting())
	}
	r.check()
}
