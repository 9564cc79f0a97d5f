package rewrite

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"rtpjet/events"
	"rtpjet/ngserver/ng"
	"rtpjet/ngserver/sdp"
	"rtpjet/projection"
)

// Params are what Render needs.
type Params struct {
	Session          *sdp.Session // from the sender
	Req              *ng.Request
	Answer           bool
	Sender, Receiver *events.Party // as decided
	Sections         []int         // of projection.Signalled
	InstanceID       string
	Now              int64 // µs of Unix time; names a session whose sender did not
}

// Render writes the SDP for the receiver in the order of docs/ng.md, "SDP that goes out", and says what later SDPs for
// that receiver depend on.
func Render(p Params) ([]byte, events.Out) {
	r := &renderer{Params: p, out: make([]byte, 0, 2*len(p.Req.SDP)+256)}
	// The session part after o= and the sections come first: the version in o= depends on them.
	r.session()
	r.sections()
	body := r.out
	origin, rec := r.origin(body)
	head := sdp.AppendLine(make([]byte, 0, len(body)+128), 'v', "0")
	head = sdp.AppendOrigin(head, &origin)
	return append(head, body...), rec
}

type renderer struct {
	Params
	out []byte
}

func (r *renderer) session() {
	s := r.Session
	name := s.Name
	if r.Req.Replace.SessionName && r.Sender.In.SessionName != "" {
		name = r.Sender.In.SessionName
	} else if !s.HasName {
		name = "-"
	}
	r.out = sdp.AppendLine(r.out, 's', name)
	r.lines('i', s.Info)
	r.lines('u', s.URI)
	r.lines('e', s.Email)
	r.lines('p', s.Phone)
	r.out = sdp.AppendBandwidth(r.out, s.Bandwidth)
	if len(s.Timing) == 0 {
		r.out = sdp.AppendLine(r.out, 't', "0 0")
	}
	r.lines('t', s.Timing)
	start := len(r.out)
	if r.Req.LoopProtect {
		r.out = sdp.AppendAttribute(r.out, "rtpengine", r.InstanceID)
	}
	for i := range s.Attributes {
		a := &s.Attributes[i]
		if a.Kind == sdp.KindUnknown || r.Req.OriginalSendrecv && a.IsDirection() {
			r.out = sdp.AppendLine(r.out, 'a', a.Line)
		}
	}
	r.manipulate(start, "none")
}

func (r *renderer) lines(letter byte, texts []string) {
	for _, t := range texts {
		r.out = sdp.AppendLine(r.out, letter, t)
	}
}

// sections writes the sections that the receiver knows of, in its order: those of the sender's SDP, and a rejected one for each that is
// not there.
func (r *renderer) sections() {
	for _, pos := range projection.Order(r.Receiver.Medias) {
		o := &r.Receiver.Medias[pos]
		if r.Sections[pos] < 0 {
			for _, proto := range profiles(o) {
				r.rejected(o.Type, proto, strings.Join(o.Formats, " "), o, nil)
			}
			continue
		}
		m, s := &r.Session.Media[r.Sections[pos]], &r.Sender.Medias[pos]
		if o.Twin != 0 {
			r.twins(m, s, o)
			continue
		}
		r.section(m, s, o)
	}
}

// family is an address of the family that the receiver of a rejected section has: that of its own sockets there, else of
// those elsewhere, else the sender's.
func (r *renderer) family(o *events.Media, m *sdp.Media) netip.Addr {
	if o.Advertised.IsValid() {
		return o.Advertised
	}
	if a := r.firstAddress(); a.IsValid() || m == nil {
		return a
	}
	return m.Address()
}

func unspecified(like netip.Addr) netip.Addr {
	if like.Is6() {
		return netip.IPv6Unspecified()
	}
	return netip.IPv4Unspecified()
}

// rejected writes a section with port 0. Of the two that are the older form of OSRTP the one that is not in use has no c=.
func (r *renderer) rejected(typ, proto, formats string, o *events.Media, m *sdp.Media) {
	proto, formats = someFormats(proto, formats, o.Formats)
	r.out = sdp.AppendMedia(r.out, typ, 0, 1, proto, formats)
	if o.Twin == 0 {
		r.out = sdp.AppendConnection(r.out, unspecified(r.family(o, m)))
	}
	if m == nil {
		return
	}
	r.out = sdp.AppendBandwidth(r.out, m.Bandwidth)
	r.value("mid", o.Mid)
	r.value("label", m.Label())
}

// someFormats are the transport and the formats of an m= line that may lack them, above all one with port 0, where they mean
// nothing (RFC 3264 §6). An m= line must have both (RFC 8866 §9), and browsers refuse the whole SDP otherwise. Where those given
// are none, the receiver's own serve.
func someFormats(proto, formats string, own []string) (string, string) {
	if proto == "" {
		proto = "RTP/AVP"
	}
	rtp := sdp.LookupProto(proto).IsRTP()
	for _, list := range [][]string{strings.Fields(formats), own} {
		list = slices.DeleteFunc(slices.Clone(list), func(f string) bool {
			_, ok := sdp.ParsePT(f)
			return rtp && !ok
		})
		if len(list) > 0 {
			return proto, strings.Join(list, " ")
		}
	}
	switch {
	case rtp:
		return proto, "0"
	case sdp.LookupProto(proto) == sdp.UDPTL:
		return proto, "t38"
	}
	return proto, "*"
}

