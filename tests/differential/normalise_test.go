package differential

import (
	"fmt"
	"net/netip"
	"regexp"
	"sort"
	"strconv"
	"strings"
)

// A normaliser turns the replies of one server to one script into lines that compare equal on any server that behaves the
// same. It keeps names for ports over all steps of the script, so that a port that stays or moves shows.
type normaliser struct {
	script           string
	portMin, portMax int
	names            map[netip.AddrPort]string // port on an address of ours → P1, P2, …
	count            int
	sent             strings.Builder   // all that the script sent: keys that are not in it were generated
	fresh            map[string]string // SRTP keys that were generated → names
	replies          int
}

func newNormaliser(script string, portMin, portMax int) *normaliser {
	return &normaliser{script: script, portMin: portMin, portMax: portMax, names: map[netip.AddrPort]string{}, fresh: map[string]string{}}
}

// forget lets ports that were known get new names.
func (n *normaliser) forget() { clear(n.names) }

// The bound address that belongs to an advertised one.
var bound = map[string]string{"203.0.113.1": "127.0.0.1", "2001:db8::1": "::1"}

func (n *normaliser) ours(port int) bool { return port >= n.portMin && port <= n.portMax }

// port names the port of an RTP stream. Its number says nothing, that it is the same as before does.
func (n *normaliser) port(addr string, port int) string {
	if !n.ours(port) {
		return strconv.Itoa(port)
	}
	if b, ok := bound[addr]; ok {
		addr = b
	}
	ip, err := netip.ParseAddr(addr)
	if err != nil {
		ip = netip.IPv4Unspecified()
	}
	if name, ok := n.names[netip.AddrPortFrom(ip, uint16(port))]; ok {
		return name
	}
	// On hold, or with a media address, the SDP shows an address that is not the bound one: the number must do.
	var found []netip.AddrPort
	for ap := range n.names {
		if int(ap.Port()) == port && (!isBound(ip) || !isBound(ap.Addr())) {
			found = append(found, ap)
		}
	}
	if len(found) == 1 {
		return n.names[found[0]]
	}
	n.count++
	name := fmt.Sprintf("P%d", n.count)
	n.names[netip.AddrPortFrom(ip, uint16(port))] = name
	return name
}

// rtcpPort names the RTCP port that goes with an RTP port: P1+1 is the odd port after the even P1, P1 is the same port.
func (n *normaliser) rtcpPort(addr string, rtp, port int) string {
	switch {
	case !n.ours(port):
		return strconv.Itoa(port)
	case port == rtp+1 && rtp%2 == 0:
		return n.port(addr, rtp) + "+1"
	case port == rtp+1:
		return n.port(addr, rtp) + "+1(odd RTP port)"
	}
	return n.port(addr, port)
}

func isBound(ip netip.Addr) bool { return ip.IsLoopback() }

// reply writes one reply as lines: one per leaf of the dictionary, sorted by path, then the SDP.
func (n *normaliser) reply(command string, m map[string]any) []string {
	n.replies++
	var lines []string
	add := func(path string, v any) { lines = append(lines, fmt.Sprintf("%s: %v", path, v)) }
	var walk func(path string, v any)
	walk = func(path string, v any) {
		switch v := v.(type) {
		case map[string]any:
			if small, ok := oneLine(path, v); ok {
				add(path, small)
				return
			}
			keys := make([]string, 0, len(v))
			for k := range v {
				keys = append(keys, k)
			}
			sort.Strings(keys)
			for _, k := range keys {
				if k == "streams" {
					v[k] = n.streams(v[k])
				}
				walk(join(path, k), v[k])
			}
		case []any:
			if path == "calls" {
				v = n.ownCalls(v)
			}
			if path == "statistics.transcoders" {
				add(path, "LIST") // other scripts' calls come and go
				return
			}
			if len(v) == 0 {
				add(path, "[]")
			}
			if unordered(path) {
				v = sorted(v)
			}
			if allStrings(v) && len(v) > 0 {
				var s []string
				for _, e := range v {
					s = append(s, e.(string))
				}
				add(path, "["+strings.Join(s, ", ")+"]")
				return
			}
			if small, ok := shortDicts(path, v); ok {
				add(path, small)
				return
			}
			for i, e := range v {
				walk(fmt.Sprintf("%s[%d]", path, i), e)
			}
		case int64:
			add(path, maskInt(path, v))
		case string:
			if meanOfCalls.MatchString(path) {
				return // other scripts' calls end or do not: a mean of none is 0 for rtpengine, and not there for rtpjet
			}
			add(path, maskString(path, v))
		default:
			add(path, fmt.Sprintf("%T %v", v, v))
		}
	}
	sdp, hasSDP := m["sdp"]
	rest := map[string]any{}
	for k, v := range m {
		if k != "sdp" {
			rest[k] = v
		}
	}
	walk("", rest)
	if hasSDP {
		s, ok := sdp.(string)
		if !ok {
			return append(lines, fmt.Sprintf("sdp: %T %v", sdp, sdp))
		}
		lines = append(lines, "sdp:")
		for _, l := range n.sdp(s) {
			lines = append(lines, "  "+l)
		}
	}
	return lines
}

