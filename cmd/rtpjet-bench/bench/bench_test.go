package bench

import (
	"bytes"
	"math"
	"math/rand/v2"
	"net/netip"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/zeebo/bencode"
)

func TestHistogramQuantilesAreWithinOnePartIn64(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var h histogram
	var all []int64
	for range 20000 {
		v := int64(rng.ExpFloat64() * 200e3)
		all = append(all, v)
		h.record(v)
	}
	sort.Slice(all, func(i, j int) bool { return all[i] < all[j] })
	for _, q := range []float64{0.001, 0.5, 0.9, 0.99, 0.999, 1} {
		want := float64(all[int(math.Ceil(q*float64(len(all))))-1])
		got := float64(h.quantile(q))
		if got < want*(1-1.0/32) || got > want*(1+1.0/32)+1 {
			t.Errorf("quantile %v: %v, exact %v", q, got, want)
		}
	}
	if got := int64(h.quantile(1)); got != all[len(all)-1] {
		t.Errorf("quantile 1 is %d, the maximum %d", got, all[len(all)-1])
	}
}

func TestHistogramBucketsCoverEveryValueOnce(t *testing.T) {
	last := -1
	for _, v := range []uint64{0, 1, 63, 64, 65, 127, 128, 129, 1000, 1 << 20, 1<<20 + 1, 1<<62 + 12345, 1<<63 - 1} {
		i := bucketOf(v)
		if i < last {
			t.Errorf("bucket of %d is %d, below the one of a smaller value", v, i)
		}
		last = i
		if top := bucketTop(i); top < int64(v) {
			t.Errorf("bucket %d ends at %d, but %d falls into it", i, top, v)
		}
		if i > 0 && bucketTop(i-1) >= int64(v) {
			t.Errorf("bucket %d ends at %d, but %d falls into the next", i-1, bucketTop(i-1), v)
		}
	}
}

func TestHistogramMergeAndEmpty(t *testing.T) {
	var a, b histogram
	if a.quantile(0.5) != 0 {
		t.Error("an empty histogram has a median")
	}
	a.record(10)
	b.record(30)
	b.record(-5) // a clock that was set back
	a.merge(&b)
	if a.n != 3 || a.max != 30 || a.quantile(0) != 0 || a.quantile(0.5) != 10 || a.quantile(1) != 30 {
		t.Errorf("merged: n %d, max %d, quantiles %v %v %v", a.n, a.max, a.quantile(0), a.quantile(0.5), a.quantile(1))
	}
}

// Every leg must send at its own even pace, and the legs one after the other.
func TestPacerSpreadsPhases(t *testing.T) {
	const (
		legs     = 10
		interval = 20e6
		start    = int64(1e9)
	)
	p := newPacer(start, interval, legs, int64(time.Second))
	sentAt := make([][]int64, legs)
	for now := start - 1e6; now < start+200e6; now += 250e3 {
		first, n := p.take(now, 1000)
		for i := range n {
			leg := (first + i) % legs
			sentAt[leg] = append(sentAt[leg], now)
		}
	}
	for leg, times := range sentAt {
		if len(times) != 10 {
			t.Errorf("leg %d sent %d packets in 10 intervals", leg, len(times))
		}
		for k, at := range times {
			due := start + int64(k)*interval + int64(leg)*interval/legs
			if at < due || at > due+250e3 {
				t.Errorf("leg %d, packet %d: sent at %d, due at %d", leg, k, at, due)
			}
		}
	}
	if p.skipped != 0 || p.worstLag > 250e3 {
		t.Errorf("skipped %d, worst lag %d ns", p.skipped, p.worstLag)
	}
}

func TestPacerLeavesOutWhatIsTooLate(t *testing.T) {
	p := newPacer(0, 10e6, 10, int64(5*time.Millisecond)) // a packet each ms
	if _, n := p.take(0, 64); n != 1 {
		t.Fatalf("%d packets at the start, want 1", n)
	}
	first, n := p.take(100e6, 64)
	// Due by now are packets 0 to 100; those due before 95 ms are too late.
	if n != 6 || first != 5 || p.skipped != 94 {
		t.Errorf("after a pause: %d packets from leg %d, %d skipped; want 6 from leg 5, 94 skipped", n, first, p.skipped)
	}
	if _, n := p.take(100e6, 64); n != 0 {
		t.Errorf("%d packets more at the same moment", n)
	}
}

