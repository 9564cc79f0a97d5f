package events

import "net/netip"

// Event is one fact about a call, in the past tense. The set is closed: an entry of a kind that this build does not know
// decodes to Unknown and changes nothing.
//
// The codec of the events is generated from the types (go generate ./events): a new field is one line in its struct, and a new
// event is a type whose method kind returns a constant. A read tag names the method of the decoder that reads the field, where
// more is known about it than its type says.
//
//gencodec:root
type Event interface{ kind() Kind }

// Kind names an event type in the log.
type Kind string

// The kinds of events.
const (
	KindOffered           Kind = "offered"
	KindAnswered          Kind = "answered"
	KindEndpointLearned   Kind = "endpoint_learned"
	KindMediaBlocked      Kind = "media_blocked"
	KindDeletionScheduled Kind = "deletion_scheduled"
	KindPartiesRemoved    Kind = "parties_removed"
	KindTakenOver         Kind = "taken_over"
	KindRolledOver        Kind = "rolled_over"
	KindLegSilent         Kind = "leg_silent"
	KindEnded             Kind = "ended"
)

// KindOf returns the kind of an event.
func KindOf(e Event) Kind { return e.kind() }

// Envelope is one entry of a call's subject.
type Envelope struct {
	Call  string // the call-id, as bytes; it need not be UTF-8
	Gen   uint64 // generation: 1 for the first call of this call-id, one more for each new call after an Ended
	Node  string // the node that wrote the entry
	At    int64  // µs of Unix time by the writer's clock
	Event Event
	Cause *Cause // the NG command that led to the event; nil for the node's own findings
}

// Cause is the NG command behind an event: kept for debugging, and so that any node can give the very same reply again.
type Cause struct {
	Cookie  string
	From    netip.AddrPort // the NG client
	Request []byte         // the dictionary as received, without the cookie
	Reply   []byte         // the dictionary as sent, without the cookie
	// Took is how long the command had been here when the entry was made, in µs; 0 if that is not known.
	Took int64
	// Via is the node of another region that the command had come to first, as region/node; empty: it came here.
	Via string
	// Secrets are the keys that stood in the two, sealed; x stands in their places. See [Sealer].
	Secrets Secret
}

// Offered says that an offer was accepted: the parties named are now as given.
type Offered struct{ Signalling }

// Answered says that an answer was accepted: the parties named are now as given.
type Answered struct{ Signalling }

// Signalling is what offers and answers change.
type Signalling struct {
	// Pending says of an offer that it is a proposal (RFC 3264 §8.3.1): Parties are the two sides as they will be if it is accepted. What
	// the last answer has settled stays in force until then. Without it, as in all offers of early releases, the parties are so at once.
	Pending bool `json:"pending,omitempty"`
	// Answers is the number of the offer that an answer answers: offers of a call are counted from 1. 0: it is not known, or there
	// was none.
	Answers int `json:"answers,omitempty"`
	// Branch is the via-branch of an offer's command: its answer has the same.
	Branch string `json:"branch,omitempty"`

	// Owner is the node whose ports the call uses; set by the event that creates the call.
	Owner string `json:"owner,omitempty" read:"node"`
	// Parties are the parties that changed, whole; others stay as they are.
	Parties []Party `json:"parties"`
	// From and To are the ids of the sender and of the receiver of the SDP. Whoever else received from one of them, no longer
	// does.
	From int `json:"from"`
	To   int `json:"to"`
	// Request is a digest of the NG dictionary: the same request again, with nothing in between, gets the same reply.
	Request uint64 `json:"request,omitempty"`
	// Final is true if the SIP message was a final response, after which a new tag is a new party.
	Final bool `json:"final,omitempty"`
	// TOS is the call's TOS byte; nil leaves it as it is, and a negative value goes back to the configured default.
	TOS *int `json:"tos,omitempty"`
	// DropTraffic starts (true) or stops (false) discarding all media of the call; nil leaves it as it is.
	DropTraffic *bool `json:"drop_traffic,omitempty"`
	// Metadata of the call, if the command gave some.
	Metadata string `json:"metadata,omitempty"`
}

