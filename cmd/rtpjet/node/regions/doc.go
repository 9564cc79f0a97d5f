// Package regions is what a node does with other regions; what there is to decide about them is projection/regions. A [Driver] greets
// them, follows their mirrors, has commands carried out where their call lives, and adopts the calls of a region that is lost.
//
// # Greetings
//
// Once a second the driver greets each other region and notes what is answered: the identity of the region, in the bucket of leases,
// when it is heard for the first time; the level of events that it reads; and whether it has adopted calls of this one, which are
// then ended here, as soon as the mirror of the adopter shows them. A mirror that may have entries of another region is made anew by
// the node that archives.
//
// # Mirrors
//
// The mirror of a region is a stream of this one. The driver reads it into an index of the calls that live there, a hundred bytes
// each, and folds a call when somebody asks for it. The node that archives removes from it what is over.
//
// # Commands
//
// [Driver.Forward] has the home of a call carry a command out, by one request. If no node there answers, what only looks is answered
// from the mirror, and what changes the call without sockets is appended to the home's stream, if that can be reached. [Driver.TakeCommands]
// is the other end of that. If nobody here knows the call, all regions that can be reached are asked: what began there a moment ago is not in
// the mirror yet.
//
// # Adoption
//
// [Driver.Adopt] asks all other regions for their promise, notes in the bucket of leases that the region is taken, which fences it,
// and writes the calls of its mirror into the stream here, each with all its events at once, before it gives them an owner here. It may be
// repeated, and one that was broken off is brought to its end by the node that archives.
//
// # Locks
//
// peer.adopting is taken before all others. Driver.mu and peer.mu are never held at the same time, nor those of two peers, and while one
// of them is held nothing is asked of the host, the log or the leases. The host calls the functions that it is given under the lock
// of a call; they may take peer.mu or Driver.mu, and ask nothing of the host. An index has a lock of its own, under which no other one is taken.
//
// The driver reaches back into the node through [Host] alone.
package regions
