package srtp

import (
	"bytes"
	"crypto/aes"
	"encoding/binary"
	"encoding/hex"
	"strings"
	"testing"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestKeyDerivation has the vectors of RFC 3711 §B.3 and RFC 6188 §7.2 to §7.4.
func TestKeyDerivation(t *testing.T) {
	for _, v := range []struct{ name, key, salt, cipher, sessionSalt, auth string }{
		{
			"RFC 3711", "E1F97A0D3E018BE0D64FA32C06DE4139", "0EC675AD498AFEEBB6960B3AABE6",
			"C61E7A93744F39EE10734AFE3FF7A087", "30CBBC08863D8C85D49DB34A9AE1", "CEBE321F6FF7716B6FD4AB49AF256A156D38BAA4",
		},
		{
			"RFC 6188, 192", "73edc66c4fa15776fb57f9505c17136550ffda71f3e8e5f1", "c8522f3acd4ce86d5add78edbb11",
			"31874736a8f1143870c26e4857d8a5b2c4a354407faadabb", "2372b82d639b6d8503a47adc0a6c", "355b10973cd95b9eacf4061c7e1a7151e7cfbfcb",
		},
		{
			"RFC 6188, 256", "f0f04914b513f2763a1b1fa130f10e2998f6f6e43e4309d1e622a0e332b9f1b6", "3b04803de51ee7c96423ab5b78d2",
			"5ba1064e30ec51613cad926c5a28ef731ec7fb397f70a960653caf06554cd8c4", "fa31791685ca444a9e07c6c64e93", "fd9c32d39ed5fbb5a9dc96b30818454d1313dc05",
		},
	} {
		master, err := aes.NewCipher(unhex(t, v.key))
		if err != nil {
			t.Fatal(err)
		}
		for _, k := range []struct {
			label byte
			want  string
		}{{labelKey, v.cipher}, {labelSalt, v.sessionSalt}, {labelAuth, v.auth}} {
			want := unhex(t, k.want)
			got := make([]byte, len(want))
			derive(master, string(unhex(t, v.salt)), k.label, got)
			if !bytes.Equal(got, want) {
				t.Errorf("%s, label %d: %x, want %x", v.name, k.label, got, want)
			}
		}
	}
}

// TestKeyStream has the vectors of RFC 3711 §B.2 and RFC 6188 §7.1 to §7.3: SSRC and index are 0.
func TestKeyStream(t *testing.T) {
	for _, v := range []struct{ name, key, stream string }{
		{
			"AES-128", "2B7E151628AED2A6ABF7158809CF4F3C",
			"E03EAD0935C95E80E166B16DD92B4EB4D23513162B02D0F72A43A2FE4A5F97AB41E95B3BB0A2E8DD477901E4FCA894C0",
		},
		{
			"AES-192", "eab234764e517b2d3d160d587d8c86219740f65f99b6bcf7",
			"35096cba4610028dc1b57503804ce37c5de986291dcce161d5165ec4568f5c9a474a40c77894bc17180202272a4c264d",
		},
		{
			"AES-256", "57f82fe3613fd170a85ec93c40b1f0922ec4cb0dc025b58272147cc438944a98",
			"92bdd28a93c3f52511c677d08b5515a49da71b2378a854f67050756ded165bac63c4868b7096d88421b563b8c94c9a31",
		},
	} {
		block, err := aes.NewCipher(unhex(t, v.key))
		if err != nil {
			t.Fatal(err)
		}
		s := cmSession{session: &session{block: block}}
		copy(s.salt[:], unhex(t, "f0f1f2f3f4f5f6f7f8f9fafbfcfd"))
		want := unhex(t, v.stream)
		if got := s.crypt(nil, make([]byte, len(want)), 0, 0); !bytes.Equal(got, want) {
			t.Errorf("%s: %x, want %x", v.name, got, want)
		}
		// The last blocks of the RFC's longest stream are those before the counter of blocks is full.
		long := s.crypt(nil, make([]byte, 65535), 0, 0)
		var last [16]byte
		copy(last[:], unhex(t, "f0f1f2f3f4f5f6f7f8f9fafbfcfd"))
		binary.BigEndian.PutUint16(last[14:], 4095)
		block.Encrypt(last[:], last[:])
		if !bytes.Equal(long[4095*16:], last[:15]) {
			t.Errorf("%s: the stream of a long packet ends in %x, want %x", v.name, long[4095*16:], last)
		}
	}
}

// TestF8 has the vectors of RFC 3711 §B.1. Their salt is of 32 bits, and the key is the session's.
func TestF8(t *testing.T) {
	key, salt := unhex(t, "234829008467be186c3de14aae72d62c"), unhex(t, "32f2870d")
	block, err := aes.NewCipher(key)
	if err != nil {
		t.Fatal(err)
	}
	masked, err := maskedCipher(key, salt)
	if err != nil {
		t.Fatal(err)
	}
	s := cmSession{session: &session{block: block, masked: masked}}
	pkt := append(unhex(t, "806e5cba50681de55c621599"), "pseudorandomness is the next best thing"...)
	s.headerRTP(pkt, 0xd462564a<<16|0x5cba)
	if want := unhex(t, "006e5cba50681de55c621599d462564a"); !bytes.Equal(s.iv[:], want) {
		t.Errorf("IV %x, want %x", s.iv, want)
	}
	want := unhex(t, "019ce7a26e7854014a6366aa95d4eefd 1ad4172a14f9faf455b7f1d4b62bd08f 562c0eef7c4802")
	got := s.cryptRTP(nil, pkt[12:], pkt, 0xd462564a<<16|0x5cba)
	if !bytes.Equal(got, want) {
		t.Errorf("%x, want %x", got, want)
	}
	if want := unhex(t, "595b699bbd3bc0df26062093c1ad8f73"); !bytes.Equal(s.iv[:], want) {
		t.Errorf("IV' %x, want %x", s.iv, want)
	}
	if back := s.cryptRTP(nil, got, pkt, 0xd462564a<<16|0x5cba); !bytes.Equal(back, pkt[12:]) {
		t.Errorf("%q back", back)
	}
	s.headerRTCP(unhex(t, "81c8000d4d617273"), 0x800005d4)
	if want := unhex(t, "00000000800005d481c8000d4d617273"); !bytes.Equal(s.iv[:], want) {
		t.Errorf("IV of RTCP %x, want %x", s.iv, want)
	}
}

// TestGCM has the vectors of RFC 7714 §16 and §17, which begin at session keys.
func TestGCM(t *testing.T) {
	rtp := unhex(t, `8040f17b 8041f8d3 5501a0b2 47616c6c 69612065 7374206f 6d6e6973 20646976 69736120 696e2070 61727465 73207472 6573`)
	rtcp := unhex(t, `81c8000d 4d617273 4e545031 4e545032 52545020 0000042a 0000e930 4c756e61
		deadbeef deadbeef deadbeef deadbeef deadbeef`)
	const rtcpIndex = 0x5d4
	for _, v := range []struct{ key, rtp, rtpClear, rtcp, rtcpClear string }{
		{
			"000102030405060708090a0b0c0d0e0f",
			`8040f17b 8041f8d3 5501a0b2 f24de3a3 fb34de6c acba861c 9d7e4bca be633bd5 0d294e6f 42a5f47a 51c7d19b 36de3adf 8833899d
			7f27beb1 6a9152cf 765ee439 0cce`,
			`8040f17b 8041f8d3 5501a0b2 47616c6c 69612065 7374206f 6d6e6973 20646976 69736120 696e2070 61727465 73207472
			65732249 3f82d2bc e397e9d7 9e3b19aa 4216`,
			`81c8000d 4d617273 63e94885 dcdab67c a727d766 2f6b7e99 7ff5c0f7 6c06f32d c676a5f1 730d6fda 4ce09b46 86303ded
			0bb9275b c84aa458 96cf4d2f c5abf872 45d9eade 800005d4`,
			`81c8000d 4d617273 4e545031 4e545032 52545020 0000042a 0000e930 4c756e61 deadbeef deadbeef deadbeef deadbeef
			deadbeef 841dd968 3dd78ec9 2ae58790 125f62b3 000005d4`,
		},
		{
			"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
			`8040f17b 8041f8d3 5501a0b2 32b1de78 a822fe12 ef9f78fa 332e33aa b1801238 9a58e2f3 b50b2a02 76ffae0f 1ba63799
			b87b7aa3 db36dfff d6b0f9bb 7878d7a7 6c13`,
			`8040f17b 8041f8d3 5501a0b2 47616c6c 69612065 7374206f 6d6e6973 20646976 69736120 696e2070 61727465 73207472
			6573a866 d5910f88 7463067c eefec452 15d4`,
			`81c8000d 4d617273 d50ae4d1 f5ce5d30 4ba297e4 7d470c28 2c3ece5d bffe0a50 a2eaa5c1 110555be 8415f658 c61de047
			6f1b6fad 1d1eb30c 4446839f 57ff6f6c b26ac3be 800005d4`,
			`81c8000d 4d617273 4e545031 4e545032 52545020 0000042a 0000e930 4c756e61 deadbeef deadbeef deadbeef deadbeef
			deadbeef 91db4afb feee5a97 8fab4393 ed2615fe 000005d4`,
		},
	} {
		g := &gcm{}
		for _, s := range []*gcmSession{&g.rtp, &g.rtcp} {
			s.aead = aeadOf(t, unhex(t, v.key))
			copy(s.salt[:], unhex(t, "51756964 2070726f 2071756f"))
		}
		for _, clear := range []bool{false, true} {
			wantRTP, wantRTCP := v.rtp, v.rtcp
			if g.rtp.clear, g.rtcp.clear = clear, clear; clear {
				wantRTP, wantRTCP = v.rtpClear, v.rtcpClear
			}
			sealed := g.sealRTP(nil, rtp, 12, 0xf17b)
			if want := unhex(t, wantRTP); !bytes.Equal(sealed, want) {
				t.Errorf("RTP: %x, want %x", sealed, want)
			}
			if got, ok := g.openRTP(nil, sealed, 12, 0xf17b); !ok || !bytes.Equal(got, rtp) {
				t.Errorf("RTP: %x back, want %x", got, rtp)
			}
			sealed = g.sealRTCP(nil, rtcp, rtcpIndex)
			if want := unhex(t, wantRTCP); !bytes.Equal(sealed, want) {
				t.Errorf("RTCP: %x, want %x", sealed, want)
			}
			if got, ok := g.openRTCP(nil, sealed); !ok || !bytes.Equal(got, rtcp) {
				t.Errorf("RTCP: %x back, want %x", got, rtcp)
			}
		}
	}
}
