package bench

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
)

// sdpOptions shape the SDP bodies that the calls carry.
type sdpOptions struct {
	rtcpMux bool
	later   uint64 // how often the phone has sent it with a change
	crypto  string // the a=crypto line of a phone that speaks SRTP, with its end of line
}

// appendSDP appends a phone's SDP with one audio section at the address.
func appendSDP(b []byte, at netip.AddrPort, o sdpOptions) []byte {
	family := "IP4"
	if at.Addr().Is6() {
		family = "IP6"
	}
	addr := at.Addr().String()
	b = append(b, "v=0\r\no=- 3900000001 "...)
	b = strconv.AppendUint(b, 1+o.later, 10)
	b = append(b, " IN "...)
	b = append(b, family...)
	b = append(b, ' ')
	b = append(b, addr...)
	b = append(b, "\r\ns=-\r\nc=IN "...)
	b = append(b, family...)
	b = append(b, ' ')
	b = append(b, addr...)
	b = append(b, "\r\nt=0 0\r\nm=audio "...)
	b = strconv.AppendUint(b, uint64(at.Port()), 10)
	if o.crypto != "" {
		b = append(b, " RTP/SAVP"...)
	} else {
		b = append(b, " RTP/AVP"...)
	}
	b = append(b, " 0 8 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\n"+
		"a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\na=ptime:20\r\na=sendrecv\r\n"...)
	if o.rtcpMux {
		b = append(b, "a=rtcp-mux\r\n"...)
	}
	return append(b, o.crypto...)
}

// errNoMedia says that an SDP names no address to send to.
var errNoMedia = errors.New("SDP has no m= section with a port and a c= line")

// mediaAddress returns the address of the first m= section of an SDP.
func mediaAddress(sdp []byte) (netip.AddrPort, error) {
	var addr netip.Addr
	port, sections := 0, 0
	for line := range bytes.Lines(sdp) {
		line = bytes.TrimRight(line, "\r\n")
		switch {
		case bytes.HasPrefix(line, []byte("c=")) && sections <= 1:
			// Either the session's or the first section's own, which counts more
			// and comes later.
			fields := bytes.Fields(line[2:])
			if len(fields) != 3 {
				return netip.AddrPort{}, fmt.Errorf("read SDP line %q: not 3 words", line)
			}
			a, err := netip.ParseAddr(string(fields[2]))
			if err != nil {
				return netip.AddrPort{}, fmt.Errorf("read SDP line %q: %w", line, err)
			}
			addr = a
		case bytes.HasPrefix(line, []byte("m=")):
			if sections++; sections > 1 {
				continue
			}
			fields := bytes.Fields(line[2:])
			if len(fields) < 2 {
				return netip.AddrPort{}, fmt.Errorf("read SDP line %q: no port", line)
			}
			p, err := strconv.ParseUint(string(fields[1]), 10, 16)
			if err != nil {
				return netip.AddrPort{}, fmt.Errorf("read SDP line %q: %w", line, err)
			}
			port = int(p)
		}
	}
	if !addr.IsValid() || port == 0 {
		return netip.AddrPort{}, errNoMedia
	}
	return netip.AddrPortFrom(addr, uint16(port)), nil
}
