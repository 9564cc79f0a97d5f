package ng_test

import (
	"fmt"

	"rtpjet/ngserver/ng"
)

// A request has one form, whatever notation and spelling it had on the wire.
func ExampleParse() {
	for _, payload := range []string{
		"d7:command5:offer7:call-id2:c18:from-tag2:f17:replacel6:originee",
		`{"command": "offer", "call-id": "c1", "from-tag": "f1", "flags": ["replace-origin"]}`,
	} {
		d, encoding, err := ng.DecodeDict([]byte(payload))
		if err != nil {
			fmt.Println(err)
			return
		}
		r, err := ng.Parse(d)
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(encoding, r.Command, r.CallID, r.FromTag, r.Replace.Origin)
	}
	// Output:
	// bencode offer c1 f1 true
	// json offer c1 f1 true
}

// A reply goes back in the notation of its request; the result comes last.
func ExampleReply() {
	r := ng.OK()
	r.Bytes("sdp", []byte("v=0\r\n"))
	fmt.Printf("%q\n", r.Append(nil, ng.Bencode))
	fmt.Printf("%q\n", ng.Error(ng.ReasonUnknownCallID).Append(nil, ng.JSON))
	// Output:
	// "d3:sdp5:v=0\r\n6:result2:oke"
	// "{\"result\":\"error\",\"error-reason\":\"Unknown call-id\"}"
}
