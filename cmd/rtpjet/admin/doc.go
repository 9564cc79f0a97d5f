// Package admin has the words between operators and nodes: what can be asked of a node over NATS, what it answers, and what
// follows from the answers of all nodes of a region.
//
// A request goes to the subject rtpjet.<region>.node.<id>.<verb>, and is JSON, as is its answer. [Handlers] are a node's side;
// the functions that take a [Link] are that of whoever asks: a command line, or the web page of another node. A node that is
// gone answers nothing, so each request has a bound.
//
// Builds of rtpjet share a cluster with the next one: fields are added, and none gets another meaning.
package admin
