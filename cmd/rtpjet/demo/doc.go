// Package demo is `rtpjet demo`: a cluster of three nodes on this machine, with calls, of which one node is killed. It tells
// what happens while it happens, in words and measured numbers.
//
// The nodes are processes of this very program. They are driven from the outside, by NG over UDP and by RTP, as a SIP proxy and
// phones would; nothing here looks into a node, so what is told is what a proxy and a phone would have seen.
package demo
