package ng

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestTemplates(t *testing.T) {
	templates := Templates{
		"default":         "trust-address replace-origin",
		"offer":           "ICE=remove transport-protocol=RTP/AVP codec-strip-PCMA",
		"delete":          "fast",
		"start recording": "label=tape",
		"WebRTC":          "transport-protocol=UDP/TLS/RTP/SAVPF ICE=force rtcp-mux=[offer require]",
		"nested":          "template=WebRTC generate-mid template=nested",
		"broken":          "replace=[session-name full-rtcp-attribute sdp-attr=x",
	}
	for _, tt := range []struct {
		in   string
		want func(r *Request)
	}{
		{`"command":"offer"`, func(r *Request) {
			r.TrustAddress, r.Replace.Origin, r.ICE, r.TransportProtocol = true, true, "remove", "RTP/AVP"
			r.Codec.Strip = []string{"PCMA"}
		}},
		{`"command":"answer"`, func(r *Request) { r.TrustAddress, r.Replace.Origin = true, true }},
		{`"command":"delete"`, func(r *Request) { r.TrustAddress, r.Replace.Origin, r.Fast = true, true, true }},
		{`"command":"start recording"`, func(r *Request) { r.TrustAddress, r.Replace.Origin, r.Label = true, true, "tape" }},
		{`"command":"start recording","label":"mine"`, func(r *Request) { r.TrustAddress, r.Replace.Origin, r.Label = true, true, "mine" }},
		// What the request says wins, wherever it stands.
		{`"ICE":"optional","template":"WebRTC","command":"answer"`, func(r *Request) {
			r.TrustAddress, r.Replace.Origin, r.ICE, r.TransportProtocol = true, true, "optional", "UDP/TLS/RTP/SAVPF"
			r.RTCPMux = RTCPMux{Offer: true, Require: true}
		}},
		{`"command":"answer","rtpp-flags":"RTP/AVP template=WebRTC SIP-source-address"`, func(r *Request) {
			r.SIPSourceAddress, r.Replace.Origin, r.ICE, r.TransportProtocol = true, true, "force", "RTP/AVP"
			r.RTCPMux = RTCPMux{Offer: true, Require: true}
		}},
		{`"command":"answer","flags":["template=nested","reset"]`, func(r *Request) {
			r.TrustAddress, r.Replace.Origin, r.ICE, r.TransportProtocol = true, true, "force", "UDP/TLS/RTP/SAVPF"
			r.RTCPMux, r.GenerateMid, r.Reset = RTCPMux{Offer: true, Require: true}, true, true
		}},
		{`"command":"answer","template":["nonsense","broken"]`, func(r *Request) {
			r.TrustAddress, r.FullRTCPAttribute = true, true
			r.Replace.Origin, r.Replace.SessionName = true, true
			r.Unknown = []string{"template=nonsense", ReasonWrongType}
		}},
	} {
		d, _, err := DecodeDict([]byte("{" + tt.in + "}"))
		if err != nil {
			t.Fatal(err)
		}
		got, err := templates.Parse(d)
		if err != nil {
			t.Errorf("%s: %v", tt.in, err)
			continue
		}
		want := base(got.Command)
		tt.want(&want)
		if diff := cmp.Diff(&want, got, opts); diff != "" {
			t.Errorf("%s: -want +got\n%s", tt.in, diff)
		}
	}
}
