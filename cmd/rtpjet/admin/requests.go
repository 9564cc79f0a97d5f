package admin

import (
	"net/netip"
	"time"

	"rtpjet/projection"
	"rtpjet/relay/plan"
)

// Verbs of operators.
const (
	VerbStatus   = "status"   // how are you
	VerbWhy      = "why"      // what keeps a call of yours
	VerbDrain    = "drain"    // take no new calls, or do again
	VerbTakeover = "takeover" // take over the calls of a node
	VerbMove     = "move"     // give a float to another node
	VerbAdopt    = "adopt"    // make the calls of a lost region this one's
	VerbForget   = "forget"   // forget a region
)

// Tokens are the end of the subject of a request to a node.
func Tokens(node, verb string) string { return "node." + node + "." + verb }

// DrainRequest switches draining on or off. With Stop the process ends when it has no more calls, or after Deadline.
type DrainRequest struct {
	On       bool          `json:"on"`
	Move     bool          `json:"move,omitempty"` // its floats move to other nodes now
	Stop     bool          `json:"stop,omitempty"`
	Deadline time.Duration `json:"deadline,omitempty"` // ns; 0: none
}

// TakeoverRequest asks a node to take over all calls of another one.
type TakeoverRequest struct {
	Node  string `json:"node"`
	Force bool   `json:"force,omitempty"` // although it is alive
}

// MoveRequest asks the holder of a float to give it to another node.
type MoveRequest struct {
	Float string `json:"float"` // its id
	To    string `json:"to"`    // empty: the node with the least to do
}

// AdoptRequest asks a node to make the calls of a region this one's.
type AdoptRequest struct {
	Region string `json:"region"`
	// Without are regions whose promise is not waited for: they are cut off as well, and the operator takes the risk.
	Without []string `json:"without,omitempty"`
}

// ForgetRequest asks a node to forget a region, as if it had never been heard.
type ForgetRequest struct {
	Region string `json:"region"`
}

// Reply answers all of these.
type Reply struct {
	Error string `json:"error,omitempty"` // a sentence for the operator; empty: it is done
	Calls int    `json:"calls"`           // that it was about
	Node  string `json:"node,omitempty"`  // where a float is now
}

// WhyRequest asks the node that carries a call what keeps it.
type WhyRequest struct {
	Key string `json:"key"` // of the call
}

// WhyReply is what the node knows of the call's packets, and its timeouts.
type WhyReply struct {
	Unknown  bool                `json:"unknown,omitempty"` // the node does not know such a live call
	Carried  bool                `json:"carried"`           // here
	Now      int64               `json:"now"`               // µs of Unix time, by the node's clock
	Since    int64               `json:"since,omitempty"`   // the node has had the call's float since then
	Timeouts projection.Timeouts `json:"timeouts"`
	Stats    []SocketStats       `json:"stats"`
}

// SocketStats are what one socket of a call has counted.
type SocketStats struct {
	Local netip.AddrPort `json:"local"`
	plan.Stats
}
