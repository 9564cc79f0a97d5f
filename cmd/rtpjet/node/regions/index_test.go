package regions

import (
	"fmt"
	"maps"
	"runtime"
	"syscall"
	"testing"
	"time"

	"rtpjet/embed"
	"rtpjet/events"
)

// The entries that the index tells apart: one that ends a call and any other one.
var (
	indexed  = encoded(events.Offered{})
	indexEnd = encoded(events.Ended{Reason: events.ReasonDeleted})
)

func encoded(e events.Event) []byte {
	data, err := events.Encode(events.Envelope{Call: "call", Event: e})
	if err != nil {
		panic(err)
	}
	return data
}

func newIndex() *index {
	x := &index{}
	x.reset()
	return x
}

// indexScript plays entries, one second apart: "a" is an entry of call a, "-a" its end. The first has the sequence 1.
func indexScript(x *index, start time.Time, entries ...string) {
	for i, key := range entries {
		data := indexed
		if key[0] == '-' {
			key, data = key[1:], indexEnd
		}
		x.note(embed.Entry{Seq: x.next, Key: key, Data: data}, start.Add(time.Duration(i)*time.Second))
	}
}

func TestIndexNote(t *testing.T) {
	for _, c := range []struct {
		name    string
		entries []string
		first   map[string]uint64 // of live calls
		over    map[string][2]uint64
	}{
		{"nothing", nil, map[string]uint64{}, nil},
		{"a call keeps its first entry", []string{"a", "b", "a", "a"}, map[string]uint64{"a": 1, "b": 2}, nil},
		{"a call ends", []string{"a", "b", "a", "-a"}, map[string]uint64{"b": 2}, map[string][2]uint64{"a": {1, 4}}},
		{"an end is all that there is of a call", []string{"-a"}, map[string]uint64{}, map[string][2]uint64{"a": {1, 1}}},
		{"a second end", []string{"a", "-a", "-a"}, map[string]uint64{}, map[string][2]uint64{"a": {1, 3}}},
		{"the same call-id again", []string{"a", "-a", "b", "a"}, map[string]uint64{"a": 1, "b": 3}, nil},
		{"and its end", []string{"a", "-a", "b", "a", "-a"}, map[string]uint64{"b": 3}, map[string][2]uint64{"a": {1, 5}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			x := newIndex()
			indexScript(x, time.Unix(1000, 0), c.entries...)
			if !maps.Equal(x.first, c.first) || x.live() != len(c.first) {
				t.Errorf("live: %v, want %v", x.first, c.first)
			}
			for key := range c.first {
				if !x.has(key) {
					t.Errorf("%s is not there", key)
				}
			}
			over := map[string][2]uint64{}
			for key, e := range x.over {
				over[key] = [2]uint64{e.first, e.last}
			}
			if !maps.Equal(over, c.over) {
				t.Errorf("over: %v, want %v", over, c.over)
			}
			if x.next != uint64(len(c.entries))+1 {
				t.Errorf("the next entry is %d", x.next)
			}
		})
	}
}

func TestIndexExpired(t *testing.T) {
	start := time.Unix(1000, 0)
	for _, c := range []struct {
		name    string
		entries []string
		old     int // what ended up to this second is not needed any more
		forget  bool
		below   uint64
		behind  map[string]uint64
		over    int // left
	}{
		{"an empty mirror", nil, 100, false, 1, nil, 0},
		{"live calls keep their entries", []string{"a", "b", "a"}, 100, false, 1, nil, 0},
		{"what ended is kept for a while", []string{"a", "-a", "b"}, 0, false, 1, nil, 1},
		{"then it goes, up to the first entry of any other call", []string{"a", "-a", "b"}, 1, false, 3, nil, 0},
		{"all of it, if nothing lives", []string{"a", "-a", "b", "-b"}, 100, false, 5, nil, 0},
		{"behind a long call, call by call", []string{"long", "a", "-a", "b"}, 100, false, 1, map[string]uint64{"a": 3}, 1},
		{"unless another node cleans", []string{"long", "a", "-a", "b"}, 100, true, 1, nil, 0},
		{"one that ended lately holds the others up", []string{"a", "b", "-b", "-a"}, 2, false, 1, map[string]uint64{"b": 3}, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			x := newIndex()
			indexScript(x, start, c.entries...)
			below, behind := x.expired(start.Add(time.Duration(c.old)*time.Second), c.forget)
			if below != c.below || !maps.Equal(behind, c.behind) || len(x.over) != c.over {
				t.Errorf("below %d, behind %v, %d left; want %d, %v, %d", below, behind, len(x.over), c.below, c.behind, c.over)
			}
		})
	}
}

