package projection_test

import (
	"fmt"
	"net/netip"

	"rtpjet/events"
	"rtpjet/projection"
)

// A call is the fold of its events, in the order of the log. From it follows what the relay has to do.
func ExampleCall_Apply() {
	phone := func(id int, tag, remote, local string) events.Party {
		return events.Party{ID: id, Tag: tag, Peers: []int{1 - id}, Medias: []events.Media{{
			Type: "audio", Protocol: "RTP/AVP", Direction: events.SendRecv, Told: true, Mux: true, Signal: 1,
			Remote: events.Ports{RTP: netip.MustParseAddrPort(remote)}, Local: events.Ports{RTP: netip.MustParseAddrPort(local)},
		}}}
	}
	alice := phone(0, "alice", "192.0.2.10:4000", "198.51.100.1:30000")
	bob := phone(1, "bob", "192.0.2.20:5000", "198.51.100.1:30002")
	c := &projection.Call{ID: "a84b4c76e66710"}
	for i, e := range []events.Event{
		events.Offered{Signalling: events.Signalling{Owner: "n1", Parties: []events.Party{alice, bob}, From: 0, To: 1}},
		events.Answered{Signalling: events.Signalling{Parties: []events.Party{bob}, From: 1, To: 0}},
		events.EndpointLearned{Party: 1, Media: 0, Remote: netip.MustParseAddrPort("203.0.113.7:61000"), Signal: 1, Confirmed: true},
	} {
		c.Apply(uint64(i+1), events.Envelope{Call: c.ID, Gen: 1, Node: "n1", At: int64(i), Event: e})
	}
	fmt.Println("live:", c.Live(), "owner:", c.Owner, "seq:", c.Seq)
	for _, s := range c.Routes(projection.RouteDefaults{}, 10) {
		to := s.Signalled
		if s.Learned.IsValid() { // the phone is behind a NAT
			to = s.Learned
		}
		fmt.Println(s.Local, "hears", to, "and has it sent from", s.RTPSinks)
	}
	c.Apply(4, events.Envelope{Call: c.ID, Gen: 1, Node: "n1", At: 20, Event: events.Ended{Reason: events.ReasonDeleted}})
	fmt.Println("live:", c.Live())
	// Output:
	// live: true owner: n1 seq: 3
	// 198.51.100.1:30000 hears 192.0.2.10:4000 and has it sent from [198.51.100.1:30002]
	// 198.51.100.1:30002 hears 203.0.113.7:61000 and has it sent from [198.51.100.1:30000]
	// live: false
}
