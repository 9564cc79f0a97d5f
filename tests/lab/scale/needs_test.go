package main

import (
	"math"
	"os"
	"strings"
	"testing"

	"rtpjet/tests/lab/report"
)

// round figures, to compute with in one's head.
func roundInputs() Inputs {
	in := Inputs{}
	for _, s := range sources {
		in[s.key] = 1
	}
	in["offer"], in["answer"], in["learned"], in["end"] = 3000, 2000, 500, 500
	in["packet"], in["plain"], in["secure"] = 10, 10, 20
	in["own"], in["foreign"], in["index"], in["indexEnded"], in["subject"] = 50_000, 5_000, 100, 200, 200
	in["sockets"], in["socketsMux"] = 4, 2
	in["control3"], in["restart"] = 3000, 1
	in["append"], in["append3"] = 30, 90
	in["fold"], in["follow"], in["note"], in["mirror"] = 5, 15, 1, 40
	in["wireFar"] = 500
	return in
}

func roundMix() Mix {
	return Mix{
		Calls: 1_000_000, Regions: 10, Seconds: 100, Rate: 50, Packet: 172, Holders: 2, Replicas: 3, Days: 7, Ended: 60,
		Cores: 20, Busy: 0.5, Memory: 64, Ports: 40_000, Addresses: 1, Gbit: 10, Restart: 30,
	}
}

func TestNeed(t *testing.T) {
	n := need(roundInputs(), roundMix())
	for _, c := range []struct {
		what      string
		got, want float64
	}{
		{"calls", n.Calls, 100_000},
		{"new calls/s", n.NewCalls, 1000},
		{"events a call", n.Events, 3},
		{"bytes a call", n.CallBytes, 5500},
		{"events/s", n.EventsPS, 3000},
		{"packets/s", n.Packets, 10_000_000},
		{"media, bits/s", n.MediaBit, 10_000_000 * (172 + 66) * 8},
		{"cores for media", n.CoresBy[0].Value, 100},
		{"cores for commands", n.CoresBy[1].Value, 3},
		{"cores for mirrors", n.CoresBy[3].Value, 9 * 3000 * 40e-6 * 3},
		// 106.24 cores by 10 a node, less 0.06 to fold and 0.432 to follow the mirrors.
		{"nodes for processors", n.NodesBy[0].Value, 12},
		{"nodes for ports", n.NodesBy[2].Value, 10},
		{"nodes", n.Nodes, 12},
		{"index", n.IndexMemory, 9 * (100_000*100 + 120_000*200)},
		{"folding instead", n.FoldMemory, 900_000 * 5000},
		{"a killed node", n.RestartCalls, 100_000.0 / 12 / 4000},
		{"to other regions", n.RegionOut, 9 * 1000 * 5500 * 2 * 8},
		{"compressed", n.RegionOutFar, 9 * 3000 * 500 * 8},
		{"disk a day, own", n.DiskOwn, 1000 * 5500 * 86400},
		{"disk a day", n.DiskDay, 1000 * 5500 * 86400 * 30},
		{"in all", n.AllNodes, 120},
		{"the appends' share of a core", n.Leader, 0.27},
	} {
		if math.Abs(c.got-c.want) > 1e-9*math.Abs(c.want) {
			t.Errorf("%s: %v, want %v", c.what, c.got, c.want)
		}
	}
}

