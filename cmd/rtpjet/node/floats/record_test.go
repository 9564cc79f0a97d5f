package floats_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	driver "rtpjet/cmd/rtpjet/node/floats"
	"rtpjet/embed"
	"rtpjet/projection/floats"
)

// What others write of a float is known here, and its addresses are if this node does not have them itself.
func TestRecorded(t *testing.T) {
	start(t, func(c *driver.Config, _ *world) { c.Own = c.Own[:1] }, func(w *world) {
		w.k.Take()
		r := floats.Record{Float: two, Epoch: 4, Holder: "n2"}
		r.Describe(table(two))
		w.Recorded(w.link.put(r), false)
		w.want("the keeper", w.k.Take(), "record "+two+" 4 n2")
		f := w.Float(two)
		if f == nil || f.Own() != nil || f.Interfaces() == nil || f.Interfaces().All()[0].Addr.String() != two {
			t.Fatalf("%+v", f)
		}
		own := w.Float(one).Interfaces()
		r = floats.Record{Float: one, Epoch: 2, Holder: "n2"}
		r.Describe(table("192.0.2.200"))
		w.Recorded(w.link.put(r), false)
		if w.Float(one).Interfaces() != own {
			t.Error("a record gives this node's own float other addresses")
		}
		w.k.Take()

		old := embed.Lease{Key: floats.RecordPrefix + two, Value: floats.Record{Float: two, Epoch: 1, Holder: "n9"}.Encode(), Revision: 1}
		w.Recorded(old, false)
		w.Recorded(embed.Lease{Key: "node.n2", Value: []byte("{}"), Revision: 99}, false)
		w.Recorded(embed.Lease{Key: floats.RecordPrefix + two, Value: []byte("noise"), Revision: 100}, false)
		w.want("what is old, of others, or noise", w.k.Take())
		if !strings.Contains(w.log.String(), "cannot be read") {
			t.Error(w.log.String())
		}
	})
}

// The holder's record is written over what another one wrote, and again if somebody deletes it.
func TestRecordAgain(t *testing.T) {
	start(t, nil, func(w *world) {
		w.link.put(floats.Record{Float: one, Epoch: 1, Holder: "n9"}) // of which this node has not heard
		w.says(holds(one, 2))
		if r := w.link.record(t, one); r.Holder != "n9" {
			t.Errorf("written without a look at what is there: %+v", r)
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if r := w.link.record(t, one); r.Holder != "n1" || r.Epoch != 2 {
			t.Errorf("the bucket has %+v", r)
		}

		w.link.mu.Lock()
		key := floats.RecordPrefix + one
		delete(w.link.leases, key)
		w.link.mu.Unlock()
		w.Recorded(embed.Lease{Key: key}, true)
		synctest.Wait()
		if r := w.link.record(t, one); r.Holder != "n1" {
			t.Errorf("deleted, and the bucket has %+v", r)
		}
	})
}

// A log that does not answer holds nothing up, and has the record once it does.
func TestRecordLater(t *testing.T) {
	start(t, func(_ *driver.Config, w *world) { w.link.cut = true }, func(w *world) {
		w.says(holds(one, 1))
		if !w.Float(one).Holding() {
			t.Error("not held")
		}
		time.Sleep(5 * time.Second)
		w.link.mu.Lock()
		w.link.cut = false
		w.link.mu.Unlock()
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if r := w.link.record(t, one); r.Holder != "n1" {
			t.Errorf("the bucket has %+v", r)
		}
		rev := w.link.rev
		w.says(holds(one, 1)) // nothing new
		time.Sleep(5 * time.Second)
		if w.link.rev != rev {
			t.Error("the same is written again")
		}
		s := holds(one, 1)
		s.Successor = "n2"
		w.says(s)
		if r := w.link.record(t, one); r.Successor != "n2" {
			t.Errorf("the bucket has %+v", r)
		}
	})
}
