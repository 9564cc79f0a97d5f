package peers

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"rtpjet/cmd/rtpjet/version"
	"rtpjet/embed"
	"rtpjet/events"
	"rtpjet/projection/members"
)

// TestClaim: whatever there was of the name, the claim's epoch is one above it.
func TestClaim(t *testing.T) {
	for name, tc := range map[string]struct {
		had     *members.Lease
		answers bool // somebody answers to the name
		want    uint64
	}{
		"new name":                   {nil, false, 1},
		"ended as it should":         {&members.Lease{State: members.Down, Epoch: 4}, false, 5},
		"is ending, and answers":     {&members.Lease{State: members.Down, Epoch: 4}, true, 5},
		"declared gone":              {&members.Lease{State: members.Lost, Epoch: 7, By: "n2"}, false, 8},
		"declared gone, and answers": {&members.Lease{State: members.Lost, Epoch: 7, By: "n2"}, true, 8},
		"does not answer":            {&members.Lease{State: members.Up, Epoch: 1}, false, 2},
		"of this very format":        {&members.Lease{State: members.Down, Epoch: 2, Format: events.Version}, false, 3},
		"of a time long before":      {&members.Lease{State: members.Up}, false, 1},
	} {
		t.Run(name, func(t *testing.T) {
			play(t, func(w *world) {
				if tc.had != nil {
					w.put("node.n1", tc.had.Encode())
				}
				if tc.answers {
					defer w.listen(embed.HelloTokens("n1"), func(m embed.Msg) { _ = m.Respond(nil) })()
				}
				n := w.make("n1", func(c *Config, n *node) {
					c.Zone, c.Keeper, n.skew = "eu/fra", netip.MustParseAddrPort("192.0.2.1:4000"), time.Second
				})
				if err := n.Claim(w.t.Context()); err != nil {
					t.Fatal(err)
				}
				got, _ := w.lease(t, "n1")
				now := time.Now().Add(time.Second).UnixMicro()
				want := members.Lease{
					Format: events.Version, Level: events.Level, Node: "n1", Epoch: tc.want, State: members.Up, Instance: got.Instance, At: now,
					Version: version.Short(), Started: now, Zone: "eu/fra", NG: []string{"192.0.2.1:2223"}, UDP: at("n1"),
					Keeper: netip.MustParseAddrPort("192.0.2.1:4000"),
				}
				want.Describe(media(at("n1").Addr()))
				if string(got.Encode()) != string(want.Encode()) || len(got.Instance) != 16 {
					t.Errorf("got  %+v\nwant %+v", got, want)
				}
				if n.Epoch() != tc.want || n.wire.closed() {
					t.Errorf("epoch %d, socket closed: %v", n.Epoch(), n.wire.closed())
				}
			})
		})
	}
}

// TestClaimRefused: what is in the way of a claim, and that the lease and the log's key are left alone.
func TestClaimRefused(t *testing.T) {
	up := members.Lease{Node: "n1", State: members.Up, Epoch: 3, Started: 1_700_000_000_000_000, NG: []string{"192.0.2.9:2223"}}
	newer := members.Lease{Node: "n1", State: members.Down, Epoch: 3, Format: events.Version + 1, Version: "v9"}
	for name, tc := range map[string]struct {
		had     []byte
		listens bool
		disturb func(verb, key string) error
		want    string
	}{
		"name in use": {had: up.Encode(), listens: true, want: "the node id is in use: n1 is run by another process (since 2023-11-14T22:13:20Z, " +
			"NG on [192.0.2.9:2223]); give this node another --node-id, or stop the other one"},
		"newer format": {had: newer.Encode(), want: "node n1 was run by a release that writes events of version 2, and this one reads up to 1: run that release (v9)"},
		"unreadable": {had: []byte("{"), want: "the lease of node n1 cannot be read (lease: unexpected end of JSON input); it is left alone: " +
			"delete the key node.n1 from the bucket of leases"},
		"bucket does not answer": {had: up.Encode(), disturb: failing("get", "node.n1"), want: "read the lease of node n1: no"},
		"bucket takes nothing":   {had: up.Encode(), disturb: failing("put", "node.n1"), want: "claim the lease of node n1: no"},
		"key cannot be read":     {had: up.Encode(), disturb: failing("get", "cluster.key"), want: "read the fingerprint of the cluster key: no"},
		"key cannot be written":  {had: up.Encode(), disturb: failing("put", "cluster.key"), want: "no"},
	} {
		t.Run(name, func(t *testing.T) {
			play(t, func(w *world) {
				w.put("node.n1", tc.had)
				if tc.listens {
					defer w.listen(embed.HelloTokens("n1"), func(m embed.Msg) { _ = m.Respond(nil) })()
				}
				n := w.make("n1", nil)
				n.link.disturb(tc.disturb)
				err := n.Claim(w.t.Context())
				w.wantError("claim", err, tc.want)
				if errors.Is(err, errNameTaken) != tc.listens {
					t.Errorf("the name is taken: %v", err)
				}
				if have := w.leases["node.n1"]; string(have.Value) != string(tc.had) {
					t.Errorf("the lease is now %s", have.Value)
				}
				if !n.wire.closed() || n.Epoch() != 0 {
					t.Errorf("socket closed: %v; epoch %d", n.wire.closed(), n.Epoch())
				}
			})
		})
	}
}

