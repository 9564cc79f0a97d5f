package events_test

import (
	"bytes"
	"encoding/base64"
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
	m := events.Media{Crypto: []events.Crypto{c}, CryptoSent: []events.Crypto{c}, CryptoIn: c, CryptoOut: c}
	var out bytes.Buffer
	log := slog.New(slog.NewTextHandler(&out, nil))
	log.Info("x", "crypto", c, "key", c.Key, "media", m)
	slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "crypto", c, "key", c.Key)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
		for _, v := range []any{c, &c, c.Key, m, &m, events.Offered{Signalling: events.Signalling{Parties: []events.Party{{Medias: []events.Media{m}}}}}} {
			fmt.Fprintf(&out, verb+"\n", v)
		}
	}
	p := events.Party{Medias: []events.Media{m}}
	fmt.Fprintln(&out, p.WithoutKeys().Medias[0].CryptoIn.Key == "")
	for _, form := range []string{key, base64.StdEncoding.EncodeToString([]byte(key)), fmt.Sprintf("%x", key), fmt.Sprintf("%X", key), fmt.Sprintf("%d", []byte(key))} {
		if strings.Contains(out.String(), form) {
			t.Errorf("%q is in\n%s", form, out.String())
		}
	}
	if p.Medias[0].CryptoIn.Key == "" || p.Medias[0].Crypto[0].Key == "" {
		t.Error("the original has lost its keys")
	}
	if got, want := c.String(), "1 AES_CM_128_HMAC_SHA1_80 inline:[hidden]|7:2 UNENCRYPTED_SRTCP"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
