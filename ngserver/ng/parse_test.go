package ng

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// base is a request with nothing given.
func base(command string) Request {
	return Request{Command: command, TOS: TOSUnset, DeleteDelay: -1, Limit: LimitUnset}
}

var opts = cmp.Options{
	cmpopts.IgnoreFields(Request{}, "Dict"),
	cmpopts.EquateComparable(netip.Addr{}),
	cmpopts.EquateEmpty(),
}

// parse reads a message in either notation.
func parse(t *testing.T, payload string) (*Request, error) {
	t.Helper()
	d, _, err := DecodeDict([]byte(payload))
	if err != nil {
		t.Fatalf("%s: %v", payload, err)
	}
	return Parse(d)
}

// check reads a JSON message that is an offer with the given members, as JSON and again as bencode.
func check(t *testing.T, members string, want func(r *Request)) {
	t.Helper()
	payload := `{"command":"offer",` + members + `}`
	d, _, err := DecodeDict([]byte(payload))
	if err != nil {
		t.Errorf("%s: %v", members, err)
		return
	}
	w := base("offer")
	want(&w)
	inBencode := enc(d)
	d2, _, err := DecodeDict(inBencode)
	if err != nil {
		t.Fatal(err)
	}
	for name, dict := range map[string]*Dict{"JSON": d, "bencode": d2} {
		got, err := Parse(dict)
		if err != nil {
			t.Errorf("%s in %s: %v", members, name, err)
			continue
		}
		if diff := cmp.Diff(&w, got, opts); diff != "" {
			t.Errorf("%s in %s: -want +got\n%s", members, name, diff)
		}
	}
}

