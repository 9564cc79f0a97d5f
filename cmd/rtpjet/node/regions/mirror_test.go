package regions

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"rtpjet/embed"
	"rtpjet/events"
	"rtpjet/projection/regions"
)

// TestIndexLives: whatever the order of entries, with ends that come twice or without a beginning and call-ids that come again, the
// index has exactly the calls whose last entry does not end them, each from the first entry after its last end; and what the mirror is
// cleaned of is no live call's, nor one's that ended a moment ago.
func TestIndexLives(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x := newIndex()
		start := time.Unix(1000, 0)
		began := map[string]uint64{} // of live calls
		ended := map[string]int{}    // when calls ended, in seconds
		present := map[string][]uint64{}
		for i := range rapid.IntRange(0, 40).Draw(t, "entries") {
			key, seq := string('a'+rune(rapid.IntRange(0, 4).Draw(t, "key"))), uint64(i+1)
			data := indexed
			present[key] = append(present[key], seq)
			if rapid.Bool().Draw(t, "end") {
				data = indexEnd
				delete(began, key)
				ended[key] = i
			} else if began[key] == 0 {
				began[key] = seq
			}
			x.note(embed.Entry{Seq: seq, Key: key, Data: data}, start.Add(time.Duration(i)*time.Second))
		}
		if x.live() != len(began) {
			t.Fatalf("%d calls live, want %v", x.live(), began)
		}
		for key := range present {
			if first, ok := x.began(key); ok != (began[key] > 0) || ok && first != began[key] {
				t.Fatalf("%s began at %d, %v; want %d", key, first, ok, began[key])
			}
		}
		old := rapid.IntRange(-1, 40).Draw(t, "old")
		below, behind := x.expired(start.Add(time.Duration(old)*time.Second), false)
		for key, seqs := range present {
			needed := began[key] > 0 || ended[key] > old
			if needed && (seqs[0] < below || behind[key] > 0) {
				t.Fatalf("%s from %d is needed: below %d and %v go", key, seqs[0], below, behind)
			}
			if last := seqs[len(seqs)-1]; !needed && last >= below && behind[key] != last {
				t.Fatalf("%s up to %d stays: below %d and %v go", key, last, below, behind)
			}
		}
	})
}

// A mirror that begins anew is read anew; one that cannot be followed is tried again.
func TestFollowMirror(t *testing.T) {
	start(t, func(w *world, _ *Config) { w.us.add(callOf("old", "n9")...) }, func(w *world) {
		if s := w.is("us"); s.Calls != 1 || s.AgeMS < 0 {
			t.Fatalf("%+v", s)
		}
		w.us.renew()
		w.us.add(append(callOf("new", "n9"), callOf("newer", "n9")...)...)
		w.pass(3 * time.Second)
		if _, ok := w.peer("us").index.began(events.Key("old")); ok || w.is("us").Calls != 2 || w.logged("the mirror of a region begins anew") != 1 {
			t.Errorf("a call of the mirror before lives: %v, %+v", ok, w.is("us"))
		}
	})
	start(t, func(w *world, _ *Config) { w.us.broken = errFake }, func(w *world) {
		w.us.add(callOf("call", "n9")...)
		w.pass(2500 * time.Millisecond)
		if w.is("us").Calls != 0 || w.logged("cannot follow the mirror of a region; trying again") != 3 {
			t.Errorf("%+v", w.is("us"))
		}
		w.us.set(func() { w.us.broken = nil })
		w.pass(2 * time.Second)
		if w.is("us").Calls != 1 {
			t.Errorf("%+v", w.is("us"))
		}
	})
}

// Calls that ended while a region was cut off, without a trace in the mirror, are found out by a look at its stream: once, when it
// is there again.
func TestCompareMirror(t *testing.T) {
	var looks int
	start(t, func(w *world, _ *Config) {
		for _, id := range []string{"a", "b", "c"} {
			w.us.add(callOf(id, "n9")...)
		}
		w.us.greeting.Head = 6
		w.us.home = map[string]uint64{events.Key("a"): 2, events.Key("b"): 4, events.Key("c"): 6}
	}, func(w *world) {
		count := func() (n int) {
			for _, line := range w.us.Take() {
				if line == "home keys" {
					n++
				}
			}
			return n
		}
		w.pass(25 * time.Second)
		if looks = count(); looks != 1 || w.is("us").Calls != 3 {
			t.Errorf("%d looks after the start, %+v", looks, w.is("us"))
		}
		w.lose(w.us)
		w.us.set(func() { delete(w.us.home, events.Key("b")) })
		w.pass(25 * time.Second)
		if looks = count(); looks != 0 || w.is("us").Calls != 3 {
			t.Errorf("%d looks while it is cut off, %+v", looks, w.is("us"))
		}
		w.us.set(func() { w.us.silent, w.us.failing = false, errFake })
		w.pass(25 * time.Second)
		if looks = count(); w.is("us").Calls != 3 || w.logged("cannot compare a mirror with its home") == 0 {
			t.Errorf("%d looks that fail, %+v", looks, w.is("us"))
		}
		w.us.set(func() { w.us.failing = nil })
		w.pass(25 * time.Second)
		if looks = count(); looks != 1 || w.is("us").Calls != 2 || w.logged("calls of a region ended while it was cut off") != 1 {
			t.Errorf("%d looks when it is there again, %+v", looks, w.is("us"))
		}
		if _, ok := w.peer("us").index.began(events.Key("b")); ok {
			t.Error("b lives yet")
		}
	})
}

