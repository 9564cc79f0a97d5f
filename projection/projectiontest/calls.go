package projectiontest

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"rtpjet/events"
)

// Script is a call as its commands make it, for benchmarks: the bodies of its offer and its answer. %[2]d is a port.
type Script struct{ Name, Offer, Answer string }

// Scripts are an ordinary call and a large one.
var Scripts = []Script{
	{
		"audio",
		"m=audio %[2]d RTP/AVP 0 8 9 18 101\na=rtpmap:0 PCMU/8000\na=rtpmap:8 PCMA/8000\na=rtpmap:9 G722/8000\na=rtpmap:18 G729/8000\n" +
			"a=fmtp:18 annexb=no\na=rtpmap:101 telephone-event/8000\na=fmtp:101 0-16\na=ptime:20\na=sendrecv\n",
		"m=audio %[2]d RTP/AVP 0 8 101\na=rtpmap:0 PCMU/8000\na=rtpmap:8 PCMA/8000\na=rtpmap:101 telephone-event/8000\na=fmtp:101 0-16\na=sendrecv\n",
	},
	{
		"audio and video",
		"m=audio %[2]d UDP/TLS/RTP/SAVPF 111 63 9 0 8 13 110 126\na=mid:0\na=rtcp-mux\na=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level\n" +
			"a=rtpmap:111 opus/48000/2\na=fmtp:111 minptime=10;useinbandfec=1\na=rtpmap:63 red/48000/2\na=fmtp:63 111/111\na=rtpmap:9 G722/8000\n" +
			"a=rtpmap:0 PCMU/8000\na=rtpmap:8 PCMA/8000\na=rtpmap:13 CN/8000\na=rtpmap:110 telephone-event/48000\na=rtpmap:126 telephone-event/8000\n" +
			"m=video %[2]d UDP/TLS/RTP/SAVPF 96 97 102 103 98 99 45\na=mid:1\na=rtcp-mux\na=rtpmap:96 VP8/90000\na=rtpmap:97 rtx/90000\na=fmtp:97 apt=96\n" +
			"a=rtpmap:102 H264/90000\na=fmtp:102 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42001f\n" +
			"a=rtpmap:103 rtx/90000\na=fmtp:103 apt=102\na=rtpmap:98 VP9/90000\na=fmtp:98 profile-id=0\na=rtpmap:99 rtx/90000\na=fmtp:99 apt=98\n" +
			"a=rtpmap:45 AV1/90000\na=fmtp:45 level-idx=5;profile=0;tier=0\n",
		"m=audio %[2]d UDP/TLS/RTP/SAVPF 111 110\na=mid:0\na=rtcp-mux\na=rtpmap:111 opus/48000/2\na=fmtp:111 minptime=10;useinbandfec=1\n" +
			"a=rtpmap:110 telephone-event/48000\n" +
			"m=video %[2]d UDP/TLS/RTP/SAVPF 96 97\na=mid:1\na=rtcp-mux\na=rtpmap:96 VP8/90000\na=rtpmap:97 rtx/90000\na=fmtp:97 apt=96\n",
	},
}

// Entries returns the log of call number n with the commands' bytes: an offer, its answer, an address learned on each side
// of each section, and, if ended, the end.
func (s Script) Entries(tb testing.TB, n int, ended bool) (log [][]byte) {
	d := NewDriver()
	d.Set.Node = "media-3.fra"
	call := fmt.Sprintf("f81d4fae-7dec-%08d-a765@198.51.100.7", n)
	add := func(request, reply string) {
		e := d.Log[len(d.Log)-1]
		e.Call = call
		if request != "" {
			e.Cause = &events.Cause{
				Cookie: fmt.Sprintf("%d_%d_1", 4711+n, len(log)), From: netip.MustParseAddrPort("192.0.2.20:5000"),
				Request: []byte(request), Reply: []byte(reply),
			}
		}
		data, err := events.Encode(e)
		if err != nil {
			tb.Fatal(err)
		}
		log = append(log, data)
	}
	tags := [2]string{fmt.Sprintf("as%08x-1928301774", n), fmt.Sprintf("%016x.314159", n*7919)}
	for i, body := range []string{s.Offer, s.Answer} {
		command := []string{"offer", "answer"}[i]
		sdp := SDP(command, fmt.Sprintf(body, n, 20000+4*(n%10000)))
		keys := []any{"from-tag", tags[0], "via-branch", fmt.Sprintf("z9hG4bK%012x", n), "replace", "origin", "sdp", []byte(sdp)}
		if i == 1 {
			keys = append(keys, "to-tag", tags[1])
		}
		req, err := Request(command, keys...)
		if err != nil {
			tb.Fatal(err)
		}
		reply, err := d.Do(req)
		if err != nil {
			tb.Fatal(err)
		}
		add("d7:command5:offer3:sdp"+sdp+strings.Repeat("k", 250), "d6:result2:ok3:sdp"+reply)
	}
	for party := range 2 {
		for media := range d.Call.Party(party).Medias {
			d.Append(events.EndpointLearned{
				Party: party, Media: media, Signal: d.Call.Party(party).Medias[media].Signal, Confirmed: true,
				Remote: netip.AddrPortFrom(netip.AddrFrom4([4]byte{100, 64, byte(n >> 8), byte(n)}), uint16(1024+n%50000)),
			})
			add("", "")
		}
	}
	if ended {
		d.Append(events.Ended{Reason: events.ReasonDeleted, RTP: events.Counters{Packets: 6000, Bytes: 1032000}, RTCP: events.Counters{Packets: 24, Bytes: 1900}})
		add(strings.Repeat("q", 200), strings.Repeat("r", 900))
	}
	return log
}
