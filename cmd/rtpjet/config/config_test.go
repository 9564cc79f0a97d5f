package config

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rtpjet/relay/plan"
)

// testEnv is a machine with two network cards, one known host, and the files given.
func testEnv(files map[string]string) Env {
	addrs := func(list ...string) (out []netip.Addr) {
		for _, s := range list {
			out = append(out, netip.MustParseAddr(s))
		}
		return out
	}
	return Env{
		ReadFile: func(name string) ([]byte, error) {
			if text, ok := files[name]; ok {
				return []byte(text), nil
			}
			return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
		},
		LookupHost: func(_ context.Context, name string) ([]netip.Addr, error) {
			switch name {
			case "localhost":
				return addrs("::1", "127.0.0.1"), nil
			case "media.example.com":
				return addrs("192.0.2.77"), nil
			}
			return nil, errors.New("no such host")
		},
		CardAddrs: func(name string) ([]netip.Addr, error) {
			switch name {
			case "eth0":
				return addrs("192.168.1.120", "2001:db8:85a3::7334"), nil
			case "":
				return addrs("192.168.1.120", "2001:db8:85a3::7334", "10.9.9.9"), nil
			case "down0":
				return nil, nil
			}
			return nil, errors.New("no such card")
		},
		MainAddr:  func() netip.Addr { return netip.MustParseAddr("192.168.1.120") },
		Hostname:  func() (string, error) { return "media-1.example.com", nil },
		CacheDir:  func() (string, error) { return "/home/u/.cache", nil },
		CanListen: func(string) bool { return true },
	}
}

func parse(t *testing.T, env Env, args string) (Command, error) {
	t.Helper()
	return ParseArgs(t.Context(), strings.Fields(args), env)
}

func mustParse(t *testing.T, env Env, args string) *Config {
	t.Helper()
	c, err := parse(t, env, args)
	if err != nil {
		t.Fatalf("%s: %v", args, err)
	}
	return c.Config
}

func describe(table *plan.Interfaces) string {
	var out []string
	for _, a := range table.All() {
		s := fmt.Sprintf("%s/%v", a.Name, a.Addr)
		if a.Advertised != a.Addr {
			s += fmt.Sprintf("!%v", a.Advertised)
		}
		s += fmt.Sprintf(" %d-%d", a.Ports.Min, a.Ports.Max)
		for _, e := range a.Exclude {
			s += fmt.Sprintf(" not %d-%d", e.Min, e.Max)
		}
		out = append(out, s)
	}
	return strings.Join(out, ", ")
}

func TestServeDefaults(t *testing.T) {
	c := mustParse(t, testEnv(nil), "serve -i 10.0.0.1 -n 2223")
	want := &Config{
		Listen: []string{"2223"}, Timeout: time.Minute, SilentTimeout: time.Hour, OfferTimeout: time.Hour,
		DeleteDelay: 30 * time.Second, LegSilence: 20 * time.Second, MaxSessions: -1, LogLevel: slog.LevelInfo,
		NodeID: "media-1", Region: "default", DataDir: "/var/lib/rtpjet", NATSListen: "127.0.0.1:4222", ArchiveAge: 7 * 24 * time.Hour,
		FloatProvider: "netlink", FloatTimeout: 60 * time.Millisecond, FloatSettle: 30 * time.Second,
	}
	want.Threads, want.Interfaces = c.Threads, c.Interfaces
	if diff := cmp.Diff(want, c, cmp.Comparer(func(a, b *plan.Interfaces) bool { return a == b })); diff != "" {
		t.Error(diff)
	}
	if got := describe(c.Interfaces); got != "default/10.0.0.1 30000-39999" || c.Threads < 1 {
		t.Errorf("%s, %d threads", got, c.Threads)
	}
}

