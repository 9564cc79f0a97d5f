package sdp

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestLookupProto(t *testing.T) {
	for p := RTPAVP; p < numProtos; p++ {
		for _, name := range []string{p.String(), strings.ToLower(p.String()), strings.ToUpper(p.String())} {
			if got := LookupProto(name); got != p {
				t.Errorf("%q is %v, want %v", name, got, p)
			}
		}
	}
	for _, name := range []string{"", "udp", "TCP/RTP/AVP", "RTP/AVPG", "DTLS/SCTP", "RTP/ſAVP"} {
		if got := LookupProto(name); got != ProtoOther {
			t.Errorf("%q is %v", name, got)
		}
	}
	type is struct{ RTP, SRTP, DTLS bool }
	want := map[Proto]is{ProtoOther: {}, UDPTL: {}, RTPAVP: {RTP: true}, RTPAVPF: {RTP: true},
		RTPSAVP: {RTP: true, SRTP: true}, RTPSAVPF: {RTP: true, SRTP: true},
		TLSSAVP: {true, true, true}, TLSSAVPF: {true, true, true}}
	for p, w := range want {
		if got := (is{p.IsRTP(), p.IsSRTP(), p.IsDTLS()}); got != w {
			t.Errorf("%v: %+v, want %+v", p, got, w)
		}
	}
}

// A line is of a known kind only if it can be used (docs/ng.md, "SDP that goes out": the rest is carried).
func TestKinds(t *testing.T) {
	fp := "sha-256 " + strings.TrimSuffix(strings.Repeat("0a:", 32), ":")
	for line, want := range map[string]Kind{
		"sendrecv": KindSendRecv, "sendonly:foo": KindSendOnly, "recvonly ": KindRecvOnly, "inactive": KindInactive,
		"Inactive": KindUnknown, " inactive": KindUnknown, "": KindUnknown, ":": KindUnknown, "direction:active": KindUnknown,
		"rtpmap:0 PCMU/8000": KindRTPMap, "rtpmap:0  PCMU/8000/1 ": KindRTPMap, "rtpmap:200 foo/8000": KindRTPMap,
		"rtpmap:0 PCMU": KindUnknown, "rtpmap:96 A/8000x": KindUnknown, "rtpmap:96 /8000": KindUnknown,
		"rtpmap:96 A B/8000": KindUnknown, "rtpmap:": KindUnknown,
		"fmtp:0 foo": KindFMTP, "fmtp:0": KindFMTP, "fmtp:x": KindUnknown,
		"rtcp-fb:96 nack": KindRTCPFB, "rtcp-fb:* nack": KindUnknown, "rtcp-fb:96": KindUnknown,
		"rtcp:x": KindRTCP, "rtcp-mux": KindRTCPMux, "rtcp-mux-only": KindUnknown, "rtcp-rsize": KindUnknown,
		"mid:": KindMid, "label:x": KindLabel, "bundle-only": KindBundleOnly, "group:BUNDLE 0": KindGroup,
		"ptime:20.5": KindPTime, "ptime:abc": KindUnknown, "maxptime:40": KindMaxPTime,
		"crypto:1 AES_CM_128_HMAC_SHA1_80 inline:abc": KindCrypto, "crypto:x": KindCrypto, "crypto:1 A": KindCrypto,
		"setup:foo": KindSetup, "fingerprint:" + fp: KindFingerprint, "fingerprint:sha-256 00:11": KindUnknown,
		"fingerprint:md5 " + fp[8:]: KindUnknown, "tls-id:abc": KindTLSID, "ice-ufrag:a": KindICEUfrag, "ice-pwd:a": KindICEPwd,
		"ice-options:trickle": KindICEOptions, "ice-lite": KindICELite, "remote-candidates:x": KindRemoteCandidates,
		"candidate:1 1 UDP 1 192.0.2.1 4 typ host":  KindCandidate,
		"candidate:1 1 UDP 1 host.local 4 typ host": KindCandidate, "candidate:1 1 UDP 1 host.local 4": KindUnknown,
		"end-of-candidates": KindEndOfCandidates, "extmap:1 urn:x": KindExtmap, "extmap:1/sendonly urn:x y": KindExtmap,
		"extmap:x urn:x": KindUnknown, "extmap:1": KindUnknown, "extmap-allow-mixed": KindExtmapAllowMixed,
		"rtpengine:0123456789ab": KindLoopProtect, "ssrc:1 cname:x": KindUnknown,
	} {
		a := NewAttribute(line)
		if a.Kind != want {
			t.Errorf("%q: kind %d, want %d", line, a.Kind, want)
		}
		if a.Line != line {
			t.Errorf("%q became %q", line, a.Line)
		}
	}
	if a := NewAttribute("foo:bar:baz"); a.Name != "foo" || a.Value != "bar:baz" {
		t.Errorf("cut at the wrong colon: %+v", a)
	}
}

