// Package node tests a whole node over its sockets: commands go in as NG datagrams, media as UDP packets, and a node that
// is killed starts again on what it has left on disk. Some tests run the real binary, others a node in this process whose
// clock and log they can disturb.
//
// Each test keeps to loopback addresses of its own, and nothing waits for an amount of time: that something does not arrive
// is shown by what was sent after it on the same way and does.
package node
