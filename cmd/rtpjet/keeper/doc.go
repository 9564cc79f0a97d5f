// Package keeper is the process beside a node that decides, with those of the other nodes, who holds each floating address
// (package floats), puts the addresses on this machine (package netaddr), and says until when the node may relay on them.
//
// It is a process of its own, of the same program, so that nothing that the node does can hold it up: not the load of its
// calls, its log or its collector. It has one thread that matters, of real-time priority where that is allowed, one loop, and
// no lock. And it outlives the node for as long as it takes to give the addresses to others: the end of a node, however it
// comes, is the end of a socket here.
//
// Node and keeper speak over a pair of sockets, in the messages of wire.go. The node says who the nodes are and where, that it
// lives, and which floats have all their calls ready; the keeper reports how the floats stand. What the packets of the relay
// must obey is in memory that both share: one number for each float, the time until which it may be relayed. So a takeover
// does not wait for the node: its sockets are open, the number is written, the address is added, and packets flow.
//
// The node has the other half of each fence. It looks at the number for each packet, by a clock, so a frozen node forwards
// nothing when it is thawed. If the keeper dies the kernel marks that memory before anybody can know of it
// (life_linux.go); the kernel drops the addresses after two to three seconds.
//
// No event is written when a float moves: its calls name the float as their owner, and another node carries them. The bucket
// of leases has a record of each float for people and for nodes that start; nobody waits for it.
package keeper
