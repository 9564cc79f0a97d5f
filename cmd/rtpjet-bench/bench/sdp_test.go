package bench

import (
	"net/netip"
	"strings"
	"testing"
)

// crlf writes lines as SDP has them.
func crlf(lines ...string) string { return strings.Join(lines, "\r\n") + "\r\n" }

func TestPhoneSDP(t *testing.T) {
	for _, c := range []struct {
		at   string
		o    sdpOptions
		want string
	}{
		{"192.0.2.1:4000", sdpOptions{rtcpMux: true}, crlf("v=0", "o=- 3900000001 1 IN IP4 192.0.2.1", "s=-", "c=IN IP4 192.0.2.1", "t=0 0",
			"m=audio 4000 RTP/AVP 0 8 101", "a=rtpmap:0 PCMU/8000", "a=rtpmap:8 PCMA/8000", "a=rtpmap:101 telephone-event/8000",
			"a=fmtp:101 0-16", "a=ptime:20", "a=sendrecv", "a=rtcp-mux")},
		{"[2001:db8::1]:4000", sdpOptions{later: 6, crypto: "1 X inline:Y"}, crlf("v=0", "o=- 3900000001 7 IN IP6 2001:db8::1", "s=-",
			"c=IN IP6 2001:db8::1", "t=0 0", "m=audio 4000 RTP/SAVP 0 8 101", "a=rtpmap:0 PCMU/8000", "a=rtpmap:8 PCMA/8000",
			"a=rtpmap:101 telephone-event/8000", "a=fmtp:101 0-16", "a=ptime:20", "a=sendrecv", "a=crypto:1 X inline:Y")},
	} {
		at := netip.MustParseAddrPort(c.at)
		got := string(phoneSDP(at, c.o))
		if got != c.want {
			t.Errorf("%s\nwant\n%s", got, c.want)
		}
		if m, err := readMedia(got); err != nil || m != (media{at: at, secured: c.o.crypto != "", crypto: c.o.crypto}) {
			t.Errorf("read back: %+v, %v", m, err)
		}
	}
}

func TestReadMedia(t *testing.T) {
	session := []string{"v=0", "o=- 1 1 IN IP4 192.0.2.9", "s=-"}
	with := func(lines ...string) string { return crlf(append(session[:3:3], lines...)...) }
	for _, c := range []struct {
		name, sdp, want string
	}{
		{"address of the session", with("c=IN IP4 1.1.1.1", "t=0 0", "m=audio 5 RTP/AVP 0"), "1.1.1.1:5"},
		{"address of the section", with("c=IN IP4 1.1.1.1", "t=0 0", "m=audio 5 RTP/AVP 0", "c=IN IP4 2.2.2.2", "m=video 6 RTP/AVP 9", "c=IN IP4 3.3.3.3"), "2.2.2.2:5"},
		{"bare line ends", strings.ReplaceAll(with("c=IN IP4 1.1.1.1", "t=0 0", "m=audio 5 RTP/AVP 0"), "\r", ""), "1.1.1.1:5"},
		{"no section", with("c=IN IP4 1.1.1.1", "t=0 0"), ""},
		{"rejected section", with("c=IN IP4 1.1.1.1", "t=0 0", "m=audio 0 RTP/AVP 0"), ""},
		{"no address", with("t=0 0", "m=audio 5 RTP/AVP 0"), ""},
		{"a name for an address", with("c=IN IP4 example.com", "t=0 0", "m=audio 5 RTP/AVP 0"), ""},
		{"port of 70000", with("c=IN IP4 1.1.1.1", "t=0 0", "m=audio 70000 RTP/AVP 0"), ""},
		{"cut lines", with("c=", "m="), ""},
		{"nothing", "", ""},
	} {
		got, err := readMedia(c.sdp)
		if c.want == "" {
			if err == nil {
				t.Errorf("%s: %+v, want an error", c.name, got)
			}
			continue
		}
		if err != nil || got.at.String() != c.want || got.secured {
			t.Errorf("%s: %+v, %v; want %s", c.name, got, err, c.want)
		}
	}
}
