package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"rtpjet/cmd/rtpjet/admin"
	"rtpjet/cmd/rtpjet/config"
	"rtpjet/projection/history/historytest"
	"rtpjet/projection/members"
	"rtpjet/projection/regions"
)

// printed is what a table prints.
func printed[R any](t *testing.T, print func(io.Writer, []R) error, rows ...R) []string {
	t.Helper()
	var b bytes.Buffer
	if err := print(&b, rows); err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
}

// aligned checks that each column begins at one place in all lines of a table: there is space in front of it everywhere.
func aligned(t *testing.T, lines []string, columns ...string) {
	t.Helper()
	for _, name := range columns {
		at := strings.Index(lines[0], name)
		if at < 2 {
			t.Errorf("there is no column %s in %s", name, lines[0])
			continue
		}
		for _, line := range lines {
			if len(line) > at && line[at-2:at] != "  " {
				t.Errorf("column %s does not begin at %d in\n%s", name, at, strings.Join(lines, "\n"))
				break
			}
		}
	}
}

const noon = 1_785_585_600_000_000 // 2026-08-01 12:00:00 UTC

func TestNodeTable(t *testing.T) {
	lines := printed(t, printNodes)
	if len(lines) != 1 || strings.Join(strings.Fields(lines[0]), " ") != "NODE STATE EPOCH OWN CALLS KNOWN SINCE (UTC) NG VERSION" {
		t.Errorf("no node: %q", lines)
	}
	node := func(id, verdict string, s *admin.Status) admin.Node {
		return admin.Node{Lease: members.Lease{Node: id, Epoch: 7, Started: noon, NG: []string{"192.0.2.1:2223", "[2001:db8::1]:2223"}, Version: "v1.2"}, Verdict: verdict, Status: s}
	}
	for name, tt := range map[string]struct {
		node admin.Node
		want string
	}{
		"alive":    {node("n1", "alive", &admin.Status{Own: 3, Foreign: 4}), "n1 alive 7 3 7 2026-08-01 12:00:00 192.0.2.1:2223 [2001:db8::1]:2223 v1.2"},
		"draining": {node("n1", "alive", &admin.Status{Own: 3, Draining: true}), "n1 draining 7 3 3 2026-08-01 12:00:00 192.0.2.1:2223 [2001:db8::1]:2223 v1.2"},
		"silent":   {node("n1", "silent", nil), "n1 silent 7 - - 2026-08-01 12:00:00 192.0.2.1:2223 [2001:db8::1]:2223 v1.2"},
		"left":     {admin.Node{Lease: members.Lease{Node: "n2"}, Verdict: "released"}, "n2 released 0 - - 1970-01-01 00:00:00"},
	} {
		lines := printed(t, printNodes, tt.node)
		if len(lines) != 2 || strings.Join(strings.Fields(lines[1]), " ") != tt.want {
			t.Errorf("%s: %q, want %q", name, lines, tt.want)
		}
	}
	many := []admin.Node{node("a", "alive", &admin.Status{Own: 100000}), node("a-node-with-a-long-name", "gone", nil), node("b", "alive", &admin.Status{Writes: 2, WritesFor: "node a"}),
		node("c", "alive", &admin.Status{Writes: 2, WritesFor: "node a"})}
	many[2].Zone = "eu/fra/a"
	lines = printed(t, printNodes, many...)
	aligned(t, lines[:5], "STATE", "ZONE", "EPOCH", "OWN CALLS", "KNOWN", "SINCE", "NG", "VERSION")
	if len(lines) != 6 || lines[5] != "Events are written as node a reads them (level 2): upgrade it." {
		t.Errorf("%s", strings.Join(lines, "\n")) // which is said once
	}
}

