package node

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"rtpjet/cmd/rtpjet/admin"
	"rtpjet/embed"
	"rtpjet/events"
	"rtpjet/projection/replica"
	"rtpjet/projection/transact"
	"rtpjet/relay/plan"
)

// What nodes ask of each other, beside for a sign of life (embed.HelloTokens), and what operators ask (package admin): subjects
// rtpjet.<region>.node.<id>.<verb>.
const (
	verbReserve = "reserve" // ports for a call of yours
	verbRelease = "release" // they were not needed
	verbStats   = "stats"   // what sockets have counted
	verbEntry   = "entry"   // an event of a call of yours, straight from its writer
)

// reserveRequest asks for sockets.
type reserveRequest struct {
	Key   string     `json:"key"`             // of the call
	Owner string     `json:"owner,omitempty"` // of the call, if it is a float
	Bind  netip.Addr `json:"bind"`
	Num   int        `json:"num"`
	New   bool       `json:"new,omitempty"` // for a call that does not exist yet
}

type reserveReply struct {
	Ports  []netip.AddrPort `json:"ports,omitempty"`
	NoRoom bool             `json:"no_room,omitempty"`
	Moved  bool             `json:"moved,omitempty"` // the float is not here
	Error  string           `json:"error,omitempty"`
}

type portsRequest struct {
	Key   string           `json:"key,omitempty"` // of the call
	Ports []netip.AddrPort `json:"ports"`
}

type statsReply struct {
	Stats []admin.SocketStats `json:"stats"`
}

// nudge is an event on its way to the owner of a call, ahead of the stream.
type nudge struct {
	Key  string
	Prev uint64 // sequence of the entry before it
	Seq  uint64
	Data []byte
	call string // for the log of this node
}

// grantTime is how long a peer may take from a reservation to its event: longer than any command. After it, the log is asked.
const grantTime = CommandBudget + 500*time.Millisecond

// serve answers the requests of peers until ctx ends.
func (c *cluster) serve(ctx context.Context) error {
	own := func(verb string) string { return admin.Tokens(c.n.id, verb) }
	served := map[string]func(embed.Msg){
		embed.HelloTokens(c.n.id): func(m embed.Msg) { _ = m.Respond([]byte(c.n.id)) },
		own(verbReserve):          c.serveReserve,
		own(verbRelease):          c.serveRelease,
		own(verbStats):            c.serveStats,
		own(verbEntry):            c.serveEntry,
	}
	var undo []func()
	defer func() {
		for _, f := range undo {
			f()
		}
	}()
	for tokens, f := range served {
		un, err := c.link.Subscribe(tokens, f)
		if err != nil {
			return fmt.Errorf("cannot listen for the requests of peers: %w", err)
		}
		undo = append(undo, un)
	}
	stop, err := admin.Listen(ctx, c.link, c.n.id, operators{c})
	if err != nil {
		return fmt.Errorf("cannot listen for the requests of operators: %w", err)
	}
	defer stop()
	close(c.listening)
	<-ctx.Done()
	return nil
}

// ask sends a request to a peer and decodes its reply. Errors match transact.ErrSilent if it does not answer.
func (c *cluster) ask(ctx context.Context, id, verb string, in, out any) error {
	data, err := json.Marshal(in)
	if err != nil {
		return fmt.Errorf("ask %s: %w", id, err)
	}
	reply, err := c.link.Request(ctx, admin.Tokens(id, verb), data)
	if err != nil {
		c.absent(id)
		return fmt.Errorf("ask %s: %w: %w", id, transact.ErrSilent, err)
	}
	if err := json.Unmarshal(reply, out); err != nil {
		return fmt.Errorf("ask %s: %w", id, err)
	}
	return nil
}

// ping asks a node for a sign of life.
func (c *cluster) ping(ctx context.Context, id string, patience time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	_, err := c.link.Request(ctx, embed.HelloTokens(id), nil)
	return err
}

// hello is ping for the peer that is an owner of calls, or holds the float that is one, and notes its absence.
func (c *cluster) hello(ctx context.Context, id string) error {
	if id = c.n.owners.carrier(id); id == "" {
		return transact.ErrSilent
	}
	err := c.ping(ctx, id, helloTime)
	if err != nil {
		c.absent(id)
	}
	return err
}

func respond(m embed.Msg, v any) {
	data, err := json.Marshal(v)
	if err != nil {
		return
	}
	_ = m.Respond(data) // who asked gives up by himself
}

func (c *cluster) reserve(ctx context.Context, id string, req reserveRequest) ([]netip.AddrPort, error) {
	var r reserveReply
	if err := c.ask(ctx, id, verbReserve, req, &r); err != nil {
		return nil, err
	}
	switch {
	case r.Moved:
		return nil, transact.ErrSilent
	case r.NoRoom:
		return nil, transact.ErrNoRoom
	case r.Error != "":
		return nil, errors.New(r.Error)
	case len(r.Ports) != req.Num:
		return nil, fmt.Errorf("node %s gave %d ports instead of %d", id, len(r.Ports), req.Num)
	}
	return r.Ports, nil
}