// Party finds one of the parties by its id; nil if it is not there.
func (s *Signalling) Party(id int) *Party {
	for i := range s.Parties {
		if s.Parties[i].ID == id {
			return &s.Parties[i]
		}
	}
	return nil
}

// Party is one side of a call: one tag (rtpengine: monologue).
type Party struct {
	ID       int      `json:"id"` // position in the call, from 0, for good
	Tag      string   `json:"tag,omitempty" read:"partyText"`
	Aliases  []string `json:"aliases,omitempty" read:"partyTexts"`  // earlier tags, still valid
	Branches []string `json:"branches,omitempty" read:"partyTexts"` // via-branches that lead to this party
	Label    string   `json:"label,omitempty" read:"partyText"`
	Metadata string   `json:"metadata,omitempty" read:"partyText"`
	Created  int64    `json:"created"` // µs of Unix time
	// Peers are the ids of the parties whose media this party receives (offer/answer subscriptions), the latest first: a
	// caller hears the early media of several forks.
	Peers  []int   `json:"peers,omitempty"`
	Medias []Media `json:"medias,omitempty"`
	// Out is what the SDP that we sent to this party last looked like.
	Out Out `json:"out,omitzero"`
	// In is what we keep of the SDP that this party sent last.
	In In `json:"in,omitzero"`
	// Key is the digest of what the request's alias-key chose (docs/ng.md, "Parties"); empty if none was asked for.
	Key string `json:"key,omitempty" read:"partyText"`
	// Seen is the address from which the proxy received the party's last SDP ("received from"); invalid if it did not say.
	Seen netip.Addr `json:"seen,omitzero"`
}

// In is what is kept of the last SDP of a party.
type In struct {
	// SessionName is the first s= line seen from the party (replace "session name").
	SessionName string `json:"session_name,omitempty" read:"partyText"`
	// NoAllowMixed is true if a section of the SDP listed extmaps without a=extmap-allow-mixed. Media says which.
	NoAllowMixed bool `json:"no_allow_mixed,omitempty"`
}

// Out is what the SDP sent to a party last looked like, as far as later ones depend on it (docs/ng.md, "replace").
type Out struct {
	Sent     bool   `json:"sent,omitempty"`
	Username string `json:"username,omitempty" read:"partyText"` // of the first o= line sent
	SessID   string `json:"sess_id,omitempty" read:"partyText"`  // of the first o= line sent
	Version  string `json:"version,omitempty" read:"partyText"`  // of the last o= line sent
	Address  string `json:"address,omitempty" read:"partyText"`  // our address in the first o= line that carried it, "IP4 192.0.2.1"
	Digest   uint64 `json:"digest,omitempty"`                    // of the last SDP sent, its o= version left out
}

// Direction is the direction of a media section from the point of view of the party whose SDP said it (RFC 4566 §6).
type Direction string

// The four directions.
const (
	SendRecv Direction = "sendrecv"
	SendOnly Direction = "sendonly"
	RecvOnly Direction = "recvonly"
	Inactive Direction = "inactive"
)

// Sends tells whether the party sends.
func (d Direction) Sends() bool { return d == SendRecv || d == SendOnly || d == "" }

// Receives tells whether the party receives.
func (d Direction) Receives() bool { return d == SendRecv || d == RecvOnly || d == "" }

