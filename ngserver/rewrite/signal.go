package rewrite

import (
	"errors"

	"rtpjet/events"
	"rtpjet/ngserver/ng"
	"rtpjet/ngserver/sdp"
	"rtpjet/projection"
)

// Settings are the daemon's settings that matter for SDP.
type Settings struct {
	Node       string // becomes the owner of new calls
	InstanceID string // 12 hex digits, for "loop protect"
	SIPSource  bool   // use received-from unless told otherwise (option sip-source)
	Level      int    // of the events that may be written, see [events.Level]
}

// Outcome is what an offer or an answer leads to.
type Outcome struct {
	SDP []byte // for the reply; CRLF line ends; nil if the reply has none (a trickle ICE fragment)
	// Event is nil if nothing happened (loop protect, fragment).
	Event events.Event
	// New is true if the event creates the call.
	New bool
	// PassedOver counts the crypto lines that nobody can use, for a warning.
	PassedOver int
	// Misplaced counts the sections of an answer that answer nothing that was offered, for a warning.
	Misplaced int
	// Undone is what the command asked for and does not get.
	Undone ng.Undone
}

// Validate checks the keys that an offer or answer must have, before anything else is looked at (docs/ng.md, "Order of
// the checks of offer and answer").
func Validate(req *ng.Request, answer bool) error {
	switch {
	case len(req.SDP) == 0:
		return refuse(ng.ReasonNoSDP, nil)
	case req.CallID == "":
		return refuse(ng.ReasonNoCallID, nil)
	case req.FromTag == "":
		return refuse(ng.ReasonNoFromTag, nil)
	case answer && req.ToTag == "":
		return refuse(ng.ReasonNoToTag, nil)
	}
	return nil
}

// Signal decides an offer or an answer and writes the SDP for the other side. call may be nil or ended; now is µs of Unix
// time. On error (a *projection.Refusal) the caller gives back what was reserved.
func Signal(call *projection.Call, req *ng.Request, answer bool, set Settings, res projection.Resources, now int64) (*Outcome, error) {
	if err := Validate(req, answer); err != nil {
		return nil, err
	}
	if answer && !call.Live() {
		return nil, refuse(ng.ReasonUnknownCallID, nil)
	}
	if req.Fragment && !answer {
		// A trickle ICE update: candidates of a party that we have told no ICE.
		if _, err := sdp.ParseFragment(req.SDP); err != nil {
			return nil, refuse(ng.ReasonParseSDP, err)
		}
		return &Outcome{}, nil
	}
	s, err := sdp.Parse(req.SDP)
	if err != nil {
		return nil, refuse(ng.ReasonParseSDP, err)
	}
	if id, ok := s.LoopProtect(); ok && req.LoopProtect && id == set.InstanceID {
		return &Outcome{SDP: req.SDP}, nil
	}
	if err := s.Check(); err != nil {
		if errors.Is(err, sdp.ErrIncomplete) {
			return nil, refuse(ng.ReasonIncompleteSDP, err)
		}
		return nil, refuse(ng.ReasonParseSDP, err)
	}
	if len(s.Media) == 0 {
		return nil, refuse(ng.ReasonRewriteSDP, errors.New("no media section"))
	}
	desc := Describe(s, req, set.SIPSource)
	d, err := projection.DecideSignal(call, projection.Signal{
		Answer: answer, Req: req, Desc: desc, Node: set.Node, Now: now, Level: set.Level,
	}, res)
	if err != nil {
		return nil, err
	}
	out := &Outcome{New: d.New}
	for i := range s.Media {
		out.PassedOver += passedOver(&s.Media[i])
	}
	out.SDP, d.Event.Parties[1].Out = Render(Params{
		Session: s, Req: req, Answer: answer, Sender: d.Sender, Receiver: d.Receiver, Sections: d.Sections,
		InstanceID: set.InstanceID, Now: now,
	})
	out.Misplaced = d.Misplaced
	out.Undone = ng.NotDone(req, situation(s, &desc, req, answer, out.SDP))
	if answer {
		out.Event = events.Answered{Signalling: d.Event}
	} else {
		out.Event = events.Offered{Signalling: d.Event}
	}
	return out, nil
}

func refuse(reason string, err error) error { return &projection.Refusal{Reason: reason, Err: err} }
