package metrics

import (
	"net/netip"
	"time"

	"rtpjet/ngserver"
	"rtpjet/ngserver/report"
	"rtpjet/relay"
)

// Snapshot is the state of a node at one moment.
type Snapshot struct {
	Build Build
	// Ready is what /readyz says. Running is false while the node starts: then only this and Build are known.
	Ready, Running bool
	Draining       bool

	Report report.Snapshot // what the command statistics answers
	NG     ngserver.Stats
	Relay  relay.Totals
	Calls  Calls
	Pools  []Pool
	Log    Log
	Floats []Float
	Leases []Lease
	Peers  []Peer
	// Regions are the other regions.
	Regions []Region
}

// Build says what runs.
type Build struct{ Version, Revision, Go string }

// Calls are the live calls that the node knows of, by what owns them and by who carries them.
type Calls struct{ NodeHere, NodeElsewhere, FloatHere, FloatElsewhere int64 }

// Add counts one call.
func (c *Calls) Add(float, here bool) {
	switch {
	case float && here:
		c.FloatHere++
	case float:
		c.FloatElsewhere++
	case here:
		c.NodeHere++
	default:
		c.NodeElsewhere++
	}
}

// Here and Elsewhere are the sums of both kinds.
func (c Calls) Here() int64      { return c.NodeHere + c.FloatHere }
func (c Calls) Elsewhere() int64 { return c.NodeElsewhere + c.FloatElsewhere }

// Pool is the port pool of one address.
type Pool struct {
	Addr                netip.Addr
	Float               string // its id, if the address floats
	Used, Free, Resting int
}

// Log is how the node stands to the event log.
type Log struct {
	// Reachable is false if the log did not answer just now; then Head, and with it the lag, is not known.
	Reachable bool
	Head      uint64
	Followed  uint64
	Lag       time.Duration // the age of the first entry that was not followed yet
	Away      time.Duration // since when commands have found that it does not answer; 0: it does

	Unlogged   int64  // events that took effect and wait for it
	Held       int64  // reservations of ports that it is still to be asked about
	Unreadable uint64 // events that this build cannot read
	Unopened   uint64 // events with secrets that could not be opened
	Archiving  bool
}

// Float is one floating address.
type Float struct {
	ID        string
	Held      bool // by this node
	Warm      bool // its calls are ready here
	HasHolder bool
	Epoch     uint64
	Calls     int64
}

// Lease is what the bucket of leases says of a node.
type Lease struct {
	Node  string
	State string
	Epoch uint64
	Age   time.Duration // since it was claimed, or changed
}

// Peer is another node, by its heartbeats.
type Peer struct {
	Node      string
	Verdict   string
	NATS, UDP time.Duration // since it was heard there; negative: it never was
	Skew      time.Duration // its clock minus ours
	Calls     int64
}

// Region is another region, as the node sees it.
type Region struct {
	Name  string
	State string
	Age   time.Duration // of the mirror; negative: it was never complete
	Lag   uint64        // entries
	RTT   time.Duration // of the last greeting; 0: there was none
	Skew  time.Duration // its clock minus ours
	Calls int           // live in its mirror
	Cuts  int           // since the node began
}