// Media is one m= section of a party. Medias of two parties in one dialogue pair by position.
type Media struct {
	Type     string `json:"type" read:"word"`
	Protocol string `json:"protocol" read:"word"` // on this party's side: "RTP/AVP", "udptl"
	// Formats are the format tokens of the party's last m= line, or of the one we sent to it if it has sent none.
	Formats []string `json:"formats,omitempty" read:"formats"`
	Mid     string   `json:"mid,omitempty" read:"word"`
	// Rejected is true while the section has port 0. Hidden is true while the section is not in the SDPs that the party sees and
	// sends: it is kept from the party (sdp-media-remove), or the party has left it out.
	Rejected bool `json:"rejected,omitempty"`
	Hidden   bool `json:"hidden,omitempty"`
	// Place is where the section stands in the party's own SDPs, from 1. It is 0 in all sections of a party whose SDPs have them, but
	// for those that are hidden, in the order of Medias.
	Place uint16 `json:"place,omitempty"`
	// Proposed says that no answer has settled the section yet: it is as an offer would have it.
	Proposed Proposed `json:"proposed,omitempty"`

	Interface  string     `json:"interface,omitempty" read:"word"` // logical interface
	Advertised netip.Addr `json:"advertised,omitzero"`             // the address in our SDP, unless media-address says otherwise
	Local      Ports      `json:"local,omitzero"`                  // our sockets towards the party
	// Serves is the remote address of the other side for which Local was taken; invalid while any will do.
	Serves    netip.AddrPort `json:"serves,omitzero"`
	Earlier   []Earlier      `json:"earlier,omitempty"`   // sockets that served other addresses, still open
	Told      bool           `json:"told,omitempty"`      // Local was in an SDP that we sent
	Remote    Ports          `json:"remote,omitzero"`     // from the party's SDP; the address is unspecified on hold
	Learned   Ports          `json:"learned,omitzero"`    // where the party really sends from
	Confirmed [2]bool        `json:"confirmed,omitzero"`  // learning has ended, for RTP and RTCP
	Direction Direction      `json:"direction,omitempty"` // as the party said
	Codecs    []Codec        `json:"codecs,omitempty"`    // what the party can receive, in its order
	Offered   []Codec        `json:"offered,omitempty"`   // what the SDP sent to the party listed
	Stripped  []Codec        `json:"stripped,omitempty"`  // what it did not list, though the other side offered it

	// Mux is true while RTP and RTCP share a port (RFC 5761). MuxOffered: the party offered it to us. MuxSent: we offered it
	// to the party. MuxAccept and MuxReject: what the offer said about answering the party's offer.
	Mux        bool `json:"mux,omitempty"`
	MuxOffered bool `json:"mux_offered,omitempty"`
	MuxSent    bool `json:"mux_sent,omitempty"`
	MuxAccept  bool `json:"mux_accept,omitempty"`
	MuxReject  bool `json:"mux_reject,omitempty"`

	Asymmetric     bool   `json:"asymmetric,omitempty"`
	Unidirectional bool   `json:"unidirectional,omitempty"`
	StrictSource   bool   `json:"strict_source,omitempty"`
	MediaHandover  bool   `json:"media_handover,omitempty"`
	PortLatching   bool   `json:"port_latching,omitempty"`
	NATWait        bool   `json:"nat_wait,omitempty"`
	PierceNAT      bool   `json:"pierce_nat,omitempty"`
	Learning       string `json:"learning,omitempty" read:"word"` // off, immediate, delayed, heuristic; empty: the configured one
	Echo           string `json:"echo,omitempty" read:"word"`     // media echo: blackhole, echo
	Blocked        bool   `json:"blocked,omitempty"`              // block media
	BlockedDTMF    bool   `json:"blocked_dtmf,omitempty"`
	// Signal counts the signalling events that touched the section; a relay learns anew when it changes.
	Signal uint64 `json:"signal,omitempty"`
	// SignalAt is the time of the last of them, in µs of Unix time.
	SignalAt int64 `json:"signal_at,omitempty"`
	// Extmaps says that header extensions were negotiated on this side.
	Extmaps bool `json:"extmaps,omitempty"`
	// NoAllowMixed is true if the party's last SDP listed extmaps of the section without a=extmap-allow-mixed.
	NoAllowMixed bool `json:"no_allow_mixed,omitempty"`
	// LoopCheck says that the party's SDP named an address of the relay itself.
	LoopCheck bool `json:"loop_check,omitempty"`
	// ICE says that the party's SDP used ICE, so that its addresses mean little.
	ICE bool `json:"ice,omitempty"`
	// Controlling is our ICE role towards the party (RFC 8445 §6.1.1): we are controlling towards whom we offer to.
	Controlling bool `json:"controlling,omitempty"`

	// Recrypt says that packets are decrypted and encrypted again even if both sides have the same key.
	Recrypt bool `json:"recrypt,omitempty"`
	// EndToEnd says that security is a matter of the parties (DTLS): its lines and its packets go through as they are.
	EndToEnd bool `json:"end_to_end,omitempty"`
	// Twin is not 0 if the party sees the section as two, a plain and a secure one, and says which of them stands first (the older
	// form of OSRTP).
	Twin Twin `json:"twin,omitempty"`
	// Withheld are the header extensions of the party's last SDP that the other side was not told of, nil if there are none;
	// hardly a section has any. See Withholds and Withhold.
	Withheld *[]Extmap `json:"withheld,omitempty"`
	// SRTP are the keys of this side, nil for plain RTP. It is never changed in place: see Keys and SetKeys.
	SRTP *SRTP `json:"srtp,omitempty"`

	// Former is what Learned was before the party's SDP named another address; nil if nothing was, or something was learned
	// since. It is never changed in place.
	Former *Ports `json:"former,omitempty"`
}

