package ng

import "strings"

// flagTable maps the folded name of a flag to what it does. The flags are those of rtpengine's documentation.
var flagTable map[string]func(*parser)

// Flags without a field: they are kept under this name in Request.OtherFlags.
var otherFlags = []string{
	"exclude-recording", "skip-recording-db", "recording-announcement", "recording-vsc", "pause",
	"block-egress", "block-short", "force-transcoding", "always-transcode",
	"inject-dtmf", "detect-dtmf", "early-media", "mix", "inactive", "rtcp-mirror", "egress", "siprec", "unsubscribe",
	"no-redis-update", "no-jitter-buffer", "passthrough", "no-passthrough", "audio-player", "no-player",
}

func init() {
	flagTable = map[string]func(*parser){
		"trust-address":           func(p *parser) { p.r.TrustAddress, p.r.SIPSourceAddress = true, false },
		"sip-source-address":      func(p *parser) { p.r.SIPSourceAddress, p.r.TrustAddress = true, false },
		"asymmetric":              set(func(r *Request) *bool { return &r.Asymmetric }),
		"symmetric":               set(func(r *Request) *bool { return &r.Symmetric }),
		"strict-source":           set(func(r *Request) *bool { return &r.StrictSource }),
		"media-handover":          set(func(r *Request) *bool { return &r.MediaHandover }),
		"unidirectional":          set(func(r *Request) *bool { return &r.Unidirectional }),
		"port-latching":           set(func(r *Request) *bool { return &r.PortLatching }),
		"no-port-latching":        set(func(r *Request) *bool { return &r.NoPortLatching }),
		"nat-wait":                set(func(r *Request) *bool { return &r.NATWait }),
		"pierce-nat":              set(func(r *Request) *bool { return &r.PierceNAT }),
		"reset":                   set(func(r *Request) *bool { return &r.Reset }),
		"original-sendrecv":       set(func(r *Request) *bool { return &r.OriginalSendrecv }),
		"full-rtcp-attribute":     set(func(r *Request) *bool { return &r.FullRTCPAttribute }),
		"no-rtcp-attribute":       set(func(r *Request) *bool { return &r.NoRTCPAttribute }),
		"generate-mid":            set(func(r *Request) *bool { return &r.GenerateMid }),
		"loop-protect":            set(func(r *Request) *bool { return &r.LoopProtect }),
		"no-tls-id":               set(func(r *Request) *bool { return &r.NoTLSID }),
		"trickle-ice":             set(func(r *Request) *bool { return &r.TrickleICE }),
		"reject-ice":              set(func(r *Request) *bool { return &r.RejectICE }),
		"fragment":                set(func(r *Request) *bool { return &r.Fragment }),
		"generate-rtcp":           set(func(r *Request) *bool { return &r.GenerateRTCP }),
		"debug":                   set(func(r *Request) *bool { return &r.Debug }),
		"recrypt":                 set(func(r *Request) *bool { return &r.Recrypt }),
		"allow-asymmetric-codecs": set(func(r *Request) *bool { return &r.AllowAsymmetricCodecs }),
		"allow-no-codec-media":    set(func(r *Request) *bool { return &r.AllowNoCodecMedia }),
		"allow-transcoding":       set(func(r *Request) *bool { return &r.AllowTranscoding }),
		"single-codec":            set(func(r *Request) *bool { return &r.SingleCodec }),
		"reuse-codecs":            set(func(r *Request) *bool { return &r.ReuseCodecs }),
		"no-codec-renegotiation":  set(func(r *Request) *bool { return &r.ReuseCodecs }),
		"static-codecs":           set(func(r *Request) *bool { return &r.StaticCodecs }),
		"new-branch":              set(func(r *Request) *bool { return &r.NewBranch }),
		"provisional":             set(func(r *Request) *bool { return &r.Provisional }),
		"fatal":                   set(func(r *Request) *bool { return &r.Fatal }),
		"fast":                    set(func(r *Request) *bool { return &r.Fast }),
		"to-tag":                  set(func(r *Request) *bool { return &r.ToTagFlag }),
		"directional":             set(func(r *Request) *bool { return &r.Directional }),
		"bidirectional":           set(func(r *Request) *bool { return &r.Bidirectional }),
		"block-dtmf":              set(func(r *Request) *bool { return &r.BlockDTMF }),
		"discard-recording":       set(func(r *Request) *bool { return &r.DiscardRecording }),

		"webrtc":       (*parser).webRTC,
		"record-call":  func(p *parser) { p.r.RecordCall = "on" },
		"all":          func(p *parser) { p.r.All = "all" },
		"strip-extmap": func(p *parser) { p.r.ExtmapStrip = append(p.r.ExtmapStrip, "all") },
		"pad-crypto":   func(p *parser) { p.sdes("pad") },
	}
	for _, f := range otherFlags {
		flagTable[f] = func(p *parser) {
			if !p.r.Flag(f) {
				p.r.OtherFlags = append(p.r.OtherFlags, f)
			}
		}
	}
	for _, f := range obsolete {
		flagTable[f] = func(*parser) {}
	}
}

