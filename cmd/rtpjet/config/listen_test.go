package config

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"
)

func TestListenAddresses(t *testing.T) {
	for value, want := range map[string]string{
		"2223": "2223", " 2223 ": "2223", "1": "1", "65535": "65535", "127.0.0.1:2223": "127.0.0.1:2223", "0.0.0.0:2223": "0.0.0.0:2223",
		":2223": "2223", "[::1]:2223": "[::1]:2223", "[::]:2223": "[::]:2223", "127.0.0.1:0": "127.0.0.1:0",
		"localhost:2223":         "127.0.0.1:2223", // IPv4 before IPv6, whose address comes first
		"media.example.com:2223": "192.0.2.77:2223", "[fe80::1%eth0]:2223": "[fe80::1%eth0]:2223",
	} {
		for _, option := range []string{"--listen-ng", "--listen-http"} {
			d := &decoder{}
			got, ok := d.listenAddr(t.Context(), setting{value, option}, "127.0.0.1:2223", testEnv(nil))
			if got != want || !ok || d.faults.err() != nil {
				t.Errorf("%s %q: %q %v %v", option, value, got, ok, d.faults.err())
			}
		}
	}
	for _, value := range []string{"", "0", "-1", "65536", "x", "127.0.0.1", "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:65536", "127.0.0.1:-1", "::1:2223:", "[::1]", "a:b:c", "2223 2224", "http://127.0.0.1:80"} {
		for option, example := range map[string]string{"--listen-ng": "127.0.0.1:2223", "--listen-http": "127.0.0.1:8080"} {
			_, err := ParseArgs(t.Context(), append(strings.Fields(fine), option+"="+value), testEnv(nil))
			if want := option + " is " + Quote(value) + "; it must be [ADDR:]PORT, such as " + example; err == nil || err.Error() != want {
				t.Errorf("%s %q: %v, want %s", option, value, err, want)
			}
		}
	}
}

// TestListenNames: host names are resolved once, and what cannot be resolved is told of.
func TestListenNames(t *testing.T) {
	six := netip.MustParseAddr("2001:db8::1")
	for name, tt := range map[string]struct {
		addrs []netip.Addr
		err   error
		want  string
	}{
		"one":      {[]netip.Addr{netip.MustParseAddr("192.0.2.1")}, nil, "192.0.2.1"},
		"six only": {[]netip.Addr{six}, nil, "2001:db8::1"},
		"both":     {[]netip.Addr{six, netip.MustParseAddr("192.0.2.1")}, nil, "192.0.2.1"},
		"mapped":   {[]netip.Addr{netip.MustParseAddr("::ffff:192.0.2.2")}, nil, "192.0.2.2"},
		"none":     {nil, nil, `--listen-ng is "h:2223", and the host name cannot be resolved: it has no address; write the address instead`},
		"failed":   {nil, errors.New("no such host"), `--listen-ng is "h:2223", and the host name cannot be resolved: no such host; write the address instead`},
	} {
		asked := 0
		env := testEnv(nil)
		env.LookupHost = func(_ context.Context, host string) ([]netip.Addr, error) {
			if asked++; host != "h" {
				t.Errorf("%s: asked for %q", name, host)
			}
			return tt.addrs, tt.err
		}
		cmd, err := ParseArgs(t.Context(), strings.Fields("serve -i 10.0.0.1 --listen-ng h:2223"), env)
		var got string
		if err != nil {
			got = err.Error()
		} else {
			got, _, _ = net.SplitHostPort(cmd.Config.Listen[0])
		}
		if got != tt.want || asked != 1 {
			t.Errorf("%s: %s, asked %d times", name, got, asked)
		}
	}
}

