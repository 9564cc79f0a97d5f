package natsinternal

import (
	_ "unsafe" // for go:linkname

	"github.com/nats-io/nats-server/v2/server"
)

// sendInternal sends a message as the server itself, in an account. That is how a consumer of the server sends: the reply subject of
// what it delivers, by which a mirror knows which entry it has got, begins with $JS.ACK, and the server refuses a client's message
// with such a reply subject. Without this there are no feeds, and each region has to answer the consumers of all others' mirrors.
//
//go:linkname sendInternal github.com/nats-io/nats-server/v2/server.(*Server).sendInternalAccountMsgWithReply
func sendInternal(s *server.Server, a *server.Account, subject, reply string, hdr []byte, msg any, echo bool) error

// Send sends a message to who listens in an account, as the server. header has the form that headers have on the wire; nil: none.
// The server takes header and data.
func Send(s *server.Server, a *server.Account, subject, reply string, header, data []byte) error {
	return sendInternal(s, a, subject, reply, header, data, false)
}