func TestKeys(t *testing.T) {
	addr := netip.MustParseAddr
	tests := []struct {
		in   string
		want func(r *Request)
	}{
		// Every spelling of a key (docs/ng.md, "Spellings").
		{`"call-id":"a"`, func(r *Request) { r.CallID = "a" }},
		{`"call-ID":"a"`, func(r *Request) { r.CallID = "a" }},
		{`"call id":"a"`, func(r *Request) { r.CallID = "a" }},
		{`"call_id":"a","call-id":"b"`, func(r *Request) { r.CallID = "b" }},
		{`"from tag":"a"`, func(r *Request) { r.FromTag = "a" }},
		{`"to_tag":"a"`, func(r *Request) { r.ToTag = "a" }},
		{`"SDP":"v=0"`, func(r *Request) { r.SDP = []byte("v=0") }},
		{`"sdp":""`, func(r *Request) { r.SDP = []byte{} }},
		{`"via-branch":"z9"`, func(r *Request) { r.ViaBranch = "z9" }},
		{`"label":"l"`, func(r *Request) { r.Label = "l" }},
		{`"from-label":"l","set-label":"s","to-label":"t"`, func(r *Request) { r.Label, r.SetLabel, r.ToLabel = "l", "s", "t" }},
		{`"metadata":"m","interface":"i","address":"1.2.3.4"`, func(r *Request) { r.Metadata, r.Interface, r.Address = "m", "i", "1.2.3.4" }},
		{`"call-id":12`, func(r *Request) { r.CallID = "12" }},
		{`"call-id":["a"]`, func(r *Request) { r.CallID = "a" }},

		{`"direction":["pub","priv"]`, func(r *Request) { r.Direction = [2]string{"pub", "priv"} }},
		{`"direction":"pub,priv"`, func(r *Request) { r.Direction = [2]string{"pub", "priv"} }},
		{`"direction":["pub"]`, func(r *Request) { r.Direction = [2]string{"pub", ""} }},
		{`"direction":["a","b","c"]`, func(r *Request) { r.Direction = [2]string{"a", "b"} }},
		{`"to-interface":"b","from-interface":"a"`, func(r *Request) { r.Direction = [2]string{"a", "b"} }},
		{`"address family":"IP6"`, func(r *Request) { r.AddressFamily = "IP6" }},
		{`"address-family":"ip4"`, func(r *Request) { r.AddressFamily = "IP4" }},
		{`"address-family":"IPX"`, func(r *Request) { r.Unknown = []string{`address-family="IPX"`} }},

		{`"received from":["IP4","192.0.2.1"]`, func(r *Request) { r.ReceivedFrom = addr("192.0.2.1") }},
		{`"received-from":["IP6","2001:db8::1"]`, func(r *Request) { r.ReceivedFrom = addr("2001:db8::1") }},
		{`"received-from":"192.0.2.1"`, func(r *Request) { r.ReceivedFrom = addr("192.0.2.1") }},
		{`"received-from":"IP4,192.0.2.1"`, func(r *Request) { r.ReceivedFrom = addr("192.0.2.1") }},
		{`"received-from":["192.0.2.1"]`, func(r *Request) { r.ReceivedFrom = addr("192.0.2.1") }},
		{`"received-from":["IP4"]`, func(r *Request) { r.Unknown = []string{`received-from="IP4"`} }},
		{`"media address":"[2001:db8::1]"`, func(r *Request) { r.MediaAddress = addr("2001:db8::1") }},
		{`"media-address":" 192.0.2.1 "`, func(r *Request) { r.MediaAddress = addr("192.0.2.1") }},
		{`"media-address":"::ffff:192.0.2.1"`, func(r *Request) { r.MediaAddress = addr("192.0.2.1") }},
		{`"media-address":"example.org"`, func(r *Request) { r.Unknown = []string{`media-address="example.org"`} }},
		{`"inbound-peer":"192.0.2.1","outbound-peer":"192.0.2.2","peer":"192.0.2.3"`, func(r *Request) {
			r.InboundPeer, r.OutboundPeer, r.Peer = addr("192.0.2.1"), addr("192.0.2.2"), addr("192.0.2.3")
		}},

		{`"transport protocol":"RTP/AVP"`, func(r *Request) { r.TransportProtocol = "RTP/AVP" }},
		{`"transport-protocol":"udp/tls/rtp/savpf"`, func(r *Request) { r.TransportProtocol = "UDP/TLS/RTP/SAVPF" }},
		{`"transport-protocol":"accept"`, func(r *Request) { r.TransportProtocol = "accept" }},
		{`"transport-protocol":"TCP/X"`, func(r *Request) {
			r.UnknownTransport, r.Unknown = true, []string{`transport protocol="TCP/X"`}
		}},
		{`"alias-key":"SDP"`, func(r *Request) { r.AliasKey = "sdp" }},
		{`"alias-key":"endpoint"`, func(r *Request) { r.AliasKey = "address" }},
		{`"alias-key":"none"`, func(r *Request) {}},
		{`"sip-message-type":"sip_request"`, func(r *Request) { r.SIPMessageType = "request" }},
		{`"sip-message-type":"sip reply","sip-code":"200"`, func(r *Request) { r.SIPMessageType, r.SIPCode = "reply", 200 }},

		{`"ICE":"remove"`, func(r *Request) { r.ICE = "remove" }},
		{`"ice":["force relay","trickle","ice2","lite-both"]`, func(r *Request) {
			r.ICE, r.TrickleICE, r.ICE2, r.ICELite = "force-relay", true, true, "both"
		}},
		{`"ICE":"maybe"`, func(r *Request) { r.Unknown = []string{"ICE=maybe"} }},
		{`"ICE-lite":"backward"`, func(r *Request) { r.ICELite = "backward" }},
		{`"rtcp-mux":["offer","require"]`, func(r *Request) { r.RTCPMux = RTCPMux{Offer: true, Require: true} }},
		{`"RTCP mux":"demux,accept"`, func(r *Request) { r.RTCPMux = RTCPMux{Demux: true, Accept: true} }},
		{`"rtcp-mux":["reject","x"]`, func(r *Request) { r.RTCPMux.Reject = true; r.Unknown = []string{"rtcp-mux=x"} }},
		{`"SDES":"off"`, func(r *Request) { r.SDES = []string{"off"} }},
		{`"sdes":["no-NULL_HMAC_SHA1_80","unencrypted srtp","pad"]`, func(r *Request) {
			r.SDES = []string{"no-NULL_HMAC_SHA1_80", "unencrypted_srtp", "pad"}
		}},
		{`"DTLS":"off"`, func(r *Request) { r.DTLS = "off" }},
		{`"dtls":"disable"`, func(r *Request) { r.DTLS = "off" }},
		{`"DTLS":"passive","DTLS-fingerprint":"SHA-1"`, func(r *Request) { r.DTLS, r.DTLSFingerprint = "passive", "SHA-1" }},
		{`"OSRTP":["offer","accept-RFC"]`, func(r *Request) { r.OSRTP = []string{"offer", "accept-RFC"} }},
		{`"T.38":["force","no-V.17"]`, func(r *Request) { r.T38 = []string{"force", "no-V.17"} }},

		{`"replace":["origin","session-connection","SDP version","zero address","session name","username"]`, func(r *Request) {
			r.Replace = Replace{Origin: true, SDPVersion: true, ZeroAddress: true, SessionName: true, Username: true}
		}},
		{`"replace":"origin-full,force-increment-sdp-ver"`, func(r *Request) {
			r.Replace = Replace{OriginFull: true, ForceIncrementSDPVer: true}
		}},
		{`"codec":{"mask":"g729","transcode":"pcmu,pcma"}`, func(r *Request) {
			r.Codec = Codec{Mask: []string{"g729"}, Transcode: []string{"pcmu", "pcma"}}
		}},
		{`"codec":{"strip":["all"],"except":["PCMA/8000"],"set":["AMR/8000/1/7400//mode-set--0/1"],"zap":["x"]}`, func(r *Request) {
			r.Codec = Codec{Strip: []string{"all"}, Except: []string{"PCMA/8000"}, Set: []string{"AMR/8000/1/7400//mode-set=0/1"}}
			r.Unknown = []string{"codec=zap"}
		}},
		{`"codec":"PCMU"`, func(r *Request) { r.Unknown = []string{`codec="PCMU"`} }},
		{`"ptime":20,"ptime-reverse":"30"`, func(r *Request) { r.Ptime, r.PtimeReverse = 20, 30 }},
		{`"extmap":{"strip":["all"],"mask":"urn:x"}`, func(r *Request) { r.ExtmapStrip, r.ExtmapMask = []string{"all"}, []string{"urn:x"} }},
		{`"bundle":["accept","offer"]`, func(r *Request) { r.Bundle = []string{"accept", "offer"} }},
		{`"sdp-attr":{"none":{"add":["ice-lite","x..y"]},"audio":{"substitute":[["a","b"]],"remove":["ptime"]}}`, func(r *Request) {
			r.SDPAttr = []SDPAttr{
				{Scope: "none", Add: []string{"ice-lite", "x y"}},
				{Scope: "audio", Remove: []string{"ptime"}, Substitute: [][2]string{{"a", "b"}}},
			}
		}},
		{`"sdp-attr":{"global":{"add":"fmtp:1 a,b"}}`, func(r *Request) {
			r.SDPAttr = []SDPAttr{{Scope: "none", Add: []string{"fmtp:1 a,b"}}}
		}},
		{`"sdp-media-remove":["video","application"]`, func(r *Request) { r.SDPMediaRemove = []string{"video", "application"} }},

		{`"endpoint learning":"immediate"`, func(r *Request) { r.EndpointLearning = "immediate" }},
		{`"TOS":184`, func(r *Request) { r.TOS = 184 }},
		{`"tos":"-1"`, func(r *Request) { r.TOS = -1 }},
		{`"TOS":70000`, func(r *Request) { r.TOS = 70000 }},
		{`"TOS":99999999999999999999`, func(r *Request) { r.TOS = 1<<31 - 2 }},
		{`"TOS":"many"`, func(r *Request) { r.Unknown = []string{`TOS="many"`} }},
		{`"record call":"yes"`, func(r *Request) { r.RecordCall = "on" }},
		{`"record-call":"discard"`, func(r *Request) { r.RecordCall = "discard" }},
		{`"drop-traffic":"start"`, func(r *Request) { r.DropTraffic = "start" }},
		{`"media echo":"sinkhole"`, func(r *Request) { r.MediaEcho = "blackhole" }},
		{`"generate RTCP":"on"`, func(r *Request) { r.GenerateRTCP = true }},
		{`"delete delay":5,"delete-delay":"7"`, func(r *Request) { r.DeleteDelay = 7 }},
		{`"delete-delay":"7","delete delay":0`, func(r *Request) { r.DeleteDelay = 0 }},
		{`"limit":"5"`, func(r *Request) { r.Limit = 5 }},
		{`"limit":-1`, func(r *Request) { r.Limit = -1 }},
		{`"all":"offer-answer"`, func(r *Request) { r.All = "offer-answer" }},
		{`"from-tags":["a--b","c..d"]`, func(r *Request) { r.FromTags = []string{"a=b", "c d"} }},
		{`"supports":["load limit"]`, func(r *Request) { r.Supports = []string{"load limit"} }},

		// Keys without a field, obsolete ones, and those that nobody knows.
		{`"repeat-times":3,"repeat times":4,"Code":5`, func(r *Request) {
			r.Extra = &Dict{Keys: []string{"repeat-times", "code"}, Values: []any{int64(4), int64(5)}}
		}},
		{`"repacketize":20`, func(r *Request) {}},
		{`"no such key":1`, func(r *Request) { r.Unknown = []string{"no such key"} }},
		{`"flags":{"a":"b"},"SDES":5`, func(r *Request) { r.Unknown = []string{"SDES=5"} }},
	}
	for _, tt := range tests {
		check(t, tt.in, tt.want)
	}
}

