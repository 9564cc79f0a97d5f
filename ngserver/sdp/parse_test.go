package sdp

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The parts from which most tests build a body; head and one section make the smallest complete one.
const (
	head  = "v=0\no=- 1 2 IN IP4 192.0.2.1\ns=-\nc=IN IP4 192.0.2.9\nt=0 0\n"
	noC   = "v=0\no=- 1 2 IN IP4 192.0.2.1\ns=-\nt=0 0\n"
	audio = "m=audio 4000 RTP/AVP 0\n"
)

func mustParse(t testing.TB, body string) *Session {
	t.Helper()
	s, err := Parse([]byte(body))
	if err != nil {
		t.Fatalf("%v in %q", err, body)
	}
	return s
}

func attrs(lines ...string) string {
	var b strings.Builder
	for _, l := range lines {
		b.WriteString("a=" + l + "\n")
	}
	return b.String()
}

// The rules of docs/ng.md, "SDP that comes in", and what rtpengine 10.5 answers to the same bodies.
func TestParseAcceptsOrRefuses(t *testing.T) {
	for _, tt := range []struct {
		name, body string
		want       error // of Parse or Check
	}{
		{"plain", head + audio, nil},
		{"CRLF", strings.ReplaceAll(head+audio, "\n", "\r\n"), nil},
		{"last line unterminated", strings.TrimSuffix(head+audio, "\n"), nil},
		{"CR only", strings.ReplaceAll(head+audio, "\n", "\r"), ErrSyntax},
		{"blank line ends", head + audio + "\nnot SDP at all", nil},
		{"CRLF blank line ends", head + audio + "\r\nnot SDP at all", nil},
		{"no section", head, nil},
		{"empty", "", ErrSyntax},
		{"leading blank line", "\n" + head + audio, ErrSyntax},
		{"version 1", "v=1\n" + audio, ErrSyntax},
		{"version with space", "v=0 \n" + audio, ErrSyntax},
		{"no version", strings.TrimPrefix(head, "v=0\n") + audio, ErrSyntax},
		{"twice v=0", "v=0\n" + head + audio, nil},

		{"no o, s, t", "v=0\nc=IN IP4 192.0.2.9\n" + audio, nil},
		{"order of lines", "v=0\na=foo\nt=0 0\nc=IN IP4 192.0.2.9\ns=-\no=- 1 1 IN IP4 192.0.2.1\n" + audio, nil},
		{"second o=", head + "o=- 1 1 IN IP4 192.0.2.1\n" + audio, ErrSyntax},
		{"second s=", head + "s=x\n" + audio, nil},
		{"second c= of the session", head + "c=IN IP4 192.0.2.9\n" + audio, ErrSyntax},
		{"second c= of a section", head + audio + "c=IN IP4 192.0.2.9\nc=IN IP4 192.0.2.9\n", ErrSyntax},
		{"o= of five fields", "v=0\no=- 1 1 IN IP4\nc=IN IP4 192.0.2.9\n" + audio, ErrSyntax},
		{"o= of user with space", "v=0\no=a b 1 1 IN IP4 192.0.2.1\nc=IN IP4 192.0.2.9\n" + audio, nil},
		{"o= without user", "v=0\no= 1 1 IN IP4 192.0.2.1\nc=IN IP4 192.0.2.9\n" + audio, nil},
		{"o= without user and space", "v=0\no=1 1 IN IP4 192.0.2.1\nc=IN IP4 192.0.2.9\n" + audio, ErrSyntax},
		{"o= of nonsense", "v=0\no=a 0xab -5 XX IP9 host.example.com\nc=IN IP4 192.0.2.9\n" + audio, nil},

		{"session line in section: o", head + audio + "o=- 1 1 IN IP4 192.0.2.1\n", ErrSyntax},
		{"session line in section: s", head + audio + "s=-\n", ErrSyntax},
		{"session line in section: t", head + audio + "t=0 0\n", ErrSyntax},
		{"session line in section: u", head + audio + "u=x\n", ErrSyntax},
		{"session line in section: e", head + audio + "e=x\n", ErrSyntax},
		{"session line in section: p", head + audio + "p=x\n", ErrSyntax},
		{"dropped lines", head + "k=x\nr=x\nz=x\n" + audio + "k=x\nr=x\nz=x\n", nil},
		{"i= twice", head + "i=a\ni=b\n" + audio + "i=a\ni=\n", nil},
		{"b= of any form", head + "b=\nb=AS\nb=AS:64.5\nb=X-y:1\n" + audio + "b=AS:x\n", nil},
		{"unknown letter", head + "y=1\n" + audio, ErrSyntax},
		{"unknown letter in section", head + audio + "f=\n", ErrSyntax},
		{"upper case letter", head + audio + "A=b\n", ErrSyntax},
		{"no equals sign", head + audio + "foo\n", ErrSyntax},
		{"one letter", head + audio + "a\n", ErrSyntax},
		{"leading space", head + audio + " a=foo\n", ErrSyntax},
		{"NUL", head + audio + "\x00\n", ErrSyntax},
		{"empty attribute", head + audio + "a=\n", nil},

		{"no c=", noC + audio, ErrIncomplete},
		{"no c= and port 0", noC + "m=audio 0 RTP/AVP 0\n", nil},
		{"no c= in one of two", noC + audio + "c=IN IP4 192.0.2.9\nm=video 4002 RTP/AVP 31\n", ErrIncomplete},
		{"no c= in one of two, which is not there", noC + audio + "c=IN IP4 192.0.2.9\nm=video 0 RTP/AVP 31\n", nil},
		{"no c= in second session", head + audio + noC + audio, ErrIncomplete},
		{"c= lower case", noC + "c=in ip4 192.0.2.9\n" + audio, nil},
		{"c= with more spaces", noC + "c=IN  IP4 192.0.2.9 \n" + audio, nil},
		{"c= with a word too many", noC + "c=IN IP4 192.0.2.9 foo\n" + audio, nil},
		{"c= IPv6", noC + "c=IN IP6 2001:db8::1\n" + audio, nil},
		{"c= IPv6 in brackets", noC + "c=IN IP6 [2001:db8::1]\n" + audio, nil},
		{"c= IPv6 with zone", noC + "c=IN IP6 fe80::1%eth0\n" + audio, ErrSyntax},
		{"c= of wrong family", noC + "c=IN IP6 192.0.2.9\n" + audio, ErrSyntax},
		{"c= of other wrong family", noC + "c=IN IP4 2001:db8::1\n" + audio, ErrSyntax},
		{"c= host name", noC + "c=IN IP4 host.example.com\n" + audio, ErrSyntax},
		{"c= multicast scope", noC + "c=IN IP4 233.252.0.1/127\n" + audio, ErrSyntax},
		{"c= leading zeros", noC + "c=IN IP4 192.000.002.009\n" + audio, ErrSyntax},
		{"c= of two fields", noC + "c=IN 192.0.2.9\n" + audio, ErrSyntax},
		{"c= empty", noC + "c=\n" + audio, ErrSyntax},
		{"c= other net", noC + "c=ATM IP4 192.0.2.9\n" + audio, ErrSyntax},

		{"port 0", head + "m=audio 0 RTP/AVP 0\n", nil},
		{"port 65535", head + "m=audio 65535 RTP/AVP 0\n", nil},
		{"port 65536", head + "m=audio 65536 RTP/AVP 0\n", ErrSyntax},
		{"port 70000", head + "m=audio 70000 RTP/AVP 0\n", ErrSyntax},
		{"port huge", head + "m=audio 99999999999999999999999 RTP/AVP 0\n", ErrSyntax},
		{"port negative", head + "m=audio -1 RTP/AVP 0\n", ErrSyntax},
		{"port word", head + "m=audio abc RTP/AVP 0\n", ErrSyntax},
		{"count 10", head + "m=audio 4000/10 RTP/AVP 0\n", nil},
		{"count 11", head + "m=audio 4000/11 RTP/AVP 0\n", ErrSyntax},
		{"count 0", head + "m=audio 4000/0 RTP/AVP 0\n", ErrSyntax},
		{"count empty", head + "m=audio 4000/ RTP/AVP 0\n", ErrSyntax},
		{"no formats", head + "m=audio 4000 RTP/AVP\n", nil},
		{"no transport", head + "m=audio 4000\n", ErrSyntax},
		{"format for transport", head + "m=application 4000 *\n", nil},
		{"m= empty", head + "m=\n", ErrSyntax},
		{"unknown type", head + "m=foo 4000 RTP/AVP 0\n", nil},
		{"unknown transport", head + "m=audio 4000 FOO/BAR 200 x\n", nil},
		{"T.38", head + "m=image 4000 udptl t38\n", nil},
		{"MSRP", head + "m=message 4000 TCP/MSRP *\n", nil},
		{"PT 127", head + "m=audio 4000 RTP/AVP 127\n", nil},
		{"PT 128", head + "m=audio 4000 RTP/AVP 128\n", ErrIncomplete},
		{"PT 200 in port 0", head + "m=audio 0 RTP/SAVPF 0 200\n", nil},
		{"PT word", head + "m=audio 4000 RTP/AVP abc\n", ErrIncomplete},
		{"PT negative", head + "m=audio 4000 RTP/AVP -1\n", ErrIncomplete},

		{"a=rtcp word", head + audio + attrs("rtcp:abc"), ErrIncomplete},
		{"a=rtcp 70000", head + audio + attrs("rtcp:70000"), ErrIncomplete},
		{"a=rtcp without address", head + audio + attrs("rtcp:5000 IN IP4"), ErrIncomplete},
		{"a=rtcp host name", head + audio + attrs("rtcp:5000 IN IP4 host.example.com"), ErrIncomplete},
		{"a=rtcp 0", head + audio + attrs("rtcp:0"), nil},
		{"a=rtcp without value", head + audio + attrs("rtcp"), nil},
		{"a=rtcp word in port 0", head + "m=audio 0 RTP/AVP 0\n" + attrs("rtcp:abc"), nil},
		{"a=rtcp word in T.38", head + "m=image 4000 udptl t38\n" + attrs("rtcp:abc"), nil},

		{"attributes of nonsense", head + audio + attrs("rtpmap:x", "fmtp:", "rtcp-fb:x", "crypto:x", "candidate:x",
			"fingerprint:x", "extmap:x", "ptime:x", "mid", "group", "setup:x", "ssrc:x", "="), nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, err := Parse([]byte(tt.body))
			if err == nil {
				err = s.Check()
			}
			if !errors.Is(err, tt.want) || (err == nil) != (tt.want == nil) {
				t.Fatalf("got %v, want %v", err, tt.want)
			}
			if e := (*Error)(nil); err != nil && !errors.As(err, &e) {
				t.Fatalf("%T is no *Error", err)
			}
		})
	}
}

