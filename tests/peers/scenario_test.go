//go:build unix

package peers

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// The SIPp scenarios are put together here from steps, so that each test can
// say in a few words who does what. Alice calls, Bob is called: [service] is his
// name, another one in each test. SIPp fills in what stands in brackets; the keys via, addr, media and moved come from the
// command line (sip_test.go).
//
// A gate writes a line to SIPp's log and then waits for a MESSAGE, which the
// test sends straight to SIPp. So the test knows what each side was told, and
// no side goes on before the test has sent its media.

// steps joins the parts of a scenario.
func steps(parts ...string) string {
	all := join(parts...)
	// SIPp refuses a variable that is set and never used.
	set := regexp.MustCompile(`assign_to="([a-z,]+)"`)
	var names []string
	for _, match := range set.FindAllStringSubmatch(all, -1) {
		names = append(names, strings.Split(match[1], ",")...)
	}
	slices.Sort(names)
	if names = slices.Compact(names); len(names) > 0 {
		all += `<Reference variables="` + strings.Join(names, ",") + `"/>` + "\n"
	}
	return `<?xml version="1.0" encoding="UTF-8"?>` + "\n" + `<scenario name="peers">` + "\n" + all + "</scenario>\n"
}

// join joins parts of a scenario to one.
func join(parts ...string) string { return strings.Join(parts, "\n") }

// send wraps a SIP message. SIPp drops the indentation of the lines itself.
func send(retransmit bool, lines ...string) string {
	attr := ""
	if retransmit {
		attr = again
	}
	return sendWith(attr, lines...)
}

// again has SIPp send a message again until it is answered.
const again = ` retrans="500"`

func sendWith(attrs string, lines ...string) string {
	return "<send" + attrs + "><![CDATA[\n" + strings.Join(lines, "\n") + "\n]]></send>\n"
}

// The transaction of an INVITE has a name, or SIPp takes any answer to an INVITE for the answer to the last one: that to the
// call's first INVITE, sent again because its ACK was slow, would be the one to a re-INVITE. An answer that comes again gets
// its ACK again.

func starts(txn string) string { return fmt.Sprintf(" start_txn=%q%s", txn, again) }

func acks(txn string) string { return fmt.Sprintf(" ack_txn=%q", txn) }

// response waits for a response to the INVITE of a transaction.
func response(txn string, code int, attrs, action string) string {
	if action != "" {
		action = "<action>" + action + "</action>"
	}
	return fmt.Sprintf(`<recv response="%d" response_txn=%q%s>%s</recv>`+"\n", code, txn, attrs, action)
}

const maybe = ` optional="true"`

// transaction is that of the INVITE with this CSeq.
func transaction(cseq int) string { return fmt.Sprint("i", cseq) }

// first is the transaction of the INVITE that sets up a call.
var first = transaction(1)

// body is the end of a message: its SDP, or none.
func body(sdp string) string {
	if sdp == "" {
		return "Content-Length: 0\n"
	}
	return "Content-Type: application/sdp\nContent-Length: [len]\n\n" + sdp
}

// sdp is an audio description; mediaKey names the SIPp key with the port.
func sdp(version int, mediaKey, mode string) string {
	return strings.Join([]string{
		"v=0",
		fmt.Sprintf("o=phone 20 %d IN IP4 [addr]", version),
		"s=-",
		"c=IN IP4 [addr]",
		"t=0 0",
		"m=audio [" + mediaKey + "] RTP/AVP 0 101",
		"a=rtpmap:0 PCMU/8000",
		"a=rtpmap:101 telephone-event/8000",
		"a=fmtp:101 0-15",
		"a=" + mode,
	}, "\n")
}

// learn remembers what the SDP in a received message says.
const learn = `<ereg regexp="c=IN IP4 ([0-9.]+)" search_in="body" check_it="true" assign_to="x,ip"/>
<ereg regexp="m=audio ([0-9]+) " search_in="body" check_it="true" assign_to="x,port"/>
<ereg regexp="a=(sendrecv|sendonly|recvonly|inactive)" search_in="body" check_it="true" assign_to="x,mode"/>
`

