package ng

import (
	"encoding/json"
	"testing"

	"rtpjet/ngserver/bencode"
)

// FuzzParse feeds whole messages: nothing panics, what a request keeps of unknown words stays small, and a request that was
// read once reads the same after its dictionary was encoded again.
func FuzzParse(f *testing.F) {
	f.Add(kamailioOffer)
	for _, s := range []string{
		"d7:command4:pinge", `{"command":"offer","flags":["codec-strip-PCMA","SDES-no"],"codec":{"mask":"g729"}}`,
		`{"command":"offer","rtpp-flags":"internal external RTP AVPF codec=[strip=[a b]] sdp-attr=[audio=[substitute=[[a b]]]]"}`,
		`{"command":"delete","delete delay":5,"delete-delay":"7","limit":1e30,"TOS":-1}`,
		`{"command":"offer","sdp-attr":{"none":{"add":["a"],"substitute":[["a","b"]]}},"received from":["IP4","1.2.3.4"]}`,
		`{"command":"offer","rtpp-flags":"[[[[[[[[[[[ ]]] =x a=[b=[c=] d]"}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		d, enc, err := DecodeDict(payload)
		if err != nil {
			if _, ok := err.(*ReasonError); !ok {
				t.Fatalf("error of type %T", err)
			}
			return
		}
		r, err := Templates{"default": "template=b", "offer": "codec=[strip=[x", "b": "template=default fast template=b"}.Parse(d)
		if err != nil {
			if _, ok := err.(*ReasonError); !ok {
				t.Fatalf("error of type %T", err)
			}
			return
		}
		if len(r.Unknown) > maxUnknown {
			t.Fatalf("%d unknown words kept", len(r.Unknown))
		}
		for _, w := range r.Unknown {
			if len(w) > maxUnknownText {
				t.Fatalf("unknown word of %d bytes kept", len(w))
			}
		}
		reply := OK()
		reply.Str(r.CallID, r.FromTag).Bytes("sdp", r.SDP).Strs("list", r.Unknown...).Int("n", int64(r.TOS))
		out := reply.Append(nil, enc)
		if enc == JSON && !json.Valid(out) {
			t.Fatalf("reply is no JSON: %q", out)
		}
		if enc == Bencode {
			if n, err := bencode.Scan(out); err != nil || n != len(out) {
				t.Fatalf("reply is no bencode: %q: %v", out, err)
			}
		}
	})
}
