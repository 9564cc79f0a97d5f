package bench

import (
	"bytes"
	"net/netip"
	"strconv"
)

// signalling is what an offer or an answer of a cluster's benchmark says.
type signalling struct {
	command string // offer or answer
	names   callNames
	moved   bool // a re-offer: it has the tag of the callee
	latched bool // the relay keeps its ports
	bridge  bool // as in ngOptions
	sdp     []byte
	from    netip.Addr
}

// append appends the dictionary as Kamailio's module writes it.
func (s signalling) append(b []byte) []byte {
	family := "IP4"
	if s.from.Is6() {
		family = "IP6"
	}
	b = append(b, 'd')
	b = appendList(b, "supports", "load limit")
	b = appendBytes(appendString(b, "sdp"), s.sdp)
	if s.latched {
		b = appendList(b, "flags", "SIP-source-address", "port-latching")
	} else {
		b = appendList(b, "flags", "SIP-source-address")
	}
	b = appendList(b, "replace", "origin", "session-connection")
	b = appendList(b, "received-from", family, s.from.String())
	b = appendPair(b, "call-id", s.names.callID)
	b = appendPair(b, "from-tag", s.names.fromTag)
	kind := "sip_request"
	if s.command == "answer" {
		kind = "sip_reply"
	}
	if s.command == "offer" && s.bridge {
		b = appendPair(b, "transport-protocol", "RTP/AVP")
	}
	if s.command == "answer" || s.moved {
		b = appendPair(b, "to-tag", s.names.toTag)
	}
	b = appendPair(b, "sip-message-type", kind)
	b = appendPair(b, "command", s.command)
	return append(b, 'e')
}

// nodeUse is what a node's statistics say of its load.
type nodeUse struct {
	own   int // calls
	ports int // in use
}

// appendStatistics appends the dictionary that asks for them.
func appendStatistics(b []byte) []byte { return append(b, "d7:command10:statisticse"...) }

// scanStatistics reads a reply to statistics.
func scanStatistics(b []byte) (u nodeUse, err error) {
	u.own, err = sumOf(b, "11:sessionsowni")
	if err != nil {
		return u, err
	}
	u.ports, err = sumOf(b, "4:usedi")
	return u, err
}

// sumOf adds the numbers behind each place where a bencoded key stands. The keys that it is used for do not occur in strings.
func sumOf(b []byte, key string) (sum int, err error) {
	found := false
	for {
		_, rest, ok := bytes.Cut(b, []byte(key))
		if !ok {
			break
		}
		digits, after, ok := bytes.Cut(rest, []byte{'e'})
		n, err := strconv.Atoi(string(digits))
		if !ok || err != nil {
			return 0, errBencode
		}
		sum, b, found = sum+n, after, true
	}
	if !found {
		return 0, errBencode
	}
	return sum, nil
}
