package keeper

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"rtpjet/cmd/rtpjet/keeper/netaddr"
	"rtpjet/tests/lab"
)

// networkFloat is a floating address of a network of the tests' own.
var networkFloat = netip.MustParsePrefix("10.97.0.100/24")

// newSwitch makes a network that leads nowhere, and skips the test without the right to.
func newSwitch(t testing.TB) *lab.Switch {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("network namespaces need root")
	}
	if testing.Short() {
		t.Skip("starts processes; not with -short")
	}
	sw, err := lab.NewSwitch()
	if err != nil {
		t.Skipf("this machine lets nobody make a network: %v", err)
	}
	t.Cleanup(func() { must(t, sw.Close()) })
	return sw
}

func plug(t testing.TB, sw *lab.Switch, name string, last byte) *lab.Port {
	t.Helper()
	p, err := sw.Plug(name, netip.AddrFrom4([4]byte{10, 97, 0, last}))
	must(t, err)
	return p
}

// onDevice calls f with the device of a host, and with what of the float's address is on it.
func onDevice(t testing.TB, host *lab.Port, f func(l netlink.Link, floats []netlink.Addr) error) {
	t.Helper()
	must(t, host.Do(func() error {
		l, err := netlink.LinkByName("eth0")
		if err != nil {
			return err
		}
		for {
			all, err := netlink.AddrList(l, unix.AF_INET)
			if errors.Is(err, netlink.ErrDumpInterrupted) {
				continue
			}
			if err != nil {
				return err
			}
			return f(l, slices.DeleteFunc(all, func(a netlink.Addr) bool { return !a.IP.Equal(networkFloat.Addr().AsSlice()) }))
		}
	}))
}

// hasFloat tells whether a host has the float.
func hasFloat(t testing.TB, host *lab.Port) (found bool) {
	t.Helper()
	onDevice(t, host, func(_ netlink.Link, floats []netlink.Addr) error {
		found = len(floats) > 0
		return nil
	})
	return found
}

// startOn starts a keeper on a host of the network. It has begun, and its node says that it lives until the test ends.
func startOn(t testing.TB, on *lab.Port, node string, run uint64, log *lines) *Keeper {
	t.Helper()
	cfg := Config{
		Node: node, Timeout: clusterSilence, NodeSilence: patience, Provider: "netlink", Bind: on.Addr,
		Floats: []Float{{ID: networkFloat.Addr().String(), Addrs: []netaddr.Address{{Prefix: networkFloat, Device: "eth0"}}}},
	}
	shared := newShared(t)
	var k *Keeper
	must(t, on.Do(func() (err error) {
		k, err = Start(t.Context(), cfg, shared, log)
		return err
	}))
	t.Cleanup(func() {
		_ = k.Close()
		if t.Failed() {
			t.Logf("%s\n%s", node, log)
		}
	})
	must(t, k.Begin(run))
	return k
}

// TestNetworkStranger: a host that is no node has the address. The node ends, with a sentence that says which host that is.
func TestNetworkStranger(t *testing.T) {
	t.Parallel()
	sw := newSwitch(t)
	node, stranger := plug(t, sw, "a", 1), plug(t, sw, "x", 9)
	onDevice(t, stranger, func(l netlink.Link, _ []netlink.Addr) error {
		return netlink.AddrAdd(l, &netlink.Addr{IPNet: &net.IPNet{IP: networkFloat.Addr().AsSlice(), Mask: net.CIDRMask(24, 32)}})
	})
	var log lines
	k := startOn(t, node, "n1", 1, &log)
	must(t, k.Ready())
	limit := time.After(patience)
	for {
		select {
		case r := <-k.Reports():
			if r.Fatal == "" {
				continue
			}
			want := "the floating address 10.97.0.100 is in use: a host with the hardware address " + stranger.MAC.String() + " answers for it"
			if !strings.HasPrefix(r.Fatal, want) {
				t.Errorf("%s, want %s", r.Fatal, want)
			}
		case <-limit:
			t.Error("nothing is said of a host that has the address")
		}
		break
	}
	if hasFloat(t, node) || k.shared.At(0).Load() != 0 {
		t.Error("the address of another host is taken")
	}
}

// TestNetworkTakeover: the address goes where the float does, comes back when somebody has deleted it, and does not stay on a
// machine whose keeper was killed.
func TestNetworkTakeover(t *testing.T) {
	t.Parallel()
	sw := newSwitch(t)
	hosts := []*lab.Port{plug(t, sw, "a", 1), plug(t, sw, "b", 2)}
	names := []string{"n1", "n2"}
	var logs [2]lines
	var keepers [2]*Keeper
	for i := range hosts {
		keepers[i] = startOn(t, hosts[i], names[i], 1, &logs[i])
	}
	for i, k := range keepers {
		must(t, k.Nodes(names, map[string]netip.AddrPort{names[1-i]: keepers[1-i].Addr()}))
		must(t, k.Ready())
	}
	at := -1
	eventually(t, "nobody has the address", func() bool {
		for i := range hosts {
			if keepers[i].shared.At(0).Load() > nowNano() && hasFloat(t, hosts[i]) {
				at = i
			}
		}
		return at >= 0
	})
	onDevice(t, hosts[at], func(l netlink.Link, floats []netlink.Addr) error { return netlink.AddrDel(l, &floats[0]) })
	eventually(t, "the address is not put back", func() bool { return hasFloat(t, hosts[at]) })
	eventually(t, "that somebody has taken the address away is not logged", func() bool {
		return logs[at].count("level=WARN", "somebody has taken the address of a float away") > 0
	})

	must(t, unix.Kill(pidOf(t, keepers[at].shared), unix.SIGKILL))
	eventually(t, "the other node does not take the address", func() bool {
		return keepers[1-at].shared.At(0).Load() > nowNano() && hasFloat(t, hosts[1-at])
	})
	if life := keepers[at].shared.Life().Load(); life&ownerDied == 0 {
		t.Errorf("another node has the float, and the relay of the keeper that was killed is told that it lives: %x", life)
	}
	eventually(t, "the address stays on the machine whose keeper was killed", func() bool { return !hasFloat(t, hosts[at]) })
}
