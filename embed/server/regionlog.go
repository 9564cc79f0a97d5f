package server

import (
	"fmt"
	"log/slog"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"rtpjet/embed"
	"rtpjet/embed/internal/names"
)

// What the server says about connections between regions is for who knows leaf nodes, and it says it again with each attempt.
// regionLines makes sentences of it, each at most once a minute, and remembers the last one of each region.
type regionLines struct {
	peers map[string]string // "host:port" of a configured address -> the region

	mu     sync.Mutex
	ours   map[string]string    // ids of the connections that we made -> the region
	up     map[string]bool      // the region is connected, by those lines
	was    map[string]bool      // it was so once
	reason map[string]string    // the last fault; none while it is up
	told   map[string]time.Time // what was said, and when
}

// newRegionLines knows which address is whose.
func newRegionLines(peers []embed.RegionPeer) *regionLines {
	l := &regionLines{
		peers: map[string]string{}, ours: map[string]string{}, up: map[string]bool{}, was: map[string]bool{},
		reason: map[string]string{}, told: map[string]time.Time{},
	}
	for _, p := range peers {
		for _, text := range p.URLs {
			if u, err := leafURL(text); err == nil {
				l.peers[u.Host] = p.Name
			}
		}
	}
	return l
}

// reset forgets the connections of a server that is gone.
func (l *regionLines) reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	clear(l.ours)
	clear(l.up)
}

// The server's lines. The first is about an attempt that came to nothing, the others about connections, which have a number.
var (
	leafDialled = regexp.MustCompile(`^Error trying to connect as leafnode to remote server "([^"]+)" \(attempt \d+\): (.*)$`)
	leafLine    = regexp.MustCompile(`^(\S+) - (lid:\d+) - (.*)$`)
	leafMade    = regexp.MustCompile(`^Leafnode connection created for account: region-(\S+)`)
	leafDomains = regexp.MustCompile(`^JetStream using domains: local "[^"]*", remote "([^"]*)"`)
	leafClosed  = regexp.MustCompile(`^Leafnode connection closed: ([^-]*)`)
	leafTLS     = regexp.MustCompile(`^TLS leafnode handshake error: (.*)$`)
)

// said is a line in our own words; empty: the server's line tells an operator nothing.
type said struct {
	level slog.Level
	topic string // what is said once a minute
	text  string
}

// note handles a line if it is about a connection between regions. The line is not to be logged then.
func (l *regionLines) note(line string, log func(slog.Level, string)) bool {
	now := time.Now()
	l.mu.Lock()
	s, ok := l.readLocked(line)
	if ok && s.text != "" && s.level > slog.LevelInfo {
		if now.Sub(l.told[s.topic]) < refusalAgain {
			s.text = ""
		} else {
			l.told[s.topic] = now
		}
	}
	l.mu.Unlock()
	if ok && s.text != "" {
		log(s.level, s.text)
	}
	return ok
}

// readLocked makes a sentence of a line.
func (l *regionLines) readLocked(line string) (s said, ok bool) {
	if m := leafDialled.FindStringSubmatch(line); m != nil {
		region, cause := l.peers[m[1]], m[2][strings.LastIndex(m[2], ": ")+1:]
		cause = strings.TrimSpace(cause)
		if cause == "i/o timeout" {
			cause = "no answer"
		}
		return l.faultLocked(region, m[1], "dial",
			fmt.Sprintf("region %s is not reachable at %s: %s; calls of this region go on", region, m[1], cause)), true
	}
	m := leafLine.FindStringSubmatch(line)
	if m == nil {
		return said{}, false
	}
	addr, id, rest := m[1], m[2], m[3]
	if made := leafMade.FindStringSubmatch(rest); made != nil {
		l.ours[id] = made[1]
		return said{}, true
	}
	region, ours := l.ours[id]
	if !ours {
		return l.strangerLocked(addr, rest)
	}
	return l.ownLocked(region, addr, id, rest)
}

// ownLocked is about a connection that we made.
func (l *regionLines) ownLocked(region, addr, id, rest string) (said, bool) {
	tls, domains, closed := leafTLS.FindStringSubmatch(rest), leafDomains.FindStringSubmatch(rest), leafClosed.FindStringSubmatch(rest)
	switch {
	case domains != nil && domains[1] != region:
		return l.faultLocked(region, addr, "region",
			fmt.Sprintf("the server at %s is of region %q and not of %s; correct --region-peer", addr, domains[1], region)), true
	case domains != nil:
		again := ""
		if l.was[region] {
			again = " again"
		}
		l.up[region], l.was[region] = true, true
		delete(l.reason, region)
		return said{slog.LevelInfo, "", fmt.Sprintf("connected with region %s%s", region, again)}, true
	case strings.Contains(rest, "Authorization Violation"):
		return l.faultLocked(region, addr, "key", fmt.Sprintf("region %s refuses us at %s: it has another cluster key than ours; "+
			"give all regions the same --cluster-key-file", region, addr)), true
	case strings.Contains(rest, server.ErrLeafNodeHasSameClusterName.Error()), strings.Contains(rest, "same cluster name"):
		return l.faultLocked(region, addr, "name", fmt.Sprintf("the server at %s is not of region %s: it calls itself by our region's name; "+
			"give each region a --region of its own", addr, region)), true
	case tls != nil:
		return l.faultLocked(region, addr, "tls", fmt.Sprintf("no TLS with region %s at %s: %s; give all regions certificates of one "+
			"authority, which name the host that is connected to", region, addr, strings.TrimPrefix(tls[1], "tls: "))), true
	case strings.Contains(rest, "parser ERROR"), strings.Contains(rest, server.ErrConnectedToWrongPort.Error()):
		return l.faultLocked(region, addr, "other", fmt.Sprintf("what answers at %s is not where region %s takes other regions; "+
			"correct --region-peer, it is the other's --region-listen", addr, region)), true
	case closed != nil:
		delete(l.ours, id)
		cause := strings.TrimSpace(closed[1])
		if cause == "TLS Handshake Failure" && !strings.HasPrefix(l.reason[region], "no TLS") { // one side alone has it: no other line
			return l.faultLocked(region, addr, "tls", fmt.Sprintf("no TLS with region %s at %s; give all regions certificates, or none",
				region, addr)), true
		}
		if !l.up[region] {
			return said{}, true // it never was a connection, and why was said
		}
		l.up[region] = false
		return l.faultLocked(region, addr, "closed", fmt.Sprintf("the connection with region %s at %s is gone (%s); calls of this region go on",
			region, addr, closedWords(cause))), true
	}
	return said{}, false
}

