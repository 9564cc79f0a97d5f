package replica_test

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"rtpjet/events"
	"rtpjet/projection"
	"rtpjet/projection/replica"
	"rtpjet/projection/transact"
)

// begin is the time at which a log begins, in µs of Unix time.
const begin = 1_000_000_000_000_000

// fakeLog is the log of one call, which others write to, too.
type fakeLog struct {
	entries []replica.Entry
	gone    int // entries that were retired
	// mute: no answer comes, and nothing is stored. deaf: what is stored is not answered.
	mute, deaf bool
}

func (l *fakeLog) last() uint64 {
	if l.gone == len(l.entries) {
		return 0
	}
	return uint64(len(l.entries))
}

func (l *fakeLog) since(after uint64) []replica.Entry {
	return slices.Clone(l.entries[max(l.gone, min(int(after), len(l.entries))):])
}

func (l *fakeLog) append(last uint64, data []byte) (uint64, error) {
	if last != l.last() {
		return 0, transact.ErrConflict
	}
	l.entries = append(l.entries, replica.Entry{Seq: uint64(len(l.entries)) + 1, Data: data, Prev: last})
	return uint64(len(l.entries)), nil
}

// fakeNode is a node with one replica.
type fakeNode struct {
	replica.Replica
	core    replica.Node
	log     *fakeLog
	now     int64
	carries string // the owner whose sockets it has
	full    bool   // no more events can wait

	unattended bool
	file       [][]byte // events that wait
	free       []netip.AddrPort
	lost       bool
	published  [][]byte
	dropped    [][]byte
}

func newFakeNode(l *fakeLog) *fakeNode {
	n := &fakeNode{log: l, now: begin, carries: "n1"}
	n.core = replica.Node{
		Carries: func(owner string) bool { return owner == n.carries }, KeepEnded: 60e6, OrphanTimeout: 60e6, LegSilence: 10e6,
		Timeouts: projection.Timeouts{Media: 30e6, Silent: 3600e6, Offer: 3600e6},
	}
	n.Replica = replica.New(&n.core)
	return n
}

var _ replica.Effects = (*fakeNode)(nil)

func (n *fakeNode) Now() int64                                  { return n.now }
func (n *fakeNode) Encode(env events.Envelope) ([]byte, error)  { return events.Encode(env) }
func (n *fakeNode) Decode(data []byte) (events.Envelope, error) { return events.Decode(data) }
func (n *fakeNode) Unattended() bool                            { return n.unattended }

func (n *fakeNode) Store(last uint64, data []byte, _ bool) (uint64, error) {
	if n.log.mute {
		return 0, transact.ErrUncertain
	}
	seq, err := n.log.append(last, data)
	if n.log.deaf {
		return 0, transact.ErrUncertain
	}
	return seq, err
}

func (n *fakeNode) Read(after uint64, _ bool) ([]replica.Entry, uint64, error) {
	if n.log.mute || n.log.deaf {
		return nil, 0, transact.ErrUncertain
	}
	return n.log.since(after), n.log.last(), nil
}

func (n *fakeNode) Wait(data []byte) bool {
	if n.full {
		return false
	}
	n.file = append(n.file, data)
	return true
}

func (n *fakeNode) Fold(in replica.Entry) {
	if !n.Takes(in) {
		return
	}
	env, err := events.Decode(in.Data)
	if err != nil {
		n.Took(events.Envelope{}, n.Unreadable(in.Seq))
		return
	}
	n.Took(env, n.Replica.Fold(in.Seq, env, in.Data, true))
}

func (n *fakeNode) Took(_ events.Envelope, ch replica.Change) {
	n.free, n.lost = append(n.free, ch.Free...), n.lost || ch.Lost
	for _, ev := range ch.Published {
		n.published, n.file = append(n.published, ev.Data), n.file[1:]
	}
	for _, ev := range ch.Dropped {
		n.dropped, n.file = append(n.dropped, ev.Data), n.file[1:]
	}
}

// act has the node write an event.
func (n *fakeNode) act(ev events.Event) (replica.Stored, error) {
	gen := n.Call.Gen
	if offered, ok := ev.(events.Offered); ok && offered.Owner != "" {
		gen++
	}
	n.now++
	return n.Append(n, events.Envelope{Call: "call", Gen: gen, Node: "n1", At: n.now, Event: ev})
}

// other has another node write an event, which knows all of the log.
func (n *fakeNode) other(ev events.Event) {
	c := fold(n.log.entries)
	gen := c.Gen
	if offered, ok := ev.(events.Offered); ok && offered.Owner != "" {
		gen++
	}
	n.now++
	data, err := events.Encode(events.Envelope{Call: "call", Gen: gen, Node: "n2", At: n.now, Event: ev})
	if err == nil {
		_, err = n.log.append(n.log.last(), data)
	}
	if err != nil {
		panic(err)
	}
}

// fold is the call by the log alone.
func fold(entries []replica.Entry) *projection.Call {
	var c projection.Call
	for _, in := range entries {
		env, err := events.Decode(in.Data)
		if err != nil {
			c.Seq = in.Seq
			continue
		}
		c.ID = env.Call
		c.Apply(in.Seq, env)
	}
	return &c
}

// waits are the events that wait, by their bytes.
func (n *fakeNode) waits() (list [][]byte) {
	out, err := n.Since(n, n.Logged().Seq)
	if err != nil && !errors.Is(err, transact.ErrUncertain) {
		panic(err)
	}
	for _, e := range out {
		if data := slices.IndexFunc(n.file, func(d []byte) bool { env, _ := events.Decode(d); return env.At == e.At }); data >= 0 {
			list = append(list, n.file[data])
		}
	}
	return list
}

// offered begins a call of an owner, with sockets from a port on.
func offered(owner string, port uint16) events.Event {
	ev := events.Offered{Signalling: events.Signalling{Owner: owner, From: 0, To: 1}}
	for i := range 2 {
		ev.Parties = append(ev.Parties, party(i, port+uint16(2*i)))
	}
	return ev
}

func party(id int, port uint16) events.Party {
	local := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, 1}), port)
	return events.Party{
		ID: id, Tag: string(rune('a' + id)), Peers: []int{1 - id},
		Medias: []events.Media{{Type: "audio", Protocol: "RTP/AVP", Local: events.Ports{RTP: local}}},
	}
}

// moved changes the sockets of the second party.
func moved(port uint16) events.Event {
	return events.Answered{Signalling: events.Signalling{From: 1, To: 0, Parties: []events.Party{party(1, port)}}}
}

func blocked(on bool) events.Event { return events.MediaBlocked{Media: &on} }

// contains tells whether a list has the bytes.
func contains(list [][]byte, data []byte) bool {
	return slices.ContainsFunc(list, func(d []byte) bool { return bytes.Equal(d, data) })
}

// kind names an event by its bytes.
func kind(data []byte) string {
	env, err := events.Decode(data)
	if err != nil {
		return "unreadable"
	}
	return fmt.Sprintf("%s/%d", events.KindOf(env.Event), env.Gen)
}
