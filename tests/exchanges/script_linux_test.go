package exchanges

import (
	"encoding/base64"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// A script is one call.
type script struct {
	name, file, right string
	steps             []step
}

type step struct {
	line int
	text string
}

// load reads all scripts.
func load(t *testing.T) (all []script) {
	t.Helper()
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	seen := map[string]bool{}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		var s *script
		inRight := false
		for line := range strings.Lines(string(text)) {
			n++
			line = strings.TrimRight(line, "\n")
			word, rest, _ := strings.Cut(line, " ")
			switch {
			case line == "" || line[0] == '#':
			case word == "call":
				if seen[rest] {
					t.Fatalf("%s:%d: %s is there already", f, n, rest)
				}
				seen[rest] = true
				all = append(all, script{name: rest, file: filepath.Base(f)})
				s = &all[len(all)-1]
			case s == nil:
				t.Fatalf("%s:%d: no call has begun", f, n)
			case word == "right:":
				s.right, inRight = rest, true
				continue
			case inRight && line[0] == ' ':
				s.right += " " + strings.TrimSpace(line)
				continue
			default:
				s.steps = append(s.steps, step{n, line})
			}
			inRight = false
		}
	}
	return all
}

// words splits a line at blanks outside of quotes and brackets.
func words(s string) (out []string) {
	var w strings.Builder
	quoted, deep := false, 0
	for _, r := range s {
		switch {
		case r == '"':
			quoted = !quoted
		case r == '[' && !quoted:
			deep++
		case r == ']' && !quoted:
			deep--
		case r == ' ' && !quoted && deep == 0:
			if w.Len() > 0 {
				out = append(out, w.String())
			}
			w.Reset()
			continue
		}
		w.WriteRune(r)
	}
	if w.Len() > 0 {
		out = append(out, w.String())
	}
	return out
}

// value is that of an NG key.
func value(s string) any {
	if inner, ok := strings.CutPrefix(s, "["); ok {
		list := []any{}
		for _, w := range words(strings.TrimSuffix(inner, "]")) {
			list = append(list, value(w))
		}
		return list
	}
	if n, err := strconv.Atoi(s); err == nil {
		return n
	}
	return strings.Trim(s, `"`)
}

// keys reads KEY=VALUE words; words in quotes are lines for the SDP's session.
func keys(list []string) (d dict, session []string, err error) {
	d = dict{}
	for _, w := range list {
		if line, ok := strings.CutPrefix(w, `"`); ok {
			session = append(session, strings.TrimSuffix(line, `"`))
			continue
		}
		k, v, ok := strings.Cut(w, "=")
		if !ok {
			return nil, nil, fmt.Errorf("%q is no KEY=VALUE", w)
		}
		d[k] = value(v)
	}
	return d, session, nil
}

// A section is one of an SDP, as a script writes it or as an SDP has it.
type section struct {
	kind, phone string // phone is "off" for port 0
	formats     []string
	direction   string
	proto       string
	at          string // address in c=
	key         string // SRTP
	lines       []string

	// Of what a party sees.
	port   string // same or moved
	on     string // an interface
	absent []string

	// Of an SDP.
	rtp, rtcp netip.AddrPort
}

func (s *section) muxed() bool { return slices.Contains(s.lines, "a=rtcp-mux") }

var directions = []string{"sendrecv", "sendonly", "recvonly", "inactive"}

// sections reads SECTION; …
func sections(text string) (all []section, err error) {
	if strings.TrimSpace(text) == "none" {
		return nil, nil
	}
	for part := range strings.SplitSeq(text, ";") {
		w := words(part)
		if len(w) == 0 {
			return nil, fmt.Errorf("empty section in %q", text)
		}
		s := section{kind: w[0]}
		for _, w := range w[1:] {
			k, v, _ := strings.Cut(w, "=")
			switch {
			case w[0] == '"' && w[1] == '!':
				s.absent = append(s.absent, strings.Trim(w, `"!`))
			case w[0] == '"':
				s.lines = append(s.lines, strings.Trim(w, `"`))
			case w[0] >= '0' && w[0] <= '9':
				s.formats = strings.Split(w, ",")
			case slices.Contains(directions, w):
				s.direction = w
			case w == "same" || w == "moved":
				s.port = w
			case w == "rtcp-mux":
				s.lines = append(s.lines, "a=rtcp-mux")
			case k == "at":
				s.at = v
			case k == "key":
				s.key = v
			case k == "proto":
				s.proto = v
			case k == "on":
				s.on = v
			case s.phone == "":
				s.phone = w
			default:
				return nil, fmt.Errorf("%q in %q", w, part)
			}
		}
		all = append(all, s)
	}
	return all, nil
}

