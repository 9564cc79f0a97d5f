package replay

import (
	"net/netip"

	"rtpjet/events"
	"rtpjet/projection"
	"rtpjet/projection/members"
	"rtpjet/projection/transact"
	"rtpjet/relay/plan"
)

// Shadow carries out a command on a call as it was at a time, to see what would have come out: nothing is written, and
// nobody is asked. The zero value of each field stands for nothing; Call must not be nil.
type Shadow struct {
	Time  int64 // µs of Unix time
	State *projection.Call
	Log   func(after uint64) []transact.Entry // what the log had of the call
	Owner string                              // of a new call
	// InterfacesOf gives the addresses of an owner, Sockets and Bytes what it would have given.
	InterfacesOf func(owner string) *plan.Interfaces
	Sockets      func(bind netip.Addr, n int) ([]netip.AddrPort, error)
	Bytes        func(n int) []byte
	Counted      func(netip.AddrPort) (plan.Stats, bool)
	// Wrote is what would have been appended.
	Wrote []events.Envelope
}

var _ transact.Effects = (*Shadow)(nil)

// Now implements [transact.Effects].
func (s *Shadow) Now() int64 { return s.Time }

// Call implements [transact.Effects].
func (s *Shadow) Call() *projection.Call { return s.State }

// CatchUp implements [transact.Effects].
func (s *Shadow) CatchUp() error { return nil }

// Append implements [transact.Effects].
func (s *Shadow) Append(env events.Envelope) error {
	s.Wrote = append(s.Wrote, env)
	return nil
}

// Since implements [transact.Effects].
func (s *Shadow) Since(after uint64) ([]transact.Entry, error) {
	if s.Log == nil {
		return nil, nil
	}
	return s.Log(after), nil
}

// Judge implements [transact.Effects]: every owner lives. One that was gone had an event of its own.
func (s *Shadow) Judge(string) transact.Verdict { return members.Alive }

// Await implements [transact.Effects].
func (s *Shadow) Await(string) transact.Verdict { return members.Alive }

// Fence implements [transact.Effects].
func (s *Shadow) Fence(string) error { return nil }

// Place implements [transact.Effects].
func (s *Shadow) Place(transact.Wish) (string, bool) { return s.Owner, true }

// Interfaces implements [transact.Effects].
func (s *Shadow) Interfaces(owner string) *plan.Interfaces {
	if s.InterfacesOf == nil {
		return nil
	}
	return s.InterfacesOf(owner)
}

// Reserve implements [transact.Effects].
func (s *Shadow) Reserve(_ string, bind netip.Addr, n int) ([]netip.AddrPort, error) {
	return s.Sockets(bind, n)
}

// Release implements [transact.Effects].
func (s *Shadow) Release(string, []netip.AddrPort) {}

// Hold implements [transact.Effects].
func (s *Shadow) Hold(string, []netip.AddrPort) {}

// Random implements [transact.Effects].
func (s *Shadow) Random(n int) []byte {
	if s.Bytes == nil {
		return make([]byte, n)
	}
	return s.Bytes(n)
}

// Stats implements [transact.Effects].
func (s *Shadow) Stats() func(netip.AddrPort) (plan.Stats, bool) {
	if s.Counted == nil {
		return func(netip.AddrPort) (plan.Stats, bool) { return plan.Stats{}, false }
	}
	return s.Counted
}
