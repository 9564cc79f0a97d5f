package floats_test

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"rtpjet/cmd/rtpjet/keeper"
	driver "rtpjet/cmd/rtpjet/node/floats"
	"rtpjet/embed"
	"rtpjet/events"
	"rtpjet/projection/floats"
	"rtpjet/projection/members"
)

// A keeper is told what the node knows, in the order in which it needs it, and its calls are attended to once.
func TestKeeperIsTold(t *testing.T) {
	start(t, func(_ *driver.Config, w *world) {
		w.host.peers = map[string]netip.AddrPort{"n2": keeperAddr}
	}, func(w *world) {
		got := w.k.Take()
		w.want("the keeper is told", got[:4], "begin 70001", "nodes [n1 n2], keepers of [n2]", "drain false", "ready")
		slices.Sort(got[4:])
		w.want("and then", got[4:], "warm "+one+" false", "warm "+two+" false")
		calls := w.host.Take()
		slices.Sort(calls)
		w.want("calls", calls, "attend float."+one+" false", "attend float."+two+" false")
		if w.Addr() != keeperAddr {
			t.Errorf("the keeper is at %v", w.Addr())
		}

		w.link.listen(embed.Msg{Data: []byte("pulse of n2")})
		w.want("a pulse by NATS", w.k.Take(), "heard pulse of n2")
		w.k.reports <- keeper.Report{Pulse: []byte("beat")}
		synctest.Wait()
		w.want("its own pulse", w.link.Take(), "pulse beat")
		w.link.cut = true
		w.k.reports <- keeper.Report{Pulse: []byte("beat")}
		synctest.Wait()
		w.want("its own pulse without NATS", w.link.Take())

		w.k.reports <- keeper.Report{Fatal: "the address is gone"}
		synctest.Wait()
		w.want("the end", w.host.Take(), "end: the address is gone")
	})
}

// Before the backlog of the log is read there is nothing to attend to. Then all floats are.
func TestReady(t *testing.T) {
	start(t, func(_ *driver.Config, w *world) { w.host.notReady = true }, func(w *world) {
		w.want("at the start", w.k.Take(), "begin 70001", "nodes [n1], keepers of []", "drain false")
		w.says(holds(one, 1))
		w.want("calls before", w.host.Take())
		w.host.mu.Lock()
		w.host.notReady = false
		w.host.mu.Unlock()
		w.Ready()
		synctest.Wait()
		got := w.k.Take()
		slices.Sort(got)
		w.want("the keeper is told", got, "ready", "warm "+one+" true", "warm "+two+" false")
	})
}

// A node becomes the holder, and is no longer: its calls' sockets are opened, and closed before they are opened again.
func TestHolder(t *testing.T) {
	start(t, func(_ *driver.Config, w *world) { w.host.calls[ownerOf(one)] = 3 }, func(w *world) {
		f := w.Float(one)
		if f.Owner() != ownerOf(one) || f.ID() != one || f.Own() == nil || f.Interfaces() != f.Own() {
			t.Errorf("%+v", f)
		}
		w.k.Take()
		w.host.Take()
		w.says(floats.State{Float: one, Epoch: 1, Holder: "n2", Live: true, Successor: "n1", Keep: true})
		if f.Holding() || !f.Warm() || f.Holder() != "n2" || f.Successor() != "n1" || f.Since() != 0 {
			t.Errorf("the next holder: %v %v %q %q %d", f.Holding(), f.Warm(), f.Holder(), f.Successor(), f.Since())
		}
		w.want("the next holder", w.host.Take(), "attend float."+one+" false")
		w.want("the next holder's keeper", w.k.Take(), "warm "+one+" true")

		now := time.Now().UnixMicro()
		w.says(holds(one, 2))
		if !f.Holding() || !f.Warm() || f.Holder() != "n1" || f.Since() != now || !f.Settled() || len(w.Held()) != 1 {
			t.Errorf("the holder: %v %v %q %d, settled %v", f.Holding(), f.Warm(), f.Holder(), f.Since(), f.Settled())
		}
		w.want("moves", w.moves.Take(), one+" free 41ms")
		w.want("the holder's calls are open already", w.host.Take())
		if r := w.link.record(t, one); r.Holder != "n1" || r.Epoch != 2 || r.At != now || len(r.Interfaces) != 1 {
			t.Errorf("the bucket has %+v", r)
		}

		w.says(elsewhere(one, "n3", 3))
		if f.Holding() || f.Warm() || f.Holder() != "n3" {
			t.Errorf("the holder before: %v %v %q", f.Holding(), f.Warm(), f.Holder())
		}
		closed := w.host.Take() // it may look again, with nothing more to close
		w.want("sockets of the holder before", closed[:1], "attend float."+one+" true")
		if slices.Contains(closed[1:], closed[0]) {
			t.Errorf("they are closed twice: %q", closed)
		}
		if r := w.link.record(t, one); r.Holder != "n1" {
			t.Errorf("the bucket has %+v, which is the next holder's to write", r)
		}
		w.says(holds(one, 4))
		w.want("held again", w.host.Take(), "attend float."+one+" false")
		if log := w.log.String(); strings.Count(log, "holds a float now") != 2 || strings.Count(log, "no longer holds a float") != 1 || !strings.Contains(log, "calls=3") {
			t.Error(log)
		}
	})
}

