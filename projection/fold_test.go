package projection_test

import (
	"bytes"
	"fmt"
	"net/netip"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"

	"rtpjet/events"
	"rtpjet/projection"
	"rtpjet/projection/projectiontest"
)

// script is a call as its commands make it; %[1]d is its number.
type script struct{ name, offer, answer string }

var scripts = []script{
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

// entries returns the log of call number n with the commands' bytes: an offer, its answer, an address learned on each side
// of each section, and, if ended, the end.
func (s script) entries(tb testing.TB, n int, ended bool) (log [][]byte) {
	d := projectiontest.NewDriver()
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
	for i, body := range []string{s.offer, s.answer} {
		command := []string{"offer", "answer"}[i]
		sdp := projectiontest.SDP(command, fmt.Sprintf(body, n, 20000+4*(n%10000)))
		keys := []any{"from-tag", tags[0], "via-branch", fmt.Sprintf("z9hG4bK%012x", n), "replace", "origin", "sdp", []byte(sdp)}
		if i == 1 {
			keys = append(keys, "to-tag", tags[1])
		}
		req, err := projectiontest.Request(command, keys...)
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

// replay folds a log as a node does that starts.
func replay(tb testing.TB, c *projection.Call, log [][]byte) {
	for i, data := range log {
		e, err := events.Decode(data)
		if err != nil {
			tb.Fatal(err)
		}
		c.Apply(uint64(i+1), e)
	}
}

// BenchmarkFold folds calls from their entries, on one core.
func BenchmarkFold(b *testing.B) {
	for _, s := range scripts {
		for _, ended := range []bool{true, false} {
			name := s.name + ", live"
			if ended {
				name = s.name + ", ended"
			}
			b.Run(strings.ReplaceAll(name, " ", "_"), func(b *testing.B) {
				const different = 500 // more than the caches hold
				var logs [different][][]byte
				size, count := 0, 0
				for n := range logs {
					logs[n] = s.entries(b, n, ended)
					for _, data := range logs[n] {
						size += len(data)
						count++
					}
				}
				before := runtime.GOMAXPROCS(1)
				defer runtime.GOMAXPROCS(before)
				b.ReportAllocs()
				b.ResetTimer()
				began := time.Now()
				done := 0
				for i := range b.N {
					var c projection.Call
					replay(b, &c, logs[i%different])
					done += len(logs[i%different])
					if c.Live() == ended {
						b.Fatal("the call is live or not, and should be the other")
					}
				}
				b.ReportMetric(float64(done)/time.Since(began).Seconds(), "events/s")
				b.ReportMetric(float64(size)/float64(count), "B/event")
			})
		}
	}
}

// perCall returns what a folded live call takes of the heap. The entries themselves are gone, as they are in a node.
func perCall(tb testing.TB, s script, n int) float64 {
	type entry struct{ projection.Call }
	calls := make(map[string]*entry, n)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for i := range n {
		log := s.entries(tb, i, false)
		e := &entry{}
		replay(tb, &e.Call, log)
		calls[e.ID] = e
	}
	runtime.GC()
	runtime.GC() // what the first one found may have had a finalizer
	runtime.ReadMemStats(&after)
	defer runtime.KeepAlive(calls)
	for _, e := range calls {
		if !e.Live() || len(e.Parties) != 2 || !e.Parties[1].Medias[0].Learned.RTP.IsValid() {
			tb.Fatalf("an odd call: %#v", e)
		}
		break
	}
	return float64(after.HeapAlloc-before.HeapAlloc) / float64(n)
}

// BenchmarkCallMemory reports the heap that a folded live call of another node takes, the map's share with it.
func BenchmarkCallMemory(b *testing.B) {
	for _, s := range scripts {
		b.Run(strings.ReplaceAll(s.name, " ", "_"), func(b *testing.B) {
			var got float64
			for range b.N {
				got = perCall(b, s, 20_000)
			}
			b.ReportMetric(got, "B/call")
		})
	}
}

// A live call of two parties takes 3,000 bytes at most: a node keeps those of the whole cluster.
func TestCallMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("20,000 calls")
	}
	const limit = 3000
	if got := perCall(t, scripts[0], 4000); got > limit {
		t.Errorf("a call takes %.0f bytes, more than %d", got, limit)
	}
}

// Lists of an event may share memory (events, decode_codecs.go), and what a fold keeps is what the events brought: neither
// applying events nor deciding commands may change a list in place.
func TestFoldKeepsEvents(t *testing.T) {
	for _, s := range scripts {
		log := s.entries(t, 1, false)
		var read []events.Envelope
		var was [][]byte
		d := projectiontest.NewDriver()
		d.Log = nil
		for _, data := range log {
			e, err := events.Decode(data)
			if err != nil {
				t.Fatal(err)
			}
			e.Call = "call"
			read, was = append(read, e), append(was, encode(t, e))
			d.Log = append(d.Log, e)
			d.Call.Apply(uint64(len(d.Log)), e)
			look(&d.Call)
		}
		before := *d.Replay()
		for _, step := range []string{"offer", "answer", "block media", "delete"} {
			for _, options := range [][]any{
				{}, {"flags", "codec-strip-PCMA"}, {"flags", []string{"codec-mask-all", "codec-offer-PCMU"}}, {"flags", []string{"codec-strip-all", "codec-except-opus"}},
				{"flags", "reset"}, {"sdp-media-remove", "video"},
			} {
				keys := append([]any{"from-tag", d.Call.Party(0).Tag, "to-tag", d.Call.Party(1).Tag, "delete-delay", 3}, options...)
				if body := map[string]string{"offer": s.offer, "answer": s.answer}[step]; body != "" {
					keys = append(keys, "sdp", []byte(projectiontest.SDP(step, fmt.Sprintf(body, 1, 22222))))
				}
				req, err := projectiontest.Request(step, keys...)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := d.Do(req); err != nil {
					t.Fatalf("%s %v: %v", step, options, err)
				}
				look(&d.Call)
			}
		}
		for i, e := range read {
			if !bytes.Equal(encode(t, e), was[i]) {
				t.Errorf("%s: event %d changed\nfrom %s\nto   %s", s.name, i+1, was[i], encode(t, e))
			}
		}
		d.Log = d.Log[:len(read)]
		if !reflect.DeepEqual(*d.Replay(), before) {
			t.Errorf("%s: a replay gives another call", s.name)
		}
	}
}

func encode(t *testing.T, e events.Envelope) []byte {
	t.Helper()
	data, err := events.Encode(e)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
