package admin

import (
	"rtpjet/projection/members"
	"rtpjet/projection/regions"
)

// Status is what a node says of itself and of its peers.
type Status struct {
	Node       string `json:"node"`
	Epoch      uint64 `json:"epoch"`
	Draining   bool   `json:"draining"`
	Own        int64  `json:"own"`
	Foreign    int64  `json:"foreign"`
	Followed   uint64 `json:"followed"` // sequence up to which every event is known
	Unreadable uint64 `json:"unreadable"`
	Held       int    `json:"held"`     // reservations that the log is still to be asked about
	Unlogged   int64  `json:"unlogged"` // events that took effect and wait for the log
	Writes     int    `json:"writes"`   // the level of events that it writes, see events.Level
	// WritesFor is who reads no higher level than that; empty: the build has no higher one.
	WritesFor string         `json:"writes_for,omitempty"`
	Peers     []members.Peer `json:"peers"`
	Floats    []FloatStatus  `json:"floats,omitempty"`
	// Regions are the other regions, as this node sees them.
	Regions []regions.Status `json:"regions,omitempty"`
	Load    Load             `json:"load"`
}

// Load is how much a node has to do, and how far it is behind.
type Load struct {
	PacketsIn  uint64 `json:"packets_in"` // a second
	PacketsOut uint64 `json:"packets_out"`
	Behind     uint64 `json:"behind"` // events that are in the log and not known yet
	Lag        int64  `json:"lag"`    // how old the first of them is, µs
}

// FloatStatus is how a node sees one float.
type FloatStatus struct {
	Float     string   `json:"float"`
	Addresses []string `json:"addresses,omitempty"`
	Epoch     uint64   `json:"epoch"`
	Holder    string   `json:"holder"`
	Successor string   `json:"successor"`
	Holding   bool     `json:"holding"` // this node holds it
	Warm      bool     `json:"warm"`    // this node has its calls ready
	Moves     string   `json:"moves,omitempty"`
	Calls     int64    `json:"calls"`
	// Why, Silence (µs) and Since (µs of Unix time) are about how this node became the holder.
	Why     string `json:"why,omitempty"`
	Silence int64  `json:"silence,omitempty"`
	Since   int64  `json:"since,omitempty"`
}
