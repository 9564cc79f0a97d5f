package sim

import (
	"errors"
	"iter"
	"slices"
)

// proc is a command, or another thing that takes time, at work on one call of one node: a coroutine that holds the call's
// lock. It runs until it needs an effect, hands the effect to the scheduler, and goes on when that has a result.
type proc struct {
	n        *node
	h        *held
	deadline int64 // by the node's clock that does not jump
	wrote    bool  // it has appended something
	once     bool  // it reads the log in one try
	unfenced bool  // it writes whatever the log ends with, by a planted bug
	limit    int64 // of one operation on the log; 0: until the deadline
	served   bool  // it has gone on without the log
	guessed  bool  // it could not read whether the log has its command

	yield func(func()) bool
	next  func() (func(), bool)
	stop  func()
	done  func()
}

var errKilled = errors.New("the process of this coroutine is no more")

// spawn runs body as a coroutine until its first effect; done is called after its end.
func (n *node) spawn(h *held, deadline int64, body func(*proc), done func()) {
	p := &proc{n: n, h: h, deadline: deadline, done: done}
	p.next, p.stop = iter.Pull(func(yield func(func()) bool) {
		p.yield = yield
		defer func() {
			if r := recover(); r != nil && r != any(errKilled) {
				panic(r)
			}
		}()
		body(p)
	})
	n.procs = append(n.procs, p)
	p.resume()
}

func (p *proc) resume() {
	if op, ok := p.next(); ok {
		op()
		return
	}
	p.n.procs = slices.DeleteFunc(p.n.procs, func(q *proc) bool { return q == p })
	p.done()
}

// killProcs ends all coroutines of a node without letting them do anything more.
func (n *node) killProcs() {
	for _, p := range n.procs {
		p.stop()
	}
	n.procs = nil
}

// await hands an effect to the scheduler: begin is called once the coroutine stands still, and done gives the result.
func await[T any](p *proc, begin func(done func(T))) T {
	var out T
	if !p.yield(func() { begin(func(v T) { out = v; p.resume() }) }) {
		panic(errKilled)
	}
	return out
}

// ask is await for what may never be answered: after timeout the result is late.
func ask[T any](p *proc, timeout int64, late T, send func(answer func(T))) T {
	return await(p, func(done func(T)) {
		open := true
		once := func(v T) {
			if open {
				open = false
				done(v)
			}
		}
		send(once)
		p.n.after(timeout, func() { once(late) })
	})
}

// sleep lets time pass.
func (p *proc) sleep(d int64) {
	await(p, func(done func(struct{})) { p.n.after(d, func() { done(struct{}{}) }) })
}

// left is how much of the deadline is left, at most limit.
func (p *proc) left(limit int64) int64 { return min(limit, p.deadline-p.n.w.now) }
