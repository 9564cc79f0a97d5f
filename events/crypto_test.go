package events_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"rtpjet/events"
)

// No way to print a line prints its key.
func TestCryptoHidesKey(t *testing.T) {
	key := "0123456789abcdefghijklmnopqrst"
	c := events.Crypto{Tag: 1, Suite: "AES_CM_128_HMAC_SHA1_80", Key: events.Secret(key), MKI: "7", MKILen: 2, UnencryptedSRTCP: true}
	m := events.Media{SRTP: &events.SRTP{Received: []events.Crypto{c}, Sent: []events.Crypto{c}, In: c, Out: c}}
	var out bytes.Buffer
	log := slog.New(slog.NewTextHandler(&out, nil))
	slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "crypto", c, "key", c.Key, "media", m)
	log.Info("x", "crypto", c, "key", c.Key, "media", m, "keys", *m.SRTP)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
		for _, v := range []any{c, &c, c.Key, m, &m, *m.SRTP, m.SRTP, events.Offered{Signalling: events.Signalling{Parties: []events.Party{{Medias: []events.Media{m}}}}}} {
			fmt.Fprintf(&out, verb+"\n", v)
		}
	}
	p := events.Party{Medias: []events.Media{m}}
	text, err := json.Marshal([]any{p, p.WithoutKeys()})
	if err != nil {
		t.Fatal(err)
	}
	out.Write(text)
	for _, form := range []string{key, base64.StdEncoding.EncodeToString([]byte(key)), fmt.Sprintf("%x", key), fmt.Sprintf("%X", key), fmt.Sprintf("%d", []byte(key))} {
		if strings.Contains(out.String(), form) {
			t.Errorf("%q is in\n%s", form, out.String())
		}
	}
	if p.Medias[0].SRTP.In.Key == "" || p.Medias[0].SRTP.Received[0].Key == "" {
		t.Error("the original has lost its keys")
	}
	if got, want := c.String(), "1 AES_CM_128_HMAC_SHA1_80 inline:[hidden]|7:2 UNENCRYPTED_SRTCP"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
