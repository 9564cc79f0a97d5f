// Package transact carries one NG command through decide, append, apply, reply (docs/decisions/03-commands.md),
// whichever node it reached and whichever owns the call. It is the part of a node in which ownership, fencing and
// repetition are decided, and it is free of sockets, clocks, locks and goroutines: all effects are behind [Effects], so
// that tests/sim can run many nodes on one thread from one seed.
package transact
