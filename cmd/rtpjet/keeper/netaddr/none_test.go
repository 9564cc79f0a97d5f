package netaddr

import (
	"log/slog"
	"net/netip"
	"strings"
	"testing"
)

func TestNone(t *testing.T) {
	var out strings.Builder
	p, err := Open("none", Config{Log: slog.New(slog.NewTextHandler(&out, nil))})
	if err != nil {
		t.Fatal(err)
	}
	here := Address{Prefix: netip.MustParsePrefix("127.0.0.1/8"), Device: "lo"}
	away := Address{Prefix: netip.MustParsePrefix("192.0.2.77/24"), Device: "lo"}
	for _, test := range []struct {
		a    Address
		here bool
	}{{here, true}, {away, false}} {
		out.Reset()
		if err := p.Add(t.Context(), test.a); err != nil {
			t.Error(err)
		}
		if warned := strings.Contains(out.String(), "ip addr add"); warned == test.here {
			t.Errorf("%s: %q", test.a, out.String())
		}
		if is, err := p.Check(t.Context(), test.a); err != nil || is != test.here {
			t.Errorf("%s: %v, %v", test.a, is, err)
		}
	}
	t.Log(out.String())
	p.Announce(here)
	for _, err := range []error{p.Renew(t.Context(), away), p.Remove(t.Context(), here), p.Sweep(t.Context(), here), p.Close()} {
		if err != nil {
			t.Error(err)
		}
	}
	if is, _ := p.Check(t.Context(), here); !is {
		t.Error("it has removed an address")
	}
}

func TestIsHere(t *testing.T) {
	for _, test := range []struct {
		addr, prefix string
		loopback     bool
		want         bool
	}{
		{"192.0.2.1", "192.0.2.1/32", false, true},
		{"192.0.2.2", "192.0.2.1/24", false, false},
		{"192.0.2.2", "192.0.2.1/24", true, true},
		{"2001:db8::2", "2001:db8::1/64", true, false},
		{"2001:db8::1", "2001:db8::1/64", true, true},
	} {
		if got := isHere(netip.MustParseAddr(test.addr), netip.MustParsePrefix(test.prefix), test.loopback); got != test.want {
			t.Errorf("%+v: %v", test, got)
		}
	}
}