// Which attributes a section inherits from its session.
func TestInheritance(t *testing.T) {
	level := attrs("setup:active", "ice-ufrag:u", "ice-pwd:p", "ice-options:trickle", "ice-lite", "tls-id:t",
		"end-of-candidates", "extmap:1 urn:x", "mid:m", "label:l", "ptime:20", "maxptime:40",
		"crypto:1 A inline:b", "candidate:1 1 UDP 1 192.0.2.1 4 typ host", "rtpmap:0 X/1", "rtcp-mux")
	type all struct {
		Setup, Ufrag, Pwd, Options, TLSID, Mid, Label string
		Lite, End, Mux                                bool
		PTime, MaxPTime, Ext, Crypto, Cand            int
		Codec                                         string
	}
	read := func(body string) all {
		m := &mustParse(t, body).Media[0]
		return all{m.inherited(KindSetup), m.inherited(KindICEUfrag), m.inherited(KindICEPwd), m.inherited(KindICEOptions), m.inherited(KindTLSID), m.Mid(), m.Label(), m.Lookup(KindICELite) != nil,
			m.Lookup(KindEndOfCandidates) != nil, m.RTCPMux(), number(m, KindPTime), number(m, KindMaxPTime), len(m.Extmaps()), len(m.Cryptos()),
			len(candidates(m)), m.Codecs()[0].Map}
	}
	want := all{"active", "u", "p", "trickle", "t", "m", "l", true, true, true, 20, 40, 1, 1, 1, "X/1"}
	if d := cmp.Diff(want, read(head+audio+level)); d != "" {
		t.Errorf("section level: -want +got\n%s", d)
	}
	want = all{"active", "u", "p", "trickle", "t", "", "", true, true, false, 0, 0, 1, 0, 0, "PCMU/8000"}
	if d := cmp.Diff(want, read(head+level+audio)); d != "" {
		t.Errorf("session level: -want +got\n%s", d)
	}
}

func TestParseCandidate(t *testing.T) {
	for value, want := range map[string]Candidate{
		"842163049 1 udp 1686052607 203.0.113.21 61001 typ srflx raddr 192.0.2.21 rport 54321 generation 0": {
			Foundation: "842163049", Component: 1, Transport: "udp", Priority: 1686052607, Address: "203.0.113.21",
			Addr: netip.MustParseAddr("203.0.113.21"), Port: 61001, Type: "srflx", RelAddress: "192.0.2.21", RelPort: 54321,
			Extensions: "raddr 192.0.2.21 rport 54321 generation 0"},
		"1 2 tcp 4294967295 x.local 9 typ host tcptype active": {
			Foundation: "1", Component: 2, Transport: "tcp", Priority: 4294967295, Address: "x.local", Port: 9, Type: "host",
			TCPType: "active", Extensions: "tcptype active"},
	} {
		got, ok := ParseCandidate(value)
		if !ok {
			t.Errorf("%q refused", value)
		}
		if d := cmp.Diff(want, got, cmpopts.EquateComparable(netip.Addr{})); d != "" {
			t.Errorf("%q: -want +got\n%s", value, d)
		}
	}
	for _, value := range []string{"", "1", "1 1 UDP 4294967296 192.0.2.1 4 typ host", "1 257 UDP 1 192.0.2.1 4 typ host",
		"1 1 UDP 1 192.0.2.1 65536 typ host", "1 1 UDP 1 192.0.2.1 4 typ", "1 1 UDP 1 192.0.2.1 4 host"} {
		if _, ok := ParseCandidate(value); ok {
			t.Errorf("%q accepted", value)
		}
	}
}