// section writes one section: s is the sender's side of it, o the receiver's.
func (r *renderer) section(m *sdp.Media, s, o *events.Media) {
	start := len(r.out)
	defer func() { r.manipulate(start, m.Class()) }()
	rtp := m.IsRTP()
	if copied(m) && (m.Port == 0 || !o.Rejected) || !rtp && !o.Rejected {
		r.copied(m, s, o)
		return
	}
	codecs := r.codecs(m, o)
	if o.Rejected {
		formats := strings.Join(m.Formats, " ")
		if rtp && len(codecs) > 0 && m.Port != 0 {
			formats = payloadTypes(codecs)
		}
		r.rejected(m.Type, o.Protocol, formats, o, m)
		return
	}
	r.out = sdp.AppendMediaCodecs(r.out, m.Type, o.Local.RTP.Port(), 1, o.Protocol, codecs)
	r.lines('i', m.Info)
	r.out = sdp.AppendConnection(r.out, r.address(s, o))
	r.out = sdp.AppendBandwidth(r.out, m.Bandwidth)

	r.value("mid", o.Mid)
	r.value("label", m.Label())
	for i := range codecs {
		r.out = sdp.AppendCodec(r.out, &codecs[i])
	}
	r.extmaps(m, s, o)
	for i := range m.Attributes {
		a := &m.Attributes[i]
		if a.Kind == sdp.KindUnknown || r.Req.OriginalSendrecv && a.IsDirection() {
			r.out = sdp.AppendLine(r.out, 'a', a.Line)
		}
	}
	if !r.Req.OriginalSendrecv {
		r.out = sdp.AppendLine(r.out, 'a', string(s.Direction))
	}
	r.rtcp(o)
	r.security(m, o)
	for _, k := range [...]sdp.Kind{sdp.KindPTime, sdp.KindMaxPTime} {
		if a := m.First(k); a != nil {
			r.out = sdp.AppendLine(r.out, 'a', a.Line)
		}
	}
}

func (r *renderer) value(name, value string) {
	if value != "" {
		r.out = sdp.AppendAttribute(r.out, name, value)
	}
}

// inherited writes a security attribute at the section, wherever it came from. Until the relay terminates DTLS these go
// through end to end.
func (r *renderer) inherited(m *sdp.Media, k sdp.Kind) {
	if k == sdp.KindTLSID && r.Req.NoTLSID {
		return
	}
	if a := m.Lookup(k); a != nil {
		r.out = sdp.AppendLine(r.out, 'a', a.Line)
	}
}

// copied writes a section as it came. One that is not RTP gets our address and port; MSRP keeps its own.
func (r *renderer) copied(m *sdp.Media, s, o *events.Media) {
	port, addr := o.Local.RTP.Port(), r.address(s, o)
	if copied(m) {
		port, addr = m.Port, m.Address()
	}
	if !addr.IsValid() { // with port 0, nobody needs one
		addr = unspecified(r.family(o, m))
	}
	proto, formats := someFormats(protocol(m), strings.Join(m.Formats, " "), o.Formats)
	r.out = sdp.AppendMedia(r.out, m.Type, port, 1, proto, formats)
	r.lines('i', m.Info)
	r.out = sdp.AppendConnection(r.out, addr)
	r.out = sdp.AppendBandwidth(r.out, m.Bandwidth)
	for i := range m.Attributes {
		r.out = sdp.AppendLine(r.out, 'a', m.Attributes[i].Line)
	}
}

// address is what c= says: media-address, else the interface's advertised address; unspecified while the sender is on hold
// by address, unless the options say otherwise.
func (r *renderer) address(s, o *events.Media) netip.Addr {
	addr := r.ours(o)
	if s.Remote.RTP.Addr().IsUnspecified() && !s.ICE && !r.Req.Replace.ZeroAddress {
		return unspecified(addr)
	}
	return addr
}

func (r *renderer) ours(o *events.Media) netip.Addr {
	if r.Req.MediaAddress.IsValid() {
		return r.Req.MediaAddress
	}
	return o.Advertised
}

// rtcp writes a=rtcp and a=rtcp-mux (RFC 3605, RFC 5761).
func (r *renderer) rtcp(o *events.Media) {
	port, mux := o.Local.RTCP.Port(), !r.Answer && o.MuxSent
	if o.Mux && (r.Answer || o.MuxSent) {
		port, mux = o.Local.RTP.Port(), true
	}
	if port != 0 && !r.Req.NoRTCPAttribute {
		addr := netip.Addr{}
		if r.Req.FullRTCPAttribute {
			addr = r.ours(o)
		}
		r.out = sdp.AppendRTCP(r.out, port, addr)
	}
	if mux {
		r.out = sdp.AppendAttribute(r.out, "rtcp-mux", "")
	}
}

// codecs returns the payload types for the receiver with the texts of the sender's section.
func (r *renderer) codecs(m *sdp.Media, o *events.Media) []sdp.Codec {
	have := m.Codecs()
	out := make([]sdp.Codec, 0, len(o.Offered))
	for _, c := range o.Offered {
		if i := slices.IndexFunc(have, func(h sdp.Codec) bool { return int(h.PT) == c.PT }); i >= 0 {
			out = append(out, have[i])
			continue
		}
		s := sdp.Codec{PT: uint8(c.PT)}
		if c.Name != "" {
			s.Map = fmt.Sprintf("%s/%d", c.Name, c.Rate)
			if c.Channels > 1 {
				s.Map += "/" + strconv.Itoa(c.Channels)
			}
		}
		if c.Fmtp != "" {
			s.FMTP = []string{c.Fmtp}
		}
		out = append(out, s)
	}
	return out
}

func payloadTypes(codecs []sdp.Codec) string {
	var b strings.Builder
	for i, c := range codecs {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(strconv.Itoa(int(c.PT)))
	}
	return b.String()
}
