package ng

import (
	"net/netip"
	"strings"
)

// keyTable maps the folded name of a key to what reads its value. The keys are those of rtpengine's documentation.
// Filled by init because reading rtpp-flags leads back to it.
var keyTable map[string]func(*parser, any)

// Keys without a field: they are kept under this name in Request.Extra.
var extraKeys = []string{
	// recording
	"recording-file", "output-destination", "output-file", "recording-dir", "recording-pattern", "pause",
	"recording-media-slot-offer", "recording-media-slot-answer", "recording-media-slots",
	"vsc-start-rec", "vsc-stop-rec", "vsc-pause-rec", "vsc-start-stop-rec", "vsc-pause-resume-rec", "vsc-start-pause-resume-rec",
	// playback and DTMF
	"file", "blob", "blob64", "db-id", "repeat-times", "repeat-duration", "start-pos", "duration", "code", "digit", "volume",
	"frequency", "frequencies", "trigger", "trigger-end", "trigger-end-time", "trigger-end-digits", "dtmf-security",
	"dtmf-security-trigger", "dtmf-security-trigger-end", "dtmf-delay", "delay-buffer", "moh", "audio-player",
	// subscriptions, connect, mesh, create, inject, transform
	"to-call-id", "source-tag", "source-call-id", "calls", "tags", "media", "medias", "instance",
	// the rest
	"passthrough", "t.38-version", "xmlrpc-callback", "dtmf-log-dest", "body",
}

// Keys and flags that were once something, or that are orders to the SIP proxy's module: read and dropped without a word.
var obsolete = []string{
	"repacketize", "force", "session-connection", "replace-session-connection", "asymmetric-codecs", "symmetric-codecs",
	"reorder-codecs", "out-iface", "in-iface", "setid", "sock-var",
}

