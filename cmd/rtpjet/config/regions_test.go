package config

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rtpjet/embed"
)

func TestRegionOptions(t *testing.T) {
	env := testEnv(map[string]string{"/etc/key": "a secret that is long enough for this\n"})
	c := mustParse(t, env, "serve -i 192.168.1.120 -n 2223 --region eu --region-listen 192.168.1.120:7422 "+
		"--region-peer us=198.51.100.1:7422,us.example.com:7422 --region-peer ap_1=[2001:db8::1]:7422 --cluster-key-file /etc/key")
	want := []embed.RegionPeer{
		{Name: "us", URLs: []string{"198.51.100.1:7422", "us.example.com:7422"}}, {Name: "ap_1", URLs: []string{"[2001:db8::1]:7422"}},
	}
	if diff := cmp.Diff(want, c.RegionPeers); diff != "" || c.RegionListen != "192.168.1.120:7422" || c.Region != "eu" {
		t.Errorf("%s %s\n%s", c.Region, c.RegionListen, diff)
	}
}

func TestRegionFaults(t *testing.T) {
	env := testEnv(map[string]string{"/etc/key": "a secret that is long enough for this\n"})
	const (
		node = "serve -i 192.168.1.120 -n 2223 "
		good = "--region eu --cluster-key-file /etc/key "
	)
	for _, tt := range []struct{ args, want string }{
		{good + "--region-listen 7422", `--region-listen is "7422"; it must be ADDR:PORT, such as 192.0.2.1:7422`},
		{good + "--region-listen 192.0.2.1:0", `--region-listen is "192.0.2.1:0"; it must be ADDR:PORT, such as 192.0.2.1:7422`},
		{good + "--region-listen 192.0.2.1:70000", `--region-listen is "192.0.2.1:70000"; it must be ADDR:PORT, such as 192.0.2.1:7422`},
		{good + "--region-peer us", `--region-peer is "us"; it must be NAME=ADDR:PORT, such as us=198.51.100.1:7422`},
		{good + "--region-peer u.s=198.51.100.1:7422", `--region-peer is "u.s=198.51.100.1:7422"; it must be NAME=ADDR:PORT, such as us=198.51.100.1:7422`},
		{good + "--region-peer =198.51.100.1:7422", `--region-peer is "=198.51.100.1:7422"; it must be NAME=ADDR:PORT, such as us=198.51.100.1:7422`},
		{good + "--region-peer us=198.51.100.1", `--region-peer is "us=198.51.100.1"; it must be NAME=ADDR:PORT, such as us=198.51.100.1:7422`},
		{good + "--region-peer us=:7422", `--region-peer is "us=:7422"; it must be NAME=ADDR:PORT, such as us=198.51.100.1:7422`},
		{good + "--region-peer us=198.51.100.1:0", `--region-peer is "us=198.51.100.1:0"; it must be NAME=ADDR:PORT, such as us=198.51.100.1:7422`},
		{good + "--region-peer us=,", `--region-peer names no server of region "us"; write NAME=ADDR:PORT`},
		{good + "--region-peer eu=198.51.100.1:7422", `--region-peer names "eu", which is this region itself; leave it out, or correct --region`},
		{good + "--region-peer us=198.51.100.1:7422 --region-peer us=198.51.100.2:7422", `--region-peer names "us" once more; give all its addresses in one, with commas`},
		{
			good + "--nats nats://192.0.2.9:4222 --region-peer us=198.51.100.1:7422",
			"--nats and --region-listen or --region-peer exclude each other: regions are joined by the embedded NATS; leave one out",
		},
		{"--cluster-key-file /etc/key --region-listen 192.0.2.1:7422", "--region-peer and --region-listen need --region: each region has a name of its own"},
		{
			"--region eu --region-peer us=198.51.100.1:7422",
			"regions need a secret that all of them share: give every node of every region the same --cluster-key-file",
		},
	} {
		_, err := parse(t, env, node+tt.args)
		if err == nil {
			t.Errorf("%s: no error", tt.args)
			continue
		}
		if lines := strings.Split(err.Error(), "\n"); len(lines) != 1 || !strings.HasSuffix(lines[0], tt.want) {
			t.Errorf("%s:\n%v\nwant\n%s", tt.args, err, tt.want)
		}
	}
}

func TestRegionCommands(t *testing.T) {
	c, err := parse(t, testEnv(nil), "region adopt us --without ap,sa --without af --region eu --nats nats://192.0.2.1:4222")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(RegionOptions{Name: "us", Without: []string{"ap", "sa", "af"}}, c.Region); diff != "" || c.Name != "region adopt" {
		t.Errorf("%s %s", c.Name, diff)
	}
	for args, want := range map[string]string{
		"region":             "write rtpjet region list, or rtpjet region adopt or forget NAME",
		"region lose us":     "write rtpjet region list, or rtpjet region adopt or forget NAME",
		"region list us":     `region list takes no argument, but there is "us"`,
		"region adopt":       "region adopt takes the name of one region; rtpjet region list shows them",
		"region adopt us ap": "region adopt takes the name of one region; rtpjet region list shows them",
		"region forget u.s":  "region forget takes the name of one region; rtpjet region list shows them",
	} {
		if _, err := parse(t, testEnv(nil), args); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", args, err, want)
		}
	}
}
