package server

import (
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

// wire is a network between two regions: it takes TCP connections and forwards them, each way delayed, until it is cut. Then
// connections stay open and nothing passes, for them for ever; those that are made when it is whole again pass.
type wire struct {
	addr  string
	to    string
	delay time.Duration

	mu    sync.Mutex
	whole bool
	conns []*wireConn
	ln    net.Listener
	done  sync.WaitGroup
}

// wireConn is one connection, of two sockets.
type wireConn struct {
	in, out net.Conn
	dead    bool
}

// newWire listens on addr and forwards to another address.
func newWire(t *testing.T, addr, to string, delay time.Duration) *wire {
	t.Helper()
	ln, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{addr: addr, to: to, delay: delay, whole: true, ln: ln}
	w.done.Go(w.accept)
	t.Cleanup(func() {
		_ = ln.Close()
		w.mu.Lock()
		w.whole = false
		for _, c := range w.conns {
			c.close()
		}
		w.mu.Unlock()
		w.done.Wait()
	})
	return w
}

func (c *wireConn) close() {
	_ = c.in.Close()
	if c.out != nil {
		_ = c.out.Close()
	}
}

func (w *wire) accept() {
	for {
		in, err := w.ln.Accept()
		if err != nil {
			return
		}
		c := &wireConn{in: in}
		w.mu.Lock()
		c.dead = !w.whole
		w.mu.Unlock()
		if !c.dead {
			if c.out, err = net.Dial("tcp", w.to); err != nil { // nobody is there: say so
				_ = in.Close()
				continue
			}
		}
		w.mu.Lock()
		w.conns = append(w.conns, c)
		w.mu.Unlock()
		if !c.dead {
			w.done.Go(func() { w.pass(c, c.in, c.out) })
			w.done.Go(func() { w.pass(c, c.out, c.in) })
		}
	}
}

// cut ends all that passes; heal lets new connections pass.
func (w *wire) cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.whole = false
	for _, c := range w.conns {
		c.dead = true
	}
}

func (w *wire) heal() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.whole = true
}

// piece is what came at a time.
type piece struct {
	data []byte
	at   time.Time
}

// pass forwards one direction. A connection that ends is ended on the other side, unless it is dead: nothing passes then.
func (w *wire) pass(c *wireConn, from, to net.Conn) {
	pieces := make(chan piece, 10000)
	w.done.Go(func() {
		for p := range pieces {
			if wait := time.Until(p.at.Add(w.delay)); wait > 0 {
				time.Sleep(wait) // this is what the wire is for
			}
			if !w.alive(c) {
				continue
			}
			if _, err := to.Write(p.data); err != nil {
				_ = from.Close()
			}
		}
		if w.alive(c) {
			_ = to.Close()
		}
	})
	defer close(pieces)
	for {
		b := make([]byte, 64<<10)
		n, err := from.Read(b)
		if n > 0 {
			pieces <- piece{b[:n], time.Now()}
		}
		if err != nil {
			if err != io.EOF {
				_ = from.Close()
			}
			return
		}
	}
}

func (w *wire) alive(c *wireConn) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return !c.dead
}

// wired has each region reach each other one by wires; it returns all of them.
func wired(t *testing.T, cfgs map[string][]Config, delay time.Duration) (wires []*wire) {
	t.Helper()
	for _, list := range cfgs {
		for i := range list {
			for j := range list[i].Peers {
				urls := list[i].Peers[j].URLs
				for k, to := range urls {
					w := newWire(t, testHost()+":7422", to, delay)
					wires = append(wires, w)
					urls[k] = w.addr
				}
			}
		}
	}
	return wires
}