// New ports of a float are given out only when this node knows all that was written before it became the holder.
func TestSettle(t *testing.T) {
	start(t, func(_ *driver.Config, w *world) { w.host.behind = make(chan struct{}) }, func(w *world) {
		f := w.Float(one)
		w.says(holds(one, 1))
		ctx, cancel := context.WithTimeout(w.t.Context(), time.Second)
		defer cancel()
		if f.Settled() || f.Settle(ctx) {
			t.Error("settled, and the node is behind")
		}
		close(w.host.behind)
		if !f.Settle(w.t.Context()) || !f.Settled() {
			t.Error("not settled, and the node knows all")
		}
	})
	start(t, func(_ *driver.Config, w *world) { w.host.headless = errors.New("no log") }, func(w *world) {
		w.says(holds(one, 1))
		if !w.Float(one).Settled() || !strings.Contains(w.log.String(), "no log") {
			t.Error(w.log.String())
		}
	})
	// Whoever holds it no longer need not wait, and a log that stays away is not waited for without end.
	start(t, func(_ *driver.Config, w *world) { w.host.behind = make(chan struct{}) }, func(w *world) {
		w.says(holds(one, 1), holds(two, 1))
		w.says(elsewhere(one, "n2", 2))
		began := time.Now()
		if !w.Float(one).Settle(w.t.Context()) || time.Since(began) > time.Second {
			t.Errorf("the former holder settles after %v", time.Since(began))
		}
		if !w.Float(two).Settle(w.t.Context()) || time.Since(began) < 5*time.Second {
			t.Errorf("the holder settles after %v", time.Since(began))
		}
	})
}

// A keeper that ends holds nothing, and another one follows that is told all again, as another process.
func TestKeeperEnds(t *testing.T) {
	var next *fakeKeeper
	start(t, func(c *driver.Config, _ *world) {
		failed := false
		c.Start = func(context.Context) (driver.Keeper, error) {
			if !failed {
				failed = true
				return nil, errors.New("no room")
			}
			next = newKeeper("next")
			return next, nil
		}
	}, func(w *world) {
		w.says(holds(one, 1))
		w.Recorded(w.link.put(floats.Record{Float: two, Epoch: 5, Holder: "n2"}), false)
		w.Drain(true)
		_ = w.k.Close()
		synctest.Wait()
		if f := w.Float(one); f.Holding() || f.Holder() != "" || w.Addr().IsValid() {
			t.Errorf("without a keeper: held %v, by %q, keeper at %v", f.Holding(), f.Holder(), w.Addr())
		}
		w.host.Take()
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if next == nil {
			t.Fatal("no other keeper follows")
		}
		got := next.Take()
		w.want("the next keeper is told", got[:2], "begin 70002", "nodes [n1], keepers of []")
		records := slices.Clone(got[2:4])
		slices.Sort(records)
		w.want("records", records, "record "+one+" 1 n1", "record "+two+" 5 n2")
		w.want("and then", got[4:6], "drain true", "ready")
		if calls := w.host.Take(); !slices.Contains(calls, "announce "+keeperAddr.String()) {
			t.Errorf("the others are not told: %q", calls)
		}
		for _, line := range []string{"has ended; another one follows", "no room"} {
			if !strings.Contains(w.log.String(), line) {
				t.Errorf("%q is not in the log", line)
			}
		}
	})
}

