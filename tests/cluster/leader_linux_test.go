package cluster

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"rtpjet/tests/lab"
)

// load sets up and takes down calls at some nodes until it is stopped, from several callers at once.
type load struct {
	mu     sync.Mutex
	took   []time.Duration
	resent int
	errs   []error
	done   int
	stop   chan struct{}
	wg     sync.WaitGroup
}

// traffic starts callers that spread each call's commands over nodes. media has every call's media checked.
func (c *cluster) traffic(at []*node, callers int) *load {
	l := &load{stop: make(chan struct{})}
	for w := range callers {
		l.wg.Go(func() {
			for i := w; ; i++ {
				select {
				case <-l.stop:
					return
				default:
				}
				err := l.call(c, func(step int) *node { return at[(i+step)%len(at)] })
				l.mu.Lock()
				if err != nil {
					l.errs = append(l.errs, err)
				} else {
					l.done++
				}
				l.mu.Unlock()
			}
		})
	}
	return l
}

// call is offer, answer, re-offer, query, delete.
func (l *load) call(c *cluster, at func(step int) *node) error {
	k, err := c.newCall(newID("load"))
	if err != nil {
		return err
	}
	defer k.close()
	for i, req := range []dict{
		offer(k.id, k.a.sdp()), answer(k.id, k.b.sdp()), offer(k.id, k.a.version(2), dict{"to-tag": "B"}),
		answer(k.id, k.b.version(2)), query(k.id), remove(k.id),
	} {
		r, err := at(i).good(req)
		if err != nil {
			return err
		}
		if w, ok := r.dict["warning"].(string); ok && req["command"] == "delete" && r.sends == 1 {
			return fmt.Errorf("%s: a call that was up is deleted with the words %q", k.id, w)
		}
		l.mu.Lock()
		l.took = append(l.took, r.took)
		if r.sends > 1 {
			l.resent++
		}
		l.mu.Unlock()
	}
	return nil
}

func (l *load) calls() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.done
}

// end stops the callers and says how it went.
func (l *load) end(t testing.TB, what string) {
	t.Helper()
	close(l.stop)
	l.wg.Wait()
	if len(l.errs) > 0 {
		t.Errorf("%s: %d calls failed:\n%v", what, len(l.errs), errors.Join(l.errs[:min(8, len(l.errs))]...))
	}
	if len(l.took) == 0 {
		t.Errorf("%s: no command was answered", what)
		return
	}
	slices.Sort(l.took)
	at := func(q float64) time.Duration {
		return l.took[min(len(l.took)-1, int(q*float64(len(l.took))))].Round(10 * time.Microsecond)
	}
	within := 0
	for _, d := range l.took {
		if d <= time.Second {
			within++
		}
	}
	t.Logf("%s: %d calls, %d commands: p50 %v, p90 %v, p99 %v, p99.9 %v, longest %v; %.2f %% within 1 s; %d sent again",
		what, l.done, len(l.took), at(.5), at(.9), at(.99), at(.999), at(1), 100*float64(within)/float64(len(l.took)), l.resent)
}

// more waits until so many further calls went through.
func (l *load) more(t testing.TB, n int) {
	t.Helper()
	goal := l.calls() + n
	eventually(t, "traffic does not go on", func() error {
		if got := l.calls(); got < goal {
			return fmt.Errorf("%d calls, want %d", got, goal)
		}
		return nil
	})
}

// The node that leads the stream of calls is killed while commands run at the others. None is refused, and the node is as
// good as before when it is back.
func TestLeaderKilled(t *testing.T) {
	lab.Only(t, "traffic while a leader is elected")
	c := start(t, 3)
	dead := c.leader(callsStream)
	ks := c.placeEverywhere(9)
	l := c.traffic(c.others(dead), 4)
	l.more(t, 20)
	dead.kill()
	l.more(t, calls(100))
	l.end(t, "leader killed")
	_, rest := split(ks, dead)
	c.talkAll(rest)

	dead.restart()
	c.agree()
	c.replicas(callsStream, 3)
	back := c.traffic([]*node{dead}, 2)
	back.more(t, 20)
	back.end(t, "at the node that is back")
	for _, k := range ks {
		if err := k.reinvite(dead, c.nodes[0]); err != nil {
			t.Error(err)
		}
	}
	c.talkAll(ks)
	for _, k := range ks {
		dead.ok(remove(k.id))
	}
	c.idle()
}

// Whoever leads, one node after the other is restarted under traffic at the rest.
func TestRollingRestart(t *testing.T) {
	lab.Only(t, "half a minute of restarts under traffic")
	c := start(t, 3)
	for _, n := range c.nodes {
		l := c.traffic(c.others(n), 3)
		l.more(t, 10)
		n.stop()
		l.more(t, 30)
		n.restart()
		c.acquainted()
		l.more(t, 10)
		l.end(t, n.id+" restarted")
		c.replicas(callsStream, 3)
		c.level()
	}
	c.idle()
}
