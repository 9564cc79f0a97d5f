package rewrite_test

import (
	"strings"
	"testing"

	"rtpjet/ngserver/sdp"
	"rtpjet/projection/projectiontest"
)

// TestAbsentSection: a section with port 0 never refuses an SDP, and the other side gets one that any parser takes.
func TestAbsentSection(t *testing.T) {
	// The offer's own section is what an answer's is written with, whatever that says.
	const live = "m=video 4002 RTP/AVPF 96 97\na=rtpmap:96 VP8/90000\na=rtpmap:97 H264/90000\n"
	for _, tt := range []struct{ name, section, offer, answer string }{
		{"plain", "m=video 0 RTP/AVPF 96", "RTP/AVPF 96", "RTP/AVPF 96"},
		{"payload type out of range", "m=video 0 RTP/AVP 255", "RTP/AVP 0", "RTP/AVPF 96 97"},
		{"one of two out of range", "m=video 0 RTP/AVP 255 97", "RTP/AVP 97", "RTP/AVPF 97"},
		{"no formats", "m=video 0 RTP/SAVPF", "RTP/SAVPF 0", "RTP/AVPF 96 97"},
		{"blanks for formats", "m=video 0 RTP/AVPF   ", "RTP/AVPF 0", "RTP/AVPF 96 97"},
		{"blanks at the end", "m=video 0 RTP/AVP 96 97  ", "RTP/AVP 96 97", "RTP/AVPF 96 97"},
		{"star", "m=video 0 RTP/AVP *", "RTP/AVP 0", "RTP/AVPF 96 97"},
		{"format for transport", "m=video 0 *", "RTP/AVP 0", "RTP/AVPF 96 97"},
		{"payload type for transport", "m=video 0 34", "RTP/AVP 34", "RTP/AVPF 34"},
		{"no transport", "m=video 0", "RTP/AVP 0", "RTP/AVPF 96 97"},
		{"unknown transport", "m=video 0 foo/bar baz", "foo/bar baz", "RTP/AVPF 96 97"},
		{"unknown transport alone", "m=video 0 foo/bar", "foo/bar *", "RTP/AVPF 96 97"},
		{"host name", "m=video 0 RTP/AVP 96\nc=IN IP4 host.example.com", "RTP/AVP 96", "RTP/AVPF 96"},
		{"two addresses", "m=video 0 RTP/AVP 96\nc=IN IP4 192.0.2.1\nc=IN IP4 192.0.2.1", "RTP/AVP 96", "RTP/AVPF 96"},
		{"attributes of nonsense", "m=video 0 RTP/AVP 96\na=rtcp:abc\na=crypto:x\na=\nfoo", "RTP/AVP 96", "RTP/AVPF 96"},
		{"count of ports", "m=video 0/20 RTP/AVP 96", "RTP/AVP 96", "RTP/AVPF 96"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			audio := func(port, more string) string {
				return "c=IN IP4 192.0.2.1\nm=audio " + port + " RTP/AVP 8\n" + more
			}
			d := projectiontest.NewDriver()
			out := send(t, d, "offer", "a", "", audio("4000", tt.section+"\n"))
			absentSection(t, out, "video", tt.offer)
			absentSection(t, send(t, d, "answer", "a", "b", audio("5000", tt.section+"\n")), "video", tt.offer)

			d = projectiontest.NewDriver()
			send(t, d, "offer", "a", "", audio("4000", live))
			out = send(t, d, "answer", "a", "b", audio("5000", tt.section+"\n"))
			absentSection(t, out, "video", tt.answer)
			// What the refusal said is no reason to offer something else the next time.
			again, err := sdp.Parse([]byte(send(t, d, "offer", "a", "b", audio("4000", live))))
			if err != nil || len(again.Media) != 2 || again.Media[1].Port == 0 || again.Media[1].Protocol != "RTP/AVPF" ||
				strings.Join(again.Media[1].Formats, " ") != "96 97" {
				t.Errorf("offered again: %v\n%+v", err, again)
			}
		})
	}
}