// FormerPorts is Former, or nothing.
func (m *Media) FormerPorts() Ports {
	if m.Former == nil {
		return Ports{}
	}
	return *m.Former
}

// Proposed says what a section is that an offer has brought and no answer has settled.
type Proposed uint8

// The two kinds.
const (
	ProposedNew   Proposed = 1 // there was no such section before
	ProposedAgain Proposed = 2 // the section was there, with port 0
)

// Proposal is an offer that may still be answered: both sides of its sections as they will be if it is accepted.
type Proposal struct {
	// Number counts the offers of the call, from 1.
	Number int   `json:"number"`
	At     int64 `json:"at"` // µs of Unix time
	// Branch is that of the offer.
	Branch string `json:"branch,omitempty"`
	// From is the id of the party that has made the offer, To of the one that has got it.
	From int `json:"from"`
	To   int `json:"to"`
	// FromMedias and ToMedias are the sections of the two; without them they are those that are in force.
	FromMedias []Media `json:"from_medias,omitempty"`
	ToMedias   []Media `json:"to_medias,omitempty"`
	// Pending is that of the offer: its sockets are open, whether they are in force or not.
	Pending bool `json:"pending,omitempty"`
	// Answered says that an answer was there, which may not have been the last one (RFC 3261 §13.2.1, RFC 6337 §2.2).
	Answered bool `json:"answered,omitempty"`
	// First says that the offer began the dialogue and that later ones have not replaced it: other answers to it may come, of other
	// branches, after offers that were about one of them only.
	First bool `json:"first,omitempty"`
	// Said is what the first answer to a First offer has said, in short. Outdated says that a later offer of the two was answered
	// since: then an answer that says the same is none.
	Said     string `json:"said,omitempty"`
	Outdated bool   `json:"outdated,omitempty"`
}

// Side returns the sections of one of the two parties; nil for anybody else.
func (p *Proposal) Side(party int) []Media {
	switch party {
	case p.From:
		return p.FromMedias
	case p.To:
		return p.ToMedias
	}
	return nil
}

// Twin says which of two sections that are one stands first.
type Twin uint8

// The two orders.
const (
	TwinPlain  Twin = 1
	TwinSecure Twin = 2
)

// Ports are the RTP and the RTCP address of one side of a section. RTCP is invalid where there is none or where it is
// shared with RTP.
type Ports struct {
	RTP  netip.AddrPort `json:"rtp,omitzero"`
	RTCP netip.AddrPort `json:"rtcp,omitzero"`
}

