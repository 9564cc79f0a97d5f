package events

import (
	"math"
	"net/netip"
)

// fastDecode reads an entry that is in the form in which this release writes it, which nearly all are. ok is false if there is
// anything about it that it was not made for: that says nothing about the entry. What it returns is what slowDecode would
// (TestFastMatchesSlow, FuzzDecode).
func fastDecode(data []byte) (e Envelope, ok bool) {
	var h fastHeader
	r := reader{b: data}
	if !r.header(&h) {
		return Envelope{}, false
	}
	// A call keeps these two, as its id and its owner, for as long as it lives, and nothing else of the entry's head.
	buf := make([]byte, 0, 256)
	cut := joined(append(append(buf, h.call...), h.node...))
	e = Envelope{Call: cut.next(h.call), Gen: h.gen, Node: cut.next(h.node), At: h.at}
	if e.Event = r.event(h.kind, e.Node); e.Event == nil {
		return Envelope{}, false
	}
	r.want('}')
	r.want('\n')
	if r.bad {
		return Envelope{}, false
	}
	rest := data[r.i:]
	if h.request < 0 || h.reply < 0 || h.request > len(rest) || h.reply != len(rest)-h.request || !h.caused && len(rest) > 0 {
		return Envelope{}, false
	}
	if h.caused {
		e.Cause = &Cause{Cookie: string(h.cookie), From: h.from, Request: rest[:h.request:h.request], Reply: rest[h.request:], Took: h.took, Via: string(h.via), Secrets: h.secrets}
	}
	return e, true
}

// fastHeader is a header whose texts are still a part of the entry.
type fastHeader struct {
	kind, call, node, cookie, via []byte
	gen                           uint64
	at, took                      int64
	from                          netip.AddrPort
	request, reply                int
	caused                        bool
	secrets                       Secret
}

// header reads up to the event, which is the last field.
func (r *reader) header(h *fastHeader) bool {
	if !r.literal(`{"v":1,"kind":`) {
		return false
	}
	h.kind = r.text()
	var seen uint64
	for {
		k, ok := r.key(true)
		if !ok {
			return false
		}
		var bit uint64
		switch string(k) {
		case "call":
			bit, h.call = 1<<0, r.text()
		case "gen":
			bit, h.gen = 1<<1, r.uint64()
		case "node":
			bit, h.node = 1<<2, r.text()
		case "at":
			bit, h.at = 1<<3, r.int64()
		case "cookie":
			bit, h.cookie = 1<<4, r.text()
		case "from":
			bit, h.from = 1<<5, r.addrPort()
		case "request":
			bit, h.request = 1<<6, r.int()
		case "reply":
			bit, h.reply = 1<<7, r.int()
		case "caused":
			bit, h.caused = 1<<8, r.bool()
		case "secrets":
			bit, h.secrets = 1<<9, r.secret()
		case "took":
			bit, h.took = 1<<10, r.int64()
		case "via":
			bit, h.via = 1<<11, r.text()
		case "event":
			return !r.bad
		} // latin1 is rare, and takes another pass
		r.once(&seen, bit)
	}
}

// event reads the body of an event; nil if it cannot.
func (r *reader) event(kind []byte, node string) Event {
	switch Kind(kind) {
	case KindOffered:
		return Offered{r.signalling(node)}
	case KindAnswered:
		return Answered{r.signalling(node)}
	case KindEndpointLearned:
		return r.endpointLearned()
	case KindMediaBlocked:
		return r.mediaBlocked()
	case KindDeletionScheduled:
		return r.deletionScheduled()
	case KindPartiesRemoved:
		return r.partiesRemoved()
	case KindTakenOver:
		return r.takenOver(node)
	case KindRolledOver:
		return r.rolledOver()
	case KindLegSilent:
		return r.legSilent()
	case KindEnded:
		return r.ended()
	}
	return nil
}

func (r *reader) signalling(node string) (s Signalling) {
	var seen uint64
	for k, ok := r.key(false); ok; k, ok = r.key(true) {
		var bit uint64
		switch string(k) {
		case "owner":
			bit, s.Owner = 1<<0, r.node(node)
		case "parties":
			bit, s.Parties = 1<<1, r.parties()
		case "from":
			bit, s.From = 1<<2, r.int()
		case "to":
			bit, s.To = 1<<3, r.int()
		case "request":
			bit, s.Request = 1<<4, r.uint64()
		case "final":
			bit, s.Final = 1<<5, r.bool()
		case "tos":
			bit, s.TOS = 1<<6, r.tos()
		case "drop_traffic":
			v := r.bool()
			bit, s.DropTraffic = 1<<7, &v
		case "metadata":
			bit, s.Metadata = 1<<8, string(r.text())
		case "pending":
			bit, s.Pending = 1<<9, r.bool()
		case "answers":
			bit, s.Answers = 1<<10, r.int()
		case "branch":
			bit, s.Branch = 1<<11, string(r.text())
		}
		r.once(&seen, bit)
	}
	return s
}

// tos reads a number that may be left out.
func (r *reader) tos() *int {
	n := r.int()
	return &n
}

// node reads a node's id, which mostly is that of the entry's writer.
func (r *reader) node(writer string) string {
	if b := r.text(); string(b) != writer {
		return string(b)
	}
	return writer
}

func (r *reader) endpointLearned() (e EndpointLearned) {
	var seen uint64
	for k, ok := r.key(false); ok; k, ok = r.key(true) {
		var bit uint64
		switch string(k) {
		case "party":
			bit, e.Party = 1<<0, r.int()
		case "media":
			bit, e.Media = 1<<1, r.int()
		case "rtcp":
			bit, e.RTCP = 1<<2, r.bool()
		case "remote":
			bit, e.Remote = 1<<3, r.addrPort()
		case "signal":
			bit, e.Signal = 1<<4, r.uint64()
		case "confirmed":
			bit, e.Confirmed = 1<<5, r.bool()
		}
		r.once(&seen, bit)
	}
	return e
}

