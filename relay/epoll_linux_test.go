package relay_test

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"rtpjet/relay"
	"rtpjet/relay/plan"
	"rtpjet/relay/srtp"
)

var loopback = netip.MustParseAddr("127.0.0.1")

func newEngine(t testing.TB, cfg relay.Config) *relay.Sockets {
	t.Helper()
	if cfg.Pools == nil {
		cfg.Pools = []relay.Pool{{Addr: loopback, Min: 10000, Max: 29999}}
	}
	e, err := relay.New(cfg)
	if err != nil {
		t.Fatalf("open the engine: %v", err)
	}
	t.Cleanup(func() { _ = e.Close() })
	return e
}

// reserve returns n even ports.
func reserve(t testing.TB, e relay.Engine, n int) []netip.AddrPort {
	t.Helper()
	locals := make([]netip.AddrPort, n)
	for i := range locals {
		got, err := e.Reserve(loopback, 1)
		if err != nil {
			t.Fatalf("reserve: %v", err)
		}
		locals[i] = got[0]
	}
	return locals
}

// between are the streams of a call that joins two parties at the same address.
func between(a, b, party netip.AddrPort) []plan.Stream {
	return []plan.Stream{
		{Local: a, Signalled: party, Mode: plan.LearnOff, RTPSinks: []netip.AddrPort{b}},
		{Local: b, Signalled: party, Mode: plan.LearnOff, RTPSinks: []netip.AddrPort{a}},
	}
}

func listen(t testing.TB) *net.UDPConn {
	t.Helper()
	conn, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(loopback, 0)))
	if err != nil {
		t.Fatalf("listen: %v", err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func addrOf(conn *net.UDPConn) netip.AddrPort { return conn.LocalAddr().(*net.UDPAddr).AddrPort() }

func openFiles(t testing.TB) int {
	t.Helper()
	files, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skipf("count descriptors: %v", err)
	}
	return len(files)
}

func TestNoDescriptorIsLeft(t *testing.T) {
	party := listen(t)
	before := openFiles(t)
	for range 3 {
		e := newEngine(t, relay.Config{Loops: 2})
		for i := range 100 {
			locals := reserve(t, e, 3) // the third is never adopted
			if err := e.Set(fmt.Sprint(i), between(locals[0], locals[1], addrOf(party))); err != nil {
				t.Fatal(err)
			}
			switch i % 3 {
			case 0:
				e.Drop(fmt.Sprint(i))
			case 1:
				e.Release(locals...)
			}
		}
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if after := openFiles(t); after != before {
		t.Errorf("%d descriptors are open, %d were before", after, before)
	}
}

// TestRealPacketsAllocateNothing asserts over real sockets what TestPacketPathAllocatesNothing does over none.
func TestRealPacketsAllocateNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	const suite = "AES_CM_128_HMAC_SHA1_80"
	for _, floating := range []bool{false, true} {
		on := fmt.Sprintf("floating %v", floating)
		t.Run("plain, "+on, func(t *testing.T) { allocateNothing(t, floating, "", "") })
		t.Run("SRTP to plain, "+on, func(t *testing.T) { allocateNothing(t, floating, suite, "") })
		t.Run("SRTP to SRTP, "+on, func(t *testing.T) { allocateNothing(t, floating, suite, "AEAD_AES_256_GCM") })
	}
}

func allocateNothing(t *testing.T, floating bool, in, out string) {
	e := newEngine(t, relay.Config{Pools: []relay.Pool{{Addr: loopback, Min: 10000, Max: 29999, Floating: floating}}})
	e.Permit(time.Now().Add(time.Hour), loopback)
	party := listen(t)
	locals := reserve(t, e, 2)
	streams := between(locals[0], locals[1], addrOf(party))
	streams[0].Decrypt, streams[1].Encrypt = secureKeys(in), secureKeys(out)
	if err := e.Set("call", streams); err != nil {
		t.Fatal(err)
	}
	const warmUp, packets = 100, 10_000
	pkts := numbered(t, in, warmUp+packets)
	buf := make([]byte, 1500)
	relayOne := func() {
		if _, err := party.WriteToUDPAddrPort(pkts[0], locals[0]); err != nil {
			t.Fatal(err)
		}
		pkts = pkts[1:]
		if _, _, err := party.ReadFromUDPAddrPort(buf); err != nil {
			t.Fatal(err)
		}
	}
	if err := party.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	for range warmUp {
		relayOne()
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range packets {
		relayOne()
	}
	runtime.ReadMemStats(&after)
	// The runtime itself allocates a little now and then.
	if n := after.Mallocs - before.Mallocs; n > packets/100 {
		t.Errorf("%d allocations for %d packets", n, packets)
	}
}

// TestCallsComeAndGoUnderLoad has the control side and the packets race against each other.
func TestCallsComeAndGoUnderLoad(t *testing.T) {
	e := newEngine(t, relay.Config{Loops: 2, PortRest: -1, LearnedQueue: 1})
	party := listen(t)
	stop := make(chan struct{})
	var background sync.WaitGroup
	targets := make([]netip.AddrPort, 16)
	locals := reserve(t, e, 2*len(targets))
	for i := range targets {
		targets[i] = locals[2*i]
	}
	background.Go(func() { // media
		pkt := make([]byte, 172)
		pkt[0] = 0x80
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
				_, _ = party.WriteToUDPAddrPort(pkt, targets[i%len(targets)])
			}
		}
	})
	background.Go(func() { // what arrives is of no interest
		buf := make([]byte, 1500)
		for {
			if _, _, err := party.ReadFromUDPAddrPort(buf); errors.Is(err, net.ErrClosed) {
				return
			}
		}
	})
	background.Go(func() { // descriptors that take the numbers of closed sockets: no packet may be written to them
		for {
			select {
			case <-stop:
				return
			default:
			}
			r, w, err := os.Pipe()
			if err != nil {
				t.Errorf("open a pipe: %v", err)
				return
			}
			_, _ = e.Stats(targets[0])
			_ = w.Close()
			if n, _ := r.Read(make([]byte, 1)); n != 0 {
				t.Error("something was written to a foreign file")
			}
			_ = r.Close()
		}
	})
	var control sync.WaitGroup
	for i := range targets {
		control.Go(func() {
			name := fmt.Sprint("call ", i)
			a, b := locals[2*i], locals[2*i+1]
			for epoch := range uint64(50) {
				streams := between(a, b, addrOf(party))
				for k := range streams {
					streams[k].Epoch, streams[k].Mode, streams[k].MayLearn = epoch/2, plan.LearnImmediate, true
					streams[k].PierceNAT = epoch%3 == 0
					if epoch%5 == 0 {
						streams[k].Encrypt = secureKeys("AEAD_AES_128_GCM")
					}
				}
				if err := e.Set(name, streams); err != nil {
					t.Error(err)
				}
				e.Totals()
				e.Rollovers(a)
				e.Rollovers(b)
				switch epoch % 4 {
				case 2:
					if err := e.Set(name, streams[:1]); err != nil {
						t.Error(err)
					}
				case 3:
					e.Drop(name)
				}
			}
		})
	}
	control.Wait()
	close(stop)
	if err := e.Close(); err != nil {
		t.Error(err)
	}
	_ = party.Close()
	background.Wait()
}

