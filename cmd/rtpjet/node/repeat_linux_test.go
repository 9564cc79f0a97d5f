package node_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"rtpjet/cmd/rtpjet/cli"
	"rtpjet/embed"
	"rtpjet/events"
)

// The same offer under a new cookie is the same offer: same SDP, no event.
func TestRepeated(t *testing.T) {
	t.Parallel()
	n := startNode(t)
	c := &call{t: t, id: "same", a: newPhone(t), b: newPhone(t)}
	for _, req := range []dict{offer(c.id, c.a.body()), answer(c.id, c.b.body())} {
		first, last := n.sdp(req), n.last()
		for range 3 {
			if got := n.sdp(req); got != first {
				t.Errorf("%v again gets\n%s\nand got\n%s", req["command"], got, first)
			}
		}
		if got := n.last(); got != last {
			t.Errorf("%v again appended %d events", req["command"], got-last)
		}
	}
}

// A serial fork sends the SDP of a call that it has deleted: that is a new call.
func TestRepeatedAfterDelete(t *testing.T) {
	t.Parallel()
	n := startNode(t)
	a := newPhone(t)
	first := n.sdp(offer("serial", a.body()))
	n.ok(remove("serial"))
	second := n.sdp(offer("serial", a.body()))
	if legs(t, first)[0].rtp == legs(t, second)[0].rtp {
		t.Error("the second call has the ports of the first")
	}
	if all := n.events("serial"); len(all) != 3 || all[2].Gen != 2 {
		t.Errorf("events: %+v", all)
	}
}

// A branch that was deleted at once comes back with the same offer: its sockets are new ones, and they are open.
func TestRepeatedAfterBranchDelete(t *testing.T) {
	t.Parallel()
	n := startNode(t)
	id, a, b := "branches", newPhone(t), newPhone(t)
	two := offer(id, a.body(), dict{"via-branch": "z9hG4bK2"})
	n.sdp(offer(id, a.body(), dict{"via-branch": "z9hG4bK1"}))
	n.sdp(two)
	n.ok(remove(id, dict{"via-branch": "z9hG4bK2"}))
	atB := legs(t, n.sdp(two))[0]
	atA := legs(t, n.sdp(answer(id, b.body(), dict{"via-branch": "z9hG4bK2"})))[0]
	pass(t, b.rtp, atB.rtp, a.rtp, atA.rtp)
	pass(t, a.rtp, atA.rtp, b.rtp, atB.rtp)
}

func TestConcurrentCopies(t *testing.T) {
	t.Parallel()
	n := startNode(t)
	a := newPhone(t)
	var mu sync.Mutex
	seen := map[string]int{}
	var wg sync.WaitGroup
	for range 50 {
		client := dial(t, n.addr)
		wg.Go(func() {
			reply, err := client.c.Do(offer("copies", a.body()))
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				t.Error(err)
				return
			}
			s, _ := reply["sdp"].(string)
			seen[s]++
		})
	}
	wg.Wait()
	if len(seen) != 1 || seen[""] > 0 {
		t.Errorf("%d different replies: %v", len(seen), seen)
	}
	if got := n.last(); got != 1 {
		t.Errorf("%d events, want 1", got)
	}
	if got := n.engine.Totals().Streams; got != 4 {
		t.Errorf("%d sockets, want 4", got)
	}
	n.ok(remove("copies"))
	n.idle()
}

// Many clients do anything to a few calls at once. Every command is answered, and nothing is left over.
func TestConcurrentCommands(t *testing.T) {
	t.Parallel()
	n := startNode(t)
	storm(t, n, "Unknown call-id", "Unknown call-ID", "Invalid dialogue association")
}

// The same on a log that is slow, lies about what it has stored, and has other writers.
func TestConcurrentTrouble(t *testing.T) {
	t.Parallel()
	n := startNode(t)
	var turn atomic.Int64
	n.journal.disturb(func(ctx context.Context, key string, last uint64, data []byte) (uint64, error, bool) {
		switch turn.Add(1) % 11 {
		case 3:
			return 0, &embed.ConflictError{}, true
		case 5:
			return 0, embed.ErrUnavailable, true
		case 7: // the confirmation is lost
			_, _ = n.log.Append(ctx, key, last, data)
			return 0, embed.ErrUnavailable, true
		case 9:
			return 0, embed.ErrFull, true
		}
		return 0, nil, false
	})
	storm(t, n, "Unknown call-id", "Unknown call-ID", "Invalid dialogue association", logAway)
}

