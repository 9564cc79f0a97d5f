package node

import (
	"context"
	"log/slog"
	"net/netip"
	"testing"
	"time"

	"rtpjet/cmd/rtpjet/metrics"
	"rtpjet/cmd/rtpjet/node/regions"
	"rtpjet/cmd/rtpjet/node/unlogged"
	"rtpjet/embed"
	"rtpjet/events"
	"rtpjet/projection"
	"rtpjet/projection/history/historytest"
	adoption "rtpjet/projection/regions"
	"rtpjet/projection/replica"
	"rtpjet/relay"
	"rtpjet/relay/plan"
)

// memoryJournal is a log in memory. Nothing else is asked of it.
type memoryJournal struct {
	Journal
	entries []embed.Entry
	away    bool
}

func (j *memoryJournal) Append(_ context.Context, key string, last uint64, data []byte) (uint64, error) {
	if j.away {
		return 0, embed.ErrUnavailable
	}
	if have, _, _ := j.Since(context.Background(), key, last); len(have) > 0 {
		return 0, embed.ErrConflict
	}
	j.entries = append(j.entries, embed.Entry{Seq: uint64(len(j.entries)) + 1, Key: key, Data: data})
	return uint64(len(j.entries)), nil
}

func (j *memoryJournal) Since(_ context.Context, key string, after uint64) (out []embed.Entry, last uint64, err error) {
	if j.away {
		return nil, 0, embed.ErrUnavailable
	}
	for _, e := range j.entries {
		if e.Key != key {
			continue
		}
		if last = e.Seq; e.Seq > after {
			out = append(out, e)
		}
	}
	return out, last, nil
}

// add appends a call that an owner has, as others have written it.
func (j *memoryJournal) add(t *testing.T, id, owner string) {
	t.Helper()
	s := historytest.New()
	s.Owner = owner
	s.Do("offer", "from-tag", "a", "sdp", historytest.SDP("198.51.100.1", 4000))
	for _, e := range s.History() {
		e.Call = id
		data, err := events.Encode(e.Envelope)
		if err != nil {
			t.Fatal(err)
		}
		j.entries = append(j.entries, embed.Entry{Seq: uint64(len(j.entries)) + 1, Key: events.Key(id), Data: data})
	}
}

// noRelay is an engine that has ports for a call that is taken over, and nothing else.
type noRelay struct {
	relay.Engine
	next uint16
}

func (r *noRelay) Reserve(addr netip.Addr, n int) (out []netip.AddrPort, err error) {
	for range n {
		out = append(out, netip.AddrPortFrom(addr, 30000+r.next))
		r.next++
	}
	return out, nil
}

func (r *noRelay) Set(string, []plan.Stream) error               { return nil }
func (r *noRelay) Drop(string)                                   {}
func (r *noRelay) Release(...netip.AddrPort)                     {}
func (r *noRelay) Stats(netip.AddrPort) (st plan.Stats, ok bool) { return st, false }

// lonelyHost is a node n1 that has a log and no peers, and serves.
func lonelyHost(t *testing.T) (regionHost, *memoryJournal) {
	t.Helper()
	var list []plan.Interface
	for _, a := range historytest.New().Res.Interfaces {
		list = append(list, plan.Interface{Name: a.Interface, Addr: a.Bind, Advertised: a.Advertised, Ports: plan.PortRange{Min: 30000, Max: 39999}})
	}
	table, err := plan.NewInterfaces(list, nil)
	if err != nil {
		t.Fatal(err)
	}
	n := &Node{id: "n1", log: slog.New(slog.DiscardHandler), clock: time.Now, engine: &noRelay{}, counters: metrics.NewCounters()}
	codec, err := newCodec(n.log, nil)
	if err != nil {
		t.Fatal(err)
	}
	n.unlogged = unlogged.New(n.log)
	j := &memoryJournal{}
	n.journal = &eventLog{Journal: j, codec: codec, clock: n.clock, counters: n.counters, unlogged: n.unlogged}
	n.owners = &owners{self: "n1", interfaces: table}
	n.capacity.most, n.capacity.tally = -1, &n.tally
	n.calls = newCalls(n)
	n.tally = tally{node: n.id, log: n.log, owners: n.owners, counters: n.counters, relaying: &n.calls.relaying}
	return regionHost{n}, j
}

