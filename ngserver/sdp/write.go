package sdp

import (
	"net/netip"
	"slices"
	"strconv"
)

// The Append functions write whole lines, ended by CRLF, after dst. Texts go out as they are: a text with a line break in
// it becomes two lines, so callers that take texts from elsewhere than a parsed Session must look first.

// AppendLine writes any line.
func AppendLine(dst []byte, letter byte, text string) []byte {
	dst = append(dst, letter, '=')
	dst = append(dst, text...)
	return appendEnd(dst)
}

// AppendAttribute writes a=name:value, or a=name if the value is empty. For an attribute as it came, use
// AppendLine(dst, 'a', a.Line).
func AppendAttribute(dst []byte, name, value string) []byte {
	dst = append(dst, "a="...)
	dst = append(dst, name...)
	if value != "" {
		dst = append(dst, ':')
		dst = append(dst, value...)
	}
	return appendEnd(dst)
}

// AppendOrigin writes an o= line from the six fields; o.Line is not looked at.
func AppendOrigin(dst []byte, o *Origin) []byte {
	dst = append(dst, "o="...)
	for _, f := range [...]string{o.Username, o.SessionID, o.Version, o.NetType, o.AddrType} {
		dst = append(dst, f...)
		dst = append(dst, ' ')
	}
	dst = append(dst, o.Address...)
	return appendEnd(dst)
}

// AppendConnection writes c=IN IP4|IP6 addr.
func AppendConnection(dst []byte, addr netip.Addr) []byte {
	dst = append(dst, "c="...)
	dst = appendAddr(dst, addr)
	return appendEnd(dst)
}

// Family returns IP4 or IP6, as c=, o= and a=rtcp lines name them.
func Family(addr netip.Addr) string {
	if addr.Unmap().Is4() {
		return "IP4"
	}
	return "IP6"
}

func appendAddr(dst []byte, addr netip.Addr) []byte {
	dst = append(dst, "IN "...)
	dst = append(dst, Family(addr)...)
	dst = append(dst, ' ')
	return addr.Unmap().WithZone("").AppendTo(dst)
}

// AppendMedia writes an m= line with the formats as text. count is the number of port pairs; 0 and 1 write none.
func AppendMedia(dst []byte, typ string, port uint16, count int, proto, formats string) []byte {
	dst = appendMedia(dst, typ, port, count, proto)
	if formats != "" {
		dst = append(dst, ' ')
		dst = append(dst, formats...)
	}
	return appendEnd(dst)
}

// AppendMediaCodecs writes an m= line with the payload types of codecs.
func AppendMediaCodecs(dst []byte, typ string, port uint16, count int, proto string, codecs []Codec) []byte {
	dst = appendMedia(dst, typ, port, count, proto)
	for i := range codecs {
		dst = append(dst, ' ')
		dst = strconv.AppendUint(dst, uint64(codecs[i].PT), 10)
	}
	return appendEnd(dst)
}

func appendMedia(dst []byte, typ string, port uint16, count int, proto string) []byte {
	dst = append(dst, "m="...)
	dst = append(dst, typ...)
	dst = append(dst, ' ')
	dst = strconv.AppendUint(dst, uint64(port), 10)
	if count > 1 {
		dst = append(dst, '/')
		dst = strconv.AppendInt(dst, int64(count), 10)
	}
	dst = append(dst, ' ')
	return append(dst, proto...)
}

// AppendCodec writes a codec's rtpmap, fmtp and rtcp-fb lines, nothing for a payload type that nobody has described.
func AppendCodec(dst []byte, c *Codec) []byte {
	if c.Map == "" {
		return dst
	}
	dst = appendPT(dst, "a=rtpmap:", c.PT, c.Map)
	for _, f := range c.FMTP {
		dst = appendPT(dst, "a=fmtp:", c.PT, f)
	}
	for _, f := range c.Feedback {
		dst = appendPT(dst, "a=rtcp-fb:", c.PT, f)
	}
	return dst
}

func appendPT(dst []byte, start string, pt uint8, text string) []byte {
	dst = append(dst, start...)
	dst = strconv.AppendUint(dst, uint64(pt), 10)
	dst = append(dst, ' ')
	dst = append(dst, text...)
	return appendEnd(dst)
}

// AppendRTCP writes a=rtcp:port, with the address if it is valid (the flag "full rtcp attribute").
func AppendRTCP(dst []byte, port uint16, addr netip.Addr) []byte {
	dst = append(dst, "a=rtcp:"...)
	dst = strconv.AppendUint(dst, uint64(port), 10)
	if addr.IsValid() {
		dst = append(dst, ' ')
		dst = appendAddr(dst, addr)
	}
	return appendEnd(dst)
}

// AppendBandwidth writes b= lines in the order AS, RR, RS, CT, TIAS, which is rtpengine's, the first of each type, and then
// those of other types as they came. Lines without a value are left out.
func AppendBandwidth(dst []byte, lines []Bandwidth) []byte {
	for _, typ := range bandwidthOrder {
		for i := range lines {
			if b := &lines[i]; b.Type == typ && b.Value != "" {
				dst = AppendLine(dst, 'b', b.Line)
				break
			}
		}
	}
	for i := range lines {
		if b := &lines[i]; b.Value != "" && !slices.Contains(bandwidthOrder[:], b.Type) {
			dst = AppendLine(dst, 'b', b.Line)
		}
	}
	return dst
}

var bandwidthOrder = [...]string{"AS", "RR", "RS", "CT", "TIAS"}

func appendEnd(dst []byte) []byte { return append(dst, '\r', '\n') }
