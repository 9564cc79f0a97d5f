package keeper

import (
	"context"
	"net/netip"
	"testing"
	"time"

	"go.uber.org/goleak"

	"rtpjet/relay/eventfd"
)

// TestKeeperLeavesNothingBehind starts a keeper that only votes, and ends it in several ways.
func TestKeeperLeavesNothingBehind(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes; not with -short")
	}
	shared, err := NewDeadlines()
	if err != nil {
		t.Fatal(err)
	}
	others := goleak.IgnoreCurrent()
	cfg := Config{Node: "n1", Timeout: 100 * time.Millisecond, NodeSilence: time.Second, Bind: netip.MustParseAddr("127.0.0.1")}
	for name, end := range map[string]func(k *Keeper) error{
		"asked":     func(k *Keeper) error { return k.Close() },
		"cut off":   func(k *Keeper) error { return k.conn.Close() },
		"not begun": func(*Keeper) error { return nil }, // its start was given up
	} {
		ctx, cancel := context.WithCancel(t.Context())
		if name == "not begun" {
			cancel()
		}
		k, err := Start(ctx, cfg, shared, t.Output())
		cancel()
		if name == "not begun" && err != nil {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := end(k); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if name == "not begun" { // it was up before anybody looked
			_ = k.Close()
		}
		for range k.Reports() { // until it has ended
		}
		<-k.Done()
	}
	if err := goleak.Find(others); err != nil {
		t.Error(err)
	}
}

// TestLoopWaitsForScripts: what is done beside the loop has ended when the keeper has, and hears of its end.
func TestLoopWaitsForScripts(t *testing.T) {
	shared, err := NewDeadlines()
	if err != nil {
		t.Fatal(err)
	}
	l := &loop{shared: shared, node: -1, canary: -1, stat: -1, done: make(chan func())}
	l.life, l.end = context.WithCancel(t.Context())
	if l.wake, err = eventfd.New(); err != nil {
		t.Fatal(err)
	}
	ended := false
	l.beside(func() func() {
		<-l.life.Done()
		ended = true
		return func() { t.Error("a loop that has ended goes on") }
	})
	l.close()
	if !ended {
		t.Error("the loop has ended, and its script is at work")
	}
}
