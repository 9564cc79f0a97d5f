package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"rtpjet/cmd/rtpjet/config"
	"rtpjet/cmd/rtpjet/keeper"
	"rtpjet/cmd/rtpjet/keeper/netaddr"
	"rtpjet/embed"
	"rtpjet/events"
)

// TestCheckAddresses: an address that this machine does not have is told before anything has begun, once, with its interface.
func TestCheckAddresses(t *testing.T) {
	host, other := newHost().String(), newHost().String()
	must(t, checkAddresses(configure(t, "--interface=a/"+host, "--interface=b/"+other+"!203.0.113.9")))
	c := configure(t, "--interface=a/"+host, "--interface=b/192.0.2.77", "--interface=c/192.0.2.77", "--interface=d/192.0.2.78")
	want := "interface b: this machine cannot use the address 192.0.2.77: cannot assign requested address; add it to a device, or correct --interface\n" +
		"interface d: this machine cannot use the address 192.0.2.78: cannot assign requested address; add it to a device, or correct --interface"
	if err := checkAddresses(c); err == nil || err.Error() != want || !errors.Is(err, syscall.EADDRNOTAVAIL) {
		t.Errorf("%v\nwant %s", err, want)
	}
}

// TestExplainListen: what to do about an address that cannot be had, by the option that names it.
func TestExplainListen(t *testing.T) {
	wrapped := func(e syscall.Errno) error { return fmt.Errorf("listen on it: %w", &net.OpError{Op: "listen", Err: e}) }
	for _, option := range []string{"--listen-http", "--listen-ng"} {
		for errno, advice := range map[syscall.Errno]string{
			syscall.EADDRINUSE:    "; end the program that uses the port, or choose another with " + option,
			syscall.EADDRNOTAVAIL: "; this machine does not have the address: correct " + option,
			syscall.EACCES:        "; choose a port above 1023 with " + option + ", or run with the right to use it",
			syscall.ENOMEM:        "",
		} {
			err := wrapped(errno)
			if got := explainListen(err, option); got.Error() != err.Error()+advice || !errors.Is(got, errno) {
				t.Errorf("%v, want %s%s", got, err, advice)
			}
		}
	}
	other := errors.New("the log has another node of this name")
	if got := explainListen(other, "--listen-ng"); got != other {
		t.Errorf("%v", got)
	}
}

func TestReason(t *testing.T) {
	if got := reason(fmt.Errorf("a: %w", &net.OpError{Op: "listen", Err: syscall.EADDRINUSE})); got != syscall.EADDRINUSE {
		t.Errorf("%v", got)
	}
	other := errors.New("something else")
	if got := reason(other); got != other {
		t.Errorf("%v", got)
	}
}

func TestJoinAddrs(t *testing.T) {
	if got := joinAddrs(nil); got != "" {
		t.Errorf("%q", got)
	}
	got := joinAddrs([]netip.AddrPort{netip.MustParseAddrPort("192.0.2.1:80"), netip.MustParseAddrPort("[2001:db8::1]:81")})
	if got != "192.0.2.1:80 [2001:db8::1]:81" {
		t.Errorf("%q", got)
	}
}

// withFloats is a node with two interfaces of its own and two floats, each of an address for each interface.
func withFloats(t *testing.T, args ...string) *config.Config {
	t.Helper()
	return configure(t, append([]string{
		"--interface=int/127.7.0.1", "--interface=ext/127.7.0.2!203.0.113.9", "--float=int/127.7.0.100/8@lo", "--float=ext/127.7.0.101/8@lo",
		"--float=int/127.7.0.102/8@lo", "--float=ext/127.7.0.103/8@lo", "--float-provider=none", "--port-min=30000", "--port-max=30099",
	}, args...)...)
}

