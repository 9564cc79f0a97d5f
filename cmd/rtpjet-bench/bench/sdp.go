package bench

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"github.com/pion/sdp/v3"
)

// sdpOptions shape the SDP bodies that the calls carry.
type sdpOptions struct {
	rtcpMux bool
	later   uint64 // how often the phone has sent it with a change
	crypto  string // the value of the a=crypto line of a phone that speaks SRTP
}

// phoneSDP returns a phone's SDP with one audio section at the address.
func phoneSDP(at netip.AddrPort, o sdpOptions) []byte {
	family, protocol := "IP4", "AVP"
	if at.Addr().Is6() {
		family = "IP6"
	}
	if o.crypto != "" {
		protocol = "SAVP"
	}
	addr := at.Addr().String()
	audio := &sdp.MediaDescription{
		MediaName: sdp.MediaName{
			Media: "audio", Port: sdp.RangedPort{Value: int(at.Port())}, Protos: []string{"RTP", protocol}, Formats: []string{"0", "8", "101"},
		},
		Attributes: []sdp.Attribute{
			{Key: "rtpmap", Value: "0 PCMU/8000"}, {Key: "rtpmap", Value: "8 PCMA/8000"},
			{Key: "rtpmap", Value: "101 telephone-event/8000"}, {Key: "fmtp", Value: "101 0-16"}, {Key: "ptime", Value: "20"}, {Key: "sendrecv"},
		},
	}
	if o.rtcpMux {
		audio.Attributes = append(audio.Attributes, sdp.Attribute{Key: "rtcp-mux"})
	}
	if o.crypto != "" {
		audio.Attributes = append(audio.Attributes, sdp.Attribute{Key: "crypto", Value: o.crypto})
	}
	s := sdp.SessionDescription{
		Origin: sdp.Origin{
			Username: "-", SessionID: 3900000001, SessionVersion: 1 + o.later, NetworkType: "IN", AddressType: family, UnicastAddress: addr,
		},
		SessionName:           "-",
		ConnectionInformation: &sdp.ConnectionInformation{NetworkType: "IN", AddressType: family, Address: &sdp.Address{Address: addr}},
		TimeDescriptions:      []sdp.TimeDescription{{}},
		MediaDescriptions:     []*sdp.MediaDescription{audio},
	}
	body, err := s.Marshal()
	if err != nil {
		panic(err) // all of its fields can be written
	}
	return body
}

// errNoMedia says that an SDP names no address to send to.
var errNoMedia = errors.New("SDP has no m= section with a port and a c= line")

// media is the first m= section of an SDP of the server.
type media struct {
	at      netip.AddrPort // where to send to
	secured bool           // it speaks SRTP
	crypto  string         // the value of its first a=crypto line; may be empty
}

// readMedia reads an SDP of the server.
func readMedia(body string) (m media, err error) {
	var s sdp.SessionDescription
	if err := s.UnmarshalString(body); err != nil {
		return m, fmt.Errorf("read the SDP: %w", err)
	}
	if len(s.MediaDescriptions) == 0 {
		return m, errNoMedia
	}
	section := s.MediaDescriptions[0]
	where := section.ConnectionInformation
	if where == nil {
		where = s.ConnectionInformation
	}
	port := section.MediaName.Port.Value
	if where == nil || where.Address == nil || port <= 0 || port > 65535 {
		return m, errNoMedia
	}
	addr, err := netip.ParseAddr(where.Address.Address)
	if err != nil {
		return m, fmt.Errorf("read the SDP's line c=: %w", err)
	}
	m.at = netip.AddrPortFrom(addr, uint16(port))
	m.secured = strings.HasPrefix(strings.Join(section.MediaName.Protos, "/"), "RTP/SAVP")
	m.crypto, _ = section.Attribute("crypto")
	return m, nil
}
