package cluster

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync/atomic"

	"rtpjet/tests/lab"
)

// world is where a cluster, its clients and its phones are: loopback addresses, or namespaces.
type world interface {
	// at says where the node of a number is.
	at(number int) where
	// phones is the address that phones have.
	phones() netip.Addr
	// do calls f where clients and phones are.
	do(f func() error) error
}

// where is the place of one node.
type where struct {
	media, nats netip.Addr // media and NG; NATS and its routes
	side        *lab.Side  // the namespace that the process runs in; nil: where this one is
	do          func(func() error) error
}

var blocks atomic.Uint32

// loopback is a block of loopback addresses that nobody else uses, so that every port is free.
type loopback [3]byte

func newLoopback() loopback {
	n := blocks.Add(1)
	if n > 250 {
		panic("out of loopback addresses")
	}
	return loopback{127, byte(192 + os.Getpid()%56), byte(n)}
}

func (l loopback) addr(last int) netip.Addr {
	return netip.AddrFrom4([4]byte{l[0], l[1], l[2], byte(last)})
}

func (l loopback) at(number int) where {
	return where{media: l.addr(number), nats: l.addr(number), do: l.do}
}
func (l loopback) phones() netip.Addr      { return l.addr(200) }
func (l loopback) do(f func() error) error { return f() }

// listen binds a phone's socket.
func listen(w world, addr netip.Addr) (conn *net.UDPConn, err error) {
	err = w.do(func() error {
		conn, err = net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(addr, 0)))
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("bind a phone: %w", err)
	}
	return conn, nil
}
