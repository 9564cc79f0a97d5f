package names

import (
	"strings"
	"testing"
)

// TestNames: another name is another store. What is here is on the disks of clusters that run.
func TestNames(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{Calls("eu"), "CALLS_eu"},
		{Archive("eu"), "ARCHIVE_eu"},
		{Index("eu"), "ARCHIVEX_eu"},
		{LeasesStream("eu"), "KV_LEASES_eu"},
		{CallSubject("eu", "k"), "calls.eu.k"},
		{ArchiveSubject("eu", "7"), "archive.eu.7"},
		{IndexSubject("eu"), "archivex.eu"},
		{LeaseSubject("eu", "node.n1"), "$KV.LEASES_eu.node.n1"},
		{Bus("eu"), "rtpjet.eu."},
		{Feed("eu", "us"), "rtpjet.feed.eu.us"},
		{RegionAccount("eu"), "region-eu"},
		{RegionClient("eu"), "rtpjet-region-eu"},
		{strings.Join(Mirrored("eu"), " "), "CALLS_eu ARCHIVE_eu ARCHIVEX_eu"},
	} {
		if c.got != c.want {
			t.Errorf("%s, want %s", c.got, c.want)
		}
	}
}

func TestCheck(t *testing.T) {
	for _, c := range []struct{ name, fault string }{
		{"n1", ""}, {"New_York-2", ""},
		{"", "the node id is empty"},
		{"a.b", `the node id "a.b" has a character`}, {"a b", "character"}, {"n*", "character"}, {"é", "character"},
	} {
		err := Check("node id", c.name)
		if (err == nil) != (c.fault == "") || err != nil && !strings.Contains(err.Error(), c.fault) {
			t.Errorf("%q: %v, want %q", c.name, err, c.fault)
		}
	}
}

// TestPasswords: each purpose has its own, each key has its own, and another build of the same version makes the same.
func TestPasswords(t *testing.T) {
	key := []byte("0123456789abcdef")
	if got, want := ClientPassword(key), "d1c12d5ced42ff1ba2f03608e3254159602655de99b8fa5f612695caa355c247"; got != want {
		t.Errorf("client: %s, want %s", got, want)
	}
	seen := map[string]bool{}
	for _, k := range [][]byte{key, []byte("another cluster key"), nil} {
		for _, make := range []func([]byte) string{ClientPassword, RoutePassword, RegionPassword} {
			if p := make(k); seen[p] || len(p) != 64 {
				t.Errorf("%q is there twice, or short", p)
			} else {
				seen[p] = true
			}
		}
	}
	if err := CheckKey(key[1:]); err == nil || !strings.Contains(err.Error(), "has 15 bytes") {
		t.Errorf("a short key: %v", err)
	}
	for _, k := range [][]byte{key, nil} {
		if err := CheckKey(k); err != nil {
			t.Errorf("%q: %v", k, err)
		}
	}
}