// oneLine writes a small dictionary without dictionaries in it, such as an endpoint, on one line.
func oneLine(path string, m map[string]any) (string, bool) {
	if path == "" || len(m) > 4 || strings.HasPrefix(path, "statistics") {
		return "", false
	}
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	var parts []string
	for _, k := range keys {
		switch v := m[k].(type) {
		case int64:
			parts = append(parts, k+": "+maskInt(path+"."+k, v))
		case string:
			parts = append(parts, k+": "+maskString(path+"."+k, v))
		default:
			return "", false
		}
	}
	return "{" + strings.Join(parts, ", ") + "}", true
}

func shortDicts(path string, v []any) (string, bool) {
	var parts []string
	for _, e := range v {
		m, ok := e.(map[string]any)
		if !ok {
			return "", false
		}
		s, ok := oneLine(path, m)
		if !ok {
			return "", false
		}
		parts = append(parts, s)
	}
	return "[" + strings.Join(parts, ", ") + "]", len(v) > 0
}

// streams names the local ports of the streams of a media section, of which the second is RTCP.
func (n *normaliser) streams(v any) any {
	list, _ := v.([]any)
	rtp := 0
	for i, e := range list {
		m, _ := e.(map[string]any)
		p, ok := m["local port"].(int64)
		if !ok {
			continue
		}
		addr, _ := m["local address"].(string)
		if i%2 == 0 {
			rtp = int(p)
			m["local port"] = n.port(addr, int(p))
		} else {
			m["local port"] = n.rtcpPort(addr, rtp, int(p))
		}
	}
	return v
}

func join(path, k string) string {
	if path == "" {
		return k
	}
	return path + "." + k
}

func allStrings(v []any) bool {
	for _, e := range v {
		if _, ok := e.(string); !ok {
			return false
		}
	}
	return true
}

// ownCalls keeps the call-ids of this script: other scripts run at the same time.
func (n *normaliser) ownCalls(v []any) []any {
	var out []any
	for _, e := range v {
		if s, ok := e.(string); ok && (s == n.script || strings.HasPrefix(s, n.script+"/")) {
			out = append(out, e)
		}
	}
	return out
}

func unordered(path string) bool {
	for _, k := range []string{"calls", "subscriptions", "subscribers", "in dialogue with", "tag-aliases"} {
		if strings.HasSuffix(path, k) {
			return true
		}
	}
	return false
}

func sorted(v []any) []any {
	out := append([]any{}, v...)
	sort.SliceStable(out, func(i, j int) bool { return fmt.Sprint(out[i]) < fmt.Sprint(out[j]) })
	return out
}

var meanOfCalls = regexp.MustCompile(`^statistics\.totalstatistics\.(avgcallduration|totalcallsduration_stddev)$`)

var epoch = regexp.MustCompile(`(^|\.)(created|created_us|created_ts|last signal|last redis update|last packet|last kernel packet|last user packet)$`)

