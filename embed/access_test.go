package embed

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"

	"rtpjet/embed/internal/names"
)

// TestCredentials: of several proofs one counts, and what cannot be one is refused before anybody is asked.
func TestCredentials(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	none := filepath.Join(dir, "none")
	key := []byte("0123456789abcdef")
	for _, c := range []struct {
		name                  string
		cred                  Credentials
		user, password, token string
		fault                 string
	}{
		{name: "nothing"},
		{name: "a user", cred: Credentials{User: "u", Password: "p", Token: "t", ClusterKey: key}, user: "u", password: "p"},
		{name: "a token", cred: Credentials{Token: "t", ClusterKey: key}, token: "t"},
		{name: "a cluster key", cred: Credentials{ClusterKey: key}, user: "rtpjet", password: names.ClientPassword(key)},
		{name: "for a region", cred: Credentials{Token: "t", ClusterKey: key}.ForRegion("us"), user: "rtpjet-region-us", password: names.ClientPassword(key)},
		{name: "a short key", cred: Credentials{ClusterKey: key[:8]}, fault: "the cluster key has 8 bytes"},
		{name: "a file", cred: Credentials{File: file}},
		{name: "no file", cred: Credentials{File: none}, fault: "cannot read the NATS credentials file " + none + ": no such file or directory; correct --nats-creds"},
		{name: "no authority", cred: Credentials{TLS: TLSFiles{CA: none}}, fault: "cannot read the TLS file " + none + ": no such file or directory; correct --nats-tls-ca"},
		{name: "no key", cred: Credentials{TLS: TLSFiles{CA: file, Cert: file, Key: none}}, fault: "cannot read the TLS file " + none},
		{name: "a directory above", cred: Credentials{TLS: TLSFiles{Cert: filepath.Join(file, "x"), Key: file}}, fault: "not a directory"},
	} {
		t.Run(c.name, func(t *testing.T) {
			opts, err := c.cred.Options()
			if (err == nil) != (c.fault == "") || err != nil && !strings.Contains(err.Error(), c.fault) {
				t.Fatalf("%v, want %q", err, c.fault)
			}
			if err != nil {
				return
			}
			got := nats.GetDefaultOptions()
			for _, opt := range opts {
				if err := opt(&got); err != nil {
					t.Fatal(err)
				}
			}
			if got.User != c.user || got.Password != c.password || got.Token != c.token || (got.UserJWT != nil) != (c.cred.File != "") {
				t.Errorf("user %q, password %q, token %q, file %v", got.User, got.Password, got.Token, got.UserJWT != nil)
			}
		})
	}
	for _, connect := range []func() error{
		func() error {
			_, err := Connect(t.Context(), "n", []string{"nats://127.0.0.1:1"}, Credentials{File: none})
			return err
		},
		func() error { _, err := ConnectInProcess("n", nil, Credentials{File: none}); return err },
	} {
		if err := connect(); err == nil || !strings.Contains(err.Error(), none) {
			t.Errorf("connected in spite of it: %v", err)
		}
	}
}
