package bench

import (
	"bytes"
	"net/netip"
	"strings"
	"testing"
	"time"
)

func TestClusterMistakesAreNamed(t *testing.T) {
	for args, want := range map[string]string{
		"--callers 0":                        "--callers",
		"--ask 5":                            "--name",
		"--rate 1e9":                         "--rate",
		"--update-latency 10":                "two nodes",
		"--update-latency 1 --update-rate 1": "--update-rate",
		"--calls -1":                         "numbers",
		"--ng 127.0.0.1:2223,no-such-host.invalid:": "--ng",
		"--help": "--at-once",
	} {
		var out, errs bytes.Buffer
		if code := Run(t.Context(), append([]string{"cluster"}, strings.Fields(args)...), &out, &errs); code == 0 && args != "--help" ||
			!strings.Contains(errs.String(), want) {
			t.Errorf("%s: code %d, %q; want %q", args, code, errs.String(), want)
		}
	}
}

func TestClusterTally(t *testing.T) {
	y := newTally()
	y.answered("offer", time.Millisecond, false)
	y.answered("offer", 2*time.Second, true)
	y.failed("query", "c1", "no")
	y.failed("", "c2", "media: silent")
	r := y.result()
	if r.Commands != 3 || r.Alternates != 1 || r.WithinS != 1 || r.Failures != 2 || r.LongestUS != 2e6 {
		t.Errorf("%+v", r)
	}
	if r.First != "c1: query: no" || r.Reasons["query: no"] != 1 || r.Reasons["media: silent"] != 1 || r.Latency["offer"].Count != 2 {
		t.Errorf("%+v", r)
	}
}

func TestClusterOwner(t *testing.T) {
	n, err := parseNodes("127.0.0.1:2223, 127.0.0.2:2223")
	if err != nil {
		t.Fatal(err)
	}
	for at, want := range map[string]int{"127.0.0.2:40000": 1, "127.0.0.1:1": 0, "192.0.2.1:2223": -1} {
		if got := n.owner(netip.MustParseAddrPort(at)); got != want {
			t.Errorf("owner of %s: %d, want %d", at, got, want)
		}
	}
}
