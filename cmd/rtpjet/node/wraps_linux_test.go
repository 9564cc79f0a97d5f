package node_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"rtpjet/tests/lab"
)

// wraps is a node with calls that wrap.
type wraps struct {
	*service
	flows   []*flow
	kills   int
	asked   int // crossings that the log was asked for after a kill, one for each end
	unknown int // of them, those that it did not know
	silence []time.Duration
}

func (w *wraps) each(f func(*flow)) {
	for _, fl := range w.flows {
		f(fl)
	}
}

// walk sends packet after packet up to index, each of which must arrive.
func (w *wraps) walk(index uint64) {
	w.t.Helper()
	w.each(func(f *flow) {
		for f.next <= index {
			f.talk()
		}
	})
}

// jump goes on at index, as far ahead as a sender may skip (RFC 3711 §3.3.1).
func (w *wraps) jump(index uint64) {
	w.t.Helper()
	w.each(func(f *flow) {
		if index <= f.next || index-f.next >= 1<<15-1 {
			w.t.Fatalf("%s: a jump from %d to %d", f.name, f.next, index)
		}
		f.next = index
		f.talk()
	})
}

// die kills the node and starts it again, while the phones go on speaking. crossing is the last one that they have come to.
func (w *wraps) die(crossing uint64) {
	w.t.Helper()
	w.kill()
	killed := time.Now()
	w.kills++
	w.each(func(f *flow) { f.since, f.first = f.next, time.Time{} })
	up := make(chan struct{})
	var speaking sync.WaitGroup
	speaking.Go(func() {
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for {
			w.each(func(f *flow) { f.speak() })
			select {
			case <-tick.C:
			case <-up:
				return
			}
		}
	})
	func() {
		defer speaking.Wait()
		defer close(up)
		w.start()
	}()
	if crossing > 0 {
		l := w.log()
		w.each(func(f *flow) {
			w.asked += f.ends
			w.unknown += f.ends - f.logged(l, crossing)
		})
	}
	w.each(func(f *flow) {
		f.talk()
		w.silence = append(w.silence, f.first.Sub(killed))
	})
}

// TestSRTPWraps has the sequence numbers of calls wrap five times, with kills between, before, at and behind the wraps. All
// that comes out of the relay must be authentic, and once the node answers nothing is missing.
func TestSRTPWraps(t *testing.T) {
	lab.Only(t, "five wraps of the sequence numbers, with kills between")
	t.Parallel()
	w := &wraps{service: serve(t)}
	for i, suites := range [][2]string{
		{"AES_CM_128_HMAC_SHA1_80", ""}, {"", "AEAD_AES_128_GCM"}, {"AEAD_AES_256_GCM", "AES_CM_128_HMAC_SHA1_32"},
	} {
		w.flows = append(w.flows, w.placeFlows(fmt.Sprint("wraps ", i), suites[0], suites[1])...)
	}
	reports := func() { w.each(func(f *flow) { f.report() }) }
	logged := func(index uint64) {
		l := w.log()
		w.each(func(f *flow) { f.awaitCrossing(l, index) })
	}
	w.each(func(f *flow) { f.talk() })
	reports()
	for wrap := uint64(1); wrap <= 5; wrap++ {
		zero := wrap << 16
		if wrap > 1 {
			w.jump(zero - 1<<15 - 100)
			reports()
			w.die(0) // between two wraps
			w.walk(zero - 1<<15 + 5)
			logged(zero - 1<<15)
		}
		w.jump(zero - 300)
		reports()
		switch wrap {
		case 1: // right before the wrap
			w.walk(zero - 1)
			w.die(0)
			w.walk(zero + 20)
		case 2: // right at the wrap, with its event perhaps not in the log
			w.walk(zero)
			reports()
			w.die(zero)
		case 3: // with all that is around the wrap under way
			w.walk(zero - 20)
			w.each(func(f *flow) {
				for f.next < zero+20 {
					f.speak()
				}
			})
			w.die(zero)
		case 4: // behind the wrap; after it comes a packet that is late by more than a wrap
			w.walk(zero - 50)
			w.each(func(f *flow) { f.next++ })
			w.walk(zero + 5)
			logged(zero)
			w.die(zero)
			w.each(func(f *flow) { f.late(zero - 49) })
		case 5: // before it, while it comes, and a moment later
			w.die(0)
			w.each(func(f *flow) { f.next = max(f.next, zero) })
			reports()
			w.die(0)
			reports()
			w.die(0)
		}
		logged(zero)
		reports()
		w.walk(zero + 500)
	}
	packets, indices := 0, 0
	w.each(func(f *flow) { packets += f.count; indices += len(f.indices) })
	slices.Sort(w.silence)
	t.Logf("%d kills over 5 wraps of %d directions: %d packets heard and %d SRTCP indices; %d of %d crossings were not in the log when "+
		"the node was killed; silence after a kill: %d ms in the middle, %d ms at most",
		w.kills, len(w.flows), packets, indices, w.unknown, w.asked, w.silence[len(w.silence)/2].Milliseconds(), w.silence[len(w.silence)-1].Milliseconds())
}
