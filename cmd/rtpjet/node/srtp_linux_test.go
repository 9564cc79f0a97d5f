package node_test

import (
	"bytes"
	"encoding/base64"
	be "encoding/binary"
	"fmt"
	"net/netip"
	"regexp"
	"strings"
	"testing"

	"github.com/pion/srtp/v3"

	"rtpjet/cmd/rtpjet/cli"
	"rtpjet/events"
)

// secure is one direction between a phone and the relay, on pion's side.
type secure struct {
	t     testing.TB
	suite string
	ctx   *srtp.Context
	seq   uint32 // with its rollovers
}

var profiles = map[string]srtp.ProtectionProfile{
	"AES_CM_128_HMAC_SHA1_80": srtp.ProtectionProfileAes128CmHmacSha1_80,
	"AES_CM_128_HMAC_SHA1_32": srtp.ProtectionProfileAes128CmHmacSha1_32,
	"AES_256_CM_HMAC_SHA1_80": srtp.ProtectionProfileAes256CmHmacSha1_80,
	"AEAD_AES_128_GCM":        srtp.ProtectionProfileAeadAes128Gcm,
	"AEAD_AES_256_GCM":        srtp.ProtectionProfileAeadAes256Gcm,
}

var saltLen = map[string]int{"AEAD_AES_128_GCM": 12, "AEAD_AES_256_GCM": 12}

func newSecure(t testing.TB, suite string, key []byte) *secure {
	t.Helper()
	salt := 14
	if n, ok := saltLen[suite]; ok {
		salt = n
	}
	ctx, err := srtp.CreateContext(key[:len(key)-salt], key[len(key)-salt:], profiles[suite])
	if err != nil {
		t.Fatal(err)
	}
	return &secure{t: t, suite: suite, ctx: ctx, seq: 1}
}

// packet makes the next RTP packet in the clear.
func (s *secure) packet() []byte {
	p := make([]byte, 12, 40)
	p[0], p[1] = 0x80, 0
	be.BigEndian.PutUint16(p[2:], uint16(s.seq))
	be.BigEndian.PutUint32(p[8:], 0xcafe)
	s.seq++
	return append(p, fmt.Sprint("speech ", s.seq)...)
}