func TestNeedOptions(t *testing.T) {
	for _, c := range []struct {
		what   string
		change func(*Mix)
		get    func(Needs) float64
		want   float64
	}{
		{"re-offers bring two events each", func(m *Mix) { m.Reoffers, m.Learned = 0.5, 1 }, func(n Needs) float64 { return n.Events }, 5},
		{"and their bytes", func(m *Mix) { m.Reoffers, m.Learned = 0.5, 1 }, func(n Needs) float64 { return n.CallBytes }, 8500},
		{"half of the packets twice as dear", func(m *Mix) { m.Secure = 0.5 }, func(n Needs) float64 { return n.CoresBy[0].Value }, 150},
		{"rtcp-mux halves the ports", func(m *Mix) { m.Mux = 1 }, func(n Needs) float64 { return n.NodesBy[2].Value }, 5},
		{"so does a second address", func(m *Mix) { m.Addresses = 2 }, func(n Needs) float64 { return n.NodesBy[2].Value }, 5},
		{"a spare node", func(m *Mix) { m.Spare = 1 }, func(n Needs) float64 { return n.Nodes }, 13},
		{"one region has no mirror", func(m *Mix) { m.Regions = 1 }, func(n Needs) float64 { return n.RegionOut + n.Leaves + n.IndexMemory + n.FoldMemory }, 0},
		{"nodes that are too small", func(m *Mix) { m.Cores, m.Busy = 1, 0.1 }, func(n Needs) float64 { return n.Nodes }, math.Inf(1)},
		{"the log wants its copies", func(m *Mix) { m.Calls = 10 }, func(n Needs) float64 { return n.Nodes }, 3},
	} {
		m := roundMix()
		c.change(&m)
		if got := c.get(need(roundInputs(), m)); got != c.want {
			t.Errorf("%s: %v, want %v", c.what, got, c.want)
		}
	}
}

// More of what loads never needs less of anything, and more of what carries never needs more nodes.
func TestNeedGrows(t *testing.T) {
	in := roundInputs()
	for _, c := range []struct {
		name   string
		change func(*Mix)
		less   bool
	}{
		{"calls", func(m *Mix) { m.Calls *= 2 }, false},
		{"shorter calls", func(m *Mix) { m.Seconds /= 2 }, false},
		{"re-offers", func(m *Mix) { m.Reoffers++ }, false},
		{"learned addresses", func(m *Mix) { m.Learned++ }, false},
		{"packets", func(m *Mix) { m.Rate *= 2 }, false},
		{"SRTP", func(m *Mix) { m.Secure = 1 }, false},
		{"spare nodes", func(m *Mix) { m.Spare++ }, false},
		{"cores", func(m *Mix) { m.Cores *= 2 }, true},
		{"memory", func(m *Mix) { m.Memory *= 2 }, true},
		{"ports", func(m *Mix) { m.Addresses *= 2 }, true},
		{"network", func(m *Mix) { m.Gbit *= 2 }, true},
		{"patience", func(m *Mix) { m.Restart *= 2 }, true},
	} {
		for calls := 1000.0; calls < 1e8; calls *= 3 {
			for _, regions := range []float64{1, 3, 10, 40} {
				m := roundMix()
				m.Calls, m.Regions = calls, regions
				a := need(in, m)
				c.change(&m)
				b := need(in, m)
				if c.less {
					a, b = b, a
				}
				if a.Nodes > b.Nodes || !c.less && (a.Cores > b.Cores && !math.IsInf(a.Cores, 1) || a.DiskDay > b.DiskDay || a.AllBetween > b.AllBetween) {
					t.Errorf("%s, %v calls, %v regions: %v nodes and %v cores, then %v and %v", c.name, calls, regions, a.Nodes, a.Cores, b.Nodes, b.Cores)
				}
			}
		}
	}
}

// The nodes that are said to be enough are, by each part of the sum.
func TestNeedIsEnough(t *testing.T) {
	in := roundInputs()
	for _, regions := range []float64{1, 5, 10, 20} {
		m := roundMix()
		m.Regions = regions
		n := need(in, m)
		if n.Cores > n.Nodes*m.Cores*m.Busy {
			t.Errorf("%v regions: %v cores busy of %v", regions, n.Cores, n.Nodes*m.Cores)
		}
		if n.MemoryNode > m.Memory*1e9*m.Busy {
			t.Errorf("%v regions: %v bytes", regions, n.MemoryNode)
		}
		if n.RestartCalls > m.Restart {
			t.Errorf("%v regions: %v s", regions, n.RestartCalls)
		}
	}
}

