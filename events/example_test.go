package events_test

import (
	"fmt"

	"rtpjet/events"
)

// An entry of a call's subject is a line of JSON, and behind it the NG command that led to the event, if one did.
func ExampleEncode() {
	data, err := events.Encode(events.Envelope{
		Call: "a84b4c76e66710", Gen: 1, Node: "n1", At: 1_700_000_000_000_000,
		Event: events.DeletionScheduled{At: 1_700_000_030_000_000},
	})
	fmt.Print(string(data), err)
	// Output:
	// {"v":1,"kind":"deletion_scheduled","call":"a84b4c76e66710","gen":1,"node":"n1","at":1700000000000000,"event":{"at":1700000030000000}}
	// <nil>
}

// A follower of the log decides by the type of the event. What it does not know changes nothing.
func ExampleDecode() {
	data, err := events.Encode(events.Envelope{
		Call: "a84b4c76e66710", Gen: 1, Node: "n1", At: 1_700_000_060_000_000,
		Event: events.Ended{Reason: events.ReasonDeleted, Created: 1_700_000_000_000_000, RTP: events.Counters{Packets: 6000, Bytes: 1_032_000}},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	e, err := events.Decode(data)
	if err != nil {
		fmt.Println(err)
		return
	}
	switch ev := e.Event.(type) {
	case events.Ended:
		fmt.Printf("%s: %s after %d s, %d packets\n", e.Call, ev.Reason, (e.At-ev.Created)/1_000_000, ev.RTP.Packets)
	case events.Unknown:
		fmt.Println("of a later build")
	}
	// Output: a84b4c76e66710: deleted after 60 s, 6000 packets
}
