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
// # Floating addresses
//
// The address of a pool with Floating may be with another machine. Its sockets are bound all the same, and its streams carry
// packets only until the moment that Permit has named last: at first not at all. A packet that may not be carried is dropped
// and counted as an error, of In where it arrives and of Out where it should leave; it is not opened, teaches nothing and is
// not reported. Nor is a NAT probed. Each packet is held against a clock of its own when it is taken up and once more just
// before it is sent: a process that was stopped and goes on forwards nothing of what it holds, but for one packet a thread if
// it was stopped between that last look and the system call. The clock is the monotonic one: a machine that is suspended, or
// whose clocks a hypervisor stops with it, does not see that time has passed.
//
// So a successor can Set each call as the holder does, as often as the holder's events say, and take over by permitting the
// address and then putting it on a device, however many calls there are. Until a call has carried its first packet it has no
// state, and each plan begins anew with what that plan knows: learned address, rollover counters, SRTCP index. From the first
// packet of any of its streams on, the whole call goes on as any other does, state of SRTP included: what its packets have
// taught is newer than a plan. That also holds when the permission ends and comes back. Who has lost an address for good, because
// another node has carried its calls since, must Drop them, all of them first, before it sets them again: new sockets, which
// nothing waits in, and no state.
//
// The permission is what keeps two nodes from speaking at once, not the address: Linux refuses to send from an IPv4 address
// that the machine does not have, which counts as an error of Out, but sends from any IPv6 address.
//
// # Parts
//
// The rules are pure and take the time as an argument: packet.go (what is this packet), latch.go (what does it teach),
// stream.go (where does it go), port.go (which port is next). secure.go joins them with SRTP, of which package srtp has the
// transforms and indices. shard.go strings them together for the streams of one
// thread. The drivers move the bytes: epoll_linux.go with one epoll loop per core, portable.go with a goroutine per socket
// and the standard library only; moderate.go decides when a loop waits a little for more packets. sockets.go is the control
// side, common to both. permit.go says when a floating address carries packets, generation.go when a call that waits for one
// begins to have state; freebind_linux.go binds to it.
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
