package peers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"rtpjet/cmd/rtpjet/admin"
	"rtpjet/embed"
	"rtpjet/events"
	"rtpjet/projection/transact"
	"rtpjet/relay/plan"
)

// What nodes ask of each other, beside for a sign of life (embed.HelloTokens), and what operators ask (package admin): subjects
// rtpjet.<region>.node.<id>.<verb>.
const (
	verbReserve = "reserve" // sockets for a call of yours
	verbRelease = "release" // they were not needed
	verbStats   = "stats"   // what sockets have counted
	verbEntry   = "entry"   // an event of a call of yours, straight from its writer
)

// ErrMoved means that the calls of a floating address are not carried where somebody thought them.
var ErrMoved = errors.New("the floating address is held elsewhere")

// Reservation asks the node that carries a call for sockets: one, or an even port and the next.
type Reservation struct {
	Key   string     `json:"key"`             // of the call
	Owner string     `json:"owner,omitempty"` // of the call, by its text in events, if it is a floating address
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

// serve answers the requests of peers and operators until ctx ends.
func (m *Membership) serve(ctx context.Context) error {
	own := func(verb string) string { return admin.Tokens(m.id, verb) }
	served := map[string]func(embed.Msg){
		embed.HelloTokens(m.id): func(msg embed.Msg) { _ = msg.Respond([]byte(m.id)) },
		own(verbReserve):        m.serveReserve,
		own(verbRelease):        m.serveRelease,
		own(verbStats):          m.serveStats,
		own(verbEntry):          m.serveEntry,
	}
	var undo []func()
	defer func() {
		for _, f := range undo {
			f()
		}
	}()
	for tokens, f := range served {
		un, err := m.link.Subscribe(tokens, f)
		if err != nil {
			return fmt.Errorf("cannot listen for the requests of peers: %w", err)
		}
		undo = append(undo, un)
	}
	stop, err := admin.Listen(ctx, m.link, m.id, m.cfg.Operators)
	if err != nil {
		return fmt.Errorf("cannot listen for the requests of operators: %w", err)
	}
	defer stop()
	close(m.listening)
	<-ctx.Done()
	return nil
}

// ask sends a request to a peer and decodes its reply. Errors match transact.ErrSilent if it does not answer.
func (m *Membership) ask(ctx context.Context, node, verb string, in, out any) error {
	data, err := json.Marshal(in)
	if err != nil {
		return fmt.Errorf("ask %s: %w", node, err)
	}
	reply, err := m.link.Request(ctx, admin.Tokens(node, verb), data)
	if err != nil {
		m.noteUnanswered(node)
		return fmt.Errorf("ask %s: %w: %w", node, transact.ErrSilent, err)
	}
	if err := json.Unmarshal(reply, out); err != nil {
		return fmt.Errorf("ask %s: %w", node, err)
	}
	return nil
}

// publish sends a message that nobody answers.
func (m *Membership) publish(node, verb string, v any) {
	data, err := json.Marshal(v)
	if err == nil {
		_ = m.link.Publish(admin.Tokens(node, verb), data)
	}
}

// ping asks a node for a sign of life.
func (m *Membership) ping(ctx context.Context, node string, patience time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	_, err := m.link.Request(ctx, embed.HelloTokens(node), nil)
	return err
}

// Hello asks a peer for a sign of life, and notes if there is none in time.
func (m *Membership) Hello(ctx context.Context, node string, patience time.Duration) error {
	err := m.ping(ctx, node, patience)
	if err != nil {
		m.noteUnanswered(node)
	}
	return err
}

// Reserve asks a peer for sockets. Errors match transact.ErrSilent if it does not answer, or does not carry the call, and
// transact.ErrNoRoom if it takes no new call.
func (m *Membership) Reserve(ctx context.Context, node string, want Reservation) ([]netip.AddrPort, error) {
	var r reserveReply
	if err := m.ask(ctx, node, verbReserve, want, &r); err != nil {
		return nil, err
	}
	switch {
	case r.Moved:
		return nil, transact.ErrSilent
	case r.NoRoom:
		return nil, transact.ErrNoRoom
	case r.Error != "":
		return nil, errors.New(r.Error)
	case len(r.Ports) != want.Num:
		return nil, fmt.Errorf("node %s gave %d ports instead of %d", node, len(r.Ports), want.Num)
	}
	return r.Ports, nil
}

func (m *Membership) serveReserve(msg embed.Msg) {
	var r Reservation
	if err := json.Unmarshal(msg.Data, &r); err != nil {
		_ = msg.RespondJSON(reserveReply{Error: err.Error()})
		return
	}
	_ = msg.RespondJSON(m.reserve(r)) // who asked gives up by himself
}

// reserve opens sockets for a peer.
func (m *Membership) reserve(r Reservation) reserveReply {
	float := events.ParseOwner(r.Owner).Kind == events.OwnerFloat // which is no younger than before
	if r.New && (!m.host.Load().takesNew() || !float && m.Recovering()) {
		return reserveReply{NoRoom: true}
	}
	ports, err := m.host.Reserve(r, m.wall()+m.grantTime().Microseconds())
	switch {
	case errors.Is(err, ErrMoved):
		return reserveReply{Moved: true} // who asks tries again
	case err != nil:
		return reserveReply{Error: err.Error(), NoRoom: r.New}
	}
	return reserveReply{Ports: ports}
}

// Release gives back to a peer what it reserved for a call. If that is lost, the peer asks the log after a while.
func (m *Membership) Release(node, key string, ports []netip.AddrPort) {
	m.publish(node, verbRelease, portsRequest{Key: key, Ports: ports})
}

func (m *Membership) serveRelease(msg embed.Msg) {
	var r portsRequest
	if json.Unmarshal(msg.Data, &r) == nil {
		m.host.Release(r.Key, r.Ports)
	}
}

// Stats asks a peer what its sockets have counted; those that are not open there are not in the answer. Errors match
// transact.ErrSilent if it does not answer.
func (m *Membership) Stats(ctx context.Context, node string, locals []netip.AddrPort) (map[netip.AddrPort]plan.Stats, error) {
	var r statsReply
	if err := m.ask(ctx, node, verbStats, portsRequest{Ports: locals}, &r); err != nil {
		return nil, err
	}
	out := make(map[netip.AddrPort]plan.Stats, len(r.Stats))
	for _, s := range r.Stats {
		out[s.Local] = s.Stats
	}
	return out, nil
}

func (m *Membership) serveStats(msg embed.Msg) {
	var req portsRequest
	if json.Unmarshal(msg.Data, &req) != nil {
		return
	}
	var r statsReply
	for _, local := range req.Ports {
		if st, ok := m.host.Stats(local); ok {
			r.Stats = append(r.Stats, admin.SocketStats{Local: local, Stats: st})
		}
	}
	_ = msg.RespondJSON(r)
}