func TestParseValues(t *testing.T) {
	c, ok := ParseCrypto("1 AES_CM_128_HMAC_SHA1_80  inline:abc|2^31|1:4 UNENCRYPTED_SRTP UNAUTHENTICATED_SRTP ")
	want := Crypto{1, "AES_CM_128_HMAC_SHA1_80", "inline:abc|2^31|1:4", "UNENCRYPTED_SRTP UNAUTHENTICATED_SRTP"}
	if !ok || c != want {
		t.Errorf("crypto %+v", c)
	}
	if e, ok := ParseExtmap("2/recvonly urn:x a b"); !ok || e != (Extmap{2, "recvonly", "urn:x", "a b"}) {
		t.Errorf("extmap %+v", e)
	}
	g := mustParse(t, head+"a=group:BUNDLE 0 1\na=group:LS x\na=group:\n").Groups()
	if d := cmp.Diff([]Group{{"BUNDLE", []string{"0", "1"}}, {"LS", []string{"x"}}, {}}, g, cmpopts.EquateEmpty()); d != "" {
		t.Errorf("groups: -want +got\n%s", d)
	}
	for typ, want := range map[string]string{"audio": "audio", "Video": "video", "image": "image", "message": "message",
		"text": "text", "application": "application", "foo": "other"} {
		if got := (&Media{Type: typ}).Class(); got != want {
			t.Errorf("class of %q is %q", typ, got)
		}
	}
}

func TestCodecs(t *testing.T) {
	m := &mustParse(t, head+"m=audio 4000 RTP/AVP 96 0 0 08 35 101 18 97\n"+attrs(
		"rtcp-fb:96 nack", "fmtp:96 first=1", "rtpmap:96 opus/48000/2", "rtcp-fb:96 nack pli", "fmtp:96 second=2",
		"rtcp-fb:* goog-remb", "fmtp:77 of nobody", "rtpmap:77 nobody/8000", "rtpmap:200 x/1", "fmtp:200 x",
		"rtpmap:8  pcma/8000/1", "rtpmap:101 telephone-event/8000", "fmtp:101 0-15 ", "fmtp:18 annexb=no",
		"rtpmap:97 A/8000", "rtpmap:97 B/16000/2/x=y")).Media[0]
	want := []Codec{
		{PT: 96, Encoding: Encoding{"opus", 48000, 2, ""}, Map: "opus/48000/2", Mapped: true,
			FMTP: []string{"first=1", "second=2"}, Feedback: []string{"nack", "nack pli"}},
		{PT: 0, Encoding: Encoding{"PCMU", 8000, 1, ""}, Map: "PCMU/8000"},
		{PT: 8, Encoding: Encoding{"pcma", 8000, 1, ""}, Map: "pcma/8000/1", Mapped: true},
		{PT: 35},
		{PT: 101, Encoding: Encoding{"telephone-event", 8000, 1, ""}, Map: "telephone-event/8000", Mapped: true,
			FMTP: []string{"0-15"}},
		{PT: 18, Encoding: Encoding{"G729", 8000, 1, ""}, Map: "G729/8000", FMTP: []string{"annexb=no"}},
		{PT: 97, Encoding: Encoding{"B", 16000, 2, "/x=y"}, Map: "B/16000/2/x=y", Mapped: true},
	}
	got := m.Codecs()
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("-want +got\n%s", d)
	}
	// A list that a caller appends to must not run into its neighbour's.
	_ = append(got[0].FMTP, "x")
	if got[0].Feedback[0] != "nack" {
		t.Error("lists share capacity")
	}
	if c := mustParse(t, head+"m=image 4000 udptl 0\n").Media[0].Codecs(); c != nil {
		t.Errorf("codecs of T.38: %v", c)
	}
}

// The static payload types of RFC 3551 §6.
func TestStaticTable(t *testing.T) {
	n := 0
	for pt, text := range static {
		if text == "" {
			continue
		}
		n++
		if _, ok := parseEncoding(text); !ok {
			t.Errorf("PT %d: %q", pt, text)
		}
	}
	if n != 24 {
		t.Errorf("%d static payload types, want 24", n)
	}
}

// What codec lists name (docs/ng.md, "codec"): rate and channels only if they are given.
func TestParseEncoding(t *testing.T) {
	for text, want := range map[string]Encoding{"opus": {Name: "opus"}, "OPUS": {Name: "OPUS"}, "opus/48000": {Name: "opus", Rate: 48000},
		"opus/48000/2": {Name: "opus", Rate: 48000, Channels: 2}, "opus/48000/2/32000": {Name: "opus", Rate: 48000, Channels: 2, Rest: "/32000"}} {
		if e, ok := ParseEncoding(text); !ok || e != want {
			t.Errorf("%q: %+v, want %+v", text, e, want)
		}
	}
	for _, bad := range []string{"", "/8000", "A/x"} {
		if _, ok := ParseEncoding(bad); ok {
			t.Errorf("%q accepted", bad)
		}
	}
}
