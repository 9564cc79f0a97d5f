package events_test

import (
	"flag"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"rtpjet/events"
)

var update = flag.Bool("update", false, "write golden files that are missing")

func ref[T any](v T) *T { return &v }

// samples has one entry of each kind with every field set. When an event gets a new field, add a second sample under a name
// of its own: the files that exist stay as they are, because streams are full of such entries.
func samples() map[string]events.Envelope {
	ap, addr := netip.MustParseAddrPort, netip.MustParseAddr
	ports := events.Ports{RTP: ap("192.0.2.10:30000"), RTCP: ap("192.0.2.10:30001")}
	codecs := []events.Codec{{PT: 96, Name: "opus", Rate: 48000, Channels: 2, Fmtp: "useinbandfec=1"}, {PT: 77}}
	media := events.Media{
		Type: "audio", Protocol: "RTP/AVP", Formats: []string{"96", "77"}, Mid: "1", Rejected: true, Hidden: true,
		Interface: "pub", Advertised: addr("203.0.113.1"), Local: ports, Serves: ap("198.51.100.1:4000"),
		Earlier: []events.Earlier{{Interface: "pub", Advertised: addr("2001:db8::1"), Local: ports, Remote: ap("[2001:db8::2]:4000")}},
		Told:    true, Remote: ports, Learned: ports, Confirmed: [2]bool{true, false}, Direction: events.SendOnly,
		Codecs: codecs, Offered: codecs[:1], Stripped: codecs[1:],
		Mux: true, MuxOffered: true, MuxSent: true, MuxAccept: true, MuxReject: true,
		Asymmetric: true, Unidirectional: true, StrictSource: true, MediaHandover: true, PortLatching: true, NATWait: true,
		PierceNAT: true, Learning: "delayed", Echo: "blackhole", Blocked: true, BlockedDTMF: true, Signal: 7, SignalAt: 8, Extmaps: true, ICE: true, Controlling: true,
	}
	sig := events.Signalling{
		Owner: "n1",
		Parties: []events.Party{{
			ID: 1, Tag: "a", Aliases: []string{"b"}, Branches: []string{"z9hG4bK1"}, Label: "caller", Metadata: "m", Created: 9, Peers: []int{2, 0},
			Medias: []events.Media{media, {Type: "image", Protocol: "udptl"}},
			Out:    events.Out{Sent: true, Username: "-", SessID: "1", Version: "2", Address: "IP4 192.0.2.1", Digest: 3},
			In:     events.In{SessionName: "call", NoAllowMixed: true}, Key: "sdp:1f",
		}},
		From: 1, To: 2, Request: 1 << 63, Final: true, TOS: ref(184), DropTraffic: ref(false), Metadata: "meta <&> data",
	}
	env := func(e events.Event) events.Envelope {
		return events.Envelope{Call: "call-1@example.org", Gen: 2, Node: "n1", At: 1_700_000_000_000_001, Event: e}
	}
	out := map[string]events.Envelope{
		"offered":            env(events.Offered{Signalling: sig}),
		"answered":           env(events.Answered{Signalling: sig}),
		"endpoint_learned":   env(events.EndpointLearned{Party: 1, Media: 2, RTCP: true, Remote: ap("198.51.100.1:4001"), Signal: 7, Confirmed: true}),
		"media_blocked":      env(events.MediaBlocked{Parties: []int{1, 2}, All: true, Media: ref(true), DTMF: ref(false)}),
		"deletion_scheduled": env(events.DeletionScheduled{Parties: []int{1}, At: 5}),
		"parties_removed":    env(events.PartiesRemoved{Parties: []int{1, 3}}),
		"rolled_over":        env(events.RolledOver{Party: 1, Media: 2, RTCP: true, Out: true, SSRC: 1 << 31, ROC: 3, Seq: 40000, Idx: 5, Key: 1 << 63}),
		"taken_over":         env(events.TakenOver{Owner: "n2", From: "n1", Epoch: 2, Why: "owner gone", Parties: sig.Parties}),
		"ended": env(events.Ended{
			Reason: events.ReasonSilentTimeout, RTP: events.Counters{Packets: 1, Bytes: 172, Errors: 2}, RTCP: events.Counters{Packets: 3},
		}),
		"unknown": env(events.Unknown{Name: "party_teleported", Body: []byte(`{"to":"mars"}`)}),
	}
	out["ended_created"] = env(events.Ended{
		Reason: events.ReasonDeleted, Created: 1_699_999_999_000_000, RTP: events.Counters{Packets: 1, Bytes: 172}, ZeroWay: 1, OneWay: 2,
	})
	out["ended_lost"] = env(events.Ended{Reason: events.ReasonDeleted, RTP: events.Counters{Packets: 1, Bytes: 172}, Lost: 1 << 63})
	out["ended_until"] = env(events.Ended{Reason: events.ReasonDeleted, Created: 1_699_999_999_000_000, Until: 1_699_999_999_500_000})
	out["leg_silent"] = env(events.LegSilent{Party: 1, Media: 2, Tag: "a", Since: 1_699_999_999_000_000, Packets: 3})
	crypto := events.Crypto{
		Tag: 1, Suite: "AES_CM_128_HMAC_SHA1_80", Key: events.Secret("\x00\xff0123456789012345678901234567"), MKI: "12", MKILen: 4, Lifetime: "2^20",
		UnencryptedSRTP: true, UnencryptedSRTCP: true, UnauthenticatedSRTP: true,
	}
	out["offered_srtp"] = env(events.Offered{Signalling: events.Signalling{Parties: []events.Party{{Medias: []events.Media{{
		Type: "audio", Protocol: "RTP/SAVP", Recrypt: true, EndToEnd: true, SRTP: &events.SRTP{
			Received: []events.Crypto{crypto, {Suite: "AEAD_AES_128_GCM"}}, Sent: []events.Crypto{crypto}, In: crypto, Out: crypto,
			OSRTP: true, OffererPref: true,
		},
	}}}}}})
	placed := events.Party{ID: 1, Medias: []events.Media{{Type: "audio", Protocol: "RTP/AVP", Place: 2, Proposed: events.ProposedAgain}}}
	out["offered_pending"] = env(events.Offered{Signalling: events.Signalling{Parties: []events.Party{placed}, From: 1, Pending: true, Branch: "z9hG4bK2"}})
	out["answered_offer"] = env(events.Answered{Signalling: events.Signalling{Parties: []events.Party{placed}, To: 1, Answers: 3}})
	out["taken_over_proposals"] = env(events.TakenOver{Owner: "n2", From: "n1", Epoch: 2, Parties: []events.Party{placed}, Proposals: []events.Proposal{{
		Number: 2, At: 1_700_000_000_000_000, Branch: "z9hG4bK2", From: 1, To: 2, FromMedias: placed.Medias, ToMedias: placed.Medias, Pending: true, Answered: true, First: true,
	}}})
	out["taken_over_outdated"] = env(events.TakenOver{Owner: "n2", From: "n1", Epoch: 2, Proposals: []events.Proposal{{
		Number: 1, At: 1_700_000_000_000_000, From: 1, To: 2, Answered: true, First: true, Said: "audio 192.0.2.7:6000 sendrecv 0;", Outdated: true,
	}}})
	out["offered_extmap"] = env(events.Offered{Signalling: events.Signalling{Parties: []events.Party{{Medias: []events.Media{{
		Type: "audio", Protocol: "RTP/AVP", Extmaps: true, NoAllowMixed: true, LoopCheck: true, Withheld: &[]events.Extmap{
			{ID: 3, URI: "urn:ietf:params:rtp-hdrext:sdes:mid", Direction: "sendonly", Masked: true}, {ID: 4, URI: "urn:x"},
		},
	}}}}}})
	out["offered_seen"] = env(events.Offered{Signalling: events.Signalling{Parties: []events.Party{{
		Medias: []events.Media{{Type: "audio", Protocol: "RTP/AVP", Former: &ports}}, Seen: addr("203.0.113.9"),
	}}}})
	caused := env(events.DeletionScheduled{At: 6})
	caused.Call = "caf\xe9"
	caused.Cause = &events.Cause{
		Cookie: "1_2", From: ap("192.0.2.20:5000"), Request: []byte("d7:command6:deletee"), Reply: []byte("d6:result2:oke"),
	}
	out["caused"] = caused
	timed := env(events.DeletionScheduled{At: 6})
	timed.Cause = ref(*caused.Cause)
	timed.Cause.Took = 1234
	out["caused_took"] = timed
	return out
}

// TestGolden reads entries as earlier releases wrote them. The encoding of this release must be one of them.
func TestGolden(t *testing.T) {
	all := samples()
	for name, want := range all {
		file := filepath.Join("testdata", "golden", name+".v1.json")
		data, err := events.Encode(want)
		if err != nil {
			t.Fatal(err)
		}
		old, err := os.ReadFile(file)
		if os.IsNotExist(err) && *update {
			if err := os.WriteFile(file, data, 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if string(old) != string(data) {
			t.Errorf("%s: this release writes another form; entries of the old one are in use\n got %s\nwant %s", name, data, old)
		}
	}
	files, err := filepath.Glob(filepath.Join("testdata", "golden", "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		name, _, _ := strings.Cut(filepath.Base(f), ".")
		want, ok := all[name]
		if !ok {
			t.Errorf("%s has no sample", f)
			continue
		}
		data, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		got, err := events.Decode(data)
		if err != nil {
			t.Errorf("%s: %v", f, err)
			continue
		}
		if !same(got, want) {
			t.Errorf("%s: %s", f, diff(got, want))
		}
	}
}
