package peers

import (
	"context"
	"encoding/binary"
	"time"

	"rtpjet/cmd/rtpjet/admin"
	"rtpjet/embed"
)

// Event is an event of a call on its way to the nodes that carry the call, ahead of the log's stream.
type Event struct {
	Key  string // of the call
	Prev uint64 // sequence of the event before it
	Seq  uint64
	Data []byte // as it stands in the log
}

// Carriers are the nodes that an event concerns, by name; empty: there is none.
type Carriers struct {
	Now    string // carries the call
	Before string // did before the event
	Next   string // has to when Now is gone
}

// nudgeTime is how long an owner may take to put an event into effect before the reply leaves all the same.
const nudgeTime = 100 * time.Millisecond

// Nudge sends an event to the node that carries its call, so that it takes effect at once and not when the stream brings it, and waits
// until it has: the reply that leaves next names sockets that have to work. The carrier before, if there was another one, has to
// let go. A carrier that does not answer gets the event from the stream. callID is for the log of this node.
func (m *Membership) Nudge(ctx context.Context, to Carriers, callID string, e Event) {
	ctx, cancel := context.WithTimeout(ctx, nudgeTime)
	defer cancel()
	// Whoever is to follow the carrier has to know the event when that one dies the moment after.
	if to.Next != "" && to.Next != m.id {
		_ = m.link.Publish(admin.Tokens(to.Next, verbEntry), e.encode())
	}
	if to.Before != "" && to.Before != to.Now && to.Before != m.id {
		_ = m.link.Publish(admin.Tokens(to.Before, verbEntry), e.encode())
	}
	if to.Now == "" || to.Now == m.id {
		return
	}
	if _, err := m.link.Request(ctx, admin.Tokens(to.Now, verbEntry), e.encode()); err != nil {
		m.log.Debug("the owner of a call has to wait for an event", "call-id", callID, "owner", to.Now, "seq", e.Seq, "err", err)
	}
}

func (m *Membership) serveEntry(msg embed.Msg) {
	e, ok := decodeEvent(msg.Data)
	if !ok {
		return
	}
	switch await, ok := m.host.Deliver(e); {
	case !ok:
	case await == nil:
		_ = msg.Respond(nil)
	default:
		m.awaits.Go(func() { await(); _ = msg.Respond(nil) })
	}
}

// encode puts the numbers and the key before the event's bytes.
func (e *Event) encode() []byte {
	b := make([]byte, 0, len(e.Key)+len(e.Data)+3*binary.MaxVarintLen64)
	b = binary.AppendUvarint(b, e.Prev)
	b = binary.AppendUvarint(b, e.Seq)
	b = binary.AppendUvarint(b, uint64(len(e.Key)))
	b = append(b, e.Key...)
	return append(b, e.Data...)
}

func decodeEvent(b []byte) (e Event, ok bool) {
	var nums [3]uint64
	for i := range nums {
		v, n := binary.Uvarint(b)
		if n <= 0 {
			return Event{}, false
		}
		nums[i], b = v, b[n:]
	}
	if nums[2] > uint64(len(b)) {
		return Event{}, false
	}
	return Event{Prev: nums[0], Seq: nums[1], Key: string(b[:nums[2]]), Data: b[nums[2]:]}, true
}
