package projection

import (
	"strings"

	"rtpjet/events"
	"rtpjet/relay/plan"
)

// clocks are the clock rates of the payload types under which the party may send, but for telephone events: the timestamps of those are
// of when an event began (RFC 4733 §2.2.1). What we listed in the SDP sent to the party counts before its own list, which need not use the same numbers.
func clocks(m *events.Media) []plan.Clock {
	var out []plan.Clock
	var known [128]bool
	for _, list := range [2][]events.Codec{m.Offered, m.Codecs} {
		for _, c := range list {
			if c.PT < 0 || c.PT >= len(known) || known[c.PT] {
				continue
			}
			known[c.PT] = true
			if c.Rate > 0 && !strings.EqualFold(c.Name, "telephone-event") {
				out = append(out, plan.Clock{PT: uint8(c.PT), Rate: uint32(c.Rate)})
			}
		}
	}
	return out
}