// maps says what the dynamic payload types mean in all scripts.
var maps = map[string]string{
	"96": "opus/48000/2", "97": "AMR-WB/16000", "98": "AMR/8000", "99": "EVS/16000", "101": "telephone-event/8000",
	"102": "H264/90000", "103": "VP8/90000", "104": "iLBC/8000", "105": "speex/16000", "106": "opus/48000/2",
}

// usual are the formats of a section that names none.
var usual = map[string][]string{"audio": {"0", "8", "101"}, "video": {"102"}, "image": {"t38"}, "text": {"98"}}

const suite = "AES_CM_128_HMAC_SHA1_80"

// masterKey is the key and salt that belong to a name.
func masterKey(name string) []byte {
	return []byte((name + strings.Repeat("-", 30))[:30])
}

func inline(name string) string { return base64.StdEncoding.EncodeToString(masterKey(name)) }

// write appends the section to an SDP. port is that of its phone, 0 for none.
func (s *section) write(b *strings.Builder, port uint16) {
	formats := s.formats
	if formats == nil {
		formats = usual[s.kind]
	}
	proto := s.proto
	switch {
	case proto != "":
	case s.kind == "image":
		proto = "udptl"
	case s.key != "":
		proto = "RTP/SAVP"
	default:
		proto = "RTP/AVP"
	}
	fmt.Fprintf(b, "m=%s %d %s %s\r\n", s.kind, port, proto, strings.Join(formats, " "))
	if s.at != "" {
		fmt.Fprintf(b, "c=IN IP4 %s\r\n", s.at)
	}
	for _, f := range formats {
		if m := maps[f]; m != "" && port != 0 && proto != "udptl" {
			fmt.Fprintf(b, "a=rtpmap:%s %s\r\n", f, m)
		}
	}
	if s.key != "" {
		fmt.Fprintf(b, "a=crypto:1 %s inline:%s\r\n", suite, inline(s.key))
	}
	for _, l := range s.lines {
		b.WriteString(l + "\r\n")
	}
	if s.direction != "" {
		b.WriteString("a=" + s.direction + "\r\n")
	}
}

// parse reads the sections of an SDP.
func parse(sdp string) (all []section, err error) {
	session := netip.Addr{}
	for line := range strings.SplitSeq(sdp, "\r\n") {
		var s *section
		if len(all) > 0 {
			s = &all[len(all)-1]
			s.lines = append(s.lines, line)
		}
		f := strings.Fields(line)
		switch {
		case strings.HasPrefix(line, "c="):
			a, err := netip.ParseAddr(f[len(f)-1])
			if err != nil {
				return nil, err
			}
			if s == nil {
				session = a
			} else {
				s.rtp, s.rtcp = netip.AddrPortFrom(a, s.rtp.Port()), netip.AddrPortFrom(a, s.rtcp.Port())
			}
		case strings.HasPrefix(line, "m="):
			if len(f) < 4 {
				return nil, fmt.Errorf("no formats: %q", line)
			}
			port, err := strconv.ParseUint(f[1], 10, 16)
			if err != nil {
				return nil, err
			}
			n := section{kind: f[0][2:], proto: f[2], formats: f[3:], direction: "sendrecv", rtp: netip.AddrPortFrom(session, uint16(port))}
			n.rtcp = netip.AddrPortFrom(session, uint16(port)+1)
			if port == 0 {
				n.phone = "off"
			}
			n.lines = []string{line}
			all = append(all, n)
		case s == nil:
		case strings.HasPrefix(line, "a=rtcp:"):
			port, err := strconv.ParseUint(f[0][len("a=rtcp:"):], 10, 16)
			if err != nil {
				return nil, err
			}
			s.rtcp = netip.AddrPortFrom(s.rtcp.Addr(), uint16(port))
		case strings.HasPrefix(line, "a=crypto:") && s.key == "":
			if _, rest, ok := strings.Cut(line, " "+suite+" inline:"); ok {
				s.key = rest[:40]
			}
		case slices.Contains(directions, strings.TrimPrefix(line, "a=")):
			s.direction = line[2:]
		}
	}
	return all, nil
}
