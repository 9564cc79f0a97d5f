package bench

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
)

// This file is the NG client's half of the protocol: requests are appended to a
// buffer, replies are scanned in place. It shares no code with the server, so
// that it cannot share the server's mistakes.

// callNames are the identifiers of one call.
type callNames struct {
	callID, fromTag, toTag string
}

// namesOf returns the identifiers of call number i of the run with this name.
func namesOf(run string, i int) callNames {
	n := strconv.Itoa(i)
	return callNames{
		callID:  "bench-" + run + "-" + n + "@rtpjet.invalid",
		fromTag: "f" + run + n,
		toTag:   "t" + run + n,
	}
}

// ngOptions are the choices that all requests of a run share.
type ngOptions struct {
	sdp         sdpOptions
	deleteDelay int  // seconds; negative: the key is not sent
	bridge      bool // the caller speaks SRTP, and the callee is to be offered plain RTP
}

func appendString(b []byte, s string) []byte {
	b = strconv.AppendInt(b, int64(len(s)), 10)
	b = append(b, ':')
	return append(b, s...)
}

func appendBytes(b, s []byte) []byte {
	b = strconv.AppendInt(b, int64(len(s)), 10)
	b = append(b, ':')
	return append(b, s...)
}

func appendPair(b []byte, key, value string) []byte {
	return appendString(appendString(b, key), value)
}

func appendList(b []byte, key string, values ...string) []byte {
	b = append(appendString(b, key), 'l')
	for _, v := range values {
		b = appendString(b, v)
	}
	return append(b, 'e')
}

// appendOffer appends the dictionary that Kamailio's module sends for the
// default kamailio.cfg behind NAT; sdp is the caller's.
func appendOffer(b []byte, c callNames, sdp []byte, from netip.Addr, o ngOptions) []byte {
	b = append(b, 'd')
	b = appendMedia(b, sdp, from, o)
	if o.bridge {
		b = appendPair(b, "transport-protocol", "RTP/AVP")
	}
	b = appendPair(b, "call-id", c.callID)
	b = appendPair(b, "from-tag", c.fromTag)
	b = appendPair(b, "sip-message-type", "sip_request")
	b = appendPair(b, "command", "offer")
	return append(b, 'e')
}

// appendAnswer appends the dictionary of the 200 OK; sdp is the callee's.
func appendAnswer(b []byte, c callNames, sdp []byte, from netip.Addr, o ngOptions) []byte {
	b = append(b, 'd')
	b = appendMedia(b, sdp, from, o)
	b = appendPair(b, "call-id", c.callID)
	b = appendPair(b, "from-tag", c.fromTag)
	b = appendPair(b, "to-tag", c.toTag)
	b = appendPair(b, "sip-message-type", "sip_reply")
	b = appendPair(b, "command", "answer")
	return append(b, 'e')
}

// appendMedia appends the keys that offer and answer have in common.
func appendMedia(b, sdp []byte, from netip.Addr, o ngOptions) []byte {
	family := "IP4"
	if from.Is6() {
		family = "IP6"
	}
	b = appendList(b, "supports", "load limit")
	b = appendBytes(appendString(b, "sdp"), sdp)
	b = appendList(b, "flags", "SIP-source-address")
	b = appendList(b, "replace", "origin", "session-connection")
	if o.sdp.rtcpMux {
		b = appendList(b, "rtcp-mux", "offer")
	}
	return appendList(b, "received-from", family, from.String())
}

// appendDelete appends the dictionary of the BYE.
func appendDelete(b []byte, c callNames, o ngOptions) []byte {
	b = append(b, 'd')
	b = appendList(b, "supports", "load limit")
	b = appendPair(b, "call-id", c.callID)
	b = appendPair(b, "from-tag", c.fromTag)
	if o.deleteDelay >= 0 {
		b = append(appendString(b, "delete delay"), 'i')
		b = append(strconv.AppendInt(b, int64(o.deleteDelay), 10), 'e')
	}
	b = appendPair(b, "sip-message-type", "sip_request")
	b = appendPair(b, "command", "delete")
	return append(b, 'e')
}

// appendQuery appends the dictionary of a query for the whole call.
func appendQuery(b []byte, c callNames) []byte {
	b = append(b, 'd')
	b = appendPair(b, "call-id", c.callID)
	b = appendPair(b, "command", "query")
	return append(b, 'e')
}

// appendPing appends the dictionary of a ping.
func appendPing(b []byte) []byte {
	return append(b, "d7:command4:pinge"...)
}

// ngReply is what the benchmark looks at in a reply. Its slices lie in the
// datagram it was scanned from.
type ngReply struct {
	result, reason, warning, sdp []byte
}

// ok says whether the command did what was asked.
func (r ngReply) ok() bool {
	return (string(r.result) == "ok" || string(r.result) == "pong") && len(r.warning) == 0
}

// why returns the server's own words for a reply that is not ok.
func (r ngReply) why() string {
	switch {
	case len(r.reason) > 0:
		return string(r.reason)
	case len(r.warning) > 0:
		return string(r.warning)
	}
	return fmt.Sprintf("result %q", r.result)
}

var errBencode = errors.New("reply is no bencode dictionary")

// splitReply cuts a datagram into the cookie and the dictionary.
func splitReply(b []byte) (cookie, dict []byte, ok bool) {
	return bytes.Cut(b, []byte{' '})
}

// scanReply reads the top level of a reply dictionary.
func scanReply(b []byte) (ngReply, error) {
	var r ngReply
	if len(b) == 0 || b[0] != 'd' {
		return r, errBencode
	}
	rest := b[1:]
	for len(rest) > 0 && rest[0] != 'e' {
		key, after, err := cutString(rest)
		if err != nil {
			return r, err
		}
		if len(after) > 0 && after[0] >= '0' && after[0] <= '9' {
			value, next, err := cutString(after)
			if err != nil {
				return r, err
			}
			switch string(key) {
			case "result":
				r.result = value
			case "error-reason", "message":
				r.reason = value
			case "warning":
				r.warning = value
			case "sdp":
				r.sdp = value
			}
			rest = next
			continue
		}
		if rest, err = skipValue(after, 0); err != nil {
			return r, err
		}
	}
	if len(rest) == 0 {
		return r, errBencode
	}
	return r, nil
}

// cutString reads a bencode string and returns what follows it.
func cutString(b []byte) (s, rest []byte, err error) {
	head, _, found := bytes.Cut(b[:min(len(b), 8)], []byte{':'})
	if !found {
		return nil, nil, errBencode
	}
	n, err := strconv.ParseUint(string(head), 10, 20)
	if err != nil || int(n) > len(b)-len(head)-1 {
		return nil, nil, errBencode
	}
	b = b[len(head)+1:]
	return b[:n], b[n:], nil
}

// maxDepth is deeper than any reply nests.
const maxDepth = 24

// skipValue returns what follows the bencode value at the start of b.
func skipValue(b []byte, depth int) ([]byte, error) {
	if len(b) == 0 || depth > maxDepth {
		return nil, errBencode
	}
	switch b[0] {
	case 'i':
		end := bytes.IndexByte(b, 'e')
		if end < 0 {
			return nil, errBencode
		}
		return b[end+1:], nil
	case 'l', 'd':
		rest := b[1:]
		for len(rest) > 0 && rest[0] != 'e' {
			var err error
			if rest, err = skipValue(rest, depth+1); err != nil {
				return nil, err
			}
		}
		if len(rest) == 0 {
			return nil, errBencode
		}
		return rest[1:], nil
	}
	_, rest, err := cutString(b)
	return rest, err
}
