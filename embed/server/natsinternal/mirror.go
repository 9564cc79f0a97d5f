package natsinternal

import (
	"unsafe" // and for go:linkname

	"github.com/nats-io/nats-server/v2/server"
)

// A mirror whose source has ended notices by a clock of 10 s, and waits for 10 s more with each attempt that failed, up to two
// minutes. Without what follows a mirror is that far behind after a server with a feed has ended, or after the start of its own
// server; a mirror cannot be updated, so there is no other way to have it ask again.

// A Stream is a stream of an account as the server itself has it: what exists of it on this server.
type Stream struct{ mset unsafe.Pointer }

// lookupStream finds a stream by its name. The exported ways to a stream lead to its description only.
//
//go:linkname lookupStream github.com/nats-io/nats-server/v2/server.(*Account).lookupStream
func lookupStream(a *server.Account, name string) (unsafe.Pointer, error)

// LookupStream finds a stream of an account; an error means that this server has none of that name.
func LookupStream(a *server.Account, name string) (Stream, error) {
	mset, err := lookupStream(a, name)
	return Stream{mset}, err
}

// isStreamLeader tells whether this server leads the stream: only who leads a mirror asks for its source.
//
//go:linkname isStreamLeader github.com/nats-io/nats-server/v2/server.(*stream).IsLeader
func isStreamLeader(mset unsafe.Pointer) bool

// IsLeader tells whether this server leads the stream.
func (s Stream) IsLeader() bool { return isStreamLeader(s.mset) }

// mirrorInfo is read without a request to the server's API, which would go through the leader of each stream each second.
//
//go:linkname mirrorInfo github.com/nats-io/nats-server/v2/server.(*stream).mirrorInfo
func mirrorInfo(mset unsafe.Pointer) *server.StreamSourceInfo

// MirrorInfo is the state of a mirror; nil if the stream is none.
func (s Stream) MirrorInfo() *server.StreamSourceInfo { return mirrorInfo(s.mset) }

// retryMirrorConsumer has a mirror ask for its source anew, at once.
//
//go:linkname retryMirrorConsumer github.com/nats-io/nats-server/v2/server.(*stream).retryMirrorConsumer
func retryMirrorConsumer(mset unsafe.Pointer) error

// RetryMirror has a mirror ask for its source anew.
func (s Stream) RetryMirror() error { return retryMirrorConsumer(s.mset) }

// checkInternalSyncConsumers is what the server itself does when a leaf node has connected: mirrors that have heard nothing for 10 s,
// or listen to nothing, ask at once, unless a question is under way. A feed may begin to listen long after that.
//
//go:linkname checkInternalSyncConsumers github.com/nats-io/nats-server/v2/server.(*Server).checkInternalSyncConsumers
func checkInternalSyncConsumers(s *server.Server, a *server.Account)

// RetryStale has the mirrors of an account ask for their sources anew that the server itself finds stale.
func RetryStale(s *server.Server, a *server.Account) { checkInternalSyncConsumers(s, a) }
