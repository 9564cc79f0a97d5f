// Package embed holds the shared log, as a client of NATS JetStream: the streams and buckets that a region has, and the adapters that
// move bytes and sequence numbers in and out of them. It knows nothing of what the bytes mean.
//
// [Connect] reaches a NATS elsewhere, [ConnectInProcess] one in this process, which package embed/server runs. On the connection of
// either, [Open] makes sure of the region's streams and returns a [Log]:
//
//	Append   adds an entry to a key's subject, if that subject still ends where the caller thinks it does
//	Follow   delivers every entry of the region in order, and says when the backlog is through
//	Since    catches up on one key
//	Keys     tells which keys have entries
//	Archive  copies the live stream into the archive, as long as it runs; of the nodes that call it one does it
//	Retire   removes the entries of an ended call from the live stream, once they are archived
//	Trim     does so for everything before a sequence, at the price of one call
//	History  reads a key's entries back, live or archived
//
// The same connection carries leases (GetLease, PutLease, DeleteLease, FollowLeases) in a bucket of the region, and a bus
// (Publish, Subscribe, Request) of messages that nobody keeps. KeepReplicas puts streams and bucket on more servers as these
// join.
//
// A log of another region ([OpenMirror]) is read from mirrors in one's own region, and appends to it cross.
//
// Every name of a stream, bucket or subject is in internal/names.
package embed
