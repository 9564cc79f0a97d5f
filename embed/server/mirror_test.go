package server

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"rtpjet/embed"
)

// mirrorState asks until there is an answer.
func mirrorState(t *testing.T, l *testLog) (st embed.MirrorState) {
	t.Helper()
	eventually(t, "the state of the mirror", func() bool {
		var err error
		st, err = l.MirrorState(t.Context())
		return err == nil
	})
	return st
}

// TestMirrorBefore: the other region is not there yet. Its mirrors are made, and fill when it comes.
func TestMirrorBefore(t *testing.T) {
	t.Parallel()
	cfgs := regionConfigs(t, 1, "eu", "us")
	eu := startServers(t, cfgs["eu"]...)[0]
	m := openMirror(t, eu, "us")
	if st := mirrorState(t, m); st.Last != 0 || st.Messages != 0 {
		t.Errorf("%+v", st)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if _, err := m.Append(ctx, "k", 0, []byte("x")); !errors.Is(err, embed.ErrUnavailable) {
		t.Errorf("an append to a region that is not there: %v", err)
	}
	ctx, cancel = context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if _, err := m.MirrorReplaced(ctx); !errors.Is(err, embed.ErrUnavailable) {
		t.Errorf("a question to a region that is not there: %v", err)
	}
	us := startServers(t, cfgs["us"]...)[0]
	l := openHome(t, us, "us")
	seq := mustAppend(t, l, "k", 0, "x")
	t.Logf("the mirror has it after %v", has(t, m, "k", seq))
	if st := mirrorState(t, m); st.Last != seq || st.First != 1 || st.Messages != 1 || st.Bytes == 0 {
		t.Errorf("%+v", st)
	}
}

// TestMirrorReplaced: a region loses its store. Its mirrors keep what they have and wait until the new stream has come to
// where the old one ended; the loss is noticed, before and after that; and a mirror that is reset has the new stream.
func TestMirrorReplaced(t *testing.T) {
	t.Parallel()
	for _, grown := range []bool{false, true} {
		t.Run(fmt.Sprintf("grown %v", grown), func(t *testing.T) {
			t.Parallel()
			r := startRegions(t, 1, "eu", "us")
			m := openMirror(t, r.servers["eu"][0], "us")
			var last uint64
			for i := range 5 {
				last = mustAppend(t, r.logs["us"], fmt.Sprint("old", i), 0, "x")
			}
			has(t, m, "old4", last)
			if grown { // else the mirrors have never been marked: that is seen, too
				eventually(t, "the same stream", func() bool {
					why, err := m.MirrorReplaced(t.Context())
					return err == nil && why == ""
				})
			}
			r.servers["us"][0].Shutdown()
			r.cfgs["us"][0].StoreDir = t.TempDir()
			r.start(t, "us")
			n := 2
			if grown {
				n = 7
			}
			var seq uint64
			for i := range n {
				seq = mustAppend(t, r.logs["us"], fmt.Sprint("new", i), 0, "x")
			}
			if grown { // and then the mirror goes on, with a part of the new stream after the old one
				has(t, m, "new6", seq)
				if list, _, err := m.Since(t.Context(), "new0", 0); err != nil || len(list) != 0 {
					t.Errorf("%v, %v", list, err)
				}
			}
			eventually(t, "another stream", func() bool {
				why, err := m.MirrorReplaced(t.Context())
				return err == nil && why != ""
			})
			if list, _, err := m.Since(t.Context(), "old0", 0); err != nil || len(list) != 1 {
				t.Errorf("what the region lost: %v, %v", list, err)
			}
			if err := m.ResetMirror(t.Context()); err != nil {
				t.Fatal(err)
			}
			t.Logf("filled again after %v", has(t, m, fmt.Sprint("new", n-1), seq))
			if st := mirrorState(t, m); st.First != 1 || st.Last != seq || st.Messages != uint64(n) {
				t.Errorf("%+v", st)
			}
			if why, err := m.MirrorReplaced(t.Context()); err != nil || why != "" {
				t.Errorf("after the reset: %q, %v", why, err)
			}
			if err := r.logs["us"].ResetMirror(t.Context()); err == nil || !strings.Contains(err.Error(), "no mirror") {
				t.Errorf("a reset of the region itself: %v", err)
			}
		})
	}
}

// TestRegionsOnAlone: a server that stood alone gets other regions, and still has all that it had.
func TestRegionsOnAlone(t *testing.T) {
	t.Parallel()
	cfgs := regionConfigs(t, 1, "eu", "us")
	cfg := cfgs["eu"][0]
	plain := cfg
	plain.RegionListen, plain.Peers, plain.ClusterKey = "", nil, nil
	s := startServers(t, plain)[0]
	l := openHome(t, s, "eu")
	seq := mustAppend(t, l, "k", 0, "x")
	id, err := l.InstanceID(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.PutLease(t.Context(), "node.n1", []byte("lease"), 0); err != nil {
		t.Fatal(err)
	}
	created := l.info(t, l.calls).Created
	s.Shutdown()

	check := func(cfg Config) *Server {
		t.Helper()
		s := startServers(t, cfg)[0]
		l := openHome(t, s, "eu")
		has(t, l, "k", seq)
		seq = mustAppend(t, l, "k", seq, "more")
		if got, err := l.InstanceID(t.Context()); err != nil || got != id {
			t.Errorf("instance %s, %v, want %s", got, err, id)
		}
		if lease, err := l.GetLease(t.Context(), "node.n1"); err != nil || string(lease.Value) != "lease" {
			t.Errorf("%v, %v", lease, err)
		}
		if got := l.info(t, l.calls).Created; !got.Equal(created) {
			t.Errorf("created %v, want %v", got, created)
		}
		return s
	}
	s = check(cfg)
	us := startServers(t, cfgs["us"]...)[0]
	m := openMirror(t, us, "eu")
	has(t, m, "k", seq)
	s.Shutdown()
	s = check(plain) // and off again
	s.Shutdown()
	check(cfg)
	has(t, m, "k", seq)
}

// TestRegionsOnCluster: the servers of a cluster get other regions, one after the other.
func TestRegionsOnCluster(t *testing.T) {
	t.Parallel()
	cfgs := regionConfigs(t, 3, "eu", "us")
	var plain []Config
	for _, cfg := range cfgs["eu"] {
		cfg.RegionListen, cfg.Peers = "", nil
		plain = append(plain, cfg)
	}
	servers := startServers(t, plain...)
	l := openHome(t, servers[0], "eu")
	seq := mustAppend(t, l, "k", 0, "x")
	created := l.info(t, l.calls).Created
	us := startServers(t, cfgs["us"]...)
	usLog := openHome(t, us[0], "us")
	appendTo(t, usLog, "u", 0, "x")
	for i, cfg := range cfgs["eu"] {
		servers[i].Shutdown()
		servers[i] = startServers(t, cfg)[0]
		l = openHome(t, servers[i], "eu")
		seq = appendTo(t, l, "k", seq, "more")
		if list, _, err := l.Since(t.Context(), "k", 0); err != nil || len(list) != i+2 {
			t.Errorf("after server %d: %v, %v", i, list, err)
		}
	}
	if got := l.info(t, l.calls).Created; !got.Equal(created) {
		t.Errorf("created %v, want %v", got, created)
	}
	m := openMirror(t, us[1], "eu")
	has(t, m, "k", seq)
	appendTo(t, m, "k", seq, "from us")
	has(t, openMirror(t, servers[2], "us"), "u", 1)
}
