// Package pages computes what the web page shows: rows of the list of calls and which of them a search finds ([Row]), the state of
// a call at a moment of its history ([NewState]), what an SDP and the one made from it have in common ([CompareSDP]), packet
// rates and loss from two looks at the counters ([Rate]), and what has happened in a cluster between two looks at it ([News]).
//
// It is pure. Nothing that it returns holds a key.
package pages
