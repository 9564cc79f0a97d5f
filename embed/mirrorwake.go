package embed

import (
	"time"
	"unsafe" // and for go:linkname

	"github.com/nats-io/nats-server/v2/server"
)

// A mirror whose feed has ended, with the server that it was in or at the start of its own, notices by a clock of 10 s and
// waits for 10 s more with each attempt that failed, up to two minutes. So whether mirrors hear something is looked at each
// second, if there is a feeder, and those that do not are told to ask again. That is within the server's package:
// neither an option nor the API does it, and a mirror cannot be updated. TestMirrorWake fails if these are not what they were.

//go:linkname checkInternalSyncConsumers github.com/nats-io/nats-server/v2/server.(*Server).checkInternalSyncConsumers
func checkInternalSyncConsumers(s *server.Server, a *server.Account)

//go:linkname lookupStream github.com/nats-io/nats-server/v2/server.(*Account).lookupStream
func lookupStream(a *server.Account, name string) (unsafe.Pointer, error)

//go:linkname mirrorInfo github.com/nats-io/nats-server/v2/server.(*stream).mirrorInfo
func mirrorInfo(mset unsafe.Pointer) *server.StreamSourceInfo

//go:linkname isStreamLeader github.com/nats-io/nats-server/v2/server.(*stream).IsLeader
func isStreamLeader(mset unsafe.Pointer) bool

//go:linkname retryMirrorConsumer github.com/nats-io/nats-server/v2/server.(*stream).retryMirrorConsumer
func retryMirrorConsumer(mset unsafe.Pointer) error

// mirrorSilent is how long a mirror hears nothing before it asks again. A feed sends it a sign of life each second.
// mirrorStale is when the server finds so itself.
const (
	mirrorSilent = 3 * time.Second
	mirrorStale  = 10 * time.Second
)

// wakeMirrors is called by watch only. It has mirrors ask again that hear nothing although there is a feeder.
func (s *Server) wakeMirrors() {
	ns := s.current()
	if ns == nil || len(s.peers) == 0 {
		return
	}
	for _, region := range s.peers {
		acc, err := ns.LookupAccount(regionAccount(region))
		if err != nil || acc.Interest(feedPrefix(region, s.opts.JetStreamDomain)+".CONSUMER.CREATE.x") == 0 {
			continue // nobody would hear the question, and another one can be asked only after its time
		}
		checkInternalSyncConsumers(ns, acc)
		for _, name := range mirrorStreams(region) {
			mset, err := lookupStream(acc, name)
			if err != nil || !isStreamLeader(mset) {
				continue
			}
			info := mirrorInfo(mset)
			// After mirrorStale it is found by the check above, which also knows whether a question is under way.
			if info == nil || info.Active < mirrorSilent || info.Active > mirrorStale || time.Since(s.woken[name]) < mirrorSilent {
				continue
			}
			s.woken[name] = time.Now()
			_ = retryMirrorConsumer(mset) // what goes wrong is tried again
		}
	}
}