func TestFloatTable(t *testing.T) {
	if lines := printed(t, printFloats); len(lines) != 1 || strings.Join(strings.Fields(lines[0]), " ") != "FLOAT ADDRESSES HOLDER SUCCESSOR EPOCH CALLS NOTE" {
		t.Errorf("no float: %q", lines)
	}
	float := func(change func(*admin.Float)) admin.Float {
		f := admin.Float{FloatStatus: admin.FloatStatus{Float: "192.0.2.9", Addresses: []string{"pub/192.0.2.9", "priv/10.0.0.9"}, Epoch: 2, Holder: "n1", Successor: "n2", Calls: 5}, Warm: []string{"n2"}}
		change(&f)
		return f
	}
	var all []admin.Float
	for name, tt := range map[string]struct {
		change func(*admin.Float)
		want   string
	}{
		"well":         {func(*admin.Float) {}, "192.0.2.9 pub/192.0.2.9 priv/10.0.0.9 n1 n2 2 5"},
		"vacant":       {func(f *admin.Float) { f.Holder = "" }, "192.0.2.9 pub/192.0.2.9 priv/10.0.0.9 - n2 2 5 nobody holds it"},
		"alone":        {func(f *admin.Float) { f.Successor = "" }, "192.0.2.9 pub/192.0.2.9 priv/10.0.0.9 n1 - 2 5 no successor"},
		"not ready":    {func(f *admin.Float) { f.Warm = nil }, "192.0.2.9 pub/192.0.2.9 priv/10.0.0.9 n1 n2 2 5 n2 is not ready yet"},
		"moving":       {func(f *admin.Float) { f.Moves = "n3" }, "192.0.2.9 pub/192.0.2.9 priv/10.0.0.9 n1 n2 2 5 moves to n3"},
		"in dispute":   {func(f *admin.Float) { f.Seen = map[string]string{"n2": "n2", "n1": "n1"} }, "192.0.2.9 pub/192.0.2.9 priv/10.0.0.9 n1 n2 2 5 the nodes do not agree: map[n1:n1 n2:n2]"},
		"all at once":  {func(f *admin.Float) { f.Successor, f.Moves = "", "n3" }, "192.0.2.9 pub/192.0.2.9 priv/10.0.0.9 n1 - 2 5 no successor; moves to n3"},
		"no addresses": {func(f *admin.Float) { f.Addresses = nil }, "192.0.2.9 n1 n2 2 5"},
	} {
		f := float(tt.change)
		all = append(all, f)
		if lines := printed(t, printFloats, f); len(lines) != 2 || strings.Join(strings.Fields(lines[1]), " ") != tt.want {
			t.Errorf("%s: %q, want %q", name, lines, tt.want)
		}
	}
	aligned(t, printed(t, printFloats, all...), "ADDRESSES", "HOLDER", "SUCCESSOR", "EPOCH", "CALLS", "NOTE")
}

func TestRegionTable(t *testing.T) {
	if lines := printed(t, printRegions); len(lines) != 1 || lines[0] != "no other region is known here; serve --region-peer names them" {
		t.Errorf("no region: %q", lines)
	}
	rows := []admin.Region{
		{Status: regions.Status{Region: "us", State: regions.Up, Calls: 12, AgeMS: 130, Lag: 2, RTTMS: 88.44, SkewMS: -3, Cuts: 1}},
		{Status: regions.Status{Region: "a-region-with-a-name", State: regions.Refused, AgeMS: -1, SkewMS: 4, Reason: "it has another key: give it ours", AdoptedBy: "eu"}},
	}
	lines := printed(t, printRegions, rows...)
	for i, want := range []string{
		"REGION STATE CALLS AGE LAG ROUND TRIP CLOCK CUTS ADOPTED BY", "us up 12 100ms 2 88.4 ms -3 ms 1", "a-region-with-a-name refused 0 - 0 0.0 ms +4 ms 0 eu", "it has another key: give it ours",
	} {
		if i >= len(lines) || strings.Join(strings.Fields(lines[i]), " ") != want {
			t.Errorf("%q, want %q", lines, want)
		}
	}
	aligned(t, lines[:3], "STATE", "CALLS", "AGE", "LAG", "ROUND TRIP", "CLOCK", "CUTS", "ADOPTED BY")
	for ms, want := range map[int64]string{-1: "-", 0: "0s", 49: "0s", 50: "100ms", 1234: "1.2s", 61_000: "1m1s"} {
		if got := ageColumn(ms); got != want {
			t.Errorf("%d: %s, want %s", ms, got, want)
		}
	}
}