func TestPacerLimitsABurst(t *testing.T) {
	p := newPacer(0, 10e6, 10, int64(time.Second))
	total := 0
	for {
		_, n := p.take(50e6, 8)
		if n > 8 {
			t.Fatalf("a burst of %d, the limit is 8", n)
		}
		if total += n; n < 8 {
			break
		}
	}
	if total != 51 {
		t.Errorf("%d packets in 50 ms at one a ms from 0 on, want 51", total)
	}
}

func TestSearchRatesRiseAndEndAtTheLast(t *testing.T) {
	rates := searchRates(40000, 240000, 1.25)
	if rates[0] != 40000 || rates[len(rates)-1] != 240000 || !sort.Float64sAreSorted(rates) {
		t.Errorf("rates %v", rates)
	}
	if got := searchRates(5, 5, 1.25); len(got) != 1 || got[0] != 5 {
		t.Errorf("from 5 to 5: %v", got)
	}
}

func TestSpread(t *testing.T) {
	if s := spreadOf(nil); s != (spread{}) {
		t.Errorf("of nothing: %+v", s)
	}
	if s := spreadOf([]float64{2, 2, 2}); s.Jain != 1 || s.Min != 2 || s.Max != 2 || s.Mean != 2 {
		t.Errorf("of equal shares: %+v", s)
	}
	if s := spreadOf([]float64{0, 0, 0, 8}); s.Jain != 0.25 || s.Min != 0 || s.Max != 8 {
		t.Errorf("of one taking all: %+v", s)
	}
}

func TestPacketsAreToldApart(t *testing.T) {
	mine, other := newPacket(6, 160), newPacket(7, 160)
	if len(mine) != 172 {
		t.Fatalf("packet of %d bytes, want 172", len(mine))
	}
	stamp(mine, 70000, 1234567890123)
	got := bytes.Clone(mine)
	stamp(mine, 70001, 5) // the template goes on changing while the packet travels
	number, sent, v := check(got, mine)
	if number != 70000 || sent != 1234567890123 || v != packetGood {
		t.Errorf("own packet: number %d, sent %d, verdict %d", number, sent, v)
	}
	if _, _, v := check(got, other); v != packetForeign {
		t.Errorf("another leg's packet: verdict %d", v)
	}
	for i := range got {
		bad := bytes.Clone(got)
		bad[i] ^= 0x20
		if _, _, v := check(bad, mine); v == packetGood && (i < offNumber || i >= offFiller) {
			t.Errorf("a packet with byte %d changed passes", i)
		}
	}
	for n := range got {
		if _, _, v := check(got[:n], mine); v == packetGood {
			t.Errorf("a packet cut to %d bytes passes", n)
		}
	}
}

func TestSeqWindow(t *testing.T) {
	var w seqWindow
	for _, step := range []struct {
		number uint64
		want   arrival
	}{
		{0, arrivalNew}, {0, arrivalDuplicate}, {1, arrivalNew}, {4, arrivalNew}, {3, arrivalLate}, {3, arrivalDuplicate},
		{2, arrivalLate}, {1, arrivalDuplicate}, {68, arrivalNew}, {4, arrivalDuplicate}, {5, arrivalLate},
		{1000, arrivalNew}, {937, arrivalLate}, {936, arrivalDuplicate},
	} {
		if got := w.add(step.number); got != step.want {
			t.Errorf("packet %d: %d, want %d", step.number, got, step.want)
		}
	}
}