func TestIndexPurged(t *testing.T) {
	x := newIndex()
	indexScript(x, time.Unix(1000, 0), "long", "a", "-a")
	x.purged("a", 2) // it has gone on since
	if len(x.over) != 1 {
		t.Error("entries that are still in the mirror are forgotten")
	}
	x.purged("a", 3)
	x.purged("nobody", 3)
	if len(x.over) != 0 || !x.has("long") {
		t.Errorf("left: %v, live: %v", x.over, x.first)
	}
	indexScript(x, time.Unix(2000, 0), "a", "-a", "a", "-a") // the same call-id twice, and again when nothing of it is left
	x.purged("a", 7)
	indexScript(x, time.Unix(3000, 0), "a")
	if first, ok := x.began("a"); !ok || first != 8 {
		t.Errorf("the call begins at %d", first)
	}
}

func TestIndexVanished(t *testing.T) {
	x := newIndex()
	indexScript(x, time.Unix(1000, 0), "gone", "kept", "later")
	if n := x.vanished(map[string]uint64{"kept": 2}, 2, time.Unix(2000, 0)); n != 1 || x.over["gone"].last != 2 {
		t.Errorf("%d calls have vanished: %v", n, x.over)
	}
	if want := map[string]uint64{"kept": 2, "later": 3}; !maps.Equal(x.first, want) {
		t.Errorf("left: %v, want %v", x.first, want)
	}
	x.reset()
	if x.live() != 0 || x.next != 1 {
		t.Errorf("after a reset: %d calls, next %d", x.live(), x.next)
	}
}

// indexKeys are as the log has them: hashes.
func indexKeys(n int) []string {
	keys := make([]string, n)
	for i := range keys {
		keys[i] = events.Key(fmt.Sprintf("f81d4fae-7dec-%08d-a765@198.51.100.7", i))
	}
	return keys
}

// BenchmarkRegionIndex is what calls of another region cost a node: the memory of one among a million that live, and the
// CPU time of an entry. A call has five entries here, the last of which ends it; 180 s later it is another one.
func BenchmarkRegionIndex(b *testing.B) {
	const calls = 1_000_000
	b.Run("memory", func(b *testing.B) {
		var live, over float64
		for range b.N {
			keys := indexKeys(calls)
			const subject = "calls.eu-1." // a follower's key is a piece of the subject
			before := heap()
			x := newIndex()
			for i, key := range keys {
				x.note(embed.Entry{Seq: uint64(i + 1), Key: (subject + key)[len(subject):], Data: indexed}, time.Unix(1000, 0))
			}
			live = float64(heap()-before) / calls
			x.reset()
			before = heap()
			for i, key := range keys {
				x.note(embed.Entry{Seq: uint64(i + 1), Key: (subject + key)[len(subject):], Data: indexEnd}, time.Unix(1000, 0))
			}
			over = float64(heap()-before) / calls
			runtime.KeepAlive(x)
			runtime.KeepAlive(keys)
		}
		b.ReportMetric(live, "B/call")
		b.ReportMetric(over, "B/ended")
	})
	b.Run("note", func(b *testing.B) {
		const each = 5
		keys := indexKeys(2 * calls)
		x := newIndex()
		for i, key := range keys[:calls] {
			x.note(embed.Entry{Seq: uint64(i + 1), Key: key, Data: indexed}, time.Unix(1000, 0))
		}
		start := cpuTime()
		b.ResetTimer()
		for i := range b.N {
			// One call ends, another one begins and has two more entries: as many live as before.
			k := i / each
			e := embed.Entry{Seq: x.next, Key: keys[(calls+k)%len(keys)], Data: indexed}
			if i%each == 0 {
				e.Key, e.Data = keys[k%len(keys)], indexEnd
			}
			x.note(e, time.Unix(1000, int64(i)))
			if i%(100*each) == 0 {
				x.over = map[string]endedKey{} // what the cleaning forgets
			}
		}
		b.ReportMetric(float64((cpuTime()-start).Nanoseconds())/1000/float64(b.N), "cpu-µs/op")
	})
}

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func cpuTime() time.Duration {
	var ru syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &ru)
	return time.Duration(ru.Utime.Nano() + ru.Stime.Nano())
}

// has tells whether a call lives in the region.
func (x *index) has(key string) bool {
	_, ok := x.began(key)
	return ok
}
