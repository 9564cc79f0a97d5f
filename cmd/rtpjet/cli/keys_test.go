package cli

import (
	"encoding/json"
	"strings"
	"testing"

	"rtpjet/events"
	"rtpjet/projection"
)

// What a call shows of its keys: nothing, unless they are asked for by name.
func TestCallKeys(t *testing.T) {
	const inSDP = "inline:QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNk"
	line := events.Crypto{Tag: 1, Suite: "AES_CM_128_HMAC_SHA1_80", Key: "ABCDEFGHIJKLMNOPQRSTUVWXYZabcd"}
	media := events.Media{Type: "audio", Protocol: "RTP/SAVP"}
	media.SetKeys(events.SRTP{Received: []events.Crypto{line}, Sent: []events.Crypto{line}, In: line, Out: line})
	env := events.Envelope{
		Call: "c", Gen: 1, Event: events.Offered{Signalling: events.Signalling{Parties: []events.Party{{Medias: []events.Media{media}}}}},
		Cause: &events.Cause{Request: []byte("d3:sdp9:a=crypto:1 X " + inSDP + "|2^31e"), Reply: []byte(`{"sdp":"a=crypto:1 X ` + inSDP + `\r\n"}`)},
	}
	c := &projection.Call{ID: "c"}
	c.Apply(1, env)
	for _, keys := range []bool{false, true} {
		var text strings.Builder
		c.Describe(&text)
		out, err := json.Marshal([]any{c, viewOf(1, env, keys), keysOf(c, keys)})
		if err != nil {
			t.Fatal(err)
		}
		all := text.String() + string(out)
		if got := strings.Contains(all, "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNk"); got != keys || strings.Contains(all, "ABCDEFGHIJKL") {
			t.Errorf("asked for keys: %v, shown: %v\n%s", keys, got, all)
		}
		if !keys && strings.Count(all, "inline:[hidden]") < 2 {
			t.Errorf("no sign of the keys in\n%s", all)
		}
	}
}
