package server

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"rtpjet/embed/internal/names"
	"rtpjet/tests/lab"
)

// count is how many entries a mirror has.
func count(t *testing.T, m *testLog, n uint64) {
	t.Helper()
	eventually(t, fmt.Sprint(n, " entries"), func() bool { return mirrorState(t, m).Messages == n })
}

// TestMirrorTrim: what is removed from a mirror stays removed, and mirroring goes on after it: by sequence and by key, all of
// it, across a connection that breaks, a restart at home and a restart of the mirror's own server.
func TestMirrorTrim(t *testing.T) {
	lab.Only(t, "a quarter of a minute")
	t.Parallel()
	for _, n := range []int{1, 3} {
		t.Run(fmt.Sprint(n, " servers"), func(t *testing.T) {
			r := startRegions(t, n, "eu", "us")
			home := r.logs["us"]
			open := func() *testLog { return openMirror(t, r.servers["eu"][0], "us") }
			m := open()
			var last uint64
			entries := func(prefix string, k int) {
				t.Helper()
				for i := range k {
					last = appendTo(t, home, fmt.Sprint(prefix, i), 0, "x")
				}
				has(t, m, fmt.Sprint(prefix, k-1), last)
			}
			entries("a", 10)
			if err := m.Purge(t.Context(), "a5", last); err != nil {
				t.Fatal(err)
			}
			count(t, m, 9)
			m.purgeBelow(t, 4)
			count(t, m, 6)
			entries("b", 5)
			count(t, m, 11)
			if got := mirrorState(t, home); got.Messages != 15 {
				t.Errorf("at home: %+v", got)
			}

			// All of it, and the connections break.
			m.purgeBelow(t, last+1)
			count(t, m, 0)
			for _, s := range r.servers["eu"] {
				breakLinks(t, s, "us")
			}
			entries("c", 3)
			count(t, m, 3)

			// The servers of the mirror start again, with nothing in it.
			m.purgeBelow(t, last+1)
			for _, s := range r.servers["eu"] {
				s.Shutdown()
			}
			for i := range 4 {
				last = appendTo(t, home, fmt.Sprint("d", i), 0, "x")
			}
			r.start(t, "eu")
			m = open()
			has(t, m, "d3", last)
			count(t, m, 4)

			// And those at home, with something in it that is removed at home.
			for i := range 2 {
				if err := home.Purge(t.Context(), fmt.Sprint("d", i), last); err != nil {
					t.Fatal(err)
				}
			}
			for _, s := range r.servers["us"] {
				s.Shutdown()
			}
			r.start(t, "us")
			home = r.logs["us"]
			entries("e", 2)
			count(t, m, 6)
		})
	}
}

// breakLinks closes the connections with another region.
func breakLinks(t *testing.T, s *Server, region string) {
	t.Helper()
	leafs, err := s.current().Leafz(nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range leafs.Leafs {
		if l.Account == names.RegionAccount(region) {
			if err := s.current().DisconnectClientByID(l.ID); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// TestMirrorRetire: on a mirror, Retire and Trim wait for the mirror of the archive.
func TestMirrorRetire(t *testing.T) {
	t.Parallel()
	r := startRegions(t, 1, "eu", "us")
	home, m := r.logs["us"], openMirror(t, r.servers["eu"][0], "us")
	last := appendMany(t, home, "a", "offer", "delete")
	has(t, m, "a", last)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	if err := m.Retire(ctx, "a", last); err == nil {
		t.Error("retired what is not archived")
	}
	count(t, m, 2)
	startArchive(t, home)
	if err := m.Retire(t.Context(), "a", last); err != nil {
		t.Fatal(err)
	}
	count(t, m, 0)
	if got := history(t, m, "a"); got != "[offer delete]" {
		t.Errorf("the history of the mirror is %s", got)
	}
	last = appendMany(t, home, "b", "offer", "delete")
	last2 := appendMany(t, home, "c", "offer")
	has(t, m, "c", last2)
	if err := m.Trim(t.Context(), last+1); err != nil {
		t.Fatal(err)
	}
	count(t, m, 1)
	if got := history(t, m, "b") + history(t, m, "c"); got != "[offer delete][offer]" {
		t.Errorf("the history of the mirror is %s", got)
	}
}

// TestMirrorGap: the region removes entries that the mirror never had, because it was cut off. The mirror passes over them.
func TestMirrorGap(t *testing.T) {
	lab.Only(t, "a quarter of a minute")
	t.Parallel()
	for _, n := range []int{1, 3} {
		t.Run(fmt.Sprint(n, " servers"), func(t *testing.T) {
			r := startRegions(t, n, "eu", "us")
			home, m := r.logs["us"], openMirror(t, r.servers["eu"][0], "us")
			f := startFollow(t, m)
			first := appendTo(t, home, "first", 0, "x")
			has(t, m, "first", first)
			for _, s := range r.servers["us"] { // no region is reachable then, and the mirror's is up
				s.Shutdown()
			}
			alone := slices.Clone(r.cfgs["us"])
			for i := range alone {
				alone[i].RegionListen, alone[i].Peers = "", nil
			}
			cut := startServers(t, alone...)
			l := openHome(t, cut[0], "us")
			const lost = 2000
			var seq uint64
			for i := range lost {
				seq = mustAppend(t, l, fmt.Sprint("lost", i), 0, "x")
			}
			l.purgeBelow(t, seq+1)
			kept := appendTo(t, l, "kept", 0, "x")
			for _, s := range cut {
				s.Shutdown()
			}
			back := startServers(t, r.cfgs["us"]...)
			start := time.Now()
			has(t, m, "kept", kept)
			t.Logf("%d entries passed over within %v", lost, time.Since(start))
			last := appendTo(t, openHome(t, back[0], "us"), "after", 0, "x")
			has(t, m, "after", last)
			count(t, m, 3)
			if got := f.until(t, 3); len(got) != 3 || got[2].Seq != last {
				t.Errorf("followed %s", show(got))
			}
		})
	}
}
