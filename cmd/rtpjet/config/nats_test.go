package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestNATSURLs(t *testing.T) {
	for text, want := range map[string]string{
		"192.0.2.1:4222": "nats://192.0.2.1:4222", "nats.example.com": "nats://nats.example.com", "[2001:db8::1]:4222": "nats://[2001:db8::1]:4222",
		"nats://a": "nats://a", "tls://a:1": "tls://a:1", "ws://a": "ws://a", "wss://a/path": "wss://a/path",
	} {
		d := &decoder{}
		if got := d.natsURL(text, "--nats"); got != want || d.faults.err() != nil {
			t.Errorf("%q: %q %v", text, got, d.faults.err())
		}
	}
	for text, want := range map[string]string{
		"": "must be a URL", ":4222": "must be a URL", "nats://": "must be a URL", "nats://:4222": "must be a URL", "a b": "must be a URL", "nats://a:port": "must be a URL",
		"http://a": "its scheme must be", "NATS ://a": "must be a URL", "redis://a:6379": "its scheme must be", "://a": "must be a URL",
	} {
		d := &decoder{}
		d.natsURL(text, "--nats")
		if err := d.faults.err(); err == nil || !strings.HasPrefix(err.Error(), "--nats is "+Quote(text)+"; ") || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
	c := mustParse(t, testEnv(nil), fine+"--nats=,a:1,,b:2,")
	if got := strings.Join(c.NATS, " "); got != "nats://a:1 nats://b:2" {
		t.Error(got)
	}
}

// TestClusterKeys: the first line of the file is the key in use; each has to be long enough, and none of them is ever printed.
func TestClusterKeys(t *testing.T) {
	const now, before = "the secret of today, long", "the secret of yesterday, long"
	files := map[string]string{
		"one": now, "two": "\n " + now + " \r\n\n" + before + "\n", "short second": now + "\nshort-secret\n", "short": "short-secret", "empty": "\n", "just enough": "0123456789abcdef",
	}
	for name, want := range map[string][]string{"one": {now}, "two": {now, before}, "just enough": {"0123456789abcdef"}} {
		cmd, err := ParseArgs(t.Context(), append(strings.Fields(fine), "--cluster-key-file="+name), testEnv(files))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var got []string
		for _, k := range cmd.Config.ClusterKeys {
			got = append(got, string(k))
		}
		if strings.Join(got, "|") != strings.Join(want, "|") || string(cmd.Config.ClusterKey) != want[0] || string(cmd.Config.Credentials().ClusterKey) != want[0] {
			t.Errorf("%s: %q, in use %q", name, got, cmd.Config.ClusterKey)
		}
	}
	for name, want := range map[string]string{
		"short second": "--cluster-key-file: short second has a key of 12 bytes; each line must be a secret of at least 16, for example from openssl rand -hex 32",
		"short":        "--cluster-key-file: short has a key of 12 bytes; each line must be a secret of at least 16, for example from openssl rand -hex 32",
		"empty":        "--cluster-key-file: empty is empty; write the secret into it",
		"missing":      "--cluster-key-file: cannot read missing: file does not exist; name a file that holds the secret",
	} {
		_, err := ParseArgs(t.Context(), append(strings.Fields(fine), "--cluster-key-file="+name), testEnv(files))
		if err == nil || err.Error() != want || strings.Contains(err.Error(), "short-secret") {
			t.Errorf("%s: %v, want %s", name, err, want)
		}
	}
}

// TestOperatorsKeys: the commands of operators read the same files from this machine.
func TestOperatorsKeys(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"key": "a secret that is long enough\n", "pw": " secret \n", "empty": ""} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, line := range []string{"call list", "node list", "float list", "region list", "replay x"} {
		args := strings.Fields(line + " --nats-user u --nats-password-file " + dir + "/pw --cluster-key-file " + dir + "/key --nats-tls-ca ca --nats-tls-cert c --nats-tls-key k")
		cmd, err := ParseArgs(t.Context(), args, Env{})
		if a := cmd.Log.NATSAuth; err != nil || a.NATSUser != "u" || a.NATSPassword != "secret" || string(a.ClusterKey) != "a secret that is long enough" ||
			a.TLS().CA != "ca" || a.TLS().Cert != "c" || a.TLS().Key != "k" {
			t.Errorf("%s: %+v %v", line, a, err)
		}
		for option, want := range map[string]string{
			"--cluster-key-file " + dir + "/no":                    "--cluster-key-file: cannot read " + dir + "/no: no such file or directory; name a file that holds the secret",
			"--cluster-key-file " + dir:                            "--cluster-key-file: cannot read " + dir + ": is a directory; name a file that holds the secret",
			"--nats-user u --nats-password-file " + dir + "/empty": "--nats-password-file: " + dir + "/empty is empty; write the secret into it",
		} {
			if _, err := ParseArgs(t.Context(), strings.Fields(line+" "+option), Env{}); err == nil || err.Error() != want || !errors.Is(err, ErrUsage) {
				t.Errorf("%s %s: %v, want %s", line, option, err, want)
			}
		}
	}
}

// TestPasswordsOfRTPEngine: what stands in a file beside our options, such as the password of a database, is in no warning.
func TestPasswordsOfRTPEngine(t *testing.T) {
	const secret = "s3cr3t-of-mine"
	file := "[rtpengine]\ninterface=10.0.0.1\nlisten-ng=2223\n"
	for _, name := range []string{"mysql-pass", "mqtt-pass", "janus-secret", "redis", "redis-write", "xyz-password"} {
		file += name + " = " + secret + "\n"
	}
	c := mustParse(t, testEnv(map[string]string{defaultConfigFile: file}), "serve")
	if len(c.Warnings) != 6 || strings.Contains(fmt.Sprintf("%+v", *c), secret) {
		t.Errorf("%q", c.Warnings)
	}
}
