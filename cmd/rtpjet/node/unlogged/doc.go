// Package unlogged keeps the events that a node has served without the log (--log-loss=serve) until the log has them: how many wait of
// which call, in memory, and a copy of them in a file, so that they outlive the process.
//
// What waits of a call is in the call itself (package projection/replica), which also decides what becomes of it. This package counts,
// bounds and remembers.
package unlogged
