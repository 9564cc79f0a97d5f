package replica

import (
	"errors"
	"fmt"

	"rtpjet/events"
	"rtpjet/projection/transact"
)

// Effects are what a replica needs of the node around it, for as long as the call is held. Each of them ends in bounded time.
// Errors match transact.ErrConflict (nothing was written), transact.ErrUncertain, or are final.
type Effects interface {
	// Now is the time in µs of Unix time.
	Now() int64
	// Encode makes the bytes of an event as the log gets them, Decode reads them.
	Encode(env events.Envelope) ([]byte, error)
	Decode(data []byte) (events.Envelope, error)

	// Store writes the bytes of an event into the log, after the call's entry last. A call that is ours can be served without
	// the log, and waits less for it.
	Store(last uint64, data []byte, ours bool) (seq uint64, err error)
	// Read reads the call's entries after a sequence from the log; last is the sequence of the last one that there is.
	Read(after uint64, ours bool) (entries []Entry, last uint64, err error)
	// Unattended tells whether the log is away and somebody on the lookout for it, so that nobody else has to wait for it.
	Unattended() bool
	// Wait notes that an event waits for the log; false if no more can.
	Wait(data []byte) bool

	// Fold hands an entry of the log to the replica as one that the stream brings.
	Fold(in Entry)
	// Took says what became of the replica, by an event unless that is the zero Envelope.
	Took(env events.Envelope, ch Change)
}

// Stored is where an event stands in the log; the zero Stored is one that waits for the log.
type Stored struct {
	Last, Seq uint64 // of the call's entry before it, and its own
	Data      []byte
}

// Append writes one event of the call and puts it into effect, or has it wait for the log if it may.
func (r *Replica) Append(fx Effects, env events.Envelope) (Stored, error) {
	data, err := fx.Encode(env)
	if err != nil {
		return Stored{}, err
	}
	keepable := r.Keepable(env)
	switch {
	case r.unlogged != nil && !keepable:
		return Stored{}, fmt.Errorf("events of the call wait for it: %w", transact.ErrUncertain)
	case r.unlogged != nil, keepable && fx.Unattended():
		return Stored{}, r.keep(fx, data) // in order, and without a wait for a log that is away
	}
	last := r.Call.Seq
	seq, err := fx.Store(last, data, keepable)
	switch {
	case err == nil:
	case keepable && errors.Is(err, transact.ErrUncertain):
		return Stored{}, r.keep(fx, data)
	default:
		return Stored{}, err
	}
	fx.Took(env, r.Fold(seq, env, data, true))
	return Stored{last, seq, data}, nil
}

// keep puts an event into effect that the log does not have. It is decoded from its bytes: the strings of a command end with its
// datagram.
func (r *Replica) keep(fx Effects, data []byte) error {
	env, err := fx.Decode(data)
	if err != nil {
		return fmt.Errorf("keep an event until the log answers: %w", err)
	}
	if !fx.Wait(data) {
		return fmt.Errorf("%w, and no more events can wait for it", transact.ErrUncertain)
	}
	fx.Took(env, r.Keep(Event{env, data}))
	return nil
}

// CatchUp folds what the log has of the call beyond what we have seen.
func (r *Replica) CatchUp(fx Effects) error {
	entries, last, err := fx.Read(r.Logged().Seq, r.Ours())
	if err != nil {
		return err
	}
	for _, in := range entries {
		fx.Fold(in)
	}
	switch c := r.Logged(); {
	case len(entries) > 0 || last == c.Seq:
	case c.Live():
		// Its end would have been told long before its entries were retired: a leader that was elected a moment ago has not
		// read them yet. Who was away for so long compares.
		return fmt.Errorf("the log does not know a live call: %w", transact.ErrUncertain)
	default:
		fx.Took(events.Envelope{}, r.Lose(last, fx.Now()))
	}
	return nil
}

// Refresh is CatchUp for a command. One on a call that is ours goes on without a log that does not answer.
func (r *Replica) Refresh(fx Effects) error {
	if !r.Ours() {
		return r.CatchUp(fx)
	}
	if fx.Unattended() {
		return nil
	}
	if err := r.CatchUp(fx); !errors.Is(err, transact.ErrUncertain) {
		return err
	}
	return nil
}

// Compare ends a call of which the stream has nothing left. Its entries up to a sequence have left the stream while this node did
// not follow it.
func (r *Replica) Compare(fx Effects, to uint64) {
	c := r.Logged()
	if !c.Live() || c.Seq >= to {
		return
	}
	if entries, last, err := fx.Read(c.Seq, false); err == nil && len(entries) == 0 {
		fx.Took(events.Envelope{}, r.Lose(last, fx.Now()))
	}
}

// Since reads the events of the call after a sequence; those that wait for the log come with the pseudo sequences that the call
// has them under. What cannot be read is an event of an unknown kind.
func (r *Replica) Since(fx Effects, after uint64) ([]transact.Entry, error) {
	own := r.Ours()
	if own && (after >= r.Logged().Seq || fx.Unattended()) {
		return r.merged(after, nil), nil
	}
	entries, _, err := fx.Read(after, own)
	if err != nil && (!own || !errors.Is(err, transact.ErrUncertain)) {
		return nil, err
	}
	out := make([]transact.Entry, 0, len(entries))
	for _, in := range entries {
		env, err := fx.Decode(in.Data)
		if err != nil {
			env = events.Envelope{Event: events.Unknown{Name: "unreadable"}}
		}
		out = append(out, transact.Entry{Seq: in.Seq, Envelope: env})
	}
	return r.merged(after, out), nil
}

// publishTries bounds how often others may be faster than a call's events in one round.
const publishTries = 8

// Publish appends what waits, in order. The entry in the log that makes a conflict may be our own; if it is not, the call is
// folded anew on it, and what still fits follows.
func (r *Replica) Publish(fx Effects) error {
	for tries := 0; ; {
		next, after, ok := r.Next()
		if !ok {
			return nil
		}
		seq, err := fx.Store(after, next.Data, true)
		if err == nil {
			fx.Took(next.Envelope, r.Fold(seq, next.Envelope, next.Data, true))
			continue
		}
		if tries++; !errors.Is(err, transact.ErrConflict) || tries > publishTries {
			return err
		}
		if err := r.CatchUp(fx); err != nil {
			return err
		}
	}
}
