package server

import (
	"log/slog"
	"net"
	"strings"
	"testing"

	"rtpjet/embed"
	"rtpjet/embed/internal/names"
)

// regionKey is the cluster key of all regions in these tests.
const regionKey = "0123456789abcdef0123456789abcdef"

// TestRegionLines: what the server says, and what an operator reads.
func TestRegionLines(t *testing.T) {
	l := newRegionLines([]embed.RegionPeer{{Name: "us", URLs: []string{"us.example:7422"}}, {Name: "ap", URLs: []string{"nats-leaf://ap.example:7422"}}})
	for _, c := range []struct{ line, want, reason string }{
		{`Error trying to connect as leafnode to remote server "us.example:7422" (attempt 1): dial tcp 192.0.2.1:7422: connect: connection refused`,
			"WARN region us is not reachable at us.example:7422: connection refused; calls of this region go on", "region us is not reachable"},
		{`Error trying to connect as leafnode to remote server "us.example:7422" (attempt 2): dial tcp 192.0.2.1:7422: connect: connection refused`,
			"", "region us is not reachable"},
		{`Error trying to connect as leafnode to remote server "ap.example:7422" (attempt 2): dial tcp 192.0.2.2:7422: i/o timeout`,
			"WARN region ap is not reachable at ap.example:7422: no answer; calls of this region go on", "region us is not reachable"},
		{`192.0.2.1:7422 - lid:6 - Leafnode connection created for account: region-us `, "", "region us is not reachable"},
		{`192.0.2.1:7422 - lid:6 - JetStream using domains: local "eu", remote "us"`, "INFO connected with region us", ""},
		{`192.0.2.1:7422 - lid:6 - Leafnode connection closed: Stale Connection - Remote: n1`,
			"WARN the connection with region us at 192.0.2.1:7422 is gone (no answer any more); calls of this region go on", "the connection with"},
		{`192.0.2.1:7422 - lid:7 - Leafnode connection created for account: region-us `, "", "the connection with"},
		{`192.0.2.1:7422 - lid:7 - JetStream using domains: local "eu", remote "us"`, "INFO connected with region us again", ""},
		{`192.0.2.7:4711 - lid:8 - authentication error - User "rtpjet-region"`, "WARN refused a server of another region at 192.0.2.7: it has another " +
			"cluster key than ours, or none; give all regions the same --cluster-key-file", ""},
		{`192.0.2.7:4712 - lid:9 - authentication error - User "rtpjet-region"`, "", ""},
		{`192.0.2.7:4712 - rid:9 - authentication error`, "other", ""},
		{`192.0.2.7:4712 - lid:9 - something new`, "other", ""},
	} {
		got := ""
		if !l.note(c.line, func(level slog.Level, text string) { got = level.String() + " " + text }) {
			got = "other"
		}
		if reason := l.last("us"); got != c.want || !strings.HasPrefix(reason, c.reason) || c.reason == "" && reason != "" {
			t.Errorf("%s\n got %s\nwant %s\nreason %s", c.line, got, c.want, reason)
		}
	}
}

// startRegion starts a server of a region, with its own lines.
func startRegion(t *testing.T, cfg Config) (*Server, *lineLog) {
	t.Helper()
	lines, logger := newLineLog()
	cfg.Logger = logger
	if cfg.NodeID == "" {
		cfg.NodeID = "n1"
	}
	if cfg.ClusterKey == nil {
		cfg.ClusterKey = []byte(regionKey)
	}
	if cfg.StoreDir == "" {
		cfg.StoreDir = t.TempDir()
	}
	s, err := Start(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Shutdown)
	return s, lines
}

// peerAt is another region with one server.
func peerAt(name, host string) []embed.RegionPeer {
	return []embed.RegionPeer{{Name: name, URLs: []string{host + ":7422"}}}
}

