package demo

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// phoneSDP is the SDP of a phone with one voice stream at an address. Each version is a new one to the other side.
func phoneSDP(at netip.AddrPort, version uint32) string {
	return fmt.Sprintf("v=0\r\no=- 20260101 %d IN IP4 %s\r\ns=-\r\nc=IN IP4 %s\r\nt=0 0\r\n"+
		"m=audio %d RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\na=ptime:20\r\na=sendrecv\r\n", version, at.Addr(), at.Addr(), at.Port())
}

var errNoMedia = errors.New("the SDP in the reply names no address for media")

// mediaAddress is where an SDP with one stream wants it sent to.
func mediaAddress(sdp string) (netip.AddrPort, error) {
	var addr netip.Addr
	var port uint64
	for line := range strings.Lines(sdp) {
		f := strings.Fields(line)
		switch {
		case len(f) == 3 && f[0] == "c=IN":
			addr, _ = netip.ParseAddr(f[2])
		case len(f) > 1 && strings.HasPrefix(line, "m="):
			port, _ = strconv.ParseUint(f[1], 10, 16)
		}
	}
	if !addr.IsValid() || port == 0 {
		return netip.AddrPort{}, errNoMedia
	}
	return netip.AddrPortFrom(addr, uint16(port)), nil
}
