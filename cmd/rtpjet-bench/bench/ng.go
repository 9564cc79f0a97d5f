package bench

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"strconv"

	"github.com/zeebo/bencode"
)

// This file is the NG client's half of the protocol, over zeebo/bencode. It shares no code with the server, so that it
// cannot share the server's mistakes. The library believes each length of a string that it reads, up to 2 GiB, so it is
// for servers that one has started oneself.

// callNames are the identifiers of one call.
type callNames struct {
	callID, fromTag, toTag string
}

// namesOf returns the identifiers of call number i of the run with this name.
func namesOf(run string, i int) callNames { return namesAs(run, strconv.Itoa(i)) }

// namesAs is namesOf for a number as it is to be written.
func namesAs(run, number string) callNames {
	return callNames{
		callID:  "bench-" + run + "-" + number + "@rtpjet.invalid",
		fromTag: "f" + run + number,
		toTag:   "t" + run + number,
	}
}

// ngOptions are the choices that all requests of a run share.
type ngOptions struct {
	sdp         sdpOptions
	deleteDelay int  // seconds; negative: the key is not sent
	bridge      bool // the caller speaks SRTP, and the callee is to be offered plain RTP
}

// request is the dictionary of an NG command, with the keys that Kamailio's module sends for the default kamailio.cfg
// behind NAT.
type request struct {
	Command     string   `bencode:"command"`
	CallID      string   `bencode:"call-id,omitempty"`
	FromTag     string   `bencode:"from-tag,omitempty"`
	ToTag       string   `bencode:"to-tag,omitempty"`
	SDP         []byte   `bencode:"sdp,omitempty"`
	Supports    []string `bencode:"supports,omitempty"`
	Flags       []string `bencode:"flags,omitempty"`
	Replace     []string `bencode:"replace,omitempty"`
	RTCPMux     []string `bencode:"rtcp-mux,omitempty"`
	From        []string `bencode:"received-from,omitempty"` // IP4 or IP6, and the address
	Transport   string   `bencode:"transport-protocol,omitempty"`
	MessageType string   `bencode:"sip-message-type,omitempty"`
	DeleteDelay *int     `bencode:"delete delay,omitempty"` // seconds
}

// append appends the datagram of a request with this cookie.
func (r request) append(b []byte, cookie string) []byte {
	b = append(append(b, cookie...), ' ')
	dict, err := bencode.EncodeBytes(r)
	if err != nil {
		panic(err) // all of its fields can be written
	}
	return append(b, dict...)
}

// Values that requests share; nobody changes them.
var (
	supports = []string{"load limit"}
	natFlags = []string{"SIP-source-address"}
	latching = []string{"SIP-source-address", "port-latching"}
	replaced = []string{"origin", "session-connection"}
	offerMux = []string{"offer"}
)

// mediaRequest is what offer and answer have in common; sdp is that of who speaks, at this address.
func mediaRequest(command string, c callNames, sdp []byte, from netip.Addr) request {
	family := "IP4"
	if from.Is6() {
		family = "IP6"
	}
	r := request{
		Command: command, CallID: c.callID, FromTag: c.fromTag, SDP: sdp,
		Supports: supports, Flags: natFlags, Replace: replaced, From: []string{family, from.String()},
		MessageType: "sip_request",
	}
	if command == "answer" {
		r.ToTag, r.MessageType = c.toTag, "sip_reply"
	}
	return r
}

// offerRequest is the INVITE's; sdp is the caller's.
func offerRequest(c callNames, sdp []byte, from netip.Addr, o ngOptions) request {
	r := mediaRequest("offer", c, sdp, from)
	if o.bridge {
		r.Transport = "RTP/AVP"
	}
	if o.sdp.rtcpMux {
		r.RTCPMux = offerMux
	}
	return r
}

// answerRequest is the 200 OK's; sdp is the callee's.
func answerRequest(c callNames, sdp []byte, from netip.Addr, o ngOptions) request {
	r := mediaRequest("answer", c, sdp, from)
	if o.sdp.rtcpMux {
		r.RTCPMux = offerMux
	}
	return r
}

// deleteRequest is the BYE's.
func deleteRequest(c callNames, o ngOptions) request {
	r := request{Command: "delete", CallID: c.callID, FromTag: c.fromTag, Supports: supports, MessageType: "sip_request"}
	if o.deleteDelay >= 0 {
		r.DeleteDelay = &o.deleteDelay
	}
	return r
}

// queryRequest is for the whole call.
func queryRequest(c callNames) request { return request{Command: "query", CallID: c.callID} }

// ngReply is what the benchmark looks at in a reply.
type ngReply struct {
	Result      string `bencode:"result"`
	ErrorReason string `bencode:"error-reason"`
	Message     string `bencode:"message"`
	Warning     string `bencode:"warning"`
	SDP         string `bencode:"sdp"`
}

// ok says whether the command did what was asked.
func (r ngReply) ok() bool {
	return (r.Result == "ok" || r.Result == "pong") && r.Warning == ""
}

// why returns the server's own words for a reply that is not ok.
func (r ngReply) why() string {
	for _, words := range []string{r.ErrorReason, r.Message, r.Warning} {
		if words != "" {
			return words
		}
	}
	return fmt.Sprintf("result %q", r.Result)
}

var errBencode = errors.New("reply is no bencode dictionary")

// splitReply cuts a datagram into the cookie and the dictionary.
func splitReply(b []byte) (cookie, dict []byte, ok bool) {
	return bytes.Cut(b, []byte{' '})
}

// replyReader reads the dictionaries of replies. It keeps the library's decoder: making one for each reply, with its buffer,
// takes five times as long as reading with it. It belongs to one goroutine; the zero value is ready for use.
type replyReader struct {
	in      bytes.Reader
	decoder *bencode.Decoder
}

// read reads a dictionary; what follows it does not matter.
func (r *replyReader) read(dict []byte) (reply ngReply, err error) {
	if r.decoder == nil {
		r.decoder = bencode.NewDecoder(&r.in)
	}
	before := r.decoder.BytesParsed()
	r.in.Reset(dict)
	err = r.decoder.Decode(&reply)
	if err != nil {
		err = fmt.Errorf("%w: %w", errBencode, err)
	}
	if err != nil || r.decoder.BytesParsed()-before != len(dict) {
		r.decoder = nil // the rest is in its buffer
	}
	return reply, err
}
