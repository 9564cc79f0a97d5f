package embed

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"rtpjet/embed/internal/names"
)

// TestMirrorReplacedReasons: when a mirror is a copy of something that is no more.
func TestMirrorReplacedReasons(t *testing.T) {
	t.Parallel()
	l, s := newScript(t, Config{Region: "us", Here: "eu"})
	created := time.Unix(1_700_000_000, 0).UTC()
	info := func(mark string, last uint64) string {
		return fmt.Sprintf(`{"created":%q,"config":{"name":"CALLS_us","metadata":{%s}},"state":{"last_seq":%d}}`,
			created.Format(time.RFC3339), mark, last)
	}
	const ours, others = `"rtpjet_home":"1700000000000000000"`, `"rtpjet_home":"1600000000000000000"`
	anew := "the stream CALLS_us was created anew at " + created.Format(time.RFC3339)
	for _, c := range []struct {
		name       string
		home, here []string
		want       string
		asked      int // how often home is, for CALLS
	}{
		{"the same", []string{info("", 9)}, []string{info(ours, 9)}, "", 1},
		{"the mirror is behind", []string{info("", 9)}, []string{info(ours, 7)}, "", 1},
		{"another one", []string{info("", 99)}, []string{info(others, 9)}, anew, 1},
		{"shorter at home", []string{info("", 7)}, []string{info(ours, 9)}, "the stream CALLS_us ends at 7 there and at 9 here", 2},
		{"home was asked too early", []string{info("", 7), info("", 9)}, []string{info(ours, 9)}, "", 2},
		{"never marked, and shorter at home", []string{info("", 7)}, []string{info("", 9)}, "the stream CALLS_us ends at 7 there and at 9 here", 2},
	} {
		for _, name := range names.Mirrored("us") {
			home, here := []string{info("", 0)}, []string{info(ours, 0)}
			if name == names.Calls("us") {
				home, here = c.home, c.here
			}
			s.on(t, l, "$JS.us.API.STREAM.INFO."+name, home...)
			s.on(t, l, "$JS.API.STREAM.INFO."+name, here...)
		}
		if why, err := l.MirrorReplaced(t.Context()); err != nil || why != c.want {
			t.Errorf("%s: %q, %v; want %q", c.name, why, err, c.want)
		}
		if n := len(s.questions("$JS.us.API.STREAM.INFO.CALLS_us")); n != c.asked {
			t.Errorf("%s: home was asked %d times", c.name, n)
		}
		rest := len(s.questions("$JS.us.API.STREAM.INFO.ARCHIVEX_us"))
		if (rest > 0) != (c.want == "") {
			t.Errorf("%s: the last stream was asked for %d times", c.name, rest)
		}
	}
	s.on(t, l, "$JS.us.API.STREAM.INFO.CALLS_us", "no JSON")
	if _, err := l.MirrorReplaced(t.Context()); err == nil || !strings.HasPrefix(err.Error(), "ask region us for CALLS_us: decode the answer: ") {
		t.Errorf("no JSON: %v", err)
	}
	s.on(t, l, "$JS.us.API.STREAM.INFO.CALLS_us", info("", 9))
	s.on(t, l, "$JS.API.STREAM.INFO.CALLS_us", badRequest)
	if _, err := l.MirrorReplaced(t.Context()); err == nil || !strings.HasPrefix(err.Error(), "look at CALLS_us: ") {
		t.Errorf("a mirror that cannot be asked: %v", err)
	}
	s.on(t, l, "$JS.API.STREAM.INFO.CALLS_us", `{"state":{"first_seq":3,"last_seq":9,"messages":5,"bytes":700}}`)
	if st, err := l.MirrorState(t.Context()); err != nil || st != (MirrorState{First: 3, Last: 9, Messages: 5, Bytes: 700}) {
		t.Errorf("%+v, %v", st, err)
	}
	s.on(t, l, "$JS.API.STREAM.INFO.CALLS_us", badRequest)
	if st, err := l.MirrorState(t.Context()); err == nil || st != (MirrorState{}) {
		t.Errorf("%+v, %v", st, err)
	}
}