// A mirror whose home has other streams than before is made anew.
func TestMirrorReplaced(t *testing.T) {
	start(t, func(w *world, _ *Config) {
		w.us.replaced = "it was restored"
		w.us.add(callOf("a", "n9")...)
	}, func(w *world) {
		w.pass(11 * time.Second)
		if lines := w.us.Take(); !slices.Contains(lines, "reset") || w.logged("the mirror of a region is of another stream") != 1 {
			t.Errorf("%q", lines)
		}
	})
}

// The node that archives cleans a mirror of what is over for a while; the others forget it.
func TestClean(t *testing.T) {
	start(t, func(w *world, _ *Config) {
		w.ap.silent = true
		w.us.add(callOf("long", "n9")...)
		w.us.add(append(callOf("over", "n9"), endOf(callOf("over", "n9"), events.ReasonDeleted))...)
	}, func(w *world) {
		w.pass(2*time.Minute - time.Second)
		for _, line := range w.us.Take() {
			if strings.HasPrefix(line, "retire") || line != "home keys" && line != "trim below 1" {
				t.Errorf("before its time: %s", line)
			}
		}
		w.pass(11 * time.Second)
		if got, want := w.us.Take(), fmt.Sprintf("retire %s up to 5", events.Key("over")); !slices.Contains(got, want) {
			t.Errorf("%q, want %s", got, want)
		}
		w.pass(25 * time.Second)
		if got := w.us.Take(); slices.ContainsFunc(got, func(l string) bool { return strings.HasPrefix(l, "retire") }) {
			t.Errorf("once more: %q", got)
		}
		w.us.add(endOf(callOf("long", "n9"), events.ReasonDeleted))
		w.pass(131 * time.Second)
		if got := w.us.Take(); got[len(got)-1] != "trim below 7" {
			t.Errorf("nothing lives: %q", got)
		}
	})
	start(t, func(w *world, _ *Config) {
		w.host.is.Archives = false
		w.us.add(callOf("long", "n9")...)
		w.us.add(endOf(callOf("over", "n9"), events.ReasonDeleted))
	}, func(w *world) {
		w.pass(time.Minute)
		if n := w.over("us"); n != 1 {
			t.Errorf("%d calls are over", n)
		}
		w.pass(time.Minute + 11*time.Second)
		if got := w.us.Take(); w.over("us") != 0 || slices.ContainsFunc(got, func(l string) bool { return l != "home keys" }) {
			t.Errorf("%d calls are over, and %q", w.over("us"), got)
		}
	})
}

// Cleaning that fails is done later.
func TestCleanLater(t *testing.T) {
	start(t, func(w *world, _ *Config) {
		w.us.add(callOf("long", "n9")...)
		w.us.add(endOf(callOf("over", "n9"), events.ReasonDeleted))
		w.us.greeting.Head = 3
		w.us.home = map[string]uint64{events.Key("long"): 2}
	}, func(w *world) {
		w.pass(time.Minute)
		w.us.set(func() { w.us.failing = errFake })
		w.pass(2 * time.Minute)
		if n := w.over("us"); n != 1 || w.logged("cannot clean a mirror; trying again") == 0 {
			t.Errorf("%d calls are over", n)
		}
		w.us.set(func() { w.us.failing = nil })
		w.pass(11 * time.Second)
		if n := w.over("us"); n != 0 {
			t.Errorf("%d calls are over yet", n)
		}
	})
}

// The age of a mirror counts from the last greeting after which it had all that the region had.
func TestMirrorAge(t *testing.T) {
	start(t, func(w *world, _ *Config) { w.us.greeting.Head = 2 }, func(w *world) {
		w.pass(3 * time.Second)
		if s := w.is("us"); s.AgeMS != -1 || s.Lag != 2 {
			t.Errorf("%+v", s)
		}
		w.us.add(callOf("a", "n9")...)
		w.pass(2500 * time.Millisecond)
		if s := w.is("us"); s.AgeMS > 1000 || s.AgeMS < 0 || s.Lag != 0 || s.State != regions.Up {
			t.Errorf("%+v", s)
		}
	})
}
