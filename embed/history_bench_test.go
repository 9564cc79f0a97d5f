package embed

import (
	"flag"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"rtpjet/embed/internal/names"
)

var archived = flag.Int("archived", 100_000, "events in the archive of BenchmarkHistory")

// BenchmarkHistory reads the history of one call out of an archive of -archived events of 2 kB, three a call that lie a minute
// apart, which was written in rounds as the archiver writes them at that many events a second. It reports the slowest of the
// reads, too.
func BenchmarkHistory(b *testing.B) {
	for _, perRound := range []int{1000, 100} {
		b.Run(fmt.Sprintf("rate=%d", perRound), func(b *testing.B) {
			l := newLog(b)
			keys := fillArchive(b, l, *archived, perRound)
			took := make([]time.Duration, 0, b.N)
			for b.Loop() {
				key := keys[len(took)*7919%len(keys)]
				start := time.Now()
				found, err := l.History(b.Context(), key)
				took = append(took, time.Since(start))
				if err != nil || len(found) != 3 {
					b.Fatalf("%d entries of %s: %v", len(found), key, err)
				}
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)-1].Microseconds())/1000, "slowest-ms")
			b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "median-ms")
		})
	}
}

// fillArchive writes total events into the archive and returns the keys of the calls that have three.
func fillArchive(t testing.TB, l *Log, total, perRound int) (keys []string) {
	t.Helper()
	a := &archiver{l: l, live: "bench", open: map[string][]byte{}, wake: make(chan struct{}, 1)}
	a.room = sync.NewCond(&a.mu)
	data := make([]byte, benchEntry)
	began := time.Now().Add(-time.Duration(total/perRound) * time.Second)
	const apart = 60 // rounds
	perSecond := max(1, perRound/3)
	seq := uint64(0)
	for round := 0; int(seq) < total; round++ {
		for i := range perSecond {
			for part := range 3 {
				n := (round-part*apart)*perSecond + i
				if n < 0 {
					continue
				}
				key := fmt.Sprintf("%032x", uint64(n)*0x9e3779b97f4a7c15)
				seq++
				if part == 2 {
					keys = append(keys, key)
				}
				a.add(Entry{Seq: seq, Key: key, Data: data, Time: began.Add(time.Duration(round)*time.Second + time.Duration(i)*time.Microsecond)})
			}
		}
		msgs, last := a.take()
		if err := a.publishRound(t.Context(), msgs, last); err != nil {
			t.Fatal(err)
		}
		a.recycle(msgs)
	}
	if st := streamState(t, l, names.Archive(l.cfg.Region)); st != "" {
		t.Logf("%d events, %d calls, %s", seq, len(keys), st)
	}
	return keys
}

func streamState(t testing.TB, l *Log, name string) string {
	s, err := l.js.Stream(t.Context(), name)
	if err != nil {
		return ""
	}
	st := s.CachedInfo().State
	return fmt.Sprintf("%s: %d messages, %d MB", name, st.Msgs, st.Bytes>>20)
}
