// Package replay takes histories of calls to where no cluster is. A [Bundle] is the history of one call in a file, with or without
// its secrets; [Redact] takes them out and puts others in their places, so that all decisions come out as they did; and [Rerun]
// puts the recorded requests through this build's code, with the ports, random bytes, times and owners that were given out then,
// and says what comes out otherwise.
//
// All of it is pure: it reads no clock, no file and no network.
package replay
