package sim

import (
	"net/netip"

	"rtpjet/projection"
	"rtpjet/projection/replay"
	"rtpjet/projection/transact"
	"rtpjet/relay/plan"
)

// shadow carries out commands on a call as it was in the log at a time, to see what would have come out.
func (w *world) shadow(key string, upto *uint64) *replay.Shadow {
	port := uint16(0)
	return &replay.Shadow{
		Time: w.now, State: &projection.Call{}, Owner: w.nodes[0].id,
		Log: func(after uint64) []transact.Entry {
			var out []transact.Entry
			for _, seq := range w.log.since(key, after) {
				if seq <= *upto {
					out = append(out, transact.Entry{Seq: seq, Envelope: w.log.entry(seq).env})
				}
			}
			return out
		},
		InterfacesOf: func(node string) *plan.Interfaces { return w.nodes[w.index(node)].face },
		Sockets: func(bind netip.Addr, n int) ([]netip.AddrPort, error) {
			port += 2
			out := make([]netip.AddrPort, n)
			for i := range out {
				out[i] = netip.AddrPortFrom(bind, 20000+port+uint16(i))
			}
			return out, nil
		},
	}
}

// checkNothing: a command that changed nothing would have changed nothing at some time between its begin, when the log ended
// at from, and now.
func (w *world) checkNothing(n *node, m *message, r reply, from uint64) {
	w.stats.refusals++
	key := m.call.key
	upto := uint64(0)
	x := w.shadow(key, &upto)
	var ends []uint64 // the log as the command may have seen it
	last := uint64(0)
	for _, seq := range w.log.subject(key).seqs {
		if seq > from {
			ends = append(ends, seq)
		} else {
			last = seq
		}
	}
	for _, end := range append([]uint64{last}, ends...) {
		for _, seq := range w.log.since(key, upto) {
			if seq > end {
				break
			}
			env := w.log.entry(seq).env
			if w.log.entry(seq).unreadable {
				x.State.Seq = seq
				continue
			}
			x.State.ID = env.Call
			x.State.Apply(seq, env)
		}
		upto, x.Wrote = max(end, upto), nil
		n.execute(x, m)
		if len(x.Wrote) == 0 {
			return
		}
	}
	w.fail("%s does nothing about %s, cookie %s, and says %q; the log has had no reason for that since the command was begun",
		n.id, m.Command, m.cookie, clip(r.raw))
}

func clip(b []byte) []byte { return b[:min(len(b), 120)] }
