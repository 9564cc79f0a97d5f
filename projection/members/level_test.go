package members_test

import (
	"testing"

	"rtpjet/events"
	"rtpjet/projection/members"
)

// What is written is what all nodes read that hold their leases, and are not gone for long.
func TestLevel(t *testing.T) {
	const own, patience = 5, 60_000 * ms
	up := func(id string, level int) func(*world) {
		return func(w *world) { w.t.Announced(id, level, true) }
	}
	out := func(id string, level int) func(*world) {
		return func(w *world) { w.t.Announced(id, level, false) }
	}
	pass := func(ms int64) func(*world) { // a node looks every second
		return func(w *world) {
			for ; ms > 1000; ms -= 1000 {
				w.pass(time(1000))
				w.t.Level(own, patience, w.now)
			}
			w.pass(time(ms))
		}
	}
	quiet := func(id string) func(*world) { return func(w *world) { w.nats[id], w.udp[id] = false, false } }
	back := func(id string) func(*world) { return func(w *world) { w.nats[id], w.udp[id] = true, true } }
	cut := func(id string) func(*world) { return func(w *world) { w.nats[id] = false } }
	leaves := func(w *world) {
		quiet("a")(w)
		w.t.Heard(members.NATS, members.Beat{Node: "a", Epoch: w.epoch, Leaving: true}, 0, w.now)
	}
	type step struct {
		do    func(*world)
		level int
		who   string
	}
	for name, steps := range map[string][]step{
		"alone":                           {{pass(1), own, ""}},
		"as new":                          {{up("a", own), own, ""}},
		"newer than this build":           {{up("a", own+1), own, ""}},
		"its own lease is no news":        {{up("me", 1), own, ""}},
		"an earlier one":                  {{up("a", 3), 3, "a"}},
		"one that announces nothing":      {{up("a", 0), events.LevelFirst, "a"}},
		"the lowest of several":           {{up("a", 4), 4, "a"}, {up("b", 2), 2, "b"}, {up("c", 3), 2, "b"}},
		"the first of several":            {{up("b", 2), 2, "b"}, {up("a", 2), 2, "a"}, {up("c", 2), 2, "a"}},
		"upgraded one by one":             {{up("a", 0), 1, "a"}, {up("b", 0), 1, "a"}, {up("a", own), 1, "b"}, {up("b", own), own, ""}},
		"it gives its lease back":         {{up("a", 2), 2, "a"}, {out("a", 2), own, ""}},
		"a peer claims it":                {{up("a", 2), 2, "a"}, {quiet("a"), 2, "a"}, {pass(1000), 2, "a"}, {out("a", 2), own, ""}},
		"gone, and nobody claims it":      {{up("a", 2), 2, "a"}, {quiet("a"), 2, "a"}, {pass(59_000), 2, "a"}, {pass(4000), own, ""}},
		"it was never heard":              {{up("z", 2), 2, "z"}, {pass(50_000), 2, "z"}, {pass(15_000), own, ""}},
		"gone for long, and back":         {{up("a", 2), 2, "a"}, {quiet("a"), 2, "a"}, {pass(90_000), own, ""}, {back("a"), own, ""}, {pass(200), 2, "a"}},
		"cut off from NATS, and relaying": {{up("a", 2), 2, "a"}, {cut("a"), 2, "a"}, {pass(90_000), 2, "a"}},
		"an earlier one joins later":      {{up("a", own), own, ""}, {up("b", 0), 1, "b"}},
		"says goodbye, its lease stays":   {{up("a", 2), 2, "a"}, {leaves, 2, "a"}, {pass(59_000), 2, "a"}, {pass(2000), own, ""}},
		"forgotten":                       {{up("a", 2), 2, "a"}, {func(w *world) { w.t.Forget("a") }, own, ""}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld("a", "b", "c")
			for i, s := range steps {
				s.do(w)
				if level, who := w.t.Level(own, patience, w.now); level != s.level || who != s.who {
					t.Errorf("step %d: level %d because of %q, want %d because of %q", i, level, who, s.level, s.who)
				}
			}
		})
	}
}

// A lease that was written before there were levels, and one that is read by a build from then.
func TestLeaseLevel(t *testing.T) {
	old, err := members.DecodeLease([]byte(`{"format":1,"node":"n1","epoch":3,"state":"up","instance":"i","at":1,"version":"v","started":1}`))
	if err != nil || old.Level != 0 {
		t.Errorf("a lease without a level: %+v, %v", old, err)
	}
	now, err := members.DecodeLease(members.Lease{Node: "n1", Level: events.Level}.Encode())
	if err != nil || now.Level != events.Level {
		t.Errorf("a lease with a level: %+v, %v", now, err)
	}
}
