package rewrite_test

import (
	"bytes"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"rtpjet/events"
	"rtpjet/ngserver/rewrite"
	"rtpjet/ngserver/sdp"
	"rtpjet/projection"
	"rtpjet/projection/projectiontest"
)

// play sends one message and checks what must hold whatever it says.
func play(t rapid.TB, d *projectiontest.Driver, command, from, to, flags, body string) {
	t.Helper()
	req, err := projectiontest.Request(command, "from-tag", from, "to-tag", to, "rtpp-flags", flags, "sdp", []byte(body))
	if err != nil {
		return
	}
	d.Now += 1_000_000
	before := len(d.Log)
	text, err := d.Do(req)
	if err != nil {
		var r *projection.Refusal
		if !errors.As(err, &r) || r.Reason == "" {
			t.Fatalf("the error is no refusal: %v", err)
		}
		if len(d.Log) != before || !reflect.DeepEqual(d.Replay(), &d.Call) {
			t.Fatal("a refused command changed the call")
		}
		return
	}
	if err := projectiontest.Check(&d.Call, d.Res); err != nil {
		t.Fatalf("%v, after\n%s", err, body)
	}
	if !reflect.DeepEqual(d.Replay(), &d.Call) {
		t.Fatal("a replay gives another call")
	}
	if len(d.Log) == before {
		if text != body {
			t.Fatalf("loop protection changed the SDP to\n%s", text)
		}
		return
	}
	in, err := sdp.Parse([]byte(body))
	if err != nil {
		t.Fatal(err)
	}
	out, err := sdp.Parse([]byte(text))
	if err != nil {
		t.Fatalf("%v in\n%s\nmade from\n%s", err, text, body)
	}
	if strings.Contains(strings.ReplaceAll(text, "\r\n", ""), "\n") || !strings.HasSuffix(text, "\r\n") {
		t.Fatalf("a line does not end in CRLF in %q", text)
	}
	if err := out.Check(); err != nil {
		t.Fatalf("%v in\n%s\nmade from\n%s", err, text, body)
	}
	for i := range out.Media {
		if m := &out.Media[i]; m.Port == 0 && !usable(m) {
			t.Fatalf("section %d is %q in\n%s\nmade from\n%s", i+1, m.Line, text, body)
		}
	}
	checkSections(t, d.Log[len(d.Log)-1].Event, in, out)
	if t.Failed() {
		t.Fatalf("in\n%s\nmade from\n%s", text, body)
	}
}

// checkSections holds the SDP that came and the one that went out against the sections that the event says the two parties have: each
// side sees all of its own, in its own order, and none is live that the sender has refused or does not have.
func checkSections(t rapid.TB, e events.Event, in, out *sdp.Session) {
	t.Helper()
	var s events.Signalling
	offer := false
	switch ev := e.(type) {
	case events.Offered:
		s, offer = ev.Signalling, true
	case events.Answered:
		s = ev.Signalling
	}
	from, to := &s.Parties[0], &s.Parties[1]
	if twins(from) || twins(to) || !offer && len(to.Peers) > 1 { // what one branch refuses, the event may keep for another one
		return
	}
	sent, got := projection.Order(from.Medias), projection.Order(to.Medias)
	if offer && len(sent) != len(in.Media) {
		t.Errorf("%d sections came, and the sender has %d", len(in.Media), len(sent))
	}
	if len(got) != len(out.Media) {
		t.Fatalf("the receiver has %d sections, and is told of %d", len(got), len(out.Media))
	}
	for k, pos := range got {
		m := &out.Media[k]
		if want := to.Medias[pos].Type; m.Type != want {
			t.Errorf("section %d is %s, not %s", k+1, m.Type, want)
		}
		if (pos >= len(from.Medias) || from.Medias[pos].Hidden || from.Medias[pos].Rejected) && m.Port != 0 {
			t.Errorf("section %d is live, and the sender has none", k+1)
		}
	}
	if !offer {
		return
	}
	for i, pos := range sent {
		if from.Medias[pos].Type != in.Media[i].Type {
			t.Errorf("section %d of the sender is %s, not %s", i+1, from.Medias[pos].Type, in.Media[i].Type)
		}
	}
}

// usable tells whether an m= line is one by the grammar of RFC 8866 §9, with payload types for an RTP profile.
func usable(m *sdp.Media) bool {
	for _, f := range m.Formats {
		if _, ok := sdp.ParsePT(f); m.IsRTP() && !ok {
			return false
		}
	}
	return m.Protocol != "" && len(m.Formats) > 0 && m.Line == strings.Join(strings.Fields(m.Line), " ")
}

