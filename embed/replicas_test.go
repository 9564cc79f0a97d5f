package embed

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"rtpjet/embed/internal/names"
)

// TestReplicasFor is the table of the documentation.
func TestReplicasFor(t *testing.T) {
	var got []int
	for n := range 8 {
		got = append(got, replicasFor(n))
	}
	if want := []int{1, 1, 1, 3, 3, 5, 5, 5}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// TestKeepReplicas: streams that were made on one server get as many as there are, and not one less when somebody asks for fewer
// without a number.
func TestKeepReplicas(t *testing.T) {
	t.Parallel()
	members := startMembersOf(t, 3, 1)
	l := members[0].log
	mustAppend(t, l, "k", 0, "x")
	var servers atomic.Int64
	servers.Store(3)
	l.cfg.Replicas, l.cfg.Servers = 0, func() int { return int(servers.Load()) }
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- l.KeepReplicas(ctx) }()
	awaitReplicas(t, l, 3)
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if err := l.replicate(t.Context(), []string{names.Calls("r")}, 1); err != nil {
		t.Error(err)
	}
	awaitReplicas(t, l, 3)
	if got, _, err := members[2].log.Since(t.Context(), "k", 0); err != nil || len(got) != 1 {
		t.Errorf("%s, %v", show(got), err)
	}
	l.cfg.Replicas = 1
	if err := l.replicate(t.Context(), append(names.Mirrored("r"), names.LeasesStream("r")), 1); err != nil {
		t.Error(err)
	}
	awaitReplicas(t, l, 1)
}

// TestReplicasAlone: what asks for more servers than there are gets what there is, unless it insists.
func TestReplicasAlone(t *testing.T) {
	t.Parallel()
	nc := connect(t, startServer(t, t.TempDir(), ""))
	l, err := Open(t.Context(), nc, Config{Region: "r", Servers: func() int { return 5 }, Logger: testLogger(t)})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	mustAppend(t, l, "k", 0, "x")
	if _, err := Open(t.Context(), nc, Config{Region: "s", Replicas: 3, Logger: testLogger(t)}); err == nil || !strings.Contains(err.Error(), "--nats-replicas") {
		t.Errorf("three servers where there is one: %v", err)
	}
}
