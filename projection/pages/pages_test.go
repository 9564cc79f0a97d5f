package pages_test

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"rtpjet/projection/history"
	"rtpjet/projection/history/historytest"
	"rtpjet/projection/pages"
	"rtpjet/relay/plan"
)

const (
	key   = "WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz"
	offer = "v=0\r\no=- 1 1 IN IP4 198.51.100.7\r\ns=-\r\nc=IN IP4 198.51.100.7\r\nt=0 0\r\nm=audio 4000 RTP/SAVP 0\r\n" +
		"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:" + key + "\r\na=sendrecv\r\n"
	answer = "v=0\r\no=- 2 1 IN IP4 203.0.113.9\r\ns=-\r\nc=IN IP4 203.0.113.9\r\nt=0 0\r\nm=audio 5000 RTP/AVP 0\r\na=sendrecv\r\n"
)

func story(t *testing.T) ([]history.Moment, *history.Ladder) {
	t.Helper()
	s := historytest.New()
	s.Do("offer", "from-tag", "a", "sdp", offer, "transport-protocol", "RTP/AVP")
	s.Wait(2_000_000)
	s.Do("answer", "from-tag", "a", "to-tag", "b", "sdp", answer)
	s.Wait(5_000_000)
	s.Do("delete", "from-tag", "a", "delete delay", 0)
	list := history.Moments("call", s.Entries)
	return list, history.NewLadder("call", list)
}

// TestStateHoldsNoKey: whatever the moment, no key is in what a page gets.
func TestStateHoldsNoKey(t *testing.T) {
	list, l := story(t)
	for i := range list {
		data, err := json.Marshal(pages.NewState(list, l, i))
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(data), key) {
			t.Errorf("a key is in the state at step %d", i)
		}
	}
	data, err := json.Marshal(pages.Slim(l))
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(data), key) || strings.Contains(string(data), "m=audio") {
		t.Error("the ladder of a page has more than a page draws")
	}
	if l.Steps[0].Asked.SDP == "" {
		t.Error("Slim has changed the ladder that it was given")
	}
}

// TestStateIsOfItsMoment: the slider moves all of the page.
func TestStateIsOfItsMoment(t *testing.T) {
	list, l := story(t)
	first, second, last := pages.NewState(list, l, 0), pages.NewState(list, l, 1), pages.NewState(list, l, len(list)-1)
	if !first.Live || len(first.Exchange) != 1 || first.Exchange[0].Command != "offer" || first.Parties[1].Medias[0].Remote != "" {
		t.Errorf("%+v", first)
	}
	if len(second.Exchange) != 2 || second.Exchange[1].Command != "answer" || second.Parties[1].Medias[0].Remote != "203.0.113.9:5000" {
		t.Errorf("%+v", second)
	}
	if second.Parties[0].Medias[0].Crypto != "AES_CM_128_HMAC_SHA1_80" {
		t.Errorf("%+v", second.Parties[0])
	}
	if last.Live || len(last.Parties) != 0 || last.Ended != "deleted" {
		t.Errorf("%+v", last)
	}
}

func TestRows(t *testing.T) {
	list, _ := story(t)
	c := list[1].Call
	r := pages.NewRow(c)
	if r.State != "answered" || r.Media != "audio" || !slices.Equal(r.Tags, []string{"a", "b"}) {
		t.Errorf("%+v", r)
	}
	for search, want := range map[string]bool{
		"": true, "call": true, "CALL n1": true, "198.51.100.7": true, "203.0.113.9:5000": true, "call 203.0": true, "call nobody": false, "n2": false,
	} {
		if got := r.Matches(pages.Words(search)); got != want {
			t.Errorf("%q: %v", search, got)
		}
	}
	if s := pages.NewRow(list[0].Call).State; s != "offered" {
		t.Error(s)
	}
}

func crowd(n int) []*pages.Row {
	var rows []*pages.Row
	list := history.Moments("call", func() []history.Entry {
		s := historytest.New()
		s.Do("offer", "from-tag", "a", "sdp", answer)
		return s.Entries
	}())
	for i := range n {
		c := list[0].Call.Snapshot()
		c.ID, c.Created = fmt.Sprintf("call-%05d", i), int64(i/2)
		rows = append(rows, pages.NewRow(c))
	}
	slices.SortFunc(rows, pages.Newer)
	return rows
}

