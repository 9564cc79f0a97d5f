package rewrite_test

import (
	"fmt"
	"strings"
	"testing"

	"rtpjet/ngserver/rewrite"
	"rtpjet/ngserver/sdp"
	"rtpjet/projection/projectiontest"
)

// TestDescribe tells for each section where the sender wants its media, and what it says about hold, mux and ICE.
func TestDescribe(t *testing.T) {
	const from = "received-from=192.0.2.50"
	for _, c := range []struct {
		name, flags, body string
		sipSource         bool
		want              []string
	}{
		{name: "plain", body: "m=audio 4000 RTP/AVP 0\n", want: []string{"198.51.100.1:4000 198.51.100.1:4001 sendrecv"}},
		{name: "SIP source", flags: "SIP-source-address " + from, body: "m=audio 4000 RTP/AVP 0\n",
			want: []string{"192.0.2.50:4000 192.0.2.50:4001 sendrecv"}},
		{name: "SIP source by default", sipSource: true, flags: from, body: "m=audio 4000 RTP/AVP 0\n",
			want: []string{"192.0.2.50:4000 192.0.2.50:4001 sendrecv"}},
		{name: "trust", sipSource: true, flags: "trust-address " + from, body: "m=audio 4000 RTP/AVP 0\n",
			want: []string{"198.51.100.1:4000 198.51.100.1:4001 sendrecv"}},
		{name: "no source given", flags: "SIP-source-address", body: "m=audio 4000 RTP/AVP 0\n",
			want: []string{"198.51.100.1:4000 198.51.100.1:4001 sendrecv"}},
		{name: "ICE is trusted from there on", flags: "SIP-source-address " + from,
			body: "m=audio 4000 RTP/AVP 0\nm=audio 4002 RTP/AVP 0\na=ice-ufrag:abcd\na=ice-pwd:abcdefghijklmnopqrstuv\nm=audio 4004 RTP/AVP 0\n",
			want: []string{"192.0.2.50:4000 192.0.2.50:4001 sendrecv", "198.51.100.1:4002 198.51.100.1:4003 sendrecv ice",
				"198.51.100.1:4004 198.51.100.1:4005 sendrecv"}},
		{name: "rtcp with an address", body: "m=audio 4000 RTP/AVP 0\na=rtcp:5000 IN IP4 192.0.2.7\n",
			want: []string{"198.51.100.1:4000 192.0.2.7:5000 sendrecv"}},
		{name: "rtcp on the RTP port", body: "m=audio 4000 RTP/AVP 0\na=rtcp:4000\n",
			want: []string{"198.51.100.1:4000 198.51.100.1:4000 sendrecv mux"}},
		{name: "hold", body: "m=audio 4000 RTP/AVP 0\nc=IN IP4 0.0.0.0\n", want: []string{"0.0.0.0:4000 0.0.0.0:4001 sendonly"}},
		{name: "last port", body: "m=audio 65535 RTP/AVP 0\n", want: []string{"198.51.100.1:65535 - sendrecv"}},
		{name: "T.38", body: "m=image 4000 udptl t38\n", want: []string{"198.51.100.1:4000 - sendrecv"}},
		{name: "MSRP", body: "m=message 4000 TCP/MSRP *\n", want: []string{"198.51.100.1:4000 - sendrecv copied"}},
		{name: "rejected", body: "m=audio 0 RTP/AVP 0\na=rtcp:x\n", want: []string{"198.51.100.1:0 - sendrecv rejected"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, err := sdp.Parse([]byte(projectiontest.SDP("offer", c.body)))
			if err != nil {
				t.Fatal(err)
			}
			req, err := projectiontest.Request("offer", "rtpp-flags", c.flags)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, sec := range rewrite.Describe(s, req, c.sipSource).Sections {
				rtcp := "-"
				if sec.Remote.RTCP.IsValid() {
					rtcp = sec.Remote.RTCP.String()
				}
				line := fmt.Sprintf("%s %s %s", sec.Remote.RTP, rtcp, sec.Direction)
				for _, f := range []struct {
					on   bool
					name string
				}{{sec.Mux, "mux"}, {sec.ICE, "ice"}, {sec.Copied, "copied"}, {sec.Rejected, "rejected"}} {
					if f.on {
						line += " " + f.name
					}
				}
				got = append(got, line)
			}
			if strings.Join(got, "\n") != strings.Join(c.want, "\n") {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(c.want, "\n"))
			}
		})
	}
}