// A look without the log tells what the node has heard of a call, and one with it what there is.
func TestRegionHostLook(t *testing.T) {
	h, j := lonelyHost(t)
	j.add(t, "call", "n1")
	key := events.Key("call")
	if c := h.Call(key); c != (regions.Call{}) {
		t.Errorf("nothing is read: %+v", c)
	}
	j.away = true
	if c, err := h.Look(t.Context(), key); c.Known || err == nil {
		t.Errorf("the log is away: %+v, %v", c, err)
	}
	j.away = false
	if c, err := h.Look(t.Context(), key); !c.Known || !c.Live || err != nil {
		t.Errorf("%+v, %v", c, err)
	}
	if c := h.Call(key); !c.Known || !c.Live || c.First != 1 {
		t.Errorf("%+v", c)
	}
	j.away = true // a call that lives is not asked for
	if c, err := h.Look(t.Context(), key); !c.Live || err != nil {
		t.Errorf("%+v, %v", c, err)
	}
	if c, err := h.Look(t.Context(), events.Key("nobody's")); c.Known || err == nil {
		t.Errorf("%+v, %v", c, err)
	}
	if e := h.n.calls.lookup(events.Key("nobody's")); e != nil {
		t.Error("a call that nobody has stays in memory")
	}
}

// A call of this node is ended if the driver still wants that once it is locked; one of another node is not.
func TestRegionHostEnd(t *testing.T) {
	h, j := lonelyHost(t)
	end := events.Ended{Reason: events.ReasonAdopted}
	for id, owner := range map[string]string{"mine": "n1", "later": "n1", "colleague's": "n2"} {
		j.add(t, id, owner)
		if _, err := h.Look(t.Context(), events.Key(id)); err != nil {
			t.Fatal(err)
		}
	}
	lives := func(id string) bool { return h.Call(events.Key(id)).Live }
	yes := func(*projection.Call) bool { return true }
	h.End(t.Context(), events.Key("nobody's"), end, yes)
	h.End(t.Context(), events.Key("colleague's"), end, yes)
	h.End(t.Context(), events.Key("mine"), end, func(c *projection.Call) bool { return c.ID != "mine" })
	if !lives("mine") || !lives("later") || !lives("colleague's") {
		t.Error("a call is ended that was not meant")
	}
	j.away = true
	if left := h.EndAll(t.Context(), end, func(c *projection.Call) bool { return c.ID == "mine" }); left != 1 || !lives("mine") {
		t.Errorf("%d left without the log", left)
	}
	j.away = false
	if left := h.EndAll(t.Context(), end, func(c *projection.Call) bool { return c.ID == "mine" }); left != 0 || lives("mine") || !lives("later") {
		t.Errorf("%d left", left)
	}
	h.End(t.Context(), events.Key("later"), end, yes)
	if lives("later") {
		t.Error("the call lives yet")
	}
	env, err := events.Decode(j.entries[len(j.entries)-1].Data)
	if ended, ok := env.Event.(events.Ended); err != nil || !ok || ended.Reason != events.ReasonAdopted || env.Node != "n1" {
		t.Errorf("%+v, %v", env, err)
	}
}

// A call is imported and given an owner in one go, under its lock, by the last word of the log.
func TestRegionHostAdopt(t *testing.T) {
	h, j := lonelyHost(t)
	key := events.Key("call")
	var asked []adoption.Move
	next := func(c *projection.Call) (adoption.Move, error) {
		if h.n.calls.lookup(key).mu.TryLock() {
			t.Error("the call is not locked")
		}
		move := adoption.Next(c.Gen, c.Live(), c.Owner, c.EndedAt, 0)
		if asked = append(asked, move); move == adoption.Import {
			j.add(t, "call", "us/n9")
		}
		return move, nil
	}
	if err := h.Adopt(t.Context(), key, "region us adopted", next); err != nil {
		t.Fatal(err)
	}
	if len(asked) != 3 || asked[0] != adoption.Import || asked[1] != adoption.Rehome || asked[2] != adoption.Settled {
		t.Errorf("asked %v", asked)
	}
	env, err := events.Decode(j.entries[len(j.entries)-1].Data)
	if taken, ok := env.Event.(events.TakenOver); err != nil || !ok || taken.Owner != "n1" || taken.From != "us/n9" || taken.Why != "region us adopted" {
		t.Errorf("%+v, %v", env, err)
	}
	turns := 0
	err = h.Adopt(t.Context(), events.Key("other"), "", func(*projection.Call) (adoption.Move, error) {
		turns++
		return adoption.Import, embed.ErrConflict
	})
	if turns != 6 || err == nil {
		t.Errorf("%v after %d turns in which others were faster", err, turns)
	}
	j.away = true
	if err := h.Adopt(t.Context(), key, "", next); err == nil || len(asked) != 3 {
		t.Errorf("without the log: %v, and asked %v", err, asked)
	}
}

// What the backlog has of a call is known before it is folded: where it begins.
func TestRegionHostBacklog(t *testing.T) {
	h, _ := lonelyHost(t)
	h.n.calls.collect(events.Key("call"), replica.Entry{Seq: 7})
	if c := h.Call(events.Key("call")); !c.Known || c.Live || c.First != 7 {
		t.Errorf("%+v", c)
	}
}