// twins tells whether a party sees a section as two.
func twins(p *events.Party) bool {
	return slices.ContainsFunc(p.Medias, func(m events.Media) bool { return m.Twin != 0 })
}

// key30 is the base64 of 30 bytes.
const key30 = "WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz"

func FuzzSignal(f *testing.F) {
	full := projectiontest.SDP("offer", "m=audio 4000 RTP/AVP 8 101\na=rtpmap:101 telephone-event/8000\na=rtcp-mux\na=mid:1\n"+
		"a=extmap:1 urn:x\nm=image 4002 udptl t38\na=T38FaxVersion:0\nm=message 4004 TCP/MSRP *\nm=video 0 RTP/AVP 34\n")
	hold := projectiontest.SDP("answer", "c=IN IP6 ::\nm=audio 5000 RTP/SAVPF 8\na=sendonly\nm=image 0 udptl t38\nm=message 5 TCP/MSRP *\nm=video 0 RTP/AVP 34\n")
	f.Add([]byte(full), []byte(hold), "generate-mid replace=[origin-full]", "")
	f.Add([]byte(full), []byte(full), "sdp-media-remove=[image] rtcp-mux=[require]", "rtcp-mux=[demux]")
	f.Add([]byte(hold), []byte(full), "address-family=IP6 codec-strip-all allow-no-codec-media", "WebRTC loop-protect")
	f.Add([]byte(full), []byte(full), "sdp-attr=[audio=[add=[x] remove=[rtcp-mux]]] extmap=[strip=[all]]", "media-address=2001:db8::1")
	keyed := projectiontest.SDP("offer", "m=audio 4000 RTP/SAVP 0\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:"+key30+"|2^20|1:4 UNENCRYPTED_SRTP\n"+
		"a=crypto:2 AEAD_AES_256_GCM inline:"+key30+"\n")
	osrtp := projectiontest.SDP("answer", "m=audio 5000 RTP/AVP 0\na=crypto:1 AES_CM_128_HMAC_SHA1_32 inline:"+key30+"\n")
	f.Add([]byte(keyed), []byte(osrtp), "RTP/AVP", "SDES=[static pad lifetime]")
	f.Add([]byte(osrtp), []byte(keyed), "RTP/SAVPF SDES=[order:AEAD_AES_128_GCM unencrypted_srtp]", "OSRTP=[accept]")
	twins := projectiontest.SDP("offer", "m=audio 4000 RTP/AVP 0\nm=audio 4002 RTP/SAVP 0\na=crypto:1 AES_CM_128_HMAC_SHA1_32 inline:"+key30+"\n")
	f.Add([]byte(twins), []byte(keyed), "OSRTP=[accept-legacy]", "OSRTP=[offer-legacy]")
	f.Add([]byte(osrtp), []byte(twins), "OSRTP=[offer-legacy]", "OSRTP=[accept-legacy]")
	f.Fuzz(func(t *testing.T, a, b []byte, flagsA, flagsB string) {
		if len(a)+len(b) > 1<<14 {
			t.Skip()
		}
		d := projectiontest.NewDriver()
		play(t, d, "offer", "a", "", flagsA, string(a))
		play(t, d, "answer", "a", "b", flagsB, string(b))
		play(t, d, "offer", "b", "a", flagsB, string(a))
		play(t, d, "answer", "b", "a", flagsA, string(b))
		play(t, d, "offer", "a", "b", flagsB, string(b))
		play(t, d, "offer", "a", "", flagsA+" via-branch=x", string(a))
		play(t, d, "answer", "a", "c", flagsB, string(a))
	})
}

