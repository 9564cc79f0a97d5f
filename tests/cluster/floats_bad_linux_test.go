package cluster

import (
	"net/netip"
	"testing"

	"rtpjet/tests/lab"
)

// What cannot be served is refused at the start, with a sentence that says what is wrong.
func TestFloatRefused(t *testing.T) {
	s := newSpread(t)
	c := assemble(t, s, 1)
	where := c.nodes[0].where
	for _, bad := range []struct {
		what  string
		args  []string
		words []string
	}{
		{"no such device", []string{"--float", "default/10.97.1.100/24@eth99"}, []string{"eth99"}},
		{"an address of the machine", []string{"--float", "default/10.97.1.1/24@media"}, []string{"10.97.1.1", "--interface"}},
		{"another address of the machine", []string{"--float", "default/10.97.2.1/24@nats"}, []string{"10.97.2.1"}},
		{"unequal numbers", []string{
			"--float", "default/10.97.1.100/24@media", "--float", "default/10.97.1.101/24@media",
			"--interface", "priv/10.97.2.1", "--float", "priv/10.97.2.100/24@nats",
		}, []string{"priv", "equally many"}},
		{"an interface without a float", []string{"--float", "default/10.97.1.100/24@media", "--interface", "priv/10.97.2.1"}, []string{"priv", "--float"}},
		{"no network", []string{"--float", "default/10.97.1.100@media"}, []string{"NAME/ADDR/PREFIX@DEVICE"}},
		{"no address", []string{"--float", "default/phone/24@media"}, []string{"phone"}},
		{"NG on no float", []string{"--float", "default/10.97.1.100/24@media", "--listen-ng", "float:pub:2223"}, []string{"pub"}},
		{"twice", []string{"--float", "default/10.97.1.100/24@media", "--float", "default/10.97.1.100/24@media"}, []string{"10.97.1.100", "twice"}},
		{"a provider that is none", []string{"--float", "default/10.97.1.100/24@media", "--float-provider", "magic"}, []string{"magic", "netlink"}},
	} {
		t.Run(bad.what, func(t *testing.T) {
			n := &node{c: &cluster{t: t, world: s}, id: "n1", where: where, dir: t.TempDir(), args: bad.args}
			n.fails(bad.words...)
		})
	}
	t.Run("no permission", func(t *testing.T) {
		n := &node{c: &cluster{t: t, world: s}, id: "n1", where: where, dir: t.TempDir(), args: floatArg("default", mediaNet, floatOne)}
		if err := lab.Installed("setpriv"); err != nil {
			t.Skip(err)
		}
		n.under = []string{"setpriv", "--bounding-set", "-net_admin", "--inh-caps", "-net_admin", "--"}
		n.fails("CAP_NET_ADMIN")
	})
	// None of them has left anything behind.
	for _, a := range []string{"10.97.1.100", "10.97.1.101"} {
		if has, err := s.has(1, netip.MustParseAddr(a)); err != nil || has {
			t.Errorf("%s is on the machine: %v, %v", a, has, err)
		}
	}
	if ok, err := s.has(1, where.media); err != nil || !ok {
		t.Errorf("the machine has lost its own address: %v", err)
	}
}
