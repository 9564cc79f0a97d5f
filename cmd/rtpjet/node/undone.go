package node

import (
	"strings"

	"rtpjet/ngserver/ng"
)

// undone counts what a command has asked for and does not get, and tells the log of it: of each feature once for a locked call.
func (c *commands) undone(e *entry, m *ng.Message, u ng.Undone) {
	if u == 0 {
		return
	}
	c.counters.Unsupported(u)
	if e.toldGen != e.Call.Gen {
		e.told, e.toldGen = 0, e.Call.Gen
	}
	if fresh := u &^ e.told; fresh != 0 {
		e.told |= u
		c.log.Warn("what was asked for is not supported and not done", "call-id", m.CallID, "command", m.Command, "source", m.Source,
			"features", strings.Join(fresh.Labels(), " "))
	}
}

// unsupported refuses a command that this build does not have, or not so.
func (c *commands) unsupported(m *ng.Message) ng.Reply {
	c.counters.Unsupported(ng.NotDone(m.Request, ng.Situation{Refused: true}))
	return ng.Error(ng.ReasonUnsupported)
}
