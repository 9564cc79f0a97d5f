package sdp

import (
	"fmt"
	"strings"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"
	pion "github.com/pion/sdp/v3"
)

// What both parsers accept, both must read alike. Known and wanted differences are kept out of the comparison: pion wraps
// numbers of o= and t= that exceed 64 bits, reads on after a blank line, takes an empty body, and does not mind where the
// line of a word in o=, c= or t= ends; and tabs separate words.

// view is what the two are compared by.
type view struct {
	Username, Address, Name, Connection string
	Attributes                          []string
	Media                               []mediaView
}

type mediaView struct {
	Type, Proto, Connection string
	Port, Ports             int
	Formats, Attributes     []string
}

func ours(s *Session) view {
	v := view{Name: s.Name, Connection: ourAddr(s.Connection), Attributes: ourAttrs(s.Attributes)}
	if s.Origin != nil {
		v.Username, v.Address = s.Origin.Username, s.Origin.Address
	}
	for i := range s.Media {
		m := &s.Media[i]
		v.Media = append(v.Media, mediaView{m.Type, m.Protocol, ourAddr(m.Connection), int(m.Port), m.Ports, m.Formats,
			ourAttrs(m.Attributes)})
	}
	return v
}

func ourAddr(c *Connection) string {
	if c == nil {
		return ""
	}
	return c.NetType + " " + c.AddrType + " " + c.Address
}

func ourAttrs(attrs []Attribute) []string {
	var out []string
	for _, a := range attrs {
		name, _, _ := strings.Cut(a.Line, ":") // Name has no trailing spaces
		if name == "" {
			// pion takes "a=:x" for a name with a colon in it, we for an empty name. Neither means anything.
			out = append(out, a.Line+"\x00")
			continue
		}
		out = append(out, name+"\x00"+a.Value)
	}
	return out
}

func theirs(d *pion.SessionDescription) view {
	v := view{Name: string(d.SessionName), Connection: theirAddr(d.ConnectionInformation), Attributes: theirAttrs(d.Attributes),
		Username: d.Origin.Username, Address: d.Origin.UnicastAddress}
	for _, m := range d.MediaDescriptions {
		n := mediaView{m.MediaName.Media, strings.Join(m.MediaName.Protos, "/"), theirAddr(m.ConnectionInformation),
			m.MediaName.Port.Value, 1, m.MediaName.Formats, theirAttrs(m.Attributes)}
		if m.MediaName.Port.Range != nil {
			n.Ports = *m.MediaName.Port.Range
		}
		v.Media = append(v.Media, n)
	}
	return v
}

func theirAddr(c *pion.ConnectionInformation) string {
	if c == nil {
		return ""
	}
	return c.NetworkType + " " + c.AddressType + " " + c.Address.Address
}

func theirAttrs(attrs []pion.Attribute) []string {
	var out []string
	for _, a := range attrs {
		out = append(out, a.Key+"\x00"+a.Value)
	}
	return out
}

// compare reports whether both took the body.
func compare(t *testing.T, body []byte) bool {
	t.Helper()
	s, err := Parse(body)
	if err != nil {
		return false
	}
	d := pion.SessionDescription{}
	if d.Unmarshal(body) != nil {
		return false
	}
	if !sameRules(body) {
		return false
	}
	if diff := cmp.Diff(theirs(&d), ours(s)); diff != "" {
		t.Errorf("-pion +ours\n%s\n%q", diff, body)
	}
	return true
}

// sameRules reports whether the body has nothing in it of which the two are known to think differently.
func sameRules(body []byte) bool {
	fields := map[byte]int{'o': 6, 'c': 3, 't': 2}
	for rest, more := string(body), true; more; {
		var line string
		if line, rest, more = cutLine(rest); line == "" {
			return strings.Trim(rest, "\r\n") == ""
		}
		if n := fields[line[0]]; n != 0 && len(strings.Split(line, " ")) != n || strings.ContainsRune(line, '\r') {
			return false
		}
		if line[0] != 'a' && strings.ContainsFunc(line, func(r rune) bool { return r != ' ' && unicode.IsSpace(r) }) {
			return false
		}
	}
	return true
}

func TestOracleOnCorpus(t *testing.T) {
	both := 0
	for name, body := range corpus(t) {
		if compare(t, body) {
			both++
		} else {
			t.Logf("not taken by both: %s", name)
		}
	}
	// pion takes no T.38, no sloppy lines and no two sessions.
	if both < 15 {
		t.Errorf("only %d bodies were compared", both)
	}
}

// The kinds of sections and lines that both know, in all pairs.
func TestOracleOnCombinations(t *testing.T) {
	heads := []string{head, noC, strings.ReplaceAll(head, "\n", "\r\n"),
		"v=0\r\no=user 1 2 IN IP6 2001:db8::1\r\ns= \r\ni=x\r\nc=IN IP6 2001:db8::1\r\nb=AS:1\r\nt=0 0\r\na=group:BUNDLE 0\r\n"}
	sections := []string{audio, "m=video 0/2 RTP/AVP 96  97 \n", "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\n",
		"m=message 7 TCP/MSRP *\nc=IN IP4 192.0.2.7\n", "m=text 65535 UDP/TLS/RTP/SAVPF 98\na=sendonly\n"}
	lines := []string{"", "a=x:y:z\n", "a=x:\n", "a=x\n", "a=:\n", "a= x \n", "i=info\nc=IN IP4 192.0.2.8\nb=AS:3\n"}
	n := 0
	for _, h := range heads {
		for _, s1 := range sections {
			for _, l1 := range lines {
				for _, s2 := range sections {
					for _, l2 := range lines {
						if compare(t, []byte(h+s1+l1+s2+l2)) {
							n++
						}
					}
				}
			}
		}
	}
	if n < 2000 {
		t.Errorf("only %d bodies were compared", n)
	}
	t.Log(fmt.Sprint(n, " bodies compared"))
}

func FuzzOracle(f *testing.F) {
	for _, body := range corpus(f) {
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body []byte) { compare(t, body) })
}
