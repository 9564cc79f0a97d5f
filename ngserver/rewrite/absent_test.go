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
	if s.Media[1].Connection == nil || !s.Media[1].Held() {
		t.Errorf("no unspecified address\n%s", out)
	}
}
