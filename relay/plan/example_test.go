package plan_test

import (
	"fmt"
	"net/netip"

	"rtpjet/relay/plan"
)

// A node between two networks. The members of the group "out" take turns.
func ExampleInterfaces_Lookup() {
	ports := plan.PortRange{Min: 30000, Max: 39999}
	face := func(name, addr string) plan.Interface {
		a := netip.MustParseAddr(addr)
		return plan.Interface{Name: name, Addr: a, Advertised: a, Ports: ports}
	}
	t, err := plan.NewInterfaces([]plan.Interface{
		face("in", "10.0.0.1"), face("out:1", "192.0.2.1"), face("out:2", "192.0.2.2"), face("out:2", "2001:db8::2"),
	}, map[string]string{"outside": "out"})
	if err != nil {
		fmt.Println(err)
		return
	}
	for turn := range uint64(3) {
		a, _ := t.Lookup("outside", "IP4", turn)
		fmt.Println(a.Name, a.Addr)
	}
	six, _ := t.Lookup("out", "IP6", 0)
	fmt.Println(six.Name, six.Addr)
	other, exact := t.Lookup("elsewhere", "IP4", 0)
	fmt.Println(other.Name, exact)
	// Output:
	// out:1 192.0.2.1
	// out:2 192.0.2.2
	// out:1 192.0.2.1
	// out:2 2001:db8::2
	// in false
}
