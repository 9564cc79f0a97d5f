package node

import (
	"context"
	"log/slog"

	"rtpjet/events"
	"rtpjet/ngserver"
)

// tracer writes each NG message and its reply into the log; nil if that is not wanted.
func (n *Node) tracer() func(ngserver.Exchange) {
	if !n.log.Enabled(context.Background(), slog.LevelDebug) {
		return nil
	}
	return func(x ngserver.Exchange) {
		message := "NG command"
		if x.Repeated {
			message = "NG command that came again"
		}
		n.log.Debug(message, "call-id", x.CallID, "command", x.Command, "source", x.Source, "cookie", string(x.Cookie),
			"request", hideKeys(x.Request), "reply", hideKeys(x.Reply), "took", x.Took)
	}
}

// hideKeys is a message without the SRTP keys in it.
func hideKeys(message []byte) string { return events.HideKeys(string(message), "[hidden]") }
