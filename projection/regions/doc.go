// Package regions says what a region knows of the others, which of them carries a call, and what it takes to make the calls
// of a lost region one's own. It is pure: who asks the other regions, and when, is the business of cmd/rtpjet/node/regions.
//
// A call has a home, the region whose stream has its events. A command that arrives elsewhere is carried out by the home, by
// one request there ([Decide]); while no node of the home answers, it is answered from the mirror, as far as that goes.
//
// Each node greets the nodes of each other region about once a second ([Hello]). What it hears makes a [Link]: whether the
// region is up, cut off or refused, and how old the mirror is. Age counts from the last greeting after whose answer the mirror
// had all that the answering node knew.
//
// Adoption moves the calls of a region that is lost into the stream of another one:
//
//	who asks      needs                                             writes
//	the adopter   the region is cut off here                        -
//	each other    does not hear the region, and has promised it     its record of the region: promised to the adopter,
//	              to nobody else                                    at once and compare-and-set
//	the adopter   the promise of all others, or of those that the   its record of the region: adopted, up to a sequence of
//	              operator has not excepted                         the mirror; then each call, see [Adopted] and [Next]
//	the adopter   all calls                                         its record: up to where its stream has them
//
// The lost region that comes back is told by the first greeting of a region that has such a record, and before it answers any
// command, if one of them can be reached. It ends all calls of the generation that began up to that sequence, as soon as the
// adopter has all of them and its mirror of the adopter shows them: a command finds them there. Until it is told, both may have the call: nobody can stop a region that he cannot reach. The calls of a region
// have the addresses of its own nodes, so two regions never have the same sockets.
package regions