// Earlier are sockets towards a party that served another remote address of the other side; when that address comes back,
// so do they.
type Earlier struct {
	Interface  string         `json:"interface,omitempty" read:"word"`
	Advertised netip.Addr     `json:"advertised,omitzero"`
	Local      Ports          `json:"local"`
	Remote     netip.AddrPort `json:"remote"`
}

// Extmap is a header extension of a section (RFC 8285 §5).
type Extmap struct {
	ID        int    `json:"id"`
	URI       string `json:"uri"`
	Direction string `json:"direction,omitempty" read:"word"` // as the party wrote it; empty if it did not
	// Masked says that the extension is negotiated with the party all the same (extmap "mask"); else it is refused to it.
	Masked bool `json:"masked,omitempty"`
}

// Withholds returns the header extensions of the party that the other side was not told of.
func (m *Media) Withholds() []Extmap {
	if m.Withheld == nil {
		return nil
	}
	return *m.Withheld
}

// Withhold notes the header extensions that the other side is not told of. A list that is there already stays as it is.
func (m *Media) Withhold(list []Extmap) {
	m.Withheld = nil
	if len(list) > 0 {
		m.Withheld = &list
	}
}

// Codec is one payload type of a section.
type Codec struct {
	PT       int    `json:"pt"`
	Name     string `json:"name,omitempty" read:"codecName"` // encoding name as received; empty if neither mapped nor static
	Rate     int    `json:"rate,omitempty"`                  // Hz
	Channels int    `json:"channels,omitempty"`
	Fmtp     string `json:"fmtp,omitempty" read:"parameters"`
}

// EndpointLearned says that packets of a party come from an address, and go there from now on.
type EndpointLearned struct {
	Party     int            `json:"party"`
	Media     int            `json:"media"` // position, from 0
	RTCP      bool           `json:"rtcp,omitempty"`
	Remote    netip.AddrPort `json:"remote"`
	Signal    uint64         `json:"signal"` // the Media.Signal under which it was learned
	Confirmed bool           `json:"confirmed,omitempty"`
}

// MediaBlocked says that media or DTMF of parties was blocked or let through again.
type MediaBlocked struct {
	Parties []int `json:"parties,omitempty"` // none: the whole call
	All     bool  `json:"all,omitempty"`     // without Parties: the call and each party by itself
	Media   *bool `json:"media,omitempty"`   // nil leaves it as it is
	DTMF    *bool `json:"dtmf,omitempty"`
}

// DeletionScheduled says that parties, or the whole call, end at a time unless signalling comes in between.
type DeletionScheduled struct {
	Parties []int `json:"parties,omitempty"` // none: the whole call
	At      int64 `json:"at"`                // µs of Unix time
}

// PartiesRemoved says that parties left the call. Those who stay no longer receive from them.
type PartiesRemoved struct {
	Parties []int `json:"parties"`
}

// TakenOver says that a call has a new owner, and sockets there. Whoever was told the old ones learns of the new ones by the
// next SDP that goes to it.
type TakenOver struct {
	Owner string `json:"owner" read:"node"`
	From  string `json:"from"`
	// Epoch is the call's ownership counter after this event: 1 for the owner that the call began with, one more for each
	// new one. A claim whose epoch is not the next one came too late and changes nothing.
	Epoch uint64 `json:"epoch"`
	// Why says what led to it, for people: "owner gone", "moved".
	Why string `json:"why,omitempty"`
	// Parties are all parties of the call, whole.
	Parties []Party `json:"parties"`
	// Proposals are the offers that may still be answered, with the new sockets.
	Proposals []Proposal `json:"proposals,omitempty"`
}

