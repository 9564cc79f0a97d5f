// Package node is one running relay: it answers NG commands, for whatever call and wherever that call's owner is, folds the event log,
// and keeps the relay's sockets in line with what it has folded.
//
// A command goes from top to bottom: received (package ngserver), sent to the region that has its call or decided here (package
// projection/transact on the call of a [replica.Replica]), appended to the log, folded, put into effect in the relay, and answered.
// What others write comes by the log, or straight from its writer, and is folded by whoever holds the call.
//
// Beside the commands, a node sweeps its calls for timers once a second, makes events of what its relay reports, and publishes what
// it served while the log was away.
//
// Tests beside it run a whole node over its sockets: commands go in as NG datagrams, media as UDP packets. Some run the real binary,
// others a node in their process whose clock and log they can disturb. Each keeps to loopback addresses of its own, and nothing
// waits for an amount of time: that something does not arrive is shown by what was sent after it on the same way and does.
package node
