package main

import (
	"net/netip"
	"time"
)

// call is a call between two phones.
type call struct {
	id       string
	a, b     *phone
	toA, toB netip.AddrPort // where a and b have to send to
	version  int
}

func (s *stage) call(id string) *call { return &call{id: id, a: s.phone(), b: s.phone(), version: 1} }

func (k *call) offer(sdp string, more ...dict) []dict {
	return append([]dict{{"command": "offer", "call-id": k.id, "from-tag": "a", "sdp": sdp}}, more...)
}

func (k *call) answer(sdp string, more ...dict) []dict {
	return append([]dict{{"command": "answer", "call-id": k.id, "from-tag": "a", "to-tag": "b", "sdp": sdp}}, more...)
}

func (k *call) cmd(command string, more ...dict) []dict {
	return append([]dict{{"command": command, "call-id": k.id}}, more...)
}

// setUp offers and answers these sections.
func (k *call) setUp(at, then *node, sections ...string) *call {
	k.toB = first(at.do(k.offer(k.a.sdp(k.version, sections...))...))
	k.toA = first(then.do(k.answer(k.b.sdp(k.version, sections...))...))
	return k
}

// reinvite makes a re-INVITE of a.
func (k *call) reinvite(at *node, offer, answer []string, more ...dict) *call {
	k.version++
	k.toB = first(at.do(k.offer(k.a.sdp(k.version, offer...), append([]dict{{"to-tag": "b"}}, more...)...)...))
	k.toA = first(at.do(k.answer(k.b.sdp(k.version, answer...), more...)...))
	return k
}

func (k *call) talk(d time.Duration) *call {
	talk(k.a, k.toA, k.b, k.toB, d)
	return k
}

// first is the port of the first section that has one.
func first(reply dict) netip.AddrPort {
	for _, p := range ports(reply) {
		if p.Port() != 0 {
			return p
		}
	}
	return netip.AddrPort{}
}

const (
	audio  = "m=audio %p RTP/AVP 0 8 101|a=rtpmap:101 telephone-event/8000|a=fmtp:101 0-15"
	video  = "m=video 4002 RTP/AVP 96 97|a=rtpmap:96 H264/90000|a=fmtp:96 profile-level-id=42e01f|a=rtpmap:97 VP8/90000"
	fax    = "m=image %p udptl t38|a=T38FaxVersion:0|a=T38MaxBitRate:14400"
	noCall = "m=audio 0 RTP/AVP 0"
)

// scenes plays what one node decides: each call is one thing that commands can do. It returns the call-ids of those with keys.
func scenes(s *stage, n *node) (keyed []string) {
	plainScenes(s, n)
	partyScenes(s, n)
	mediaScenes(s, n)
	return secureScenes(s, n)
}

// plainScenes are calls from their offer to their end.
func plainScenes(s *stage, n *node) {
	k := s.call("plain").setUp(n, n).talk(0)
	k.a.send(netip.AddrPortFrom(k.toA.Addr(), k.toA.Port()+1), true)
	n.do(k.cmd("query")...)
	n.do(k.cmd("delete", dict{"from-tag": "a", "delete-delay": 0})...)
	k.setUp(n, n) // another call under the call-id
	n.do(k.cmd("delete", dict{"delete-delay": 0})...)

	k = s.call("confirmed").setUp(n, n).talk(4 * time.Second) // learning ends
	k.reinvite(n, nil, nil).talk(0)

	k = s.call("delayed").setUp(n, n)
	n.do(k.cmd("delete", dict{"from-tag": "a", "to-tag": "b", "delete-delay": 60})...)
	k.reinvite(n, nil, nil) // signalling takes it back
	n.do(k.cmd("delete", dict{"from-tag": "a", "delete-delay": 1})...)
	n.gone(20*time.Second, k.id)

	k = s.call("refused")
	n.do(k.offer(k.a.sdp(1), dict{"metadata": "of the call", "label": "caller", "TOS": 184})...)
	n.do(k.cmd("delete", dict{"from-tag": "a", "delete-delay": 0})...)

	k = s.call("caf\xe9@\xff\x00example").setUp(n, n) // SIP allows bytes that are no UTF-8
	n.do(k.cmd("block DTMF")...)

	k = s.call("drops").setUp(n, n)
	n.do(k.offer(k.a.sdp(2), dict{"to-tag": "b", "drop-traffic": "start", "TOS": 300})...)
	n.do(k.answer(k.b.sdp(2), dict{"drop-traffic": "stop"})...)
	n.do(k.offer(k.a.sdp(3), dict{"to-tag": "b", "drop-traffic": "start"})...) // never answered
}

