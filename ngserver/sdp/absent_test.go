package sdp

import (
	"slices"
	"testing"
)

// Sections with port 0, as phones, gateways and browsers write them or might. None of them is there (RFC 3264 §6, §8.2).
var absent = []struct {
	name, text string
	typ, proto string
	formats    []string
}{
	{"plain", "m=video 0 RTP/AVP 96\n", "video", "RTP/AVP", []string{"96"}},
	{"more zeros", "m=video 000 RTP/AVP 96\n", "video", "RTP/AVP", []string{"96"}},
	{"payload type out of range", "m=video 0 RTP/AVP 255\n", "video", "RTP/AVP", []string{"255"}},
	{"payload type that is none", "m=video 0 RTP/AVP - x 99999999999999999999\n", "video", "RTP/AVP", []string{"-", "x", "99999999999999999999"}},
	{"no formats", "m=video 0 RTP/SAVPF\n", "video", "RTP/SAVPF", nil},
	{"blanks for formats", "m=video 0 RTP/SAVPF   \n", "video", "RTP/SAVPF", nil},
	{"blanks at the end", "m=video 0 RTP/AVP 96 97  \n", "video", "RTP/AVP", []string{"96", "97"}},
	{"blanks between", "m=video  0   RTP/AVP   96\n", "video", "RTP/AVP", []string{"96"}},
	{"star for payload types", "m=audio 0 RTP/AVP *\n", "audio", "RTP/AVP", []string{"*"}},
	{"format for transport", "m=application 0 *\n", "application", "", []string{"*"}},
	{"payload type for transport", "m=video 0 96\n", "video", "", []string{"96"}},
	{"no transport", "m=video 0\n", "video", "", nil},
	{"no transport but blanks", "m=video 0  \n", "video", "", nil},
	{"unknown transport", "m=video 0 foo bar\n", "video", "foo", []string{"bar"}},
	{"unknown transport alone", "m=video 0 foo\n", "video", "foo", nil},
	{"fax without format", "m=image 0 udptl\n", "image", "udptl", nil},
	{"data channel", "m=application 0 UDP/DTLS/SCTP webrtc-datachannel\n", "application", "UDP/DTLS/SCTP", []string{"webrtc-datachannel"}},
	{"unknown type", "m=wobble 0 RTP/AVP 0\n", "wobble", "RTP/AVP", []string{"0"}},
	{"count of ports 0", "m=video 0/0 RTP/AVP 96\n", "video", "RTP/AVP", []string{"96"}},
	{"count of ports out of range", "m=video 0/20 RTP/AVP 96\n", "video", "RTP/AVP", []string{"96"}},
	{"count of ports that is none", "m=video 0/ RTP/AVP 96\n", "video", "RTP/AVP", []string{"96"}},
	{"host name for address", "m=video 0 RTP/AVP 96\nc=IN IP4 host.example.com\n", "video", "RTP/AVP", []string{"96"}},
	{"multicast", "m=video 0 RTP/AVP 96\nc=IN IP4 233.252.0.1/127\n", "video", "RTP/AVP", []string{"96"}},
	{"empty address", "m=video 0 RTP/AVP 96\nc=\n", "video", "RTP/AVP", []string{"96"}},
	{"address of the other family", "m=video 0 RTP/AVP 96\nc=IN IP6 192.0.2.9\n", "video", "RTP/AVP", []string{"96"}},
	{"two addresses", "m=video 0 RTP/AVP 96\nc=IN IP4 192.0.2.9\nc=IN IP4 192.0.2.9\n", "video", "RTP/AVP", []string{"96"}},
	{"unspecified address", "m=video 0 RTP/AVP 96\nc=IN IP4 0.0.0.0\n", "video", "RTP/AVP", []string{"96"}},
	{"attributes of nonsense", "m=video 0 RTP/AVP 96\na=\na=:\na=rtpmap:\na=rtcp:abc\na=crypto:\na=mid\na=ptime:x\n", "video", "RTP/AVP", []string{"96"}},
	{"bandwidth of nonsense", "m=video 0 RTP/AVP 96\nb=\nb=AS\n", "video", "RTP/AVP", []string{"96"}},
	{"lines of the session", "m=video 0 RTP/AVP 96\no=- 1 1 IN IP4 192.0.2.1\ns=-\nt=0 0\nu=x\ne=x\np=x\n", "video", "RTP/AVP", []string{"96"}},
	{"unknown letters", "m=video 0 RTP/AVP 96\nf=x\ny=1\nA=b\n", "video", "RTP/AVP", []string{"96"}},
	{"no lines at all", "m=video 0 RTP/AVP 96\nfoo\n \na\n", "video", "RTP/AVP", []string{"96"}},
}

