// Package projection is the pure core: it folds events into calls (Apply) and decides which event a command leads to
// (Decide…). It also says which routes a call needs (Routes) and which calls have outlived their timers (Timeout).
//
// The rule of the package: Decide may refuse, Apply may not. Decide works on copies and returns an event or a Refusal;
// Apply takes every event of a call's subject in order, on every node, and ignores what does not fit.
//
// No function here does I/O, reads a clock, draws a random number, locks or logs; times come in as µs of Unix time. A Call
// is not safe for concurrent use.
//
// # Offers and answers
//
// An offer is a proposal (RFC 3264 §8.3.1). Its event has both sides as they will be if it is accepted, and until an answer
// comes the fold keeps it beside what the last answer has settled (proposals.go): sound goes on as before, and the sockets
// of both are open. NG does not say that an offer was refused, so nothing waits for it: the next offer starts from what is
// in force. An answer is decided on the sections of the offer that it answers (answerable.go), so that forks, provisional
// answers and an UPDATE bind no other answer. The sections of both sides pair by position, and each side knows its own
// number and order of them (sections.go). A section that only an offer has brought is in the party already, marked as
// proposed, because its media may come before any answer. While a node of a build before levels of events is in the
// cluster, offers are written as that one reads them, and are in force at once (events.Level).
//
// Offers and answers carry the parties that they changed, whole. Whoever else received from one of the two no longer does; a
// caller may receive from several forks (early media), a fork only from the caller.
//
// # Ports
//
// An offer reserves the sockets of both sides. The sockets towards a party serve one remote address of the other side; when
// that address changes (a moved phone, another branch that answers), the party gets a new pair in the very SDP that tells
// it, and the old pair stays open and comes back when the address does. Port latching keeps one pair. rtcp-mux frees the
// RTCP socket once it is agreed.
//
// # Keys
//
// events.SRTP has the keys of one side of a section: the usable lines that the party sent, those that we sent to it, and the
// one in use each way. An offer changes the lines, and only its answer what is in use, so a re-offer that fails does no
// harm. We offer the sender's own suites with its keys first, then what we offered last time, then all others with keys of
// our own (sdes.go). Whoever answers with a suite that the offerer has too gives its key to it: then both sides have one
// key, and packets pass without being looked at. Where DTLS is offered and no key, security is end to end, and neither
// profile nor lines change. A key that is needed and not usable stops the packets of that direction; nothing leaves in the
// clear instead. A party that sees a section as two (the older form of OSRTP) has the second one in Media.Twin (twins.go).
package projection