// storm ends with all ports free and a log that makes sense.
func storm(t *testing.T, n *testNode, reasons ...string) {
	t.Helper()
	const clients, rounds, calls = 8, 60, 6
	var bodies [4]string
	for i := range bodies {
		bodies[i] = newPhone(t).body()
	}
	var wg sync.WaitGroup
	for i := range clients {
		client, random := dial(t, n.addr), rand.New(rand.NewPCG(1, uint64(i)))
		wg.Go(func() {
			for round := range rounds {
				id, body := fmt.Sprint("call ", random.IntN(calls)), bodies[random.IntN(len(bodies))]
				if round%5 == 0 { // a call that nobody else touches
					id = fmt.Sprint("own ", i, " ", round)
				}
				branch := dict{"via-branch": fmt.Sprint("z9hG4bK", random.IntN(2))}
				var req dict
				switch random.IntN(8) {
				case 0, 1:
					req = offer(id, body, branch)
				case 2, 3:
					req = answer(id, body, branch, dict{"to-tag": fmt.Sprint("B", random.IntN(2))})
				case 4:
					req = remove(id)
				case 5:
					req = remove(id, branch)
				case 6:
					req = dict{"command": "query", "call-id": id}
				case 7:
					req = dict{"command": []string{"block media", "unblock media"}[random.IntN(2)], "call-id": id}
				}
				reply, err := client.c.Do(req)
				if err != nil {
					t.Errorf("%v: %v", req["command"], err)
					return
				}
				if reason, _ := reply["error-reason"].(string); reply["result"] != "ok" && !slices.Contains(reasons, reason) {
					t.Errorf("%v: %v", req["command"], reply)
				}
			}
		})
	}
	wg.Wait()
	n.journal.heal()
	// An event whose confirmation was lost may take effect only now.
	eventually(t, "calls are left over", func() error {
		for _, id := range n.calls() {
			n.ok(remove(id, dict{"from-tag": nil}))
		}
		var inLog strings.Builder
		if err := cli.CallList(t.Context(), n.log, &inLog, true); err != nil {
			t.Fatal(err)
		}
		return when(strings.TrimSpace(inLog.String()) == "[]")
	})
	n.idle()
	if got := n.calls(); len(got) > 0 {
		t.Errorf("calls: %q", got)
	}
	for i := range calls {
		id, gen, live := fmt.Sprint("call ", i), uint64(0), false
		for _, env := range n.events(id) {
			if _, offered := env.Event.(events.Offered); offered && !live {
				gen, live = gen+1, true
			}
			if env.Gen != gen || !live {
				t.Fatalf("%s: %s event of generation %d in generation %d, live %v", id, kindOf(env), env.Gen, gen, live)
			}
			if _, end := env.Event.(events.Ended); end {
				live = false
			}
		}
		if live {
			t.Errorf("%s has no end in the log", id)
		}
	}
}

// A node that has ended leaves no goroutine and no descriptor behind. Not parallel: it counts those of the process.
func TestNoLeak(t *testing.T) {
	s := newStore(t)
	descriptors := func() int {
		list, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(list)
	}
	phones := [2]*phone{newPhone(t), newPhone(t)}
	work := func() {
		n := startNode(t, func(o *settings) { o.store = s })
		for i := range 20 {
			id := fmt.Sprint("leak ", i)
			n.sdp(offer(id, phones[0].body()))
			n.sdp(answer(id, phones[1].body()))
			if i%2 == 0 {
				n.ok(remove(id))
			}
		}
		n.stop()
		_ = n.c.Close()
	}
	work()
	goroutines, open := runtime.NumGoroutine(), descriptors()
	for range 3 {
		work()
	}
	eventually(t, "goroutines are left over", func() error {
		if got := runtime.NumGoroutine(); got > goroutines {
			return fmt.Errorf("%d, and there were %d", got, goroutines)
		}
		return nil
	})
	eventually(t, "descriptors are left over", func() error {
		if got := descriptors(); got > open {
			return fmt.Errorf("%d, and there were %d", got, open)
		}
		return nil
	})
}
