//go:build !linux

package ngserver

import (
	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
)

// maxControl is room for the control messages of one datagram.
const maxControl = 128

// replyControl turns the control messages that came with a datagram into those for the reply: the address that was asked
// becomes the source. It returns nil if there is no such address.
func replyControl(oob []byte) []byte {
	var m4 ipv4.ControlMessage
	if m4.Parse(oob) == nil && m4.Dst != nil {
		return (&ipv4.ControlMessage{Src: m4.Dst}).Marshal()
	}
	var m6 ipv6.ControlMessage
	if m6.Parse(oob) == nil && m6.Dst != nil {
		out := &ipv6.ControlMessage{Src: m6.Dst}
		if m6.Dst.IsLinkLocalUnicast() {
			out.IfIndex = m6.IfIndex
		}
		return out.Marshal()
	}
	return nil
}