func TestMediaAddress(t *testing.T) {
	own := appendSDP(nil, netip.MustParseAddrPort("192.0.2.1:4000"), sdpOptions{rtcpMux: true})
	own6 := appendSDP(nil, netip.MustParseAddrPort("[2001:db8::1]:4000"), sdpOptions{})
	for _, c := range []struct {
		name, sdp, want string
	}{
		{"own", string(own), "192.0.2.1:4000"},
		{"own, IPv6", string(own6), "[2001:db8::1]:4000"},
		{"address of the section", "v=0\r\nc=IN IP4 1.1.1.1\r\nm=audio 5 RTP/AVP 0\r\nc=IN IP4 2.2.2.2\r\nm=video 6 RTP/AVP 9\r\nc=IN IP4 3.3.3.3\r\n", "2.2.2.2:5"},
		{"bare line ends", "c=IN IP4 1.1.1.1\nm=audio 5 RTP/AVP 0\n", "1.1.1.1:5"},
		{"no section", "v=0\r\nc=IN IP4 1.1.1.1\r\n", ""},
		{"rejected section", "c=IN IP4 1.1.1.1\nm=audio 0 RTP/AVP 0\n", ""},
		{"no address", "m=audio 5 RTP/AVP 0\n", ""},
		{"port of 70000", "c=IN IP4 1.1.1.1\nm=audio 70000 RTP/AVP 0\n", ""},
		{"cut lines", "c=\nm=\n", ""},
	} {
		got, err := mediaAddress([]byte(c.sdp))
		if c.want == "" {
			if err == nil {
				t.Errorf("%s: %v, want an error", c.name, got)
			}
			continue
		}
		if err != nil || got.String() != c.want {
			t.Errorf("%s: %v, %v; want %s", c.name, got, err, c.want)
		}
	}
}

// An independent decoder must read the requests as they are meant.
func TestRequestsAreBencode(t *testing.T) {
	names := namesOf("X", 7)
	from := netip.MustParseAddr("192.0.2.1")
	o := ngOptions{sdp: sdpOptions{rtcpMux: true}, deleteDelay: 0}
	for command, b := range map[string][]byte{
		"offer":  appendOffer(nil, names, []byte("v=0\r\n"), from, o),
		"answer": appendAnswer(nil, names, []byte("v=0\r\n"), from, o),
		"delete": appendDelete(nil, names, o),
		"query":  appendQuery(nil, names),
		"ping":   appendPing(nil),
	} {
		var d map[string]any
		if err := bencode.DecodeBytes(b, &d); err != nil {
			t.Errorf("%s: %v: %q", command, err, b)
			continue
		}
		if d["command"] != command {
			t.Errorf("%s: command is %v", command, d["command"])
		}
		if command != "ping" && d["call-id"] != names.callID {
			t.Errorf("%s: call-id is %v", command, d["call-id"])
		}
		if command == "answer" && (d["to-tag"] != names.toTag || d["sdp"] != "v=0\r\n") {
			t.Errorf("answer: to-tag %v, sdp %v", d["to-tag"], d["sdp"])
		}
		if command == "delete" && d["delete delay"] != int64(0) {
			t.Errorf("delete: delay %v", d["delete delay"])
		}
	}
	if strings.Contains(string(appendDelete(nil, names, ngOptions{deleteDelay: -1})), "delay") {
		t.Error("a negative delay is sent")
	}
}

func TestScanReply(t *testing.T) {
	for _, c := range []struct {
		name, in, result, sdp, why string
		ok                         bool
	}{
		{name: "ok", in: "d3:sdp4:v=0\n6:result2:oke", result: "ok", sdp: "v=0\n", ok: true},
		{name: "nested values", in: "d6:totalsd3:RTPd7:packetsi5eee4:tagsd1:al1:bi-3eee6:result2:oke", result: "ok", ok: true},
		{name: "pong", in: "d6:result4:ponge", result: "pong", ok: true},
		{name: "error", in: "d12:error-reason15:Unknown call-id6:result5:errore", result: "error", why: "Unknown call-id"},
		{name: "warning", in: "d6:result2:ok7:warning4:nonee", result: "ok", why: "none"},
		{name: "load limit", in: "d7:message4:full6:result10:load limite", result: "load limit", why: "full"},
	} {
		r, err := scanReply([]byte(c.in))
		if err != nil || string(r.result) != c.result || string(r.sdp) != c.sdp || r.ok() != c.ok {
			t.Errorf("%s: %q %q %v, error %v", c.name, r.result, r.sdp, r.ok(), err)
		}
		if !c.ok && r.why() != c.why {
			t.Errorf("%s: why is %q, want %q", c.name, r.why(), c.why)
		}
	}
	for _, bad := range []string{"", "e", "d", "d1", "d3:sd", "d1:a", "d1:ai5", "d1:al", "d1:a99999999:xe", "le", "{}",
		"d1:a" + strings.Repeat("l", 100000) + "e", "d-1:ae"} {
		if r, err := scanReply([]byte(bad)); err == nil {
			t.Errorf("%.20q is read as %+v", bad, r)
		}
	}
}

