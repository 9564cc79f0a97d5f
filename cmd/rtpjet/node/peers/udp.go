package peers

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"syscall"
)

// beatSockets carry heartbeats by UDP between the media addresses of the nodes: the path that shows whether a node relays
// still when NATS does not hear it. Each beat ends with an HMAC-SHA256 of the cluster key, so that nobody else can keep a dead
// node alive.
type beatSockets struct {
	key    []byte
	conn   *net.UDPConn
	mu     sync.Mutex
	out    map[string]*net.UDPConn // connected: the system tells of refusals
	closed bool
}

// newBeatSockets listens on a free port of addr.
func newBeatSockets(addr netip.Addr, key []byte) (*beatSockets, error) {
	conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(addr, 0)))
	if err != nil {
		return nil, fmt.Errorf("cannot listen for heartbeats on %s: %w", addr, err)
	}
	return &beatSockets{key: key, conn: conn, out: make(map[string]*net.UDPConn)}, nil
}

// addr implements [beatPath].
func (s *beatSockets) addr() netip.AddrPort {
	a := s.conn.LocalAddr().(*net.UDPAddr).AddrPort()
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
}

func (s *beatSockets) sum(data []byte) []byte {
	h := hmac.New(sha256.New, s.key)
	h.Write(data)
	return h.Sum(nil)
}

// send implements [beatPath].
func (s *beatSockets) send(data []byte, addrs map[string]netip.AddrPort) (refused []string) {
	data = append(data[:len(data):len(data)], s.sum(data)...)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	for id, c := range s.out {
		if addrs[id] != c.RemoteAddr().(*net.UDPAddr).AddrPort() {
			_ = c.Close() // it moved, or is no more
			delete(s.out, id)
		}
	}
	for id, to := range addrs {
		c := s.out[id]
		if c == nil {
			local := &net.UDPAddr{IP: s.conn.LocalAddr().(*net.UDPAddr).IP}
			var err error
			if c, err = net.DialUDP("udp", local, net.UDPAddrFromAddrPort(to)); err != nil {
				continue
			}
			s.out[id] = c
		}
		if _, err := c.Write(data); errors.Is(err, syscall.ECONNREFUSED) {
			refused = append(refused, id)
			_, _ = c.Write(data) // that error was the last one's
		}
	}
	return refused
}

// sendTo implements [beatPath].
func (s *beatSockets) sendTo(id string, data []byte) (refused bool) {
	data = append(data[:len(data):len(data)], s.sum(data)...)
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.out[id]
	if c == nil || s.closed {
		return false
	}
	_, err := c.Write(data)
	return errors.Is(err, syscall.ECONNREFUSED)
}

// receive implements [beatPath].
func (s *beatSockets) receive(ctx context.Context, f func(data []byte)) error {
	stop := context.AfterFunc(ctx, func() { _ = s.conn.Close() })
	defer stop()
	buf := make([]byte, 2048)
	for {
		n, _, err := s.conn.ReadFromUDPAddrPort(buf)
		if ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil || n < sha256.Size {
			continue
		}
		data, sum := buf[:n-sha256.Size], buf[n-sha256.Size:n]
		if hmac.Equal(sum, s.sum(data)) {
			f(data)
		}
	}
}

// close implements [beatPath].
func (s *beatSockets) close() {
	_ = s.conn.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for _, c := range s.out {
		_ = c.Close()
	}
}
