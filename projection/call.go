package projection

import (
	"maps"
	"slices"

	"rtpjet/events"
)

// Call is the state of one call-id: the fold of its subject's events.
type Call struct {
	ID    string `json:"id"`
	Gen   uint64 `json:"gen"`             // generation, see events.Envelope
	First uint64 `json:"first,omitempty"` // stream sequence of the generation's first event
	Seq   uint64 `json:"seq"`             // stream sequence of the last event applied
	Ended bool   `json:"ended,omitempty"` // the last generation is over; only ID, Gen, First, Seq, EndedAt, Until, Owner and Commands mean something
	// EndedAt is when, in µs of Unix time.
	EndedAt int64 `json:"ended_at,omitempty"`

	Owner      string `json:"owner"`                 // the node whose ports the call uses
	Epoch      uint64 `json:"epoch"`                 // counts the owners, see events.TakenOver
	Created    int64  `json:"created"`               // µs of Unix time
	LastSignal int64  `json:"last_signal,omitempty"` // µs of Unix time of the last offer or answer
	Metadata   string `json:"metadata,omitempty"`
	TOS        int    `json:"tos"`                // the call's TOS byte; -1 is the configured default
	Dropping   bool   `json:"dropping,omitempty"` // all media is discarded (drop-traffic)

	// Parties by their ids; a party that left is nil. Their sections are those in force, and those that only an offer has brought.
	Parties []*events.Party `json:"parties"`
	// Proposals are the offers that may still be answered, and Offers counts all that there were. See proposals.go.
	Proposals []events.Proposal `json:"proposals,omitempty"`
	Offers    int               `json:"offers,omitempty"`
	// DeleteAt is when the whole call ends, in µs of Unix time; 0 if it does not. PartyDeleteAt is the same for parties.
	DeleteAt      int64         `json:"delete_at,omitempty"`
	PartyDeleteAt map[int]int64 `json:"party_delete_at,omitempty"`
	// Until is when the call was over for its parties, in µs of Unix time: when the delete came after which nobody is left who
	// talks to somebody, though the sockets stay open for the time that it named. 0 if no such delete came; a call that is
	// ended lasted until EndedAt then.
	Until int64 `json:"until,omitempty"`

	Blocked     bool `json:"blocked,omitempty"`
	BlockedDTMF bool `json:"blocked_dtmf,omitempty"`

	// Rolled is how far the sources of encrypted streams have come, one entry for each; see events.RolledOver.
	Rolled []Rolled `json:"rolled,omitempty"`

	// Silent are the sections whose silence an event has told of. They matter to nothing but the next such event.
	Silent []Silence `json:"silent,omitempty"`

	// The last offer or answer: its digest, and the sequence at which its reply can be found.
	LastRequest    uint64 `json:"last_request,omitempty"`
	LastRequestSeq uint64 `json:"last_request_seq,omitempty"`
	LastFinal      bool   `json:"last_final,omitempty"` // the last answer was a final response
	// OwnedSince is the sequence of the event that made Owner the owner: replies before it name the sockets of another one.
	OwnedSince uint64 `json:"owned_since,omitempty"`
	// Commands are the latest events that an NG command caused, the newest first, also of a call that has ended. A client
	// that asks another node with the same bytes gets the reply that stands there.
	Commands [4]CommandMark `json:"commands"`

	// Unknown counts the events of kinds that this build does not know.
	Unknown int `json:"unknown,omitempty"`
}

// Rolled is how far a source of an encrypted stream had come at a time, in µs of Unix time.
type Rolled struct {
	events.RolledOver
	At int64 `json:"at,omitempty"`
}

// Silence is a section of a party that has been silent since a time, in µs of Unix time.
type Silence struct {
	Party int   `json:"party"`
	Media int   `json:"media"`
	Since int64 `json:"since"`
}

// CommandMark is where the reply to a command can be found: the digest of its cookie (events.ShortDigest), and the sequence
// of its event.
type CommandMark struct {
	Cookie uint64 `json:"cookie"`
	Seq    uint64 `json:"seq"`
}

// Live tells whether the call exists. It is false for a nil call.
func (c *Call) Live() bool { return c != nil && c.Gen > 0 && !c.Ended }

// Snapshot returns the call as it is now: nothing that happens to the call later changes it. The parties are shared: they are
// never written to.
func (c *Call) Snapshot() *Call {
	s := *c
	s.Parties = slices.Clone(c.Parties)
	s.Proposals = slices.Clone(c.Proposals)
	s.PartyDeleteAt = maps.Clone(c.PartyDeleteAt)
	s.Rolled = slices.Clone(c.Rolled)
	return &s
}

// Party returns the party with the id, or nil.
func (c *Call) Party(id int) *events.Party {
	if c == nil || id < 0 || id >= len(c.Parties) {
		return nil
	}
	return c.Parties[id]
}

// ByTag returns the party that has the tag now or had it before, or nil. The primary tag wins over an alias.
func (c *Call) ByTag(tag string) *events.Party {
	if c == nil || tag == "" {
		return nil
	}
	for _, p := range c.Parties {
		if p != nil && p.Tag == tag {
			return p
		}
	}
	for _, p := range c.Parties {
		if p != nil && slices.Contains(p.Aliases, tag) {
			return p
		}
	}
	return nil
}

// ByBranch returns the party that a via-branch leads to, or nil.
func (c *Call) ByBranch(branch string) *events.Party {
	if c == nil || branch == "" {
		return nil
	}
	for _, p := range c.Parties {
		if p != nil && slices.Contains(p.Branches, branch) {
			return p
		}
	}
	return nil
}

// ByLabel returns the party with the label, or nil.
func (c *Call) ByLabel(label string) *events.Party {
	if c == nil || label == "" {
		return nil
	}
	for _, p := range c.Parties {
		if p != nil && p.Label == label {
			return p
		}
	}
	return nil
}

// Listeners returns the ids of the parties that receive the party's media, in order.
func (c *Call) Listeners(id int) []int {
	var out []int
	for _, p := range c.Parties {
		if p != nil && p.ID != id && slices.Contains(p.Peers, id) {
			out = append(out, p.ID)
		}
	}
	return out
}

// Peer returns the party whose media a party receives, the latest one if there are several; nil if there is none.
func (c *Call) Peer(p *events.Party) *events.Party {
	if len(p.Peers) == 0 {
		return nil
	}
	return c.Party(p.Peers[0])
}

// hear makes a party receive from another one, which becomes the latest.
func hear(p *events.Party, id int) {
	p.Peers = append([]int{id}, slices.DeleteFunc(slices.Clone(p.Peers), func(q int) bool { return q == id })...)
}

// stopHearing makes everybody but those named stop receiving from a party.
func (c *Call) stopHearing(id int, but ...int) {
	for i, p := range c.Parties {
		if p == nil || slices.Contains(but, i) || !slices.Contains(p.Peers, id) {
			continue
		}
		q := cloneParty(p)
		q.Peers = slices.DeleteFunc(q.Peers, func(r int) bool { return r == id })
		c.Parties[i] = q
	}
}

// cloneParty returns a copy whose slices can be changed.
func cloneParty(p *events.Party) *events.Party {
	q := *p
	q.Aliases = slices.Clone(p.Aliases)
	q.Branches = slices.Clone(p.Branches)
	q.Peers = slices.Clone(p.Peers)
	q.Medias = slices.Clone(p.Medias)
	return &q
}
