package sim

import (
	"bytes"
	"encoding/json"
	"math"
	"net/netip"
	"reflect"

	"rtpjet/events"
	"rtpjet/projection"
	"rtpjet/projection/history"
	"rtpjet/projection/replay"
)

// checkEqual: all projections are the same, and that of the log.
func (w *world) checkEqual() {
	for _, key := range w.log.keys {
		truth := &w.log.subjects[key].call
		for _, n := range w.nodes {
			if !n.serving {
				continue
			}
			h := n.calls[key]
			switch {
			case !truth.Live() && h == nil: // forgotten
			case h == nil:
				w.fail("%s does not know %s", n.id, w.short(key))
			case h.busy || h.inbox.Len() > 0 || h.Waiting():
				w.fail("%s is still at work on %s", n.id, w.short(key))
			case !sameCall(truth, &h.Call):
				a, _ := json.Marshal(truth)
				b, _ := json.Marshal(&h.Call)
				w.fail("%s has another %s than the log:\n%s\n%s", n.id, w.short(key), b, a)
			default:
				w.checkSockets(n, h)
			}
		}
	}
}

func sameCall(a, b *projection.Call) bool {
	if a.Ended && !b.Live() { // a node that has started since passed over what led to the end, or knows nothing
		return a.Seq != b.Seq || a.Gen == b.Gen && a.EndedAt == b.EndedAt
	}
	if reflect.DeepEqual(a, b) {
		return true
	}
	x, errA := json.Marshal(a)
	y, errB := json.Marshal(b)
	return errA == nil && errB == nil && bytes.Equal(x, y) // a slice may be nil here and empty there
}

// checkFree: after the last call no port is in use.
func (w *world) checkFree() {
	for _, n := range w.nodes {
		if !n.serving {
			continue
		}
		if a, s, used := n.pool.used(); used {
			w.fail("%s has leaked the socket %s: %s, adopted %v", n.id, a, w.short(s.key), s.adopted)
		}
		for _, key := range n.grants.Due(math.MaxInt64) {
			w.fail("%s has grants for %s that were never settled", n.id, w.short(key))
		}
	}
}

// checkOwned: every live call has an owner that is there and has its sockets.
func (w *world) checkOwned() {
	for _, key := range w.log.keys {
		s := w.log.subjects[key]
		if !s.call.Live() {
			continue
		}
		n := w.nodes[w.index(s.call.Owner)]
		if !n.serving {
			w.fail("%s was asked for and is still owned by %s, which is gone", w.short(key), n.id)
		} else if len(n.pool.adopted(key)) != len(s.locals) {
			w.fail("%s has not all sockets of its call %s open", n.id, w.short(key))
		}
	}
}

// summary is a digest of what commands and relays see of a call.
func summary(c *projection.Call) uint64 {
	h := uint64(14695981039346656037)
	add := func(v uint64) { h = (h ^ v) * 1099511628211; h ^= h >> 29 }
	flag := func(b bool) {
		if b {
			add(1)
		} else {
			add(2)
		}
	}
	port := func(a netip.AddrPort) {
		b := a.Addr().As16()
		for _, v := range b[10:] {
			add(uint64(v))
		}
		add(uint64(a.Port()))
	}
	add(c.Gen)
	flag(c.Ended)
	if !c.Live() {
		return h
	}
	for _, v := range []uint64{c.First, c.Epoch, uint64(c.Created), c.OwnedSince, c.LastRequest, c.LastRequestSeq, uint64(c.DeleteAt)} {
		add(v)
	}
	add(events.ShortDigest(c.Owner))
	for _, m := range c.Commands {
		add(m.Seq)
	}
	flag(c.Blocked)
	flag(c.BlockedDTMF)
	for _, p := range c.Parties {
		if p == nil {
			add(3)
			continue
		}
		add(events.ShortDigest(p.Tag))
		add(uint64(c.PartyDeleteAt[p.ID]))
		for _, q := range p.Peers {
			add(uint64(q))
		}
		for i := range p.Medias {
			m := &p.Medias[i]
			for _, a := range []netip.AddrPort{m.Local.RTP, m.Local.RTCP, m.Remote.RTP, m.Learned.RTP, m.Learned.RTCP} {
				port(validOr(a))
			}
			add(m.Signal)
			flag(m.Blocked)
			flag(m.BlockedDTMF)
		}
	}
	return h
}

func validOr(a netip.AddrPort) netip.AddrPort {
	if !a.IsValid() {
		return netip.AddrPortFrom(netip.IPv4Unspecified(), 0)
	}
	return a
}

// checkRerun: every decision in the log comes out again as it did, by what the log alone has.
func (w *world) checkRerun() {
	if w.bug.folds() {
		return // it folds without the bug, and finds all of them at once; the rules of sessions are to find them
	}
	byKey := map[string][]history.Entry{}
	for i := range w.log.entries {
		e := &w.log.entries[i]
		if e.unreadable {
			continue
		}
		byKey[e.key] = append(byKey[e.key], history.Entry{Seq: uint64(i + 1), Envelope: e.env})
	}
	for _, key := range w.log.keys {
		if w.log.mixed[key] {
			continue
		}
		r := replay.Rerun(w.short(key), byKey[key])
		w.stats.rerun += r.Rerun
		for _, o := range r.Steps {
			text, _ := json.MarshalIndent(o, "", " ")
			w.fail("event %d of %s comes out otherwise when it is run again:\n%s", o.Seq, w.short(key), text)
		}
	}
}