// TestTablesFail: a table that cannot be written is an error.
func TestTablesFail(t *testing.T) {
	for name, err := range map[string]error{
		"nodes": printNodes(failing{}, []admin.Node{{}}), "floats": printFloats(failing{}, nil), "regions": printRegions(failing{}, []admin.Region{{}}),
	} {
		if err == nil || err.Error() != "the terminal is gone" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestTableAndJSON: whoever reads the one sees as many and the same calls, nodes and floats as who reads the other.
func TestTableAndJSON(t *testing.T) {
	r := newRegion(t)
	for _, line := range []string{"call list", "node list", "float list"} {
		if out, err := r.run(line + " --json"); err != nil || strings.TrimSpace(out) != "[]" {
			t.Errorf("%s --json of an empty region: %v %s", line, err, out)
		}
		if out, err := r.run(line); err != nil || strings.Count(out, "\n") != 1 {
			t.Errorf("%s of an empty region: %v %s", line, err, out)
		}
	}
	for i := range 12 {
		s := historytest.New()
		s.Now += int64(11-i) * 1_000_000 // the oldest is written last
		s.Do("offer", "from-tag", "alice", "sdp", historytest.SDP("198.51.100.1", 4000))
		r.write(s, fmt.Sprintf("call-%02d", i))
	}
	for i := range 3 {
		r.join(&peer{lease: up(fmt.Sprintf("n%d", i+1)), status: admin.Status{Own: int64(i), Floats: []admin.FloatStatus{{Float: "192.0.2.9", Holder: "n1"}, {Float: "192.0.2.8", Holder: "n2"}}}})
	}
	for line, tt := range map[string]struct {
		name string
		want int
	}{"call list": {"id", 12}, "node list": {"node", 3}, "float list": {"float", 2}} {
		table, err := r.run(line)
		if err != nil {
			t.Fatal(err)
		}
		out, err := r.run(line + " --json")
		if err != nil {
			t.Fatal(err)
		}
		var list []map[string]any
		if err := json.Unmarshal([]byte(out), &list); err != nil || len(list) != tt.want {
			t.Fatalf("%s: %v, %d", line, err, len(list))
		}
		rows := strings.Split(strings.TrimSpace(table), "\n")[1:]
		if len(rows) != len(list) {
			t.Errorf("%s: %d rows, and %d in JSON", line, len(rows), len(list))
			continue
		}
		for i, row := range rows {
			if id, _ := list[i][tt.name].(string); id == "" || !strings.HasPrefix(row, id+" ") {
				t.Errorf("%s: row %d is %s, and in JSON %v", line, i, row, list[i][tt.name])
			}
		}
		if line == "call list" && (!strings.HasPrefix(rows[0], "call-11 ") || !strings.HasPrefix(rows[11], "call-00 ")) {
			t.Errorf("not the oldest first:\n%s", table)
		}
	}
}

// TestCallTable: parties, media and state of calls as the list has them.
func TestCallTable(t *testing.T) {
	r := newRegion(t)
	both := historytest.New()
	both.Do("offer", "from-tag", "alice", "sdp", historytest.SDP("198.51.100.1", 4000)+"m=video 4002 RTP/AVP 96\r\na=rtpmap:96 VP8/90000\r\n")
	r.write(both, "both")
	ending := living()
	ending.Do("delete", "from-tag", "alice")
	r.write(ending, "ending")
	ended := ordinary()
	r.write(ended, "ended")
	out, err := r.run("call list")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, line := range strings.Split(strings.TrimSpace(out), "\n")[1:] {
		got = append(got, strings.Join(strings.Fields(line), " "))
	}
	want := []string{"both n1 2026-08-01 10:00:00 2 audio+video live", "ending n1 2026-08-01 10:00:00 2 audio being deleted"}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// TestEveryCommandIsCarriedOut: what config reads for operators has somebody who does it.
func TestEveryCommandIsCarriedOut(t *testing.T) {
	var help bytes.Buffer
	config.WriteHelp(&help, "")
	seen := 0
	for line := range strings.Lines(help.String()) {
		words := strings.Fields(line)
		if len(words) < 2 || !strings.HasPrefix(line, "  ") {
			continue
		}
		switch words[0] {
		case "call", "node", "float", "region":
			if seen++; jobs[words[0]+" "+words[1]] == nil {
				t.Errorf("nobody carries out %s %s", words[0], words[1])
			}
		}
	}
	if seen < 10 || jobs["node undrain"] == nil || jobs["region forget"] == nil {
		t.Errorf("%d commands in\n%s", seen, &help)
	}
}

// TestTerminalWidth: the width is that of the terminal, and no file or pipe has one.
func TestTerminalWidth(t *testing.T) {
	file, err := os.Create(t.TempDir() + "/out")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if got := terminalWidth(file); got != 0 {
		t.Errorf("a file has %d columns", got)
	}
	terminal, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skip("no terminal can be had here:", err)
	}
	defer terminal.Close()
	if err := unix.IoctlSetWinsize(int(terminal.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: 91}); err != nil {
		t.Skip(err)
	}
	if got := terminalWidth(terminal); got != 91 {
		t.Errorf("%d columns, want 91", got)
	}
	for asked, want := range map[int]int{0: 91, 120: 120} {
		v := viewer{o: &config.HistoryOptions{Width: asked, Full: true}, w: terminal}
		if got := v.layout(); got.Width != want || !got.Unfolded {
			t.Errorf("%d columns asked for: %+v", asked, got)
		}
	}
	if got := cmp0(0, 91); got != 91 || cmp0(80, 91) != 80 {
		t.Error(got)
	}
}
