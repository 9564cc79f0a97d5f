// Package lab builds small laboratories on one Linux machine: two network
// namespaces joined by a veth pair, or several on a switch, and in them the servers
// that are compared.
// Debian's rtpengine, Redis, and a built rtpjet start on ports and in directories
// of their own, are ready when they answer a ping, and leave nothing behind.
//
// A Switch has as many namespaces as one likes on a bridge, whose cables can be cut,
// whose processes can be frozen, and of which a Capture tells who spoke; the command
// failover measures with it what calls notice when a node dies. A WAN joins switches
// over long distances, with delay, loss and cuts; the command regions measures with it
// what regions notice of each other.
//
// Namespaces need root; Namespaces and Installed say why something cannot be had,
// so that a test can skip with the reason.
package lab
