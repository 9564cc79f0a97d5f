// Package members holds what a node knows of the others of its cluster: who was heard of when and on which path, who takes
// new calls, and who is gone. It is pure: times come in as µs of a clock that does not jump, the same for all methods of one
// [Table].
//
// Liveness has two paths, NATS and UDP straight between the nodes (docs/decisions/05-leases-and-heartbeats.md):
//
//	NATS     UDP       verdict   what follows
//	heard    any       Alive     it is asked for ports
//	silent   heard     Silent    it relays, and cannot be asked: its calls are left alone
//	silent   silent    Gone      after Silence; its calls are taken over as commands touch them
//	silent   refused   Gone      at once: its machine says that nobody listens, and NATS says the same or was silent
//	silent   unheard   Gone      after 5 × Silence, if the two never heard each other by UDP
//
// A node that was asleep itself hears everybody late: its sleep counts for nobody's silence. One that has just found NATS again
// judges nobody before it has listened there for Silence.
//
// A node's lease, node.<id> in the bucket of leases, has an epoch that grows with each new claim, the node's media addresses and
// where it hears heartbeats. Whoever takes over calls of a node that is gone first claims its lease (state lost, the next
// epoch). A node that finds its lease lost claims it anew; one that finds another process in it ends.
//
// What level of events may be written is [Table.Level]: what all nodes read that hold their leases.
//
// Where a new call goes is [Table.Place]: to the nearest zone that has room, and there to whoever has the fewest calls.
package members