// TestRegionFaults: what keeps two regions apart is said in a sentence, on both sides, and by RegionLink; no secret is in the log.
func TestRegionFaults(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, here, there string // the case, what our log says, and what the other region's does
		cfg               func(host string) Config
	}{
		{"another key", "region us refuses us at", "region eu refuses us at", func(string) Config {
			return Config{Region: "us", ClusterKey: []byte("another cluster key")}
		}},
		{"our name", "is not of region us: it calls itself by our region's name", "it calls itself by our region's name", func(string) Config {
			return Config{Region: "eu"}
		}},
		{"another name", `is of region \"ap\" and not of us`, "connected with region eu", func(string) Config {
			return Config{Region: "ap"}
		}},
		{"TLS on one side", "no TLS with region us at", "no TLS with region eu at", func(host string) Config {
			return Config{Region: "us", RouteTLS: testCA(t, t.TempDir(), "theirs", host)[0]}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			a, b := testHost(), testHost()
			s, lines := startRegion(t, Config{Region: "eu", RegionListen: a + ":7422", Peers: peerAt("us", b)})
			all := lines.await(t, "region us is not reachable at "+b+":7422: connection refused; calls of this region go on")
			l := openLog(t, connect(t, s), embed.Config{Region: "eu"})
			cfg := c.cfg(b)
			cfg.RegionListen, cfg.Peers = b+":7422", peerAt("eu", a)
			_, theirs := startRegion(t, cfg)
			all += lines.await(t, c.here) + theirs.await(t, c.there)
			eventually(t, "the reason", func() bool {
				up, reason := s.RegionLink("us")
				return !up && strings.Contains(reason, strings.ReplaceAll(c.here, `\`, ""))
			})
			mustAppend(t, l, "k", 0, "x")
			for _, list := range []*lineLog{lines, theirs} {
				for len(list.lines) > 0 {
					all += <-list.lines
				}
			}
			for _, secret := range []string{names.RegionPassword([]byte(regionKey)), names.ClientPassword([]byte(regionKey)), "Plaintext", "level=ERROR"} {
				if strings.Contains(all, secret) {
					t.Errorf("the log has %s:\n%s", secret, all)
				}
			}
		})
	}
}

// TestRegionStranger: something else listens where the other region should.
func TestRegionStranger(t *testing.T) {
	t.Parallel()
	host := testHost()
	ln, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", host+":7422")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan bool)
	go func() {
		defer close(done)
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			_, _ = c.Write([]byte("SSH-2.0-OpenSSH\r\n"))
			defer c.Close()
		}
	}()
	t.Cleanup(func() { _ = ln.Close(); <-done })
	_, lines := startRegion(t, Config{Region: "eu", RegionListen: testHost() + ":7422", Peers: peerAt("us", host)})
	lines.await(t, "is not where region us takes other regions")
}

// TestRegionLink: a connection, its end, and the next one.
func TestRegionLink(t *testing.T) {
	t.Parallel()
	a, b := testHost(), testHost()
	s, lines := startRegion(t, Config{Region: "eu", RegionListen: a + ":7422", Peers: peerAt("us", b)})
	cfg := Config{Region: "us", RegionListen: b + ":7422", Peers: peerAt("eu", a), StoreDir: t.TempDir()}
	other, _ := startRegion(t, cfg)
	lines.await(t, "connected with region us\"")
	link := func(want bool) {
		t.Helper()
		eventually(t, "the link", func() bool {
			up, reason := s.RegionLink("us")
			return up == want && (reason == "") == want
		})
	}
	link(true)
	other.Shutdown()
	lines.await(t, "the connection with region us at "+b+":7422 is gone (")
	link(false)
	startRegion(t, cfg)
	lines.await(t, "connected with region us again")
	link(true)
}

// TestRegionsTLS: regions that know each other's certificates are joined, and one with a certificate of another authority is not.
func TestRegionsTLS(t *testing.T) {
	t.Parallel()
	a, b, c := testHost(), testHost(), testHost()
	ours := testCA(t, t.TempDir(), "ours", a, b)
	peers := append(peerAt("us", b), peerAt("ap", c)...)
	s, _ := startRegion(t, Config{Region: "eu", RegionListen: a + ":7422", Peers: peers, RouteTLS: ours[0]})
	other, _ := startRegion(t, Config{Region: "us", RegionListen: b + ":7422", Peers: peerAt("eu", a), RouteTLS: ours[1]})
	startRegion(t, Config{
		Region: "ap", RegionListen: c + ":7422", Peers: peerAt("eu", a), RouteTLS: testCA(t, t.TempDir(), "theirs", c)[0],
	})
	l := openHome(t, other, "us")
	mustAppend(t, l, "k", 0, "x")
	m := openMirror(t, s, "us")
	eventually(t, "the mirror has it", func() bool {
		list, _, err := m.Since(t.Context(), "k", 0)
		return err == nil && len(list) == 1
	})
	eventually(t, "the reason", func() bool {
		up, reason := s.RegionLink("ap")
		return !up && reason != ""
	})
	_, reason := s.RegionLink("ap")
	t.Log(reason)
}
