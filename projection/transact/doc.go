// Package transact carries one NG command through decide, append, apply, reply (docs/decisions/03-commands.md),
// whichever node it reached and whichever owns the call. It is the part of a node in which ownership, fencing and
// repetition are decided, and it is free of sockets, clocks, locks and goroutines: all effects are behind [Effects], so
// that tests/sim can run many nodes on one thread from one seed.
//
// A command that the log has already gets its reply from there: the same offer or answer again, byte for byte, with no other
// signalling in between, whatever its cookie is; and any of the last four commands of a call under its old cookie, at every
// node, unless the reply names the sockets of an owner before. An offer with force-increment-sdp-ver is exempt: it counts
// messages.
//
// A call names its owner and its epoch, which counts the owners. A call whose owner is gone is taken over before the command
// is decided: the owner's lease is claimed first, then events.TakenOver is appended, compare-and-set like all else, so a late
// owner's append fails. That is the fence; the fold also refuses an epoch that is not the next one. An offer or an answer
// at a node that is not the owner asks the owner for a sign of life first: heartbeats are a moment old, and an SDP with the
// ports of a process that was killed since would be answered well and heard by nobody.
package transact
