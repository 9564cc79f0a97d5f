package embed

import (
	"context"
	"math/rand/v2"
	"net"
	"sync"
	"time"
)

// dialTimeout bounds one attempt to reach a server, and the question for its addresses.
const dialTimeout = 2 * time.Second

// dialer makes the TCP connections of one connection of the client library, which knows of no context. As long as the first one is
// not made, the end of its context ends all that is under way, the handshake as well.
type dialer struct {
	first context.Context

	mu    sync.Mutex
	over  bool          // first does not count any more
	stops []func() bool // take the connections that were made off the context
}

// connected takes the context away: from then on the library connects again whenever it wants to.
func (d *dialer) connected() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, stop := range d.stops {
		stop()
	}
	d.over, d.stops = true, nil
}

// Dial connects to one of the addresses that a host has, in any order, as the client library's own dialer does.
func (d *dialer) Dial(network, address string) (net.Conn, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.over {
		return dial(context.Background(), network, address)
	}
	conn, err := dial(d.first, network, address)
	if err == nil {
		d.stops = append(d.stops, context.AfterFunc(d.first, func() { _ = conn.Close() }))
	}
	return conn, err
}

func dial(ctx context.Context, network, address string) (conn net.Conn, err error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	addrs, err := net.DefaultResolver.LookupHost(ctx, host)
	if err != nil {
		return nil, err
	}
	rand.Shuffle(len(addrs), func(i, j int) { addrs[i], addrs[j] = addrs[j], addrs[i] })
	d := net.Dialer{Timeout: dialTimeout / time.Duration(len(addrs))}
	for _, addr := range addrs {
		if conn, err = d.DialContext(ctx, network, net.JoinHostPort(addr, port)); err == nil {
			return conn, nil
		}
	}
	return nil, err
}
