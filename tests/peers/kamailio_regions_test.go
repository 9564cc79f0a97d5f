//go:build unix

package peers

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"rtpjet/tests/lab"
	"rtpjet/tests/rerun"
)

// TestKamailioRegions has all scenarios run through a balancer over two regions:
// each command of a call reaches the region that has it, or the other one.
func TestKamailioRegions(t *testing.T) {
	lab.Only(t, "all scenarios through two regions")
	eachConfig(t, func(t *testing.T, config string, args ...string) {
		s := startRegions(t)
		balance(t, s, 1, 0)
		throughKamailio(t, s, config, args...)
	})
}

// startRegions starts two regions of one node each, and returns both as one
// cluster when each says that the other one is up.
func startRegions(t *testing.T) *server {
	t.Helper()
	if os.Getenv("RTPJET_TEST_SERVER") == "rtpengine" {
		t.Skip("rtpengine has no regions")
	}
	key := filepath.Join(t.TempDir(), "cluster.key")
	if err := os.WriteFile(key, []byte("the key of both regions, 32 bytes"), 0o600); err != nil {
		t.Fatal(err)
	}
	address := func() string { return net.JoinHostPort(loopback, strconv.Itoa(freePort(t))) }
	names := []string{"eu", "us"}
	at := []string{address(), address()}
	s := &server{phones: loopback}
	var used []ports
	for i, name := range names {
		n := newServer(t, freePort(t), mediaPorts(t, used...))
		used = append(used, n.media)
		n.nats = address()
		n.args = append([]string{
			"serve", "--node-id=n1", "--region=" + name, "--cluster-key-file=" + key, "--nats-listen=" + n.nats,
			"--region-listen=" + at[i], "--region-peer=" + names[1-i] + "=" + at[1-i],
			"--data-dir=" + filepath.Join(t.TempDir(), "data"),
		}, n.args...)
		s.nodes = append(s.nodes, n)
		n.launch(t)
	}
	for i, n := range s.nodes {
		look := []string{"--nats", "nats://" + n.nats, "--region", names[i], "--cluster-key-file", key}
		n.answers(t)
		eventually(t, names[i]+" says that "+names[1-i]+" is up", func() bool {
			out, err := exec.Command(n.program, append([]string{"region", "list"}, look...)...).Output()
			if err != nil {
				return false
			}
			for line := range strings.Lines(string(out)) {
				if f := strings.Fields(line); len(f) > 1 && f[0] == names[1-i] && f[1] == "up" {
					return true
				}
			}
			return false
		})
		t.Cleanup(func() {
			if !t.Failed() {
				rerun.Server(t, n.program, n.nats, look[2:]...)
			}
		})
	}
	return s
}