func TestServeFile(t *testing.T) {
	text, err := os.ReadFile("testdata/rtpengine.conf")
	if err != nil {
		t.Fatal(err)
	}
	env := testEnv(map[string]string{defaultConfigFile: string(text)})
	c := mustParse(t, env, "serve")
	want := &Config{
		Listen: []string{"127.0.0.1:2223", "10.10.0.5:22222"}, ListenHTTP: []string{"127.0.0.1:2225"}, TOS: 184, ControlTOS: 104,
		Timeout: 45 * time.Second, SilentTimeout: 30 * time.Minute, FinalTimeout: 3 * time.Hour, OfferTimeout: 2 * time.Minute, LegSilence: 20 * time.Second,
		Learning: plan.LearnDelayed, RejectInvalidSDP: true, MaxSessions: 5000, Threads: 4, SoftwareID: "gateway one",
		LogLevel: slog.LevelInfo, PIDFile: "/run/rtpengine.pid",
		NodeID: "media-1", Region: "default", DataDir: "/var/lib/rtpjet", NATSListen: "127.0.0.1:4222", ArchiveAge: 7 * 24 * time.Hour,
		FloatProvider: "netlink", FloatTimeout: 60 * time.Millisecond, FloatSettle: 30 * time.Second,
	}
	want.Interfaces, want.Warnings = c.Interfaces, c.Warnings
	if diff := cmp.Diff(want, c, cmp.Comparer(func(a, b *plan.Interfaces) bool { return a == b })); diff != "" {
		t.Error(diff)
	}
	if got, want := describe(c.Interfaces), "priv/10.10.0.5 20000-29998, pub/10.20.0.5!203.0.113.5 20000-29998, pub/2001:db8::5 20000-29998, "+
		"third/10.30.0.5!203.0.113.30 50000-50999 not 50060-50060 not 50100-50199, "+
		"fourth/10.40.0.5!203.0.113.40 20000-29998, fourth/10.40.0.6!203.0.113.41 20000-29998"; got != want {
		t.Errorf("interfaces\n%s\nwant\n%s", got, want)
	}
	for alias, addr := range map[string]string{"internal": "10.10.0.5", "external": "10.20.0.5", "3rd": "10.30.0.5"} {
		if a, exact := c.Interfaces.Lookup(alias, "IP4", 0); !exact || a.Addr.String() != addr {
			t.Errorf("%s is %v", alias, a.Addr)
		}
	}
	all := strings.Join(c.Warnings, "\n")
	for _, name := range []string{"table", "no-fallback", "listen-cli", "max-load", "recording-dir", "redis", "subscribe-keyspace", "mos", "dtls-ciphers"} {
		if n := strings.Count(all, ": "+name+" has no effect"); n != 1 {
			t.Errorf("%d warnings about %s", n, name)
		}
	}
	if !strings.Contains(all, "num-media-threads: there is no such option") || !strings.Contains(all, "background") {
		t.Errorf("warnings:\n%s", all)
	}
	if strings.Contains(all, "secret") {
		t.Errorf("a password in a warning:\n%s", all)
	}
}

// TestServeDebianFile: the file that Debian ships starts with rtpjet as it is.
func TestServeDebianFile(t *testing.T) {
	text, err := os.ReadFile(defaultConfigFile)
	if err != nil {
		t.Skip("no rtpengine is installed here")
	}
	c := mustParse(t, testEnv(map[string]string{defaultConfigFile: string(text)}), "serve")
	if c.Interfaces == nil || len(c.Listen) == 0 {
		t.Errorf("%+v", c)
	}
}

func TestCommandLineWins(t *testing.T) {
	env := testEnv(map[string]string{
		defaultConfigFile: "[rtpengine]\ninterface=10.0.0.1;10.0.0.2\nlisten-ng=2223\ntimeout=10\ntos=184\n[other]\ninterface=10.0.0.9\nlisten-ng=localhost:2229\n",
		"/etc/other.conf": "[rtpengine]\ninterface=10.0.0.3\nlisten-ng=2224\n",
	})
	c := mustParse(t, env, "serve --timeout 99 -i 10.0.0.5")
	if got := describe(c.Interfaces); got != "default/10.0.0.5 30000-39999" || c.Timeout != 99*time.Second || c.TOS != 184 {
		t.Errorf("%s, timeout %v, tos %d", got, c.Timeout, c.TOS)
	}
	c = mustParse(t, env, "serve --config-section=other")
	if got := describe(c.Interfaces); got != "default/10.0.0.9 30000-39999" || c.Listen[0] != "127.0.0.1:2229" {
		t.Errorf("%s, %s", got, c.Listen)
	}
	c = mustParse(t, env, "serve --config-file /etc/other.conf")
	if got := describe(c.Interfaces); got != "default/10.0.0.3 30000-39999" {
		t.Errorf("%s", got)
	}
	c = mustParse(t, env, "serve --config-file none -i 10.0.0.4 -n 127.0.0.1:2223")
	if got := describe(c.Interfaces); got != "default/10.0.0.4 30000-39999" || c.TOS != 0 {
		t.Errorf("%s", got)
	}
}

