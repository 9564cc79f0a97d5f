package bench

import (
	"fmt"
	"net/netip"

	"github.com/zeebo/bencode"
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

func (s signalling) request() request {
	r := mediaRequest(s.command, s.names, s.sdp, s.from)
	if s.latched {
		r.Flags = latching
	}
	if s.command == "offer" && s.bridge {
		r.Transport = "RTP/AVP"
	}
	if s.moved {
		r.ToTag = s.names.toTag
	}
	return r
}

// nodeUse is what a node's statistics say of its load.
type nodeUse struct {
	own   int // calls
	ports int // in use
}

// readStatistics reads a reply to the command statistics.
func readStatistics(dict []byte) (u nodeUse, err error) {
	var reply any
	if err := bencode.DecodeBytes(dict, &reply); err != nil {
		return u, fmt.Errorf("%w: %w", errBencode, err)
	}
	own, calls := sumOf(reply, "sessionsown")
	ports, interfaces := sumOf(reply, "used")
	if !calls || !interfaces {
		return u, fmt.Errorf("%w with sessionsown and used", errBencode)
	}
	return nodeUse{own: own, ports: ports}, nil
}

// sumOf adds the numbers that stand under a key, wherever in a reply; found says whether there is one.
func sumOf(reply any, key string) (sum int, found bool) {
	var inner []any
	switch reply := reply.(type) {
	case []any:
		inner = reply
	case map[string]any:
		for k, v := range reply {
			if n, ok := v.(int64); ok && k == key {
				sum, found = sum+int(n), true
			}
			inner = append(inner, v)
		}
	}
	for _, v := range inner {
		n, ok := sumOf(v, key)
		sum, found = sum+n, found || ok
	}
	return sum, found
}