// partyScenes are forks, tags that change, and parties that leave.
func partyScenes(s *stage, n *node) {
	k := s.call("forks")
	reply := []dict{{"sip-message-type": "sip_reply", "sip-code": 183, "via-branch": "z9-b1"}}
	n.do(k.offer(k.a.sdp(1), dict{"via-branch": "z9-b2", "sip-message-type": "sip_request"})...)
	for _, tag := range []string{"b1", "b2", "b3"} {
		n.do(append(k.answer(s.phone().sdp(1)), append(reply, dict{"to-tag": tag, "flags": []any{"new branch"}})...)...)
	}
	n.do(append(k.answer(k.b.sdp(1)), dict{"to-tag": "b2", "sip-message-type": "sip_reply", "sip-code": 200, "via-branch": "z9-b2"})...)
	n.do(k.cmd("delete", dict{"from-tag": "b3", "delete-delay": 0})...)
	n.do(k.cmd("delete", dict{"from-tag": "b1", "delete-delay": 60})...)

	k = s.call("early forks")
	for _, tag := range []string{"b1", "b2", "b3", "b4"} {
		n.do(k.offer(k.a.sdp(1, audio, video), dict{"via-branch": "z9-" + tag})...)
	}
	for _, tag := range []string{"b1", "b2", "b3", "b4"} {
		n.do(append(k.answer(s.phone().sdp(1, audio, video)), append(reply, dict{"to-tag": tag, "via-branch": "z9-" + tag})...)...)
	}
	n.do(k.cmd("delete", dict{"from-tag": "a", "to-tag": "b4", "flags": []any{"to-tag"}, "delete-delay": 0})...)
	n.do(k.cmd("delete", dict{"from-tag": "a", "via-branch": "z9-b3", "delete-delay": 1})...)
	n.do(k.cmd("delete", dict{"from-tag": "a", "to-tag": "b2", "flags": []any{"to-tag"}, "delete-delay": 600})...)

	k = s.call("alias")
	n.do(k.offer(k.a.sdp(1))...)
	n.do(append(k.answer(k.b.sdp(1)), dict{"to-tag": "b1", "sip-message-type": "sip_reply", "sip-code": 183})...)
	n.do(append(k.answer(k.b.sdp(1)), dict{"to-tag": "b2", "sip-message-type": "sip_reply", "sip-code": 200})...)
	n.do(k.offer(k.a.sdp(2), dict{"to-tag": "b1"})...)

	k = s.call("alias-key")
	n.do(k.offer(k.a.sdp(1), dict{"flags": []any{"alias-key=address"}})...)
	n.do(k.offer(k.a.sdp(1), dict{"from-tag": "a2", "alias-key": "address"})...)

	k = s.call("branches")
	n.do(k.offer(k.a.sdp(1), dict{"via-branch": "z9-x1"})...)
	n.do(k.offer(k.a.sdp(1), dict{"via-branch": "z9-x2"})...)
	n.do(append(k.answer(k.b.sdp(1)), dict{"via-branch": "z9-x2"})...)
	n.do(k.cmd("delete", dict{"from-tag": "a", "via-branch": "z9-x1", "delete-delay": 0})...)

	k = s.call("transfer").setUp(n, n)
	c := s.phone()
	n.do(append(k.offer(k.b.sdp(2)), dict{"from-tag": "b"})...)
	n.do(append(k.answer(c.sdp(1)), dict{"from-tag": "b", "to-tag": "c"})...)

	k = s.call("blocked").setUp(n, n)
	n.do(k.cmd("block media", dict{"from-tag": "a"})...)
	n.do(k.cmd("block DTMF", dict{"from-tag": "b"})...)
	n.do(k.cmd("block media")...)
	n.do(k.cmd("unblock media", dict{"all": "all"})...)
	n.do(k.cmd("block media", dict{"address": k.a.at.Addr().String()})...)
}