func init() {
	keyTable = map[string]func(*parser, any){
		"command":    func(*parser, any) {},
		"call-id":    text("call-id", func(r *Request) *string { return &r.CallID }),
		"from-tag":   text("from-tag", func(r *Request) *string { return &r.FromTag }),
		"to-tag":     text("to-tag", func(r *Request) *string { return &r.ToTag }),
		"via-branch": text("via-branch", func(r *Request) *string { return &r.ViaBranch }),
		"label":      text("label", func(r *Request) *string { return &r.Label }),
		"from-label": text("label", func(r *Request) *string { return &r.Label }),
		"set-label":  text("set-label", func(r *Request) *string { return &r.SetLabel }),
		"to-label":   text("to-label", func(r *Request) *string { return &r.ToLabel }),
		"metadata":   text("metadata", func(r *Request) *string { return &r.Metadata }),
		"interface":  text("interface", func(r *Request) *string { return &r.Interface }),
		"address":    text("address", func(r *Request) *string { return &r.Address }),
		"sdp":        readSDP,

		"direction":      readDirection,
		"from-interface": text("from-interface", func(r *Request) *string { return &r.Direction[0] }),
		"to-interface":   text("to-interface", func(r *Request) *string { return &r.Direction[1] }),
		"inbound-peer":   addr("inbound-peer", func(r *Request) *netip.Addr { return &r.InboundPeer }),
		"outbound-peer":  addr("outbound-peer", func(r *Request) *netip.Addr { return &r.OutboundPeer }),
		"peer":           addr("peer", func(r *Request) *netip.Addr { return &r.Peer }),
		"received-from":  addr("received-from", func(r *Request) *netip.Addr { return &r.ReceivedFrom }),
		"media-address":  addr("media-address", func(r *Request) *netip.Addr { return &r.MediaAddress }),
		"address-family": enum("address-family", func(r *Request) *string { return &r.AddressFamily },
			"IP4=IP4 ip4=IP4 IPv4=IP4 ipv4=IP4 IP6=IP6 ip6=IP6 IPv6=IP6 ipv6=IP6"),
		"transport-protocol": readTransport,
		"alias-key": enum("alias-key", func(r *Request) *string { return &r.AliasKey },
			"off= none= no= SDP=sdp sdp=sdp address=address endpoint=address"),
		"sip-message-type": enum("sip-message-type", func(r *Request) *string { return &r.SIPMessageType },
			"sip-request=request SIP-request=request request=request sip-reply=reply SIP-reply=reply reply=reply"),
		"sip-code": integer("sip-code", func(r *Request) *int { return &r.SIPCode }),

		"ice": func(p *parser, v any) { p.each("ICE", v, (*parser).ice) },
		"ice-lite": enum("ICE-lite", func(r *Request) *string { return &r.ICELite },
			"forward=forward backward=backward both=both off=off no=off"),
		"rtcp-mux": func(p *parser, v any) { p.each("rtcp-mux", v, (*parser).rtcpMux) },
		"sdes":     func(p *parser, v any) { p.each("SDES", v, (*parser).sdes) },
		"dtls": enum("DTLS", func(r *Request) *string { return &r.DTLS },
			"off=off no=off disable=off disabled=off passive=passive active=active"),
		"dtls-fingerprint": text("DTLS-fingerprint", func(r *Request) *string { return &r.DTLSFingerprint }),
		"osrtp":            func(p *parser, v any) { p.each("OSRTP", v, (*parser).osrtp) },
		"t.38":             func(p *parser, v any) { p.each("T.38", v, (*parser).t38) },
		"t38":              func(p *parser, v any) { p.each("T.38", v, (*parser).t38) },

		"replace":       func(p *parser, v any) { p.each("replace", v, (*parser).replace) },
		"codec":         readCodec,
		"ptime":         integer("ptime", func(r *Request) *int { return &r.Ptime }),
		"ptime-reverse": integer("ptime-reverse", func(r *Request) *int { return &r.PtimeReverse }),

		"sdp-attr":         readSDPAttr,
		"sdp-media-remove": readMediaRemove,
		"extmap":           readExtmap,
		"bundle":           func(p *parser, v any) { p.each("bundle", v, (*parser).bundle) },

		"endpoint-learning": enum("endpoint-learning", func(r *Request) *string { return &r.EndpointLearning },
			"off=off immediate=immediate delayed=delayed heuristic=heuristic"),
		"tos": integer("TOS", func(r *Request) *int { return &r.TOS }),
		"record-call": enum("record call", func(r *Request) *string { return &r.RecordCall },
			"yes=on on=on true=on no=off off=off false=off discard=discard"),
		"drop-traffic": enum("drop-traffic", func(r *Request) *string { return &r.DropTraffic }, "start=start stop=stop"),
		"media-echo": enum("media echo", func(r *Request) *string { return &r.MediaEcho },
			"blackhole=blackhole sinkhole=blackhole forward=forward backwards=backwards backward=backwards both=both"),
		"generate-rtcp": func(p *parser, v any) {
			if on, ok := isOn(v); ok {
				p.r.GenerateRTCP = on
			} else {
				p.badValue("generate RTCP", v)
			}
		},
		"delete-delay": integer("delete-delay", func(r *Request) *int { return &r.DeleteDelay }),
		"limit":        integer("limit", func(r *Request) *int { return &r.Limit }),
		"all": enum("all", func(r *Request) *string { return &r.All },
			"none=none no=none all=all yes=all offer-answer=offer-answer except-offer-answer=except-offer-answer flows=flows"),
		"from-tags": func(p *parser, v any) {
			p.each("from-tags", v, func(p *parser, s string) { p.r.FromTags = append(p.r.FromTags, unescape(s)) })
		},
		"supports": func(p *parser, v any) { p.r.Supports = Strings(v) },

		"flags":      func(p *parser, v any) { eachString(v, p.flag) },
		"template":   func(p *parser, v any) { eachString(v, p.template) },
		"rtpp-flags": readRTPPFlags,
	}
	for _, k := range extraKeys {
		keyTable[k] = func(p *parser, v any) {
			if p.r.Extra == nil {
				p.r.Extra = &Dict{}
			}
			p.r.Extra.Set(k, v)
		}
	}
	for _, k := range obsolete {
		keyTable[k] = func(*parser, any) {}
	}
}

// text is a reader for a key with a string.
func text(name string, field func(*Request) *string) func(*parser, any) {
	return func(p *parser, v any) {
		if s, ok := Text(v); ok {
			*field(p.r) = s
		} else {
			p.badValue(name, v)
		}
	}
}

// integer is a reader for a key with a number. Values that do not fit an int32 become its ends, so that arithmetic with
// them is safe.
func integer(name string, field func(*Request) *int) func(*parser, any) {
	const limit = 1<<31 - 2 // inside of TOSUnset and LimitUnset
	return func(p *parser, v any) {
		n, ok := Int(v)
		if !ok {
			p.badValue(name, v)
			return
		}
		*field(p.r) = int(min(max(n, -limit), limit))
	}
}

