package regions

import "rtpjet/events"

// Qualify names a node, or an owner of calls, as other regions do: region/name. A name that is of another region stays as it is.
func Qualify(region, name string) string { return events.ParseOwner(name).In(region).String() }

// Adopted is an event of another region as it stands in the stream of the region that has adopted it: the same, with the names of
// that region's nodes as others see them. So no node of the adopter takes a call for its own whose owner has its name.
func Adopted(env events.Envelope, region string) events.Envelope {
	env.Node = Qualify(region, env.Node)
	switch ev := env.Event.(type) {
	case events.Offered:
		ev.Owner = Qualify(region, ev.Owner)
		env.Event = ev
	case events.Answered:
		ev.Owner = Qualify(region, ev.Owner)
		env.Event = ev
	case events.TakenOver:
		ev.Owner, ev.From = Qualify(region, ev.Owner), Qualify(region, ev.From)
		env.Event = ev
	}
	return env
}
