// Package rewrite turns an offer or an answer into a decision and an SDP for the other side: it describes the received SDP
// for the projection (Describe), has the projection decide, and writes the SDP that goes out (Render). It is pure; sockets
// come in through projection.Resources.
package rewrite
