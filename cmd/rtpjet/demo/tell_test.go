package demo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// TestMeasures: what is measured in words, at the borders of its units, and never broken from its unit.
func TestMeasures(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0.0 ms", 40 * time.Microsecond: "0.0 ms", 50 * time.Microsecond: "0.1 ms", 9949 * time.Microsecond: "9.9 ms", 9950 * time.Microsecond: "10 ms",
		9999 * time.Millisecond: "9999 ms", 9999500 * time.Microsecond: "10.0 s", time.Minute: "60.0 s",
	} {
		if got := ms(d); got != strings.Replace(want, " ", tie, 1) {
			t.Errorf("%v: %q, want %q", d, got, want)
		}
	}
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", -1000: "-1,000", 999999: "999,999", 1000000: "1,000,000", -999: "-999"} {
		if got := number(n); got != want {
			t.Errorf("%d: %s, want %s", n, got, want)
		}
	}
	for n, want := range map[int]string{0: "0 calls", 1: "1 call", 2: "2 calls", 1500: "1,500 calls"} {
		if got := counted(n, "call"); got != want {
			t.Errorf("%d: %s", n, got)
		}
	}
	all := []time.Duration{40e6, 10e6, 30e6, 20e6}
	if got := strings.ReplaceAll(spread(all), tie, " "); got != "20 ms at the median, 40 ms at most" || all[0] != 40e6 {
		t.Errorf("%s, and then %v", got, all)
	}
	if got := spread(nil); got != "nothing to measure" {
		t.Error(got)
	}
}

// FuzzLines: no line is wider than a terminal, and no word is lost or changed.
func FuzzLines(f *testing.F) {
	f.Add("a word and another one that is far longer than the others are, and then some more of them")
	f.Add(strings.Repeat("x", 200))
	f.Add("")
	f.Fuzz(func(t *testing.T, text string) {
		if strings.ContainsAny(text, "\n\r\v\f"+tie) {
			return
		}
		var b bytes.Buffer
		teller{w: &b}.more("%s", text)
		var got strings.Builder
		for line := range strings.Lines(b.String()) {
			line = strings.TrimSuffix(line, "\n")
			if len(line) > columns || !strings.HasPrefix(line, margin) {
				t.Errorf("%q", line)
			}
			got.WriteString(line[len(margin):])
		}
		if a, b := strings.ReplaceAll(got.String(), " ", ""), strings.ReplaceAll(text, " ", ""); a != b {
			t.Errorf("%q became %q", text, got.String())
		}
	})
}

// TestLoss: what is told of a killed node, of one call and of several.
func TestLoss(t *testing.T) {
	at := netip.MustParseAddrPort
	n := []*node{{place: place{id: "n1"}}, {place: place{id: "n2"}}, {place: place{id: "n3"}}}
	orphan := func(num int, owner *node) *call {
		return &call{num: num, owner: owner, offerAt: n[1], answerAt: n[2], told: [2]netip.AddrPort{at("127.0.1.2:1000"), at("127.0.1.2:1002")}}
	}
	one, two, three := orphan(1, n[1]), orphan(2, n[2]), orphan(3, n[1])
	for name, tt := range map[string]struct {
		calls []*call
		l     loss
		want  []string
		not   []string
	}{
		"one call": {[]*call{one}, loss{victim: n[0], orphans: []*call{one}, silence: []time.Duration{13e6}, known: 1, asked: []time.Duration{2e6}},
			[]string{
				"n2 and n3 were asked at once for all calls, and know 1 of 1. The last reply came 2.0 ms after the kill.",
				"Its 1 call was signalled anew, by a re-INVITE through any survivor: of these, n2 relays 1 and n3 relays 0 now.",
				"From the kill until both ends heard each other again: 13 ms.", "Call 1 again: offer at n2: now relayed by n2, callee sends to 127.0.1.2:1002",
				"answer at n3: caller sends to 127.0.1.2:1000", "silent for 13 ms after the kill",
				"1 call, 1 of them relayed by n1 when it was killed.", "It was heard again in both directions after 13 ms, through another node and new ports.",
				"The survivors knew 1 of 1; n1, started again, agreed on 1.",
			}, []string{"other call", "The others went on", "sent again"}},
		"several": {[]*call{one, two, three}, loss{victim: n[0], orphans: []*call{one, two}, others: []*call{three}, silence: []time.Duration{13e6, 40e6}, known: 3,
			asked: []time.Duration{2e6, 1500e6, 1e6}, resent: 2, during: traffic{sent: 1234, lost: 1, pause: 21e6}},
			[]string{
				"and know 3 of 3. The last reply came 1500 ms after the kill.", "Its 2 calls were signalled anew, by a re-INVITE through any survivor: of these, n2 relays 1 and n3 relays 1 now.",
				"again: 13 ms at the median, 40 ms at most.", "2 commands had to be sent again after 1s, as a proxy does.", "The 1 other call: 1 of 1,234 packets lost meanwhile, longest pause 21 ms.",
				"3 calls, 2 of them relayed by n1 when it was killed.", "All 2 were heard again in both directions after 13 ms at the median, 40 ms at most,",
				"The others went on: 1 of 1,234 packets lost, longest pause 21 ms.",
			}, nil},
	} {
		var out bytes.Buffer
		d := &demo{out: teller{w: &out, began: time.Now()}, calls: tt.calls, nodes: n}
		d.ng.asked.Store(1000)
		d.tellLoss(&tt.l, n[1:])
		d.summary(&tt.l, comeback{agreed: len(tt.calls)})
		told := strings.Join(strings.Fields(out.String()), " ")
		for _, want := range append(tt.want, "1,000 commands, each to any node that was up; none failed.", "It took 0.0 s.") {
			if !strings.Contains(told, want) {
				t.Errorf("%s: %q is not told:\n%s", name, want, &out)
			}
		}
		for _, not := range tt.not {
			if strings.Contains(told, not) {
				t.Errorf("%s: %q is told:\n%s", name, not, &out)
			}
		}
	}
}

