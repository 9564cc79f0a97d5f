package embed

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// retryPause is the least time between two attempts at something that the log has no server or leader for. An election is
// over after some 500 ms; an attempt costs some 50 µs.
const retryPause = 20 * time.Millisecond

// inFlightPause is that time if another entry for the same key is on its way to the replicas, which takes some 100 µs.
const inFlightPause = time.Millisecond

// Append adds data to the entries of key and returns its sequence, once the log has confirmed it. last is the sequence
// of the key's newest entry that the writer knows, 0 for a new key; if it is not the newest, nothing is stored and the
// error matches [ErrConflict].
//
// While the log has no leader, or does not answer, Append tries again for as long as ctx allows; without a deadline for at
// most 5 s. An error that matches [ErrUnavailable] leaves open whether data was stored: the same append, once more, tells.
// What was stored is recognised by its bytes: if data is what follows last already, that is the entry, whoever wrote it. So
// data must say who writes it, and what for.
func (l *Log) Append(ctx context.Context, key string, last uint64, data []byte) (uint64, error) {
	ctx, cancel := withDeadline(ctx, appendTimeout)
	defer cancel()
	for {
		seq, err := l.publish(ctx, l.prefix+key, key, last, data, nil)
		if err == nil {
			return seq, nil
		}
		if errors.Is(err, ErrConflict) {
			seq, conflict := l.ours(ctx, key, last, data, err)
			if conflict == nil {
				return seq, nil
			}
			err = conflict
		}
		if !l.tryAgain(ctx, err) {
			return 0, err
		}
	}
}

// ours finds out whose entry made the conflict err. The error that it returns is err only if it was another's.
func (l *Log) ours(ctx context.Context, key string, last uint64, data []byte, err error) (uint64, error) {
	e, gerr := l.get(ctx, key, fmt.Sprintf(`{"seq":%d,"next_by_subj":%q}`, last+1, l.prefix+key))
	switch {
	case gerr != nil:
		return 0, gerr // a conflict is not certain before we know whose it is
	case e.found && bytes.Equal(e.Data, data):
		return e.Seq, nil
	case !e.found && errors.Is(err, errInFlight):
		return 0, fmt.Errorf("append to %s: %w: %w", key, ErrUnavailable, errInFlight)
	}
	return 0, err
}

// publish makes one attempt to store data in a subject that ends at last. what is the subject in the words of an error.
func (l *Log) publish(ctx context.Context, subject, what string, last uint64, data []byte, header nats.Header) (uint64, error) {
	if l.cfg.Health != nil {
		if err := l.cfg.Health(); err != nil {
			return 0, fmt.Errorf("append to %s: %w", what, err)
		}
	}
	if header == nil {
		header = make(nats.Header, 1)
	}
	header[jetstream.ExpectedLastSubjSeqHeader] = []string{strconv.FormatUint(last, 10)}
	m := nats.Msg{Subject: subject, Data: data, Header: header}
	reply, err := l.req.slice(ctx, &m)
	if err != nil {
		if l.cfg.Health != nil {
			if bad := l.cfg.Health(); bad != nil { // the server does not answer a write that failed
				return 0, fmt.Errorf("append to %s: %w", what, bad)
			}
		}
		return 0, requestError("append to", what, err)
	}
	ack, err := parseAck(reply.Data)
	if err != nil {
		return 0, fmt.Errorf("append to %s: %w", what, err)
	}
	if ack.Error != nil {
		return 0, l.writeError("append to", what, ack.Error)
	}
	return ack.Seq, nil
}

// writeError is apiError for something that could not be written, and notes that history is to yield.
func (l *Log) writeError(op, what string, f *apiFault) error {
	err := apiError(op, what, f.Code, f.ErrCode, f.Description)
	if errors.Is(err, errShare) {
		l.starved.Store(true)
	}
	return err
}

// tryAgain tells whether to try once more after err, when it is time to. An attempt that went without an answer has waited
// already.
func (l *Log) tryAgain(ctx context.Context, err error) bool {
	if !errors.Is(err, ErrUnavailable) || ctx.Err() != nil || l.nc.IsClosed() {
		return false
	}
	if errors.Is(err, errLate) {
		return true
	}
	pause := retryPause
	if errors.Is(err, errInFlight) {
		pause = inFlightPause
	}
	t := time.NewTimer(pause)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// apiAnswer is the answer of the JetStream API to a request.
type apiAnswer interface {
	fault() *apiFault
	reset()
}

// answer is what all answers have.
type answer struct {
	Error *apiFault `json:"error"`
}

func (a *answer) fault() *apiFault { return a.Error }
func (a *answer) reset()           { a.Error = nil }

// callAPI asks the JetStream API something that may be asked twice, until there is an answer or ctx ends. what is the object of
// op, in the words of an error.
func (l *Log) callAPI(ctx context.Context, op, what, verb string, req []byte, out apiAnswer) error {
	for {
		err := l.askOnce(ctx, op, what, verb, req, out)
		if err == nil || !l.tryAgain(ctx, err) {
			return err
		}
	}
}

func (l *Log) askOnce(ctx context.Context, op, what, verb string, req []byte, out apiAnswer) error {
	m, err := l.req.slice(ctx, &nats.Msg{Subject: "$JS.API." + verb, Data: req})
	if err != nil {
		return requestError(op, what, err)
	}
	out.reset()
	if err := json.Unmarshal(m.Data, out); err != nil {
		return fmt.Errorf("%s %s: decode the answer: %w", op, what, err)
	}
	if f := out.fault(); f != nil {
		return apiError(op, what, f.Code, f.ErrCode, f.Description)
	}
	return nil
}