// maskInt hides times and the counters of the whole process. A value of 0 is a fact and stays.
func maskInt(path string, v int64) string {
	switch {
	case strings.HasPrefix(path, "statistics."):
		return "INT"
	case epoch.MatchString(path) && v != 0:
		return "TIME"
	}
	return strconv.FormatInt(v, 10)
}

func maskString(path, v string) string {
	if strings.HasPrefix(path, "statistics.") && !strings.HasSuffix(path, "name") && !strings.HasSuffix(path, "address") {
		return "STRING"
	}
	return strconv.Quote(v)[1 : len(strconv.Quote(v))-1]
}

var (
	mLine        = regexp.MustCompile(`^(m=\S+ )(\d+)(.*)$`)
	cLine        = regexp.MustCompile(`^c=IN IP[46] (\S+)$`)
	rtcpLine     = regexp.MustCompile(`^(a=rtcp:)(\d+)(.*)$`)
	rtcpFull     = regexp.MustCompile(`^ IN IP[46] (\S+)$`)
	secret       = regexp.MustCompile(`(?:[0-9A-F]{2}:){15,}[0-9A-F]{2}|tls-id:[0-9a-f]{32}`)
	instanceLine = regexp.MustCompile(`^a=rtpengine:[0-9a-f]{12}$`)
)

// sdp names the ports of an SDP. It also says what a well-formed SDP of a server must not have: lines that do not end in
// CR LF.
func (n *normaliser) sdp(s string) []string {
	if s == "" {
		return []string{"(empty)"}
	}
	var out []string
	if !strings.HasSuffix(s, "\n") {
		out = append(out, "(last line has no CR LF)")
	}
	lines := strings.Split(strings.TrimSuffix(s, "\n"), "\n")
	onlyLF := !strings.Contains(s, "\r")
	if onlyLF {
		out = []string{"(lines end in LF)"}
	}
	// The c= line of a section follows its m= line; its address says which interface a port is on.
	session := ""
	for _, l := range lines {
		l = strings.TrimSuffix(l, "\r")
		if strings.HasPrefix(l, "m=") {
			break
		}
		if m := cLine.FindStringSubmatch(l); m != nil {
			session = m[1]
		}
	}
	addr, rtp := session, 0
	for i, l := range lines {
		cut := strings.TrimSuffix(l, "\r")
		if cut == l && !onlyLF {
			cut += "(LF only)"
		}
		l = cut
		switch {
		case strings.HasPrefix(l, "m="):
			addr = session
			for _, c := range lines[i+1:] {
				if strings.HasPrefix(c, "m=") {
					break
				}
				if m := cLine.FindStringSubmatch(strings.TrimSuffix(c, "\r")); m != nil {
					addr = m[1]
					break
				}
			}
			if m := mLine.FindStringSubmatch(l); m != nil {
				rtp, _ = strconv.Atoi(m[2])
				l = m[1] + n.port(addr, rtp) + m[3]
			}
		case strings.HasPrefix(l, "a=rtcp:"):
			if m := rtcpLine.FindStringSubmatch(l); m != nil {
				p, _ := strconv.Atoi(m[2])
				a := addr
				if f := rtcpFull.FindStringSubmatch(m[3]); f != nil {
					a = f[1]
				}
				l = m[1] + n.rtcpPort(a, rtp, p) + m[3]
			}
		case strings.HasPrefix(l, "o="):
			if f := strings.Fields(l); len(f) > 2 && !strings.Contains(n.sent.String(), " "+f[1]+" ") {
				l = strings.Replace(l, " "+f[1]+" ", " ID ", 1)
			}
		case strings.HasPrefix(l, "a=crypto:"):
			l = n.crypto(l)
		case instanceLine.MatchString(l):
			l = "a=rtpengine:INSTANCE"
		default:
			if m := secret.FindString(l); m != "" && !strings.Contains(n.sent.String(), m) {
				l = strings.Replace(l, m, "GENERATED", 1)
			}
		}
		out = append(out, l)
	}
	return out
}
