package config

import (
	"strings"
	"testing"
	"time"
)

func TestFloats(t *testing.T) {
	env := testEnv(nil)
	c := mustParse(t, env, "serve --interface pub/192.168.1.120 --interface priv/10.9.9.9 --listen-ng float:priv:2223 --listen-ng 10.9.9.9:2223 "+
		"--float pub/192.0.2.100/24@eth0 --float priv/10.9.9.100/24@eth1 --float pub/192.0.2.101!203.0.113.1/24@eth0 --float priv/10.9.9.101/24@eth1 "+
		"--float-timeout 100 --port-min 20000 --port-max 20999")
	if len(c.Floats) != 2 || c.FloatTimeout != 100*time.Millisecond || c.FloatProvider != "netlink" {
		t.Fatalf("%+v", c.Floats)
	}
	for i, want := range []struct{ id, table, addrs string }{
		{"192.0.2.100", "pub 192.0.2.100 priv 10.9.9.100", "192.0.2.100/24@eth0 10.9.9.100/24@eth1"},
		{"192.0.2.101", "pub 192.0.2.101 priv 10.9.9.101", "192.0.2.101/24@eth0 10.9.9.101/24@eth1"},
	} {
		f := c.Floats[i]
		var table, addrs []string
		for _, a := range f.Interfaces.All() {
			table = append(table, a.Name, a.Addr.String())
			if a.Ports.Min != 20000 || a.Ports.Max != 20999 {
				t.Errorf("%+v", a)
			}
		}
		for _, a := range f.Addrs {
			addrs = append(addrs, a.String())
		}
		if f.ID != want.id || strings.Join(table, " ") != want.table || strings.Join(addrs, " ") != want.addrs {
			t.Errorf("%s: %v %v", f.ID, table, addrs)
		}
	}
	if a, _ := c.Floats[1].Interfaces.Lookup("pub", "IP4", 0); a.Advertised.String() != "203.0.113.1" {
		t.Errorf("%+v", a)
	}
	if got := strings.Join(c.ListenFloat, " "); got != "10.9.9.100:2223 10.9.9.101:2223" {
		t.Error(got)
	}
	if got := strings.Join(c.Listen, " "); got != "10.9.9.9:2223" {
		t.Error(got)
	}

	c = mustParse(t, env, "serve -i 192.168.1.120 -n 2223 --float 192.0.2.100/24@eth0 --float [2001:db8::100]/64@eth0")
	if len(c.Floats) != 1 || c.Floats[0].ID != "192.0.2.100" || len(c.Floats[0].Addrs) != 2 {
		t.Errorf("%+v", c.Floats)
	}
	c = mustParse(t, env, "serve -i 2001:db8::1 -n 2223 --float 2001:db8::100/64@eth0")
	if c.Floats[0].ID != "2001_db8__100" {
		t.Error(c.Floats[0].ID)
	}
}

func TestFloatFaults(t *testing.T) {
	const node = "serve -i pub/192.168.1.120 -n 2223 "
	for _, tt := range []struct{ args, want string }{
		{"--float nonsense", "is no floating address"},
		{"--float pub/192.0.2.100/24", "is no floating address"},
		{"--float pub/192.0.2.100@eth0", "pub\" is no IP address"},
		{"--float pub/192.0.2.300/24@eth0", "is no IP address"},
		{"--float pub/192.0.2.100/99@eth0", "is no length of a network"},
		{"--float pub/192.0.2.100/24@", "no name of a device"},
		{"--float pub/0.0.0.0/24@eth0", "cannot float"},
		{"--float pub/192.0.2.100!x/24@eth0", "is no IP address"},
		{"--float pub/192.0.2.100/24@eth0 --float pub/192.0.2.100/24@eth1", "twice"},
		{"--float pub/192.168.1.120/24@eth0", "one of this machine's own"},
		{"--float priv/192.0.2.100/24@eth0", "interface pub has no floating address"},
		{"--float pub/192.0.2.100/24@eth0 --float pub/192.0.2.101/24@eth0 --float priv/192.0.2.102/24@eth0", "equally many"},
		{"--float pub/192.0.2.100/24@eth0 --float-provider magic", "must be netlink, none, or exec:"},
		{"--float pub/192.0.2.100/24@eth0 --float-timeout 5", "from 30 to 10000"},
		{"--float pub/192.0.2.100/24@eth0 --listen-ng float:priv:2223", "no --float has the name"},
		{"--float pub/192.0.2.100/24@eth0 --listen-ng float:pub", "must be float:NAME:PORT"},
	} {
		if _, err := parse(t, testEnv(nil), node+tt.args); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.args, err, tt.want)
		}
	}
}
