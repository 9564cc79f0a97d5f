package transact

import (
	"errors"

	"rtpjet/events"
	"rtpjet/ngserver/ng"
	"rtpjet/projection"
)

// Why a call got another owner, for people.
const (
	WhyGone  = "owner gone"
	WhyAsked = "asked for"
)

// TakeOver gives the live call another owner: a node with room, or the one that decides, since a call that is known is never
// refused. It is an event of its own, so that of many nodes that try one succeeds, and the rest decide on what that one has
// made of the call. The owner's lease is claimed first. Errors match ErrConflict if the call has
// to catch up, ErrUncertain, or are final.
func TakeOver(fx Effects, node, why string) error {
	c := fx.Call()
	if err := fx.Fence(c.Owner); err != nil {
		return err
	}
	wish := Wish{Tried: []string{c.Owner}, Interfaces: interfaces(c), Turn: Turn(c.ID)}
	for {
		owner, ok := fx.Place(wish)
		if !ok {
			owner = node
		}
		res := &reservation{fx: fx, owner: owner, turn: wish.Turn}
		now := fx.Now()
		ev, err := projection.DecideTakeover(c, owner, why, res, now)
		if err != nil {
			res.release()
			var refusal *projection.Refusal
			full := errors.As(err, &refusal) && refusal.Reason == ng.ReasonOutOfPorts // which an unknown interface says, too
			if ok && (full || errors.Is(err, ErrSilent) || errors.Is(err, ErrNoRoom)) {
				wish.Tried = append(wish.Tried, owner)
				continue
			}
			return err
		}
		err = fx.Append(events.Envelope{Call: c.ID, Gen: c.Gen, Node: node, At: now, Event: ev})
		res.settle(err)
		return err
	}
}

// interfaces are those of the call's first section towards each party.
func interfaces(c *projection.Call) []string {
	var names []string
	for _, p := range c.Parties {
		if p != nil && len(p.Medias) > 0 {
			names = append(names, p.Medias[0].Interface)
		}
	}
	return names
}

// End ends a live call for a reason that no command gave, with what its streams have counted. Errors are those of
// Effects.Append.
func End(fx Effects, node string, end events.Ended) error {
	c := fx.Call()
	return fx.Append(events.Envelope{Call: c.ID, Gen: c.Gen, Node: node, At: fx.Now(), Event: c.Totals(end, fx.Stats())})
}
