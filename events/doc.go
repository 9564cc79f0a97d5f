// Package events holds the facts of which a call consists. Every change to a call is one Envelope appended to the call's
// subject of the CALLS stream; folding a subject's envelopes in stream order gives the call (package projection).
//
// The package is pure: no I/O, clock, randomness, lock or goroutine. Its values are plain data, safe to share as long as
// nobody changes them.
package events