func TestErrorSaysWhere(t *testing.T) {
	_, err := Parse([]byte(head + audio + audio + "a=x\ny=1\n"))
	if got, want := err.Error(), "parse session description: line 9: section 2: unknown line letter"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	err = mustParse(t, head+audio+"m=audio 1 RTP/AVP x\n").Check()
	want := "session description is incomplete: section 2: format is no payload type from 0 to 127"
	if got := err.Error(); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestParseOrigin(t *testing.T) {
	for _, tt := range []struct {
		line string
		want Origin
	}{
		{"- 1 2 IN IP4 192.0.2.1", Origin{"-", "1", "2", "IN", "IP4", "192.0.2.1", ""}},
		{"my phone 123456789012345678901234 -1 IN IP6 h.example.com",
			Origin{"my phone", "123456789012345678901234", "-1", "IN", "IP6", "h.example.com", ""}},
		{"a  1 2 IN IP4 192.0.2.1 ", Origin{"a", "1", "2", "IN", "IP4", "192.0.2.1", ""}},
		{" 1 2 IN IP4 192.0.2.1", Origin{"", "1", "2", "IN", "IP4", "192.0.2.1", ""}},
	} {
		tt.want.Line = tt.line
		got := mustParse(t, "v=0\no="+tt.line+"\n").Origin
		if d := cmp.Diff(&tt.want, got); d != "" {
			t.Errorf("%q: -want +got\n%s", tt.line, d)
		}
	}
}

func TestEndpoints(t *testing.T) {
	const c9 = "192.0.2.9"
	for _, tt := range []struct {
		name, body string
		rtp, rtcp  string // "" for the zero AddrPort
		mux        bool
	}{
		{"port above", head + audio, c9 + ":4000", c9 + ":4001", false},
		{"own c=", head + audio + "c=IN IP6 2001:db8::7\n", "[2001:db8::7]:4000", "[2001:db8::7]:4001", false},
		{"IPv4 in IPv6", head + audio + "c=IN IP6 ::ffff:192.0.2.7\n", "192.0.2.7:4000", "192.0.2.7:4001", false},
		{"a=rtcp port", head + audio + attrs("rtcp:5000"), c9 + ":4000", c9 + ":5000", false},
		{"a=rtcp spaces", head + audio + attrs("rtcp: 5000 "), c9 + ":4000", c9 + ":5000", false},
		{"a=rtcp address", head + audio + attrs("rtcp:5000 in ip4 192.0.2.77"), c9 + ":4000", "192.0.2.77:5000", false},
		{"a=rtcp unspecified", head + audio + attrs("rtcp:5000 IN IP4 0.0.0.0"), c9 + ":4000", c9 + ":5000", false},
		{"a=rtcp 0", head + audio + attrs("rtcp:0"), c9 + ":4000", c9 + ":4001", false},
		{"a=rtcp of session does not count", head + attrs("rtcp:5000") + audio, c9 + ":4000", c9 + ":4001", false},
		{"a=rtcp equals RTP", head + audio + attrs("rtcp:4000"), c9 + ":4000", c9 + ":4000", true},
		{"a=rtcp equals RTP port only", head + audio + attrs("rtcp:4000 IN IP4 192.0.2.10"),
			c9 + ":4000", "192.0.2.10:4000", false},
		{"rtcp-mux", head + audio + attrs("rtcp-mux"), c9 + ":4000", c9 + ":4001", true},
		{"rtcp-mux and a=rtcp", head + audio + attrs("rtcp-mux", "rtcp:5000"), c9 + ":4000", c9 + ":5000", true},
		{"rtcp-mux of session does not count", head + attrs("rtcp-mux") + audio, c9 + ":4000", c9 + ":4001", false},
		{"highest port", head + "m=audio 65535 RTP/AVP 0\n", c9 + ":65535", "", false},
		{"rejected", head + "m=audio 0 RTP/AVP 0\n" + attrs("rtcp:5000"), c9 + ":0", "", false},
		{"not RTP", head + "m=image 4000 udptl t38\n" + attrs("rtcp:5000", "rtcp-mux"), c9 + ":4000", "", false},
		{"no c=", noC + audio, "", "", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := &mustParse(t, tt.body).Media[0]
			if got, want := m.RTP(), addrPort(tt.rtp); got != want {
				t.Errorf("RTP %v, want %v", got, want)
			}
			if got, want := m.RTCP(), addrPort(tt.rtcp); got != want {
				t.Errorf("RTCP %v, want %v", got, want)
			}
			if m.RTCPMux() != tt.mux {
				t.Errorf("mux %v, want %v", m.RTCPMux(), tt.mux)
			}
		})
	}
}

