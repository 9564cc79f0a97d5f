package report_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"rtpjet/events"
	"rtpjet/ngserver/bencode"
	"rtpjet/ngserver/ng"
	"rtpjet/ngserver/report"
	"rtpjet/projection"
	"rtpjet/projection/projectiontest"
	"rtpjet/relay/plan"
)

var update = flag.Bool("update", false, "write the golden files anew")

// golden compares a dictionary, as indented JSON in the order of its keys, with a file.
func golden(t *testing.T, name string, o *ng.Object) {
	t.Helper()
	var b bytes.Buffer
	if err := json.Indent(&b, o.Value().AppendJSON(nil), "", " "); err != nil {
		t.Fatal(err)
	}
	b.WriteByte('\n')
	file := filepath.Join("testdata", name+".json")
	if *update {
		if err := os.WriteFile(file, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(b.Bytes(), want) {
		t.Errorf("%s is\n%s\nwant\n%s", name, b.Bytes(), want)
	}
	if _, _, err := bencode.DecodeDict(o.Value().AppendBencode(nil)); err != nil {
		t.Errorf("%s as bencode: %v", name, err)
	}
}

func request(t *testing.T, command string, keys ...any) *ng.Request {
	t.Helper()
	r, err := projectiontest.Request(command, keys...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// call is a call with an answered party and a fork, with sections of each sort.
func call(t *testing.T) *projectiontest.Driver {
	t.Helper()
	d := projectiontest.NewDriver()
	step := func(command, flags, body string, keys ...any) {
		keys = append(keys, "from-tag", "a", "rtpp-flags", flags, "sdp", []byte(projectiontest.SDP(command, body)))
		if _, err := d.Do(request(t, command, keys...)); err != nil {
			t.Fatal(err)
		}
		d.Now += 1_500_000
	}
	offer := "m=audio 4000 RTP/AVP 101 8 0\na=rtpmap:101 telephone-event/8000\na=rtcp-mux\nm=video 0 RTP/AVP 34\nm=image 4004 udptl t38\n"
	step("offer", "label=caller metadata=m1 media-handover strict-source", offer, "via-branch", "x")
	step("offer", "metadata=m2 media-handover strict-source", offer, "via-branch", "y")
	step("answer", "asymmetric unidirectional",
		"m=audio 5000 RTP/AVP 101 8\na=rtpmap:101 telephone-event/8000\na=sendonly\na=rtcp-mux\nm=video 0 RTP/AVP 34\nm=image 5004 udptl t38\n",
		"via-branch", "x", "to-tag", "b")
	d.Append(events.EndpointLearned{Party: 0, Signal: 3, Remote: netip.MustParseAddrPort("192.0.2.9:9000"), Confirmed: true})
	d.Append(events.EndpointLearned{Party: 1, Signal: 2, Remote: netip.MustParseAddrPort("192.0.2.9:9002")})
	return d
}

// stats are those of the first socket of the call.
func stats(l netip.AddrPort) (plan.Stats, bool) {
	if l != netip.MustParseAddrPort("10.0.0.1:30000") {
		return plan.Stats{}, false
	}
	return plan.Stats{
		In: plan.Counters{Packets: 5, Bytes: 860, Errors: 1}, Out: plan.Counters{Packets: 4, Bytes: 688},
		LastPacket: projectiontest.Start + 9_000_000, Remote: netip.MustParseAddrPort("192.0.2.9:9100"), Confirmed: true,
		IngressSSRC: plan.SSRC{
			SSRC: 4_000_000_000, Seen: true, Packets: 5, Bytes: 860, LastTimestamp: 800, LastSeq: 5,
			Received: plan.Reception{Counted: true, Lost: 1}, Jitter: 1500, JitterKnown: true,
		},
		Received:   plan.Reception{Counted: true, Lost: 2, Gaps: 3, Reordered: 4, Duplicates: 5, Resets: 6},
		EgressSSRC: plan.SSRC{SSRC: 7, Seen: true, Packets: 4, Bytes: 688},
	}, true
}

func TestQuery(t *testing.T) {
	d := call(t)
	o := ng.NewObject()
	report.Query(o, &d.Call, request(t, "query"), stats, report.Env{})
	golden(t, "query", o)
}

// A node that does not relay the call has no counters, and an unanswered call no peer.
func TestQueryWithoutStats(t *testing.T) {
	d := projectiontest.NewDriver()
	if _, err := d.Do(request(t, "offer", "from-tag", "a", "sdp",
		[]byte(projectiontest.SDP("offer", "c=IN IP6 2001:db8:1::1\nm=audio 4000 RTP/SAVP 0\n")))); err != nil {
		t.Fatal(err)
	}
	o := ng.NewObject()
	report.Query(o, &d.Call, request(t, "query"), nil, report.Env{SSRC: report.SSRCNone})
	golden(t, "query_unanswered", o)
}

// TestQueryOfAnotherNode: where no socket's counters are known there are none, rather than zeros.
func TestQueryOfAnotherNode(t *testing.T) {
	d := call(t)
	none := func(netip.AddrPort) (plan.Stats, bool) { return plan.Stats{}, false }
	o := ng.NewObject()
	report.Query(o, &d.Call, request(t, "query"), none, report.Env{})
	text := string(o.Value().AppendJSON(nil))
	if strings.Contains(text, `"totals"`) {
		t.Error(text)
	}
	// A stream with a socket has no counters, and one without has received nothing.
	for _, yes := range []string{`"SSRC":{}`, `"endpoint"`, `"port":5004},"flags":["RTP","filled"]}`, `"flags":["RTCP"],"stats":{"packets":0,`} {
		if !strings.Contains(text, yes) {
			t.Errorf("no %s in %s", yes, text)
		}
	}
}

func TestQueryFilter(t *testing.T) {
	d := call(t)
	for _, c := range []struct {
		from, to string
		want     []string
	}{
		{"", "", []string{"a", "b", "<untagged 2>"}},
		{"a", "", []string{"a", "b", "<untagged 2>"}},
		{"b", "", []string{"b", "a"}},
		{"a", "b", []string{"b", "a"}},
		{"", "b", []string{"b", "a"}},
		{"zz", "", nil},
		{"a", "zz", nil},
	} {
		o := ng.NewObject()
		report.Query(o, &d.Call, request(t, "query", "from-tag", c.from, "to-tag", c.to), stats, report.Env{})
		if got := keys(t, o, "tags"); !slices.Equal(got, c.want) {
			t.Errorf("from %q to %q: %q, want %q", c.from, c.to, got, c.want)
		}
	}
}

func TestSSRCReporting(t *testing.T) {
	d := call(t)
	for mode, want := range map[report.SSRCReporting][2]bool{
		report.SSRCBoth: {true, true}, report.SSRCTop: {true, false}, report.SSRCInline: {false, true}, report.SSRCNone: {false, false},
	} {
		o := ng.NewObject()
		report.Query(o, &d.Call, request(t, "query"), stats, report.Env{SSRC: mode})
		text := string(o.Value().AppendJSON(nil))
		if got := [2]bool{strings.Contains(text, `"SSRC":{"4000000000"`), strings.Contains(text, `"ingress SSRCs"`)}; got != want {
			t.Errorf("mode %d: %v, want %v", mode, got, want)
		}
	}
}

// keys returns the keys of a dictionary inside of o, in order.
func keys(t *testing.T, o *ng.Object, name string) []string {
	t.Helper()
	v, _, err := bencode.DecodeDict(o.Value().AppendBencode(nil))
	if err != nil {
		t.Fatal(err)
	}
	in, _ := v.Get(name)
	d, ok := in.(*bencode.Dict)
	if !ok {
		t.Fatalf("%s is a %T", name, in)
	}
	return d.Keys
}

func TestStatistics(t *testing.T) {
	o := ng.NewObject()
	report.Statistics(o, report.Snapshot{
		Uptime: 90*time.Second + 900*time.Millisecond, SessionsOwn: 3, SessionsForeign: 4,
		Managed: 2, Rejected: 1, Seconds: 6, Squares: 20,
		Ended: map[events.Reason]uint64{events.ReasonDeleted: 1, events.ReasonOfferTimeout: 1},
		In:    plan.Counters{Packets: 10, Bytes: 1720, Errors: 1}, Out: plan.Counters{Packets: 9, Bytes: 1548},
		Rate: plan.Counters{Packets: 50, Bytes: 8600, Errors: 2}, Medias: 5,
		Interfaces: []report.Interface{
			{
				Name: "pub", Addr: netip.MustParseAddr("10.0.0.1"), Min: 30000, Max: 30002, Used: 1, Free: 2, Total: 3,
				Traffic: true, In: plan.Counters{Packets: 10, Bytes: 1720, Errors: 1}, Out: plan.Counters{Packets: 9, Bytes: 1548},
				Received: plan.Reception{Counted: true, Lost: 1, Duplicates: 2}, Jitter: plan.Samples{Count: 2, Sum: 8000, Squares: 34_000_000},
			},
			{Name: "none", Addr: netip.MustParseAddr("2001:db8::1")},
		},
		Received: plan.Reception{Counted: true, Lost: 1, Gaps: 2, Reordered: 3, Duplicates: 4, Resets: 5}, Jitter: plan.Samples{Count: 2, Sum: 8000, Squares: 34_000_000},
		Control: func(o *ng.Object) { o.Int("totalpingcount", 1) },
	})
	golden(t, "statistics", o)
}

// With nothing to say the parts are there all the same, but no mean of no calls, and nothing that nobody measures.
func TestStatisticsZero(t *testing.T) {
	var zero, full ng.Object
	report.Statistics(&zero, report.Snapshot{})
	report.Statistics(&full, report.Snapshot{Managed: 9, Interfaces: []report.Interface{{}}, Ended: map[events.Reason]uint64{events.ReasonTimeout: 1}})
	if a, b := keys(t, &zero, "statistics"), keys(t, &full, "statistics"); !slices.Equal(a, b) {
		t.Errorf("%q and %q", a, b)
	}
	text := string(zero.Value().AppendJSON(nil))
	for _, no := range []string{"NaN", "avgcallduration", "stddev", "lost", "mos_", "jitter", "ingress"} {
		if strings.Contains(text, no) {
			t.Errorf("%s in %s", no, text)
		}
	}
}

func TestList(t *testing.T) {
	ids := []string{"a", "b", "c"}
	for limit, want := range map[int]string{-1: `["a","b","c"]`, 0: "[]", 2: `["a","b"]`, 9: `["a","b","c"]`} {
		o := ng.NewObject()
		report.List(o, ids, limit)
		if got := string(o.Value().AppendJSON(nil)); got != `{"calls":`+want+`}` {
			t.Errorf("limit %d: %s", limit, got)
		}
	}
	for value, want := range map[any]int{nil: 32, 0: 0, "5": 5} {
		var in []any
		if value != nil {
			in = []any{"limit", value}
		}
		if n, err := report.Limit(request(t, "list", in...)); n != want || err != nil {
			t.Errorf("limit %v: %d %v", value, n, err)
		}
	}
	var reason *ng.ReasonError
	if _, err := report.Limit(request(t, "list", "limit", -1)); !errors.As(err, &reason) || reason.Reason != "invalid limit, must be >= 0" {
		t.Errorf("a negative limit: %v", err)
	}
}

// A query must not change the call that it describes.
func TestQueryReadsOnly(t *testing.T) {
	d := call(t)
	var before, after strings.Builder
	d.Call.Describe(&before)
	report.Query(ng.NewObject(), &d.Call, request(t, "query"), stats, report.Env{})
	d.Call.Describe(&after)
	if before.String() != after.String() {
		t.Error(after.String())
	}
	report.Query(ng.NewObject(), &projection.Call{}, request(t, "query"), stats, report.Env{}) // no call, no panic
}
