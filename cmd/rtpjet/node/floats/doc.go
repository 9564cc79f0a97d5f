// Package floats is the counterpart of a node's keeper (package keeper): a [Driver] tells that what the node knows, and does in the
// node what it reports. While the keeper decides with those of other nodes who holds a floating address, and puts it on a machine,
// the driver has the sockets of its calls open where it is held and where it may be held next, notes in the bucket of leases who
// holds it, and says of each floating address what commands and timers have to know: see [Float].
//
// It reaches back into the node through [Host] alone, and reads no clock but the one that it is given for the time of day.
package floats