// TestAbsentSection: nothing in a section with port 0 refuses a body, wherever it stands, and its neighbours are what they
// are without it.
func TestAbsentSection(t *testing.T) {
	const live = "m=audio 4000 RTP/AVP 8 0\nc=IN IP4 192.0.2.9\na=ptime:20\n"
	const fax = "m=image 4002 udptl t38\nc=IN IP6 2001:db8::9\na=T38FaxVersion:0\n"
	for _, tt := range absent {
		for _, place := range []struct {
			name, body string
			at         int // of the section
			neighbours int
		}{
			{"alone", tt.text, 0, 0},
			{"first", tt.text + live + fax, 0, 2},
			{"between", live + tt.text + fax, 1, 2},
			{"last", live + fax + tt.text, 2, 2},
			{"without its last line end", live + fax + tt.text[:len(tt.text)-1], 2, 2},
		} {
			t.Run(tt.name+"/"+place.name, func(t *testing.T) {
				s, err := Parse([]byte("v=0\no=- 1 1 IN IP4 192.0.2.1\ns=-\nt=0 0\n" + place.body))
				if err != nil {
					t.Fatal(err)
				}
				if err := s.Check(); err != nil {
					t.Error(err)
				}
				if len(s.Media) != place.neighbours+1 {
					t.Fatalf("%d sections", len(s.Media))
				}
				m := &s.Media[place.at]
				if m.Type != tt.typ || m.Port != 0 || m.Protocol != tt.proto || !slices.Equal(m.Formats, tt.formats) {
					t.Errorf("%s %d %q %q", m.Type, m.Port, m.Protocol, m.Formats)
				}
				for i := range s.Media {
					if n := &s.Media[i]; i != place.at && (len(n.Attributes) != 1 || n.ConnectionLine() == nil || n.Port == 0) {
						t.Errorf("a neighbour: %+v", n)
					}
				}
				again, err := Parse(s.AppendTo(nil))
				if err != nil || len(again.Media) != len(s.Media) || again.Media[place.at].Line != m.Line {
					t.Errorf("written and read again: %v", err)
				}
			})
		}
	}
}

// TestLiveSectionIsStrict: a port that is not 0 makes each of these count again.
func TestLiveSectionIsStrict(t *testing.T) {
	for _, text := range []string{
		"m=video 1 RTP/AVP 255\n", "m=video 1\n", "m=video 1/0 RTP/AVP 96\n", "m=video 1 RTP/AVP 96\nc=IN IP4 host.example.com\n",
		"m=video 1 RTP/AVP 96\nc=\n", "m=video 1 RTP/AVP 96\nf=x\n", "m=video 1 RTP/AVP 96\nfoo\n", "m=video 1 RTP/AVP 96\ns=-\n",
		"m=video 0 RTP/AVP 96\nm=audio\n", "m=video 0 RTP/AVP 96\nv=1\n", "m=video x RTP/AVP 96\n", "m=video -0 RTP/AVP 96\n", "m=\n",
	} {
		s, err := Parse([]byte("v=0\no=- 1 1 IN IP4 192.0.2.1\ns=-\nc=IN IP4 192.0.2.9\nt=0 0\n" + text))
		if err == nil {
			err = s.Check()
		}
		if err == nil {
			t.Errorf("%q is taken", text)
		}
	}
}