func addrPort(s string) netip.AddrPort {
	if s == "" {
		return netip.AddrPort{}
	}
	return netip.MustParseAddrPort(s)
}

func TestPairs(t *testing.T) {
	m := &mustParse(t, head+"m=audio 65532/3 RTP/AVP 0\n"+attrs("rtcp:5000")).Media[0]
	for i, want := range [][2]string{{"192.0.2.9:65532", "192.0.2.9:65533"}, {"192.0.2.9:65534", "192.0.2.9:65535"}, {}, {}} {
		rtp, rtcp := m.Pair(i)
		if rtp != addrPort(want[0]) || rtcp != addrPort(want[1]) {
			t.Errorf("pair %d: %v %v, want %v", i, rtp, rtcp, want)
		}
	}
}

// Media level before session level, and the order within a level.
func TestDirection(t *testing.T) {
	for _, tt := range []struct {
		session, media string
		want           Direction
	}{
		{"", "", SendRecv},
		{"", "sendrecv", SendRecv},
		{"", "sendonly", SendOnly},
		{"", "sendonly recvonly", RecvOnly},
		{"", "inactive sendonly", SendOnly},
		{"", "sendrecv inactive", Inactive},
		{"", "inactive recvonly", RecvOnly},
		{"recvonly", "", RecvOnly},
		{"inactive sendrecv", "", Inactive},
		{"sendonly", "inactive", Inactive},
		{"recvonly", "sendrecv", SendRecv},
		{"", "SENDONLY", SendRecv},
	} {
		m := &mustParse(t, head+attrs(strings.Fields(tt.session)...)+audio+attrs(strings.Fields(tt.media)...)).Media[0]
		if got := m.Direction(); got != tt.want {
			t.Errorf("session %q media %q: %v, want %v", tt.session, tt.media, got, tt.want)
		}
	}
	for _, d := range []Direction{SendRecv, SendOnly, RecvOnly, Inactive} {
		if MakeDirection(d.Sends(), d.Receives()) != d {
			t.Errorf("%v is not made of its parts", d)
		}
	}
	if m := &mustParse(t, head+audio+"a=sendonly \n").Media[0]; m.Direction() != SendOnly || m.Attributes[0].Line != "sendonly " {
		t.Errorf("trailing space: %v %q", m.Direction(), m.Attributes[0].Line)
	}
}

