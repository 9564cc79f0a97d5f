// Package tasks runs what must not hold up whoever begins it, and is waited for at the end.
package tasks

import "sync"

// Group is some goroutines that somebody waits for. The zero Group has none, and it is safe for concurrent use.
type Group struct {
	mu    sync.Mutex
	ended bool
	work  sync.WaitGroup
}

// Go runs f in a goroutine of its own. Once the end has come it does nothing: a message may be under way when nobody listens any more.
func (g *Group) Go(f func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.ended {
		g.work.Go(f)
	}
}

// End waits for those that run, and lets no other one begin.
func (g *Group) End() {
	g.mu.Lock()
	g.ended = true
	g.mu.Unlock()
	g.work.Wait()
}
