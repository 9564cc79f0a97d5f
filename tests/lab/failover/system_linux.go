package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"rtpjet/tests/lab"
)

// system is a cluster of relays with an address that moves.
type system interface {
	// start starts all of it and returns when calls can be placed.
	start(ctx context.Context) error
	// kill ends the process that relays on a node as `kill -9` does.
	kill(node int) error
	// restart stops a node in the way that is meant for it, and starts it again; it
	// returns when the node could take the address.
	restart(ctx context.Context, node int) error
	// move moves the address away from a node, in the way that is meant for it.
	move(ctx context.Context, node int) error
	// drain takes the address away from a node by draining that; errNoDrain if there
	// is no such thing.
	drain(ctx context.Context, node int) error
	// storeDown ends all that the nodes share (Redis, NATS), and storeUp starts it again.
	storeDown() error
	storeUp(ctx context.Context) error
	// leader makes a node the one that leads what the nodes agree by; errNoLeader if
	// there is no such thing.
	leader(ctx context.Context, node int) error
	// stop ends all of it.
	stop()
}

// What a system does not have.
var (
	errNoLeader = errors.New("nothing in it has a leader")
	errNoDrain  = errors.New("it cannot drain a node")
)

// world is the network of one run.
type world struct {
	sw            *lab.Switch
	client, store *lab.Port
	nodes         []*lab.Port
	float         netip.Addr
	dir           string // for logs and data of this run
}

// The network of a laboratory: 10.98.0.0/24.
var (
	floatAddr  = netip.MustParseAddr("10.98.0.100")
	clientAddr = netip.MustParseAddr("10.98.0.200")
	storeAddr  = netip.MustParseAddr("10.98.0.50")
)

func nodeAddr(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, 98, 0, byte(1 + i)}) }

const ngPort = 2223

// newWorld builds the network: a switch, the phones, the nodes, and a place for
// what shall outlive the nodes.
func newWorld(nodes int, dir string) (w *world, err error) {
	w = &world{float: floatAddr, dir: dir}
	if w.sw, err = lab.NewSwitch(); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, w.close())
			w = nil
		}
	}()
	if w.client, err = w.sw.Plug("client", clientAddr); err != nil {
		return w, err
	}
	if w.store, err = w.sw.Plug("store", storeAddr); err != nil {
		return w, err
	}
	for i := range nodes {
		p, err := w.sw.Plug(fmt.Sprintf("n%d", i+1), nodeAddr(i))
		if err != nil {
			return w, err
		}
		w.nodes = append(w.nodes, p)
	}
	return w, nil
}

func (w *world) close() error { return w.sw.Close() }

// holders returns the nodes that have the floating address on their device.
func (w *world) holders() (has []int, err error) {
	for i, n := range w.nodes {
		ok, err := n.Has(w.float)
		if err != nil {
			return nil, err
		}
		if ok {
			has = append(has, i)
		}
	}
	return has, nil
}

// holder waits until exactly one node has the floating address.
func (w *world) holder(ctx context.Context) (int, error) {
	var has []int
	err := eventually(ctx, 20*time.Second, func() (ok bool, err error) {
		has, err = w.holders()
		return len(has) == 1, err
	})
	if err != nil {
		return 0, fmt.Errorf("wait for one holder of %s (%d have it): %w", w.float, len(has), err)
	}
	return has[0], nil
}

// eventually asks until something is so.
func eventually(ctx context.Context, within time.Duration, so func() (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	for {
		ok, err := so()
		if ok || err != nil {
			return err
		}
		if err := lab.Pause(ctx, 5*time.Millisecond); err != nil {
			return err
		}
	}
}

// captured are the addresses of which the switch notes who speaks from them.
func (w *world) captured() []netip.Addr { return []netip.Addr{w.float} }