func TestHeld(t *testing.T) {
	for _, tt := range []struct {
		body string
		held bool
	}{
		{head + audio, false},
		{head + audio + "c=IN IP4 0.0.0.0\n", true},
		{noC + "c=IN IP6 ::\n" + audio, true},
		{noC + "c=IN IP4 0.0.0.0\nm=audio 9 RTP/AVP 0\n", true},
		{noC + audio, false},
	} {
		m := &mustParse(t, tt.body).Media[0]
		if m.Held() != tt.held {
			t.Errorf("%q: held %v", tt.body, m.Held())
		}
	}
}

func TestSeveralSessions(t *testing.T) {
	s := mustParse(t, head+audio+audio+"v=0\nc=IN IP4 192.0.2.50\na=inactive\na=rtpengine:abc\nm=video 5000 RTP/AVP 31\n")
	if len(s.Media) != 3 || s.Next == nil || len(s.Next.Media) != 1 || s.Next.Next != nil {
		t.Fatalf("%d sections, next %+v", len(s.Media), s.Next)
	}
	if m := &s.Media[2]; m.RTP() != addrPort("192.0.2.50:5000") || m.Direction() != Inactive || m.Session() != s.Next {
		t.Errorf("last section: %v %v", m.RTP(), m.Direction())
	}
	if s.Media[1].Direction() != SendRecv {
		t.Error("the second block's attribute reached the first block")
	}
	if id, ok := s.LoopProtect(); !ok || id != "abc" {
		t.Errorf("loop protect %q %v", id, ok)
	}
}

func TestFragment(t *testing.T) {
	for _, body := range []string{
		"a=ice-ufrag:abcd\nm=audio 9 RTP/AVP 0\na=mid:0\na=candidate:1 1 UDP 1 192.0.2.1 4 typ host\n",
		head + "a=ice-ufrag:abcd\nm=audio 9 RTP/AVP 0\na=mid:0\na=candidate:1 1 UDP 1 192.0.2.1 4 typ host\n",
	} {
		s, err := ParseFragment([]byte(body))
		if err != nil {
			t.Fatal(err)
		}
		if len(s.Media) != 1 || s.Next != nil {
			t.Fatalf("%d sections, next %v", len(s.Media), s.Next)
		}
		m := &s.Media[0]
		if m.inherited(KindICEUfrag) != "abcd" || m.Mid() != "0" || len(candidates(m)) != 1 {
			t.Errorf("%q %q %v", m.inherited(KindICEUfrag), m.Mid(), candidates(m))
		}
	}
}