// mirrorRefused begins the line about a mirror whose region has no such stream, or whose request came to the wrong one. It does
// not say which.
const mirrorRefused = "JetStream error response for create mirror consumer"

func (l *regionLines) mirror(line string, log func(slog.Level, string)) {
	now := time.Now()
	l.mu.Lock()
	again := now.Sub(l.told[mirrorRefused]) >= refusalAgain
	if again {
		l.told[mirrorRefused] = now
	}
	l.mu.Unlock()
	if again {
		_, cause, _ := strings.Cut(line, ": ")
		log(slog.LevelInfo, "another region does not give its log yet; trying again: "+cause)
	}
}

// closedWords says why a connection was closed, from the server's reason.
func closedWords(reason string) string {
	switch reason {
	case "Stale Connection":
		return "no answer any more"
	case "Client Closed":
		return "the other side has closed it"
	case "Read Error", "Write Error", "Slow Consumer (Write Deadline)", "Slow Consumer (Pending Bytes)":
		return "the network: " + strings.ToLower(reason)
	case "Server Shutdown":
		return "this node ends"
	}
	return strings.ToLower(reason)
}

// strangerLocked is about a connection that a server of another region made. Which region that is, nobody knows before it is let in.
func (l *regionLines) strangerLocked(addr, rest string) (said, bool) {
	host := addr[:max(strings.LastIndex(addr, ":"), 0)] // the port changes with each attempt
	warn := func(kind, why string) (said, bool) {
		return said{slog.LevelWarn, host + " " + kind, fmt.Sprintf("refused a server of another region at %s: %s", host, why)}, true
	}
	tls := leafTLS.FindStringSubmatch(rest)
	switch {
	case rest == "authentication error":
		return warn("nothing", "it did not say who it is, perhaps because one of us has TLS and the other has not; give all regions certificates, or none")
	case strings.HasPrefix(rest, "authentication error"):
		return warn("key", "it has another cluster key than ours, or none; give all regions the same --cluster-key-file")
	case strings.Contains(rest, server.ErrLeafNodeHasSameClusterName.Error()):
		return warn("name", "it calls itself by our region's name; give each region a --region of its own, or correct --region-peer")
	case tls != nil:
		return warn("tls", "no TLS: "+strings.TrimPrefix(strings.TrimPrefix(tls[1], "remote error: "), "tls: "))
	}
	return said{}, false // as it is
}

// faultLocked remembers why a region is not connected.
func (l *regionLines) faultLocked(region, addr, kind, text string) said {
	l.reason[region] = text
	return said{slog.LevelWarn, region + " " + addr + " " + kind, text}
}

// last is why the region is not connected; "" if that is not known.
func (l *regionLines) last(region string) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.reason[region]
}

// RegionLink tells whether this server is connected with a server of another region, and if not, what is known of why: a
// sentence for an operator.
func (s *Server) RegionLink(name string) (up bool, reason string) {
	reason = s.log.regions.last(name)
	ns := s.current()
	if ns == nil {
		return false, "the store of this node is being opened anew"
	}
	leafs, err := ns.Leafz(&server.LeafzOptions{Account: names.RegionAccount(name)})
	if err != nil || len(leafs.Leafs) == 0 {
		if reason == "" {
			reason = fmt.Sprintf("region %s is not connected yet", name)
		}
		return false, reason
	}
	return reason == "", reason // a server of another region than we want is connected, and of no use
}

// hideSecrets returns what takes passwords out of lines: the server does it, as far as is known.
func hideSecrets(key []byte) *strings.Replacer {
	if len(key) == 0 {
		return strings.NewReplacer()
	}
	const hidden = "[hidden]"
	var pairs []string
	for _, secret := range []string{names.RegionPassword(key), names.RoutePassword(key), names.ClientPassword(key)} {
		pairs = append(pairs, secret, hidden, url.QueryEscape(secret), hidden)
	}
	return strings.NewReplacer(pairs...)
}
