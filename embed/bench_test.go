package embed

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"rtpjet/embed/internal/names"
)

// cpuTime is what the process, server and clients together, has used.
func cpuTime() time.Duration {
	var ru syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &ru)
	return time.Duration(ru.Utime.Nano() + ru.Stime.Nano())
}

// perOp reports CPU time an operation since start.
func perOp(b *testing.B, start time.Duration) {
	b.ReportMetric(float64((cpuTime()-start).Nanoseconds())/1000/float64(b.N), "cpu-µs/op")
}

const benchEntry = 2048 // bytes: an offer with its SDP, its reply and the rest

// BenchmarkAppend appends with compare-and-set, three entries a key, from 32 goroutines: by this package, and by the two
// ways that the client library offers.
func BenchmarkAppend(b *testing.B) {
	data := make([]byte, benchEntry)
	ways := map[string]func(l *Log, key string, last uint64) (uint64, error){
		"log": func(l *Log, key string, last uint64) (uint64, error) {
			return l.Append(b.Context(), key, last, data)
		},
		"jetstream": func(l *Log, key string, last uint64) (uint64, error) {
			a, err := l.js.Publish(b.Context(), l.prefix+key, data, jetstream.WithExpectLastSequencePerSubject(last))
			if err != nil {
				return 0, err
			}
			return a.Sequence, nil
		},
		"request": func(l *Log, key string, last uint64) (uint64, error) {
			m := &nats.Msg{Subject: l.prefix + key, Data: data, Header: nats.Header{}}
			m.Header[jetstream.ExpectedLastSubjSeqHeader] = []string{strconv.FormatUint(last, 10)}
			r, err := l.nc.RequestMsg(m, 5*time.Second)
			if err != nil {
				return 0, err
			}
			a, err := parseAck(r.Data)
			return a.Seq, err
		},
	}
	for _, name := range []string{"log", "jetstream", "request"} {
		b.Run(name, func(b *testing.B) {
			l := newLog(b)
			var n atomic.Int64
			b.SetParallelism(16)
			start := cpuTime()
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					key := strconv.FormatInt(n.Add(1), 36)
					var last uint64
					var err error
					for i := 0; i < 3 && (i == 0 || pb.Next()); i++ {
						if last, err = ways[name](l, key, last); err != nil {
							b.Error(err)
							return
						}
					}
				}
			})
			perOp(b, start)
		})
	}
}

// BenchmarkAppendAlone is one goroutine: its time is the latency.
func BenchmarkAppendAlone(b *testing.B) {
	l := newLog(b)
	data := make([]byte, benchEntry)
	lat := make([]time.Duration, 0, b.N)
	start := cpuTime()
	b.ResetTimer()
	for i := range b.N {
		t := time.Now()
		if _, err := l.Append(b.Context(), strconv.Itoa(i), 0, data); err != nil {
			b.Fatal(err)
		}
		lat = append(lat, time.Since(t))
	}
	perOp(b, start)
	slices.Sort(lat)
	b.ReportMetric(float64(lat[len(lat)/2].Nanoseconds()), "p50-ns")
	b.ReportMetric(float64(lat[len(lat)*99/100].Nanoseconds()), "p99-ns")
}

