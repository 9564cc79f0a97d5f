// Package server is the NATS server in this process: JetStream on the disk of one node, alone, in a cluster with the servers of other
// nodes, and joined with those of other regions. Clients of it, in this process and elsewhere, are what package embed is for.
//
//	Start       claims the data directory, checks ports and keys, and returns when the server takes writes
//	Connect     leads to the server without a socket
//	Healthy     tells why it takes no writes; a store that was full is opened anew by itself
//	Servers     counts those of the cluster
//	RegionLink  tells whether another region is connected, and what is known of why not
//
// What it does about other regions: each is an account of its own in which this server is a leaf node of theirs (region.go), the
// mirrors of their streams are there, and a feed for each mirror reads the stream at home (feed.go). What the server's log lines say
// about connections is said again in sentences for an operator (regionlog.go, refusals.go).
//
// All that reaches into the server beyond what it exports is in natsinternal.
package server
