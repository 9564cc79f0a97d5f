// Package exchanges tests whole calls by scripts: who offers and answers what, and who hears whom then. A real rtpjet relays between
// UDP sockets that stand for phones; one process serves all scripts, at the same time.
//
//	go test ./tests/exchanges                              all scripts
//	go test ./tests/exchanges -run TestExchanges/t38-refused    one of them
//	go test ./tests/exchanges -rtpjet=PATH                 another program than that of this source
//
// # Scripts
//
// A file of testdata has scripts about one subject. Each begins with its name and with what makes it right:
//
//	call fax-refused
//	right: RFC 3264 §8.3.1, §4: an offer that is refused changes nothing.
//	a offers b: audio a1
//	b answers a: audio b1
//	a1 <-> b1
//	b offers a: image b2
//	a1 <-> b1
//
// Who offers and answers are parties; their names are the tags. A phone is named by the host that it is on and a number: a1 and a2 are two
// ports of one host, x1 is on another. It is bound when it is first named.
//
// Commands, each of which has to succeed unless the next line says otherwise:
//
//	a offers b KEY=VALUE …: SECTION; …     an offer; it has a to-tag if b was heard of before. With b,c both get the same SDP
//	b answers a KEY=VALUE …: SECTION; …    an answer of b to a
//	delete KEY=VALUE …                     by default delete-delay=0; the script's end deletes what is left
//	do COMMAND KEY=VALUE …                 any other command
//	refused TEXT                           the command before is refused with a reason that contains TEXT
//	warned                                 the reply before has a warning: something that was asked for is not done
//	gone                                   the relay does not know the call any more
//
// KEY=VALUE is a key of the NG dictionary; [x y] is a list, a number an integer, "x y" a string. Words in quotes without a key are
// lines of the SDP's session.
//
// A section is its type, a phone or "off" (port 0), and then, all optional: formats as 0,8,101; a direction; an attribute in quotes;
// at=ADDRESS for another address in c=; key=NAME for SRTP with a key that belongs to the name (RTP/SAVP, SDES); proto=PROTOCOL;
// rtcp-mux. The dynamic payload types always mean the same, see maps in script_linux_test.go.
//
//	b sees SECTION; …     what the last SDP for b had: so many sections, of these types, off or not, and with the formats, the direction
//	                      and the attributes that are given. "!a=x": no line that begins so. same, moved: the relay's port is the one that
//	                      b was told for this section before, or another. on=NAME: the address is of that interface.
//
// Sound. A phone sends to where the last completed exchange between the two phones told it to, and if there is none to what its party
// was told last; a phone that is in no SDP sends to the port that others use towards the same phone. It has to be heard from the address that the other one sends to.
//
//	a1 -> b1         b1 hears a1: one of at most thirty packets arrives, and nothing that must not
//	a1 <-> b1        both directions
//	a1 ~> b1, <~>    the same for RTCP, one packet
//	a1 -/> b1 N      a1 sends N packets that nobody may hear; what follows on the same way shows it
//	a1 -?> b1 N      a1 sends N packets that may be heard or not, as what comes late from a port that was left
//	a1 falls silent  nothing that is sent to anybody from here on may reach a1
package exchanges
