package projection

import (
	"slices"
	"strings"

	"rtpjet/events"
	"rtpjet/ngserver/ng"
)

// dialogue finds or makes the sender and the receiver of an SDP by their tags and the via-branch (docs/ng.md,
// "Parties"). Both are copies, already each other's peer, and their tags, aliases and branches are those after the
// command. New parties take the ids from next on. Strings are cloned: the request's share its datagram.
func dialogue(c *Call, s Signal) (sender, receiver *events.Party, err error) {
	req := s.Req
	d := dialogueFinder{call: c, now: s.Now, next: len(c.Parties), branch: req.ViaBranch}
	from, to := req.FromTag, req.ToTag
	if s.Answer {
		from, to = to, from
	}
	if from == to {
		return nil, nil, &Refusal{Reason: ng.ReasonInvalidDialogue}
	}
	if other := c.ByTag(to); other != nil {
		receiver = cloneParty(other)
		sender = d.known(receiver, from, s)
	} else {
		sender, receiver = d.branched(from, to, s)
	}
	if sender == nil || sender.ID == receiver.ID {
		return nil, nil, &Refusal{Reason: ng.ReasonInvalidDialogue}
	}
	hear(sender, receiver.ID)
	hear(receiver, sender.ID)
	return sender, receiver, nil
}

type dialogueFinder struct {
	call   *Call
	now    int64
	next   int
	branch string
}

// known finds the sender of a message whose receiver is known: by tag, by via-branch, or as the receiver's peer.
func (d *dialogueFinder) known(receiver *events.Party, tag string, s Signal) *events.Party {
	if p := d.call.ByTag(tag); p != nil {
		return cloneParty(p)
	}
	p := d.call.ByBranch(d.branch)
	if p == nil || p.ID == receiver.ID {
		p = d.call.Peer(receiver)
	}
	if p == nil || s.Req.NewBranch && p.Tag != "" {
		return d.make(tag)
	}
	if p.Tag == "" {
		q := cloneParty(p)
		q.Tag = strings.Clone(tag)
		return q
	}
	// A new tag for a party that has one. Another tag in a later answer is the same phone behind another proxy, or a fork
	// that we were not told about; only the former is an alias.
	if !s.Answer || d.call.LastFinal && !s.Req.Provisional {
		return d.make(tag)
	}
	q := cloneParty(p)
	q.Aliases = append(slices.DeleteFunc(q.Aliases, func(a string) bool { return a == tag }), q.Tag)
	q.Tag = strings.Clone(tag)
	return q
}

// branched finds the parties of an initial offer, or of one whose other side is not known: the sender by its tag, the
// receiver by via-branch or as the sender's peer; a via-branch not seen before is a fork with a party of its own, and so is
// a tag not seen before, unless the peer has been waiting for one.
func (d *dialogueFinder) branched(tag, other string, s Signal) (sender, receiver *events.Party) {
	p := d.call.ByTag(tag)
	if p == nil && s.Req.AliasKey != "" && s.Desc.AliasKey != "" {
		p = d.byAliasKey(s.Desc.AliasKey)
	}
	if p == nil {
		sender = d.make(tag)
		receiver = d.make(other)
		d.tagBranch(receiver)
		return sender, receiver
	}
	sender = cloneParty(p)
	if sender.Tag != tag {
		sender.Aliases = append(sender.Aliases, sender.Tag)
		sender.Tag = strings.Clone(tag)
	}
	var q *events.Party
	if d.branch == "" {
		q = d.call.Peer(sender)
	} else {
		q = d.call.ByBranch(d.branch)
	}
	if q == nil || q.ID == sender.ID || other != "" && q.Tag != "" {
		receiver = d.make(other)
		d.tagBranch(receiver)
		return sender, receiver
	}
	receiver = cloneParty(q)
	if other != "" {
		receiver.Tag = strings.Clone(other)
	}
	return sender, receiver
}

func (d *dialogueFinder) byAliasKey(key string) *events.Party {
	for _, p := range d.call.Parties {
		if p != nil && p.Key == key {
			return p
		}
	}
	return nil
}

func (d *dialogueFinder) make(tag string) *events.Party {
	p := &events.Party{ID: d.next, Tag: strings.Clone(tag), Created: d.now}
	d.next++
	return p
}

func (d *dialogueFinder) tagBranch(p *events.Party) {
	if d.branch != "" {
		p.Branches = append(p.Branches, strings.Clone(d.branch))
	}
}

// names applies labels and metadata: label and from-label name the sender, set-label and to-label the receiver.
func names(req *ng.Request, sender, receiver *events.Party) {
	if l := req.Label; l != "" {
		sender.Label = strings.Clone(l)
	}
	if l := req.SetLabel; l != "" {
		sender.Label = strings.Clone(l)
	}
	if sender.Label != "" && receiver.Label == sender.Label { // labels are unique
		receiver.Label = ""
	}
	if l := req.ToLabel; l != "" {
		receiver.Label = strings.Clone(l)
		if sender.Label == l {
			sender.Label = ""
		}
	}
	if req.Metadata != "" {
		sender.Metadata = strings.Clone(req.Metadata)
	}
}