// JSON knows true and false where bencode has words.
func TestJSONBool(t *testing.T) {
	r, err := parse(t, `{"command":"offer","record call":true,"generate RTCP":true,"SDES":false,"DTLS":false,"TOS":1.0,"x":null}`)
	if err != nil {
		t.Fatal(err)
	}
	if r.RecordCall != "on" || !r.GenerateRTCP || len(r.SDES) != 1 || r.SDES[0] != "off" || r.DTLS != "off" || r.TOS != 1 || len(r.Unknown) > 0 {
		t.Errorf("got %+v", r)
	}
}

func TestFlags(t *testing.T) {
	tests := []struct {
		flag string
		want func(r *Request)
	}{
		{"trust address", func(r *Request) { r.TrustAddress = true }},
		{"trust-address", func(r *Request) { r.TrustAddress = true }},
		{"trust_address", func(r *Request) { r.TrustAddress = true }},
		{"SIP source address", func(r *Request) { r.SIPSourceAddress = true }},
		{"sip-source-address", func(r *Request) { r.SIPSourceAddress = true }},
		{"symmetric", func(r *Request) { r.Symmetric = true }},
		{"asymmetric", func(r *Request) { r.Asymmetric = true }},
		{"strict source", func(r *Request) { r.StrictSource = true }},
		{"media handover", func(r *Request) { r.MediaHandover = true }},
		{"unidirectional", func(r *Request) { r.Unidirectional = true }},
		{"port latching", func(r *Request) { r.PortLatching = true }},
		{"no-port-latching", func(r *Request) { r.NoPortLatching = true }},
		{"NAT-wait", func(r *Request) { r.NATWait = true }},
		{"nat wait", func(r *Request) { r.NATWait = true }},
		{"pierce NAT", func(r *Request) { r.PierceNAT = true }},
		{"reset", func(r *Request) { r.Reset = true }},
		{"original-sendrecv", func(r *Request) { r.OriginalSendrecv = true }},
		{"full RTCP attribute", func(r *Request) { r.FullRTCPAttribute = true }},
		{"no rtcp attribute", func(r *Request) { r.NoRTCPAttribute = true }},
		{"generate mid", func(r *Request) { r.GenerateMid = true }},
		{"loop-protect", func(r *Request) { r.LoopProtect = true }},
		{"strip-extmap", func(r *Request) { r.ExtmapStrip = []string{"all"} }},
		{"no tls id", func(r *Request) { r.NoTLSID = true }},
		{"no-TLS-id", func(r *Request) { r.NoTLSID = true }},
		{"trickle ICE", func(r *Request) { r.TrickleICE = true }},
		{"reject-ice", func(r *Request) { r.RejectICE = true }},
		{"fragment", func(r *Request) { r.Fragment = true }},
		{"record call", func(r *Request) { r.RecordCall = "on" }},
		{"generate-RTCP", func(r *Request) { r.GenerateRTCP = true }},
		{"discard recording", func(r *Request) { r.DiscardRecording = true }},
		{"debug", func(r *Request) { r.Debug = true }},
		{"block-DTMF", func(r *Request) { r.BlockDTMF = true }},
		{"recrypt", func(r *Request) { r.Recrypt = true }},
		{"allow asymmetric codecs", func(r *Request) { r.AllowAsymmetricCodecs = true }},
		{"allow no codec media", func(r *Request) { r.AllowNoCodecMedia = true }},
		{"allow-transcoding", func(r *Request) { r.AllowTranscoding = true }},
		{"single codec", func(r *Request) { r.SingleCodec = true }},
		{"reuse codecs", func(r *Request) { r.ReuseCodecs = true }},
		{"no codec renegotiation", func(r *Request) { r.ReuseCodecs = true }},
		{"static codecs", func(r *Request) { r.StaticCodecs = true }},
		{"new branch", func(r *Request) { r.NewBranch = true }},
		{"provisional", func(r *Request) { r.Provisional = true }},
		{"fatal", func(r *Request) { r.Fatal = true }},
		{"fast", func(r *Request) { r.Fast = true }},
		{"to-tag", func(r *Request) { r.ToTagFlag = true }},
		{"directional", func(r *Request) { r.Directional = true }},
		{"bidirectional", func(r *Request) { r.Bidirectional = true }},
		{"all", func(r *Request) { r.All = "all" }},
		{"pad crypto", func(r *Request) { r.SDES = []string{"pad"} }},
		{"inject DTMF", func(r *Request) { r.OtherFlags = []string{"inject-dtmf"} }},
		{"siprec", func(r *Request) { r.OtherFlags = []string{"siprec"} }},
		{"always transcode", func(r *Request) { r.OtherFlags = []string{"always-transcode"} }},
		{"WebRTC", func(r *Request) {
			r.WebRTC, r.TransportProtocol, r.ICE, r.TrickleICE = true, "UDP/TLS/RTP/SAVPF", "force", true
			r.RTCPMux = RTCPMux{Offer: true, Require: true}
			r.NoRTCPAttribute, r.GenerateMid = true, true
			r.SDES, r.Bundle = []string{"off"}, []string{"offer", "require"}
		}},

		// An option with its value in one word.
		{"codec-strip-PCMA", func(r *Request) { r.Codec.Strip = []string{"PCMA"} }},
		{"codec strip PCMA", func(r *Request) { r.Codec.Strip = []string{"PCMA"} }},
		{"codec-mask-all", func(r *Request) { r.Codec.Mask = []string{"all"} }},
		{"codec-except-G722", func(r *Request) { r.Codec.Except = []string{"G722"} }},
		{"codec-ignore-G722", func(r *Request) { r.Codec.Ignore = []string{"G722"} }},
		{"codec-consume-G722", func(r *Request) { r.Codec.Consume = []string{"G722"} }},
		{"codec-accept-all", func(r *Request) { r.Codec.Accept = []string{"all"} }},
		{"codec-offer-opus/48000/2", func(r *Request) { r.Codec.Offer = []string{"opus/48000/2"} }},
		{"codec-set-opus/48000/2/32000///useinbandfec--1", func(r *Request) { r.Codec.Set = []string{"opus/48000/2/32000///useinbandfec=1"} }},
		{"codec-set-opus/48000/2///useinbandfec=1", func(r *Request) { r.Codec.Set = []string{"opus/48000/2///useinbandfec=1"} }},
		{"codec-transcode-PCMA", func(r *Request) { r.Codec.Transcode = []string{"PCMA"} }},
		{"transcode-PCMA", func(r *Request) { r.Codec.Transcode = []string{"PCMA"} }},
		{"SDES-off", func(r *Request) { r.SDES = []string{"off"} }},
		{"SDES-no", func(r *Request) { r.SDES = []string{"off"} }},
		{"sdes-no-AES_CM_128_HMAC_SHA1_32", func(r *Request) { r.SDES = []string{"no-AES_CM_128_HMAC_SHA1_32"} }},
		{"SDES-only-NULL_HMAC_SHA1_80", func(r *Request) { r.SDES = []string{"only-NULL_HMAC_SHA1_80"} }},
		{"SDES-offerer_pref:A;B", func(r *Request) { r.SDES = []string{"offerer_pref:A;B"} }},
		{"SDES-x", func(r *Request) { r.Unknown = []string{"SDES=x"} }},
		{"OSRTP-accept", func(r *Request) { r.OSRTP = []string{"accept"} }},
		{"replace-origin", func(r *Request) { r.Replace.Origin = true }},
		{"replace-SDP-version", func(r *Request) { r.Replace.SDPVersion = true }},
		{"replace zero address", func(r *Request) { r.Replace.ZeroAddress = true }},
		{"replace-session-connection", func(r *Request) {}},
		{"rtcp-mux-demux", func(r *Request) { r.RTCPMux.Demux = true }},
		{"BUNDLE-accept", func(r *Request) { r.Bundle = []string{"accept"} }},
		{"T.38-no-ECM", func(r *Request) { r.T38 = []string{"no-ECM"} }},
		{"T38-force", func(r *Request) { r.T38 = []string{"force"} }},
		{"endpoint-learning-off", func(r *Request) { r.EndpointLearning = "off" }},
		{"from-tags-abc", func(r *Request) { r.FromTags = []string{"abc"} }},
		{"sdp-attr-add-audio-ptime:30", func(r *Request) { r.SDPAttr = []SDPAttr{{Scope: "audio", Add: []string{"ptime:30"}}} }},
		{"sdp-attr-remove-none-x-y", func(r *Request) { r.SDPAttr = []SDPAttr{{Scope: "none", Remove: []string{"x-y"}}} }},
		{"sdp-attr-substitute-video-a..b>c", func(r *Request) {
			r.SDPAttr = []SDPAttr{{Scope: "video", Substitute: [][2]string{{"a b", "c"}}}}
		}},
		{"sdp-attr-add-data-x", func(r *Request) { r.Unknown = []string{"sdp-attr-add=data-x"} }},

		// key=value in a flag.
		{"ICE=force", func(r *Request) { r.ICE = "force" }},
		{"DTLS=passive", func(r *Request) { r.DTLS = "passive" }},
		{"media-address=192.0.2.1", func(r *Request) { r.MediaAddress = netip.MustParseAddr("192.0.2.1") }},
		{"delete-delay=0", func(r *Request) { r.DeleteDelay = 0 }},

		{"force", func(r *Request) {}},
		{"symmetric codecs", func(r *Request) {}},
		{"no such flag", func(r *Request) { r.Unknown = []string{"no such flag"} }},
		{"x=y", func(r *Request) { r.Unknown = []string{"x=y"} }},
		{strings.Repeat("x", 500), func(r *Request) { r.Unknown = []string{strings.Repeat("x", maxUnknownText)} }},
	}
	for _, tt := range tests {
		check(t, `"flags":["`+tt.flag+`"]`, tt.want)
		check(t, `"rtpp-flags":"`+strings.ReplaceAll(tt.flag, " ", "-")+`"`, func(r *Request) {
			tt.want(r)
			for i := range r.Unknown {
				r.Unknown[i] = strings.ReplaceAll(r.Unknown[i], " ", "-")
			}
		})
	}
	check(t, `"flags":"reset,fast"`, func(r *Request) { r.Reset, r.Fast = true, true })
	check(t, `"flags":["reset",5,["fast"]]`, func(r *Request) { r.Reset = true })
	check(t, `"flags":["trust-address","SIP-source-address"]`, func(r *Request) { r.SIPSourceAddress = true })
}

