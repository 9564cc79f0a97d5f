package peers

import (
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"rtpjet/embed"
	"rtpjet/events"
	"rtpjet/projection/members"
	"rtpjet/projection/transact"
)

// TestReclaim: a node that peers took for gone claims its lease anew, with an epoch above theirs, and goes on.
func TestReclaim(t *testing.T) {
	play(t, func(w *world) {
		n := w.join("n1")
		lost, _ := w.lease(t, "n1")
		lost.State, lost.By, lost.Epoch = members.Lost, "n2", 2
		w.putLease(lost)
		got, _ := w.lease(t, "n1")
		if got.State != members.Up || got.By != "" || got.Epoch != 3 || got.Instance != lost.Instance || n.Epoch() != 3 {
			t.Errorf("the lease is %+v; the epoch here is %d", got, n.Epoch())
		}
		w.want("log", having(n.log.Take(), "peers took"),
			`level=WARN msg="peers took this node for gone; it claims its lease anew, and gives up the calls that they took over" "declared by"=n2`)
		lost.Epoch = 9 // and again
		w.putLease(lost)
		if got, _ := w.lease(t, "n1"); got.Epoch != 10 || n.Epoch() != 10 {
			t.Errorf("the second time: epoch %d, %d here", got.Epoch, n.Epoch())
		}
		if err := n.end(); err != nil {
			t.Error(err)
		}
		if got, _ := w.lease(t, "n1"); got.State != members.Down || got.Epoch != 10 {
			t.Errorf("it left %+v behind", got)
		}
	})
}

// TestReclaimDeleted: a lease that somebody deleted is written again.
func TestReclaimDeleted(t *testing.T) {
	play(t, func(w *world) {
		n := w.join("n1")
		w.remove("node.n1")
		synctest.Wait()
		got, ok := w.lease(t, "n1")
		if !ok || got.State != members.Up || got.Epoch != 2 || n.Epoch() != 2 {
			t.Errorf("the lease is %+v; the epoch here is %d", got, n.Epoch())
		}
		w.want("log", n.log.Take(), `level=WARN msg="the lease of this node was deleted; it is written again"`)
	})
}

// TestReclaimFails: what cannot be claimed anew is logged, and tried again when the lease changes the next time.
func TestReclaimFails(t *testing.T) {
	play(t, func(w *world) {
		n := w.join("n1")
		n.link.disturb(failing("put", "node.n1"))
		lost := leaseOf("n1", 2, members.Lost)
		w.putLease(lost)
		w.want("log", having(n.log.Take(), "level=ERROR"), `level=ERROR msg="the lease of this node cannot be claimed anew; its next restart will" err=no`)
		if n.Epoch() != 1 {
			t.Errorf("epoch %d", n.Epoch())
		}
		n.link.disturb(func(verb, _ string) error {
			if verb == "put" {
				return errHangs
			}
			return nil
		})
		lost.Epoch = 3
		w.putLease(lost)
		pass(reclaimTime - time.Millisecond)
		w.want("while it hangs", having(n.log.Take(), "level=ERROR"))
		pass(time.Millisecond)
		if got := having(n.log.Take(), "cannot be claimed anew"); len(got) != 1 {
			t.Errorf("when it has hung: %q", got)
		}
		n.link.disturb(nil)
		lost.Epoch = 4
		w.putLease(lost)
		if n.Epoch() != 5 {
			t.Errorf("epoch %d after the next change", n.Epoch())
		}
	})
}

// TestReclaimOnce: changes that come while the lease is claimed anew are not another reason to.
func TestReclaimOnce(t *testing.T) {
	play(t, func(w *world) {
		n := w.join("n1")
		wait := make(chan struct{})
		n.link.disturb(func(verb, key string) error {
			if verb == "get" && key == "node.n1" {
				<-wait
			}
			return nil
		})
		for epoch := range uint64(3) {
			w.putLease(leaseOf("n1", 2+epoch, members.Lost))
		}
		close(wait)
		synctest.Wait()
		if got := having(n.log.Take(), "peers took this node"); len(got) != 1 || n.Epoch() != 5 {
			t.Errorf("epoch %d, %d times", n.Epoch(), len(got))
		}
	})
}

