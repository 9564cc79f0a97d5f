package regions

import (
	"errors"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"

	"rtpjet/embed"
)

// watch sees what a node's NATS passes on.
type watch struct {
	t      testing.TB
	nc     *nats.Conn
	msgs   chan *nats.Msg
	sender string // what the subjects begin with to which the node has answers sent
}

// greeting is where a node greets another region, once a second.
const greeting = "rtpjet-region"

// watch looks at what a node exchanges with another region: all requests that leave for it pass there.
func (n *node) watch(region string) *watch {
	t := n.r.w.t
	t.Helper()
	creds := embed.Credentials{ClusterKey: []byte(keyText)}.ForRegion(region)
	nc, err := embed.Connect(t.Context(), "watch", []string{n.url()}, creds)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	w := &watch{t: t, nc: nc, msgs: make(chan *nats.Msg, 1<<16)}
	if _, err := nc.ChanSubscribe(">", w.msgs); err != nil {
		t.Fatal(err)
	}
	eventually(t, n.name()+" does not greet "+region, func() error {
		for _, m := range w.taken() {
			if m.Subject == greeting {
				w.sender = m.Reply[:strings.LastIndexByte(m.Reply, '.')+1]
				return nil
			}
		}
		return errors.New("no greeting")
	})
	return w
}

// taken are the messages that have come since the last call.
func (w *watch) taken() (list []*nats.Msg) {
	w.t.Helper()
	if err := w.nc.Flush(); err != nil {
		w.t.Fatal(err)
	}
	for {
		select {
		case m := <-w.msgs:
			list = append(list, m)
		default:
			return list
		}
	}
}

// requests are the subjects of what the node has asked of the other region since the last call: commands, and appends to its
// stream. Greetings are none, and what only keeps the mirror up has another sender.
func (w *watch) requests() (list []string) {
	w.t.Helper()
	for _, m := range w.taken() {
		if strings.HasPrefix(m.Reply, w.sender) && m.Subject != greeting {
			list = append(list, m.Subject)
		}
	}
	return list
}
