package server

import (
	"fmt"
	"testing"

	"rtpjet/embed"
)

// regionServer starts the only server of a region.
func regionServer(t *testing.T, region string, hosts map[string]string) *Server {
	t.Helper()
	cfg := Config{
		NodeID: "n1", Region: region, StoreDir: t.TempDir(), ClusterKey: []byte(regionKey),
		RegionListen: hosts[region] + ":7422", Logger: testLogger(t),
	}
	for name, h := range hosts {
		if name != region {
			cfg.Peers = append(cfg.Peers, embed.RegionPeer{Name: name, URLs: []string{h + ":7422"}})
		}
	}
	s, err := Start(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Shutdown)
	return s
}

// openMirror opens what a server has of another region.
func openMirror(t *testing.T, s *Server, region string) *testLog {
	t.Helper()
	nc := connectRegion(t, s, region)
	m, err := embed.OpenMirror(t.Context(), nc, embed.Config{Region: region, Here: s.opts.JetStreamDomain, Servers: s.Servers, Logger: testLogger(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Close)
	return newTestLog(t, nc, m, region)
}

// TestRegions: three regions see each other's entries, and append to each other's logs.
func TestRegions(t *testing.T) {
	t.Parallel()
	hosts := map[string]string{"eu": testHost(), "us": testHost(), "ap": testHost()}
	servers, logs := map[string]*Server{}, map[string]*testLog{}
	for name := range hosts {
		s := regionServer(t, name, hosts)
		servers[name] = s
		logs[name] = openLog(t, connect(t, s), embed.Config{Region: name})
	}
	for at, s := range servers {
		for home, l := range logs {
			if at == home {
				continue
			}
			m := openMirror(t, s, home)
			key := fmt.Sprintf("from-%s-to-%s", at, home)
			var seq uint64
			eventually(t, "append", func() (ok bool) {
				var err error
				seq, err = m.Append(t.Context(), key, 0, []byte("hello"))
				return err == nil
			})
			eventually(t, "the mirror has it", func() bool {
				list, _, err := m.Since(t.Context(), key, 0)
				return err == nil && len(list) == 1 && list[0].Seq == seq
			})
			list, _, err := l.Since(t.Context(), key, 0)
			if err != nil || len(list) != 1 || list[0].Seq != seq {
				t.Errorf("%s: %v, %v", home, list, err)
			}
		}
	}
}
