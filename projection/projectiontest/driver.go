package projectiontest

import (
	"fmt"
	"net/netip"
	"slices"

	"rtpjet/events"
	"rtpjet/ngserver/ng"
	"rtpjet/ngserver/rewrite"
	"rtpjet/projection"
	"rtpjet/relay/plan"
)

// Start is the time at which a Driver begins, in µs of Unix time.
const Start = 1_000_000_000_000_000

// Driver plays commands against one call-id as a node does: decide, append, apply what the log gives back.
type Driver struct {
	Call projection.Call
	Log  []events.Envelope // entry i has the sequence i+1
	Res  *Resources
	Set  rewrite.Settings
	Now  int64
	// DeleteDelay is the configured delay of delete, in seconds.
	DeleteDelay int
}

// NewDriver returns a Driver for a call that does not exist yet.
func NewDriver() *Driver {
	return &Driver{
		Res: New(), Now: Start, DeleteDelay: 30,
		Set: rewrite.Settings{Node: "n1", InstanceID: "0123456789ab", Level: events.Level},
	}
}

// Request makes a request with the call-id "call" from keys and values in turn; values are what a Dict holds.
func Request(command string, keysAndValues ...any) (*ng.Request, error) {
	d := (&ng.Dict{}).Add("command", command).Add("call-id", "call")
	for i := 0; i+1 < len(keysAndValues); i += 2 {
		v := keysAndValues[i+1]
		if n, ok := v.(int); ok {
			v = int64(n) // as a decoder gives it
		}
		d.Add(keysAndValues[i].(string), v)
	}
	return ng.Parse(d)
}

// Do carries out a command. The text is the SDP of an offer or answer. Nothing changes if there is an error.
func (d *Driver) Do(req *ng.Request) (string, error) {
	switch req.Info().Action {
	case ng.ActionSignal:
		out, err := rewrite.Signal(&d.Call, req, req.Command == ng.CommandAnswer, d.Set, d.Res, d.Now)
		if err != nil {
			return "", err
		}
		d.Append(out.Event)
		return string(out.SDP), nil
	case ng.ActionDelete:
		d.Append(projection.DecideDelete(&d.Call, req, d.DeleteDelay, d.Now))
		return "", nil
	default: // a block, or what is refused like one
	}
	ev, err := projection.DecideBlock(&d.Call, req, d.Now)
	if err == nil {
		d.Append(ev)
	}
	return "", err
}

// Append writes an event to the log and applies it; nil does nothing.
func (d *Driver) Append(ev events.Event) {
	if ev == nil {
		return
	}
	gen := d.Call.Gen
	if !d.Call.Live() {
		gen++
	}
	data, err := events.Encode(events.Envelope{Call: "call", Gen: gen, Node: d.Set.Node, At: d.Now, Event: ev})
	if err != nil {
		panic(err)
	}
	e, err := events.Decode(data)
	if err != nil {
		panic(err)
	}
	d.Log = append(d.Log, e)
	d.Call.Apply(uint64(len(d.Log)), e)
}

// Replay folds the log into a new call.
func (d *Driver) Replay() *projection.Call {
	c := &projection.Call{}
	for i, e := range d.Log {
		c.Apply(uint64(i+1), e)
	}
	return c
}

// Check returns what is wrong with a call, nil if it keeps the rules that hold for every call: a socket belongs to one
// section only and was given out, peers are there, the routes name every socket once and send to sockets of the call.
func Check(c *projection.Call, res *Resources) error {
	seen := map[netip.AddrPort]bool{}
	for _, a := range c.Locals() {
		if seen[a] {
			return fmt.Errorf("socket %s has two uses", a)
		}
		seen[a] = true
		if !slices.Contains(res.Reserved, a) {
			return fmt.Errorf("nobody reserved socket %s", a)
		}
	}
	for i, p := range c.Parties {
		switch {
		case p == nil:
		case p.ID != i:
			return fmt.Errorf("party %d has the id %d", i, p.ID)
		case slices.ContainsFunc(p.Peers, func(id int) bool { return c.Party(id) == nil }):
			return fmt.Errorf("party %d hears %v, of whom one is not there", i, p.Peers)
		case slices.Contains(p.Peers, i):
			return fmt.Errorf("party %d hears itself", i)
		}
	}
	routes := c.Routes(projection.RouteDefaults{}, 0)
	if len(routes) != len(seen) {
		return fmt.Errorf("%d routes for %d sockets", len(routes), len(seen))
	}
	routed := map[netip.AddrPort]bool{}
	byLocal := map[netip.AddrPort]plan.Stream{}
	for _, s := range routes {
		byLocal[s.Local] = s
	}
	for _, s := range routes {
		if !seen[s.Local] || routed[s.Local] {
			return fmt.Errorf("route of %s, which is no socket or has one already", s.Local)
		}
		routed[s.Local] = true
		if err := checkKeys(s, byLocal); err != nil {
			return err
		}
		for _, to := range slices.Concat(s.RTPSinks, s.RTCPSinks) {
			if !seen[to] || to == s.Local {
				return fmt.Errorf("%s sends to %s", s.Local, to)
			}
		}
	}
	return nil
}

// checkKeys returns what is wrong with the keys of a stream: what is not decrypted has to be for an end that can read it.
func checkKeys(s plan.Stream, byLocal map[netip.AddrPort]plan.Stream) error {
	for _, p := range [...]*plan.SRTP{s.Decrypt, s.Encrypt} {
		if p == nil {
			continue
		}
		if suite, _ := projection.LookupSuite(p.Suite); len(p.Key) != suite.Key || len(p.Salt) != suite.Salt {
			return fmt.Errorf("%s has a key of %d and a salt of %d bytes for %q", s.Local, len(p.Key), len(p.Salt), p.Suite)
		}
	}
	for _, to := range slices.Concat(s.RTPSinks, s.RTCPSinks) {
		if s.Decrypt != nil && byLocal[to].Encrypt == nil && byLocal[to].Decrypt != nil && byLocal[to].Signalled.IsValid() {
			return fmt.Errorf("%s is decrypted and leaves %s in the clear, where the party encrypts", s.Local, to)
		}
	}
	return nil
}
