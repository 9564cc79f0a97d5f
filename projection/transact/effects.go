package transact

import (
	"errors"
	"net/netip"

	"rtpjet/events"
	"rtpjet/projection"
	"rtpjet/projection/members"
	"rtpjet/relay/plan"
)

// What effects report, beside errors of their own.
var (
	// ErrConflict says that another writer was faster: the call has to catch up, and the decision to be made anew.
	ErrConflict = errors.New("another writer was faster")
	// ErrUncertain says that the log did not answer: the event may be in it or not.
	ErrUncertain = errors.New("the event log does not answer")
	// ErrSilent says that the owner did not answer in time.
	ErrSilent = errors.New("the owner does not answer")
	// ErrNoRoom says that a node takes no further call or has no port left.
	ErrNoRoom = errors.New("the node has no room")
)

// Verdict is what a node thinks of another one.
type Verdict = members.Verdict

// Wish is what a new call asks of the node that gets it.
type Wish = members.Wish

// Entry is one event of the call in the log.
type Entry struct {
	Seq uint64
	events.Envelope
}

// Effects are what a command needs of the node that carries it out, for one call, whose lock is held meanwhile. Each of them
// ends in bounded time: the command's deadline at the latest.
type Effects interface {
	// Now is the time in µs of Unix time.
	Now() int64
	// Call is the state of the call; Append and CatchUp change it.
	Call() *projection.Call

	// Append writes an event after the last one that the call knows of, applies it, and brings the relay in line. Errors
	// match ErrConflict (nothing was written), ErrUncertain, or are final.
	Append(env events.Envelope) error
	// CatchUp applies what the log has of the call beyond what is known.
	CatchUp() error
	// Since reads the call's entries after a sequence from the log.
	Since(after uint64) ([]Entry, error)

	// Judge says how a node is. Await waits until that is known of a node that was silent a moment ago.
	Judge(node string) Verdict
	Await(node string) Verdict
	// Fence claims the lease of a node that is gone, so that it cannot come back unnoticed as the owner of its calls.
	Fence(node string) error
	// Place chooses an owner for a call that has none, by the rules of members.Table.Place; none of those tried. ok is false if
	// nobody has room.
	Place(w Wish) (node string, ok bool)

	// Interfaces returns the media addresses of a node, nil if they are not known.
	Interfaces(node string) *plan.Interfaces
	// Reserve binds sockets on a node: one, or an even port and the next. Errors may match ErrSilent or ErrNoRoom.
	Reserve(node string, bind netip.Addr, n int) ([]netip.AddrPort, error)
	// Release gives back what was reserved for nothing. Hold gives it back once the log has said that no event names it.
	Release(node string, ports []netip.AddrPort)
	Hold(node string, ports []netip.AddrPort)
	// Random returns n bytes for a key, which nobody can guess.
	Random(n int) []byte
	// Stats returns what the sockets of the call have counted, as far as the owner answers.
	Stats() func(netip.AddrPort) (plan.Stats, bool)
}