func gate(word string) string { return note(word) + `<recv request="MESSAGE"/>` + "\n" }

// note is a gate that is open.
func note(word string) string {
	return fmt.Sprintf(`<nop><action><log message="%s [call_id] [$ip]:[$port] [$mode]"/></action></nop>`+"\n", word)
}

// pause waits for so many ms.
func pause(ms int) string { return fmt.Sprintf("<pause milliseconds=\"%d\"/>\n", ms) }

// Alice's identity, and Bob's.
const (
	alice = "<sip:alice@[remote_ip]:[remote_port]>;tag=a-[pid]-[call_number]"
	bob   = "<sip:[service]@[remote_ip]:[remote_port]>;tag=b-[pid]-[call_number]"
)

// branch is the same for an INVITE, its CANCEL and the ACK of its refusal.
func branch(name string) string { return "branch=z9hG4bK-" + name + "-[pid]-[call_number]" }

// via announces a wrong port, as a phone behind NAT would: that is what makes
// Debian's kamailio.cfg bring in the relay.
func via(name string) string { return "Via: SIP/2.0/UDP [local_ip]:[via];rport;" + branch(name) }

// What Alice does to set up and refuse a call.

func invite() string { return inviteWith(sdp(1, "media", "sendrecv")) }

func inviteWith(sdp string) string {
	return sendWith(starts(first),
		"INVITE sip:[service]@[remote_ip]:[remote_port] SIP/2.0", via("i1"),
		"Max-Forwards: 70", "From: "+alice, "To: <sip:[service]@[remote_ip]:[remote_port]>",
		"Call-ID: [call_id]", "CSeq: 1 INVITE", "Contact: <sip:alice@[local_ip]:[local_port]>",
		body(sdp)) + response(first, 100, maybe, "")
}

// answered waits for the 200 to the first INVITE and acknowledges it.
func answered() string { return answeredWith("") }

func answeredWith(sdp string) string {
	return response(first, 180, maybe, "") +
		response(first, 200, ` rrs="true"`, learn+`<ereg regexp=".*" search_in="hdr" header="To:" assign_to="peer"/>`) +
		aliceSends("ACK", 1, sdp)
}

// early waits for a 183 with SDP.
func early() string {
	return response(first, 183, "", learn)
}

func cancel() string {
	return send(true,
		"CANCEL sip:[service]@[remote_ip]:[remote_port] SIP/2.0", via("i1"),
		"Max-Forwards: 70", "From: "+alice, "To: <sip:[service]@[remote_ip]:[remote_port]>",
		"Call-ID: [call_id]", "CSeq: 1 CANCEL", body("")) +
		`<recv response="200"/>` + refused(487)
}

// refused waits for a final answer other than 200 and acknowledges it.
func refused(code int) string {
	return response(first, 180, maybe, "") + response(first, code, "", "") +
		sendWith(acks(first),
			"ACK sip:[service]@[remote_ip]:[remote_port] SIP/2.0", via("i1"),
			"Max-Forwards: 70", "From: "+alice, "[last_To:]",
			"Call-ID: [call_id]", "CSeq: 1 ACK", body(""))
}

// What either does within the dialog: own is the one who sends.

// inDialog sends a request; an INVITE begins a transaction of its own, and its ACK ends it.
func inDialog(own, name, method string, cseq int, sdp string) string {
	attrs := again
	switch method {
	case "INVITE":
		attrs = starts(transaction(cseq))
	case "ACK":
		attrs = acks(transaction(cseq))
	}
	return sendWith(attrs,
		method+" [next_url] SIP/2.0", via(fmt.Sprint(name, method, cseq)), "[routes]",
		"Max-Forwards: 70", "From: "+own, "To: [$peer]",
		"Call-ID: [call_id]", fmt.Sprintf("CSeq: %d %s", cseq, method),
		"Contact: <sip:"+name+"@[local_ip]:[local_port]>", body(sdp))
}

func aliceSends(method string, cseq int, sdp string) string {
	return inDialog(alice, "alice", method, cseq, sdp)
}

