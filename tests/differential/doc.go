// Package differential tests rtpjet by scripts of NG commands. One set goes to Debian's rtpengine and to rtpjet, and both must
// answer alike; what differs and is to stay is listed in testdata/differences.txt, each entry with its reason. The other set,
// testdata/reference, goes on where that release of rtpengine ends: each command is followed by the reply that rtpengine's
// documentation and docs/ng.md ask for.
//
//	go test ./tests/differential                              rtpjet against the recorded replies, and against rtpengine if installed
//	go test ./tests/differential -run TestRecord -update      record the replies of the installed rtpengine anew
//	go test ./tests/differential -run TestRecord/script/hold -show -v   see what rtpengine answers
//	go test ./tests/differential -run TestDifferential/script/hold      compare some scripts only
//	go test ./tests/differential -run TestRecorded -propose   what is not listed, in the form of differences.txt
//	go test ./tests/differential -run TestReference           rtpjet against the reference
//
// Debian's rtpengine is release 10.5, its documentation and docs/ng.md describe a newer one; where they differ the newer one
// wins, and the difference is listed.
//
// # Scripts
//
// A file of testdata holds SDP templates and scripts. A script is a line "script NAME" and commands:
//
//	script hold
//	> offer from-tag=a @phone
//	> answer from-tag=a to-tag=b @bob(port=5002)
//	> offer from-tag=a to-tag=b flags=["trust address"]
//	v=0
//	…
//	> query
//
// The first word is the command; the others are keys of the NG dictionary. Values are integers (7), strings (word, "two
// words", "0"), lists ([a b]), dictionaries ({strip=[PCMA]}), or keys of an earlier reply of the same server ($1.sdp).
// The call-id is the script's name unless another is given. @NAME(parameter=value …) takes the SDP from a template; lines
// after the command are the SDP, or are added to it. In an SDP (blank) is an empty line, and (noeol) leaves out the line
// end. (key30a) is the base64 of 30 bytes that belong to the name a, an SRTP key. A backslash continues a command on the next line.
//
// Words that begin with % say how to send: %json, %lf (SDP with bare line feeds), %again (the same datagram once more),
// %raw="…" (these bytes after a cookie), %bare="…" (these bytes, and no reply is expected), %no-call-id, %no-command.
// %freed says that ports were given back, which may come again by chance: all are named anew.
//
// # What is compared
//
// Replies are written as lines: a line for each leaf of the dictionary, then the SDP. Ports are named P1, P2, … in the
// order of their first appearance, with P1+1 for the RTCP port that belongs to P1, so that it shows where a port stays,
// moves or comes back. SRTP keys have the names that the scripts give them, and those that a server made up are FRESH
// with the number of the reply that had them first. Times and the counters of the whole process are masked. An SDP is
// brought into the order of docs/ng.md, "SDP that goes out", before it is compared; whether rtpjet keeps to that order
// by itself is checked, too.
package differential
