package server

import (
	"fmt"
	"testing"
	"time"

	"rtpjet/tests/lab"
)

// TestMirrorWake: the network between two regions is cut for some time, and packets get lost without a word. It prints when
// that is noticed, and how long after the end of it the mirror has all; at home all goes on meanwhile. With -v it is the whole
// table of docs/regions.md.
func TestMirrorWake(t *testing.T) {
	lab.Only(t, "cuts that last up to 25 s")
	for _, n := range []int{1, 3} {
		for _, cut := range []time.Duration{2 * time.Second, 7 * time.Second, 9 * time.Second, 12 * time.Second, 17 * time.Second, 25 * time.Second} {
			if !testing.Verbose() && (n == 1 || cut != 2*time.Second && cut != 12*time.Second) {
				continue
			}
			t.Run(fmt.Sprintf("%d servers cut for %v", n, cut), func(t *testing.T) {
				t.Parallel()
				cutRegions(t, n, cut)
			})
		}
	}
}

// wakePatience is far more than it takes, and far less than it took with the server's own times.
const wakePatience = 10 * time.Second

func cutRegions(t *testing.T, n int, cut time.Duration) {
	r := &regionNet{cfgs: regionConfigs(t, n, "eu", "us"), servers: map[string][]*Server{}, logs: map[string]*testLog{}}
	wires := wired(t, r.cfgs, 20*time.Millisecond)
	r.start(t, "eu")
	r.start(t, "us")
	m := openMirror(t, r.servers["eu"][n-1], "us")
	here, home := r.logs["eu"], r.logs["us"]
	last := appendTo(t, home, "first", 0, "x")
	has(t, m, "first", last)

	start := time.Now()
	for _, w := range wires {
		w.cut()
	}
	end := time.After(cut)
	noticed := "not"
	down := func() bool {
		for _, s := range r.servers["eu"] {
			if up, _ := s.RegionLink("us"); up {
				return false
			}
		}
		return true
	}
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for i := 0; ; i++ {
		select {
		case <-tick.C:
			last = mustAppend(t, home, fmt.Sprint("k", i), 0, "x")
			mustAppend(t, here, fmt.Sprint("k", i), 0, "x")
			if noticed == "not" && down() {
				noticed = fmt.Sprint("after ", time.Since(start).Round(10*time.Millisecond))
			}
			continue
		case <-end:
		}
		for _, w := range wires {
			w.heal()
		}
		healed := time.Now()
		var linked time.Duration
		eventually(t, "the mirror has all", func() bool {
			if linked == 0 && noticed != "not" && !down() {
				linked = time.Since(healed)
			}
			return mirrorState(t, m).Last >= last
		})
		if took := time.Since(healed); took > wakePatience {
			t.Errorf("it took %v", took)
		}
		t.Logf("noticed %s, connected again %v after the end, and all %d entries there after %v", noticed, linked.Round(10*time.Millisecond), i, time.Since(healed).Round(10*time.Millisecond))
		return
	}
}
