package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"rtpjet/tests/lab"
)

// world is a network of three regions.
type world struct {
	wan     *lab.WAN
	regions []*region
	dir     string // for logs and data of this run
	way     lab.Way
}

// region is the network of one region: a switch, two nodes and whoever sends NG commands.
type region struct {
	name   string
	sw     *lab.Switch
	up     *lab.Uplink
	client *lab.Port
	nodes  []*lab.Port
	lines  []*line // from the client to each node
}

// The network of a laboratory: 10.97.0.0/24, ten addresses a region.
func addressOf(region, host int) netip.Addr {
	return netip.AddrFrom4([4]byte{10, 97, 0, byte(10*(region+1) + host)})
}

// The ports of a node.
const (
	ngPort     = 2223
	natsPort   = 4222
	routePort  = 6222
	regionPort = 7422
	// Media has ports that the kernel gives to nobody who does not ask for them.
	mediaFirst, mediaLast = 10000, 31999
)

// newWorld builds the network; ways is how frames go from each region to each other one.
func newWorld(dir string, seed uint64, way lab.Way) (w *world, err error) {
	w = &world{dir: dir, way: way}
	if w.wan, err = lab.NewWAN(seed); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, w.close())
			w = nil
		}
	}()
	var all []*lab.Port
	for i, name := range names {
		r := &region{name: name}
		if r.sw, err = lab.NewSwitch(); err != nil {
			return w, err
		}
		w.regions = append(w.regions, r)
		if r.client, err = r.sw.Plug(name+"0", addressOf(i, 0)); err != nil {
			return w, err
		}
		all = append(all, r.client)
		for n := range nodesEach {
			p, err := r.sw.Plug(nodeName(name, n), addressOf(i, 1+n))
			if err != nil {
				return w, err
			}
			r.nodes, all = append(r.nodes, p), append(all, p)
		}
		if r.up, err = w.wan.Join(name, r.sw); err != nil {
			return w, err
		}
	}
	if err := lab.Introduce(all...); err != nil {
		return w, err
	}
	for _, f := range everyWay() {
		w.heal(f)
	}
	return w, nil
}

func nodeName(region string, n int) string { return fmt.Sprintf("%s%d", region, n+1) }

// dial opens the lines of the clients.
func (w *world) dial() error {
	for _, r := range w.regions {
		for _, n := range r.nodes {
			l, err := dialLine(&r.client.Side, netip.AddrPortFrom(n.Addr, ngPort))
			if err != nil {
				return err
			}
			r.lines = append(r.lines, l)
		}
	}
	return nil
}

// way is one direction between two regions.
type way struct{ from, to int }

func everyWay() (all []way) {
	for from := range names {
		for to := range names {
			if from != to {
				all = append(all, way{from, to})
			}
		}
	}
	return all
}

func (w *world) cut(v way) {
	cut := w.way
	cut.Cut = true
	w.wan.Set(w.regions[v.from].up, w.regions[v.to].up, cut)
}

func (w *world) heal(v way) { w.wan.Set(w.regions[v.from].up, w.regions[v.to].up, w.way) }

func (w *world) close() error {
	var errs []error
	for _, r := range w.regions {
		for _, l := range r.lines {
			l.close()
		}
		if r.sw != nil {
			errs = append(errs, r.sw.Close())
		}
	}
	return errors.Join(append(errs, w.wan.Close())...)
}

// eventually asks until something is so.
func eventually(ctx context.Context, within, pause time.Duration, so func() (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	for {
		ok, err := so()
		if ok || err != nil {
			return err
		}
		if err := lab.Pause(ctx, pause); err != nil {
			return err
		}
	}
}
