package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"rtpjet/tests/lab"
)

// peerAddr is a loopback address of this process: rtpengine takes media ports that another rtpengine has on the same address, and
// then each of them gets some of the other's packets.
func peerAddr() netip.Addr {
	pid := os.Getpid()
	return netip.AddrFrom4([4]byte{127, byte(100 + pid>>16&63), byte(pid >> 8), byte(1 + pid%250)})
}

// startPeer starts Debian's rtpengine on a loopback address, or skips.
func startPeer(t *testing.T) *lab.Server {
	t.Helper()
	if err := lab.Installed("rtpengine"); err != nil {
		t.Skip(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	server, err := lab.StartRtpengine(ctx, lab.Options{
		Addr: peerAddr(), Dir: t.TempDir(), PortMin: 21000, PortMax: 22999,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Stop)
	return server
}

// run calls Run and decodes what it prints.
func run(t *testing.T, result any, args ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var out, errs bytes.Buffer
	if code := Run(ctx, args, &out, &errs); code != 0 {
		t.Fatalf("Run(%q) = %d: %s", args, code, errs.String())
	}
	if err := json.Unmarshal(out.Bytes(), result); err != nil {
		t.Fatalf("read the result %q: %v", out.String(), err)
	}
}

func TestRelayAgainstRtpengine(t *testing.T) {
	server := startPeer(t)
	var r RelayResult
	run(t, &r, "--ng", server.NG.String(), "--pid", strconv.Itoa(server.PID), "--calls", "5", "--duration", "500ms", "--warmup", "200ms", "--json")
	if r.Legs != 10 || r.Sent < 300 || r.Received == 0 {
		t.Errorf("%d legs, %d packets sent, %d received", r.Legs, r.Sent, r.Received)
	}
	if r.Damaged != 0 || r.Foreign != 0 || r.Duplicates != 0 {
		t.Errorf("%d packets damaged, %d foreign, %d duplicate", r.Damaged, r.Foreign, r.Duplicates)
	}
	if r.Latency.Count == 0 || r.Latency.P50 <= 0 || r.Latency.Max < r.Latency.P50 {
		t.Errorf("latency %+v", r.Latency)
	}
	if len(r.Processes) != 1 || r.Processes[0].CPUSeconds <= 0 || r.FDsPerSection != 4 {
		t.Errorf("processes %+v, %v descriptors a section; rtpengine has 4", r.Processes, r.FDsPerSection)
	}
}

// The callee hears what the secure caller said and the other way round, each byte of it.
func TestSRTPAgainstRtpengine(t *testing.T) {
	server := startPeer(t)
	for _, suite := range []string{"AES_CM_128_HMAC_SHA1_80", "AEAD_AES_128_GCM"} {
		var r RelayResult
		run(t, &r, "--ng", server.NG.String(), "--pid", strconv.Itoa(server.PID), "--calls", "3", "--duration", "500ms", "--warmup", "200ms",
			"--srtp", suite, "--json")
		if r.Received == 0 || r.Evenness.Min == 0 || r.Damaged != 0 || r.Foreign != 0 || r.Duplicates != 0 {
			t.Errorf("%s: %d packets received, the worst leg %v/s, %d damaged, %d foreign, %d duplicate", suite, r.Received, r.Evenness.Min,
				r.Damaged, r.Foreign, r.Duplicates)
		}
	}
}

func TestRelayWithMuxNeedsFewerDescriptors(t *testing.T) {
	server := startPeer(t)
	var r RelayResult
	run(t, &r, "--ng", server.NG.String(), "--pid", strconv.Itoa(server.PID), "--calls", "5", "--rate", "0", "--rtcp-mux", "--json")
	if r.Sent != 0 || r.FDsPerSection <= 0 || r.FDsPerSection > 4 {
		t.Errorf("%d packets sent, %v descriptors a section", r.Sent, r.FDsPerSection)
	}
}

func TestSearchAgainstRtpengine(t *testing.T) {
	server := startPeer(t)
	var r RelayResult
	run(t, &r, "--ng", server.NG.String(), "--calls", "2", "--offered", "2000", "--search", "--search-from", "1000",
		"--search-step", "200ms", "--duration", "300ms", "--warmup", "100ms", "--json")
	if len(r.Search) < 2 || r.Best <= 0 || r.ShareOfTop <= 0 || r.ShareOfTop > 1 {
		t.Errorf("search %+v, best %v, share %v", r.Search, r.Best, r.ShareOfTop)
	}
}

func TestControlAgainstRtpengine(t *testing.T) {
	server := startPeer(t)
	var r ControlResult
	run(t, &r, "control", "--ng", server.NG.String(), "--pid", strconv.Itoa(server.PID), "--callers", "2", "--duration", "300ms", "--warmup", "50ms", "--json")
	if r.Calls == 0 || r.Failures != 0 || r.NoReply != 0 {
		t.Errorf("%d calls, %d failures, %d unanswered; %v", r.Calls, r.Failures, r.NoReply, r.Reasons)
	}
	if r.Offer.Count+2 < r.Calls || // a call in which the warm-up ends counts without its offer
		r.Delete.P50 <= 0 || r.CPUPerCall <= 0 {
		t.Errorf("offer %+v, delete %+v, CPU a call %v", r.Offer, r.Delete, r.CPUPerCall)
	}
}

// Without a store the calls are gone after a restart, and the report must say so.
func TestRestartOfAServerThatForgets(t *testing.T) {
	server := startPeer(t)
	var r RestartResult
	run(t, &r, "restart", "--ng", server.NG.String(), "--pid", strconv.Itoa(server.PID), "--calls", "3", "--settle", "300ms", "--rate", "20",
		"--limit", "2s", "--cmd", server.CommandLine(), "--json")
	if r.Pong <= 0 || r.Unknown != 3 || r.Silent != 6 {
		t.Errorf("pong after %v s, %d unknown, %d silent; want an answer, 3 and 6", r.Pong, r.Unknown, r.Silent)
	}
}

func TestMistakesAreNamed(t *testing.T) {
	for _, c := range []struct {
		args, want string
		code       int
	}{
		{"--no-such", "no-such", 2},
		{"--calls 0", "--calls", 2},
		{"--search", "--offered", 2},
		{"--codec-bytes 3", "--codec-bytes", 2},
		{"--srtp ROT13", "AEAD_AES_128_GCM", 2},
		{"--pid x", "process id", 1},
		{"--local x", "--local", 1},
		{"stray", "stray", 2},
		{"control --callers 0", "--callers", 2},
		{"restart", "--pid", 2},
		{"restart --pid " + strconv.Itoa(os.Getpid()), "--cmd", 2},
		{"--help", "-codec-bytes", 0},
	} {
		var out, errs bytes.Buffer
		code := Run(t.Context(), strings.Fields(c.args), &out, &errs)
		if code != c.code || !strings.Contains(errs.String(), c.want) {
			t.Errorf("%s: code %d, %q; want %d and %q", c.args, code, errs.String(), c.code, c.want)
		}
	}
}

func TestAMissingServerIsAnError(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for all resends")
	}
	t.Parallel()
	var out, errs bytes.Buffer
	// Port 9 (discard) of a loopback address: nobody answers.
	code := Run(t.Context(), []string{"--ng", "127.0.0.9:9", "--local", "127.0.0.1", "--calls", "1"}, &out, &errs)
	if code != 1 || !strings.Contains(errs.String(), "offer") {
		t.Errorf("code %d, %q", code, errs.String())
	}
}

func TestPacketPathAllocatesNothing(t *testing.T) {
	b, p := newPacket(3, 160), newPacer(0, 1e6, 4, 1e9)
	h := newHistogram()
	var w seqWindow
	now, number := int64(0), uint64(0)
	if n := testing.AllocsPerRun(100, func() {
		now += 250e3
		number++
		p.take(now, 64)
		b.stamp(number, now)
		if _, sent, v := check(b.bytes, &b); v == packetGood {
			w.add(number)
			h.record(now - sent)
		}
	}); n != 0 {
		t.Errorf("%v allocations a packet", n)
	}
}

// With Redis rtpengine remembers its calls, and the benchmark must see them again.
func TestRestartOfAServerThatRemembers(t *testing.T) {
	if err := lab.Installed("rtpengine", "redis-server"); err != nil {
		t.Skip(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	redis, err := lab.StartRedis(ctx, nil, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(redis.Stop)
	server, err := lab.StartRtpengine(ctx, lab.Options{
		Addr: peerAddr(), Dir: t.TempDir(), PortMin: 23000, PortMax: 23999, Redis: redis,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Stop)
	var r RestartResult
	run(t, &r, "restart", "--ng", server.NG.String(), "--pid", strconv.Itoa(server.PID), "--calls", "10", "--settle", "300ms", "--rate", "20",
		"--cmd", server.CommandLine(), "--json")
	if r.Unknown != 0 || r.Silent != 0 || r.AllKnown <= 0 || r.LastForwarded < r.MedianForwarded || r.MedianForwarded < r.FirstForwarded || r.FirstForwarded <= 0 {
		t.Errorf("%+v", r)
	}
	if r.Queried != 10 || r.FDsPerSection != 4 || r.FDsAfter < 40 {
		t.Errorf("%d queried, %v descriptors a section before, %d in all after", r.Queried, r.FDsPerSection, r.FDsAfter)
	}
}

func TestSilenceAgainstRtpengine(t *testing.T) {
	server := startPeer(t)
	for _, more := range [][]string{nil, {"--srtp", "AES_CM_128_HMAC_SHA1_80"}} {
		record := filepath.Join(t.TempDir(), "arrivals")
		var e SilenceEvent
		run(t, &e, append([]string{
			"silence", "--ng", server.NG.String(), "--calls", "4", "--fast", "2", "--slow-rate", "10", "--duration", "700ms",
			"--place-every", "100ms", "--record", record, "--json",
		}, more...)...)
		r := e.Result
		if e.Event != "done" || r == nil {
			t.Fatalf("%v: %+v", more, e)
		}
		if r.Silence.Streams != 8 || r.Silence.Fast != 4 || r.Silence.Dead != 0 || r.Received == 0 || r.Damaged+r.Foreign != 0 {
			t.Errorf("%v: %+v", more, r)
		}
		if r.NewCall != "" || r.Deletes.Commands != 4 || r.Deletes.Failures+r.Meanwhile.Failures != 0 || r.Meanwhile.Commands < 3 {
			t.Errorf("%v: a new call: %q; deletes %+v; meanwhile %+v", more, r.NewCall, r.Deletes, r.Meanwhile)
		}
		f, err := os.Open(record)
		if err != nil {
			t.Fatal(err)
		}
		recording, err := ReadRecording(f)
		_ = f.Close()
		if err != nil {
			t.Fatal(err)
		}
		if got := recording.Summary(recording.Start); got != r.Silence {
			t.Errorf("%v: the recording says %+v, the result %+v", more, got, r.Silence)
		}
	}
}
