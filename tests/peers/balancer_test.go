//go:build unix

package peers

import (
	"errors"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"sync"
	"testing"
	"time"
)

// balancer spreads NG datagrams over the nodes of a cluster and looks at none of
// them: each goes to a random node, one that is sent again as well. Replies go
// back to where the request came from, from the balancer's own address.
type balancer struct {
	front  *net.UDPConn
	nodes  []netip.AddrPort
	copies int // how many nodes get each datagram
	lose   int // one in so many replies is lost; 0: none

	done sync.WaitGroup

	mu      sync.Mutex
	flows   map[netip.AddrPort]*flow
	sent    map[netip.AddrPort]int
	replies int
	lost    int
}

// flow is one client's socket towards the nodes.
type flow struct {
	*net.UDPConn
	used time.Time
}

// quiet is after how long without a request a client's socket is closed.
const quiet = 10 * time.Second

// balance puts a balancer in front of a cluster. Its address is the cluster's.
func balance(t *testing.T, s *server, copies, lose int) *balancer {
	t.Helper()
	front, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	b := &balancer{front: front, copies: copies, lose: lose, flows: map[netip.AddrPort]*flow{}, sent: map[netip.AddrPort]int{}}
	for _, n := range s.nodes {
		b.nodes = append(b.nodes, netip.MustParseAddrPort(n.ng))
	}
	s.ng, s.port = front.LocalAddr().String(), front.LocalAddr().(*net.UDPAddr).Port
	s.socks = "udp:" + s.ng
	b.done.Go(b.requests)
	t.Cleanup(func() {
		front.Close()
		b.mu.Lock()
		for _, f := range b.flows {
			f.Close()
		}
		b.mu.Unlock()
		b.done.Wait()
		for _, node := range b.nodes {
			if !t.Failed() && !t.Skipped() && b.sent[node] == 0 {
				t.Errorf("no command went to %v", node)
			}
		}
		t.Logf("commands by node: %v; replies: %d, of them lost: %d", b.sent, b.replies, b.lost)
	})
	return b
}

// requests reads until the front is closed.
func (b *balancer) requests() {
	buf := make([]byte, 65535)
	for {
		n, client, err := b.front.ReadFromUDPAddrPort(buf)
		if err != nil {
			return
		}
		b.forward(buf[:n], client)
	}
}

func (b *balancer) forward(datagram []byte, client netip.AddrPort) {
	b.mu.Lock()
	defer b.mu.Unlock()
	f := b.flows[client]
	if f == nil {
		conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
		if err != nil {
			return // lost, as datagrams are; the client sends again
		}
		f = &flow{UDPConn: conn}
		b.flows[client] = f
		b.done.Go(func() { b.back(f, client) })
	}
	f.used = time.Now()
	for _, i := range rand.Perm(len(b.nodes))[:b.copies] {
		b.sent[b.nodes[i]]++
		_, _ = f.WriteToUDPAddrPort(datagram, b.nodes[i]) // nobody may be there
	}
}

// back forwards replies until the client has been quiet for a while.
func (b *balancer) back(f *flow, client netip.AddrPort) {
	buf := make([]byte, 65535)
	for {
		_ = f.SetReadDeadline(time.Now().Add(quiet))
		n, err := f.Read(buf)
		switch {
		case err == nil:
			if b.passes() {
				_, _ = b.front.WriteToUDPAddrPort(buf[:n], client) // the client may be gone
			}
		case !errors.Is(err, os.ErrDeadlineExceeded) || b.forget(f, client):
			return
		}
	}
}

// passes counts a reply and tells whether it is not one of those that are lost.
func (b *balancer) passes() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.replies++
	if b.lose == 0 || rand.IntN(b.lose) > 0 {
		return true
	}
	b.lost++
	return false
}

func (b *balancer) forget(f *flow, client netip.AddrPort) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if time.Since(f.used) < quiet {
		return false
	}
	delete(b.flows, client)
	f.Close()
	return true
}
