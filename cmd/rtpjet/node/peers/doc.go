// Package peers is a node among the other nodes of its region: a [Membership] keeps this node's lease, knows those of the others, judges
// who is alive, and carries the requests between nodes. It knows of nodes only: whose calls a floating address has at the moment, or
// another region, is for the node to say.
//
// Leases. Each node has one in a bucket of the log, under its id: a record that is only ever changed by compare-and-set. It says where
// the node is reached, what events it writes and reads, and who holds the name. A node claims its lease before anything else, with an
// epoch one above the one that it finds, so that of two processes of one name one finds out.
//
// Heartbeats on two paths. Ten times a second a node tells the others of itself by NATS, and by UDP between media addresses. A node that
// is silent on NATS and heard by UDP relays, and only has lost the log; one that is silent on both is gone. The judgement itself is
// package projection/members.
//
// Fencing. Before a node takes over the calls of one that is gone, it claims that one's lease: the epoch grows, and a process that was
// only asleep or cut off finds another epoch than its own when it comes back, gives up what others have taken, and claims its lease anew.
//
// Requests. The sockets of a call are on the node that owns it, and a command may come to any node. That asks the owner for sockets
// (reserve), gives back what it did not need (release), asks for counters (stats), and sends the owner each new event of a call ahead of
// the log's stream (entry), so that the sockets named in a reply work when the reply arrives.
//
// Locks. One lock guards what a membership knows. It is held for a look or a note, never while the node ([Host]), NATS ([Link]) or a
// socket is called, so methods may be called from anywhere, also from what NATS calls. The UDP sockets have a lock of their own, under
// which the first is never taken.
package peers