func TestTOS(t *testing.T) {
	e := newEngine(t, relay.Config{})
	for _, addr := range []string{"127.0.0.1", "::1"} {
		addr := netip.MustParseAddr(addr)
		party, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(addr, 0)))
		if err != nil {
			t.Logf("%v is not here: %v", addr, err)
			continue
		}
		defer func() { _ = party.Close() }()
		raw, err := party.SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		level, option, kind := unix.IPPROTO_IP, unix.IP_RECVTOS, unix.IP_TOS
		if addr.Is6() {
			level, option, kind = unix.IPPROTO_IPV6, unix.IPV6_RECVTCLASS, unix.IPV6_TCLASS
		}
		if err := raw.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), level, option, 1) }); err != nil {
			t.Fatal(err)
		}
		call, local := addr.String(), netip.AddrPortFrom(addr, 29998)
		for _, tos := range []uint8{184, 0} {
			st := plan.Stream{Local: local, Signalled: addrOf(party), Mode: plan.LearnOff, Echo: true, TOS: tos}
			if err := e.Set(call, []plan.Stream{st}); errors.Is(err, syscall.EADDRINUSE) {
				t.Skip(err)
			} else if err != nil {
				t.Fatal(err)
			}
			pkt := make([]byte, 12)
			pkt[0] = 0x80
			if _, err := party.WriteToUDPAddrPort(pkt, local); err != nil {
				t.Fatal(err)
			}
			control := make([]byte, 64)
			_, n, _, _, err := party.ReadMsgUDPAddrPort(pkt, control)
			if err != nil {
				t.Fatal(err)
			}
			msgs, err := unix.ParseSocketControlMessage(control[:n])
			if err != nil || len(msgs) != 1 || int(msgs[0].Header.Type) != kind || msgs[0].Data[0] != tos {
				t.Errorf("%v: control messages %+v, %v, want TOS %d", addr, msgs, err, tos)
			}
		}
	}
}

