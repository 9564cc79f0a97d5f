package bench

import (
	"bytes"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// TestRequestsOnTheWire holds the bytes that a server sees.
func TestRequestsOnTheWire(t *testing.T) {
	names := namesOf("X", 7)
	from, from6 := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")
	sdp := []byte("v=0\r\n")
	mux := ngOptions{sdp: sdpOptions{rtcpMux: true}}
	const id = "7:call-id24:bench-X-7@rtpjet.invalid"
	const supports = "8:supportsl10:load limite"
	const replace = "7:replacel6:origin18:session-connectione"
	for _, c := range []struct {
		name string
		r    request
		want string
	}{
		{"ping", request{Command: "ping"}, "d7:command4:pinge"},
		{"statistics", request{Command: "statistics"}, "d7:command10:statisticse"},
		{"query", queryRequest(names), "d" + id + "7:command5:querye"},
		{"offer", offerRequest(names, sdp, from, mux), "d" + id + "7:command5:offer5:flagsl18:SIP-source-addresse8:from-tag3:fX7" +
			"13:received-froml3:IP49:192.0.2.1e" + replace + "8:rtcp-muxl5:offere3:sdp5:v=0\r\n16:sip-message-type11:sip_request" + supports + "e"},
		{"offer of a bridge", offerRequest(names, sdp, from6, ngOptions{bridge: true}), "d" + id + "7:command5:offer5:flagsl18:SIP-source-addresse8:from-tag3:fX7" +
			"13:received-froml3:IP611:2001:db8::1e" + replace + "3:sdp5:v=0\r\n16:sip-message-type11:sip_request" + supports + "18:transport-protocol7:RTP/AVPe"},
		{"answer", answerRequest(names, sdp, from, ngOptions{bridge: true}), "d" + id + "7:command6:answer5:flagsl18:SIP-source-addresse8:from-tag3:fX7" +
			"13:received-froml3:IP49:192.0.2.1e" + replace + "3:sdp5:v=0\r\n16:sip-message-type9:sip_reply" + supports + "6:to-tag3:tX7e"},
		{"delete", deleteRequest(names, mux), "d" + id + "7:command6:delete12:delete delayi0e8:from-tag3:fX716:sip-message-type11:sip_request" + supports + "e"},
		{"delete as the server likes", deleteRequest(names, ngOptions{deleteDelay: -1}),
			"d" + id + "7:command6:delete8:from-tag3:fX716:sip-message-type11:sip_request" + supports + "e"},
	} {
		if got := string(c.r.append(nil, "cookie_1")); got != "cookie_1 "+c.want {
			t.Errorf("%s:\n%q\nwant\n%q", c.name, got, "cookie_1 "+c.want)
		}
	}
}

// TestTemplates: what stands in a template is what the library would have written.
func TestTemplates(t *testing.T) {
	local := netip.MustParseAddr("192.0.2.1")
	for _, o := range []ngOptions{{}, {deleteDelay: 30, sdp: sdpOptions{rtcpMux: true}}} {
		for name, request := range map[string]func(c callNames, sdp []byte) request{
			"offer":  func(c callNames, sdp []byte) request { return offerRequest(c, sdp, local, o) },
			"answer": func(c callNames, sdp []byte) request { return answerRequest(c, sdp, local, o) },
			"delete": func(c callNames, _ []byte) request { return deleteRequest(c, o) },
		} {
			sdp := func(port uint16) []byte { return phoneSDP(netip.AddrPortFrom(local, port), o.sdp) }
			tp := newTemplate(request(namesAs("RUN5555577", anyNumber), sdp(anyPort)), "RUN5555577_"+anyNumber+"_0")
			for number, port := range map[string]uint16{"00000000001": 10000, "16777217000": 49998, "00000000000": 55555} {
				want := request(namesAs("RUN5555577", number), sdp(port)).append(nil, "RUN5555577_"+number+"_0")
				n, err := strconv.Atoi(number)
				if err != nil {
					t.Fatal(err)
				}
				if got := tp.with(n, port); !bytes.Equal(got, want) {
					t.Errorf("%s:\n%q\nwant\n%q", name, got, want)
				}
			}
		}
	}
}

func TestClusterSignalling(t *testing.T) {
	for _, c := range []struct {
		s       signalling
		toTag   string
		message string
		flags   int
	}{
		{signalling{command: "offer"}, "", "sip_request", 1},
		{signalling{command: "offer", moved: true}, "tX7", "sip_request", 1},
		{signalling{command: "answer", latched: true}, "tX7", "sip_reply", 2},
	} {
		c.s.names, c.s.from, c.s.sdp = namesOf("X", 7), netip.MustParseAddr("192.0.2.1"), []byte("v=0\r\n")
		r := c.s.request()
		if r.Command != c.s.command || r.CallID != c.s.names.callID || string(r.SDP) != "v=0\r\n" ||
			r.ToTag != c.toTag || r.MessageType != c.message || len(r.Flags) != c.flags {
			t.Errorf("%+v: %+v", c.s, r)
		}
	}
}

func TestReadReply(t *testing.T) {
	var reader replyReader
	for _, c := range []struct {
		name, in, result, sdp, why string
		ok                         bool
	}{
		{name: "ok", in: "d3:sdp4:v=0\n6:result2:oke", result: "ok", sdp: "v=0\n", ok: true},
		{name: "nested values", in: "d6:totalsd3:RTPd7:packetsi5eee4:tagsd1:al1:bi-3eee6:result2:oke", result: "ok", ok: true},
		{name: "pong", in: "d6:result4:ponge", result: "pong", ok: true},
		{name: "error", in: "d12:error-reason15:Unknown call-id6:result5:errore", result: "error", why: "Unknown call-id"},
		{name: "warning", in: "d6:result2:ok7:warning4:nonee", result: "ok", why: "none"},
		{name: "load limit", in: "d7:message4:full6:result10:load limite", result: "load limit", why: "full"},
		{name: "an error without a reason", in: "d6:result5:errore", result: "error", why: `result "error"`},
	} {
		r, err := reader.read([]byte(c.in))
		if err != nil || r.Result != c.result || r.SDP != c.sdp || r.ok() != c.ok {
			t.Errorf("%s: %q %q %v, error %v", c.name, r.Result, r.SDP, r.ok(), err)
		}
		if plainlyOK([]byte(c.in)) != c.ok {
			t.Errorf("%s: plainly ok: %v", c.name, !c.ok)
		}
		if !c.ok && r.why() != c.why {
			t.Errorf("%s: why is %q, want %q", c.name, r.why(), c.why)
		}
	}
	for _, bad := range []string{"", "e", "d", "d1", "d3:sd", "d1:a", "d1:ai5", "d1:al", "d1:a99999:xe", "le", "{}", "d6:resulti5ee",
		"d1:a" + strings.Repeat("l", 60000) + "e", "d-1:ae"} {
		if r, err := reader.read([]byte(bad)); err == nil || plainlyOK([]byte(bad)) {
			t.Errorf("%.20q is read as %+v", bad, r)
		}
		// Nothing of it is left over, and nothing of what follows a dictionary.
		for range 2 {
			if r, err := reader.read([]byte("d6:result2:oke and more")); err != nil || !r.ok() {
				t.Fatalf("after %.20q: %+v, %v", bad, r, err)
			}
		}
	}
}

// longString is a length that the library would make room for before it looks how much there is.
var longString = regexp.MustCompile(`[0-9]{6}:`)

func FuzzReadReply(f *testing.F) {
	f.Add([]byte("d3:sdp4:v=0\n6:result2:oke"))
	f.Add([]byte("d6:totalsd3:RTPd7:packetsi5eee6:result2:oke"))
	f.Add([]byte("d11:sessionsowni7e4:usedi12ee"))
	f.Add([]byte("d6:result2:ok3:sdp0:1:ad1:bl1:ci-1eee6:result4:ponge more"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if longString.Match(b) {
			t.Skip("the library takes gigabytes")
		}
		var reader replyReader
		r, err := reader.read(b)
		if plainlyOK(b) && (err != nil || !r.ok()) {
			t.Errorf("taken for good: %q is %+v, %v", b, r, err)
		}
		if err == nil && r.SDP != "" {
			_, _ = readMedia(r.SDP)
		}
		_, _ = readStatistics(b)
	})
}

func TestReadStatistics(t *testing.T) {
	reply := "d10:statisticsd17:currentstatisticsd11:sessionsowni7e15:sessionsforeigni3ee10:interfacesl" +
		"d5:portsd4:usedi12e8:used_pct4:0.01eed5:portsd4:usedi30eeeee6:result2:oke"
	u, err := readStatistics([]byte(reply))
	if err != nil || u.own != 7 || u.ports != 42 {
		t.Errorf("%+v, %v", u, err)
	}
	for _, bad := range []string{"", "d6:result5:errore", "d11:sessionsowni7", "d11:sessionsownixe4:usedi1ee", "d11:sessionsowni7ee"} {
		if u, err := readStatistics([]byte(bad)); err == nil {
			t.Errorf("%q is read as %+v", bad, u)
		}
	}
}

func BenchmarkOffer(b *testing.B) {
	at := netip.MustParseAddrPort("192.0.2.1:55555")
	b.Run("library", func(b *testing.B) {
		var out []byte
		for i := range b.N {
			out = offerRequest(namesOf("X", i), phoneSDP(at, sdpOptions{}), at.Addr(), ngOptions{}).append(out[:0], "cookie")
		}
	})
	b.Run("template", func(b *testing.B) {
		t := newTemplate(offerRequest(namesAs("X", anyNumber), phoneSDP(at, sdpOptions{}), at.Addr(), ngOptions{}), "cookie_"+anyNumber)
		for i := range b.N {
			t.with(i, 10000)
		}
	})
}

// deleted is what an rtpengine answers to a delete, in short: a real one has some hundred numbers.
var deleted = []byte("d7:createdi1796040000e4:tagsd3:fX7d6:mediasld7:streamsl" + strings.Repeat("d10:local porti30000e5:statsd5:bytesi0e7:packetsi0eee", 8) +
	"e4:type5:audioeeee6:totalsd3:RTPd7:packetsi0eee6:result2:oke")

func BenchmarkDeleted(b *testing.B) {
	b.Run("plainly", func(b *testing.B) {
		for b.Loop() {
			if !plainlyOK(deleted) {
				b.Fatal("not good")
			}
		}
	})
	b.Run("library", func(b *testing.B) {
		var reader replyReader
		for b.Loop() {
			if r, err := reader.read(deleted); err != nil || !r.ok() {
				b.Fatal(r, err)
			}
		}
	})
}

func BenchmarkReply(b *testing.B) {
	sdp := string(phoneSDP(netip.MustParseAddrPort("192.0.2.1:4000"), sdpOptions{}))
	reply := request{Command: "x", SDP: []byte(sdp)}.append(nil, "cookie")
	_, dict, _ := splitReply(reply)
	var reader replyReader
	for b.Loop() {
		r, err := reader.read(dict)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := readMedia(r.SDP); err != nil {
			b.Fatal(err)
		}
	}
}