func TestInterfaceForms(t *testing.T) {
	tests := []struct{ args, want string }{
		{"-i eth0", "default/192.168.1.120, default/2001:db8:85a3::7334"},
		{"-i ext/eth0!203.0.113.9", "ext/192.168.1.120!203.0.113.9, ext/2001:db8:85a3::7334"},
		{"-i any", "default/192.168.1.120, default/2001:db8:85a3::7334, default/10.9.9.9"},
		{"-i media.example.com", "default/192.0.2.77"},
		{"-i a/localhost", "a/::1, a/127.0.0.1"},
		{"-i [2001:db8::1]![2001:db8::2]", "default/2001:db8::1!2001:db8::2"},
		{"-i ::ffff:10.0.0.1", "default/10.0.0.1"},
		{"-i g:1/10.0.0.1 -i g:2/10.0.0.2", "g:1/10.0.0.1, g:2/10.0.0.2"},
	}
	for _, tt := range tests {
		c := mustParse(t, testEnv(nil), "serve -n 2223 "+tt.args)
		if got := strings.ReplaceAll(describe(c.Interfaces), " 30000-39999", ""); got != tt.want {
			t.Errorf("%s: %s", tt.args, got)
		}
	}
}

func TestServeFaults(t *testing.T) {
	const fine = "-i 10.0.0.1 -n 2223 "
	files := map[string]string{
		"short.txt": "secret\n", "secret.txt": "s", "empty.txt": " \n",
		"broken.conf":  "[rtpengine]\nwhat\n",
		"empty.conf":   "[x]\n",
		"values.conf":  "[rtpengine]\ninterface=10.0.0.1\nlisten-ng=2223\ntimeout=60 # seconds\nsip-source=maybe\n",
		"section.conf": "[rtpengine]\nlisten-ng=2223\ninterfaces-config=i\n[i-a]\nport-min=40000\naddres=10.0.0.1\n[i-b]\naddress=10.0.0.1;10.0.0.2\nadvertised=10.0.0.3\n[i-c]\nalias=a\naddress=10.0.0.1\n[i-d]\naddress=10.0.0.1\nexclude-ports=5-3\n",
	}
	tests := []struct {
		args string
		want []string
	}{
		{"serve", []string{"no --interface", "no --listen-ng"}},
		{"serve " + fine + "--port-min 5000 --port-max 4000", []string{"--port-max is 4000 and --port-min is 5000"}},
		{"serve " + fine + "-m 70000", []string{`-m is "70000"`, "65534"}},
		{"serve " + fine + "-m -1", []string{`-m is "-1"`}},
		{"serve " + fine + "-o 0 --tos 256 --log-level=-1 --endpoint-learning often", []string{"-o is", "--tos is", "--log-level is", "--endpoint-learning is"}},
		{"serve -n 2223 -i nowhere", []string{`"nowhere"`, "no network card and no host"}},
		{"serve -n 2223 -i down0", []string{`"down0"`, "no address"}},
		{"serve -n 2223 -i 0.0.0.0", []string{`"0.0.0.0"`}},
		{"serve -n 2223 -i pub/", []string{"no address"}},
		{"serve -n 2223 -i /10.0.0.1", []string{"no name"}},
		{"serve -n 2223 -i 10.0.0.1!nat.example.com", []string{"nat.example.com", "no IP address"}},
		{"serve -n 2223 -i 10.0.0.1 -i 10.0.0.1", []string{"twice"}},
		{"serve -n 2223 -i a/10.0.0.1 -i x=b", []string{"no such interface"}},
		{"serve -i 10.0.0.1 -n nonsense", []string{`"nonsense"`, "[ADDR:]PORT"}},
		{"serve -i 10.0.0.1 -n nohost:2223", []string{"nohost", "resolved"}},
		{"serve -i 10.0.0.1 -n 99999", []string{"99999"}},
		{"serve -i 10.0.0.1 -n 2223 --listen-http nonsense --listen-http nohost:80", []string{`--listen-http is "nonsense"`, "[ADDR:]PORT", "nohost"}},
		{"serve " + fine + "--log-format xml", []string{"--log-format", "text or json"}},
		{"serve " + fine + "--node-id a.b --region x/y", []string{"--node-id", "--region"}},
		{"serve " + fine + "--nats http://x", []string{"scheme"}},
		{"serve " + fine + "--nats x:4222 --nats-listen 127.0.0.1:1", []string{"exclude each other"}},
		{"serve " + fine + "--nats-listen 4222", []string{"--nats-listen", "ADDR:PORT"}},
		{"serve " + fine + "--nats-creds f", []string{"without --nats"}},
		{"serve " + fine + "--nats-user u --nats x:1", []string{"--nats-password-file", "belong together"}},
		{"serve " + fine + "--nats-user u --nats-password-file secret.txt", []string{"without --nats"}},
		{"serve " + fine + "--nats x:1 --nats-user u --nats-password-file missing", []string{"--nats-password-file", "missing", "file does not exist"}},
		{"serve " + fine + "--nats-routes 10.0.0.1:6222", []string{"without --nats-cluster-listen"}},
		{"serve " + fine + "--nats-cluster-listen 6222", []string{"--nats-cluster-listen", "ADDR:PORT"}},
		{"serve " + fine + "--nats-cluster-listen 10.0.0.1:6222 --nats-routes 10.0.0.2,10.0.0.3:6222", []string{`--nats-routes is "10.0.0.2"`}},
		{"serve " + fine + "--nats x:1 --nats-cluster-listen 10.0.0.1:6222", []string{"exclude each other"}},
		{"serve " + fine + "--nats-listen none --nats-cluster-listen 10.0.0.1:6222", []string{"exclude each other", "127.0.0.1:4222"}},
		{"serve " + fine + "--nats-tls-cert c", []string{"--nats-tls-key", "belong together"}},
		{"serve " + fine + "--nats-tls-ca c", []string{"--nats-tls-cert"}},
		{"serve " + fine + "--nats-replicas 3", []string{"stands alone"}},
		{"serve " + fine + "--nats-replicas 7", []string{"from 0 to 5"}},
		{"serve " + fine + "--cluster-key-file short.txt", []string{"short.txt has a key of 6 bytes", "at least 16"}},
		{"serve " + fine + "--cluster-key-file empty.txt", []string{"empty.txt is empty"}},
		{"serve " + fine + "--archive-age 3", []string{"--archive-age"}},
		{"serve " + fine + "--data-dir=", []string{"--data-dir is empty"}},
		{"serve " + fine + "--config-file missing.conf", []string{"missing.conf", "file does not exist", "--config-file"}},
		{"serve " + fine + "--config-file broken.conf", []string{"broken.conf, line 2"}},
		{"serve " + fine + "--config-file empty.conf", []string{"[rtpengine]", "--config-section"}},
		{"serve --config-file values.conf", []string{`values.conf, line 4: timeout is "60 # seconds"`, "sip-source is"}},
		{"serve --config-file section.conf", []string{"section [i-a] has no address", `no "addres"`, "2 addresses and advertises 1", "an address and an alias", `"5-3"`}},
		{"serve " + fine + "--interfaces-config i", []string{"[i-"}},
		{"serve " + fine + "extra", []string{`"extra"`}},
		{"serve --interfcae 10.0.0.1", []string{"did you mean --interface"}},
		{"srve", []string{"did you mean rtpjet serve"}},
		{"--interface=10.0.0.1 -n 2223", []string{"rtpjet serve --interface=10.0.0.1 -n 2223"}},
		{"call", []string{"call list", "call show"}},
		{"call show", []string{"one call-id"}},
		{"call list x", []string{"call show"}},
		{"call list --nats ftp://x", []string{"scheme"}},
	}
	for _, tt := range tests {
		_, err := parse(t, testEnv(files), tt.args)
		if err == nil {
			t.Errorf("%s: no error", tt.args)
			continue
		}
		if !errors.Is(err, ErrUsage) {
			t.Errorf("%s: %v is no usage error", tt.args, err)
		}
		for _, w := range tt.want {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%s: %v\ndoes not say %q", tt.args, err, w)
			}
		}
	}
}

