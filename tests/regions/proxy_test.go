package regions

import (
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

// Directions through a proxy.
const (
	there = iota // from who dials to who is dialled
	back
)

// proxy passes the bytes of TCP connections on. It stands for the network between a region and one server of another one.
type proxy struct {
	ln     net.Listener
	target string
	wg     sync.WaitGroup

	mu      sync.Mutex
	delay   time.Duration // of each direction
	held    [2]bool       // nothing of that direction passes, not even the end of a connection
	conns   map[net.Conn]struct{}
	closed  bool
	changed chan struct{} // closed when held or closed changes
	passed  [2]int64      // bytes
}

func newProxy(t testing.TB, at, target string) *proxy {
	t.Helper()
	ln, err := net.Listen("tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{ln: ln, target: target, conns: make(map[net.Conn]struct{}), changed: make(chan struct{})}
	p.wg.Go(p.accept)
	t.Cleanup(p.close)
	return p
}

// set changes what the proxy does.
func (p *proxy) set(change func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change()
	close(p.changed)
	p.changed = make(chan struct{})
}

func (p *proxy) close() {
	p.set(func() { p.closed = true })
	_ = p.ln.Close()
	p.sever()
	p.wg.Wait()
}

// sever ends all connections, as a firewall that is restarted does. New ones may be made.
func (p *proxy) sever() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		_ = c.Close()
	}
}

func (p *proxy) accept() {
	for {
		c, err := p.ln.Accept()
		if err != nil {
			return
		}
		p.wg.Go(func() { p.serve(c) })
	}
}

// serve passes what goes through one connection.
func (p *proxy) serve(from net.Conn) {
	defer func() { _ = from.Close() }()
	to, err := net.DialTimeout("tcp", p.target, 5*time.Second)
	if err != nil {
		return
	}
	defer func() { _ = to.Close() }()
	p.mu.Lock()
	p.conns[from], p.conns[to] = struct{}{}, struct{}{}
	closed := p.closed
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.conns, from)
		delete(p.conns, to)
	}()
	if closed {
		return
	}
	var both sync.WaitGroup
	both.Go(func() { p.pass(there, from, to) })
	both.Go(func() { p.pass(back, to, from) })
	both.Wait()
}

// piece is what was read at once.
type piece struct {
	data []byte
	due  time.Time
}

// piecesHeld bounds what waits in one direction; then its sender waits, as with TCP.
const piecesHeld = 4096

func (p *proxy) pass(dir int, from, to net.Conn) {
	pieces := make(chan piece, piecesHeld)
	var writer sync.WaitGroup
	writer.Go(func() {
		for e := range pieces {
			if !p.wait(dir, e.due) {
				continue // the proxy ends
			}
			if _, err := to.Write(e.data); err != nil && !errors.Is(err, io.EOF) {
				_ = from.Close()
				continue
			}
			p.mu.Lock()
			p.passed[dir] += int64(len(e.data))
			p.mu.Unlock()
		}
		p.wait(dir, time.Time{})
		_ = to.Close()
	})
	for {
		buf := make([]byte, 32<<10)
		n, err := from.Read(buf)
		if n > 0 {
			p.mu.Lock()
			due := time.Now().Add(p.delay)
			p.mu.Unlock()
			pieces <- piece{buf[:n], due}
		}
		if err != nil {
			break
		}
	}
	close(pieces)
	writer.Wait()
}

// wait waits until something may pass; false: never.
func (p *proxy) wait(dir int, due time.Time) bool {
	for {
		p.mu.Lock()
		held, closed, changed := p.held[dir], p.closed, p.changed
		p.mu.Unlock()
		left := time.Until(due)
		switch {
		case closed:
			return false
		case !held && left <= 0:
			return true
		case held:
			<-changed
		default:
			timer := time.NewTimer(left)
			select {
			case <-timer.C:
			case <-changed:
			}
			timer.Stop()
		}
	}
}

// bytes is how much has passed in both directions.
func (p *proxy) bytes() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.passed[there] + p.passed[back]
}

// connections is how many there are.
func (p *proxy) connections() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.conns) / 2
}