// TestReclaimEnds: a node that ends meanwhile says nothing of a lease that it could not claim anew, and does not wait for that.
func TestReclaimEnds(t *testing.T) {
	play(t, func(w *world) {
		n := w.join("n1")
		n.link.disturb(func(verb, _ string) error {
			if verb == "put" {
				return errHangs
			}
			return nil
		})
		w.putLease(leaseOf("n1", 2, members.Lost))
		began := time.Now()
		n.end()
		if took := time.Since(began); took != leaveTime {
			t.Errorf("it took %v", took)
		}
		if got := having(n.log.Take(), "level=ERROR"); len(got) > 0 {
			t.Errorf("logged %q", got)
		}
	})
}

// TestOwnLease: what a node hears of its own lease and what it makes of it, at once.
func TestOwnLease(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(l *members.Lease)
		epoch  uint64
		err    error
	}{
		"its own write":                {func(l *members.Lease) { l.Draining = true }, 1, nil},
		"another process":              {func(l *members.Lease) { l.Instance = "another" }, 1, errNameTaken},
		"another process, next epoch":  {func(l *members.Lease) { l.Instance, l.Epoch = "another", 2 }, 1, errNameTaken},
		"another process, that ended":  {func(l *members.Lease) { l.Instance, l.State, l.Epoch = "another", members.Down, 2 }, 3, nil},
		"a peer's fence":               {func(l *members.Lease) { l.State, l.Epoch = members.Lost, 2 }, 3, nil},
		"an epoch that nobody claimed": {func(l *members.Lease) { l.Epoch = 7 }, 8, nil},
	} {
		t.Run(name, func(t *testing.T) {
			play(t, func(w *world) {
				n := w.join("n1")
				l, _ := w.lease(t, "n1")
				tc.change(&l)
				w.putLease(l)
				if tc.err != nil {
					if err := <-n.done; !errors.Is(err, tc.err) {
						t.Errorf("it ended with %v", err)
					}
					n.stop()
					n.stop = nil
				}
				if n.Epoch() != tc.epoch {
					t.Errorf("epoch %d, want %d", n.Epoch(), tc.epoch)
				}
			})
		})
	}
}

// TestOwnLeaseBefore: news of what this node has written over since is none.
func TestOwnLeaseBefore(t *testing.T) {
	play(t, func(w *world) {
		n := w.join("n1")
		before := w.rev
		if err := n.Update(w.t.Context(), func(l *members.Lease) { l.Draining = true }); err != nil {
			t.Fatal(err)
		}
		n.leaseChanged(embed.Lease{Key: "node.n1", Value: leaseOf("n1", 5, members.Lost).Encode(), Revision: before}, false)
		synctest.Wait()
		if l, _ := w.lease(t, "n1"); n.Epoch() != 1 || l.Epoch != 1 {
			t.Errorf("epoch %d, and %d in the bucket", n.Epoch(), l.Epoch)
		}
		w.want("log", n.log.Take())
	})
}

// TestUpdate: a change of our lease comes on top of whatever others changed, and never into the lease of another process.
func TestUpdate(t *testing.T) {
	keeper := netip.MustParseAddrPort("192.0.2.1:4000")
	for name, tc := range map[string]struct {
		meanwhile func(w *world, n *node) // before the first write
		disturb   func(verb, key string) error
		want      uint64 // epoch
		err       string
	}{
		"nothing else":          {want: 1},
		"a change of somebody":  {meanwhile: func(w *world, n *node) { l := n.Nodes()[0].Lease; l.Draining = true; w.put("node.n1", l.Encode()) }, want: 1},
		"lost, and gone again":  {meanwhile: func(w *world, _ *node) { w.remove("node.n1") }, want: 1},
		"cannot be read":        {disturb: failing("get", "node.n1"), err: "no"},
		"cannot be written":     {disturb: failing("put", "node.n1"), err: "no"},
		"nobody can decode it":  {meanwhile: func(w *world, _ *node) { w.put("node.n1", []byte("?")) }, err: "lease: invalid character '?' looking for beginning of value"},
		"it is another process": {meanwhile: func(w *world, _ *node) { w.put("node.n1", leaseOf("n1", 2, members.Up).Encode()) }, err: "taken"},
	} {
		t.Run(name, func(t *testing.T) {
			play(t, func(w *world) {
				n := w.make("n1", nil)
				if err := n.Claim(w.t.Context()); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Minute)
				n.link.disturb(tc.disturb)
				if tc.meanwhile != nil {
					n.link.disturb(func(verb, key string) error {
						if verb == "put" {
							n.link.disturb(nil)
							tc.meanwhile(w, n)
						}
						return nil
					})
				}
				err := n.Update(w.t.Context(), func(l *members.Lease) { l.Keeper = keeper })
				if tc.err == "taken" {
					if !errors.Is(err, errNameTaken) {
						t.Error(err)
					}
					select {
					case <-n.ended:
					default:
						t.Error("the node is not ended")
					}
					return
				}
				if tc.err != "" {
					w.wantError("update", err, tc.err)
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				got, _ := w.lease(t, "n1")
				if got.Keeper != keeper || got.Epoch != tc.want || n.Epoch() != tc.want || got.State != members.Up || got.At != time.Now().UnixMicro() {
					t.Errorf("the lease is %+v", got)
				}
				if own := n.Nodes()[0].Lease; own.Keeper != keeper {
					t.Errorf("here it is %+v", own)
				}
				if err := n.Update(w.t.Context(), func(l *members.Lease) { l.Draining = true }); err != nil {
					t.Errorf("the next change: %v", err)
				}
			})
		})
	}
}