func TestDev(t *testing.T) {
	env := testEnv(map[string]string{defaultConfigFile: "[rtpengine]\ninterface=10.0.0.1\n"})
	c := mustParse(t, env, "dev")
	if describe(c.Interfaces) != "default/192.168.1.120 30000-39999" || c.Listen[0] != "127.0.0.1:2223" ||
		c.DataDir != "/home/u/.cache/rtpjet/dev" || c.NATSListen != "127.0.0.1:4222" {
		t.Errorf("%s %+v", describe(c.Interfaces), c)
	}
	env.MainAddr = func() netip.Addr { return netip.Addr{} }
	env.CanListen = func(string) bool { return false }
	env.CacheDir = func() (string, error) { return "", errors.New("no home") }
	c = mustParse(t, env, "dev -m 40000 -M 40100")
	if describe(c.Interfaces) != "default/127.0.0.1 40000-40100" || c.NATSListen != "127.0.0.1:0" || c.DataDir != ".rtpjet" {
		t.Errorf("%s %+v", describe(c.Interfaces), c)
	}
	c = mustParse(t, env, "dev -i pub/10.0.0.7 -n 10.0.0.7:2223 --nats-listen none --data-dir here --nats-listen=none")
	if describe(c.Interfaces) != "pub/10.0.0.7 30000-39999" || c.NATSListen != "" || c.DataDir != "here" {
		t.Errorf("%s %+v", describe(c.Interfaces), c)
	}
	if _, err := parse(t, env, "dev -i nowhere"); err == nil {
		t.Error("a wrong interface was replaced by the default")
	}
}

