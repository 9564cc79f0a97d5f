package sdp

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// corpus returns the bodies of testdata/corpus by file name.
func corpus(t testing.TB) map[string][]byte {
	t.Helper()
	names, err := filepath.Glob("testdata/corpus/*.sdp")
	if err != nil || len(names) == 0 {
		t.Fatalf("no corpus: %v", err)
	}
	out := make(map[string][]byte, len(names))
	for _, n := range names {
		if out[n], err = os.ReadFile(n); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// The golden files say in words what the model read, so that a change of meaning shows in a diff.
func TestCorpus(t *testing.T) {
	for name, body := range corpus(t) {
		t.Run(filepath.Base(name), func(t *testing.T) {
			got := describe(body)
			golden := strings.TrimSuffix(name, ".sdp") + ".golden"
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(string(want), got); d != "" {
				t.Errorf("-want +got (run with -update after looking)\n%s", d)
			}
		})
	}
}

func describe(body []byte) string {
	var b strings.Builder
	s, err := Parse(body)
	if err == nil {
		err = s.Check()
	}
	if err != nil {
		return err.Error() + "\n"
	}
	for _, g := range s.Groups() {
		fmt.Fprintf(&b, "group %s %q\n", g.Semantics, g.Mids)
	}
	if o := s.Origin; o != nil {
		fmt.Fprintf(&b, "origin %q %s %s %s %s %s\n", o.Username, o.SessionID, o.Version, o.NetType, o.AddrType, o.Address)
	}
	fmt.Fprintf(&b, "name %q %v\n", s.Name, s.HasName)
	for _, a := range s.Attributes {
		if a.Kind == KindUnknown {
			fmt.Fprintf(&b, "unknown %q\n", a.Line)
		}
	}
	for i := range s.Media {
		m := &s.Media[i]
		fmt.Fprintf(&b, "\n%s %s rtp=%v rtcp=%v mux=%v %v held=%v\n", m.Class(), m.Protocol, m.RTP(), m.RTCP(), m.RTCPMux(),
			m.Direction(), m.Held())
		fmt.Fprintf(&b, "  mid=%q label=%q ptime=%d/%d setup=%q tls-id=%q\n", m.Mid(), m.Label(), number(m, KindPTime), number(m, KindMaxPTime),
			m.inherited(KindSetup), m.inherited(KindTLSID))
		if f, ok := ParseFingerprint(m.inherited(KindFingerprint)); ok {
			fmt.Fprintf(&b, "  fingerprint %s %.8s…\n", f.Hash, f.Value)
		}
		if m.UsesICE() {
			fmt.Fprintf(&b, "  ice %q %q %q lite=%v end=%v\n", m.inherited(KindICEUfrag), m.inherited(KindICEPwd),
				m.inherited(KindICEOptions), m.Lookup(KindICELite) != nil, m.Lookup(KindEndOfCandidates) != nil)
		}
		if !m.IsRTP() {
			fmt.Fprintf(&b, "  formats %q\n", strings.Join(m.Formats, " "))
		}
		for _, c := range m.Codecs() {
			fmt.Fprintf(&b, "  %d %s/%d/%d mapped=%v fmtp=%q fb=%q\n", c.PT, c.Name, c.Rate, c.Channels, c.Mapped, c.FMTP, c.Feedback)
		}
		for _, c := range m.Cryptos() {
			fmt.Fprintf(&b, "  crypto %d %s %q\n", c.Tag, c.Suite, c.Session)
		}
		for _, c := range candidates(m) {
			fmt.Fprintf(&b, "  candidate %d %s %d %v %d %s\n", c.Component, c.Transport, c.Priority, c.Addr, c.Port, c.Type)
		}
		for _, e := range m.Extmaps() {
			fmt.Fprintf(&b, "  extmap %d %q %s\n", e.ID, e.Direction, e.URI)
		}
		for _, w := range m.Bandwidth {
			fmt.Fprintf(&b, "  bandwidth %s=%s\n", w.Type, w.Value)
		}
		for _, a := range m.Attributes {
			if a.Kind == KindUnknown {
				fmt.Fprintf(&b, "  unknown %q\n", a.Line)
			}
		}
	}
	return b.String()
}

// candidates are the section's ICE candidates, and number is the whole number of an attribute: the program only passes them on.
func candidates(m *Media) (out []Candidate) {
	for a := range m.All(KindCandidate) {
		if c, ok := ParseCandidate(a.Value); ok {
			out = append(out, c)
		}
	}
	return out
}

func number(m *Media, k Kind) int { n, _ := leadingInt(m.value(k)); return n }

// checkModel asserts what must hold for every body that Parse takes.
func checkModel(t *testing.T, body []byte) *Session {
	t.Helper()
	s, err := Parse(body)
	if err != nil {
		if s != nil {
			t.Fatal("a session with an error")
		}
		return nil
	}
	text := s.AppendTo(nil)
	again, err := Parse(text)
	if err != nil {
		t.Fatalf("own text refused: %v\n%q", err, text)
	}
	if twice := again.AppendTo(nil); !bytes.Equal(text, twice) {
		t.Fatalf("text changes when read again\n%q\n%q", text, twice)
	}
	if len(again.Media) != len(s.Media) || (again.Check() == nil) != (s.Check() == nil) {
		t.Fatalf("text means something else\n%q", text)
	}
	complete := s.Check() == nil
	for i := range s.Media {
		m, n := &s.Media[i], &again.Media[i]
		if m.RTP() != n.RTP() || m.RTCP() != n.RTCP() || m.RTCPMux() != n.RTCPMux() || m.Direction() != n.Direction() {
			t.Fatalf("section %d means something else\n%q", i, text)
		}
		if complete && !m.RTP().Addr().IsValid() && m.Port != 0 {
			t.Fatalf("section %d passed Check without an address", i)
		}
		codecs := m.Codecs()
		if complete && m.Port != 0 && m.IsRTP() && len(m.Formats) > 0 && len(codecs) == 0 {
			t.Fatalf("section %d lost its codecs", i)
		}
		for j := range codecs {
			if c := &codecs[j]; (c.Map == "") != (c.Name == "") {
				t.Fatalf("codec %+v", c)
			}
		}
		candidates(m)
		m.Cryptos()
		m.Extmaps()
		ParseFingerprint(m.inherited(KindFingerprint))
		number(m, KindPTime)
	}
	s.Groups()
	s.LoopProtect()
	return s
}

func TestCorpusRoundTrip(t *testing.T) {
	for name, body := range corpus(t) {
		s := checkModel(t, body)
		// The files that are in the usual order already come back byte by byte.
		switch filepath.Base(name) {
		case "gb28181.sdp", "sloppy.sdp", "phone-lf-unterminated.sdp":
		default:
			if d := cmp.Diff(string(body), string(s.AppendTo(nil))); d != "" {
				t.Errorf("%s: -want +got\n%s", name, d)
			}
		}
	}
}

// hostile are bodies of 64 kB, each the worst case of something.
func hostile() map[string]string {
	fill := func(start, repeat string) string {
		return start + strings.Repeat(repeat, (65000-len(start))/len(repeat))
	}
	return map[string]string{
		"sections":           fill(head, "m=a 0 b c\n"),
		"two thousand":       head + strings.Repeat("m=audio 4000 RTP/AVP 0 8 101\n", 2000),
		"empty attributes":   fill(head+audio, "a=\n"),
		"session attributes": fill(head, "a=x\n")[:32000] + "\n",
		"inherited by all":   fill(head+strings.Repeat("a=x\n", 8000), audio),
		"formats":            fill(head+"m=audio 1 RTP/AVP 0", " 0"),
		"fmtp of one type":   fill(head+audio, "a=fmtp:0 x\n"),
		"bandwidth":          fill(head, "b=\n"),
		"blocks":             fill("", "v=0\na=mid\n"),
		"one line":           fill(head+"a=", "x"),
		"spaces":             fill(head+"m=", " "),
		"newlines":           fill("", "\n"),
		"cr":                 fill(head, "\r"),
		"candidates":         fill(head+audio, "a=candidate:1 1 UDP 1 192.0.2.1 4 typ host\n"),
		"codecs":             head + "m=audio 1 RTP/AVP" + strings.Repeat(" 0 1 2 3 4 5", 1000) + "\n" + strings.Repeat("a=rtcp-fb:0 x\na=rtpmap:0 A/1\n", 1500),
	}
}

// Bounded memory: at most 80 bytes for each byte of the body, whatever it holds.
func TestHostileBodiesStayBounded(t *testing.T) {
	for name, body := range hostile() {
		t.Run(name, func(t *testing.T) {
			b := []byte(body)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			s, err := Parse(b)
			if err == nil {
				_ = s.Check()
				for i := range s.Media {
					m := &s.Media[i]
					m.RTCPMux()
					m.Direction()
					m.inherited(KindSetup)
					m.Lookup(KindICELite)
					m.Codecs()
				}
			}
			runtime.ReadMemStats(&after)
			if got, limit := after.TotalAlloc-before.TotalAlloc, uint64(80*len(b)); got > limit {
				t.Errorf("%d bytes for a body of %d", got, len(b))
			}
			runtime.KeepAlive(s)
			checkModel(t, b)
		})
	}
}

func FuzzParse(f *testing.F) {
	for _, body := range corpus(f) {
		f.Add(body)
	}
	f.Add([]byte(head + "m=audio 65535/10 RTP/AVP 0\na=rtcp:65535 IN IP6 ::\n"))
	f.Add([]byte("v=0\nv=0\na=rtpengine:x\nm=x 0 y\nv=0\nc=IN IP6 ::ffff:0.0.0.0\n"))
	f.Fuzz(func(t *testing.T, body []byte) {
		checkModel(t, body)
		if s, err := ParseFragment(body); err == nil {
			_ = s.Check()
		}
	})
}

func FuzzValues(f *testing.F) {
	for _, body := range corpus(f) {
		for _, l := range strings.Split(string(body), "\n") {
			f.Add(strings.TrimPrefix(strings.TrimSuffix(l, "\r"), "a="))
		}
	}
	f.Fuzz(func(t *testing.T, line string) {
		a := NewAttribute(line)
		if a.Line != line || a.Kind >= numKinds {
			t.Fatalf("%+v", a)
		}
		ParseGroup(a.Value)
		ParseCandidate(line)
		ParseCrypto(line)
		ParseExtmap(line)
		ParseFingerprint(line)
		if e, ok := ParseEncoding(line); ok && e.Name == "" {
			t.Fatalf("%+v has no name", e)
		}
		if o, ok := parseOrigin(line); ok && (o.SessionID == "" || o.Address == "") {
			t.Fatalf("%+v", o)
		}
	})
}

func BenchmarkParse(b *testing.B) {
	for _, name := range []string{"phone-audio", "ice-2k", "chrome-bundle"} {
		body, err := os.ReadFile("testdata/corpus/" + name + ".sdp")
		if err != nil {
			b.Fatal(err)
		}
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				s, err := Parse(body)
				if err != nil || s.Check() != nil {
					b.Fatal(err)
				}
				for i := range s.Media {
					s.Media[i].Codecs()
				}
			}
		})
	}
}

func BenchmarkHostile(b *testing.B) {
	for name, text := range hostile() {
		body := []byte(text)
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				s, err := Parse(body)
				if err != nil {
					continue
				}
				for i := range s.Media {
					m := &s.Media[i]
					m.RTCPMux()
					m.Direction()
					m.inherited(KindSetup)
					m.Lookup(KindICELite)
					m.Codecs()
				}
			}
		})
	}
}