// failing has one operation fail.
func failing(verb, what string) func(v, w string) error {
	return func(v, w string) error {
		if v == verb && w == what {
			return errors.New("no")
		}
		return nil
	}
}

// TestClaimAsleep: a process of the name that listens and does not answer is waited for as long as a verdict takes.
func TestClaimAsleep(t *testing.T) {
	play(t, func(w *world) {
		w.put("node.n1", members.Lease{State: members.Up, Epoch: 3}.Encode())
		asked := 0
		defer w.listen(embed.HelloTokens("n1"), func(embed.Msg) { asked++ })()
		n := w.make("n1", nil)
		began := time.Now()
		if err := n.Claim(w.t.Context()); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if took := time.Since(began); took != DefaultTimeout || asked != 1 || n.Epoch() != 4 {
			t.Errorf("took %v, asked %d times, epoch %d", took, asked, n.Epoch())
		}
	})
}

// TestClaimConflict: who changes the lease meanwhile is looked at again.
func TestClaimConflict(t *testing.T) {
	play(t, func(w *world) {
		w.put("node.n1", members.Lease{State: members.Down, Epoch: 3}.Encode())
		n := w.make("n1", nil)
		puts := 0
		n.link.disturb(func(verb, key string) error {
			if verb == "put" && key == "node.n1" {
				if puts++; puts == 1 {
					w.put(key, members.Lease{State: members.Lost, Epoch: 4}.Encode())
				}
			}
			return nil
		})
		if err := n.Claim(w.t.Context()); err != nil {
			t.Fatal(err)
		}
		if l, _ := w.lease(t, "n1"); puts != 2 || l.Epoch != 5 || n.Epoch() != 5 {
			t.Errorf("%d writes, epoch %d in the bucket and %d here", puts, l.Epoch, n.Epoch())
		}
	})
}

// TestSecondProcess: a second process of a name is refused as long as the first one answers, and ends it where it does not.
func TestSecondProcess(t *testing.T) {
	play(t, func(w *world) {
		first := w.join("n1")
		if got := <-first.epoch; got != 1 {
			t.Errorf("began with epoch %d", got)
		}
		if err := w.make("n1", nil).Claim(w.t.Context()); !errors.Is(err, errNameTaken) {
			t.Errorf("a second process: %v", err)
		}
		first.link.setCut(true) // it is not asleep: the lease's changes reach it
		second := w.join("n1")
		if second.Epoch() != 2 {
			t.Errorf("epoch %d", second.Epoch())
		}
		w.wantError("the first", <-first.done, "the node id is in use: n1 was claimed by another process with NG on [192.0.2.1:2223]; "+
			"give this node another --node-id, or stop the other one")
		first.stop()
		first.stop = nil
		if l, _ := w.lease(t, "n1"); l.State != members.Up || l.Epoch != 2 {
			t.Errorf("the first left %+v behind", l)
		}
	})
}

func fingerprint(key string) string {
	if key == "" {
		return "none"
	}
	h := hmac.New(sha256.New, []byte(key))
	h.Write([]byte("rtpjet cluster key fingerprint"))
	return hex.EncodeToString(h.Sum(nil)[:8])
}

