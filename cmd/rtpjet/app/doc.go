// Package app wires a node together: options, NATS, the relay, keepers of floating addresses, HTTP, and the node itself.
package app
