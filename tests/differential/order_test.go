package differential

import (
	"fmt"
	"slices"
	"strings"
)

// The order of lines. Release 10.5 edits the sender's SDP where it stands; newer ones, and rtpjet, write a new one in a
// fixed order (docs/ng.md, "SDP that goes out"). Before two SDPs are compared both are put into that order, lines of
// one kind among each other as they came. That rtpjet itself keeps the order is checked by disorder.

// canonical puts the SDP of each reply into that order, with a c= line in each section and none at session level.
func canonical(tr transcript) transcript {
	out := make(transcript, len(tr))
	for i, lines := range tr {
		at := slices.Index(lines, "sdp:")
		if at < 0 {
			out[i] = lines
			continue
		}
		out[i] = slices.Clone(lines[:at+1])
		for _, l := range arrange(lines[at+1:]) {
			out[i] = append(out[i], "  "+l)
		}
	}
	return out
}

// arrange takes and gives lines of an SDP; those given have no indent.
func arrange(lines []string) []string {
	parts := sections(lines)
	var connection []string
	parts[0] = slices.DeleteFunc(parts[0], func(l string) bool {
		if strings.HasPrefix(l, "c=") {
			connection = append(connection, l)
			return true
		}
		return false
	})
	for i := 1; i < len(parts); i++ {
		if !slices.ContainsFunc(parts[i], func(l string) bool { return strings.HasPrefix(l, "c=") }) {
			parts[i] = append(parts[i], connection...)
		}
	}
	var out []string
	for i, p := range parts {
		pts := payloadTypes(p)
		slices.SortStableFunc(p, func(a, b string) int {
			if i == 0 {
				return sessionRank(a) - sessionRank(b)
			}
			return sectionRank(a, pts) - sectionRank(b, pts)
		})
		out = append(out, p...)
	}
	return out
}

// sections splits an SDP before each m= line. The first part is the session's; lines lose their indent.
func sections(lines []string) [][]string {
	parts := [][]string{nil}
	for _, l := range lines {
		l = strings.TrimPrefix(l, "  ")
		if strings.HasPrefix(l, "m=") {
			parts = append(parts, nil)
		}
		parts[len(parts)-1] = append(parts[len(parts)-1], l)
	}
	return parts
}

func payloadTypes(section []string) []string {
	if len(section) == 0 || !strings.HasPrefix(section[0], "m=") {
		return nil
	}
	f := strings.Fields(section[0])
	if len(f) < 4 || !strings.Contains(f[2], "RTP") {
		return nil
	}
	return f[3:]
}

func bandwidthRank(l string) int {
	for i, k := range []string{"b=AS:", "b=RR:", "b=RS:", "b=CT:", "b=TIAS:"} {
		if strings.HasPrefix(l, k) {
			return i
		}
	}
	return 5
}

func sessionRank(l string) int {
	switch {
	case strings.HasPrefix(l, "("): // a remark of the normaliser
		return 0
	case strings.HasPrefix(l, "b="):
		return 80 + bandwidthRank(l)
	case strings.HasPrefix(l, "a=rtpengine:"):
		return 100
	case strings.HasPrefix(l, "a=ice-lite"):
		return 110
	case strings.HasPrefix(l, "a=group:BUNDLE"):
		return 120
	}
	for i, k := range []string{"v=", "o=", "s=", "i=", "u=", "e=", "p="} {
		if strings.HasPrefix(l, k) {
			return 10 + i
		}
	}
	if strings.HasPrefix(l, "t=") {
		return 90
	}
	return 130
}

const unknownRank = 11000

var attributeRanks = map[string]int{
	"mid": 300, "label": 310, "bundle-only": 320,
	"extmap-allow-mixed": 10000, "extmap": 10100,
	"sendrecv": 12000, "sendonly": 12000, "recvonly": 12000, "inactive": 12000,
	"rtcp": 12100, "rtcp-mux": 12200, "crypto": 12300, "setup": 12400, "fingerprint": 12500, "tls-id": 12600,
	"ptime": 12700, "maxptime": 12800, "ice-ufrag": 12900, "ice-pwd": 13000, "ice-options": 13100, "candidate": 13200,
	"remote-candidates": 13300, "end-of-candidates": 13400,
}

func sectionRank(l string, pts []string) int {
	switch {
	case strings.HasPrefix(l, "m="):
		return 0
	case strings.HasPrefix(l, "i="):
		return 100
	case strings.HasPrefix(l, "c="):
		return 110
	case strings.HasPrefix(l, "b="):
		return 200 + bandwidthRank(l)
	}
	attr, ok := strings.CutPrefix(l, "a=")
	if !ok {
		return unknownRank
	}
	name, value, _ := strings.Cut(attr, ":")
	if n := slices.Index([]string{"rtpmap", "fmtp", "rtcp-fb"}, name); n >= 0 {
		pt, _, _ := strings.Cut(value, " ")
		if i := slices.Index(pts, pt); i >= 0 {
			return 1000 + 10*i + n
		}
		return unknownRank
	}
	if r, ok := attributeRanks[name]; ok {
		return r
	}
	return unknownRank
}

// disorder lists the lines of a reply's SDP that stand where that order does not want them. Unknown attributes may also
// stand at the end, where sdp-attr adds them; sections that are no RTP are copied as they came.
func disorder(reply []string) []string {
	at := slices.Index(reply, "sdp:")
	if at < 0 {
		return nil
	}
	var out []string
	for i, p := range sections(reply[at+1:]) {
		pts := payloadTypes(p)
		if i > 0 && pts == nil {
			continue
		}
		last, lastLine := 0, ""
		for _, l := range p {
			var r int
			if i == 0 {
				r = sessionRank(l)
			} else {
				r = sectionRank(l, pts)
			}
			if r == unknownRank && last > unknownRank {
				continue
			}
			if i == 0 && strings.HasPrefix(l, "c=") {
				out = append(out, fmt.Sprintf("  (order: %s at session level)", l))
				continue
			}
			if r < last {
				out = append(out, fmt.Sprintf("  (order: %s after %s)", l, lastLine))
			} else {
				last, lastLine = r, l
			}
		}
	}
	return out
}
