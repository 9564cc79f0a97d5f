package sdp

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestAppend(t *testing.T) {
	v4, v6 := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")
	s := mustParse(t, head+"m=audio 4000 RTP/AVP 0 101 35\n"+attrs("rtpmap:101 telephone-event/8000", "fmtp:101 0-15",
		"rtcp-fb:101 nack"))
	codecs := s.Media[0].Codecs()
	var b []byte
	b = AppendLine(b, 'v', "0")
	b = AppendOrigin(b, &Origin{Username: "-", SessionID: "1", Version: "2", NetType: "IN", AddrType: "IP4", Address: "192.0.2.1"})
	b = AppendConnection(b, v4)
	b = AppendConnection(b, v6)
	b = AppendConnection(b, netip.MustParseAddr("::ffff:192.0.2.2"))
	b = AppendConnection(b, netip.IPv6Unspecified())
	b = AppendMedia(b, "image", 4000, 1, "udptl", "t38")
	b = AppendMedia(b, "message", 0, 0, "TCP/MSRP", "")
	b = AppendMediaCodecs(b, "audio", 30000, 2, "RTP/AVP", codecs)
	for i := range codecs {
		b = AppendCodec(b, &codecs[i])
	}
	b = AppendRTCP(b, 30001, netip.Addr{})
	b = AppendRTCP(b, 30001, v6)
	b = AppendAttribute(b, "rtcp-mux", "")
	b = AppendAttribute(b, "mid", "0")
	b = AppendBandwidth(b, mustParse(t, "v=0\nb=TIAS:1\nb=RS:0\nb=X:1\nb=AS:1\nb=AS:2\nb=CT\n").Bandwidth)
	want := []string{"v=0", "o=- 1 2 IN IP4 192.0.2.1", "c=IN IP4 192.0.2.1", "c=IN IP6 2001:db8::1", "c=IN IP4 192.0.2.2",
		"c=IN IP6 ::", "m=image 4000 udptl t38", "m=message 0 TCP/MSRP", "m=audio 30000/2 RTP/AVP 0 101 35",
		"a=rtpmap:0 PCMU/8000", "a=rtpmap:101 telephone-event/8000", "a=fmtp:101 0-15", "a=rtcp-fb:101 nack",
		"a=rtcp:30001", "a=rtcp:30001 IN IP6 2001:db8::1", "a=rtcp-mux", "a=mid:0",
		"b=AS:1", "b=RS:0", "b=TIAS:1", "b=X:1", ""}
	if d := cmp.Diff(want, strings.Split(string(b), "\r\n")); d != "" {
		t.Errorf("-want +got\n%s", d)
	}
}
