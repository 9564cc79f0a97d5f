package demo

import (
	"net"
	"net/netip"
	"runtime"
	"strings"
	"testing"

	"rtpjet/cmd/rtpjet/config"
)

// TestServeArgs: what a node is started with is a command line that config reads without a warning, and says what the place says.
func TestServeArgs(t *testing.T) {
	dir := t.TempDir()
	for name, p := range map[string]place{
		"an address of its own": {id: "n2", addr: netip.MustParseAddr("127.0.1.2"), ng: 2223, nats: 4222, cluster: 6222, http: 8080},
		"a share of one":        {id: "n3", addr: netip.MustParseAddr("127.0.0.1"), ng: 41000, nats: 41001, cluster: 41002, http: 41003, mediaMin: 32000, mediaMax: 32999},
	} {
		cmd, err := config.ParseArgs(t.Context(), p.serveArgs("127.0.1.1:6222,127.0.1.2:6222", dir), config.Env{})
		if err != nil || cmd.Name != "serve" {
			t.Fatalf("%s: %+v %v", name, cmd, err)
		}
		c := cmd.Config
		one := c.Interfaces.All()[0]
		minPort, maxPort := p.mediaMin, p.mediaMax
		if minPort == 0 {
			minPort, maxPort = 30000, 39999
		}
		if c.NodeID != p.id || one.Addr != p.addr || one.Ports.Min != minPort || one.Ports.Max != maxPort || len(c.Interfaces.All()) != 1 ||
			strings.Join(c.Listen, " ") != p.at(p.ng) || strings.Join(c.ListenHTTP, " ") != p.at(p.http) || c.NATSListen != p.at(p.nats) ||
			c.NATSClusterListen != p.at(p.cluster) || strings.Join(c.NATSRoutes, " ") != "127.0.1.1:6222 127.0.1.2:6222" || c.DataDir != dir || len(c.Warnings) > 0 {
			t.Errorf("%s: %+v", name, c)
		}
	}
}

// TestRelays: whose an address of an SDP is, on addresses of their own and on a shared one.
func TestRelays(t *testing.T) {
	own := place{addr: netip.MustParseAddr("127.0.1.2")}
	shared := place{addr: netip.MustParseAddr("127.0.0.1"), mediaMin: 31000, mediaMax: 31999}
	for addr, want := range map[string][2]bool{
		"127.0.1.2:1": {true, false}, "127.0.1.2:65535": {true, false}, "127.0.1.3:31000": {}, "127.0.0.1:31000": {false, true}, "127.0.0.1:31999": {false, true},
		"127.0.0.1:30999": {}, "127.0.0.1:32000": {}, "[::1]:31000": {},
	} {
		a := netip.MustParseAddrPort(addr)
		if got := [2]bool{own.relays(a), shared.relays(a)}; got != want {
			t.Errorf("%s: %v, want %v", addr, got, want)
		}
	}
	d := &demo{nodes: []*node{{place: own}, {place: shared}}}
	for addr, want := range map[string]*node{"127.0.1.2:4000": d.nodes[0], "127.0.0.1:31500": d.nodes[1], "192.0.2.1:31500": nil} {
		if got := d.nodeOf(netip.MustParseAddrPort(addr)); got != want {
			t.Errorf("%s belongs to %v", addr, got)
		}
	}
}

// TestTakenPorts: a place of which somebody has a port is not free, and is not taken.
func TestTakenPorts(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("needs a loopback network with many addresses")
	}
	addr := netip.MustParseAddr("127.250.7.1")
	p := place{addr: addr, ng: 2223, nats: 4222, cluster: 6222, http: 8080}
	if !p.free() {
		t.Skip("somebody else has these ports")
	}
	for name, take := range map[string]func(*holder) error{
		"NATS":    func(h *holder) error { _, err := h.tcp(addr, 4222); return err },
		"cluster": func(h *holder) error { _, err := h.tcp(addr, 6222); return err },
		"http":    func(h *holder) error { _, err := h.tcp(addr, 8080); return err },
		"NG":      func(h *holder) error { _, err := h.udp(addr, 2223); return err },
	} {
		var h holder
		if err := take(&h); err != nil {
			t.Fatal(err)
		}
		if p.free() {
			t.Errorf("somebody has the port of %s, and the place is free", name)
		}
		h.letGo()
		if !p.free() {
			t.Errorf("the port of %s was given back, and the place is not free", name)
		}
	}
}

// TestFindPlaces: three places, each of an address of its own, and none where somebody has a port.
func TestFindPlaces(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("needs a loopback network with many addresses")
	}
	first, err := findPlaces()
	if err != nil || len(first) != nodeCount {
		t.Fatal(first, err)
	}
	l, err := net.Listen("tcp", first[1].at(first[1].nats))
	if err != nil {
		t.Skip("somebody else was faster:", err)
	}
	defer l.Close()
	second, err := findPlaces()
	if err != nil || len(second) != nodeCount {
		t.Fatal(second, err)
	}
	for _, list := range [][]place{first, second} {
		for i, p := range list {
			if want := "n" + string(rune('1'+i)); p.id != want || !p.addr.IsLoopback() || p.addr.As4()[3] != byte(1+i) || p.mediaMin != 0 ||
				p.ng%10000 != 2223 || p.nats%10000 != 4222 || p.cluster%10000 != 6222 || p.http%10000 != 8080 {
				t.Errorf("%+v", p)
			}
		}
	}
	if first[1] == second[1] {
		t.Errorf("%+v was found again, and somebody has its port", second[1])
	}
}

// TestHolder: ports that are held are given to nobody, and the errors of those that cannot be had are told.
func TestHolder(t *testing.T) {
	var h holder
	loopback := netip.MustParseAddr("127.0.0.1")
	port, err := h.tcp(loopback, 0)
	if err != nil || port == 0 {
		t.Fatal(port, err)
	}
	if _, err := h.tcp(loopback, port); err == nil {
		t.Error("one port of TCP twice")
	}
	if port, err = h.udp(loopback, 0); err != nil || port == 0 {
		t.Fatal(port, err)
	}
	if _, err := h.udp(loopback, port); err == nil {
		t.Error("one port of UDP twice")
	}
	if len(h) != 2 {
		t.Errorf("%d are held", len(h))
	}
	h.letGo()
	if _, err := h.udp(loopback, port); err != nil {
		t.Error(err)
	}
	h.letGo()
	if _, err := oneAddress(netip.MustParseAddr("192.0.2.1")); err == nil || !strings.HasPrefix(err.Error(), "find free ports on 192.0.2.1: ") {
		t.Errorf("on an address of nobody: %v", err)
	}
}
