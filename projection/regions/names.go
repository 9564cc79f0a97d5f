package regions

import (
	"strings"

	"rtpjet/events"
)

// Qualify names a node, or a float, of another region: no name in the region itself has a slash.
func Qualify(region, id string) string {
	if id == "" || strings.Contains(id, "/") {
		return id
	}
	return region + "/" + id
}

// Cut splits what Qualify made. ok is false for a name of the region itself.
func Cut(id string) (region, node string, ok bool) {
	region, node, ok = strings.Cut(id, "/")
	return region, node, ok
}

// Foreign tells whether a node, or the owner of a call, is of another region.
func Foreign(id string) bool { return strings.Contains(id, "/") }

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
