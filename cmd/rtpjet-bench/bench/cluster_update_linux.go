package bench

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// ClusterUpdate is what moved phones showed: the time from the arrival of an alternate's reply at the client to that of the
// first packet at the new address, both by the kernel's clock.
type ClusterUpdate struct {
	Ports    string            `json:"ports"` // new: as by default, the other phone has to send to another port; kept: port-latching
	Updates  int               `json:"updates"`
	Rate     float64           `json:"packets_per_s"`
	Latency  Latency           `json:"latency"`
	Ahead    int               `json:"before_the_reply"` // packets that were there even before the reply; they count as 0
	Silent   int               `json:"silent"`           // nothing for 2 s
	Reasons  map[string]uint64 `json:"reasons,omitempty"`
	Failures int               `json:"failures"`
}

const (
	movesPerCall = 10 // each leaves a pair of ports open, in case the phone comes back
	updateTick   = 50 * time.Microsecond
	keptSockets  = 8 // addresses that a phone has left; closed ones would have the kernel refuse what is still under way
)

// updateRun is the state of one such run. All is done by one thread: it sends the media, too.
type updateRun struct {
	*clusterRun
	latched bool
	every   int64 // ns between two packets
	ng      []int
	rx      *receiver
	big     *receiver
	reader  replyReader
	caller  *leg
	callee  *leg
	old     []int // sockets that the callee has left
	due     int64
	seq     int
	spread  *histogram
	out     ClusterUpdate
}