func (r *reader) rolledOver() (e RolledOver) {
	var seen uint64
	for k, ok := r.key(false); ok; k, ok = r.key(true) {
		var bit uint64
		switch string(k) {
		case "party":
			bit, e.Party = 1<<0, r.int()
		case "media":
			bit, e.Media = 1<<1, r.int()
		case "rtcp":
			bit, e.RTCP = 1<<2, r.bool()
		case "out":
			bit, e.Out = 1<<3, r.bool()
		case "ssrc":
			bit, e.SSRC = 1<<4, uint32(r.upTo(math.MaxUint32))
		case "roc":
			bit, e.ROC = 1<<5, uint32(r.upTo(math.MaxUint32))
		case "seq":
			bit, e.Seq = 1<<6, uint16(r.upTo(math.MaxUint16))
		case "index":
			bit, e.Idx = 1<<7, uint32(r.upTo(math.MaxUint32))
		case "key":
			bit, e.Key = 1<<8, r.uint64()
		}
		r.once(&seen, bit)
	}
	return e
}

// upTo reads a number that is not above a bound.
func (r *reader) upTo(most uint64) uint64 {
	n := r.uint64()
	r.bad = r.bad || n > most
	return n
}

func (r *reader) mediaBlocked() (e MediaBlocked) {
	var seen uint64
	for k, ok := r.key(false); ok; k, ok = r.key(true) {
		var bit uint64
		switch string(k) {
		case "parties":
			bit, e.Parties = 1<<0, r.ints()
		case "all":
			bit, e.All = 1<<1, r.bool()
		case "media":
			v := r.bool()
			bit, e.Media = 1<<2, &v
		case "dtmf":
			v := r.bool()
			bit, e.DTMF = 1<<3, &v
		}
		r.once(&seen, bit)
	}
	return e
}

func (r *reader) deletionScheduled() (e DeletionScheduled) {
	var seen uint64
	for k, ok := r.key(false); ok; k, ok = r.key(true) {
		var bit uint64
		switch string(k) {
		case "parties":
			bit, e.Parties = 1<<0, r.ints()
		case "at":
			bit, e.At = 1<<1, r.int64()
		}
		r.once(&seen, bit)
	}
	return e
}

func (r *reader) partiesRemoved() (e PartiesRemoved) {
	var seen uint64
	for k, ok := r.key(false); ok; k, ok = r.key(true) {
		var bit uint64
		if string(k) == "parties" {
			bit = 1 << 0
			if !r.literal("null") {
				e.Parties = r.ints()
			}
		}
		r.once(&seen, bit)
	}
	return e
}

func (r *reader) takenOver(node string) (e TakenOver) {
	var seen uint64
	for k, ok := r.key(false); ok; k, ok = r.key(true) {
		var bit uint64
		switch string(k) {
		case "owner":
			bit, e.Owner = 1<<0, r.node(node)
		case "from":
			bit, e.From = 1<<1, string(r.text())
		case "epoch":
			bit, e.Epoch = 1<<2, r.uint64()
		case "why":
			bit, e.Why = 1<<3, string(r.text())
		case "parties":
			bit, e.Parties = 1<<4, r.parties()
		case "proposals":
			bit, e.Proposals = 1<<5, r.proposals()
		}
		r.once(&seen, bit)
	}
	return e
}

func (r *reader) legSilent() (e LegSilent) {
	var seen uint64
	for k, ok := r.key(false); ok; k, ok = r.key(true) {
		var bit uint64
		switch string(k) {
		case "party":
			bit, e.Party = 1<<0, r.int()
		case "media":
			bit, e.Media = 1<<1, r.int()
		case "tag":
			bit, e.Tag = 1<<2, string(r.text())
		case "since":
			bit, e.Since = 1<<3, r.int64()
		case "packets":
			bit, e.Packets = 1<<4, r.uint64()
		}
		r.once(&seen, bit)
	}
	return e
}

func (r *reader) ended() (e Ended) {
	var seen uint64
	for k, ok := r.key(false); ok; k, ok = r.key(true) {
		var bit uint64
		switch string(k) {
		case "reason":
			bit, e.Reason = 1<<0, r.reason()
		case "rtp":
			bit, e.RTP = 1<<1, r.counters()
		case "rtcp":
			bit, e.RTCP = 1<<2, r.counters()
		case "zero_way":
			bit, e.ZeroWay = 1<<3, r.int()
		case "one_way":
			bit, e.OneWay = 1<<4, r.int()
		case "created":
			bit, e.Created = 1<<5, r.int64()
		case "lost":
			bit, e.Lost = 1<<6, r.uint64()
		case "until":
			bit, e.Until = 1<<7, r.int64()
		}
		r.once(&seen, bit)
	}
	return e
}

func (r *reader) reason() Reason {
	switch b := r.text(); Reason(b) {
	case ReasonDeleted:
		return ReasonDeleted
	case ReasonTimeout:
		return ReasonTimeout
	default:
		return Reason(b)
	}
}

func (r *reader) counters() (c Counters) {
	var seen uint64
	for k, ok := r.key(false); ok; k, ok = r.key(true) {
		var bit uint64
		switch string(k) {
		case "packets":
			bit, c.Packets = 1<<0, r.uint64()
		case "bytes":
			bit, c.Bytes = 1<<1, r.uint64()
		case "errors":
			bit, c.Errors = 1<<2, r.uint64()
		}
		r.once(&seen, bit)
	}
	return c
}
