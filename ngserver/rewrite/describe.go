package rewrite

import (
	"net/netip"
	"strconv"

	"rtpjet/events"
	"rtpjet/ngserver/ng"
	"rtpjet/ngserver/sdp"
	"rtpjet/projection"
)

// Describe says what an SDP means for the call (docs/ng.md, "SDP that comes in", "Hold"). sipSource is the daemon's
// default for address trust: true uses received-from unless the request says "trust address".
func Describe(s *sdp.Session, req *ng.Request, sipSource bool) projection.Description {
	d := projection.Description{SessionName: s.Name, Seen: req.ReceivedFrom}
	d.Sections = make([]projection.Section, 0, len(s.Media))
	distrust := (sipSource || req.SIPSourceAddress) && !req.TrustAddress && req.ReceivedFrom.IsValid()
	for i := range s.Media {
		m := &s.Media[i]
		ice := m.UsesICE()
		if ice {
			distrust = false // candidates are the better truth, for this section and those after it
		}
		sec := projection.Section{
			Type:     m.Type,
			Protocol: protocol(m),
			RTP:      m.IsRTP(),
			Class:    m.Class(),
			Formats:  m.Formats,
			Rejected: m.Port == 0,
			Copied:   copied(m),
			Remote:   events.Ports{RTP: m.RTP(), RTCP: m.RTCP()},
			Mux:      m.IsRTP() && m.RTCPMux(),
			Mid:      m.Mid(),
			ICE:      ice,
			DTLS:     m.Lookup(sdp.KindFingerprint) != nil,
		}
		if sec.RTP && !sec.Rejected {
			sec.Crypto = cryptos(m)
		}
		sec.Direction = direction(m, distrust)
		if distrust {
			sec.Remote.RTP = replaceAddr(sec.Remote.RTP, req.ReceivedFrom)
			sec.Remote.RTCP = replaceAddr(sec.Remote.RTCP, req.ReceivedFrom)
		}
		for _, c := range m.Codecs() {
			e := events.Codec{PT: int(c.PT), Name: c.Name, Rate: c.Rate, Channels: c.Channels}
			if len(c.FMTP) > 0 {
				e.Fmtp = c.FMTP[0]
			}
			sec.Codecs = append(sec.Codecs, e)
		}
		if sec.Extmaps = extmaps(m); len(sec.Extmaps) > 0 && m.Lookup(sdp.KindExtmapAllowMixed) == nil {
			sec.NoAllowMixed, d.NoAllowMixed = true, true
		}
		d.Sections = append(d.Sections, sec)
	}
	switch req.AliasKey {
	case "sdp":
		d.AliasKey = "sdp:" + strconv.FormatUint(events.Digest(req.SDP), 16)
	case "address":
		if len(d.Sections) > 0 {
			d.AliasKey = "address:" + d.Sections[0].Remote.RTP.String()
		}
	}
	return d
}

// extmaps are the header extensions that hold for a section. The number 0 stands for none (RFC 8285 §4.2).
func extmaps(m *sdp.Media) []events.Extmap {
	if !m.IsRTP() || m.Lookup(sdp.KindExtmap) == nil {
		return nil
	}
	var out []events.Extmap
	for _, e := range m.Extmaps() {
		if e.ID != 0 {
			out = append(out, events.Extmap{ID: e.ID, URI: e.URI, Direction: e.Direction})
		}
	}
	return out
}

// direction is what the sender of the section wants. An unspecified address is the old way to say hold: the sender does
// not want to receive (RFC 3264 §8.4). It means nothing with ICE, or where the addresses of the SDP are not trusted.
func direction(m *sdp.Media, distrust bool) events.Direction {
	d := m.Direction()
	if m.Held() && !m.UsesICE() && !distrust {
		d = sdp.MakeDirection(d.Sends(), false)
	}
	return events.Direction(d.String())
}

// protocol is the transport in its usual spelling if we know it.
func protocol(m *sdp.Media) string {
	if name := m.Proto.String(); name != "" {
		return name
	}
	return m.Protocol
}

// copied tells whether the section is passed on as it is, address and all: MSRP and its like run over TCP.
func copied(m *sdp.Media) bool { return m.Class() == "message" }

func replaceAddr(a netip.AddrPort, by netip.Addr) netip.AddrPort {
	if !a.IsValid() {
		return a
	}
	return netip.AddrPortFrom(by, a.Port())
}
