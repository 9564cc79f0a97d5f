//go:build linux

package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"rtpjet/embed"
	"rtpjet/embed/server"
	"rtpjet/events"
	"rtpjet/projection/projectiontest"
	"rtpjet/tests/lab"
)

// These benchmarks are what the page needs and no other package measures. Their entries are those of an ordinary call.

func quietLogger() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

func cpuTime() time.Duration {
	var ru syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &ru)
	return time.Duration(ru.Utime.Nano() + ru.Stime.Nano())
}

func perOp(b *testing.B, start time.Duration, ops int) {
	b.ReportMetric(float64((cpuTime()-start).Nanoseconds())/1000/float64(ops), "cpu-µs/op")
}

// distinct is how many calls the entries are taken from.
const distinct = 2000

// audioCalls are the entries of ended calls: an offer, its answer, two learned addresses, the end.
func audioCalls(b *testing.B) [][][]byte {
	calls := make([][][]byte, distinct)
	for n := range calls {
		calls[n] = projectiontest.Scripts[0].Entries(b, n, true)
	}
	return calls
}

// BenchmarkEntries reports the bytes of each kind of entry of a call.
func BenchmarkEntries(b *testing.B) {
	calls := audioCalls(b)
	names := []string{"offer", "answer", "learned", "learned", "end"}
	sums := map[string]int{}
	for _, list := range calls {
		for i, data := range list {
			sums[names[i]] += len(data)
		}
	}
	for range b.N {
		runtime.KeepAlive(sums)
	}
	b.ReportMetric(float64(sums["offer"])/distinct, "B/offer")
	b.ReportMetric(float64(sums["answer"])/distinct, "B/answer")
	b.ReportMetric(float64(sums["learned"])/distinct/2, "B/learned")
	b.ReportMetric(float64(sums["end"])/distinct, "B/end")
}

// region starts the only server of a region, with its log.
func region(b *testing.B, cfg server.Config) (*server.Server, *embed.Log) {
	b.Helper()
	cfg.NodeID, cfg.StoreDir, cfg.Logger = "n1", b.TempDir(), quietLogger()
	s, err := server.Start(b.Context(), cfg)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(s.Shutdown)
	nc, err := s.Connect()
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(nc.Close)
	l, err := embed.Open(b.Context(), nc, embed.Config{Region: cfg.Region, Logger: quietLogger()})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(l.Close)
	return s, l
}

func key(n int) string { return events.Key("call-" + strconv.Itoa(n)) }

// fill appends calls number from on, several at a time. A short call has its first entries only.
func fill(b *testing.B, l *embed.Log, calls [][][]byte, from, count, entries int) (size int) {
	b.Helper()
	var next, bytes atomic.Int64
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for {
				n := int(next.Add(1)) - 1
				if n >= count {
					return
				}
				var last uint64
				for _, data := range calls[n%distinct][:entries] {
					var err error
					if last, err = l.Append(b.Context(), key(from+n), last, data); err != nil {
						b.Error(err)
						return
					}
					bytes.Add(int64(len(data)))
				}
			}
		})
	}
	wg.Wait()
	return int(bytes.Load())
}

// BenchmarkSubjects reports the heap that NATS takes for a live call, which has a subject of its own.
func BenchmarkSubjects(b *testing.B) {
	const calls = 40_000
	_, l := region(b, server.Config{Region: "eu"})
	list := audioCalls(b)
	const settle = 15 * time.Second // the store forgets what it has read and written of its blocks after ten
	fill(b, l, list, 0, distinct, 2)
	time.Sleep(settle)
	from := distinct
	var got float64
	for range b.N {
		before := heap()
		fill(b, l, list, from, calls, 2)
		from += calls
		time.Sleep(settle)
		got = (heap() - before) / calls
	}
	b.ReportMetric(got, "B/call")
}

// BenchmarkSockets reports the kernel's memory for an open socket, as the growth of all its slabs: others' work is in it, too.
func BenchmarkSockets(b *testing.B) {
	const sockets = 15_000
	if err := lab.RaiseFileLimit(sockets + 1000); err != nil {
		b.Skip(err)
	}
	var got float64
	for range b.N {
		before := slabs(b)
		open := make([]net.PacketConn, 0, sockets)
		for range sockets {
			c, err := net.ListenPacket("udp4", "127.0.0.1:0")
			if err != nil {
				b.Fatal(err)
			}
			open = append(open, c)
		}
		got = (slabs(b) - before) / sockets
		for _, c := range open {
			_ = c.Close()
		}
	}
	b.ReportMetric(got, "B/socket")
}

// slabs is the memory of the kernel's objects.
func slabs(b *testing.B) float64 {
	b.Helper()
	text, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		b.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "\nSlab:")
	var kB float64
	if _, err := fmt.Sscan(rest, &kB); err != nil {
		b.Fatal(err)
	}
	return kB * 1024
}

func heap() float64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc)
}

