// Package replica is what a node knows of one call beside its fold: how much of it the log has and what waits for the log, what
// may be done while the log does not answer, what time demands of it, and which sockets are held for decisions of which nobody
// knows yet whether they are in the log.
//
// A [Replica] is used by whoever holds the call, one at a time. It has no clock, lock, goroutine or I/O: time is an argument, what
// becomes of a call comes back as a [Change], and what it takes to reach the log is behind [Effects]. Thus tests/sim runs many
// nodes on it in one thread from one seed, and cmd/rtpjet/node runs the same.
//
// # Events without the log
//
// With --log-loss=serve an event of a call whose sockets this node has takes effect although the log does not answer, and waits.
// The replica then has the call twice: as the log has it, to which entries of the log apply, and as it is served, which is the
// former with the waiting events under sequences of their own above it. An entry of the log that is equal to a waiting event, byte
// by byte, is that event: the answer to its append was lost. After any other entry the call is folded anew; waiting events that
// do not fit on it are dropped, since another writer has taken the call over, ended it or begun it anew, and the log has the last
// word. Events are published in their order, each with the sequence of the one before it as the expectation.
package replica