// TestRandomDialogues mixes messages of three phones with options at random.
func TestRandomDialogues(t *testing.T) {
	sections := []string{
		"m=audio 4000 RTP/AVP 0 8 101\na=rtpmap:101 telephone-event/8000\n", "m=audio 4000 RTP/AVP 8\na=rtcp-mux\n",
		"m=audio 4010 RTP/AVP 96\na=rtpmap:96 opus/48000/2\na=rtcp:4020\n", "m=audio 0 RTP/AVP 0\n", "m=image 4000 udptl t38\n",
		"m=video 0 RTP/AVP 255\n", "m=audio 0 RTP/SAVP\nc=IN IP4 host.example.com\n", "m=application 0 *\n", "m=image 0\n", "m=message 0 TCP/MSRP  \n",
		"m=message 4000 TCP/MSRP *\n", "m=audio 4000 RTP/AVP 0\nc=IN IP4 0.0.0.0\n", "m=video 4002 RTP/SAVP 34\na=recvonly\n",
		"m=audio 4000 RTP/AVP 0\na=ice-ufrag:abcd\na=ice-pwd:abcdefghijklmnopqrstuv\n", "m=audio 4000 RTP/AVP\n",
		"m=audio 4000 RTP/SAVP 0\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:" + key30 + "|2^31|1:4\n",
		"m=audio 4000 RTP/SAVP 0\na=crypto:2 AES_CM_128_HMAC_SHA1_32 inline:" + key30 + "\na=crypto:7 AES_CM_128_HMAC_SHA1_80 inline:" + key30 + "\n",
		"m=audio 4000 RTP/AVP 0\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:" + key30 + " UNENCRYPTED_SRTP\n",
		"m=audio 4000 RTP/SAVPF 0\na=fingerprint:sha-1 00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:00:11:22:33\na=setup:actpass\n",
	}
	options := []string{
		"rtcp-mux=[offer]", "rtcp-mux=[require]", "rtcp-mux=[demux]", "rtcp-mux=[accept]", "rtcp-mux=[reject]", "address-family=IP6",
		"direction=[priv pub]", "direction=[pub priv]", "replace=[origin-full]", "replace=[SDP-version origin]", "port-latching",
		"no-port-latching", "reset", "codec-strip-all codec-offer-PCMA", "codec-strip-all allow-no-codec-media", "sdp-media-remove=[video]",
		"original-sendrecv", "generate-mid", "RTP/AVPF", "RTP/AVP", "RTP/SAVP", "RTP/SAVPF", "UDP/TLS/RTP/SAVPF",
		"OSRTP=[offer]", "OSRTP=[accept]", "OSRTP=[offer-legacy]", "OSRTP=[accept-legacy]", "SDES=[off]", "SDES=[nonew]", "SDES=[static]", "SDES=[only-AES_CM_128_HMAC_SHA1_32]",
		"SDES=[offerer_pref:AES_CM_128_HMAC_SHA1_32]", "recrypt", "via-branch=x", "via-branch=y", "new-branch", "full-rtcp-attribute",
	}
	tags := []string{"a", "b", "c", ""}
	rapid.Check(t, func(t *rapid.T) {
		d := projectiontest.NewDriver()
		for range rapid.IntRange(1, 12).Draw(t, "messages") {
			command := rapid.SampledFrom([]string{"offer", "answer", "offer", "answer", "delete"}).Draw(t, "command")
			flags := strings.Join(rapid.SliceOfN(rapid.SampledFrom(options), 0, 3).Draw(t, "options"), " ")
			body := ""
			for range rapid.IntRange(1, 3).Draw(t, "sections") {
				body += rapid.SampledFrom(sections).Draw(t, "section")
			}
			if command == "delete" {
				flags, body = "delete-delay=0", ""
			}
			if rapid.Bool().Draw(t, "ipv6") {
				body = "c=IN IP6 2001:db8:1::1\n" + body
			}
			from, to := rapid.SampledFrom(tags).Draw(t, "from"), rapid.SampledFrom(tags).Draw(t, "to")
			if command == "delete" {
				req, err := projectiontest.Request("delete", "from-tag", from, "delete-delay", 0)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := d.Do(req); err != nil {
					t.Fatal(err)
				}
				if err := projectiontest.Check(&d.Call, d.Res); err != nil {
					t.Fatal(err)
				}
				continue
			}
			play(t, d, command, from, to, flags, projectiontest.SDP(command, body))
		}
	})
}

// The same message in the same state gives the same SDP and the same event: nothing depends on the order of a map.
func TestDeterministic(t *testing.T) {
	body := []byte(projectiontest.SDP("offer", "m=audio 4000 RTP/AVP 8 0 101\na=rtpmap:101 telephone-event/8000\nm=video 4002 RTP/AVP 34\n"))
	req, err := projectiontest.Request("offer", "from-tag", "a", "sdp", body, "rtpp-flags", "generate-mid replace=[origin] codec-strip-PCMA")
	if err != nil {
		t.Fatal(err)
	}
	var first *rewrite.Outcome
	for range 20 {
		out, err := rewrite.Signal(nil, req, false, rewrite.Settings{Node: "n"}, projectiontest.New(), projectiontest.Start)
		if err != nil {
			t.Fatal(err)
		}
		if first == nil {
			first = out
		}
		if !bytes.Equal(out.SDP, first.SDP) || !reflect.DeepEqual(out.Event, first.Event) {
			t.Fatalf("%s\n%s", out.SDP, first.SDP)
		}
	}
}
