package events_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"rtpjet/events"
)

const sealedSDP = "v=0\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNk|2^31\r\na=crypto:2 X inline:\r\na=crypto:3 Y inline:WVla\\/bg==\r\n"

func sealedCall() events.Envelope {
	key := events.Crypto{Tag: 1, Suite: "AES_CM_128_HMAC_SHA1_80", Key: "ABCDEFGHIJKLMNOPQRSTUVWXYZabcd"}
	m := events.Media{Type: "audio", Protocol: "RTP/SAVP"}
	m.SetKeys(events.SRTP{Received: []events.Crypto{key}, In: key})
	return events.Envelope{
		Call: "c", Gen: 1, Node: "n", At: 1, Event: events.Offered{Signalling: events.Signalling{Parties: []events.Party{{Medias: []events.Media{m}}}}},
		Cause: &events.Cause{Cookie: "k", Request: []byte(sealedSDP), Reply: []byte("again " + sealedSDP)},
	}
}

// What is sealed shows no key, opens to what it was with a key of the list, and with no other.
func TestSeal(t *testing.T) {
	sealer := func(keys ...string) *events.Sealer {
		var list [][]byte
		for _, k := range keys {
			list = append(list, []byte(k))
		}
		s, err := events.NewSealer(list...)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	env := sealedCall()
	data, err := events.Encode(sealer("old").Seal(env))
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{"QUJDREVG", "WVla", "ABCDEFGH"} {
		if bytes.Contains(data, []byte(secret)) {
			t.Errorf("%s shows in\n%s", secret, data)
		}
	}
	sealed, err := events.Decode(data)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []*events.Sealer{sealer("old"), sealer("new", "old")} {
		if got, err := s.Open(sealed); err != nil || !same(got, env) {
			t.Errorf("opened: %v\n%s", err, diff(got, env))
		}
	}
	for _, s := range []*events.Sealer{nil, sealer("new")} {
		if _, err := s.Open(sealed); !errors.Is(err, events.ErrSealed) {
			t.Errorf("opened with the wrong key: %v", err)
		}
	}
	if again, err := events.Encode(sealer("old").Seal(env)); err != nil || !bytes.Equal(again, data) {
		t.Error("sealed twice, the bytes differ: an append that is repeated would not be recognised")
	}
}

func TestHideKeys(t *testing.T) {
	want := strings.NewReplacer("QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNk", "[hidden]", `WVla\/bg==`, "[hidden]").Replace(sealedSDP)
	if got := events.HideKeys(sealedSDP, "[hidden]"); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	inJSON := `"sdp":"a=crypto:1 S inline:QUJD\/Q==\r\na=crypto:2 S inline:Q\u002fJD\r\n"`
	if got := events.HideKeys(inJSON, "x"); got != `"sdp":"a=crypto:1 S inline:x\r\na=crypto:2 S inline:x\r\n"` {
		t.Error(got)
	}
	if got := events.HideKeys("no key", "x"); got != "no key" {
		t.Error(got)
	}
}