// update moves the callee of calls through alternates while the caller sends.
func (r *clusterRun) update(ctx context.Context, updates int, rate float64, latched bool) (*ClusterUpdate, error) {
	u := &updateRun{
		clusterRun: r, latched: latched, every: int64(float64(time.Second) / rate), rx: newReceiver(1, 2048), big: newReceiver(1, maxDatagram),
		spread: newHistogram(),
		out:    ClusterUpdate{Ports: "new", Updates: updates, Rate: rate, Reasons: map[string]uint64{}},
	}
	if latched {
		u.out.Ports = "kept"
	}
	if len(r.nodes.ng) < 2 {
		return nil, usageError{"--update-latency needs two nodes in --ng: an owner and an alternate"}
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	exactTimers()
	defer u.close()
	if err := u.open(); err != nil {
		return nil, err
	}
	for done := 0; done < updates; done += movesPerCall {
		if err := u.call(ctx, done/movesPerCall, min(movesPerCall, updates-done)); err != nil {
			return nil, err
		}
	}
	u.out.Latency = u.spread.summary()
	return &u.out, nil
}

func (u *updateRun) open() error {
	for _, addr := range u.nodes.ng {
		fd, _, err := legSocket(u.local, 0)
		if err != nil {
			return err
		}
		u.ng = append(u.ng, fd)
		if err := unix.Connect(fd, sockaddr(netip.MustParseAddrPort(addr))); err != nil {
			return fmt.Errorf("connect to %s: %w", addr, err)
		}
	}
	var err error
	u.caller, err = u.newLeg(1)
	return err
}

func (u *updateRun) newLeg(id uint32) (*leg, error) {
	return newLeg(id, trafficOptions{local: u.local, payload: 160, rcvbuf: 1 << 20})
}

func (u *updateRun) close() {
	for _, fd := range append(u.ng, u.old...) {
		_ = unix.Close(fd)
	}
	for _, l := range []*leg{u.caller, u.callee} {
		if l != nil {
			_ = unix.Close(l.fd)
		}
	}
}

// move gives the callee another address.
func (u *updateRun) move() error {
	if u.callee != nil {
		u.old = append(u.old, u.callee.fd)
		if len(u.old) > keptSockets {
			_ = unix.Close(u.old[0])
			u.old = u.old[1:]
		}
		u.callee = nil
	}
	var err error
	u.callee, err = u.newLeg(2)
	return err
}

// call places a call at one node and moves its callee by way of the others.
func (u *updateRun) call(ctx context.Context, number, moves int) error {
	names := namesOf(u.name+u.out.Ports, number)
	owner := number % len(u.nodes.ng)
	if err := u.move(); err != nil {
		return err
	}
	if !u.connect(ctx, names, owner, owner, false) {
		return ctx.Err()
	}
	u.pump(ctx, time.Now().Add(50*time.Millisecond), func() bool { return false })
	for i := range moves {
		alternate := (owner + 1 + i%(len(u.nodes.ng)-1)) % len(u.nodes.ng)
		other := (owner + 1 + (i+1)%(len(u.nodes.ng)-1)) % len(u.nodes.ng)
		if err := u.move(); err != nil {
			return err
		}
		if !u.connect(ctx, names, alternate, other, true) {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			break
		}
		// The moves do not come in step with the heartbeats or the ticks of anybody.
		u.pump(ctx, time.Now().Add(time.Duration(5+i*7%11)*time.Millisecond), func() bool { return false })
	}
	_, _, err := u.ask(ctx, owner, deleteRequest(names, u.opts))
	if err != nil {
		u.fail("delete: " + err.Error())
	}
	return ctx.Err()
}

// connect sends an offer of the caller, which has not moved, and an answer of the callee, and waits for the caller's media at
// the callee's address. measured says whether the time counts.
func (u *updateRun) connect(ctx context.Context, names callNames, first, second int, measured bool) bool {
	s := signalling{command: "offer", names: names, moved: measured, latched: u.latched, from: u.local, sdp: phoneSDP(u.caller.at, u.sdp)}
	if _, _, err := u.ask(ctx, first, s.request()); err != nil {
		u.fail("offer: " + err.Error())
		return false
	}
	s.command, s.sdp = "answer", phoneSDP(u.callee.at, u.sdp)
	reply, at, err := u.ask(ctx, second, s.request())
	if err != nil {
		u.fail("answer: " + err.Error())
		return false
	}
	m, err := readMedia(reply.SDP)
	if err != nil {
		u.fail("answer: " + err.Error())
		return false
	}
	u.caller.relay = m.at
	arrived := int64(0)
	u.pump(ctx, time.Now().Add(silentAfter), func() bool {
		for {
			n, errno := u.rx.receive(u.callee.fd)
			if n == 0 || errno != 0 {
				return false
			}
			if _, _, v := check(u.rx.packet(0), &u.caller.packet); v == packetGood {
				arrived = u.rx.arrived(0)
				return true
			}
		}
	})
	switch {
	case ctx.Err() != nil:
		return false
	case arrived == 0:
		u.out.Silent++
		u.fail("nothing arrived at the new address")
		return true
	case measured:
		if arrived < at {
			u.out.Ahead++
		}
		u.spread.record(arrived - at)
	}
	return true
}

func (u *updateRun) fail(why string) {
	u.out.Failures++
	u.out.Reasons[why]++
}

// ask sends a command to a node and returns the reply and when the kernel had it. The media goes on meanwhile.
func (u *updateRun) ask(ctx context.Context, node int, r request) (reply ngReply, at int64, err error) {
	u.seq++
	cookie := u.name + "u" + u.out.Ports + strconv.Itoa(u.seq)
	datagram := r.append(nil, cookie)
	var dict []byte
	for range 1 + resends {
		_ = send(u.ng[node], datagram) // the next copy is the answer to an error, too
		u.pump(ctx, time.Now().Add(resendAfter), func() bool {
			n, errno := u.big.receive(u.ng[node])
			if n == 0 || errno != 0 {
				return false
			}
			got, rest, ok := splitReply(u.big.packet(0))
			if !ok || string(got) != cookie {
				return false
			}
			dict, at = rest, u.big.arrived(0)
			return true
		})
		if err := ctx.Err(); err != nil {
			return reply, 0, err
		}
		if dict != nil {
			break
		}
	}
	if dict == nil {
		return reply, 0, errNoReply
	}
	if reply, err = u.reader.read(dict); err != nil {
		return reply, at, err
	}
	if !reply.ok() {
		return reply, at, errors.New(reply.why())
	}
	return reply, at, nil
}

// pump sends the caller's media until done says so or the time is over.
func (u *updateRun) pump(ctx context.Context, limit time.Time, done func() bool) {
	for wake := time.Now().UnixNano(); ; {
		now := time.Now()
		if u.due+int64(maxLate) < now.UnixNano() {
			u.due = now.UnixNano() // after a pause
		}
		if u.caller.relay.IsValid() && now.UnixNano() >= u.due {
			u.caller.packet.stamp(u.caller.next, now.UnixNano())
			u.caller.next++
			u.due += u.every
			_ = unix.Sendto(u.caller.fd, u.caller.packet.bytes, unix.MSG_DONTWAIT, sockaddr(u.caller.relay)) // like a lost one
		}
		if done() || now.After(limit) || ctx.Err() != nil {
			return
		}
		wake += int64(updateTick)
		if wake < now.UnixNano() {
			wake = now.UnixNano()
			continue
		}
		sleepUntil(wake)
	}
}