// addr is a reader for a key with an IP address.
func addr(name string, field func(*Request) *netip.Addr) func(*parser, any) {
	return func(p *parser, v any) {
		if a := addrValue(v); a.IsValid() {
			*field(p.r) = a
		} else {
			p.badValue(name, v)
		}
	}
}

// enum is a reader for a key with one of some words, given as "word=canonical …".
func enum(name string, field func(*Request) *string, words string) func(*parser, any) {
	table := enumTable(words)
	return func(p *parser, v any) {
		s, _ := Text(v)
		if canonical, ok := table[word(s)]; ok {
			*field(p.r) = canonical
		} else {
			p.badValue(name, v)
		}
	}
}

func enumTable(words string) map[string]string {
	table := make(map[string]string)
	for w := range strings.FieldsSeq(words) {
		from, to, _ := strings.Cut(w, "=")
		table[from] = to
	}
	return table
}

// each reads a list with f and notes a value that is none.
func (p *parser) each(name string, v any, f func(*parser, string)) {
	if _, isDict := v.(*Dict); isDict {
		p.badValue(name, v)
		return
	}
	eachString(v, func(s string) { f(p, s) })
}

func readSDP(p *parser, v any) {
	switch v := v.(type) {
	case []byte:
		p.r.SDP = v
		if v == nil {
			p.r.SDP = []byte{}
		}
	case string:
		p.r.SDP = []byte(v)
	default:
		p.badValue("sdp", v)
	}
}

// readDirection fills both slots from a list or from names with a comma. A single name fills the next free slot: that is
// how rtpp-flags repeats direction=X.
func readDirection(p *parser, v any) {
	if s, ok := Text(v); ok && !strings.Contains(s, ",") {
		if l, isList := v.(List); !isList || len(l) != 1 {
			p.directionWord(s)
			return
		}
	}
	p.slots = 0
	eachString(v, p.directionWord)
}

func (p *parser) directionWord(name string) {
	if p.slots < len(p.r.Direction) {
		p.r.Direction[p.slots] = name
		p.slots++
	}
}

// readTransport takes a profile in any case, or the word accept.
func readTransport(p *parser, v any) {
	s, _ := Text(v)
	if t := transportName(s); t != "" {
		p.r.TransportProtocol = t
	} else {
		p.r.UnknownTransport = true
		p.badValue("transport protocol", v)
	}
}

// transportName returns the canonical spelling of a transport protocol, or "".
func transportName(s string) string {
	for _, t := range [...]string{"RTP/AVP", "RTP/AVPF", "RTP/SAVP", "RTP/SAVPF", "UDP/TLS/RTP/SAVP", "UDP/TLS/RTP/SAVPF", "udptl", "accept"} {
		if strings.EqualFold(s, t) {
			return t
		}
	}
	return ""
}

// readCodec reads the codec dictionary.
func readCodec(p *parser, v any) {
	d, ok := v.(*Dict)
	if !ok {
		p.badValue("codec", v)
		return
	}
	for i, k := range d.Keys {
		var buf [maxWord]byte
		list := p.r.Codec.list(string(fold(buf[:], k)))
		if list == nil {
			p.unknown("codec", k)
			continue
		}
		eachString(d.Values[i], func(s string) { *list = append(*list, unescape(s)) })
	}
}

// list returns the list of a codec operation, nil if there is no such operation.
func (c *Codec) list(operation string) *[]string {
	switch operation {
	case "strip":
		return &c.Strip
	case "except":
		return &c.Except
	case "offer":
		return &c.Offer
	case "ignore":
		return &c.Ignore
	case "transcode":
		return &c.Transcode
	case "mask":
		return &c.Mask
	case "consume":
		return &c.Consume
	case "accept":
		return &c.Accept
	case "set":
		return &c.Set
	}
	return nil
}

// readExtmap reads extmap={strip:[…], mask:[…]}.
func readExtmap(p *parser, v any) {
	d, ok := v.(*Dict)
	if !ok {
		p.badValue("extmap", v)
		return
	}
	for i, k := range d.Keys {
		switch k {
		case "strip":
			p.r.ExtmapStrip = append(p.r.ExtmapStrip, Strings(d.Values[i])...)
		case "mask":
			p.r.ExtmapMask = append(p.r.ExtmapMask, Strings(d.Values[i])...)
		default:
			p.unknown("extmap", k)
		}
	}
}
