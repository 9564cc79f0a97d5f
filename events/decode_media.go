package events

import "math"

func (r *reader) medias(told *lists) []Media {
	list := make([]Media, 0, 1)
	for begun := false; r.element(begun); begun = true {
		list = append(list, Media{})
		r.media(&list[len(list)-1], told)
	}
	if cap(list) > len(list) {
		list = append(make([]Media, 0, len(list)), list...)
	}
	return list
}

func (r *reader) media(m *Media, told *lists) {
	var seen uint64
	for k, ok := r.key(false); ok; k, ok = r.key(true) {
		var bit uint64
		switch string(k) {
		case "type":
			bit, m.Type = 1<<0, intern(r.text())
		case "protocol":
			bit, m.Protocol = 1<<1, intern(r.text())
		case "formats":
			bit, m.Formats = 1<<2, r.formats(told)
		case "mid":
			bit, m.Mid = 1<<3, intern(r.text())
		case "rejected":
			bit, m.Rejected = 1<<4, r.bool()
		case "hidden":
			bit, m.Hidden = 1<<5, r.bool()
		case "interface":
			bit, m.Interface = 1<<6, intern(r.text())
		case "advertised":
			bit, m.Advertised = 1<<7, r.addr()
		case "local":
			bit = 1 << 8
			r.ports(&m.Local)
		case "serves":
			bit, m.Serves = 1<<9, r.addrPort()
		case "earlier":
			bit, m.Earlier = 1<<10, r.earlier()
		case "told":
			bit, m.Told = 1<<11, r.bool()
		case "remote":
			bit = 1 << 12
			r.ports(&m.Remote)
		case "learned":
			bit = 1 << 13
			r.ports(&m.Learned)
		case "confirmed":
			bit, m.Confirmed = 1<<14, r.confirmed()
		case "direction":
			bit, m.Direction = 1<<15, Direction(intern(r.text()))
		case "codecs":
			bit, m.Codecs = 1<<16, r.codecs(told)
		case "offered":
			bit, m.Offered = 1<<17, r.codecs(told)
		case "stripped":
			bit, m.Stripped = 1<<18, r.codecs(told)
		case "mux":
			bit, m.Mux = 1<<19, r.bool()
		case "mux_offered":
			bit, m.MuxOffered = 1<<20, r.bool()
		case "mux_sent":
			bit, m.MuxSent = 1<<21, r.bool()
		case "mux_accept":
			bit, m.MuxAccept = 1<<22, r.bool()
		case "mux_reject":
			bit, m.MuxReject = 1<<23, r.bool()
		case "asymmetric":
			bit, m.Asymmetric = 1<<24, r.bool()
		case "unidirectional":
			bit, m.Unidirectional = 1<<25, r.bool()
		case "strict_source":
			bit, m.StrictSource = 1<<26, r.bool()
		case "media_handover":
			bit, m.MediaHandover = 1<<27, r.bool()
		case "port_latching":
			bit, m.PortLatching = 1<<28, r.bool()
		case "nat_wait":
			bit, m.NATWait = 1<<29, r.bool()
		case "pierce_nat":
			bit, m.PierceNAT = 1<<30, r.bool()
		case "learning":
			bit, m.Learning = 1<<31, intern(r.text())
		case "echo":
			bit, m.Echo = 1<<32, intern(r.text())
		case "blocked":
			bit, m.Blocked = 1<<33, r.bool()
		case "blocked_dtmf":
			bit, m.BlockedDTMF = 1<<34, r.bool()
		case "signal":
			bit, m.Signal = 1<<35, r.uint64()
		case "signal_at":
			bit, m.SignalAt = 1<<36, r.int64()
		case "extmaps":
			bit, m.Extmaps = 1<<37, r.bool()
		case "ice":
			bit, m.ICE = 1<<38, r.bool()
		case "controlling":
			bit, m.Controlling = 1<<39, r.bool()
		case "recrypt":
			bit, m.Recrypt = 1<<40, r.bool()
		case "end_to_end":
			bit, m.EndToEnd = 1<<41, r.bool()
		case "twin":
			bit, m.Twin = 1<<42, Twin(r.upTo(math.MaxUint8))
		case "srtp":
			bit, m.SRTP = 1<<43, r.srtp()
		case "place":
			bit, m.Place = 1<<62, uint16(r.upTo(math.MaxUint16))
		case "proposed":
			bit, m.Proposed = 1<<63, Proposed(r.upTo(math.MaxUint8))
		case "withheld":
			bit = 1 << 44
			m.Withhold(r.extmaps())
		case "loop_check":
			bit, m.LoopCheck = 1<<45, r.bool()
		case "former":
			bit, m.Former = 1<<46, new(Ports)
			r.ports(m.Former)
		case "no_allow_mixed":
			bit, m.NoAllowMixed = 1<<47, r.bool()
		}
		r.once(&seen, bit)
	}
}

func (r *reader) extmaps() []Extmap {
	var list []Extmap
	for begun := false; r.element(begun); begun = true {
		var e Extmap
		var seen uint64
		for k, ok := r.key(false); ok; k, ok = r.key(true) {
			var bit uint64
			switch string(k) {
			case "id":
				bit, e.ID = 1<<0, r.int()
			case "uri":
				bit, e.URI = 1<<1, string(r.text())
			case "direction":
				bit, e.Direction = 1<<2, intern(r.text())
			case "masked":
				bit, e.Masked = 1<<3, r.bool()
			}
			r.once(&seen, bit)
		}
		list = append(list, e)
	}
	return append(make([]Extmap, 0, len(list)), list...)
}

func (r *reader) confirmed() (c [2]bool) {
	r.want('[')
	c[0] = r.bool()
	r.want(',')
	c[1] = r.bool()
	r.want(']')
	return c
}

func (r *reader) ports(p *Ports) {
	var seen uint64
	for k, ok := r.key(false); ok; k, ok = r.key(true) {
		var bit uint64
		switch string(k) {
		case "rtp":
			bit, p.RTP = 1<<0, r.addrPort()
		case "rtcp":
			bit, p.RTCP = 1<<1, r.addrPort()
		}
		r.once(&seen, bit)
	}
}

func (r *reader) earlier() []Earlier {
	var list []Earlier
	for begun := false; r.element(begun); begun = true {
		var e Earlier
		var seen uint64
		for k, ok := r.key(false); ok; k, ok = r.key(true) {
			var bit uint64
			switch string(k) {
			case "interface":
				bit, e.Interface = 1<<0, intern(r.text())
			case "advertised":
				bit, e.Advertised = 1<<1, r.addr()
			case "local":
				bit = 1 << 2
				r.ports(&e.Local)
			case "remote":
				bit, e.Remote = 1<<3, r.addrPort()
			}
			r.once(&seen, bit)
		}
		list = append(list, e)
	}
	return append(make([]Earlier, 0, len(list)), list...)
}
