package ng

import "testing"

// kamailioOffer is in fixtures_test.go.
func BenchmarkParse(b *testing.B) {
	b.SetBytes(int64(len(kamailioOffer)))
	b.ReportAllocs()
	for b.Loop() {
		d, _, err := DecodeDict(kamailioOffer)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := Parse(d); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkReply(b *testing.B) {
	sdp := make([]byte, 1200)
	buf := make([]byte, 0, 4096)
	b.ReportAllocs()
	for b.Loop() {
		r := OK()
		r.Bytes("sdp", sdp)
		buf = r.Append(buf[:0], Bencode)
	}
}
