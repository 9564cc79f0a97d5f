package projection

import (
	"net/netip"
	"slices"
	"strings"

	"rtpjet/events"
	"rtpjet/ngserver/ng"
)

// Refusals of the blocking commands that name a flow, in rtpengine's words.
const (
	reasonNoToTag         = "Media flow not found (to-tag not found)"
	reasonNoToLabel       = "Media flow not found (to-label not found)"
	reasonNotSubscribed   = "Media flow not found (to-tag not subscribed)"
	reasonNoSubscriptions = "No eligible media subscriptions found"
)

// DecideBlock decides block and unblock of media and of DTMF. The event is nil if nothing changes. What is blocked is what
// the selected parties send, or everything.
func DecideBlock(c *Call, req *ng.Request, _ int64) (events.Event, error) {
	if req.CallID == "" {
		return nil, &Refusal{Reason: ng.ReasonNoCallID}
	}
	if !c.Live() {
		return nil, &Refusal{Reason: ng.ReasonUnknownCallIDBlocking}
	}
	on, dtmf := true, false
	switch req.Command {
	case "block media":
	case "unblock media":
		on = false
	case "block DTMF":
		dtmf = true
		if drop, err := dropsDTMF(req); err != nil || !drop {
			return nil, err
		}
	case "unblock DTMF":
		on, dtmf = false, true
	default: // silence needs a codec
		return nil, &Refusal{Reason: ng.ReasonUnsupported}
	}
	party, err := selectParty(c, req)
	if err != nil {
		return nil, err
	}
	ev := events.MediaBlocked{}
	switch {
	case req.All == "all":
		ev.All = !on // the end of every block there is; blocking everything takes only the one of the call
	case !dtmf:
		if ev.Parties, err = blockedFlows(c, req, party); err != nil {
			return nil, err
		}
	case party != nil:
		ev.Parties = []int{party.ID}
	}
	if dtmf {
		ev.DTMF = &on
	} else {
		ev.Media = &on
	}
	if !changes(c, ev, on, dtmf) {
		return nil, nil
	}
	return ev, nil
}

// dropsDTMF tells whether the command wants telephone events dropped. Every other kind of security puts something in their
// place, which takes a codec.
func dropsDTMF(req *ng.Request) (bool, error) {
	switch req.KeyText("dtmf-security") {
	case "drop":
		return true, nil
	case "off":
		return false, nil
	case "":
		_, trigger := req.Key("trigger")
		return !trigger, nil
	}
	return false, &Refusal{Reason: ng.ReasonUnsupported}
}

// selectParty applies the precedence of docs/ng.md, "Blocking"; nil is the whole call. The from-tag alone selects
// nobody: clients send it with every command.
func selectParty(c *Call, req *ng.Request) (*events.Party, error) {
	switch {
	case req.All == "all":
		return nil, nil
	case req.Label != "":
		if p := c.ByLabel(req.Label); p != nil {
			return p, nil
		}
		return nil, &Refusal{Reason: ng.ReasonNoSuchLabel}
	case req.Address != "":
		addr, err := netip.ParseAddr(strings.Trim(req.Address, "[]"))
		if err != nil {
			return nil, &Refusal{Reason: ng.ReasonParseAddress, Err: err}
		}
		for _, p := range c.Parties {
			if p != nil && slices.ContainsFunc(p.Medias, func(m events.Media) bool { return m.Remote.RTP.Addr() == addr.Unmap() }) {
				return p, nil
			}
		}
		return nil, &Refusal{Reason: ng.ReasonMatchAddress}
	case req.FromTag != "" && req.Directional:
		if p := c.ByTag(req.FromTag); p != nil {
			return p, nil
		}
		return nil, &Refusal{Reason: ng.ReasonNoSuchFromTag}
	}
	return nil, nil
}

// blockedFlows returns the parties whose media the command is about; none is the whole call. A flow from one party to another
// is all that the sender sends as long as nobody else listens to it; picking one of several listeners is refused.
func blockedFlows(c *Call, req *ng.Request, from *events.Party) ([]int, error) {
	if from != nil && (req.ToTag != "" || req.ToLabel != "") {
		to, reason := c.ByTag(req.ToTag), reasonNoToTag
		if req.ToTag == "" {
			to, reason = c.ByLabel(req.ToLabel), reasonNoToLabel
		}
		switch listeners := c.Listeners(from.ID); {
		case to == nil:
			return nil, &Refusal{Reason: reason}
		case !slices.Contains(listeners, to.ID):
			return nil, &Refusal{Reason: reasonNotSubscribed}
		case len(listeners) > 1:
			return nil, &Refusal{Reason: ng.ReasonUnsupported}
		}
		return []int{from.ID}, nil
	}
	switch req.All {
	case "flows", "offer-answer":
		var ids []int
		for _, p := range c.Parties {
			if p != nil && (from == nil || p.ID == from.ID) && len(c.Listeners(p.ID)) > 0 {
				ids = append(ids, p.ID)
			}
		}
		if len(ids) > 0 {
			return ids, nil
		}
		return nil, &Refusal{Reason: reasonNoSubscriptions}
	case "except-offer-answer": // there is no other kind yet
		return nil, &Refusal{Reason: reasonNoSubscriptions}
	}
	if from == nil {
		return nil, nil
	}
	return []int{from.ID}, nil
}

// changes tells whether the event would make a difference.
func changes(c *Call, ev events.MediaBlocked, on, dtmf bool) bool {
	if len(ev.Parties) == 0 {
		if was := c.Blocked; !dtmf && was != on {
			return true
		}
		if was := c.BlockedDTMF; dtmf && was != on {
			return true
		}
	}
	for _, p := range c.Parties {
		if p == nil || !ev.All && !slices.Contains(ev.Parties, p.ID) {
			continue
		}
		for i := range p.Medias {
			was := p.Medias[i].Blocked
			if dtmf {
				was = p.Medias[i].BlockedDTMF
			}
			if was != on {
				return true
			}
		}
	}
	return false
}
