// Package lab builds small laboratories on one Linux machine: two network
// namespaces joined by a veth pair, and in them the servers that are compared.
// Debian's rtpengine, Redis, and a built rtpjet start on ports and in directories
// of their own, are ready when they answer a ping, and leave nothing behind.
//
// Namespaces need root; Namespaces and Installed say why something cannot be had,
// so that a test can skip with the reason.
package lab
