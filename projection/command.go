package projection

import (
	"net/netip"

	"rtpjet/events"
	"rtpjet/ngserver/ng"
)

// Refusal is the error of a decision: the error-reason that the client gets.
type Refusal struct {
	Reason string
	Err    error // what is behind it, for the log; may be nil
}

func (r *Refusal) Error() string {
	if r.Err != nil {
		return r.Reason + ": " + r.Err.Error()
	}
	return r.Reason
}

func (r *Refusal) Unwrap() error { return r.Err }

// Description is what an SDP says, as far as decisions need it.
type Description struct {
	SessionName string
	// NoAllowMixed is true if extmaps are listed without a=extmap-allow-mixed.
	NoAllowMixed bool
	// AliasKey is what identifies the sender if the request asks for from-tag aliasing; empty otherwise.
	AliasKey string
	// Seen is the address that the SIP came from, as the proxy says; invalid if it does not.
	Seen     netip.Addr
	Sections []Section
}

// Section is one m= section of a Description.
type Section struct {
	Type      string
	Class     string // the type as sdp-media-remove names it: audio, video, …, or other
	Protocol  string // as received; empty if a rejected section has none
	RTP       bool   // an RTP profile
	Formats   []string
	Rejected  bool // port 0
	Copied    bool // passed on as it is; needs no sockets
	Remote    events.Ports
	Mux       bool // rtcp-mux, or an a=rtcp equal to the RTP endpoint
	Direction events.Direction
	Codecs    []events.Codec
	Mid       string
	ICE       bool
	// Extmaps are the header extensions; NoAllowMixed is true if there are some, and no a=extmap-allow-mixed.
	Extmaps      []events.Extmap
	NoAllowMixed bool
	// Crypto are the usable a=crypto lines. DTLS is true if there is a fingerprint.
	Crypto []events.Crypto
	DTLS   bool
	// Twin is that of events.Media, set where a decision has joined two sections. Index is the section's position in the SDP.
	Twin  events.Twin
	Index int
}

// LocalAddress is one address of a logical interface.
type LocalAddress struct {
	Interface  string     // the name under which it is remembered
	Bind       netip.Addr // where sockets are bound
	Advertised netip.Addr // what SDPs say
}

// Resources are what only the owner of a call can give.
type Resources interface {
	// Local returns the first address of a logical interface in a family ("IP4" or "IP6"). The name "" is the default
	// interface; an unknown name falls back to it. If the interface has no address of the family, one of the other
	// family is returned.
	Local(name, family string) (LocalAddress, bool)
	// Reserve binds n sockets on an address: one, or an even port and the next.
	Reserve(bind netip.Addr, n int) ([]netip.AddrPort, error)
	// Own tells whether an address is one at which the owner relays, for this call or another.
	Own(a netip.AddrPort) bool
	// Random returns n bytes for a key, which nobody can guess.
	Random(n int) []byte
}

// Signal is an offer or an answer to be decided.
type Signal struct {
	Answer bool
	Req    *ng.Request
	Desc   Description
	Node   string // who decides; becomes the owner of a new call
	Now    int64  // µs of Unix time
	Level  int    // of the events that may be written, see [events.Level]; 0 is events.LevelFirst
}

// Signalled is a decision about a Signal: what to append once the SDP for the receiver is written.
type Signalled struct {
	Event events.Signalling // Parties holds the sender and the receiver, in this order
	// Sender and Receiver are the two parties for the SDP that goes out.
	Sender, Receiver *events.Party
	// Sections has for each position of the parties' medias the index of its section in the SDP; -1 where there is none.
	Sections []int
	// Misplaced counts the sections of an answer that answer nothing that was offered.
	Misplaced int
	// New is true if the event creates the call.
	New bool
}