func TestPages(t *testing.T) {
	rows := crowd(120)
	p := pages.NewPage(rows, "", 0, 50)
	if p.Live != 120 || p.Found != 120 || len(p.Calls) != 50 || p.Calls[0].Call != "call-00118" {
		t.Errorf("%d %d %d %s", p.Live, p.Found, len(p.Calls), p.Calls[0].Call)
	}
	if p = pages.NewPage(rows, "", 100, 50); len(p.Calls) != 20 || p.Calls[19].Call != "call-00001" {
		t.Error(len(p.Calls))
	}
	if p = pages.NewPage(rows, "call-0001", 0, 5); p.Found != 10 || len(p.Calls) != 5 {
		t.Error(p.Found)
	}
	if p = pages.NewPage(rows, "", 500, 50); len(p.Calls) != 0 || p.Calls == nil {
		t.Error(p.Calls)
	}
	if near := pages.Near(rows, "call-0011x", 3); len(near) != 3 || !strings.HasPrefix(near[0], "call-0011") {
		t.Error(near)
	}
	if near := pages.Near(rows, "quite another", 3); len(near) != 0 {
		t.Error(near)
	}
}

func BenchmarkPageOf10000(b *testing.B) {
	rows := crowd(10_000)
	for b.Loop() {
		if p := pages.NewPage(rows, "203.0.113.9 call-09", 0, 50); p.Found != 1000 {
			b.Fatal(p.Found)
		}
	}
}

func text(list []pages.Piece) string {
	out := ""
	for _, p := range list {
		if p.New {
			out += "{" + p.Text + "}"
		} else {
			out += p.Text
		}
	}
	return out
}

func TestCompareSDP(t *testing.T) {
	got := ""
	for _, r := range pages.CompareSDP(
		"v=0\r\no=- 1 1 IN IP4 198.51.100.7\r\nc=IN IP4 198.51.100.7\r\nm=audio 4000 RTP/AVP 0 8\r\na=ptime:20\r\na=candidate:1 x\r\n",
		"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\nm=audio 30000 RTP/AVP 0 8\r\nc=IN IP4 192.0.2.1\r\na=ptime:20\r\na=rtcp:30001\r\n") {
		got += fmt.Sprintf("%-8s|%s|%s\n", r.Mark, text(r.In), text(r.Out))
	}
	const want = "        |v=0|v=0\n" +
		"changed |o=- 1 1 IN IP4 {198.51.100.7}|o=- 1 1 IN IP4 {192.0.2.1}\n" +
		"added   ||{m=audio 30000 RTP/AVP 0 8}\n" +
		"changed |c=IN IP4 {198.51.100.7}|c=IN IP4 {192.0.2.1}\n" +
		"removed |{m=audio 4000 RTP/AVP 0 8}|\n" +
		"        |a=ptime:20|a=ptime:20\n" +
		"removed |{a=candidate:1 x}|\n" +
		"added   ||{a=rtcp:30001}\n"
	if got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	if rows := pages.CompareSDP("v=0\r\n", ""); len(rows) != 1 || rows[0].Mark != "removed" {
		t.Errorf("%+v", rows)
	}
}

// FuzzCompareSDP: all lines are kept, in their order, whatever they are.
func FuzzCompareSDP(f *testing.F) {
	f.Add("v=0\r\nm=audio 1 RTP/AVP 0\r\n", "v=0\r\na=x\r\nm=audio 2 RTP/AVP 0\r\n")
	f.Add("", "a")
	f.Fuzz(func(t *testing.T, in, out string) {
		if in == "" || out == "" || len(in)+len(out) > 4000 {
			return
		}
		var a, b []string
		for _, r := range pages.CompareSDP(in, out) {
			if r.In != nil {
				a = append(a, strings.NewReplacer("{", "", "}", "").Replace(text(r.In)))
			}
			if r.Out != nil {
				b = append(b, strings.NewReplacer("{", "", "}", "").Replace(text(r.Out)))
			}
		}
		lines := func(s string) []string {
			s = strings.TrimRight(strings.ReplaceAll(s, "\r\n", "\n"), "\n")
			return strings.Split(strings.NewReplacer("{", "", "}", "").Replace(s), "\n")
		}
		if !slices.Equal(a, lines(in)) || !slices.Equal(b, lines(out)) {
			t.Errorf("%q %q became %q %q", in, out, a, b)
		}
	})
}