func TestUnknownIsBounded(t *testing.T) {
	r, err := parse(t, `{"command":"offer","flags":"`+strings.Repeat("nonsense,", 1000)+`"}`)
	if err != nil || len(r.Unknown) != maxUnknown {
		t.Errorf("%d unknown words, %v", len(r.Unknown), err)
	}
}

func TestRTPPFlags(t *testing.T) {
	tests := []struct {
		in   string
		want func(r *Request)
	}{
		{"", func(r *Request) {}},
		{"  trust-address   replace-origin ", func(r *Request) { r.TrustAddress, r.Replace.Origin = true, true }},
		{"internal external", func(r *Request) { r.Direction = [2]string{"internal", "external"} }},
		{"external internal internal", func(r *Request) { r.Direction = [2]string{"external", "internal"} }},
		{"direction=pub direction=priv", func(r *Request) { r.Direction = [2]string{"pub", "priv"} }},
		{"direction=[pub priv]", func(r *Request) { r.Direction = [2]string{"pub", "priv"} }},
		{"RTP/SAVPF", func(r *Request) { r.TransportProtocol = "RTP/SAVPF" }},
		{"UDP/TLS/RTP/SAVP", func(r *Request) { r.TransportProtocol = "UDP/TLS/RTP/SAVP" }},
		{"RTP", func(r *Request) { r.TransportProtocol = "RTP/AVP" }},
		{"SRTP", func(r *Request) { r.TransportProtocol = "RTP/SAVP" }},
		{"AVPF", func(r *Request) { r.TransportProtocol = "RTP/AVPF" }},
		{"AVPF SRTP", func(r *Request) { r.TransportProtocol = "RTP/SAVPF" }},
		{"DTLS", func(r *Request) { r.TransportProtocol = "UDP/TLS/RTP/SAVP" }},
		{"DTLS AVPF", func(r *Request) { r.TransportProtocol = "UDP/TLS/RTP/SAVPF" }},
		{"RTP/SAVPF AVP", func(r *Request) { r.TransportProtocol = "RTP/SAVP" }},
		{"DTLS=off", func(r *Request) { r.DTLS = "off" }},
		{"transport-protocol=RTP/AVP", func(r *Request) { r.TransportProtocol = "RTP/AVP" }},
		{"to-tag=abc", func(r *Request) { r.ToTag, r.ToTagFlag = "abc", true }},
		{"from-tag=abc", func(r *Request) { r.FromTag, r.Directional = "abc", true }},
		{"codec=[strip=[PCMA G722] offer=[opus]] fast", func(r *Request) {
			r.Codec = Codec{Strip: []string{"PCMA", "G722"}, Offer: []string{"opus"}}
			r.Fast = true
		}},
		{"sdp-attr=[audio=[substitute=[[a..b c]] add=[x--y]] none=[remove=[z]]]", func(r *Request) {
			r.SDPAttr = []SDPAttr{
				{Scope: "audio", Add: []string{"x=y"}, Substitute: [][2]string{{"a b", "c"}}},
				{Scope: "none", Remove: []string{"z"}},
			}
		}},
		{"sdp-attr=[audio=[substitute=[a..b>c]]]", func(r *Request) {
			r.SDPAttr = []SDPAttr{{Scope: "audio", Substitute: [][2]string{{"a b", "c"}}}}
		}},
		{"rtcp-mux=[offer accept]", func(r *Request) { r.RTCPMux = RTCPMux{Offer: true, Accept: true} }},
		{"media-address=[2001:db8::1]", func(r *Request) { r.MediaAddress = netip.MustParseAddr("2001:db8::1") }},
		{"received-from=192.0.2.1", func(r *Request) { r.ReceivedFrom = netip.MustParseAddr("192.0.2.1") }},
		{"delete-delay=5 label=x metadata=a=b", func(r *Request) { r.DeleteDelay, r.Label, r.Metadata = 5, "x", "a=b" }},

		// What Kamailio's module would have acted on itself.
		{"via-branch=auto out-iface=pub", func(r *Request) {}},
		{"via-branch=1", func(r *Request) {}},
		{"via-branch=z9hG4bK7", func(r *Request) { r.ViaBranch = "z9hG4bK7" }},

		// Malformed parts are skipped.
		{"]] reset [a b] =x fast =[c] fatal", func(r *Request) { r.Reset, r.Fast, r.Fatal = true, true, true }},
		{"codec=[strip=[PCMA", func(r *Request) { r.Codec.Strip = []string{"PCMA"} }},
		{"reset codec=" + strings.Repeat("[", 50) + " fast", func(r *Request) {
			r.Reset, r.Fast, r.Unknown = true, true, []string{`codec="?"`}
		}},
		{"reset codec=" + strings.Repeat("[", 20) + "x" + strings.Repeat("]", 20) + " fast", func(r *Request) {
			r.Reset, r.Fast, r.Unknown = true, true, []string{`codec="?"`}
		}},
		// A group that nothing closes ends where the next word means something by itself.
		{"replace=[origin trust-address ICE=remove fast", func(r *Request) {
			r.Replace.Origin, r.TrustAddress, r.ICE, r.Fast = true, true, "remove", true
		}},
		{"codec=[strip=[PCMA G722] offer=[opus] ICE=remove RTP/AVPF", func(r *Request) {
			r.Codec, r.ICE, r.TransportProtocol = Codec{Strip: []string{"PCMA", "G722"}, Offer: []string{"opus"}}, "remove", "RTP/AVPF"
		}},
		{"sdp-attr=[audio codec-strip-PCMU", func(r *Request) {
			r.Codec.Strip, r.Unknown = []string{"PCMU"}, []string{ReasonWrongType}
		}},
		{"codec=[strip=[PCMA ICE=remove", func(r *Request) { r.Codec.Strip, r.ICE = []string{"PCMA"}, "remove" }},
		{"sdp-attr=[audio=[add=[x] trust-address", func(r *Request) {
			r.SDPAttr, r.TrustAddress = []SDPAttr{{Scope: "audio", Add: []string{"x"}}}, true
		}},
		// Brackets that close nothing mean nothing.
		{"codec=[strip=[PCMA]]] ICE=remove] fast]] ]", func(r *Request) {
			r.Codec.Strip, r.ICE, r.Fast = []string{"PCMA"}, "remove", true
		}},
		// No broken syntax fails the request, whatever comes out of it.
		{"sdp-attr=[audio] ] fast", func(r *Request) { r.Fast, r.Unknown = true, []string{ReasonWrongType} }},
		{"sdp-media-remove=[audio wobble fast", func(r *Request) {
			r.SDPMediaRemove, r.Fast, r.Unknown = []string{"audio"}, true, []string{ReasonUnsupportedSection}
		}},
		// A key without its value does not take away what the request says elsewhere.
		{"to-tag= label= ICE= fast", func(r *Request) { r.Fast, r.Unknown = true, []string{"to-tag=", "label=", "ICE="} }},
		// A word among keys, and a key among words.
		{"codec=[strip=[PCMA] nonsense offer=[opus]]", func(r *Request) { r.Codec = Codec{Strip: []string{"PCMA"}, Offer: []string{"opus"}} }},
		{"flags=[reset codec-set-opus/48000=x fast]", func(r *Request) {
			r.Reset, r.Fast, r.Codec.Set = true, true, []string{"opus/48000=x"}
		}},
		{"rtpp-flags=reset", func(r *Request) {}},
	}
	for _, tt := range tests {
		for _, key := range []string{"rtpp-flags", "rtpp_flags", "rtpp flags"} {
			check(t, `"`+key+`":"`+tt.in+`"`, tt.want)
		}
	}
}

