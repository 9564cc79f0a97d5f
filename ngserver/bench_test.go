package ngserver_test

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"testing"
	"time"

	"rtpjet/ngserver"
	"rtpjet/ngserver/bencode"
	"rtpjet/ngserver/ng"
)

// offer is what Kamailio's default configuration sends for a call with an SDP of 1.2 kB.
func offer(callID string) []byte {
	sdp := "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0 8 101\r\n"
	for len(sdp) < 1200 {
		sdp += "a=rtpmap:101 telephone-event/8000\r\n"
	}
	d := (&bencode.Dict{}).
		Add("supports", []string{"load limit"}).
		Add("sdp", sdp).
		Add("ICE", "remove").
		Add("direction", []string{"pub", "priv"}).
		Add("flags", []string{"SIP-source-address", "generate-mid"}).
		Add("replace", []string{"origin", "session-connection"}).
		Add("transport-protocol", "RTP/AVP").
		Add("rtcp-mux", []string{"demux"}).
		Add("call-id", callID).
		Add("received-from", []string{"IP4", "192.0.2.1"}).
		Add("from-tag", "bd5a-4c1e-a9d4").
		Add("sip-message-type", "sip_request").
		Add("command", "offer")
	b, err := bencode.Append(nil, d)
	if err != nil {
		panic(err)
	}
	return b
}

// reply has the size of an offer's.
var replyToOffer = func() []byte { return make([]byte, 1200) }()

func offerHandler(context.Context, *ng.Message) ng.Reply {
	r := ng.OK()
	r.Bytes("sdp", replyToOffer)
	return r
}

// BenchmarkDispatch is a command without the sockets: cookie, cache, decoding, parsing, encoding, counting.
func BenchmarkDispatch(b *testing.B) {
	d, err := ngserver.NewDispatcher(ngserver.DispatcherConfig{Handler: ngserver.HandlerFunc(offerHandler), Logger: discard})
	if err != nil {
		b.Fatal(err)
	}
	payload := offer("3848276298220188511@192.0.2.1")
	source := netip.MustParseAddrPort("192.0.2.1:5060")
	ctx := context.Background()
	b.SetBytes(int64(len(payload)))
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		n++
		msg := append(fmt.Appendf(make([]byte, 0, len(payload)+24), "c_%d ", n), payload...)
		if d.Do(ctx, msg, source) == nil {
			b.Fatal("no reply")
		}
	}
}

// BenchmarkUDP is the whole way over loopback, client and server on the same cores; the metric is commands per second.
func BenchmarkUDP(b *testing.B) {
	for _, bm := range []struct {
		name    string
		payload []byte
	}{{"ping", []byte("d7:command4:pinge")}, {"offer", offer("3848276298220188511@192.0.2.1")}} {
		b.Run(bm.name, func(b *testing.B) {
			srv := serve(b, ngserver.Config{Handler: ngserver.HandlerFunc(offerHandler)})
			conn, err := net.Dial("udp", srv.Addrs()[0].String())
			if err != nil {
				b.Fatal(err)
			}
			defer conn.Close()
			const window = 64 // commands under way
			buf := make([]byte, 65536)
			sent, got := 0, 0
			send := func() {
				sent++
				if _, err := conn.Write(append(fmt.Appendf(buf[:0], "b_%d ", sent), bm.payload...)); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportAllocs()
			b.ResetTimer()
			start := time.Now()
			for got < b.N {
				for sent < b.N && sent-got < window {
					send()
				}
				if _, err := conn.Read(buf); err != nil {
					b.Fatal(err)
				}
				got++
			}
			b.ReportMetric(float64(b.N)/time.Since(start).Seconds(), "commands/s")
		})
	}
}