func TestOwnOptions(t *testing.T) {
	c := mustParse(t, testEnv(nil), "serve -i 10.0.0.1 -n 2223 --nats 192.0.2.1:4222,tls://x:4223 --nats nats://y --nats-creds f --archive-age 36h --node-id n_1 --region eu-1")
	if diff := cmp.Diff([]string{"nats://192.0.2.1:4222", "tls://x:4223", "nats://y"}, c.NATS); diff != "" || c.NATSCreds != "f" {
		t.Errorf("%s %s", diff, c.NATSCreds)
	}
	if c.ArchiveAge != 36*time.Hour || c.NodeID != "n_1" || c.Region != "eu-1" {
		t.Errorf("%+v", c)
	}
}

func TestClusterOptions(t *testing.T) {
	env := testEnv(map[string]string{"key": " 0123456789abcdef\n", "pw": "secret\n"})
	c := mustParse(t, env, "serve -i 10.0.0.1 -n 2223 --nats-cluster-listen 10.0.0.1:6222 --nats-routes 10.0.0.1:6222,10.0.0.2:6222 "+
		"--nats-routes nats-route://10.0.0.3:6222 --nats-replicas 3 --cluster-key-file key --nats-tls-ca a --nats-tls-cert c --nats-tls-key k")
	want := NATSAuth{NATSTLSCA: "a", NATSTLSCert: "c", NATSTLSKey: "k", ClusterKey: []byte("0123456789abcdef"), ClusterKeys: [][]byte{[]byte("0123456789abcdef")}}
	if diff := cmp.Diff(want, c.NATSAuth); diff != "" || c.NATSClusterListen != "10.0.0.1:6222" || c.NATSReplicas != 3 {
		t.Errorf("%s %+v", diff, c)
	}
	if diff := cmp.Diff([]string{"10.0.0.1:6222", "10.0.0.2:6222", "nats-route://10.0.0.3:6222"}, c.NATSRoutes); diff != "" {
		t.Error(diff)
	}
	dir := t.TempDir()
	for name, text := range map[string]string{"key": "0123456789abcdef", "pw": "secret\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd, err := parse(t, env, "call list --nats a:1 --nats-user u --nats-password-file "+dir+"/pw --nats-tls-ca a --cluster-key-file "+dir+"/key")
	want = NATSAuth{NATSUser: "u", NATSPassword: "secret", NATSTLSCA: "a", ClusterKey: []byte("0123456789abcdef"), ClusterKeys: [][]byte{[]byte("0123456789abcdef")}}
	if diff := cmp.Diff(want, cmd.Log.NATSAuth); diff != "" || err != nil {
		t.Errorf("%s %v", diff, err)
	}
}

func TestCommands(t *testing.T) {
	tests := []struct {
		args string
		want Command
	}{
		{"", Command{Name: "help"}},
		{"help serve", Command{Name: "help", Topic: "serve"}},
		{"serve --help", Command{Name: "help", Topic: "serve"}},
		{"serve -h --nonsense", Command{Name: "help", Topic: "serve"}},
		{"serve --version", Command{Name: "version"}},
		{"version", Command{Name: "version"}},
		{"-v", Command{Name: "version"}},
		{"demo --calls 8 --x", Command{Name: "demo", Args: []string{"--calls", "8", "--x"}}},
		{"help demo", Command{Name: "demo", Args: []string{"--help"}}},
		{"call list", Command{Name: "call list", Log: LogOptions{NATS: []string{"nats://127.0.0.1:4222"}, Region: "default"}}},
		{"call show abc --json --region=eu --nats a:1", Command{Name: "call show", Call: "abc", Log: LogOptions{NATS: []string{"nats://a:1"}, Region: "eu", JSON: true}}},
		{"call show -- --odd", Command{Name: "call show", Call: "--odd", Log: LogOptions{NATS: []string{"nats://127.0.0.1:4222"}, Region: "default"}}},
		{"call show -h", Command{Name: "help", Topic: "call show"}},
	}
	for _, tt := range tests {
		got, err := parse(t, testEnv(nil), tt.args)
		if diff := cmp.Diff(tt.want, got); diff != "" || err != nil {
			t.Errorf("%s: %v\n%s", tt.args, err, diff)
		}
	}
}

// TestBenchHasMoved: who knows the command of earlier builds is told the name of the new program.
func TestBenchHasMoved(t *testing.T) {
	for _, args := range []string{"bench", "bench control --callers 8", "bench --help", "help bench"} {
		_, err := parse(t, testEnv(nil), args)
		if !errors.Is(err, ErrUsage) || !strings.Contains(err.Error(), "rtpjet-bench") {
			t.Errorf("%s: %v", args, err)
		}
	}
}

func TestHelp(t *testing.T) {
	var main, serve, call bytes.Buffer
	WriteHelp(&main, "")
	WriteHelp(&serve, "serve")
	WriteHelp(&call, "call list")
	for _, c := range commands {
		if !strings.Contains(main.String(), "  "+c.name+" ") {
			t.Errorf("the help does not name %s", c.name)
		}
	}
	for _, o := range serveOptions {
		if !strings.Contains(serve.String(), "--"+o.long) {
			t.Errorf("the help of serve does not name --%s", o.long)
		}
	}
	if !strings.Contains(call.String(), "CALL-ID") {
		t.Error("the help of call does not name its argument")
	}
}

// TestRealEnv: the functions that ask this machine do not fail, whatever the answer.
func TestRealEnv(t *testing.T) {
	var env Env
	env.fill()
	if a := env.MainAddr(); a.IsValid() && (a.IsUnspecified() || a.Is4In6()) {
		t.Errorf("main address %v", a)
	}
	if _, err := env.CardAddrs(""); err != nil {
		t.Error(err)
	}
	if _, err := env.CardAddrs("no-such-card"); err == nil {
		t.Error("a card that does not exist has addresses")
	}
	if !env.CanListen("127.0.0.1:0") {
		t.Error("no port can be had")
	}
}