// RolledOver says how far a source of an encrypted stream has come: it is written when the source is new and at each crossing
// of half of the sequence space, so that what a later relay guesses from it is exact (RFC 3711 §3.3.1).
type RolledOver struct {
	Party int  `json:"party"`
	Media int  `json:"media"` // position, from 0
	RTCP  bool `json:"rtcp,omitempty"`
	// Out is true for what we send to the party.
	Out  bool   `json:"out,omitempty"`
	SSRC uint32 `json:"ssrc"`
	ROC  uint32 `json:"roc"`
	Seq  uint16 `json:"seq"`             // the highest sequence number
	Idx  uint32 `json:"index,omitempty"` // of SRTCP
	// Key is [Crypto.Digest] of the key that it is about: another key begins anew.
	Key uint64 `json:"key"`
}

// LegSilent says that a party that should be sending has not been heard for a while. The call goes on as before: the event is
// for those who follow the log. There is one for each silence; another one comes only if the party was heard in between, or was
// not expected to send, on hold for example.
type LegSilent struct {
	Party int    `json:"party"`
	Media int    `json:"media"`         // position, from 0
	Tag   string `json:"tag,omitempty"` // of the party
	Since int64  `json:"since"`         // µs of Unix time: the last packet, or what let the party be expected
	// Packets are what the section has received on its present socket before, by the count of the node that writes.
	Packets uint64 `json:"packets,omitempty"`
}

// Reason says why a call ended.
type Reason string

// The reasons.
const (
	ReasonDeleted       Reason = "deleted"        // delete command
	ReasonTimeout       Reason = "timeout"        // no media
	ReasonSilentTimeout Reason = "silent_timeout" // no media on hold
	ReasonOfferTimeout  Reason = "offer_timeout"  // never any media
	ReasonFinalTimeout  Reason = "final_timeout"  // the longest allowed life
	ReasonOrphaned      Reason = "orphaned"       // the owner is gone, and nobody has asked for the call since
	ReasonAdopted       Reason = "adopted"        // another region has the call, which took this one for lost
)

// Ended says that the call is over and its ports are free. It is the last event of its generation.
type Ended struct {
	Reason Reason `json:"reason"`
	// Created is when the call began, µs of Unix time; 0 in events of early releases.
	Created int64 `json:"created,omitempty"`
	// Until is when the call was over for its parties, µs of Unix time: when the delete came whose delay has passed now. 0 if
	// that is the time of the entry. Until a timer ran out, a call lasts: nobody has said that it was over before.
	Until int64 `json:"until,omitempty"`
	// RTP and RTCP are what the call's streams received in all.
	RTP  Counters `json:"rtp,omitzero"`
	RTCP Counters `json:"rtcp,omitzero"`
	// ZeroWay counts the sections in which neither side has sent RTP, OneWay those in which only one has.
	ZeroWay int `json:"zero_way,omitempty"`
	OneWay  int `json:"one_way,omitempty"`
	// Lost counts the RTP packets that the sequence numbers of what was received show to be missing. Early releases did not count them.
	Lost uint64 `json:"lost,omitempty"`
}

// Counters count packets, and bytes of UDP payload.
type Counters struct {
	Packets uint64 `json:"packets"`
	Bytes   uint64 `json:"bytes"`
	Errors  uint64 `json:"errors"`
}

// Unknown is an event of a kind that this build does not know. It survives decoding and encoding.
type Unknown struct {
	Name   Kind
	Body   []byte // JSON
	Latin1 bool   // the strings in Body are bytes, each written as the rune of its value
}

func (Offered) kind() Kind           { return KindOffered }
func (Answered) kind() Kind          { return KindAnswered }
func (EndpointLearned) kind() Kind   { return KindEndpointLearned }
func (MediaBlocked) kind() Kind      { return KindMediaBlocked }
func (DeletionScheduled) kind() Kind { return KindDeletionScheduled }
func (PartiesRemoved) kind() Kind    { return KindPartiesRemoved }
func (TakenOver) kind() Kind         { return KindTakenOver }
func (RolledOver) kind() Kind        { return KindRolledOver }
func (LegSilent) kind() Kind         { return KindLegSilent }
func (Ended) kind() Kind             { return KindEnded }
func (u Unknown) kind() Kind         { return u.Name }
