package app

import (
	"encoding/hex"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"rtpjet/cmd/rtpjet/config"
)

// one returns the only key of a node that has the log for itself.
func one(t *testing.T, dir string) string {
	t.Helper()
	var log output
	keys, err := sealKeys(&config.Config{DataDir: dir}, log.logger())
	must(t, err)
	if len(keys) != 1 || log.String() != "" {
		t.Fatalf("%d keys\n%s", len(keys), &log)
	}
	return string(keys[0])
}

// TestOwnKey: a node that has the log for itself makes a key when it has none, which nobody else may read, and finds it again.
func TestOwnKey(t *testing.T) {
	old := unix.Umask(0) // which must not matter
	defer unix.Umask(old)
	dir := t.TempDir()
	key := one(t, dir)
	if b, err := hex.DecodeString(key); err != nil || len(b) != 32 {
		t.Errorf("the key is %q", key)
	}
	info, err := os.Stat(filepath.Join(dir, config.OwnKeyFile))
	must(t, err)
	if info.Mode() != fs.FileMode(0o600) {
		t.Errorf("the file's mode is %v", info.Mode())
	}
	if again := one(t, dir); again != key {
		t.Errorf("at the next start the key is %q", again)
	}
	if other := one(t, t.TempDir()); other == key {
		t.Error("two nodes have one key")
	}
}

// TestOwnKeyOlder: who puts a new key above the old one seals with the new one, and goes on reading with the old one.
func TestOwnKeyOlder(t *testing.T) {
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, config.OwnKeyFile), []byte("\nnew key \n\nold key"), 0o600))
	keys, err := sealKeys(&config.Config{DataDir: dir}, quiet())
	must(t, err)
	if len(keys) != 2 || string(keys[0]) != "new key" || string(keys[1]) != "old key" {
		t.Errorf("%q", keys)
	}
}

// TestOwnKeyEmpty: a file without a key, as a full disk leaves it, is no reason to write secrets as they are.
func TestOwnKeyEmpty(t *testing.T) {
	for _, text := range []string{"", "\n", " \n\t\n"} {
		dir := t.TempDir()
		name := filepath.Join(dir, config.OwnKeyFile)
		must(t, os.WriteFile(name, []byte(text), 0o600))
		key := one(t, dir)
		if again := one(t, dir); again != key {
			t.Errorf("at the next start the key is %q", again)
		}
	}
}

// TestOwnKeyFails: a node without its key does not start; the operator hears which file, why, and what to do.
func TestOwnKeyFails(t *testing.T) {
	dir := t.TempDir()
	must(t, os.Mkdir(filepath.Join(dir, config.OwnKeyFile), 0o700))
	missing := filepath.Join(t.TempDir(), "nowhere")
	for dir, want := range map[string]string{
		dir: "cannot read the key for secrets from " + filepath.Join(dir, "cluster.key") +
			": is a directory; make it readable, or move it away and lose what it sealed",
		missing: "cannot write the key for secrets to " + filepath.Join(missing, "cluster.key") +
			": no such file or directory; make the directory writable",
	} {
		if keys, err := sealKeys(&config.Config{DataDir: dir}, quiet()); err == nil || err.Error() != want || keys != nil {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

// TestOperatorsKeys are used as they are, and no other one is made.
func TestOperatorsKeys(t *testing.T) {
	given := [][]byte{[]byte("one"), []byte("two")}
	for _, c := range []*config.Config{
		{NATSAuth: config.NATSAuth{ClusterKeys: given}},
		{NATSAuth: config.NATSAuth{ClusterKeys: given}, NATSClusterListen: "127.0.0.1:6222"},
		{NATSAuth: config.NATSAuth{ClusterKeys: given}, NATS: []string{"nats://127.0.0.1"}},
	} {
		c.DataDir = t.TempDir()
		var log output
		keys, err := sealKeys(c, log.logger())
		must(t, err)
		if !slices.EqualFunc(keys, given, func(a, b []byte) bool { return string(a) == string(b) }) || log.String() != "" {
			t.Errorf("%q\n%s", keys, &log)
		}
		empty(t, c.DataDir)
	}
}

// TestSharedLog: in a cluster a key of one node's own would keep the others from reading; without one secrets are not sealed,
// and that is said.
func TestSharedLog(t *testing.T) {
	for _, c := range []*config.Config{{NATSClusterListen: "127.0.0.1:6222"}, {NATS: []string{"nats://127.0.0.1"}}} {
		c.DataDir = t.TempDir()
		var log output
		keys, err := sealKeys(c, log.logger())
		must(t, err)
		if len(keys) != 0 || strings.Count(log.String(), "level=WARN") != 1 || !strings.Contains(log.String(), "there is no --cluster-key-file") {
			t.Errorf("%q\n%s", keys, &log)
		}
		empty(t, c.DataDir)
	}
}

func empty(t *testing.T, dir string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	must(t, err)
	if len(entries) != 0 {
		t.Errorf("there is %v", entries)
	}
}
