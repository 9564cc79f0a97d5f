package peers

import (
	"context"
	"encoding/json"
	"net/netip"
	"time"

	"rtpjet/projection/members"
)

// beat tells the others of this node, and says goodbye when ctx ends.
func (m *Membership) beat(ctx context.Context) error {
	tick := time.NewTicker(BeatEvery)
	defer tick.Stop()
	defer m.leave()
	for {
		m.beatOnce(false)
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// Beat tells the others at once how this node is.
func (m *Membership) Beat() { m.beatOnce(false) }

func (m *Membership) beatOnce(leaving bool) {
	data := m.beatData(leaving)
	connected := m.link.Connected()
	m.mu.Lock()
	m.table.Tick(connected, m.now())
	m.mu.Unlock()
	if connected {
		_ = m.link.Publish("beat", data) // one of many
	}
	for _, id := range m.udp.send(data, m.beatAddrs()) {
		m.noteRefusal(id)
	}
}

// beatData is what this node says of itself now.
func (m *Membership) beatData(leaving bool) []byte {
	load := m.host.Load()
	b := members.Beat{
		Node: m.id, Epoch: m.epoch.Load(), At: m.wall(), Calls: load.Calls, Room: load.Room, Draining: load.Draining, Leaving: leaving,
	}
	if m.Recovering() {
		b.Room = 0
	}
	data, err := json.Marshal(b)
	if err != nil {
		panic(err) // nothing in a Beat can fail
	}
	return data
}

// beatAddrs returns where heartbeats go: to all nodes that have not given their lease back.
func (m *Membership) beatAddrs() map[string]netip.AddrPort {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := make(map[string]netip.AddrPort, len(m.leases))
	for id, l := range m.leases {
		if l.UDP.IsValid() && l.State != members.Down {
			out[id] = l.UDP
		}
	}
	return out
}

// leave says goodbye, so that nobody has to wait for silence.
func (m *Membership) leave() {
	m.beatOnce(true)
	ctx, cancel := context.WithTimeout(context.Background(), leaveTime)
	defer cancel()
	m.mu.Lock()
	mine, rev := m.mine, m.rev
	m.mu.Unlock()
	mine.State, mine.At = members.Down, m.wall()
	_, _ = m.link.PutLease(ctx, members.LeasePrefix+m.id, mine.Encode(), rev) // if it cannot be written, silence says it too
	m.udp.close()
}

// hearBeat notes a heartbeat.
func (m *Membership) hearBeat(p members.Path, data []byte) {
	var b members.Beat
	if json.Unmarshal(data, &b) != nil || b.Node == m.id {
		return
	}
	wall := m.wall()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.table.Heard(p, b, wall, m.now())
	if skew := time.Duration(b.At-wall) * time.Microsecond; p == members.NATS && skew.Abs() > maxSkew && m.warnLocked("skew "+b.Node) {
		m.log.Error("the clocks of two nodes differ; timers of calls and the order of logs suffer: set the clocks (NTP)",
			"peer", b.Node, "ahead", skew.Round(time.Millisecond))
	}
}

// Probe sends a beat to a node that may be gone. The machine of a killed process refuses it, which the next one shows.
func (m *Membership) Probe(node string) {
	if m.udp.sendTo(node, m.beatData(false)) {
		m.noteRefusal(node)
	}
}

// noteRefusal notes that a node's machine refused a beat by UDP.
func (m *Membership) noteRefusal(node string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.table.Refused(node, m.now())
}

// noteUnanswered notes that a node did not answer a request: it counts as silent on NATS until its next heartbeat.
func (m *Membership) noteUnanswered(node string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.table.Absent(node, m.now())
}
