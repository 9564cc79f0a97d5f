package config

import (
	"strings"
	"testing"
)

func zonesOf(c *Config) string {
	var out []string
	for _, a := range c.Interfaces.All() {
		out = append(out, a.Name+"="+a.Zone)
	}
	return strings.Join(out, " ")
}

func TestZoneOptions(t *testing.T) {
	const conf = "[rtpengine]\nlisten-ng=2223\nzone=eu/fra/a\ninterfaces-config=i\ninterface-zone=third=eu/x;fourth=eu/y\n" +
		"[i-pub]\naddress=10.0.0.1;10.0.0.2\nzone = eu/fra/b\n[i-priv]\naddress=10.1.0.1\n[i-third]\naddress=10.2.0.1\nzone=eu/z\n[i-fourth]\naddress=10.3.0.1\n"
	env := testEnv(map[string]string{"zones.conf": conf})
	tests := []struct{ args, zone, interfaces string }{
		{"serve -n 2223 -i 10.0.0.1", "", "default="},
		{"serve -n 2223 -i 10.0.0.1 --zone=", "", "default="},
		{"serve -n 2223 -i 10.0.0.1 --zone eu/fra/a", "eu/fra/a", "default=eu/fra/a"},
		{"dev --zone eu", "eu", "default=eu"},
		{"serve -n 2223 -i pub/eth0 -i priv/10.0.0.1 --zone eu --interface-zone pub=eu/fra", "eu", "pub=eu/fra pub=eu/fra priv=eu"},
		{"serve -n 2223 -i pub/10.0.0.1 -i priv/10.0.0.2 --interface-zone pub=eu", "", "pub=eu priv="},
		{"serve -n 2223 -i g:1/10.0.0.1 -i g:2/10.0.0.2 --interface-zone g=eu --interface-zone g:2=us", "", "g:1=eu g:2=us"},
		{"serve --config-file zones.conf", "eu/fra/a", "pub=eu/fra/b pub=eu/fra/b priv=eu/fra/a third=eu/x fourth=eu/y"},
		{"serve --config-file zones.conf --zone us --interface-zone pub=us/b", "us", "pub=us/b pub=us/b priv=us third=eu/z fourth=us"},
	}
	for _, tt := range tests {
		c := mustParse(t, env, tt.args)
		if got := zonesOf(c); c.Zone != tt.zone || got != tt.interfaces {
			t.Errorf("%s: in %q, %s", tt.args, c.Zone, got)
		}
	}
}

func TestZoneFaults(t *testing.T) {
	files := map[string]string{
		"bad.conf": "[rtpengine]\nlisten-ng=2223\ninterfaces-config=i\n[i-pub]\naddress=10.0.0.1\nzone = fra nkfurt\n",
		"two.conf": "[rtpengine]\nlisten-ng=2223\ninterfaces-config=i\n[i-a]\nname=pub\naddress=10.0.0.1\nzone=eu\n[i-b]\nname=pub\naddress=10.0.0.2\n",
	}
	tests := []struct{ args, want string }{
		{"-n 2223 -i 10.0.0.1 --zone eu//a", `--zone is "eu//a"; it must be names of letters`},
		{"-n 2223 -i 10.0.0.1 --zone /eu", `--zone is "/eu"`},
		{"-n 2223 -i pub/10.0.0.1 --interface-zone pub", `--interface-zone is "pub"; it must be NAME=ZONE`},
		{"-n 2223 -i pub/10.0.0.1 --interface-zone pub=", "it must be NAME=ZONE"},
		{"-n 2223 -i pub/10.0.0.1 --interface-zone pub=a;b", `--interface-zone is "a;b"`},
		{"-n 2223 -i pub/10.0.0.1 -i priv/eth0 --interface-zone pbu=eu", `there is no interface "pbu"; write one of pub, priv, or give an --interface that name`},
		{"-n 2223 -i pub/10.0.0.1 --interface-zone pub=eu --interface-zone pub=us", "interface pub is in two zones, eu and us"},
		{"--config-file bad.conf", `section [i-pub]: zone is "fra nkfurt"`},
		{"--config-file two.conf", "section [i-b]: interface pub is in two zones, eu and none"},
	}
	for _, tt := range tests {
		if _, err := parse(t, testEnv(files), "serve "+tt.args); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v\ndoes not say %q", tt.args, err, tt.want)
		}
	}
}