// A node that can hold no float votes as soon as another one has a keeper, or a float is in the bucket. Not before.
func TestVoter(t *testing.T) {
	for name, cause := range map[string]func(w *world){
		"a peer": func(w *world) {
			w.host.mu.Lock()
			w.host.peers = map[string]netip.AddrPort{"n2": keeperAddr}
			w.host.mu.Unlock()
			w.NodesChanged()
		},
		"a record": func(w *world) { w.Recorded(w.link.put(floats.Record{Float: one, Epoch: 1, Holder: "n2"}), false) },
	} {
		t.Run(name, func(t *testing.T) {
			started := 0
			start(t, func(c *driver.Config, w *world) {
				c.Own, c.Keeper, w.k = nil, nil, nil
				c.Start = func(context.Context) (driver.Keeper, error) {
					started++
					w.k = newKeeper("voter")
					return w.k, nil
				}
			}, func(w *world) {
				time.Sleep(time.Minute)
				w.NodesChanged()
				synctest.Wait()
				if started > 0 || w.Addr().IsValid() {
					t.Fatal("a keeper runs, and there are no floats")
				}
				cause(w)
				synctest.Wait()
				if started != 1 {
					t.Fatalf("%d keepers were started", started)
				}
				w.says(elsewhere(one, "n2", 1))
				if f := w.Float(one); f.Holder() != "n2" || f.Own() != nil || f.Warm() {
					t.Errorf("%+v", f)
				}
			})
		})
	}
	start(t, func(c *driver.Config, w *world) { c.Own, c.Keeper, c.Start, w.k = nil, nil, nil, nil }, func(w *world) {
		w.Recorded(w.link.put(floats.Record{Float: one, Epoch: 1, Holder: "n2"}), false)
		time.Sleep(time.Minute)
		if w.Addr().IsValid() {
			t.Error("a keeper runs, and nobody can start one")
		}
	})
}

// Without a driver there are no floats.
func TestNone(t *testing.T) {
	var d *driver.Driver
	if d.Float(one) != nil || len(d.Known()) > 0 || len(d.Held()) > 0 || d.Status() != nil || len(d.Addresses()) > 0 {
		t.Error("a node without a cluster has floats")
	}
}

// What a float's calls are to expect.
func TestJudge(t *testing.T) {
	start(t, func(c *driver.Config, _ *world) { c.Own = c.Own[:1] }, func(w *world) {
		judge := func(id string, want members.Verdict) {
			t.Helper()
			if got := w.Judge(w.Float(id)); got != want {
				t.Errorf("%s is %v, want %v", id, got, want)
			}
		}
		w.says(holds(one, 1), elsewhere(two, "n2", 1))
		judge(one, members.Alive)
		judge(two, members.Alive)
		w.host.mu.Lock()
		w.host.silent["n2"] = true
		w.host.mu.Unlock()
		judge(two, members.Silent)
		w.says(elsewhere(one, "n2", 2), floats.State{Float: two, Epoch: 1, Holder: "n2"}) // its holder was not heard
		judge(one, members.Silent)
		judge(two, members.Silent)
		w.says(floats.State{Float: one}, floats.State{Float: two})
		time.Sleep(10 * time.Second)
		judge(two, members.Silent)
		time.Sleep(2 * time.Second)
		judge(two, members.Gone)
		if gone, ok := w.GoneFor(w.Float(two)); !ok || gone < time.Second || gone > 3*time.Second {
			t.Errorf("gone for %v, %v", gone, ok)
		}
		judge(one, members.Silent) // this node can hold it, and will
		w.says(elsewhere(two, "n3", 2))
		judge(two, members.Alive)
		if gone, ok := w.GoneFor(w.Float(two)); ok || gone != 0 {
			t.Errorf("held, and gone for %v", gone)
		}
	})
}

// A new call gets the float with the fewest calls of those that its node holds.
func TestChoose(t *testing.T) {
	const three = "192.0.2.102"
	start(t, nil, func(w *world) {
		choose := func(node, want string, tried ...string) {
			t.Helper()
			got, ok := w.Choose(node, func(owner string) bool { return slices.Contains(tried, owner) })
			if ok != (want != "") || ok && got != ownerOf(want) {
				t.Errorf("%s without %v: %q, %v, want %q", node, tried, got, ok, want)
			}
		}
		choose("n1", "")
		w.says(holds(one, 1), holds(two, 1), elsewhere(three, "n2", 1))
		choose("n1", one) // as many, and the first by name
		w.host.mu.Lock()
		w.host.calls[ownerOf(one)] = 2
		w.host.calls[ownerOf(two)] = 1
		w.host.mu.Unlock()
		choose("n1", two)
		choose("n1", one, ownerOf(two))
		choose("n1", "", ownerOf(two), ownerOf(one))
		choose("n2", three)
		choose("n3", "")
	})
}

// An event's owner is found among the floats by the id that its text has.
func TestOwner(t *testing.T) {
	start(t, nil, func(w *world) {
		id, ok := events.ParseOwner(w.Float(one).Owner()).Float()
		if !ok || w.Float(id) != w.Float(one) || w.Float("192.0.2.1") != nil {
			t.Error("not found by its owner")
		}
		if got := w.Addresses(); len(got) != 2 || got[netip.MustParseAddr(two)] != two {
			t.Errorf("addresses %v", got)
		}
	})
}
