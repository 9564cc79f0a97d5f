// Package events holds the facts of which a call consists. Every change to a call is one Envelope appended to the call's
// subject of the CALLS stream; folding a subject's envelopes in stream order gives the call (package projection).
//
// The package is pure: no I/O, clock, randomness, lock or goroutine. Its values are plain data, safe to share as long as
// nobody changes them.
//
// # An entry
//
// An entry is one line of JSON with the facts, followed by the bytes of the NG request and of the reply; codec.go has the
// layout. Strings of phones need not be UTF-8: such an entry says "latin1":true and maps each byte to the rune of its value.
// Secrets are sealed (seal.go). docs/events.md is the contract with applications that read the stream.
//
// "ended" closes a generation of a call; another offer under the same call-id begins the next one. An unknown kind is
// counted by the reader and left alone, and so is an entry that cannot be read. What a build before this one would read
// wrongly is written only when all nodes can read it (level.go).
package events

//go:generate go run rtpjet/tools/gencodec