// A wrong structure of these two keys fails the command.
func TestStructureErrors(t *testing.T) {
	tests := map[string]string{
		`"sdp-attr":"x"`:                                    ReasonWrongType,
		`"sdp-attr":["audio"]`:                              ReasonWrongType,
		`"sdp-attr":{"audio":"x"}`:                          ReasonWrongContent,
		`"sdp-attr":{"data":{"add":["x"]}}`:                 ReasonUnsupportedSection,
		`"sdp-attr":{"audio":{"insert":["x"]}}`:             ReasonUnknownManipulation,
		`"sdp-attr":{"audio":{"add":{"x":"y"}}}`:            ReasonWrongContent,
		`"sdp-attr":{"audio":{"substitute":["x"]}}`:         ReasonWrongContent,
		`"sdp-attr":{"audio":{"substitute":[["a","b",1]]}}`: ReasonWrongContent,
		`"sdp-media-remove":{"audio":1}`:                    ReasonWrongType,
		`"sdp-media-remove":["tabloid"]`:                    ReasonUnsupportedSection,
		`"rtpp-flags":"sdp-attr=[data=[add=[x]]]"`:          ReasonUnsupportedSection,
	}
	for in, want := range tests {
		r, err := parse(t, `{"command":"offer","call-id":"c",`+in+`}`)
		if !errors.Is(err, &ReasonError{want}) || r == nil || r.Command != "offer" {
			t.Errorf("%s: %v, want %q", in, err, want)
		}
	}
}