// mediaScenes are what sections can be.
func mediaScenes(s *stage, n *node) {
	k := s.call("hold").setUp(n, n).talk(0)
	k.reinvite(n, []string{audio + "|a=sendonly"}, []string{audio + "|a=recvonly"})
	k.reinvite(n, []string{audio + "|c=IN IP4 0.0.0.0|a=inactive"}, []string{audio + "|a=inactive"})
	k.reinvite(n, []string{audio}, []string{audio}).talk(0)

	k = s.call("fax").setUp(n, n)
	k.reinvite(n, []string{fax}, []string{fax})
	k.reinvite(n, []string{noCall, fax}, []string{noCall, fax})

	k = s.call("video").setUp(n, n, audio, video)
	k.reinvite(n, []string{audio, "m=video 0 RTP/AVP 96"}, []string{audio, "m=video 0 RTP/AVP 96"})
	k.reinvite(n, []string{audio, video}, []string{audio, "m=video 0 RTP/AVP 96"})

	k = s.call("hidden")
	n.do(k.offer(k.a.sdp(1, audio, video), dict{"sdp-media-remove": []any{"video"}})...)
	n.do(k.answer(k.b.sdp(1, audio))...)
	n.do(k.offer(k.b.sdp(2, audio), dict{"from-tag": "b", "to-tag": "a"})...)

	k = s.call("no mux")
	n.do(k.offer(k.a.sdp(1, audio+"|a=rtcp-mux"), dict{"rtcp-mux": []any{"reject"}})...)
	n.do(k.answer(k.b.sdp(1))...)

	k = s.call("mux").setUp(n, n, audio+"|a=rtcp-mux")
	k.reinvite(n, []string{audio + "|a=rtcp-mux"}, []string{audio}, dict{"rtcp-mux": []any{"demux"}})
	k.reinvite(n, []string{audio}, []string{audio + "|a=rtcp-mux"}, dict{"rtcp-mux": []any{"offer"}})

	k = s.call("codecs")
	n.do(k.offer(k.a.sdp(1, "m=audio %p RTP/AVP 9 0 8 18 111 101|a=rtpmap:111 opus/48000/2|a=fmtp:111 useinbandfec=1|a=rtpmap:101 telephone-event/8000"),
		dict{"codec": dict{"strip": []any{"G722", "G729"}, "offer": []any{"PCMA"}}})...)
	n.do(k.answer(k.b.sdp(1, "m=audio %p RTP/AVP 8 101|a=rtpmap:101 telephone-event/8000"))...)
	n.do(k.offer(k.a.sdp(2, "m=audio %p RTP/AVP 97|a=rtpmap:97 iLBC/8000"), dict{"to-tag": "b"})...)

	k = s.call("flags")
	n.do(k.offer(k.a.sdp(1, audio+"|a=mid:1|a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level|a=ice-ufrag:abcd|a=ice-pwd:abcdefghabcdefghabcdef"+
		"|a=candidate:1 1 UDP 2130706431 %h %p typ host"),
		dict{"flags": []any{"asymmetric", "strict-source", "media-handover", "port-latching", "NAT-wait", "pierce-NAT", "trust-address",
			"endpoint-learning-immediate", "generate-mid"}, "media-echo": "both", "replace": []any{"origin", "session-connection", "session-name", "username"},
			"received-from": []any{"IP4", "127.77.1.201"}})...)
	n.do(k.answer(k.b.sdp(1), dict{"flags": []any{"unidirectional", "block-dtmf", "SIP-source-address"}, "received-from": []any{"IP4", k.b.at.Addr().String()}, "media-echo": "blackhole"})...)

	k = s.call("behind NAT")
	n.do(k.offer("v=0\r\no=- 1 1 IN IP4 10.0.0.7\r\ns=-\r\nc=IN IP4 10.0.0.7\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n",
		dict{"flags": []any{"SIP-source-address"}, "received-from": []any{"IP4", k.a.at.Addr().String()}})...)
	k.toA = first(n.do(k.answer(k.b.sdp(1))...))
	k.a.send(k.toA, false)

	k = s.call("moves").setUp(n, n).talk(0) // a phone with another address gets other ports, and the ones before when it is back
	k.version++
	other := s.phone()
	before := k.a
	k.a = other
	k.reinvite(n, nil, nil).talk(0)
	k.a = before
	k.reinvite(n, nil, nil).talk(0)
}