func TestRate(t *testing.T) {
	list, _ := story(t)
	c := list[1].Call
	look := func(packets, lost uint64, counted bool) []pages.Stream {
		return pages.Streams(c, func(netip.AddrPort) (plan.Stats, bool) {
			return plan.Stats{
				In: plan.Counters{Packets: packets}, Out: plan.Counters{Packets: packets},
				IngressSSRC: plan.SSRC{SSRC: 7, Seen: true}, Received: plan.Reception{Counted: counted, Lost: lost},
			}, true
		})
	}
	first, second := look(1000, 3, true), look(1095, 8, true)
	pages.Rate(nil, first, 0)
	if first[0].RateIn != -1 || first[0].Loss != -1 || first[0].Lost != 3 {
		t.Errorf("%+v", first[0])
	}
	pages.Rate(first, second, 2_000_000)
	if s := second[0]; s.RateIn != 47.5 || s.Lost != 8 || s.Loss != 0.05 {
		t.Errorf("%+v", s)
	}
	if second[1].RTCP && (second[1].Loss != -1 || second[1].Lost != -1) {
		t.Error("RTCP has no loss")
	}
	third := look(1145, 7, true) // one has come late
	pages.Rate(second, third, 1_000_000)
	if s := third[0]; s.Lost != 7 || s.Loss != 0 || s.RateIn != 50 {
		t.Errorf("%+v", s)
	}
	uncounted := look(1150, 0, false) // by an owner of an earlier build
	pages.Rate(third, uncounted, 1_000_000)
	if s := uncounted[0]; s.Lost != -1 || s.Loss != -1 || s.RateIn != 5 {
		t.Errorf("%+v", s)
	}
	fourth := look(10, 0, true) // another owner counts anew
	pages.Rate(third, fourth, 1_000_000)
	if s := fourth[0]; s.RateIn != -1 {
		t.Errorf("%+v", s)
	}
}

func TestNews(t *testing.T) {
	nodes := func(state string, draining bool, epoch uint64) map[string]pages.NodeView {
		return map[string]pages.NodeView{"n1": {State: "alive"}, "n2": {State: state, Draining: draining, Epoch: epoch, Calls: 3}}
	}
	base := pages.View{Nodes: nodes("alive", false, 1), Floats: map[string]pages.FloatView{"192.0.2.10": {Holder: "n2", Epoch: 1, Calls: 3}}}
	for _, test := range []struct {
		name string
		now  pages.View
		want []string
	}{
		{"nothing", base, nil},
		{"gone", pages.View{Nodes: nodes("gone", false, 1)}, []string{"n2 is gone; it had 3 calls"}},
		{"restarted", pages.View{Nodes: nodes("alive", false, 2)}, []string{"n2 was started again"}},
		{"drain", pages.View{Nodes: nodes("alive", true, 1)}, []string{"n2 is draining: it takes no new calls, and has 3 calls"}},
		{"float", pages.View{Nodes: nodes("alive", false, 1), Floats: map[string]pages.FloatView{"192.0.2.10": {Holder: "n1", Epoch: 2, Calls: 3, Why: "not heard by this node", Silence: 41_200}}},
			[]string{"192.0.2.10 is with n1 now, with 3 calls: not heard by n1 (silent for 42 ms at most)"}},
		{"nobody", pages.View{Nodes: nodes("alive", false, 1), Floats: map[string]pages.FloatView{"192.0.2.10": {}}}, []string{"nobody holds 192.0.2.10 now; it was with n2"}},
		{"takeover", pages.View{Nodes: nodes("alive", false, 1), Taken: []pages.Taken{{From: "n2", To: "n1", Why: "owner gone", Calls: 2}}}, []string{"n1 took over 2 calls of n2: owner gone"}},
	} {
		var got []string
		for _, it := range pages.News(base, test.now, 1) {
			got = append(got, it.Text)
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("%s: %q", test.name, got)
		}
	}
	if news := pages.News(pages.View{}, base, 1); len(news) != 0 {
		t.Errorf("a first view is news: %v", news)
	}
}