// secureKeys are some keys, the same for each call.
func secureKeys(suite string) *plan.SRTP {
	key, salt, ok := srtp.Lengths(suite)
	if !ok {
		return nil
	}
	return &plan.SRTP{Suite: suite, Key: strings.Repeat("k", key), Salt: strings.Repeat("s", salt)}
}

// numbered are n voice packets in a row, protected if suite is not empty.
func numbered(t testing.TB, suite string, n int) [][]byte {
	t.Helper()
	packets := make([][]byte, n)
	var party *srtp.Sender
	if p := secureKeys(suite); p != nil {
		var err error
		if party, err = srtp.NewSender(p); err != nil {
			t.Fatal(err)
		}
	}
	for i := range packets {
		packets[i] = make([]byte, 172)
		packets[i][0], packets[i][2], packets[i][3] = 0x80, byte(i>>8), byte(i)
		if party != nil {
			sealed, _, err := party.Protect(nil, packets[i])
			if err != nil {
				t.Fatal(err)
			}
			packets[i] = sealed
		}
	}
	return packets
}

// processorTime is what this process has used, in ns.
func processorTime(b *testing.B) int64 {
	var use unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &use); err != nil {
		b.Fatal(err)
	}
	return use.Utime.Nano() + use.Stime.Nano()
}

// BenchmarkRelay sends a packet through the kernel and back, one at a time.
func BenchmarkRelay(b *testing.B) {
	engines := map[string]func(relay.Config) (*relay.Sockets, error){"epoll": relay.New, "portable": relay.NewPortable}
	for name, open := range engines {
		for _, v := range [][2]string{
			{"", ""}, {"AES_CM_128_HMAC_SHA1_80", ""}, {"AES_CM_128_HMAC_SHA1_80", "AES_CM_128_HMAC_SHA1_80"},
			{"AEAD_AES_128_GCM", ""}, {"AEAD_AES_128_GCM", "AEAD_AES_128_GCM"},
		} {
			in, out := v[0], v[1]
			b.Run(fmt.Sprintf("%s/%s-%s", name, in, out), func(b *testing.B) {
				e, err := open(relay.Config{Pools: []relay.Pool{{Addr: loopback, Min: 10000, Max: 29999}}, Moderation: -1})
				if err != nil {
					b.Fatal(err)
				}
				defer func() { _ = e.Close() }()
				party := listen(b)
				locals := reserve(b, e, 2)
				streams := between(locals[0], locals[1], addrOf(party))
				streams[0].Clocks = []plan.Clock{{PT: 0, Rate: 8000}, {PT: 8, Rate: 8000}}
				streams[0].Decrypt, streams[1].Encrypt = secureKeys(in), secureKeys(out)
				packets, buf, next := numbered(b, in, 100_000), make([]byte, 1500), 0
				b.ReportAllocs()
				before := processorTime(b)
				for b.Loop() {
					if next == len(packets) || next == 0 { // else they would be replayed
						e.Drop("call")
						if err := e.Set("call", streams); err != nil {
							b.Fatal(err)
						}
						next = 0
					}
					if _, err := party.WriteToUDPAddrPort(packets[next], locals[0]); err != nil {
						b.Fatal(err)
					}
					if _, _, err := party.ReadFromUDPAddrPort(buf); err != nil {
						b.Fatal(err)
					}
					next++
				}
				// Of the party, too; on a busy machine it says more than the time that passes.
				b.ReportMetric(float64(processorTime(b)-before)/float64(b.N), "cpu-ns/op")
			})
		}
	}
}

// BenchmarkRestart binds the sockets of 4,000 calls of two parties with RTP and RTCP, as after a restart or to wait for a
// floating address, and reports the time, the memory and the descriptors of a call.
func BenchmarkRestart(b *testing.B) {
	for _, suite := range []string{"", "AES_CM_128_HMAC_SHA1_80"} {
		b.Run("fixed "+suite, func(b *testing.B) { restart(b, false, suite) })
		b.Run("floating "+suite, func(b *testing.B) { restart(b, true, suite) })
	}
}

