package regions

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"rtpjet/tests/lab"
)

// traffic sets calls up at home, changes and ends them, in each region, until it is told to end. Any command that fails is
// a fault.
type traffic struct {
	w     *world
	stop  atomic.Bool
	wg    sync.WaitGroup
	calls []*atomic.Uint64 // by region

	mu   sync.Mutex
	errs []error
}

func (w *world) traffic() *traffic {
	l := &traffic{w: w}
	for _, r := range w.regions {
		done := new(atomic.Uint64)
		l.calls = append(l.calls, done)
		l.wg.Go(func() {
			for !l.stop.Load() {
				if err := l.life(r.nodes[0]); err != nil {
					l.mu.Lock()
					l.errs = append(l.errs, err)
					l.mu.Unlock()
				}
				done.Add(1)
			}
		})
	}
	w.t.Cleanup(func() { l.stop.Store(true); l.wg.Wait() })
	return l
}

// life is one call.
func (l *traffic) life(n *node) error {
	id := newID("load")
	body := func(host, version int) string {
		a := l.w.block.addr(host)
		return fmt.Sprintf("v=0\r\no=- 1 %d IN IP4 %s\r\ns=-\r\nc=IN IP4 %s\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n", version, a, a)
	}
	for _, req := range []dict{
		offer(id, body(201, 1)), answer(id, body(202, 1)), query(id),
		offer(id, body(201, 2), dict{"to-tag": "B"}), answer(id, body(202, 2)), remove(id),
	} {
		if _, err := n.good(req); err != nil {
			return err
		}
	}
	return nil
}

// more waits until each region has carried so many calls more.
func (l *traffic) more(n uint64) {
	l.w.t.Helper()
	var want []uint64
	for _, c := range l.calls {
		want = append(want, c.Load()+n)
	}
	eventually(l.w.t, "calls do not go on", func() error {
		for i, c := range l.calls {
			if c.Load() < want[i] {
				return fmt.Errorf("%d calls in %s, want %d", c.Load(), l.w.regions[i].name, want[i])
			}
		}
		return nil
	})
}

// end ends the traffic and says what went wrong.
func (l *traffic) end() {
	l.w.t.Helper()
	l.stop.Store(true)
	l.wg.Wait()
	for i, c := range l.calls {
		l.w.t.Logf("%d calls in %s", c.Load(), l.w.regions[i].name)
	}
	if len(l.errs) > 0 {
		l.w.t.Errorf("%d calls failed: %v", len(l.errs), errors.Join(l.errs[:min(4, len(l.errs))]...))
	}
}

// Ten cuts under load, some so short that nobody notices, some that end all connections, some until both sides know. No
// command at home fails, and afterwards the mirrors are what the streams are.
func TestTenCuts(t *testing.T) {
	lab.Only(t, "ten cuts under traffic")
	t.Parallel()
	w := joined(t, "eu", "us")
	eu, us := w.at("eu"), w.at("us")
	l := w.traffic()
	l.more(5)
	for i := range 10 {
		w.cut("eu", "us")
		switch {
		case i == 4 || i == 9:
			eu.untilCut("us")
			us.untilCut("eu")
		case i%2 == 0:
			l.more(5)
		default:
			l.more(2)
			for _, p := range w.between("eu", "us") {
				p.sever()
			}
		}
		w.heal("eu", "us")
		l.more(3)
	}
	l.end()
	w.agree(w.regions...)
	k := w.newCall("after")
	w.must(k.setUp(eu, us))
	w.agree(w.regions...)
	w.must(k.reinvite(us, us))
	w.must(k.carried(eu))
	us.ok(remove(k.id))
	w.agree(w.regions...)
}
