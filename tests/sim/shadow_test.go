package sim

import (
	"net/netip"

	"rtpjet/events"
	"rtpjet/projection"
	"rtpjet/projection/members"
	"rtpjet/projection/transact"
	"rtpjet/relay/plan"
)

// shadow carries out a command on the call as it was in the log at a time, to see what would have come out.
type shadow struct {
	w     *world
	key   string
	upto  uint64
	call  projection.Call
	wrote bool
	port  uint16
}

var _ transact.Effects = (*shadow)(nil)

func (s *shadow) Now() int64             { return s.w.now }
func (s *shadow) Call() *projection.Call { return &s.call }
func (s *shadow) CatchUp() error         { return nil }

func (s *shadow) Append(events.Envelope) error {
	s.wrote = true
	return nil
}

func (s *shadow) Since(after uint64) ([]transact.Entry, error) {
	var out []transact.Entry
	for _, seq := range s.w.log.since(s.key, after) {
		if seq <= s.upto {
			out = append(out, transact.Entry{Seq: seq, Envelope: s.w.log.entry(seq).env})
		}
	}
	return out, nil
}

func (s *shadow) Judge(string) transact.Verdict    { return members.Alive }
func (s *shadow) Await(string) transact.Verdict    { return members.Alive }
func (s *shadow) Fence(string) error               { return nil }
func (s *shadow) Place([]string) (string, bool)    { return s.w.nodes[0].id, true }
func (s *shadow) Release(string, []netip.AddrPort) {}
func (s *shadow) Hold(string, []netip.AddrPort)    {}

func (s *shadow) Interfaces(node string) *plan.Interfaces { return s.w.nodes[s.w.index(node)].face }

func (s *shadow) Reserve(_ string, bind netip.Addr, n int) ([]netip.AddrPort, error) {
	s.port += 2
	out := make([]netip.AddrPort, n)
	for i := range out {
		out[i] = netip.AddrPortFrom(bind, 20000+s.port+uint16(i))
	}
	return out, nil
}

func (s *shadow) Stats() func(netip.AddrPort) (plan.Stats, bool) {
	return func(netip.AddrPort) (plan.Stats, bool) { return plan.Stats{}, false }
}

// checkNothing: a command that changed nothing would have changed nothing at some time between its begin, when the log ended
// at from, and now.
func (w *world) checkNothing(n *node, m *message, r reply, from uint64) {
	w.stats.refusals++
	key := m.call.key
	x := &shadow{w: w, key: key}
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
		for _, seq := range w.log.since(key, x.upto) {
			if seq > end {
				break
			}
			env := w.log.entry(seq).env
			x.call.ID = env.Call
			x.call.Apply(seq, env)
		}
		x.upto, x.wrote = max(end, x.upto), false
		n.execute(x, m)
		if !x.wrote {
			return
		}
	}
	w.fail("%s does nothing about %s, cookie %s, and says %q; the log has had no reason for that since the command was begun",
		n.id, m.Command, m.cookie, clip(r.raw))
}

func clip(b []byte) []byte { return b[:min(len(b), 120)] }