// TestAbsentTypes: the same for sections that are not RTP.
func TestAbsentTypes(t *testing.T) {
	for _, tt := range []struct{ live, section, offer, answer string }{
		{"m=image 4002 udptl t38", "m=image 0 udptl t38", "udptl t38", "udptl t38"},
		{"m=image 4002 udptl t38", "m=image 0 udptl", "udptl t38", "udptl t38"},
		{"m=image 4002 udptl t38", "m=image 0", "RTP/AVP 0", "udptl t38"},
		{"m=image 4002 UDPTL t38", "m=image 0 ", "RTP/AVP 0", "udptl t38"},
		{"m=application 4002 UDP/DTLS/SCTP webrtc-datachannel", "m=application 0 UDP/DTLS/SCTP", "UDP/DTLS/SCTP *", "UDP/DTLS/SCTP webrtc-datachannel"},
		{"m=application 4002 UDP/BFCP *", "m=application 0 *", "RTP/AVP 0", "UDP/BFCP *"},
		{"m=application 4002 UDP/BFCP *", "m=application 0 UDP/BFCP *  ", "UDP/BFCP *", "UDP/BFCP *"},
		{"m=message 4002 TCP/MSRP *", "m=message 0 TCP/MSRP", "TCP/MSRP *", "TCP/MSRP *"},
		{"m=message 4002 TCP/MSRP *", "m=message 0 TCP/MSRP *\nc=IN IP4 host.example.com\na=path:", "TCP/MSRP *", "TCP/MSRP *"},
		{"m=text 4002 RTP/AVP 98\na=rtpmap:98 t140/1000", "m=text 0 RTP/AVP 298", "RTP/AVP 0", "RTP/AVP 98"},
		{"m=wobble 4002 foo bar", "m=wobble 0", "RTP/AVP 0", "foo bar"},
	} {
		t.Run(tt.section, func(t *testing.T) {
			typ, _, _ := strings.Cut(strings.TrimPrefix(tt.section, "m="), " ")
			audio := func(port, more string) string {
				return "c=IN IP4 192.0.2.1\nm=audio " + port + " RTP/AVP 8\n" + more + "\n"
			}
			d := projectiontest.NewDriver()
			absentSection(t, send(t, d, "offer", "a", "", audio("4000", tt.section)), typ, tt.offer)
			absentSection(t, send(t, d, "answer", "a", "b", audio("5000", tt.section)), typ, tt.offer)
			d = projectiontest.NewDriver()
			first := send(t, d, "offer", "a", "", audio("4000", tt.live))
			absentSection(t, send(t, d, "answer", "a", "b", audio("5000", tt.section)), typ, tt.answer)
			again := send(t, d, "offer", "a", "b", audio("4000", tt.live))
			for _, out := range []string{first, again} {
				s, err := sdp.Parse([]byte(out))
				if err != nil || len(s.Media) != 2 || s.Media[1].Port == 0 || !strings.EqualFold(s.Media[1].Protocol+" "+strings.Join(s.Media[1].Formats, " "), tt.answer) {
					t.Errorf("offered: %v\n%s", err, out)
				}
			}
		})
	}
}