func set(field func(*Request) *bool) func(*parser) {
	return func(p *parser) { *field(p.r) = true }
}

// webRTC does what the flag stands for (docs/ng.md, "Flags strings and templates"). Later words of the request may
// change parts of it.
func (p *parser) webRTC() {
	r := p.r
	r.WebRTC = true
	r.TransportProtocol = "UDP/TLS/RTP/SAVPF"
	r.ICE = "force"
	r.TrickleICE = true
	r.RTCPMux.Offer, r.RTCPMux.Require = true, true
	r.NoRTCPAttribute = true
	r.GenerateMid = true
	p.sdes("off")
	p.bundle("offer")
	p.bundle("require")
}

// flagPrefixes are the flags that are an option with its value in one word, PREFIX-value. Of prefixes that begin
// alike the longer one comes first.
var flagPrefixes = []struct {
	prefix string // folded
	apply  func(p *parser, value string)
}{
	{"codec-strip-", codecFlag("strip")},
	{"codec-except-", codecFlag("except")},
	{"codec-offer-", codecFlag("offer")},
	{"codec-ignore-", codecFlag("ignore")},
	{"codec-transcode-", codecFlag("transcode")},
	{"codec-mask-", codecFlag("mask")},
	{"codec-consume-", codecFlag("consume")},
	{"codec-accept-", codecFlag("accept")},
	{"codec-set-", codecFlag("set")},
	{"transcode-", codecFlag("transcode")},
	{"sdes-", (*parser).sdes},
	{"osrtp-", (*parser).osrtp},
	{"replace-", (*parser).replace},
	{"rtcp-mux-", (*parser).rtcpMux},
	{"bundle-", (*parser).bundle},
	{"t.38-", (*parser).t38},
	{"t38-", (*parser).t38},
	{"endpoint-learning-", func(p *parser, s string) { keyTable["endpoint-learning"](p, s) }},
	{"from-tags-", func(p *parser, s string) { p.r.FromTags = append(p.r.FromTags, unescape(s)) }},
	{"sdp-attr-add-", sdpAttrFlag("add")},
	{"sdp-attr-remove-", sdpAttrFlag("remove")},
	{"sdp-attr-substitute-", sdpAttrFlag("substitute")},
	{"extmap-strip-", func(p *parser, s string) { p.r.ExtmapStrip = append(p.r.ExtmapStrip, s) }},
	{"extmap-mask-", func(p *parser, s string) { p.r.ExtmapMask = append(p.r.ExtmapMask, s) }},
}

// maxPrefix is the length of the longest flag prefix.
const maxPrefix = 24

func codecFlag(operation string) func(*parser, string) {
	return func(p *parser, s string) {
		list := p.r.Codec.list(operation)
		*list = append(*list, unescape(s))
	}
}