func (c *cluster) serveReserve(m embed.Msg) {
	var req reserveRequest
	if err := json.Unmarshal(m.Data, &req); err != nil {
		respond(m, reserveReply{Error: err.Error()})
		return
	}
	o := c.n.owners.of(req.Owner)
	float := o.Kind == events.OwnerFloat
	if req.New && (!c.n.takesNew() || !float && c.young()) {
		respond(m, reserveReply{NoRoom: true})
		return
	}
	if float && !(o.carries() && o.settled()) { // who asks tries again
		respond(m, reserveReply{Moved: true})
		return
	}
	ports, err := c.n.engine.Reserve(req.Bind, req.Num)
	if err != nil {
		respond(m, reserveReply{Error: err.Error(), NoRoom: req.New})
		return
	}
	c.n.uncertain.add(req.Key, ports, c.n.now()+grantTime.Microseconds())
	respond(m, reserveReply{Ports: ports})
}

func (c *cluster) release(id, key string, ports []netip.AddrPort) {
	c.tell(id, verbRelease, portsRequest{Key: key, Ports: ports}) // if it is lost, the owner asks the log after a while
}

func (c *cluster) serveRelease(m embed.Msg) {
	var req portsRequest
	if json.Unmarshal(m.Data, &req) == nil {
		c.n.engine.Release(c.n.uncertain.remove(req.Key, req.Ports)...)
	}
}

// tell sends a message that nobody answers.
func (c *cluster) tell(id, verb string, v any) {
	data, err := json.Marshal(v)
	if err == nil {
		_ = c.link.Publish(admin.Tokens(id, verb), data)
	}
}

func (c *cluster) stats(ctx context.Context, id string, locals []netip.AddrPort) (map[netip.AddrPort]plan.Stats, error) {
	var r statsReply
	if err := c.ask(ctx, id, verbStats, portsRequest{Ports: locals}, &r); err != nil {
		return nil, err
	}
	out := make(map[netip.AddrPort]plan.Stats, len(r.Stats))
	for _, s := range r.Stats {
		out[s.Local] = s.Stats
	}
	return out, nil
}

func (c *cluster) serveStats(m embed.Msg) {
	var req portsRequest
	if json.Unmarshal(m.Data, &req) != nil {
		return
	}
	var r statsReply
	for _, local := range req.Ports {
		if st, ok := c.n.engine.Stats(local); ok {
			r.Stats = append(r.Stats, admin.SocketStats{Local: local, Stats: st})
		}
	}
	respond(m, r)
}

// nudge sends an event to the owner of its call, so that it takes effect at once and not when the stream brings it, and waits
// until it has: the reply that leaves next names sockets that have to work. The owner before, if there was another one, has to
// let go. An owner that does not answer gets the event from the stream.
func (c *cluster) nudge(ctx context.Context, was, is string, e nudge) {
	ctx, cancel := context.WithTimeout(ctx, nudgeTime)
	defer cancel()
	// Whoever is to follow the owner has to know the event when the owner dies the moment after.
	if next := c.n.owners.successor(is); next != "" && next != c.n.id {
		_ = c.link.Publish(admin.Tokens(next, verbEntry), e.encode())
	}
	was, is = c.n.owners.carrier(was), c.n.owners.carrier(is)
	if was != "" && was != is && was != c.n.id {
		_ = c.link.Publish(admin.Tokens(was, verbEntry), e.encode())
	}
	if is == "" || is == c.n.id {
		return
	}
	if _, err := c.link.Request(ctx, admin.Tokens(is, verbEntry), e.encode()); err != nil {
		c.log.Debug("the owner of a call has to wait for an event", "call-id", e.call, "owner", is, "seq", e.Seq, "err", err)
	}
}

// nudgeTime is how long an owner may take to put an event into effect before the reply leaves all the same.
const nudgeTime = 100 * time.Millisecond

// encode puts the numbers and the key before the entry's bytes.
func (e *nudge) encode() []byte {
	b := make([]byte, 0, len(e.Key)+len(e.Data)+3*binary.MaxVarintLen64)
	b = binary.AppendUvarint(b, e.Prev)
	b = binary.AppendUvarint(b, e.Seq)
	b = binary.AppendUvarint(b, uint64(len(e.Key)))
	b = append(b, e.Key...)
	return append(b, e.Data...)
}

func decodeNudge(b []byte) (e nudge, ok bool) {
	var nums [3]uint64
	for i := range nums {
		v, n := binary.Uvarint(b)
		if n <= 0 {
			return nudge{}, false
		}
		nums[i], b = v, b[n:]
	}
	if nums[2] > uint64(len(b)) {
		return nudge{}, false
	}
	return nudge{Prev: nums[0], Seq: nums[1], Key: string(b[:nums[2]]), Data: b[nums[2]:]}, true
}

func (c *cluster) serveEntry(m embed.Msg) {
	e, ok := decodeNudge(m.Data)
	if !ok || !c.n.relaying.Load() {
		return
	}
	calls := c.n.calls
	if calls.deliver(e.Key, replica.Entry{Seq: e.Seq, Data: e.Data, Prev: e.Prev, Early: true}) {
		_ = m.Respond(nil)
		return
	}
	go func() { // a command is at work on the call; it folds the event before it lets go
		if held := calls.acquire(e.Key, false); held != nil {
			calls.release(held)
		}
		_ = m.Respond(nil)
	}()
}