// TestFence: before calls of a node are taken over, its lease is claimed, by one node.
func TestFence(t *testing.T) {
	for name, tc := range map[string]struct {
		known   *members.Lease // what this node has heard of the lease
		has     *members.Lease // what the bucket has, if that is another one
		deleted bool           // somebody has deleted it before that, and this node has heard so
		disturb func(verb, key string) error
		want    *members.Lease // what the bucket has afterwards; nil: what it had
		err     string
	}{
		"gone":                                  {known: up(3), want: &members.Lease{State: members.Lost, Epoch: 4, By: "n1"}},
		"gone for long":                         {known: lost(4)},
		"ended":                                 {known: down(4)},
		"gone for long, and the bucket is away": {known: lost(4), disturb: failing("get", "node.n2")},
		"ended, and the bucket is away":         {known: down(4), disturb: failing("get", "node.n2")},
		"a peer faster":                         {known: up(3), has: lost(4)},
		"it ended now":                          {known: up(3), has: down(3)},
		"back again":                            {known: up(3), has: up(4), err: "node n2 is back: " + transact.ErrConflict.Error()},
		"never heard of":                        {has: up(3), want: &members.Lease{State: members.Lost, Epoch: 4, By: "n1"}},
		"lease deleted":                         {known: up(3), deleted: true, want: &members.Lease{State: members.Lost, Epoch: 4, By: "n1"}},
		"deleted, claimed since":                {known: up(3), deleted: true, has: up(4), want: &members.Lease{State: members.Lost, Epoch: 5, By: "n1"}},
		"never a lease":                         {deleted: true, want: &members.Lease{State: members.Lost, Epoch: 1, By: "n1"}},
		"not read":                              {known: up(3), disturb: failing("get", "node.n2"), err: "no"},
		"not written":                           {known: up(3), disturb: failing("put", "node.n2"), err: "no"},
	} {
		t.Run(name, func(t *testing.T) {
			play(t, func(w *world) {
				n := w.join("n1")
				if tc.known != nil {
					w.putLease(*tc.known)
				}
				if tc.deleted {
					w.remove("node.n2")
					synctest.Wait()
				}
				if tc.has != nil { // this node hears of it later
					w.bus.mu.Lock()
					w.rev++
					w.leases["node.n2"] = embed.Lease{Key: "node.n2", Value: tc.has.Encode(), Revision: w.rev}
					w.bus.mu.Unlock()
				}
				before, _ := w.lease(t, "n2")
				n.host.Take()
				n.log.Take()
				n.link.disturb(tc.disturb)
				err := n.Fence(w.t.Context(), "n2")
				if tc.err != "" {
					w.wantError("fence", err, tc.err)
				} else if err != nil {
					t.Error(err)
				}
				got, _ := w.lease(t, "n2")
				if tc.want == nil {
					if string(got.Encode()) != string(before.Encode()) {
						t.Errorf("the lease is now %+v", got)
					}
					return
				}
				if got.State != tc.want.State || got.Epoch != tc.want.Epoch || got.By != tc.want.By || got.Node != "n2" || got.At != time.Now().UnixMicro() {
					t.Errorf("the lease is now %+v", got)
				}
				if tc.known != nil && len(got.Interfaces) != 1 {
					t.Errorf("its addresses are now %+v", got.Interfaces)
				}
				w.want("log", having(n.log.Take(), "level=WARN"),
					`level=WARN msg="a node is gone; its calls get other owners as they are asked for" peer=n2 "declared by"=n1`)
				if len(n.host.Take()) == 0 {
					t.Error("the node is not told")
				}
				if err := n.Fence(w.t.Context(), "n2"); err != nil {
					t.Errorf("once more: %v", err)
				}
				if again, _ := w.lease(t, "n2"); again.Epoch != got.Epoch {
					t.Errorf("once more: epoch %d", again.Epoch)
				}
			})
		})
	}
}