func TestMixCheck(t *testing.T) {
	m := roundMix()
	if err := m.check(); err != nil {
		t.Error(err)
	}
	for _, change := range []func(*Mix){
		func(m *Mix) { m.Calls = 0 }, func(m *Mix) { m.Secure = 2 }, func(m *Mix) { m.Seconds = math.NaN() }, func(m *Mix) { m.Regions = -1 },
	} {
		m := roundMix()
		change(&m)
		if m.check() == nil {
			t.Errorf("%+v is taken", m)
		}
	}
}

func TestBenchmarkFigure(t *testing.T) {
	const out = "goos: linux\nBenchmarkFold/audio,_ended-2   \t 20  \t 53211 ns/op\t  5.25 cpu-µs/event\nBenchmarkFold/audio,_live-2 1 7 cpu-µs/event\nPASS\n"
	if v, err := benchmarkFigure(out, "BenchmarkFold/audio,_ended", "cpu-µs/event"); err != nil || v != 5.25 {
		t.Errorf("%v, %v", v, err)
	}
	for _, c := range [][2]string{{"BenchmarkFold", "cpu-µs/event"}, {"BenchmarkFold/audio,_ended", "B/op"}} {
		if v, err := benchmarkFigure(out, c[0], c[1]); err == nil {
			t.Errorf("%v: %v", c, v)
		}
	}
}

func TestTableFigure(t *testing.T) {
	const doc = "<!-- relay: begin; written by x -->\n| what | a | b |\n|---|--:|--:|\n| bytes | 52,778 | 1 |\n| none | – | 1 |\n<!-- relay: end -->\n"
	if v, err := tableFigure(doc, "relay", "bytes"); err != nil || v != 52778 {
		t.Errorf("%v, %v", v, err)
	}
	for _, c := range [][2]string{{"relay", "other"}, {"relay", "none"}, {"memory", "bytes"}} {
		if v, err := tableFigure(doc, c[0], c[1]); err == nil {
			t.Errorf("%v: %v", c, v)
		}
	}
}

func TestInputsCheck(t *testing.T) {
	in := roundInputs()
	if err := in.check(); err != nil {
		t.Error(err)
	}
	in["odd"] = 1
	if in.check() == nil {
		t.Error("an unknown figure is taken")
	}
	delete(in, "odd")
	delete(in, "packet")
	if in.check() == nil {
		t.Error("a missing figure is taken")
	}
}

// The page is what its figures and the flags' defaults give.
func TestPage(t *testing.T) {
	const dir = "../../../docs/"
	f, err := readFile(dir + "scale.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Inputs.check(); err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(dir + "scale.md")
	if err != nil {
		t.Fatal(err)
	}
	var m Mix
	all := assumptions(&m)
	for _, a := range all {
		*a.value = a.def
	}
	if err := m.check(); err != nil {
		t.Fatal(err)
	}
	for _, b := range blocks(f, m, all) {
		if strings.Contains(b.text, "∞") || strings.Contains(b.text, "NaN") {
			t.Errorf("%s:\n%s", b.name, b.text)
		}
		if want, err := report.ReplaceBlock(string(page), "lab:scale", b.name, b.text); err != nil || want != string(page) {
			t.Errorf("the table %s is not up to date (%v): run go tool task lab:scale", b.name, err)
		}
	}
}

func TestRun(t *testing.T) {
	inputs := t.TempDir() + "/in.json"
	if err := (file{Machine: "a machine", Inputs: roundInputs()}).write(inputs); err != nil {
		t.Fatal(err)
	}
	out := t.TempDir() + "/page.md"
	if err := run(t.Context(), []string{"--inputs", inputs, "--out", out, "--calls", "2000", "--regions", "1"}); err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(out)
	if err != nil || !strings.Contains(string(page), "2,000 calls over 1 regions") {
		t.Errorf("%v:\n%s", err, page)
	}
	for _, args := range [][]string{{"word"}, {"--calls", "0"}, {"--odd"}} {
		if err := run(t.Context(), append(args, "--inputs", inputs, "--dry")); err == nil {
			t.Errorf("%v: %v", args, err)
		}
	}
}
