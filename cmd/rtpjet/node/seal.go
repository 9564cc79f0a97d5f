package node

import (
	"log/slog"
	"sync/atomic"

	"golang.org/x/time/rate"

	"rtpjet/events"
)

// codec writes and reads events as the log has them: with their secrets sealed. It is safe for concurrent use.
type codec struct {
	log      *slog.Logger
	sealer   *events.Sealer
	unopened atomic.Uint64 // events with secrets that could not be opened
	warning  rate.Sometimes
}

// newCodec makes a codec that seals with the first key, and opens with all; without keys it does not seal.
func newCodec(log *slog.Logger, keys [][]byte) (*codec, error) {
	sealer, err := events.NewSealer(keys...)
	if err != nil {
		return nil, err
	}
	return &codec{log: log, sealer: sealer, warning: rate.Sometimes{First: 1, Interval: warnEvery}}, nil
}

// encode makes the bytes of an event as the log gets them: with its secrets sealed.
func (c *codec) encode(env events.Envelope) ([]byte, error) { return events.Encode(c.sealer.Seal(env)) }

// decode reads what encode wrote.
func (c *codec) decode(data []byte) (events.Envelope, error) {
	env, err := events.Decode(data)
	if err != nil {
		return env, err
	}
	return c.opened(env), nil
}

// opened opens the secrets of an event. One whose secrets cannot be opened is of use all the same: everything but the
// encrypted media of its call works.
func (c *codec) opened(env events.Envelope) events.Envelope {
	env, err := c.sealer.Open(env)
	if err != nil && c.warnSealed() {
		c.log.Error("the keys of an encrypted call cannot be read; its media does not get through here: "+
			"give this node the --cluster-key-file of the others", "call-id", env.Call, "err", err)
	}
	return env
}

// warnSealed tells whether it is time to complain again.
func (c *codec) warnSealed() bool {
	c.unopened.Add(1)
	due := false
	c.warning.Do(func() { due = true })
	return due
}
