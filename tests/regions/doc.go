// Package regions tests regions that are joined: real processes on loopback addresses, and between them proxies of the tests that
// delay, hold back and cut what goes from one region to another.
//
// Most are laboratories (lab.Only), which RTPJET_LAB=1 has run.
//
// Nothing waits for an amount of time, and no test fails because of a speed: the processes may run on a machine that does
// something else. RTPJET_REGIONS_LOGS is a folder for the logs of tests that fail, RTPJET_REGIONS_BUILD adds options to the
// build of the program (-race).
package regions
