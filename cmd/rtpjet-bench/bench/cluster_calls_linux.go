package bench

import (
	"context"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// ClusterCalls is what whole calls through all nodes showed.
type ClusterCalls struct {
	CommandTally
	Calls    int     `json:"calls"`
	Good     uint64  `json:"calls_without_failure"`
	Seconds  float64 `json:"seconds"`
	Ways     uint64  `json:"ways"`               // two after each answer
	FirstWay uint64  `json:"first_packets_lost"` // ways on which the packet sent right after the answer's reply did not arrive
	OldPorts uint64  `json:"old_ports_first"`    // ways on which it came from the port before this one
}

const (
	packetEvery = 20 * time.Millisecond
	silentAfter = 2 * time.Second
)

// callsRun is the state of one such run.
type callsRun struct {
	*clusterRun
	tally  *tally
	result ClusterCalls
	good   atomic.Uint64
	ways   atomic.Uint64
	late   atomic.Uint64
	stale  atomic.Uint64
}

// calls sends each command of each call to a random node, and media after each answer.
func (r *clusterRun) calls(ctx context.Context, calls, callers int) (*ClusterCalls, error) {
	c := &callsRun{clusterRun: r, tally: newTally()}
	began := time.Now()
	if err := r.each(ctx, calls, callers, c.tally, c.call); err != nil {
		return nil, err
	}
	c.result = ClusterCalls{
		CommandTally: c.tally.result(), Calls: calls, Seconds: time.Since(began).Seconds(),
		Good: c.good.Load(), Ways: c.ways.Load(), FirstWay: c.late.Load(), OldPorts: c.stale.Load(),
	}
	return &c.result, nil
}

// each calls f for each number below n, from several goroutines with an asker each.
func (r *clusterRun) each(ctx context.Context, n, callers int, t *tally, f func(ctx context.Context, a *asker, i int) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var group sync.WaitGroup
	var index atomic.Int64
	for range min(callers, n) {
		group.Go(func() {
			a, err := newAsker(r.nodes, t)
			if err != nil {
				cancel(err)
				return
			}
			defer a.close()
			for ctx.Err() == nil {
				i := int(index.Add(1)) - 1
				if i >= n {
					return
				}
				if err := f(ctx, a, i); err != nil {
					cancel(err)
				}
			}
		})
	}
	group.Wait()
	return context.Cause(ctx)
}

// anyNode chooses where a command goes.
func (r *clusterRun) anyNode() int { return rand.IntN(len(r.nodes.ng)) }

// phone is a socket of a phone and the packet that it sends.
type phone struct {
	conn   *net.UDPConn
	at     netip.AddrPort
	packet packet
	number uint64
}

func (r *clusterRun) newPhone(id uint32) (*phone, error) {
	conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(r.local, 0)))
	if err != nil {
		return nil, err
	}
	at := conn.LocalAddr().(*net.UDPAddr).AddrPort()
	return &phone{conn: conn, at: netip.AddrPortFrom(at.Addr().Unmap(), at.Port()), packet: newPacket(id, 160)}, nil
}

// call carries out one call. Failures go to the tally; an error ends the run.
func (c *callsRun) call(ctx context.Context, a *asker, i int) error {
	var phones [3]*phone // the caller, where it moves to, the callee
	for k := range phones {
		p, err := c.newPhone(uint32(3*i + k))
		if err != nil {
			return err
		}
		defer func() { _ = p.conn.Close() }()
		phones[k] = p
	}
	caller, moved, callee := phones[0], phones[1], phones[2]
	names := namesOf(c.name, i)
	owner := -1

	// connect signals one round of offer and answer and checks the media.
	connect := func(caller *phone, prefix string) bool {
		s := signalling{command: "offer", names: names, moved: owner >= 0, from: c.local, sdp: phoneSDP(caller.at, c.sdp)}
		at := c.anyNode()
		forCallee, ok := a.askMedia(ctx, at, owner, prefix+"offer", s)
		if !ok {
			return false
		}
		if owner = c.nodes.owner(forCallee); owner < 0 {
			owner = at
		}
		s.command, s.sdp = "answer", phoneSDP(callee.at, c.sdp)
		forCaller, ok := a.askMedia(ctx, c.anyNode(), owner, prefix+"answer", s)
		if !ok {
			return false
		}
		there := c.hears(caller, forCaller, callee, forCallee, names.callID, prefix+"caller to callee")
		back := c.hears(callee, forCallee, caller, forCaller, names.callID, prefix+"callee to caller")
		return there && back
	}
	good := connect(caller, "") && connect(moved, "re-")
	if good {
		_, good = a.ask(ctx, c.anyNode(), owner, "query", names.callID, queryRequest(names))
	}
	if _, ok := a.ask(ctx, c.anyNode(), owner, "delete", names.callID, deleteRequest(names, c.opts)); ok && good {
		c.good.Add(1)
	}
	return nil
}

// hears sends packets from one phone until the other hears one, from the address that its SDP named.
func (c *callsRun) hears(from *phone, relay netip.AddrPort, to *phone, source netip.AddrPort, callID, way string) bool {
	c.ways.Add(1)
	began := time.Now()
	buf := make([]byte, 2048)
	why, stale := "nothing arrived", false
	for next := began; time.Since(began) < silentAfter; {
		from.packet.stamp(from.number, time.Now().UnixNano())
		from.number++
		if _, err := from.conn.WriteToUDPAddrPort(from.packet.bytes, relay); err != nil {
			why = err.Error()
			break
		}
		next = next.Add(packetEvery)
		_ = to.conn.SetReadDeadline(next)
		for {
			n, at, err := to.conn.ReadFromUDPAddrPort(buf)
			if err != nil {
				break // the time for the next packet
			}
			_, _, v := check(buf[:n], &from.packet)
			if v == packetForeign {
				continue // an earlier one
			}
			if v == packetDamaged {
				c.tally.failed("", callID, "media "+way+": damaged")
				return false
			}
			if got := netip.AddrPortFrom(at.Addr().Unmap(), at.Port()); got != source {
				why, stale = "not from the address in the SDP", true
				continue // the owner is about to hear of the change
			}
			took := time.Since(began)
			c.tally.record("media "+way, took)
			if took >= packetEvery {
				c.late.Add(1)
			}
			if stale {
				c.stale.Add(1)
			}
			return true
		}
	}
	c.tally.failed("", callID, "media "+way+": "+why)
	return false
}
