// Package report fills the replies of the commands that only look: query, list and statistics, and the part of delete's
// reply that is a query (docs/ng.md, "query, list, statistics"). Keys and types are rtpengine's, since scripts of
// operators read them. What is not measured is not there: a 0 counts something that did not happen, such as a packet that a
// kernel module has forwarded where there is none.
//
// The package is pure: counters come in as values and functions.
package report