// BenchmarkCall is what a short call costs the log: three appends, and what comes after, by the ways that were weighed.
// The time includes waiting for the archive at the end.
func BenchmarkCall(b *testing.B) {
	data := make([]byte, benchEntry)
	run := func(b *testing.B, l *Log, after func(key string, last uint64) error, end func()) {
		var n atomic.Int64
		b.SetParallelism(16)
		start := cpuTime()
		b.ResetTimer()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				key := strconv.FormatInt(n.Add(1), 36)
				var last uint64
				var err error
				for range 3 {
					if last, err = l.Append(b.Context(), key, last, data); err != nil {
						b.Error(err)
						return
					}
				}
				if err := after(key, last); err != nil {
					b.Error(err)
					return
				}
			}
		})
		end()
		perOp(b, start)
	}
	nothing := func(string, uint64) error { return nil }
	wait := func(b *testing.B, l *Log, stream string, done func(jetstream.StreamState) bool) func() {
		return func() {
			for {
				s, err := l.js.Stream(b.Context(), stream)
				if err != nil {
					b.Fatal(err)
				}
				if done(s.CachedInfo().State) {
					return
				}
			}
		}
	}
	b.Run("append", func(b *testing.B) { run(b, newLog(b), nothing, func() {}) })
	b.Run("append+purge", func(b *testing.B) {
		l := newLog(b)
		run(b, l, func(key string, last uint64) error { return l.Purge(b.Context(), key, last) }, func() {})
	})
	for _, sc := range []jetstream.StreamConfig{
		{Name: "COPY"},
		{Name: "COPY-PARTS", Sources: []*jetstream.StreamSource{{Name: names.Calls("r"), SubjectTransforms: []jetstream.SubjectTransformConfig{
			{Source: "calls.r.*", Destination: "copy.{{partition(256,1)}}"}}}}},
	} {
		b.Run("append+source:"+sc.Name, func(b *testing.B) {
			l := newLog(b)
			if sc.Sources == nil {
				sc.Sources = []*jetstream.StreamSource{{Name: names.Calls("r")}}
			}
			if _, err := l.js.CreateStream(b.Context(), sc); err != nil {
				b.Fatal(err)
			}
			run(b, l, nothing, wait(b, l, sc.Name, func(s jetstream.StreamState) bool { return s.Msgs >= uint64(3*b.N) }))
		})
	}
	for _, follows := range []bool{false, true} {
		name := "append+archive"
		if follows {
			name += "+follow"
		}
		b.Run(name, func(b *testing.B) {
			l := newLog(b)
			startArchive(b, l)
			if follows {
				startBenchFollow(b, l, func(Entry) {})
			}
			run(b, l, nothing, func() { waitArchived(b, l, uint64(3*b.N)) })
		})
	}
	b.Run("append+follow", func(b *testing.B) {
		l := newLog(b)
		var seen atomic.Uint64
		startBenchFollow(b, l, func(e Entry) { seen.Store(e.Seq) })
		run(b, l, nothing, func() {})
	})
	b.Run("append+follow+archive+trim", func(b *testing.B) {
		l := newLog(b)
		startArchive(b, l)
		startBenchFollow(b, l, func(Entry) {})
		ctx, cancel := context.WithCancel(b.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			for at := uint64(1); ctx.Err() == nil; at += 10_000 {
				_ = l.Trim(ctx, at)
			}
		}()
		run(b, l, nothing, func() { waitArchived(b, l, uint64(3*b.N)) })
		cancel()
		<-done
	})
	for _, order := range []string{"oldest first", "any order"} {
		b.Run("append+archive+retire:"+order, func(b *testing.B) {
			l := newLog(b)
			startArchive(b, l)
			type call struct {
				key  string
				last uint64
			}
			var mu sync.Mutex
			var ended []call
			run(b, l, func(key string, last uint64) error {
				mu.Lock()
				defer mu.Unlock()
				ended = append(ended, call{key, last})
				return nil
			}, func() {
				if order == "any order" {
					slices.SortFunc(ended, func(a, b call) int { return strings.Compare(partition(a.key), partition(b.key)) })
				}
				for _, c := range ended {
					if err := l.Retire(b.Context(), c.key, c.last); err != nil {
						b.Fatal(err)
					}
				}
			})
		})
	}
}

func waitArchived(b *testing.B, l *Log, seq uint64) {
	for {
		pos, known, change := l.pos.get()
		if known && pos >= seq {
			return
		}
		select {
		case <-change:
		case <-b.Context().Done():
			b.Fatal("not archived")
		}
	}
}

func startBenchFollow(b *testing.B, l *Log, entry func(Entry)) {
	ctx, cancel := context.WithCancel(b.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = l.Follow(ctx, 1, Follower{Entry: entry})
	}()
	b.Cleanup(func() { cancel(); <-done })
}

// BenchmarkFollow reads a backlog: its time is a restart's. One operation is one entry.
func BenchmarkFollow(b *testing.B) {
	for _, size := range []int{200, benchEntry} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			l := newLog(b)
			data := make([]byte, size)
			var wg sync.WaitGroup
			for g := range 16 {
				wg.Go(func() {
					for i := g; i < b.N; i += 16 {
						if _, err := l.Append(b.Context(), strconv.Itoa(i), 0, data); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			wg.Wait()
			ctx, cancel := context.WithCancel(b.Context())
			start := cpuTime()
			b.ResetTimer()
			n := 0
			err := l.Follow(ctx, 1, Follower{Entry: func(Entry) { n++ }, CaughtUp: func(uint64) { cancel() }})
			b.StopTimer()
			if n != b.N {
				b.Fatalf("%d entries of %d, %v", n, b.N, err)
			}
			perOp(b, start)
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "entries/s")
		})
	}
}

