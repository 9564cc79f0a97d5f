// Package ng holds the words of rtpengine's NG protocol: a request with its options in one canonical form, whatever
// spelling or shape they had on the wire, and replies. It is pure: no I/O, clock or randomness.
package ng

import (
	"net/netip"

	"rtpjet/ngserver/bencode"
)

// Dict is a dictionary as it came from the wire: values are []byte (bencode strings), string (JSON strings), int64, bool,
// float64, List or *Dict. Order is kept, because in NG the last of several spellings of a key wins.
type Dict = bencode.Dict

// List is a list as it came from the wire.
type List = bencode.List

// Request is one NG command with every option in canonical form; rtpengine's documentation says what each option means.
// Booleans are false and strings empty where the request said nothing. Unknown keys and flags are in Unknown and are
// never an error.
type Request struct {
	Command string // canonical, lower case except DTMF: "offer", "block media", "block DTMF", …

	CallID    string
	FromTag   string
	ToTag     string
	ViaBranch string
	Label     string // label, from-label
	SetLabel  string
	ToLabel   string
	Metadata  string
	SDP       []byte // nil if there was no sdp key

	// Where and how.
	Direction         [2]string  // logical interfaces of sender and receiver side, "" if not given (direction, from-/to-interface)
	Interface         string     // interface
	AddressFamily     string     // "IP4", "IP6" or ""
	ReceivedFrom      netip.Addr // invalid if not given
	MediaAddress      netip.Addr // invalid if not given
	InboundPeer       netip.Addr // inbound-peer: picks the interface of slot 0 by route, invalid if not given
	OutboundPeer      netip.Addr // outbound-peer: the same for slot 1
	Peer              netip.Addr // peer: the same for commands with one interface
	TransportProtocol string     // canonical spelling ("RTP/AVP", "UDP/TLS/RTP/SAVPF"), "accept", or ""
	UnknownTransport  bool       // a transport protocol was named that nobody knows
	AliasKey          string     // "", "sdp", "address"
	SIPMessageType    string     // "", "request", "reply"
	SIPCode           int

	ICE                             string // "", remove, force, default, optional, force-relay
	ICELite                         string // "", forward, backward, both, off
	TrickleICE, RejectICE, Fragment bool
	RTCPMux                         RTCPMux
	SDES                            []string // values of SDES, in order, prefix removed ("off", "no-NULL_HMAC_SHA1_80", …)
	DTLS                            string   // "", off, passive, active
	DTLSFingerprint                 string
	OSRTP                           []string
	ICE2                            bool     // ICE=ice2: print ice-options:ice2
	T38                             []string // T.38, in order ("decode", "force", "stop", "no-ECM", …)

	Replace             Replace
	Codec               Codec
	Ptime, PtimeReverse int // ms, 0 if not given

	SDPAttr        []SDPAttr // in order
	SDPMediaRemove []string  // media types
	ExtmapStrip    []string
	ExtmapMask     []string
	Bundle         []string

	EndpointLearning string // "", off, immediate, delayed, heuristic
	TOS              int    // TOSUnset if not given; negative keeps what was; 256 and above revert to the default
	RecordCall       string // "", on, off, discard
	DropTraffic      string // "", start, stop
	MediaEcho        string // "", blackhole, forward, backwards, both
	DeleteDelay      int    // seconds; -1 if not given
	Limit            int    // list; LimitUnset if not given
	All              string // "", none, all, offer-answer, except-offer-answer, flows
	FromTags         []string
	Address          string
	Supports         []string

	// Flags, each with its canonical name.
	TrustAddress          bool // trust address
	SIPSourceAddress      bool // SIP source address
	Asymmetric            bool
	Symmetric             bool
	StrictSource          bool
	MediaHandover         bool
	Unidirectional        bool
	PortLatching          bool
	NoPortLatching        bool
	NATWait               bool
	PierceNAT             bool
	Reset                 bool
	OriginalSendrecv      bool
	FullRTCPAttribute     bool
	NoRTCPAttribute       bool
	GenerateMid           bool
	LoopProtect           bool
	NoTLSID               bool
	WebRTC                bool // already expanded into the options that it stands for
	GenerateRTCP          bool
	Debug                 bool
	Recrypt               bool
	AllowAsymmetricCodecs bool
	AllowNoCodecMedia     bool
	AllowTranscoding      bool
	SingleCodec           bool
	ReuseCodecs           bool // reuse codecs, no codec renegotiation
	StaticCodecs          bool
	NewBranch             bool
	Provisional           bool
	Fatal                 bool
	Fast                  bool
	ToTagFlag             bool // the flag "to-tag" of delete and query
	Directional           bool
	Bidirectional         bool
	BlockDTMF             bool
	DiscardRecording      bool

	// Keys and flags of later commands that have no field, under the names in keys.go and flags.go: see Key and Flag.
	Extra      *Dict // nil if there are none
	OtherFlags []string

	// Unknown are the keys and flags that were not understood, for one log line; bounded in number and length.
	Unknown []string
	// Dict is the request as it came, for commands that read keys of their own.
	Dict *Dict
}

// TOSUnset and LimitUnset mark a TOS or limit that was not given.
const (
	TOSUnset   = -1 << 31
	LimitUnset = -1 << 31
)

// RTCPMux are the values of rtcp-mux (docs/ng.md, "rtcp-mux").
type RTCPMux struct{ Offer, Require, Demux, Accept, Reject bool }

// Replace are the values of replace (docs/ng.md, "replace").
type Replace struct {
	Origin, OriginFull, Username, SessionName, SDPVersion, ForceIncrementSDPVer, ZeroAddress bool
}

// Codec are the lists of the codec dictionary (docs/ng.md, "codec"), escapes undone, options after the channel count kept.
type Codec struct {
	Strip, Except, Offer, Ignore, Transcode, Mask, Consume, Accept, Set []string
}

// SDPAttr is one manipulation of sdp-attr.
type SDPAttr struct {
	Scope      string   // "none" (session level) or a media type
	Add        []string // without "a="
	Remove     []string
	Substitute [][2]string
}
