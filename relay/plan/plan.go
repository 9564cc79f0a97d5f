// Package plan holds the words in which the projection tells a relay engine what to do: which local sockets a
// call has, where each of them sends, and what it may learn from the packets it receives. It is pure data; it imports
// the standard library only and is shared by projection (which makes plans) and relay (which carries them out).
package plan

import "net/netip"

// Learning says how a stream's remote address is learned from received packets; docs/learning.md has the rules.
type Learning uint8

// The four learning modes, by rtpengine's names.
const (
	LearnHeuristic Learning = iota // sources are ranked, and believed after some packets
	LearnOff                       // the SDP's address only
	LearnImmediate                 // the first packet decides
	LearnDelayed                   // packets re-learn until LearnUntil, then the next one is committed
)

// Stream is one local UDP socket of a call: one component (RTP or RTCP) of one media section of one party. A packet that
// arrives on Local came from that party; a packet sent to that party leaves from Local towards the remote address.
type Stream struct {
	// Local is the bound address; it identifies the stream within a node.
	Local netip.AddrPort
	// RTCP is true for the socket of the RTCP component.
	RTCP bool
	// Mux is true if RTP and RTCP share this socket (RFC 5761): packets are told apart by payload type.
	Mux bool
	// Opaque is true for media that is not RTP (T.38 over UDPTL and others): packets are forwarded without being looked at.
	Opaque bool

	// Signalled is the remote address of the SDP; invalid if none is known, unspecified (0.0.0.0 or ::) on hold.
	Signalled netip.AddrPort
	// Seen is the address from which the proxy received the party's SIP; invalid if it did not say.
	Seen netip.Addr
	// Learned is a remote address that an event has recorded under this SDP; invalid if none. It wins over Signalled.
	Learned netip.AddrPort
	// Confirmed is true if Learned was reported as confirmed. Without it a restart would open a confirmed stream to whoever
	// sends first.
	Confirmed bool
	// Former is what was learned before the SDP named another address; invalid if nothing was.
	Former netip.AddrPort
	// Types are the RTP payload types that the party may send; none: any.
	Types []uint8
	// RTP is the socket of the same section that has its RTP, for a stream of RTCP; invalid otherwise.
	RTP netip.AddrPort
	// Epoch changes with every signalling event that touches the stream.
	Epoch uint64
	// LearnUntil is the end of the learning window, in microseconds of Unix time (3 s after the last signalling event).
	LearnUntil int64
	// Mode is the learning mode.
	Mode Learning
	// MayLearn is false until the media was put into an SDP that we sent: packets are forwarded, but teach nothing.
	MayLearn bool

	// Lenient believes any source by its first packet, and forwards what comes from others.
	Lenient bool

	Asymmetric    bool // a learned source never becomes the address to send to
	StrictSource  bool // once a source is believed, only a better one takes its place
	MediaHandover bool // follow a source that changes, wherever the new one is
	NATWait       bool // send nothing before something was received
	PierceNAT     bool // send a probe to Signalled until something was received

	// RTPSinks are the local addresses of the sockets from which RTP (or opaque) packets received here leave;
	// RTCPSinks likewise for RTCP, wherever it arrives: some send it to the RTP port without having agreed on that. Each names a
	// Stream of the same call. Empty: the packet is counted and dropped.
	RTPSinks  []netip.AddrPort
	RTCPSinks []netip.AddrPort

	// Blocked drops what arrives here after counting it (block media, drop-traffic, inactive), except for telephone-event
	// packets whose payload type is in DTMF.
	Blocked bool
	// BlockDTMF drops telephone-event packets whose payload type is in DTMF.
	BlockDTMF bool
	// DTMF are the payload types of telephone-event on this stream.
	DTMF []uint8
	// Clocks are the clock rates of the payload types that may arrive, for jitter to be measured. One of telephone-event is not among them:
	// its timestamps are not those of its packets.
	Clocks []Clock
	// Echo sends what arrives back to its own remote address (media echo), and to none of the sinks.
	Echo bool

	// MaskExtensions are the ids of RTP header extensions (RFC 8285) that are deleted from RTP that arrives on Local before it
	// is forwarded, in ascending order.
	MaskExtensions []uint8
	// NoFeedback keeps RTCP feedback packets (RFC 4585, types 205 and 206) from leaving from Local: the party's profile has none,
	// and a party that it hears has one that does.
	NoFeedback bool
	// LoopCheck is true if the remote address of the SDP is one of our own: what leaves from Local may come back to us.
	LoopCheck bool

	// TOS is the IP TOS or traffic class byte of packets that leave from Local, 0 to 255.
	TOS uint8

	// Decrypt is how what arrives on Local is protected, Encrypt how what leaves from Local has to be; nil: not, or end to
	// end between the parties. With both sides plain, or both nil, packets pass as they are.
	Decrypt, Encrypt *SRTP
}