func up(epoch uint64) *members.Lease   { l := leaseOf("n2", epoch, members.Up); return &l }
func lost(epoch uint64) *members.Lease { l := leaseOf("n2", epoch, members.Lost); return &l }
func down(epoch uint64) *members.Lease { l := leaseOf("n2", epoch, members.Down); return &l }

// TestFenceRace: of two nodes that fence a third one at once, one writes, and the other one has a conflict, and asks again.
func TestFenceRace(t *testing.T) {
	play(t, func(w *world) {
		a, b := w.join("n1"), w.join("n3")
		w.putLease(*up(3))
		b.link.disturb(func(verb, key string) error {
			if verb == "put" {
				b.link.disturb(nil)
				if err := a.Fence(w.t.Context(), "n2"); err != nil {
					t.Error(err)
				}
			}
			return nil
		})
		if err := b.Fence(w.t.Context(), "n2"); !errors.Is(err, embed.ErrConflict) {
			t.Errorf("the slower one: %v", err)
		}
		if err := b.Fence(w.t.Context(), "n2"); err != nil {
			t.Errorf("the slower one asks again: %v", err)
		}
		if l, _ := w.lease(t, "n2"); l.By != "n1" || l.Epoch != 4 {
			t.Errorf("the lease is %+v", l)
		}
	})
}

// TestFenceOvertaken: a node that is back before its fence is noted here is not taken for gone.
func TestFenceOvertaken(t *testing.T) {
	play(t, func(w *world) {
		n := w.make("n1", nil)
		n.link.after = func(key string) {
			if key == "node.n2" {
				w.putLease(*up(5))
			}
		}
		n.run()
		w.putLease(*up(3))
		if err := n.Fence(w.t.Context(), "n2"); err != nil {
			t.Error(err)
		}
		if l := n.Nodes()[1]; l.State != members.Up || l.Epoch != 5 {
			t.Errorf("the lease here is %+v", l)
		}
		n.link.after = nil
		if err := n.Fence(w.t.Context(), "n2"); err != nil {
			t.Error(err)
		}
		if l, _ := w.lease(t, "n2"); l.State != members.Lost || l.Epoch != 6 {
			t.Errorf("fenced again, it is %+v", l)
		}
	})
}

// TestRemadeBucket: after somebody deleted the bucket its revisions begin anew, and so does what is known.
func TestRemadeBucket(t *testing.T) {
	play(t, func(w *world) {
		n := w.join("n1")
		w.putLease(*up(3))
		w.bus.mu.Lock()
		for watcher := range w.watchers {
			watcher <- leaseChange{Lease: embed.Lease{Key: "node.n2"}, deleted: true}
			watcher <- leaseChange{Lease: embed.Lease{Key: "node.n2", Value: up(4).Encode(), Revision: 1}}
			watcher <- leaseChange{through: true}
		}
		w.bus.mu.Unlock()
		synctest.Wait()
		if l := n.Nodes()[1]; l.Epoch != 4 {
			t.Errorf("the lease here is %+v", l)
		}
	})
}

// TestFenceUnreadable: what cannot be read is left alone.
func TestFenceUnreadable(t *testing.T) {
	play(t, func(w *world) {
		n := w.join("n1")
		w.put("node.n2", []byte("?"))
		w.wantError("fence", n.Fence(w.t.Context(), "n2"), "fence node n2: lease: invalid character '?' looking for beginning of value")
	})
}

