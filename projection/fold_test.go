package projection_test

import (
	"bytes"
	"fmt"
	"reflect"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"rtpjet/events"
	"rtpjet/projection"
	"rtpjet/projection/projectiontest"
)

// replay folds a log as a node does that starts.
func replay(tb testing.TB, c *projection.Call, log [][]byte) {
	for i, data := range log {
		e, err := events.Decode(data)
		if err != nil {
			tb.Fatal(err)
		}
		c.Apply(uint64(i+1), e)
	}
}

// cpuTime is what the process has used.
func cpuTime() time.Duration {
	var ru syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &ru)
	return time.Duration(ru.Utime.Nano() + ru.Stime.Nano())
}

// BenchmarkFold folds calls from their entries, on one core.
func BenchmarkFold(b *testing.B) {
	for _, s := range projectiontest.Scripts {
		for _, ended := range []bool{true, false} {
			name := s.Name + ", live"
			if ended {
				name = s.Name + ", ended"
			}
			b.Run(strings.ReplaceAll(name, " ", "_"), func(b *testing.B) {
				const different = 500 // more than the caches hold
				var logs [different][][]byte
				size, count := 0, 0
				for n := range logs {
					logs[n] = s.Entries(b, n, ended)
					for _, data := range logs[n] {
						size += len(data)
						count++
					}
				}
				before := runtime.GOMAXPROCS(1)
				defer runtime.GOMAXPROCS(before)
				b.ReportAllocs()
				b.ResetTimer()
				began, cpu := time.Now(), cpuTime()
				done := 0
				for i := range b.N {
					var c projection.Call
					replay(b, &c, logs[i%different])
					done += len(logs[i%different])
					if c.Live() == ended {
						b.Fatal("the call is live or not, and should be the other")
					}
				}
				b.ReportMetric(float64(done)/time.Since(began).Seconds(), "events/s")
				b.ReportMetric(float64((cpuTime()-cpu).Nanoseconds())/1000/float64(done), "cpu-µs/event")
				b.ReportMetric(float64(size)/float64(count), "B/event")
			})
		}
	}
}

// perCall returns what a folded live call takes of the heap. The entries themselves are gone, as they are in a node.
func perCall(tb testing.TB, s projectiontest.Script, n int) float64 {
	type entry struct{ projection.Call }
	calls := make(map[string]*entry, n)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for i := range n {
		log := s.Entries(tb, i, false)
		e := &entry{}
		replay(tb, &e.Call, log)
		calls[e.ID] = e
	}
	runtime.GC()
	runtime.GC() // what the first one found may have had a finalizer
	runtime.ReadMemStats(&after)
	defer runtime.KeepAlive(calls)
	for _, e := range calls {
		if !e.Live() || len(e.Parties) != 2 || !e.Parties[1].Medias[0].Learned.RTP.IsValid() {
			tb.Fatalf("an odd call: %#v", e)
		}
		break
	}
	return float64(after.HeapAlloc-before.HeapAlloc) / float64(n)
}

// BenchmarkCallMemory reports the heap that a folded live call of another node takes, the map's share with it.
func BenchmarkCallMemory(b *testing.B) {
	for _, s := range projectiontest.Scripts {
		b.Run(strings.ReplaceAll(s.Name, " ", "_"), func(b *testing.B) {
			var got float64
			for range b.N {
				got = perCall(b, s, 20_000)
			}
			b.ReportMetric(got, "B/call")
		})
	}
}

// A live call of two parties takes 4,000 bytes at most: a node keeps those of the whole cluster.
func TestCallMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("20,000 calls")
	}
	const limit = 4000
	if got := perCall(t, projectiontest.Scripts[0], 4000); got > limit {
		t.Errorf("a call takes %.0f bytes, more than %d", got, limit)
	}
}

// Lists of an event may share memory (events, decode_codecs.go), and what a fold keeps is what the events brought: neither
// applying events nor deciding commands may change a list in place.
func TestFoldKeepsEvents(t *testing.T) {
	for _, s := range projectiontest.Scripts {
		log := s.Entries(t, 1, false)
		var read []events.Envelope
		var was [][]byte
		d := projectiontest.NewDriver()
		d.Log = nil
		for _, data := range log {
			e, err := events.Decode(data)
			if err != nil {
				t.Fatal(err)
			}
			e.Call = "call"
			read, was = append(read, e), append(was, encode(t, e))
			d.Log = append(d.Log, e)
			d.Call.Apply(uint64(len(d.Log)), e)
			look(&d.Call)
		}
		before := *d.Replay()
		for _, step := range []string{"offer", "answer", "block media", "delete"} {
			for _, options := range [][]any{
				{}, {"flags", "codec-strip-PCMA"}, {"flags", []string{"codec-mask-all", "codec-offer-PCMU"}}, {"flags", []string{"codec-strip-all", "codec-except-opus"}},
				{"flags", "reset"}, {"sdp-media-remove", "video"},
			} {
				keys := append([]any{"from-tag", d.Call.Party(0).Tag, "to-tag", d.Call.Party(1).Tag, "delete-delay", 3}, options...)
				if body := map[string]string{"offer": s.Offer, "answer": s.Answer}[step]; body != "" {
					keys = append(keys, "sdp", []byte(projectiontest.SDP(step, fmt.Sprintf(body, 1, 22222))))
				}
				req, err := projectiontest.Request(step, keys...)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := d.Do(req); err != nil {
					t.Fatalf("%s %v: %v", step, options, err)
				}
				look(&d.Call)
			}
		}
		for i, e := range read {
			if !bytes.Equal(encode(t, e), was[i]) {
				t.Errorf("%s: event %d changed\nfrom %s\nto   %s", s.Name, i+1, was[i], encode(t, e))
			}
		}
		d.Log = d.Log[:len(read)]
		if !reflect.DeepEqual(*d.Replay(), before) {
			t.Errorf("%s: a replay gives another call", s.Name)
		}
	}
}

func encode(t *testing.T, e events.Envelope) []byte {
	t.Helper()
	data, err := events.Encode(e)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