// Clock is the RTP clock rate of a payload type.
type Clock struct {
	PT   uint8
	Rate uint32 // Hz
}

// SRTP is how the packets of one direction are protected (RFC 3711). Nothing changes it once it is in a Stream; equal values
// of two plans mean that state (rollover counters, replay windows) goes on.
type SRTP struct {
	// Suite is the name of RFC 4568, 6188 or 7714, such as "AES_CM_128_HMAC_SHA1_80".
	Suite string
	// Key and Salt are the master key and salt, in the lengths that the suite has.
	Key, Salt string
	// MKI stands in each packet before the authentication tag; empty: none.
	MKI string
	// PlainRTP and PlainRTCP leave payloads in the clear, Unauthenticated leaves the tag of RTP out (RFC 4568 §6.3).
	PlainRTP, PlainRTCP, Unauthenticated bool
	// Rollovers are what was known of the sources of this direction when the plan was made, for a relay that has no state yet.
	// They are of this key: one that is new has none. They may be old, by less than 2^16 packets, and never ahead.
	Rollovers []Rollover
	// FirstIndex is above what SRTCP indices of other sources of a sender begin: a relay before it may have used lower ones, and
	// the report of them was lost with it.
	FirstIndex uint32
}

// Rollover is the state of one source (SSRC) of one direction, enough to go on after a restart (RFC 3711 §3.3.1).
type Rollover struct {
	SSRC uint32
	ROC  uint32 // rollover counter at Seq
	Seq  uint16 // highest sequence number
	// Index is the SRTCP index; one that starts anew goes on well above it.
	Index uint32
}

// Crossed reports that a source is new, has crossed half of the sequence space, or half of what a resumed SRTCP index skips;
// the owner makes it an event (docs/decisions/10-learned-state.md).
type Crossed struct {
	Call  string // the call's key, as given to Engine.Set
	Local netip.AddrPort
	Out   bool   // of what leaves from Local, not of what arrives there
	Epoch uint64 // the Stream.Epoch under which it was seen
	Rollover
}

// Learned reports that a stream's remote address was learned or changed; the owner makes it an event, so that a restart or
// another node sends to the same address.
type Learned struct {
	Call   string // the call's key, as given to Engine.Set
	Local  netip.AddrPort
	Remote netip.AddrPort
	Epoch  uint64 // the Stream.Epoch under which it was learned
	// Confirmed is true once a stranger cannot take its place.
	Confirmed bool
}

// Stats are the counters of one stream since its socket was bound. Bytes are UDP payload bytes, RTP header included.
type Stats struct {
	In, Out     Counters
	LastPacket  int64          // µs of Unix time of the last packet received; 0 if none
	Remote      netip.AddrPort // the address that is being sent to now; invalid if none
	Confirmed   bool           // the remote address is confirmed by learning
	IngressSSRC SSRC           // the last SSRC received; zero value if none
	EgressSSRC  SSRC           // the last SSRC sent
	Received    Reception      // of all sources that were received
}

// Reception is what the sequence numbers of received RTP tell (RFC 3550 A.1 and A.3).
type Reception struct {
	Counted    bool   // somebody has counted; all figures are 0 otherwise, and mean nothing
	Lost       uint64 // packets that are missing; one that arrives late after all is taken off again
	Gaps       uint64 // how often a packet did not follow the one before it
	Reordered  uint64 // packets that arrived behind a later one
	Duplicates uint64 // packets that had arrived before
	Resets     uint64 // how often a source has begun anew in another place of the sequence space
}

// Counters count packets of one direction.
type Counters struct{ Packets, Bytes, Errors uint64 }

// SSRC are the counters of one synchronisation source (RFC 3550 §5.1).
type SSRC struct {
	SSRC           uint32
	Seen           bool
	Packets, Bytes uint64
	LastTimestamp  uint32
	LastSeq        uint16
	Received       Reception // zero value for a source that is sent

	// Jitter is the interarrival jitter (RFC 3550 §6.4.1) in µs, as it is now.
	Jitter int64
	// JitterKnown is false if the clock rate of what arrives is not known, or too little has arrived.
	JitterKnown bool
}

// Samples sum up estimates of jitter: one of each source that sends, every five seconds.
type Samples struct {
	Count   uint64
	Sum     uint64 // µs
	Squares uint64 // µs²
}