// BenchmarkArchive reports the bytes in the archive, its index included, for each byte of entries. One operation is a call.
func BenchmarkArchive(b *testing.B) {
	s, l := region(b, server.Config{Region: "eu"})
	nc, err := s.Connect()
	if err != nil {
		b.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.Context())
	done := make(chan struct{})
	go func() { defer close(done); _ = l.Archive(ctx) }()
	b.Cleanup(func() { cancel(); <-done })
	list := audioCalls(b)
	size := fill(b, l, list, 0, b.N, len(list[0]))
	last, err := l.Head(b.Context())
	for err == nil {
		var at uint64
		if at, err = l.Archived(b.Context()); at >= last {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	if err != nil {
		b.Fatal(err)
	}
	share := func(name string) float64 {
		s, err := js.Stream(b.Context(), name)
		if err != nil {
			b.Fatal(err)
		}
		return float64(s.CachedInfo().State.Bytes) / float64(size)
	}
	b.ReportMetric(share("ARCHIVE_eu")+share("ARCHIVEX_eu"), "B/B")
	b.ReportMetric(share("CALLS_eu"), "live-B/B")
}

// BenchmarkMirror has one region mirrored by another one over a connection whose bytes are counted, compressed as they are, and
// which is far or near: the longer a round trip takes the more entries an answer has. One operation is
// an entry, which crosses twice: with the live stream and with the archive. The CPU time is that of the region that mirrors
// and of the connection; that of the appends is taken off.
func BenchmarkMirror(b *testing.B) {
	for _, far := range []time.Duration{0, 15 * time.Millisecond} {
		b.Run(map[bool]string{true: "far", false: "near"}[far > 0], func(b *testing.B) {
			secret := []byte("0123456789abcdef0123456789abcdef")
			home, away := host(), host()
			_, l := region(b, server.Config{Region: "eu", ClusterKey: secret, RegionListen: home + ":7422"})
			wire := newWire(b, away+":7423", home+":7422", far)
			s, _ := region(b, server.Config{
				Region: "us", ClusterKey: secret, RegionListen: away + ":7422",
				Peers: []embed.RegionPeer{{Name: "eu", URLs: []string{away + ":7423"}}},
			})
			nc, err := s.ConnectRegion("eu")
			if err != nil {
				b.Fatal(err)
			}
			defer nc.Close()
			ctx, cancel := context.WithCancel(b.Context())
			done := make(chan struct{})
			go func() { defer close(done); _ = l.Archive(ctx) }()
			defer func() { cancel(); <-done }()
			list := audioCalls(b)
			each := len(list[0])
			calls := max(1, b.N/each)
			cpu := cpuTime()
			fill(b, l, list, 0, calls, each)
			time.Sleep(3 * time.Second)
			alone := cpuTime() - cpu
			m, err := embed.OpenMirror(b.Context(), nc, embed.Config{Region: "eu", Here: "us", Logger: quietLogger()})
			if err != nil {
				b.Fatal(err)
			}
			defer m.Close()
			awaitMirror(b, l, m)
			time.Sleep(3 * time.Second) // the archive's mirror
			bytes, start := wire.bytes.Load(), cpuTime()
			b.ResetTimer()
			fill(b, l, list, calls, calls, each)
			awaitMirror(b, l, m)
			b.StopTimer()
			time.Sleep(3 * time.Second)
			perOp(b, start+alone, calls*each)
			b.ReportMetric(float64(wire.bytes.Load()-bytes)/float64(calls*each), "wire-B/op")
		})
	}
}

// awaitMirror waits until a mirror has what its home has.
func awaitMirror(b *testing.B, home, mirror *embed.Log) {
	b.Helper()
	for end := time.Now().Add(2 * time.Minute); ; time.Sleep(20 * time.Millisecond) {
		want, err := home.Head(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		if have, err := mirror.Head(b.Context()); err == nil && have >= want {
			return
		}
		if time.Now().After(end) {
			b.Fatal("the mirror is not there")
		}
	}
}

// hosts numbers loopback addresses.
var hosts atomic.Uint32

func host() string {
	return fmt.Sprintf("127.%d.%d.%d", 150+os.Getpid()>>8&0x3f, os.Getpid()&0xff, hosts.Add(1))
}

// wire is a connection between two regions that counts bytes and takes its time.
type wire struct{ bytes atomic.Int64 }

func newWire(b *testing.B, listen, to string, delay time.Duration) *wire {
	b.Helper()
	w := &wire{}
	ln, err := net.Listen("tcp", listen)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = ln.Close() })
	go func() {
		for {
			from, err := ln.Accept()
			if err != nil {
				return
			}
			on, err := net.Dial("tcp", to)
			if err != nil {
				_ = from.Close()
				continue
			}
			go w.pass(from, on, delay)
			go w.pass(on, from, delay)
		}
	}()
	return w
}

// pass hands on what comes, each piece after the delay.
func (w *wire) pass(from, to net.Conn, delay time.Duration) {
	type piece struct {
		data []byte
		due  time.Time
	}
	queue := make(chan piece, 4096)
	go func() {
		defer func() { _ = to.Close() }()
		for p := range queue {
			time.Sleep(time.Until(p.due))
			if _, err := to.Write(p.data); err != nil {
				_ = from.Close()
			}
		}
	}()
	defer close(queue)
	for {
		buf := make([]byte, 64<<10)
		n, err := from.Read(buf)
		if err != nil {
			return
		}
		w.bytes.Add(int64(n))
		queue <- piece{buf[:n], time.Now().Add(delay)}
	}
}
