package ng

import (
	"net/netip"
	"time"
)

// Message is one command as it was received. The byte slices, in the request too, share memory with each other and must not be
// changed.
type Message struct {
	*Request
	Encoding Encoding
	Source   netip.AddrPort // of the client
	Cookie   string         // empty on transports without cookies
	Raw      []byte         // the dictionary, without the cookie
	Received time.Time      // by the clock of who received it; zero if that is not known
	Via      string         // the node of another region that it had come to, as region/node; empty: it came here
}
