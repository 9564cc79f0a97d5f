// Package peers holds the tests of rtpjet against programs that others wrote:
// SIPp phones calling each other through Kamailio, rtpengine's own command
// line client, and the npm package that jambonz uses. OpenSIPS is played by the
// test.
//
// The same calls go through one node and through a cluster of three: behind a
// balancer that sends each datagram to a random node, and with all nodes known
// to the proxy. Nodes are killed while calls are up. A cluster with a floating
// address, each node in a network namespace, is what TestKamailioFloat is about:
// it runs the files of examples/high-availability.
//
// Most tests of clusters are laboratories (lab.Only): RTPJET_LAB=1 has them run.
//
// A test skips, and says why, where its peer is not installed. With CI=true in
// the environment it fails instead, so that a green run has seen every peer.
//
// RTPJET_TEST_SERVER chooses the relay under test:
//
//	(unset)     rtpjet, built from this tree
//	rtpengine   Debian's rtpengine: checks the tests themselves, clusters aside
//	/a/path     an rtpjet binary
//
// All traffic stays on 127.0.0.1, or within namespaces.
package peers
