package sdp_test

import (
	"fmt"
	"net/netip"
	"strings"

	"rtpjet/ngserver/sdp"
)

const offer = `v=0
o=alice 1 1 IN IP4 192.0.2.10
s=-
c=IN IP4 192.0.2.10
t=0 0
m=audio 4000 RTP/AVP 0 101
a=rtpmap:101 telephone-event/8000
a=sendonly
a=x-unheard-of:kept
`

// What is not said for a section holds for it from the session, and from the static payload types.
func ExampleParse() {
	s, err := sdp.Parse([]byte(strings.ReplaceAll(offer, "\n", "\r\n")))
	if err != nil {
		fmt.Println(err)
		return
	}
	for i := range s.Media {
		m := &s.Media[i]
		fmt.Println(m.Type, m.RTP(), m.RTCP(), m.Direction())
		for _, c := range m.Codecs() {
			fmt.Println(c.PT, c.Name, c.Rate)
		}
	}
	fmt.Println(s.Check())
	// Output:
	// audio 192.0.2.10:4000 192.0.2.10:4001 sendonly
	// 0 PCMU 8000
	// 101 telephone-event 8000
	// <nil>
}

// A rewriter writes the lines that it changes, and carries the others as they came.
func ExampleAppendLine() {
	s, err := sdp.Parse([]byte(offer))
	if err != nil {
		fmt.Println(err)
		return
	}
	m := &s.Media[0]
	out := sdp.AppendMedia(nil, m.Type, 30000, 1, m.Protocol, strings.Join(m.Formats, " "))
	out = sdp.AppendConnection(out, netip.MustParseAddr("198.51.100.1"))
	for _, a := range m.Attributes {
		out = sdp.AppendLine(out, 'a', a.Line)
	}
	fmt.Print(strings.ReplaceAll(string(out), "\r\n", "\n"))
	// Output:
	// m=audio 30000 RTP/AVP 0 101
	// c=IN IP4 198.51.100.1
	// a=rtpmap:101 telephone-event/8000
	// a=sendonly
	// a=x-unheard-of:kept
}