func restart(b *testing.B, floating bool, suite string) {
	const calls = 4000
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil || limit.Cur < 4*calls+100 {
		b.Skipf("only %d descriptors allowed", limit.Cur)
	}
	port := func(i int) netip.AddrPort { return netip.AddrPortFrom(loopback, uint16(10000+i)) }
	for b.Loop() {
		b.StopTimer()
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		files := openFiles(b)
		e, err := relay.New(relay.Config{Pools: []relay.Pool{{Addr: loopback, Min: 10000, Max: 30000, Floating: floating}}})
		if err != nil {
			b.Fatal(err)
		}
		plans := make([][]plan.Stream, calls)
		for c := range plans {
			p := 4 * c
			plans[c] = append(between(port(p), port(p+2), port(55000)), between(port(p+1), port(p+3), port(55001))...)
			protect(plans[c], suite)
		}
		b.StartTimer()
		failed := 0
		for c, streams := range plans {
			if err := e.Set(fmt.Sprint(c), streams); err != nil {
				failed++ // a port that somebody else has
			}
		}
		b.StopTimer()
		if failed > calls/100 {
			b.Fatalf("%d calls could not be bound", failed)
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/calls, "B/call")
		b.ReportMetric(float64(openFiles(b)-files)/calls, "files/call")
		_ = e.Close()
		b.StartTimer()
	}
}

// protect has a call encrypt towards both parties, with keys for each.
func protect(streams []plan.Stream, suite string) {
	if suite == "" {
		return
	}
	for i := range streams {
		party := string(rune('a' + i%2))
		streams[i].Decrypt, streams[i].Encrypt = secureKeys(suite), secureKeys(suite)
		streams[i].Decrypt.MKI, streams[i].Encrypt.MKI = party, party+"'"
	}
}

// BenchmarkSetAgain tells an engine something new of a call that it has, one that carries packets and one that waits for its
// address.
func BenchmarkSetAgain(b *testing.B) {
	for _, floating := range []bool{false, true} {
		for _, suite := range []string{"", "AES_CM_128_HMAC_SHA1_80"} {
			b.Run(fmt.Sprintf("floating %v %s", floating, suite), func(b *testing.B) {
				e := newEngine(b, relay.Config{Pools: []relay.Pool{{Addr: loopback, Min: 10000, Max: 29999, Floating: floating}}})
				locals := reserve(b, e, 4)
				party := netip.AddrPortFrom(loopback, 55000)
				streams := append(between(locals[0], locals[1], party), between(locals[2], locals[3], party)...)
				protect(streams, suite)
				b.ReportAllocs()
				for b.Loop() {
					streams[0].Learned = netip.AddrPortFrom(loopback, streams[0].Learned.Port()+1)
					if err := e.Set("call", streams); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// BenchmarkTakeover is the time from Permit to the first packet that is heard, of one of many calls that wait.
func BenchmarkTakeover(b *testing.B) {
	for _, calls := range []int{1, 2000} {
		for _, suite := range []string{"", "AES_CM_128_HMAC_SHA1_80"} {
			b.Run(fmt.Sprintf("%d calls %s", calls, suite), func(b *testing.B) {
				e := newEngine(b, relay.Config{Pools: []relay.Pool{{Addr: loopback, Min: 10000, Max: 29999, Floating: true}}, Moderation: -1})
				party := listen(b)
				pkt, buf := numbered(b, suite, 1)[0], make([]byte, 1500)
				targets := reserve(b, e, 2*calls)
				set := func(c int) {
					streams := between(targets[2*c], targets[2*c+1], addrOf(party))
					streams[0].Decrypt, streams[1].Encrypt = secureKeys(suite), secureKeys(suite)
					if err := e.Set(fmt.Sprint(c), streams); err != nil {
						b.Fatal(err)
					}
				}
				for c := range calls {
					set(c)
				}
				var waited []time.Duration
				for n := 0; b.Loop(); n++ {
					b.StopTimer()
					c := n % calls
					e.Drop(fmt.Sprint(c)) // it may have carried packets
					set(c)
					e.Permit(time.Time{}, loopback)
					b.StartTimer()
					began := time.Now()
					e.Permit(began.Add(time.Hour), loopback)
					if _, err := party.WriteToUDPAddrPort(pkt, targets[2*c]); err != nil {
						b.Fatal(err)
					}
					if _, _, err := party.ReadFromUDPAddrPort(buf); err != nil {
						b.Fatal(err)
					}
					waited = append(waited, time.Since(began))
				}
				slices.Sort(waited)
				b.ReportMetric(float64(waited[len(waited)/2].Nanoseconds()), "median-ns")
				b.ReportMetric(float64(waited[len(waited)*99/100].Nanoseconds()), "p99-ns")
			})
		}
	}
}
