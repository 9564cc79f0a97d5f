// Package relay carries RTP and RTCP between the parties of calls. It is told what to do in the words of relay/plan and
// knows nothing of SDP, the NG protocol or the log.
//
// # Contract
//
// The caller reserves sockets (Reserve), puts their addresses into an SDP, and then states for each call the whole set of
// its streams (Set), as often as it changes. Set adopts reserved sockets, binds those that are missing (after a restart or
// a takeover), closes those that are no longer named, and changes the routes of the rest without losing a packet, a
// counter or a learned address. Drop ends a call.
//
// What the engine finds out by itself, the addresses that packets come from, it reports on Learned, so that the caller can
// make events of them.
//
// # Parts
//
// The rules are pure and take the time as an argument: packet.go (what is this packet), latch.go (what does it teach),
// stream.go (where does it go), port.go (which port is next). secure.go joins them with SRTP, of which package srtp has the
// transforms and indices. shard.go strings them together for the streams of one
// thread. The drivers move the bytes: epoll_linux.go with one epoll loop per core, portable.go with a goroutine per socket
// and the standard library only; moderate.go decides when a loop waits a little for more packets. sockets.go is the control
// side, common to both.
//
// # Who owns what
//
// A call belongs to one shard for its life, so the state of its streams, SRTP's included, has a single writer and the packet path takes no
// lock and allocates nothing. The control side talks to a shard in two ways: an immutable route that is replaced whole
// behind an atomic pointer, and an inbox for what only the shard may do, closing a socket above all: a descriptor that
// another thread closed could be another file by the time a packet is sent on it.
//
// Counters are written by the shard alone and may be read by anybody at any time.
package relay
