// Package floats decides which node of a cluster holds each floating address: a media address that moves to another node with
// all its calls. It is pure: messages and times go in, times are µs of the node's own clock, which does not jump; what is to
// be done comes out as the state of each float.
//
// Nodes send each other pulses, some hundred a second, on two paths: UDP between media addresses, and NATS. A pulse says which
// pulses of the others its sender has heard, and for each float by whose claim it stands (epoch and holder). No log is written
// on the way: an election of the log's leader takes longer than a listener may notice.
//
// # Who may hold a float
//
// A node that stands by a claim promises to stand by no other one before it has not heard the claimant's process for Silence.
// So a claimant by whose claim a majority of the voters stands, its own vote among them, may hold the float until the moment
// when it sent the newest pulse that such a majority has heard, plus Hold. Hold is shorter than Silence, so its authority is
// over before the first of them may change its mind, whatever is lost or late, as long as clocks run equally fast within a
// few per cent. Two majorities share a voter, hence nobody else can have authority meanwhile. The relay checks the time with
// each packet: a frozen process sends nothing when it is thawed.
//
// A process is also known to be gone if its machine refuses TCP connections to the port where it listened: its death is known
// within a millisecond. One that starts stands by nobody's claim before it has run for twice Silence, because the process
// before it may have promised something. A voter that has been refused for longer than Silence, and still is, does not count.
//
// # Who claims it
//
// A holder names its successor in each pulse, who keeps the calls of the float warm. The successor claims it when the holder is
// silent for Silence or refused, and it hears a majority; if it is not there either, the others follow, each later than the
// one before. A holder that gives a float away (drain, move, its media network alone is cut off) stops, says so in its pulse,
// and its successor claims at once.
//
//	holder           NATS      UDP       what follows
//	killed           refused   refused   the successor holds after about a millisecond
//	frozen, cut off  silent    silent    the holder stops after Hold, the successor holds after Silence
//	cut off NATS     silent    heard     nothing: it relays
//	media cut off    heard     silent    the holder gives its floats away, after Silence
//	all NATS gone    silent    heard     nothing: nobody takes anything over
//	everything cut   silent    silent    who does not hear a majority holds nothing
package floats