func TestHTTPToken(t *testing.T) {
	files := map[string]string{
		"good": " 0123456789abcdef\n", "long": strings.Repeat("x", 500), "short": "0123456789abcde\n", "empty": "\n\n", "two": "0123456789abcdef\n0123456789abcdef\n",
		"spaced": "0123456789 abcdef", "umlaut": "0123456789abcdéf", "control": "0123456789abcdef\x00",
	}
	for name, want := range map[string]string{"good": "0123456789abcdef", "long": files["long"]} {
		if c := mustParse(t, testEnv(files), fine+"--http-token-file="+name); c.HTTPToken != want {
			t.Errorf("%s: %q", name, c.HTTPToken)
		}
	}
	const line = "--http-token-file: %s must have one line of at least 16 letters and digits, for example from openssl rand -hex 32"
	for name, want := range map[string]string{
		"short": line, "two": line, "spaced": line, "umlaut": line, "control": line,
		"empty":   "--http-token-file: %s is empty; write the secret into it",
		"missing": "--http-token-file: cannot read %s: file does not exist; name a file that holds the secret",
	} {
		_, err := parse(t, testEnv(files), fine+"--http-token-file="+name)
		if want = strings.Replace(want, "%s", name, 1); err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", name, err, want)
		}
		if text := strings.TrimSpace(files[name]); err != nil && text != "" && strings.Contains(err.Error(), text) {
			t.Errorf("%s: the error has the secret: %v", name, err)
		}
	}
	if c := mustParse(t, testEnv(files), fine+"--http-token-file="); c.HTTPToken != "" {
		t.Errorf("without a file: %q", c.HTTPToken)
	}
}

// TestDevPorts: dev goes on without the usual ports where somebody else has them, and keeps to what it is told.
func TestDevPorts(t *testing.T) {
	env := testEnv(nil)
	var asked []string
	env.CanListen = func(addr string) bool { asked = append(asked, addr); return false }
	c := mustParse(t, env, "dev")
	if c.NATSListen != "127.0.0.1:0" || strings.Join(c.ListenHTTP, " ") != "127.0.0.1:0" || strings.Join(c.Listen, " ") != "127.0.0.1:2223" {
		t.Errorf("NATS %s, HTTP %v, NG %v", c.NATSListen, c.ListenHTTP, c.Listen)
	}
	if got := strings.Join(asked, " "); got != "127.0.0.1:4222 127.0.0.1:8080" {
		t.Errorf("asked for %s", got)
	}
	asked = nil
	c = mustParse(t, env, "dev --nats-listen 127.0.0.1:4333 --listen-http 8081 --listen-ng 2224")
	if c.NATSListen != "127.0.0.1:4333" || c.ListenHTTP[0] != "8081" || c.Listen[0] != "2224" || asked != nil {
		t.Errorf("NATS %s, HTTP %v, NG %v, asked for %q", c.NATSListen, c.ListenHTTP, c.Listen, asked)
	}
	if mustParse(t, env, "dev --nats x:1"); strings.Contains(strings.Join(asked, " "), "4222") {
		t.Errorf("with a NATS elsewhere: asked for %q", asked)
	}
	if c = mustParse(t, env, "serve -i 10.0.0.1 -n 2223"); c.NATSListen != DefaultNATSListen || c.ListenHTTP != nil {
		t.Errorf("serve: NATS %s, HTTP %v", c.NATSListen, c.ListenHTTP)
	}
}

func TestPortsOthersCanReach(t *testing.T) {
	for s, want := range map[string]struct{ host, fixed, reach bool }{
		"192.0.2.1:1":     {true, true, true},
		"192.0.2.1:65535": {true, true, true},
		"nats.test:6222":  {true, true, true},
		"[::1]:6222":      {true, true, true},
		":6222":           {true, true, false},
		"192.0.2.1:0":     {true, false, false},
		"192.0.2.1:65536": {},
		"192.0.2.1:":      {},
		"192.0.2.1":       {},
		"192.0.2.1:-1":    {},
		"192.0.2.1:ng":    {},
		"::1:6222":        {},
		"":                {},
	} {
		if got := checkHostPort(s) == nil; got != want.host {
			t.Errorf("%q is HOST:PORT: %v", s, got)
		}
		if got := fixedPort(s); got != want.fixed {
			t.Errorf("%q has a port that others can be told: %v", s, got)
		}
		if got := reachable(s); got != want.reach {
			t.Errorf("%q can be connected to: %v", s, got)
		}
	}
}