func (s *secure) seal(plain []byte) []byte {
	out, err := s.ctx.EncryptRTP(nil, plain, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	return out
}

func (s *secure) open(sealed []byte) []byte {
	out, err := s.ctx.DecryptRTP(nil, sealed, nil)
	if err != nil {
		s.t.Fatalf("the relay's packet cannot be decrypted: %v", err)
	}
	return out
}

var cryptoLine = regexp.MustCompile(`a=crypto:(\d+) (\S+) inline:([A-Za-z0-9+/]+)`)

// keyOf finds the key of a suite in an SDP.
func keyOf(t testing.TB, sdp, suite string) []byte {
	t.Helper()
	for _, m := range cryptoLine.FindAllStringSubmatch(sdp, -1) {
		if m[2] == suite {
			key, err := base64.RawStdEncoding.DecodeString(m[3])
			if err != nil {
				t.Fatal(err)
			}
			return key
		}
	}
	t.Fatalf("no %s in\n%s", suite, sdp)
	return nil
}

func savp(at netip.AddrPort, suite string, key []byte) string {
	return strings.Replace(audio(at), "RTP/AVP", "RTP/SAVP", 1) +
		"a=crypto:1 " + suite + " inline:" + base64.RawStdEncoding.EncodeToString(key) + "\r\n"
}

// secureCall is a call of an encrypted phone a and a plain one b.
type secureCall struct {
	*call
	up, down *secure // from a, and to a
}

func (n *testNode) placeSecure(id, suite string, keyLen int) *secureCall {
	t := n.ng.t
	t.Helper()
	c := &call{t: t, id: id, a: newPhone(t), b: newPhone(t)}
	key := bytes.Repeat([]byte{7}, keyLen)
	plain := dict{"transport-protocol": "RTP/AVP"}
	toB := n.sdp(offer(id, savp(c.a.addr(), suite, key), plain))
	if strings.Contains(toB, "crypto") || strings.Contains(toB, "SAVP") {
		t.Fatalf("the plain side is offered\n%s", toB)
	}
	toA := n.sdp(answer(id, c.b.body()))
	if !strings.Contains(toA, "RTP/SAVP ") {
		t.Fatalf("the encrypted side is answered\n%s", toA)
	}
	c.atB, c.atA = legs(t, toB)[0], legs(t, toA)[0]
	return &secureCall{call: c, up: newSecure(t, suite, key), down: newSecure(t, suite, keyOf(t, toA, suite))}
}

// talk passes one packet each way.
func (c *secureCall) talk() {
	c.t.Helper()
	pkt := c.up.packet()
	send(c.t, c.a.rtp, c.atA.rtp, c.up.seal(pkt))
	if got, _ := receive(c.t, c.b.rtp); !bytes.Equal(got, pkt) {
		c.t.Fatalf("the plain side received % x, want % x", got, pkt)
	}
	back := c.down.packet()
	send(c.t, c.b.rtp, c.atB.rtp, back)
	got, _ := receive(c.t, c.a.rtp)
	if bytes.Equal(got, back) {
		c.t.Fatal("the encrypted side received a plain packet")
	}
	if got = c.down.open(got); !bytes.Equal(got, back) {
		c.t.Fatalf("the encrypted side received % x, want % x", got, back)
	}
}

func TestSRTP(t *testing.T) {
	t.Parallel()
	n := startNode(t)
	for suite, keyLen := range map[string]int{
		"AES_CM_128_HMAC_SHA1_80": 30, "AES_CM_128_HMAC_SHA1_32": 30, "AES_256_CM_HMAC_SHA1_80": 46,
		"AEAD_AES_128_GCM": 28, "AEAD_AES_256_GCM": 44,
	} {
		c := n.placeSecure("srtp "+suite, suite, keyLen)
		for range 5 {
			c.talk()
		}
		// What is forged goes nowhere.
		forged := c.up.seal(c.up.packet())
		forged[len(forged)-1] ^= 1
		send(t, c.a.rtp, c.atA.rtp, forged)
		c.talk()
		n.ok(remove(c.id))
	}
	n.idle()
}

// The older form of OSRTP: of two sections that are one the phone takes the secure one, at the port of both.
func TestSRTPTwins(t *testing.T) {
	t.Parallel()
	n := startNode(t)
	const suite = "AES_CM_128_HMAC_SHA1_80"
	for _, secureFirst := range []bool{false, true} {
		c := &call{t: t, id: fmt.Sprint("twins ", secureFirst), a: newPhone(t), b: newPhone(t)}
		key := bytes.Repeat([]byte{7}, 30)
		secure := strings.TrimPrefix(savp(c.a.addr(), suite, key), session(c.a.addr().Addr()))
		var toA, toB string
		if secureFirst { // a has both
			toB = n.sdp(offer(c.id, session(c.a.addr().Addr())+secure+section(5000), dict{"OSRTP": []any{"accept-legacy"}, "transport-protocol": "RTP/AVP"}))
			toA = n.sdp(answer(c.id, c.b.body()))
		} else { // a is told both
			toA = n.sdp(offer(c.id, c.b.body(), dict{"OSRTP": []any{"offer-legacy"}}))
			toB = n.sdp(answer(c.id, session(c.a.addr().Addr())+section(0)+secure))
		}
		sections := legs(t, toA)
		if len(sections) != 2 || len(legs(t, toB)) != 1 {
			t.Fatalf("a is told\n%s\nand b\n%s", toA, toB)
		}
		if secureFirst {
			c.atA = sections[0]
		} else {
			c.atA = sections[1]
		}
		c.atB = legs(t, toB)[0]
		both := &secureCall{call: c, up: newSecure(t, suite, key), down: newSecure(t, suite, keyOf(t, toA, suite))}
		for range 3 {
			both.talk()
		}
		n.ok(remove(c.id))
	}
	n.idle()
}

// A call goes on through a restart with its keys and rollovers, and the log shows none of its keys.
func TestSRTPRestart(t *testing.T) {
	t.Parallel()
	s, host := newStore(t), newHost()
	const suite = "AES_CM_128_HMAC_SHA1_80"
	same := func(o *settings) { o.store, o.host = s, host; keyed("a secret of this cluster")(o) }
	n := startNode(t, same)
	c := n.placeSecure("long", suite, 30)
	c.up.seq, c.down.seq = 65_000, 65_000
	c.talk()
	for c.up.seq < 65_540 { // over the wrap
		c.talk()
	}
	crossed := 0
	eventually(t, "the wrap is not in the log", func() error {
		crossed = 0
		for _, env := range n.events(c.id) {
			if ev, ok := env.Event.(events.RolledOver); ok && ev.ROC == 1 {
				crossed++
			}
		}
		return when(crossed >= 2)
	})
	n.stop()
	n = startNode(t, same)
	for range 20 {
		c.talk()
	}
	entries, err := s.log.History(t.Context(), events.Key(c.id))
	if err != nil {
		t.Fatal(err)
	}
	key := base64.RawStdEncoding.EncodeToString(bytes.Repeat([]byte{7}, 30))
	for _, in := range entries {
		if bytes.Contains(in.Data, []byte(key[:20])) {
			t.Errorf("event %d shows a key:\n%q", in.Seq, in.Data)
		}
	}
	var show strings.Builder
	if err := cli.CallShow(t.Context(), s.log, c.id, &show, true, false, nil); err != nil || strings.Contains(show.String(), key[:20]) {
		t.Errorf("call show without being asked for keys: %v\n%s", err, &show)
	}
	if err := cli.CallShow(t.Context(), s.log, c.id, &show, true, true, nil); err == nil || !strings.Contains(err.Error(), "--cluster-key-file") {
		t.Errorf("call show of keys without the cluster key: %v", err)
	}
	sealer, err := events.NewSealer([]byte("a secret of this cluster"))
	if err != nil {
		t.Fatal(err)
	}
	if err := cli.CallShow(t.Context(), s.log, c.id, &show, true, true, sealer); err != nil || !strings.Contains(show.String(), key[:20]) {
		t.Errorf("call show of keys: %v\n%s", err, &show)
	}
	n.ok(remove(c.id))
	n.idle()
}

// A log that is sealed with another key is left alone; with the new key above the old one, calls go on.
func TestSealKeyChanged(t *testing.T) {
	t.Parallel()
	s, host := newStore(t), newHost()
	at := func(o *settings) { o.store, o.host, o.Link = s, host, s.log }
	n := startNode(t, at, keyed("the old key of the cluster"))
	c := n.placeSecure("sealed", "AEAD_AES_128_GCM", 28)
	c.talk()
	n.stop()
	last := s.mark()
	if err := failToStart(t, s, keyed("some other key")); err == nil || !strings.Contains(err.Error(), "--cluster-key-file") {
		t.Errorf("with another key: %v", err)
	}
	if got := s.last(); got != last {
		t.Errorf("a node of another key has written %d events", got-last)
	}
	n = startNode(t, at, func(o *settings) {
		o.SealKeys = [][]byte{[]byte("the new key of the cluster"), []byte("the old key of the cluster")}
		o.ClusterKey = o.SealKeys[0]
	})
	c.talk()
	n.ok(remove(c.id))
	n.idle()
}