func bobSends(method string, cseq int, sdp string) string {
	return inDialog(bob, "bob", method, cseq, sdp)
}

// reinvite sends an offer within the dialog and takes the answer to it.
func reinvite(by func(string, int, string) string, cseq int, sdp string) string {
	txn := transaction(cseq)
	return by("INVITE", cseq, sdp) + response(txn, 100, maybe, "") + response(txn, 200, "", learn) + by("ACK", cseq, "")
}

func hangUp(by func(string, int, string) string, cseq int) string {
	return by("BYE", cseq, "") + `<recv response="200"/>` + "\n"
}

// What either does with a request.

// respond answers the last request; tag is empty within a dialog.
func respond(status, tag, sdp string) string {
	return send(sdp != "" && strings.HasPrefix(status, "2"),
		"SIP/2.0 "+status, "[last_Via:]", "[last_Record-Route:]", "[last_From:]", "[last_To:]"+tag,
		"[last_Call-ID:]", "[last_CSeq:]", "Contact: <sip:phone@[local_ip]:[local_port]>", body(sdp))
}

const bobTag = ";tag=b-[pid]-[call_number]"

// called waits for the INVITE that sets up a call.
func called() string { return calledWith(learn) }

func calledWith(learn string) string {
	return `<recv request="INVITE" rrs="true"><action>` + learn +
		`<ereg regexp=".*" search_in="hdr" header="From:" assign_to="peer"/>` +
		`<ereg regexp=".*" search_in="hdr" header="Record-Route:" assign_to="route"/>` +
		`<ereg regexp="Via:.*Via:[^[:cntrl:]]*" search_in="msg" assign_to="vias"/></action></recv>` + "\n"
}

func ring() string { return respond("180 Ringing", bobTag, "") }

func pickUp() string {
	return respond("200 OK", bobTag, sdp(1, "media", "sendrecv")) + `<recv request="ACK"/>` + "\n"
}

// pickUpLate offers in the 200 and takes the answer from the ACK.
func pickUpLate() string {
	return respond("200 OK", bobTag, sdp(1, "media", "sendrecv")) + `<recv request="ACK"><action>` + learn + "</action></recv>\n"
}

// reinvited takes an offer within the dialog and answers it.
func reinvited(sdp string) string {
	return `<recv request="INVITE"><action>` + learn + "</action></recv>\n" +
		respond("200 OK", "", sdp) + `<recv request="ACK"/>` + "\n"
}

func hungUp() string { return `<recv request="BYE"/>` + respond("200 OK", "", "") }

func cancelled() string {
	return `<recv request="CANCEL"/>` + respond("200 OK", bobTag, "") + refuse("487 Request Terminated")
}

func busy() string { return refuse("486 Busy Here") }

func refuse(status string) string { return answerInvite(status, "") }

// answerInvite answers the INVITE that set up the call, whatever came since.
func answerInvite(status, sdp string) string {
	lines := []string{
		"SIP/2.0 " + status, "[$vias]", "From: [$peer]", "To: <sip:[service]@[remote_ip]:[remote_port]>" + bobTag,
		"Call-ID: [call_id]", "CSeq: 1 INVITE",
	}
	if sdp != "" {
		lines = append(lines, "Record-Route: [$route]", "Contact: <sip:phone@[local_ip]:[local_port]>")
	}
	return send(true, append(lines, body(sdp))...) + `<recv request="ACK"/>` + "\n"
}

// register tells Kamailio where Bob is.
func register() string {
	return steps(send(true,
		"REGISTER sip:[remote_ip]:[remote_port] SIP/2.0",
		"Via: SIP/2.0/UDP [local_ip]:[local_port];rport;"+branch("r1"),
		"Max-Forwards: 70", "From: "+bob, "To: <sip:[service]@[remote_ip]:[remote_port]>",
		"Call-ID: [call_id]", "CSeq: 1 REGISTER", "Contact: <sip:[service]@[local_ip]:[local_port]>",
		"Expires: 600", body("")), `<recv response="200"/>`)
}