func TestCommands(t *testing.T) {
	for _, c := range Commands {
		r, err := parse(t, `{"command":"`+c.Name+`"}`)
		if err != nil || r.Command != c.Name {
			t.Errorf("%s: %v", c.Name, err)
		}
	}
	if r, err := parse(t, `{"command":"CLI"}`); err != nil || r.Command != "cli" {
		t.Errorf("CLI: %v", err)
	}
	for in, want := range map[string]error{`{}`: ErrNoCommand, `{"command":1}`: ErrNoCommand, `{"command":"Ping"}`: ErrUnknownCommand, `{"command":""}`: ErrUnknownCommand} {
		if _, err := parse(t, in); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", in, err, want)
		}
	}
}

func TestRequestAccess(t *testing.T) {
	r, err := parse(t, `{"command":"play media","repeat times":"3","rtpp-flags":"inject-DTMF repeat-duration=5 file=/a/b","supports":["load limit"]}`)
	if err != nil {
		t.Fatal(err)
	}
	if r.KeyInt("repeat-times", 1) != 3 || r.KeyInt("repeat-duration", 1) != 5 || r.KeyInt("start-pos", 7) != 7 || r.KeyText("file") != "/a/b" || r.KeyText("blob") != "" {
		t.Errorf("keys: %v", r.Extra)
	}
	if !r.Flag("inject-dtmf") || r.Flag("mix") || !r.SupportsLoadLimit() {
		t.Errorf("flags: %v", r.OtherFlags)
	}
}