// secureScenes are calls with keys.
func secureScenes(s *stage, n *node) (ids []string) {
	savp := "m=audio %p RTP/SAVP 0|"
	secure := func(name string) *call {
		ids = append(ids, name)
		return s.call(name)
	}
	k := secure("srtp end to end")
	k.toB = first(n.do(k.offer(k.a.sdp(1, savp+cryptoLine(1, suite80, 'A')))...))
	k.toA = first(n.do(k.answer(k.b.sdp(1, savp+cryptoLine(1, suite80, 'B')))...))
	k.a.encrypts('A')
	k.b.encrypts('B')
	k.talk(0)

	k = secure("srtp to rtp")
	k.toB = first(n.do(k.offer(k.a.sdp(1, savp+cryptoLine(1, suite80, 'C')+"|"+cryptoLine(2, "AEAD_AES_128_GCM", 'c')), dict{"transport-protocol": "RTP/AVP"})...))
	k.toA = first(n.do(k.answer(k.b.sdp(1))...))
	k.a.encrypts('C')
	k.a.seq = 32700 // it crosses the half of the sequence space
	k.talk(2 * time.Second)
	k.a.send(netip.AddrPortFrom(k.toA.Addr(), k.toA.Port()+1), true)
	n.do(k.offer(k.a.sdp(2, savp+cryptoLine(1, suite80, 'D')), dict{"to-tag": "b", "transport-protocol": "RTP/AVP"})...)

	k = secure("rtp to srtp")
	r := n.do(k.offer(k.a.sdp(1), dict{"transport-protocol": "RTP/SAVP", "SDES": []any{"no-AES_192_CM_HMAC_SHA1_80"}})...)
	k.toB = first(r)
	k.toA = first(n.do(k.answer(k.b.sdp(1, savp+cryptoLine(tagOf(r), suite80, 'E')))...))
	k.b.encrypts('E')
	k.talk(0)

	k = secure("osrtp")
	r = n.do(k.offer(k.a.sdp(1), dict{"OSRTP": []any{"offer"}})...)
	n.do(k.answer(k.b.sdp(1, "m=audio %p RTP/AVP 0|"+cryptoLine(tagOf(r), suite80, 'F')))...)

	k = secure("osrtp twins")
	r = n.do(k.offer(k.a.sdp(1), dict{"OSRTP": []any{"offer-legacy"}, "SDES": []any{"only-" + suite80}})...)
	n.do(k.answer(k.b.sdp(1, "m=audio 0 RTP/AVP 0", "m=audio %p RTP/SAVP 0|"+cryptoLine(tagOf(r), suite80, 'G')))...)
	n.do(k.offer(k.a.sdp(2), dict{"to-tag": "b", "OSRTP": []any{"offer-legacy"}, "SDES": []any{"only-" + suite80}})...)

	k = secure("srtp with parameters")
	n.do(k.offer(k.a.sdp(1, savp+cryptoLine(1, suite80, 'H')+"¦2^20¦1:4 UNENCRYPTED_SRTCP"), dict{"flags": []any{"recrypt"}, "SDES": []any{"offerer_pref:" + suite80}})...)
	n.do(k.answer(k.b.sdp(1, savp+cryptoLine(1, suite80, 'I')+"¦2^20¦2:1 UNENCRYPTED_SRTCP"), dict{"flags": []any{"recrypt"}})...)

	s.call("dtls").setUp(n, n, "m=audio %p UDP/TLS/RTP/SAVPF 0|a=setup:actpass|a=fingerprint:sha-256 "+fingerprint)
	return ids
}

const fingerprint = "00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF"
