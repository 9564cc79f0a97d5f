package server

import (
	"time"

	"rtpjet/embed/internal/names"
	"rtpjet/embed/server/natsinternal"
)

// A mirror whose feed has ended, with the server that it was in or at the start of its own, would notice late and ask late: see
// natsinternal/mirror.go. So whether mirrors hear something is looked at each second, if there is a feeder, and those that do not are
// told to ask again.

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
		acc, err := ns.LookupAccount(names.RegionAccount(region))
		if err != nil || acc.Interest(names.Feed(region, s.opts.JetStreamDomain)+".CONSUMER.CREATE.x") == 0 {
			continue // nobody would hear the question, and another one can be asked only after its time
		}
		natsinternal.RetryStale(ns, acc)
		for _, name := range names.Mirrored(region) {
			mirror, err := natsinternal.LookupStream(acc, name)
			if err != nil || !mirror.IsLeader() {
				continue
			}
			info := mirror.MirrorInfo()
			// After mirrorStale it is found by the check above, which also knows whether a question is under way.
			if info == nil || info.Active < mirrorSilent || info.Active > mirrorStale || time.Since(s.woken[name]) < mirrorSilent {
				continue
			}
			s.woken[name] = time.Now()
			_ = mirror.RetryMirror() // what goes wrong is tried again
		}
	}
}
