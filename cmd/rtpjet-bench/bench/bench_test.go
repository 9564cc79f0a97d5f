package bench

import (
	"sort"
	"testing"
	"time"
)

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
