// Package cluster tests rtpjet as a cluster: real processes that are killed, paused, drained and cut off while calls go on.
// Commands go to any node, resent as Kamailio does, and phones check that they hear each other.
//
// What takes long or a quiet machine is a laboratory (lab.Only), which RTPJET_LAB=1 has run.
//
// Most tests run their nodes on loopback addresses of their own; those that cut networks need root, make a network namespace
// a node, and are skipped without it. Nothing waits for an amount of time, and no test fails because of a speed, except where
// a bound is what is tested. RTPJET_CLUSTER_CALLS raises the number of calls, RTPJET_CLUSTER_BUILD adds options to the build
// of the program (-race), RTPJET_CLUSTER_SEED repeats the choices of a run, RTPJET_CLUSTER_LOGS is a
// folder for the logs of tests that fail.
package cluster
