// Package sdp reads session descriptions the way rtpengine does and writes them back line by line.
//
// Parse keeps what it does not know: every attribute stays in its order, with its text as it came, so that a rewriter
// changes only what it has to. It accepts what phones send (LF for CRLF, missing s= or t=, odd origins, any transport and
// media type) and refuses what rtpengine refuses, so that a caller gets the same error for the same body. Attributes
// whose value does not parse are not errors: they become KindUnknown and are carried like any other unknown line.
//
// Two steps, because NG asks for two errors and looks for its loop protection between them:
//
//	s, err := sdp.Parse(body) // ErrSyntax: "Failed to parse SDP"
//	err = s.Check()           // ErrIncomplete: "Incomplete SDP specification"
//
// Parse copies the body once; every string of the result is a part of that copy. Time is linear in the body's length, and
// memory is at most a fixed multiple of it: about 20 bytes for each byte of ever so many empty attributes, 45 for ever so
// many v= blocks. The package is pure: no I/O, clock, randomness, lock or logger. A parsed Session is safe for concurrent
// reading.
package sdp
