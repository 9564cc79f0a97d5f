package relay

import "sync/atomic"

// generation is what the routes of a call that one plan has made share, if the call is on a floating address.
//
// A call that waits for its address is told again and again what its owner has found out. As long as no packet has gone by
// its routes, it has no state of its own, and each plan begins SRTP anew from what that plan knows. Once one has, the state of
// SRTP is newer than any plan and goes on. The first packet and a Set may come at the same moment, and half a call under new
// state and half under old would use an index twice: so the shard takes a generation before it goes by one of its routes, and
// the control side puts the next one in its place only if that has not happened, both with one compare-and-swap. Neither
// waits for the other.
type generation struct{ state atomic.Uint32 }

const (
	generationWaits uint32 = iota // no packet has gone by its routes
	generationTaken               // one has, or is about to: this generation stays for the life of the call
	generationPast                // another one is in its place: no packet ever goes by its routes
)

// take is for the shard; false if it has to go by the next generation.
func (g *generation) take() bool {
	return g.state.Load() == generationTaken || g.state.CompareAndSwap(generationWaits, generationTaken)
}

// replace is for the control side; false if the generation stays.
func (g *generation) replace() bool { return g.state.CompareAndSwap(generationWaits, generationPast) }

// waits is true if nothing has taken g yet.
func (g *generation) waits() bool { return g.state.Load() == generationWaits }

// take returns the route to go by, which is r unless a newer plan came before any packet. It is nil if that plan does not have
// the stream.
func (r *route) take() *route {
	for r != nil && r.gen != nil && !r.gen.take() {
		r = r.next
	}
	return r
}