// TestFenced: a node that was cut off and fenced finds that when it is back, and has its lease again with the next epoch.
func TestFenced(t *testing.T) {
	play(t, func(w *world) {
		a, b := w.join("n1"), w.join("n2")
		if err := a.Fence(w.t.Context(), "n2"); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if l, _ := w.lease(t, "n2"); l.State != members.Up || l.Epoch != 3 || b.Epoch() != 3 {
			t.Errorf("the lease is %+v; the epoch there is %d", l, b.Epoch())
		}
		w.want("log", having(a.log.Take(), "peer=n2"),
			`level=WARN msg="a node is gone; its calls get other owners as they are asked for" peer=n2 "declared by"=n1`,
			`level=INFO msg="a node is back" peer=n2 epoch=3`)
	})
}

// TestLeaseChanges: what a node makes of the leases of others.
func TestLeaseChanges(t *testing.T) {
	play(t, func(w *world) {
		w.put("region.eu", []byte("there before"))
		n := w.join("n1")
		log := func(want ...string) {
			t.Helper()
			w.want("log", n.log.Take(), want...)
		}
		w.want("at the start", n.host.Take(), "other lease cluster.key none false", "nodes changed", "other lease region.eu there before false")
		w.put("float.a", []byte("x"))
		w.remove("float.a")
		w.put("node.", []byte("y"))
		synctest.Wait()
		w.want("of others", n.host.Take(), "other lease float.a x false", "other lease float.a  true", "other lease node. y false")
		log()

		w.putLease(*up(1))
		w.want("a node", n.host.Take(), "nodes changed")
		log()
		if n.Interfaces("n2") == nil || n.Interfaces("n3") != nil {
			t.Errorf("addresses of n2 %v, of n3 %v", n.Interfaces("n2"), n.Interfaces("n3"))
		}
		w.putLease(*up(1)) // nothing new
		log()
		w.putLease(*lost(2))
		log(`level=WARN msg="a node is gone; its calls get other owners as they are asked for" peer=n2 "declared by"=""`)
		w.putLease(*lost(2))
		log()
		w.putLease(*up(3))
		log(`level=INFO msg="a node is back" peer=n2 epoch=3`)
		n.host.Take()

		w.remove("node.n2")
		w.remove("node.n3") // never heard of
		synctest.Wait()
		w.want("deleted", n.host.Take(), "nodes changed", "nodes changed")
		if n.Interfaces("n2") == nil || len(n.Nodes()) != 2 {
			t.Error("the addresses of a node whose lease was deleted are not known any more")
		}
		log()
	})
}

// TestStrangeLeases: leases that this node cannot use, or not fully.
func TestStrangeLeases(t *testing.T) {
	play(t, func(w *world) {
		n := w.join("n1")
		n.host.Take()
		w.put("node.n2", []byte("{"))
		synctest.Wait()
		w.want("unreadable", n.log.Take(), `level=ERROR msg="a lease cannot be read; it is left alone" key=node.n2 err="lease: unexpected end of JSON input"`)
		if len(n.Nodes()) != 1 || n.HasPeers() {
			t.Errorf("the nodes are %+v", n.Nodes())
		}
		w.want("the node", n.host.Take(), "nodes changed")

		twice := *up(1)
		twice.Interfaces = append(twice.Interfaces, twice.Interfaces[0])
		_, err := twice.Table()
		w.putLease(twice)
		w.want("useless addresses", n.log.Take(), fmt.Sprintf(`level=ERROR msg="the media addresses of a peer cannot be used; it gets no calls from here" peer=n2 err=%q`, err))
		if err == nil || n.Interfaces("n2") != nil || !n.HasPeers() {
			t.Errorf("%v; the addresses are %v", err, n.Interfaces("n2"))
		}

		newer := *up(1)
		newer.Format = events.Version + 1
		for range 3 {
			w.putLease(newer)
			time.Sleep(20 * time.Second)
		}
		text := `level=ERROR msg="a peer writes events that this build cannot read: update this node" peer=n2 "its version"=2 ours=1`
		w.want("newer, three times", n.log.Take(), text)
		w.putLease(newer)
		w.want("a minute later", n.log.Take(), text)
	})
}