// TestClusterKey: which keys a node may come with, by the key that the log is sealed with and whether another node runs.
func TestClusterKey(t *testing.T) {
	for name, tc := range map[string]struct {
		log   string // the key of the log; "-": it has no fingerprint yet
		ours  string // the keys of the node, the first one in use
		peer  bool   // n2 runs
		after string // the log's key
		err   string
	}{
		"a new log without a key":            {log: "-", after: ""},
		"a new log with a key":               {log: "-", ours: "a", after: "a"},
		"no key":                             {log: "", after: ""},
		"the log's key":                      {log: "a", ours: "a", after: "a"},
		"the log's key, beside a peer":       {log: "a", ours: "a", peer: true, after: "a"},
		"another key":                        {log: "a", ours: "b", after: "a", err: "another"},
		"no key where there is one":          {log: "a", after: "a", err: "another"},
		"two other keys":                     {log: "a", ours: "b c", peer: true, after: "a", err: "another"},
		"a first key":                        {log: "", ours: "a", after: "a"},
		"a first key, beside a peer":         {log: "", ours: "a", peer: true, after: "", err: "peer"},
		"a new key above the old one":        {log: "a", ours: "b a", after: "b"},
		"a new key, beside a peer":           {log: "a", ours: "b a", peer: true, after: "a"},
		"the old key above the new one":      {log: "a", ours: "a b", peer: true, after: "a"},
		"a new key above several, some used": {log: "c", ours: "b a c", after: "b"},
	} {
		t.Run(name, func(t *testing.T) {
			play(t, func(w *world) {
				if tc.log != "-" {
					w.put("cluster.key", []byte(fingerprint(tc.log)))
				}
				w.put("node.n2", leaseOf("n2", 1, members.Up).Encode()) // who has a lease may be gone
				w.put("node.n1", leaseOf("n1", 1, members.Down).Encode())
				defer w.listen(embed.HelloTokens("n1"), func(m embed.Msg) { _ = m.Respond(nil) })() // the process before is ending
				if tc.peer {
					defer w.listen(embed.HelloTokens("n2"), func(m embed.Msg) { _ = m.Respond(nil) })()
				}
				n := w.make("n1", func(c *Config, _ *node) {
					for _, key := range strings.Fields(tc.ours) {
						c.SealKeys = append(c.SealKeys, []byte(key))
					}
				})
				err := n.Claim(w.t.Context())
				first, _, _ := strings.Cut(tc.ours, " ")
				switch tc.err {
				case "":
					if err != nil {
						t.Error(err)
					}
				case "another":
					w.wantError("claim", err, "the cluster key of this node is not the one that the log is sealed with (fingerprint "+fingerprint(tc.log)+
						", ours "+fingerprint(first)+"): give it the file that the others have, or had, with --cluster-key-file; a new key goes above the old one")
				case "peer":
					w.wantError("claim", err, "node n2 runs without a cluster key: stop all nodes, and start them with the same --cluster-key-file")
				}
				if have := string(w.leases["cluster.key"].Value); have != fingerprint(tc.after) {
					t.Errorf("the log's fingerprint is %s, want %s", have, fingerprint(tc.after))
				}
				changed := having(n.log.Take(), "the cluster key is another one from now on")
				if want := tc.log != "-" && tc.log != tc.after; len(changed) > 0 != want {
					t.Errorf("logged: %q", changed)
				}
			})
		})
	}
}

// TestClusterKeyRace: of two nodes that start with different keys on a new log, the second one is refused.
func TestClusterKeyRace(t *testing.T) {
	for _, other := range []string{"a", "b"} {
		play(t, func(w *world) {
			n := w.make("n1", func(c *Config, _ *node) { c.SealKeys = [][]byte{[]byte("a")} })
			n.link.disturb(func(verb, key string) error {
				if verb == "put" && key == "cluster.key" {
					n.link.disturb(nil)
					w.put(key, []byte(fingerprint(other)))
				}
				return nil
			})
			if err := n.Claim(w.t.Context()); (err == nil) != (other == "a") {
				t.Errorf("beside one with key %s: %v", other, err)
			}
		})
	}
}

// TestClusterKeyUnknownPeers: without the leases nobody knows whether another node runs.
func TestClusterKeyUnknownPeers(t *testing.T) {
	play(t, func(w *world) {
		w.put("cluster.key", []byte("none"))
		n := w.make("n1", func(c *Config, _ *node) { c.SealKeys = [][]byte{[]byte("a")} })
		n.link.disturb(failing("follow", ""))
		w.wantError("claim", n.Claim(w.t.Context()), "read the leases: no")
		if have := string(w.leases["cluster.key"].Value); have != "none" {
			t.Errorf("the log's fingerprint is %s", have)
		}
	})
}

// TestRunRefused: a node that cannot be heard, or cannot hear, does not run.
func TestRunRefused(t *testing.T) {
	for tokens, want := range map[string]string{
		"beat":            "cannot listen for heartbeats: no",
		"node.n1.reserve": "cannot listen for the requests of peers: no",
		"node.n1.drain":   "cannot listen for the requests of operators: no",
	} {
		play(t, func(w *world) {
			n := w.make("n1", nil)
			if err := n.Claim(w.t.Context()); err != nil {
				t.Fatal(err)
			}
			n.link.disturb(failing("subscribe", tokens))
			ended := false
			err := n.Run(w.t.Context(), func(ctx context.Context, _ uint64) error { <-ctx.Done(); ended = true; return nil })
			w.wantError(tokens, err, want)
			if !n.wire.closed() || ended != (tokens != "beat") {
				t.Errorf("%s: the socket is closed: %v; what ran beside has ended: %v", tokens, n.wire.closed(), ended)
			}
			synctest.Wait()
		})
	}
}