func FuzzScanReply(f *testing.F) {
	f.Add([]byte("d3:sdp4:v=0\n6:result2:oke"))
	f.Add([]byte("d6:totalsd3:RTPd7:packetsi5eee6:result2:oke"))
	f.Fuzz(func(_ *testing.T, b []byte) {
		r, err := scanReply(b)
		if err == nil && len(r.sdp) > 0 {
			_, _ = mediaAddress(r.sdp)
		}
	})
}

func TestParsePIDs(t *testing.T) {
	if got, err := parsePIDs(" 12,7 ,"); err != nil || len(got) != 2 || got[0] != 12 || got[1] != 7 {
		t.Errorf("%v, %v", got, err)
	}
	for _, bad := range []string{"x", "0", "-3", "1.5"} {
		if got, err := parsePIDs(bad); err == nil {
			t.Errorf("%q is read as %v", bad, got)
		}
	}
}

func TestParseStatCPU(t *testing.T) {
	got, err := parseStatCPU([]byte("42 (a) b (c)) S 1 42 42 0 -1 4194560 100 0 0 0 123 45 6 7 20 0 1 0 99\n"))
	if err != nil || got != 168 {
		t.Errorf("%d ticks, error %v; want 168", got, err)
	}
	for _, bad := range []string{"", "42 (x", "42 (x) S 1 2", "42 (x) S 1 42 42 0 -1 4194560 100 0 0 0 a b 6 7"} {
		if got, err := parseStatCPU([]byte(bad)); err == nil {
			t.Errorf("%q is read as %d", bad, got)
		}
	}
}

func TestParseProcFiles(t *testing.T) {
	if got, err := parseKB([]byte("00400000-7fff ---p 0 [rollup]\nRss:    2048 kB\nPss: 1 kB\n"), "Rss"); err != nil || got != 2<<20 {
		t.Errorf("Rss: %d, %v", got, err)
	}
	for _, bad := range []string{"", "Rss: x kB\n", "Rss: 5\n"} {
		if got, err := parseKB([]byte(bad), "Rss"); err == nil {
			t.Errorf("%q is read as %d", bad, got)
		}
	}
	idle, processors, err := parseIdle([]byte("cpu  5 0 3 200 10 0 6 1 0 0\ncpu0 1 0 1 100 5 0 3 0 0 0\ncpu1 4 0 2 100 5 0 3 1 0 0\nintr 3\n"))
	if err != nil || idle != 210 || processors != 2 {
		t.Errorf("idle %d of %d processors, error %v", idle, processors, err)
	}
	if _, _, err := parseIdle([]byte("intr 3\n")); err == nil {
		t.Error("a file without processors is read")
	}
	snmp := "Ip: A\nIp: 1\nUdp: InDatagrams NoPorts InErrors OutDatagrams RcvbufErrors SndbufErrors\nUdp: 9 8 7 6 5 4\nUdpLite: RcvbufErrors\nUdpLite: 1\n"
	if got, err := parseUDPErrors([]byte(snmp)); err != nil || got != 5 {
		t.Errorf("receive overflows: %d, %v", got, err)
	}
	if _, err := parseUDPErrors([]byte("Tcp: x\n")); err == nil {
		t.Error("a file without UDP is read")
	}
}
