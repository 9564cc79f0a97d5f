package events_test

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"rtpjet/events"
)

// usual are the entries of a usual call between two phones, in a Kamailio's words.
func usual() map[string]events.Envelope {
	ap, addr := netip.MustParseAddrPort, netip.MustParseAddr
	codecs := []events.Codec{
		{PT: 0, Name: "PCMU", Rate: 8000}, {PT: 8, Name: "PCMA", Rate: 8000}, {PT: 9, Name: "G722", Rate: 8000},
		{PT: 18, Name: "G729", Rate: 8000, Fmtp: "annexb=no"}, {PT: 101, Name: "telephone-event", Rate: 8000, Fmtp: "0-16"},
	}
	picked := []events.Codec{codecs[0], codecs[4]}
	ports := func(s string, n uint16) events.Ports {
		return events.Ports{RTP: netip.AddrPortFrom(addr(s), n), RTCP: netip.AddrPortFrom(addr(s), n+1)}
	}
	party := func(id int, answered bool) events.Party {
		m := events.Media{
			Type: "audio", Protocol: "RTP/AVP", Formats: []string{"0", "8", "9", "18", "101"}, Interface: "pub",
			Advertised: addr("203.0.113.1"), Local: ports("10.0.0.1", uint16(30000+4*id)), Serves: ap("198.51.100.2:5000"),
			Told: true, Direction: events.SendRecv, Codecs: codecs, Offered: codecs, Signal: 2, SignalAt: 1_700_000_000_123_456,
			Controlling: id == 1,
		}
		p := events.Party{
			ID: id, Tag: "a6c85cf-1928301774" + strings.Repeat("x", id), Branches: []string{"z9hG4bK776asdhds8f7" + strings.Repeat("x", id)},
			Created: 1_700_000_000_123_456, Peers: []int{1 - id},
			Out: events.Out{Sent: true, Username: "-", SessID: "3724394400", Version: "3724394405", Address: "IP4 203.0.113.1", Digest: 0x1234567890abcdef},
			In:  events.In{SessionName: "-"},
		}
		if id == 0 || answered {
			m.Remote = ports("198.51.100.7", uint16(4000+4*id))
		}
		if answered {
			m.Formats = []string{"0", "101"}
			if id == 0 {
				m.Formats, m.Offered = []string{"0", "8", "9", "18", "101"}, picked
			} else {
				m.Codecs = picked
			}
		}
		p.Medias = []events.Media{m}
		return p
	}
	env := func(e events.Event, cause bool) events.Envelope {
		out := events.Envelope{Call: "f81d4fae-7dec-11d0-a765-00a0c91e6bf6@198.51.100.7", Gen: 1, Node: "rtp-node-1", At: 1_700_000_000_123_456, Event: e}
		if cause {
			out.Cause = &events.Cause{
				Cookie: "12345_67890_1", From: ap("192.0.2.20:5000"), Request: []byte(strings.Repeat("q", 900)), Reply: []byte(strings.Repeat("r", 500)),
			}
		}
		return out
	}
	offer := events.Signalling{Owner: "rtp-node-1", Parties: []events.Party{party(0, false), party(1, false)}, From: 0, To: 1, Request: 1 << 62, TOS: ref(-1)}
	answer := events.Signalling{Parties: []events.Party{party(1, true), party(0, true)}, From: 1, To: 0, Request: 1 << 61, Final: true}
	return map[string]events.Envelope{
		"offered":  env(events.Offered{Signalling: offer}, true),
		"answered": env(events.Answered{Signalling: answer}, true),
		"learned":  env(events.EndpointLearned{Party: 1, Remote: ap("198.51.100.8:4000"), Signal: 2, Confirmed: true}, false),
		"ended": env(events.Ended{
			Reason: events.ReasonDeleted, RTP: events.Counters{Packets: 3000, Bytes: 516000}, RTCP: events.Counters{Packets: 12, Bytes: 900},
		}, true),
	}
}

// BenchmarkDecode reads each kind of entry both ways; "times" is how much faster the fast one is.
func BenchmarkDecode(b *testing.B) {
	entries := usual()
	for _, name := range []string{"offered", "answered", "learned", "ended"} {
		data, err := events.Encode(entries[name])
		if err != nil {
			b.Fatal(err)
		}
		slow := 0.0
		b.Run(name+"/slow", func(b *testing.B) {
			b.ReportAllocs()
			began := time.Now()
			for range b.N {
				if _, err := events.SlowDecode(data); err != nil {
					b.Fatal(err)
				}
			}
			slow = float64(time.Since(began)) / float64(b.N)
		})
		b.Run(name+"/fast", func(b *testing.B) {
			b.ReportAllocs()
			began := time.Now()
			for range b.N {
				if _, ok := events.FastDecode(data); !ok {
					b.Fatal("gave up")
				}
			}
			if slow > 0 {
				b.ReportMetric(slow*float64(b.N)/float64(time.Since(began)), "times")
			}
		})
	}
}
