package embed

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"

	"rtpjet/embed/internal/names"
)

// ErrNobody means that nobody is there to answer a request.
var ErrNobody = errors.New("nobody answers to that")

// Msg is a message of the bus.
type Msg struct {
	// Tokens is what the message was sent to, without what all subjects of the region begin with.
	Tokens string
	// Data is what was sent. It belongs to the receiver.
	Data []byte

	m      *nats.Msg
	answer func(data []byte) error // instead of m
}

// NewMsg returns a message that did not come from a server, for those who test what answers messages. Respond calls answer; nil: the
// message is no request.
func NewMsg(tokens string, data []byte, answer func(data []byte) error) Msg {
	return Msg{Tokens: tokens, Data: data, answer: answer}
}

// Respond answers a request. It does nothing for a message that is none.
func (m Msg) Respond(data []byte) error {
	switch {
	case m.answer != nil:
		return m.answer(data)
	case m.m == nil || m.m.Reply == "":
		return nil
	}
	if err := m.m.Respond(data); err != nil {
		return requestError("answer", m.Tokens, err)
	}
	return nil
}

// RespondJSON answers a request with v as JSON.
func (m Msg) RespondJSON(v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return m.Respond(data)
}

// The bus is core NATS: what nobody listens to is gone, and so is what is sent while there is no connection. Tokens are the
// parts of a subject, joined by dots; the subjects are those of the region.

// HelloTokens is where on the bus a node answers to its name.
func HelloTokens(node string) string { return "node." + node + ".hello" }

// Publish sends data to all who have subscribed to tokens. It does not wait for anybody.
func (l *Log) Publish(tokens string, data []byte) error {
	if err := l.nc.Publish(names.Bus(l.cfg.Region)+tokens, data); err != nil {
		return requestError("send to", tokens, err)
	}
	return nil
}

// Subscribe calls f with each message to tokens, one after the other, in the order of each sender, until stop is called; "*"
// stands for any one token and ">" at the end for one or more. A call of f may still be under way when stop returns. The
// subscription comes back with the connection. When Subscribe returns, this process's server knows of it; those of others
// learn it within the time that a message takes.
func (l *Log) Subscribe(tokens string, f func(Msg)) (stop func(), err error) {
	prefix := names.Bus(l.cfg.Region)
	sub, err := l.nc.Subscribe(prefix+tokens, func(m *nats.Msg) {
		f(Msg{Tokens: m.Subject[len(prefix):], Data: m.Data, m: m})
	})
	if err != nil {
		return nil, requestError("subscribe to", tokens, err)
	}
	if err := l.nc.Flush(); err != nil && !l.nc.IsReconnecting() {
		_ = sub.Unsubscribe()
		return nil, requestError("subscribe to", tokens, err)
	}
	return func() { _ = sub.Unsubscribe() }, nil
}

// SubscribeQueue is Subscribe, and of all who subscribe to tokens in this way one gets each message.
func (l *Log) SubscribeQueue(tokens string, f func(Msg)) (stop func(), err error) {
	prefix := names.Bus(l.cfg.Region)
	return l.subscribeQueue(prefix+tokens, len(prefix), tokens, f)
}

func (l *Log) subscribeQueue(subject string, skip int, what string, f func(Msg)) (stop func(), err error) {
	sub, err := l.nc.QueueSubscribe(subject, "nodes", func(m *nats.Msg) { f(Msg{Tokens: m.Subject[skip:], Data: m.Data, m: m}) })
	if err != nil {
		return nil, requestError("subscribe to", what, err)
	}
	return func() { _ = sub.Unsubscribe() }, nil
}

// helloSubject is where any region is greeted, whatever its name is: who is there has to say it.
const helloSubject = "rtpjet-region"

// SubscribeHello has f answer the greetings of other regions; of all nodes of the region one gets each.
func (l *Log) SubscribeHello(f func(Msg)) (stop func(), err error) {
	return l.subscribeQueue(helloSubject, 0, "greetings", f)
}

// Hello greets the region at the other end and returns its answer; errors are those of [Log.Request].
func (l *Log) Hello(ctx context.Context, data []byte) ([]byte, error) {
	return l.request(ctx, helloSubject, "the region", data)
}

// Request sends data to tokens and returns the first answer. Without a subscriber it fails at once with an error that
// matches [ErrNobody]; if there is no answer before ctx ends, 5 s without a deadline, or the connection is lost, with
// [ErrUnavailable]. A request is sent once.
func (l *Log) Request(ctx context.Context, tokens string, data []byte) ([]byte, error) {
	return l.request(ctx, names.Bus(l.cfg.Region)+tokens, tokens, data)
}

// request is a request to a subject; what is the subject in the words of an error.
func (l *Log) request(ctx context.Context, subject, what string, data []byte) ([]byte, error) {
	ctx, cancel := withDeadline(ctx, appendTimeout)
	defer cancel()
	m, err := l.req.do(ctx, &nats.Msg{Subject: subject, Data: data})
	switch {
	case errors.Is(err, nats.ErrNoResponders):
		return nil, fmt.Errorf("ask %s: %w", what, ErrNobody)
	case errors.Is(err, context.Canceled):
		return nil, fmt.Errorf("ask %s: %w", what, err)
	case err != nil:
		return nil, requestError("ask", what, err)
	}
	return m.Data, nil
}