// BenchmarkFollowLatency is the time from the start of an append until a follower on the same connection has the entry.
func BenchmarkFollowLatency(b *testing.B) {
	l := newLog(b)
	got := make(chan uint64, 16)
	startBenchFollow(b, l, func(e Entry) { got <- e.Seq })
	data := make([]byte, benchEntry)
	lat := make([]time.Duration, 0, b.N)
	b.ResetTimer()
	for i := range b.N {
		t := time.Now()
		seq, err := l.Append(b.Context(), strconv.Itoa(i), 0, data)
		if err != nil {
			b.Fatal(err)
		}
		if s := <-got; s != seq {
			b.Fatalf("entry %d, want %d", s, seq)
		}
		lat = append(lat, time.Since(t))
	}
	slices.Sort(lat)
	b.ReportMetric(float64(lat[len(lat)/2].Nanoseconds()), "p50-ns")
	b.ReportMetric(float64(lat[len(lat)*99/100].Nanoseconds()), "p99-ns")
}

// BenchmarkRetire is the removal of a call of three entries that is archived already.
func BenchmarkRetire(b *testing.B) {
	l := newLog(b)
	startArchive(b, l)
	data := make([]byte, benchEntry)
	last := make([]uint64, b.N)
	par := func(f func(i int)) {
		var wg sync.WaitGroup
		for g := range 16 {
			wg.Go(func() {
				for i := g; i < b.N; i += 16 {
					f(i)
				}
			})
		}
		wg.Wait()
	}
	par(func(i int) {
		for range 3 {
			var err error
			if last[i], err = l.Append(b.Context(), strconv.Itoa(i), last[i], data); err != nil {
				b.Error(err)
			}
		}
	})
	waitArchived(b, l, slices.Max(last))
	start := cpuTime()
	b.ResetTimer()
	par(func(i int) {
		if err := l.Retire(b.Context(), strconv.Itoa(i), last[i]); err != nil {
			b.Error(err)
		}
	})
	perOp(b, start)
}

// BenchmarkAppendReplicated is the latency of an append to three servers in this process, by the node that leads the stream
// and by one that follows.
func BenchmarkAppendReplicated(b *testing.B) {
	members := startMembers(b, 3)
	s, err := members[0].log.js.Stream(b.Context(), names.Calls("r"))
	if err != nil {
		b.Fatal(err)
	}
	leader := s.CachedInfo().Cluster.Leader
	data := make([]byte, benchEntry)
	for _, leads := range []bool{true, false} {
		i := slices.IndexFunc(members, func(m *member) bool { return (m.name == leader) == leads })
		b.Run(map[bool]string{true: "leader", false: "follower"}[leads], func(b *testing.B) {
			lat := make([]time.Duration, 0, b.N)
			for n := range b.N {
				t := time.Now()
				if _, err := members[i].log.Append(b.Context(), fmt.Sprintf("%t-%d-%d", leads, b.N, n), 0, data); err != nil {
					b.Fatal(err)
				}
				lat = append(lat, time.Since(t))
			}
			slices.Sort(lat)
			b.ReportMetric(float64(lat[len(lat)/2].Nanoseconds()), "p50-ns")
			b.ReportMetric(float64(lat[len(lat)*99/100].Nanoseconds()), "p99-ns")
		})
	}
	// As many at once as a busy region has: the CPU time is that of all three servers and of the clients.
	b.Run("together", func(b *testing.B) {
		var n atomic.Int64
		b.SetParallelism(16)
		start := cpuTime()
		b.ResetTimer()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				k := n.Add(1)
				if _, err := members[k%3].log.Append(b.Context(), fmt.Sprintf("together-%d-%d", b.N, k), 0, data); err != nil {
					b.Error(err)
					return
				}
			}
		})
		perOp(b, start)
	})
}