// TestAbsentStaysAbsent has the rules of RFC 3264 §5.1, §6, §8.1 and §8.2: a section that was offered with port 0, or refused, is not
// live in the answer, whatever that says; one that is given up is given up on both sides; a later offer may bring it back.
func TestAbsentStaysAbsent(t *testing.T) {
	const audio = "m=audio 4000 RTP/AVP 8\n"
	const video, none = "m=video 4002 RTP/AVP 34\n", "m=video 0 RTP/AVP 34\n"
	for _, tt := range []struct {
		name  string
		steps [][3]string // who sends what command: offer or answer, from, body; and "live" or "gone" for what the other side gets
		want  []bool      // the second section is live for whom it was written
	}{
		{"offered with port 0, answered live", [][3]string{{"offer", "a", none}, {"answer", "b", video}}, []bool{false, false}},
		{"offered with port 0, offered again live", [][3]string{{"offer", "a", none}, {"answer", "b", none}, {"offer", "a", video}, {"answer", "b", video}}, []bool{false, false, true, true}},
		{"refused, offered again", [][3]string{{"offer", "a", video}, {"answer", "b", none}, {"offer", "a", video}, {"answer", "b", video}}, []bool{true, false, true, true}},
		{"refused, offered again from the other side", [][3]string{{"offer", "a", video}, {"answer", "b", none}, {"offer", "b", video}, {"answer", "a", video}}, []bool{true, false, true, true}},
		{"given up", [][3]string{{"offer", "a", video}, {"answer", "b", video}, {"offer", "a", none}, {"answer", "b", none}}, []bool{true, true, false, false}},
		{"given up, and answered live", [][3]string{{"offer", "a", video}, {"answer", "b", video}, {"offer", "b", none}, {"answer", "a", video}}, []bool{true, true, false, false}},
		{"given up and brought back", [][3]string{{"offer", "a", video}, {"answer", "b", video}, {"offer", "a", none}, {"answer", "b", none}, {"offer", "b", video}, {"answer", "a", video}},
			[]bool{true, true, false, false, true, true}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := projectiontest.NewDriver()
			for i, step := range tt.steps {
				command, from, body := step[0], step[1], step[2]
				other, known := map[string]string{"a": "b", "b": "a"}[from], i > 0
				tags := [2]string{from, other} // an answer has the tags of its offer
				if command == "answer" {
					tags = [2]string{other, from}
				}
				if !known {
					tags[1] = ""
				}
				out := send(t, d, command, tags[0], tags[1], audio+body)
				s, err := sdp.Parse([]byte(out))
				if err != nil || len(s.Media) != 2 || s.Media[0].Port == 0 {
					t.Fatalf("step %d: %v\n%s", i+1, err, out)
				}
				if live := s.Media[1].Port != 0; live != tt.want[i] {
					t.Errorf("step %d, %s of %q: live %t\n%s", i+1, command, body, live, out)
				}
			}
			for id := range 2 {
				if m := &d.Call.Party(id).Medias[1]; m.Local.RTP.IsValid() != tt.want[len(tt.want)-1] {
					t.Errorf("party %d has the sockets %v", id, m.Local)
				}
			}
		})
	}
}

// TestTypesInAnyCase: types of media are compared in any case, and written as they came.
func TestTypesInAnyCase(t *testing.T) {
	d := projectiontest.NewDriver()
	send(t, d, "offer", "a", "", "m=Audio 4000 rtp/avp 8 0\nm=IMAGE 4002 UDPTL t38\n")
	out := send(t, d, "answer", "a", "b", "m=audio 5000 RTP/AVP 0 3\nm=image 5002 udptl t38\n")
	if !strings.Contains(out, "m=audio 30000 RTP/AVP 0\r\n") || !strings.Contains(out, "m=image 30004 udptl t38\r\n") {
		t.Errorf("the answer is\n%s", out)
	}
}

// send carries out an offer or an answer and returns the SDP that goes out.
func send(t *testing.T, d *projectiontest.Driver, command, from, to, body string) string {
	t.Helper()
	req, err := projectiontest.Request(command, "from-tag", from, "to-tag", to, "sdp", []byte(projectiontest.SDP(command, body)))
	if err != nil {
		t.Fatal(err)
	}
	d.Now += 1_000_000
	out, err := d.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// absentSection checks the second of two sections: its type, and what follows its port.
func absentSection(t *testing.T, out, typ, want string) {
	t.Helper()
	s, err := sdp.Parse([]byte(out))
	if err == nil {
		err = s.Check()
	}
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if len(s.Media) != 2 || s.Media[0].Port == 0 || s.Media[1].Port != 0 || s.Media[1].Type != typ {
		t.Fatalf("the sections are\n%s", out)
	}
	if _, got, _ := strings.Cut(s.Media[1].Line, " 0 "); got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if s.Media[1].Connection == nil || !s.Media[1].Held() && typ != "message" { // that goes through as it is
		t.Errorf("no unspecified address\n%s", out)
	}
}
