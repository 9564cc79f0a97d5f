package ng

import (
	"strings"

	"rtpjet/ngserver/bencode"
)

// enc encodes a dictionary for a test.
func enc(d *Dict) []byte {
	b, err := bencode.Append(nil, d)
	if err != nil {
		panic(err)
	}
	return b
}

// kamailioOffer has the keys and the size of an offer of Kamailio's default configuration.
var kamailioOffer = enc((&Dict{}).
	Add("supports", []string{"load limit"}).
	Add("sdp", "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0 8 101\r\n"+
		strings.Repeat("a=rtpmap:101 telephone-event/8000\r\n", 32)).
	Add("ICE", "remove").
	Add("direction", []string{"pub", "priv"}).
	Add("flags", []string{"SIP-source-address", "generate-mid"}).
	Add("replace", []string{"origin", "session-connection"}).
	Add("transport-protocol", "RTP/AVP").
	Add("rtcp-mux", []string{"demux"}).
	Add("call-id", "3848276298220188511@192.0.2.1").
	Add("received-from", []string{"IP4", "192.0.2.1"}).
	Add("from-tag", "bd5a-4c1e-a9d4").
	Add("sip-message-type", "sip_request").
	Add("command", "offer"))