// flag reads one flag: a plain word, key=value (as Kamailio passes on what it does not know), or PREFIX-value.
func (p *parser) flag(s string) {
	var buf [maxWord]byte
	if f, ok := flagTable[string(fold(buf[:], s))]; ok {
		f(p)
		return
	}
	if k, v, found := strings.Cut(s, "="); found && k != "" {
		if f, ok := keyTable[string(fold(buf[:], k))]; ok {
			f(p, v)
			return
		}
	}
	head := fold(buf[:], s[:min(len(s), maxPrefix)])
	for _, f := range flagPrefixes {
		if len(s) > len(f.prefix) && string(head[:min(len(f.prefix), len(head))]) == f.prefix {
			f.apply(p, s[len(f.prefix):])
			return
		}
	}
	p.unknown(s, "")
}

// ice reads one word of ICE.
func (p *parser) ice(s string) {
	switch w := word(s); w {
	case "remove", "force", "default", "optional", "force-relay":
		p.r.ICE = w
	case "trickle":
		p.r.TrickleICE = true
	case "ice2":
		p.r.ICE2 = true
	case "lite", "lite-forward":
		p.r.ICELite = "forward"
	case "lite-backward":
		p.r.ICELite = "backward"
	case "lite-both":
		p.r.ICELite = "both"
	case "lite-off":
		p.r.ICELite = "off"
	default:
		p.unknown("ICE", s)
	}
}

// rtcpMux reads one word of rtcp-mux (docs/ng.md, "rtcp-mux").
func (p *parser) rtcpMux(s string) {
	m := &p.r.RTCPMux
	switch s {
	case "offer":
		m.Offer = true
	case "require":
		m.Require = true
	case "demux":
		m.Demux = true
	case "accept":
		m.Accept = true
	case "reject":
		m.Reject = true
	default:
		p.unknown("rtcp-mux", s)
	}
}

// sdes reads one word of SDES. Suite names and parameters stay as they are: what they mean is the SDP engine's.
func (p *parser) sdes(s string) {
	w := word(s)
	switch w {
	case "no", "off", "disable", "disabled":
		w = "off"
	case "unencrypted-srtp", "unencrypted-srtcp", "unauthenticated-srtp", "encrypted-srtp", "encrypted-srtcp",
		"authenticated-srtp", "offerer-pref":
		w = strings.ReplaceAll(w, "-", "_")
	case "nonew", "pad", "lifetime", "static", "prefer":
	default:
		known := false
		for _, prefix := range [...]string{"no-", "only-", "order:", "offerer_pref:"} {
			known = known || strings.HasPrefix(s, prefix)
		}
		if !known {
			p.unknown("SDES", s)
			return
		}
		w = s // suites have underscores
	}
	p.r.SDES = append(p.r.SDES, w)
}

// osrtp reads one word of OSRTP.
func (p *parser) osrtp(s string) {
	switch w := word(s); w {
	case "offer", "offer-RFC", "offer-legacy", "accept", "accept-RFC", "accept-legacy":
		p.r.OSRTP = append(p.r.OSRTP, w)
	default:
		p.unknown("OSRTP", s)
	}
}

// t38 reads one word of T.38.
func (p *parser) t38(s string) { p.r.T38 = append(p.r.T38, s) }

// bundle reads one word of bundle.
func (p *parser) bundle(s string) {
	switch s {
	case "accept", "offer", "require", "strict", "reject":
		for _, b := range p.r.Bundle {
			if b == s {
				return
			}
		}
		p.r.Bundle = append(p.r.Bundle, s)
	default:
		p.unknown("bundle", s)
	}
}

// replace reads one word of replace (docs/ng.md, "replace").
func (p *parser) replace(s string) {
	r := &p.r.Replace
	switch word(s) {
	case "origin":
		r.Origin = true
	case "origin-full":
		r.OriginFull = true
	case "username":
		r.Username = true
	case "session-name":
		r.SessionName = true
	case "SDP-version", "sdp-version":
		r.SDPVersion = true
	case "force-increment-sdp-ver", "force-increment-SDP-ver":
		r.ForceIncrementSDPVer = true
	case "zero-address":
		r.ZeroAddress = true
	case "session-connection": // of the default kamailio.cfg and of jambonz; long without effect
	default:
		p.unknown("replace", s)
	}
}