// TestRelayPools: each address has one pool, and a float's looks at the deadline that its keeper writes.
func TestRelayPools(t *testing.T) {
	c := withFloats(t)
	k, err := newKeepers(c)
	must(t, err)
	own := map[string]bool{"127.7.0.1": true, "127.7.0.2": true}
	seen := map[netip.Addr]bool{}
	for _, p := range relayPools(c, k.shared) {
		if seen[p.Addr] || p.Min != 30000 || p.Max != 30099 {
			t.Errorf("%+v", p)
		}
		seen[p.Addr] = true
		if own[p.Addr.String()] {
			if p.Floating || p.Deadline != nil || p.Life != nil || p.First != 0 {
				t.Errorf("a node's own address is relayed only while a keeper lives: %+v", p)
			}
			continue
		}
		// The place of a float among the deadlines is that in the keeper's configuration.
		i := slices.IndexFunc(k.cfg.Floats, func(f keeper.Float) bool {
			return slices.ContainsFunc(f.Addrs, func(a netaddr.Address) bool { return a.Addr() == p.Addr })
		})
		if i < 0 || !p.Floating || p.Deadline != k.shared.At(i) || p.Life != k.shared.Life() {
			t.Errorf("%s has the deadline of another float than of number %d: %+v", p.Addr, i, p)
		}
		if p.First != uint16(events.Digest([]byte("n1"))) {
			t.Errorf("the ports of a float begin at %d", p.First)
		}
	}
	if len(seen) != 6 {
		t.Errorf("%d addresses have pools: %v", len(seen), seen)
	}
}

// TestKeepers: a keeper is started with what the options say.
func TestKeepers(t *testing.T) {
	c := withFloats(t, "--float-timeout=90", "--float-settle=30", "--log-format=json")
	c.ClusterKey = []byte("the cluster's")
	k, err := newKeepers(c)
	must(t, err)
	want := keeper.Config{
		Node: "n1", Timeout: 90 * time.Millisecond, Balance: 10 * time.Second, Settle: 30 * time.Second, NodeSilence: time.Second, Provider: "none",
		Bind: netip.MustParseAddr("127.7.0.1"), Key: []byte("the cluster's"), LogLevel: c.LogLevel, LogJSON: true,
		Floats: []keeper.Float{{ID: "127.7.0.100", Addrs: c.Floats[0].Addrs}, {ID: "127.7.0.102", Addrs: c.Floats[1].Addrs}},
	}
	if !reflect.DeepEqual(k.cfg, want) {
		t.Errorf("%+v\nwant %+v", k.cfg, want)
	}
}

// TestRegions: a node without other regions answers none, and asks none.
func TestRegions(t *testing.T) {
	journal := new(embed.Log)
	if s := regionServer(&config.Config{}, journal); s != nil {
		t.Errorf("%v", s)
	}
	for _, c := range []*config.Config{{RegionListen: "127.0.0.1:7222"}, {RegionPeers: []embed.RegionPeer{{Name: "us"}}}} {
		if regionServer(c, journal) == nil {
			t.Errorf("%+v: other regions are not answered", c)
		}
	}
	c := &config.Config{RegionPeers: []embed.RegionPeer{{Name: "us"}, {Name: "eu"}}}
	all := otherRegions(c, nil, quiet())
	if len(all) != 2 || all[0].Name != "us" || all[1].Name != "eu" || otherRegions(&config.Config{}, nil, quiet()) != nil {
		t.Errorf("%+v", all)
	}
}

// TestConnectFails: what keeps the embedded NATS from starting is told, and nothing of it is left.
func TestConnectFails(t *testing.T) {
	c := configure(t, "--interface="+newHost().String(), "--data-dir=/proc/nowhere")
	nc, ns, err := connect(t.Context(), c, quiet())
	if err == nil || nc != nil || ns != nil || !strings.Contains(err.Error(), "/proc/nowhere") {
		t.Errorf("%v, %v, %v", nc, ns, err)
	}
	c = configure(t, "--interface="+newHost().String())
	c.NATS = []string{"nats://127.0.0.1:1"}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if nc, ns, err := connect(ctx, c, quiet()); err == nil || nc != nil || ns != nil {
		t.Errorf("%v, %v, %v", nc, ns, err)
	}
}