// TestCount: commands that reached a node that does not relay the call.
func TestCount(t *testing.T) {
	a, b := &node{}, &node{}
	c := &call{owner: a}
	for _, at := range []*node{a, b, b} {
		c.count(at)
	}
	if c.commands != 3 || c.away != 2 {
		t.Errorf("%+v", c)
	}
	calls := []*call{c, {owner: b}, {owner: a}}
	if len(ownedBy(calls, a, true)) != 2 || len(ownedBy(calls, a, false)) != 1 || len(ownedBy(nil, a, true)) != 0 {
		t.Errorf("%d and %d", len(ownedBy(calls, a, true)), len(ownedBy(calls, a, false)))
	}
}

// TestEach: all calls have their turn, no more of them at once than is allowed, and what went wrong is told in short.
func TestEach(t *testing.T) {
	calls := make([]*call, 20)
	for i := range calls {
		calls[i] = &call{num: i + 1}
	}
	for _, limit := range []int{1, 3, 0} {
		var now, most, done atomic.Int64
		err := each(calls, limit, func(*call) error {
			n := now.Add(1)
			for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
			}
			done.Add(1)
			now.Add(-1)
			return nil
		})
		if allowed := int64(limit); err != nil || done.Load() != 20 || allowed > 0 && most.Load() > allowed {
			t.Errorf("%d at once: %d done, %d at once, %v", limit, done.Load(), most.Load(), err)
		}
	}
	err := each(calls, 4, func(c *call) error {
		if c.num%3 == 0 {
			return nil
		}
		return fmt.Errorf("call %d: no", c.num)
	})
	if want := "call 1: no\ncall 2: no\ncall 4: no\ncall 5: no\ncall 7: no\nand 9 more"; err == nil || err.Error() != want {
		t.Errorf("%v", err)
	}
	if err := each(nil, 0, func(*call) error { return errors.New("of nobody") }); err != nil {
		t.Error(err)
	}
}

// TestUsageTexts: the sentences for mistakes, and the help.
func TestUsageTexts(t *testing.T) {
	for args, want := range map[string]string{
		"--calls 0":   "rtpjet demo: --calls must be from 1 to 200; 'rtpjet demo --help' lists the options\n",
		"--calls 201": "rtpjet demo: --calls must be from 1 to 200; 'rtpjet demo --help' lists the options\n",
		"--calls -1":  "rtpjet demo: --calls must be from 1 to 200; 'rtpjet demo --help' lists the options\n",
		"--calls":     "rtpjet demo: flag needs an argument: -calls; 'rtpjet demo --help' lists the options\n",
		"now":         "rtpjet demo: \"now\" is no option; 'rtpjet demo --help' lists the options\n",
		"--nodes=3":   "rtpjet demo: flag provided but not defined: -nodes; 'rtpjet demo --help' lists the options\n",
	} {
		var out, errs bytes.Buffer
		if code := Run(t.Context(), strings.Fields(args), &out, &errs); code != exitUsage || errs.String() != want || out.Len() > 0 {
			t.Errorf("%s: %d %q, want %q", args, code, &errs, want)
		}
	}
}

func ExampleRun() {
	Run(context.Background(), []string{"--help"}, os.Stdout, os.Stderr)
	// Output:
	// rtpjet demo: three nodes on this machine take calls, one of them is killed, and you
	// see what becomes of the calls. Takes about ten seconds and cleans up behind itself.
	//
	//   rtpjet demo [--calls N] [--keep]
	//
	//   -calls NUMBER
	//     	NUMBER of calls to place (default 30)
	//   -keep
	//     	leave the cluster running until Ctrl-C
}
