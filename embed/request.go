package embed

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

// requester sends requests and hands the answers to those who wait, over one subscription. The client library's own
// request does the same with a random token, two locks and a context goroutine per call; this one costs half as much
// (see BenchmarkAppend) and fails those who wait as soon as the connection is lost.
type requester struct {
	nc     *nats.Conn
	prefix string // "_INBOX.xyz."
	sub    *nats.Subscription

	mu      sync.Mutex
	next    uint64
	waiting map[uint64]*waiter
	beat    uint32 // grows each sliceBeat

	done chan struct{} // ends sweep
	over chan struct{} // closed when it has ended
}

// waiter is one place for one answer.
type waiter struct {
	ch chan *nats.Msg // nil means that the connection was lost, late that a slice is over
	// until is the beat at which the wait ends; 0: never.
	until uint32
}

// late is what a waiter gets instead of an answer when its slice is over.
var late = new(nats.Msg)

// errLate means that there was no answer within a slice: the request or its answer was lost with a server, or it will still
// come and nobody waits for it.
var errLate = errors.New("no answer in time")

// A request that may be sent again is given a slice of 200 to 250 ms: an answer takes some 100 µs, and a second with a slow
// disk or a busy processor is rare enough, as a repetition costs little. One ticker for all takes the place of a timer for
// each request.
const (
	sliceBeat  = 50 * time.Millisecond
	sliceBeats = 5
)

var waiters = sync.Pool{New: func() any { return &waiter{ch: make(chan *nats.Msg, 1)} }}

func newRequester(nc *nats.Conn) (*requester, error) {
	r := &requester{
		nc: nc, prefix: nc.NewInbox() + ".", waiting: make(map[uint64]*waiter),
		done: make(chan struct{}), over: make(chan struct{}),
	}
	sub, err := nc.Subscribe(r.prefix+"*", r.deliver)
	if err != nil {
		return nil, fmt.Errorf("subscribe to replies: %w", err)
	}
	if err := sub.SetPendingLimits(-1, -1); err != nil {
		return nil, fmt.Errorf("subscribe to replies: %w", err)
	}
	r.sub = sub
	go r.sweep()
	return r, nil
}

// sweep ends the slices.
func (r *requester) sweep() {
	defer close(r.over)
	tick := time.NewTicker(sliceBeat)
	defer tick.Stop()
	var ended []*waiter
	for {
		select {
		case <-r.done:
			return
		case <-tick.C:
		}
		r.mu.Lock()
		r.beat++
		for id, w := range r.waiting {
			if w.until != 0 && w.until <= r.beat {
				delete(r.waiting, id)
				ended = append(ended, w)
			}
		}
		r.mu.Unlock()
		for _, w := range ended {
			w.ch <- late
		}
		clear(ended)
		ended = ended[:0]
	}
}

func (r *requester) deliver(m *nats.Msg) {
	id, err := strconv.ParseUint(m.Subject[len(r.prefix):], 36, 64)
	if err != nil {
		return
	}
	r.mu.Lock()
	w := r.waiting[id]
	delete(r.waiting, id)
	r.mu.Unlock()
	if w != nil {
		w.ch <- m
	}
}

// failAll wakes everybody: their answers were lost with the connection.
func (r *requester) failAll() {
	r.mu.Lock()
	lost := r.waiting
	r.waiting = make(map[uint64]*waiter)
	r.mu.Unlock()
	for _, w := range lost {
		w.ch <- nil
	}
}

// pending is a request that waits for its answer.
type pending struct {
	id uint64
	w  *waiter
}

// do sends m with a reply subject and waits for one answer, for as long as ctx allows.
func (r *requester) do(ctx context.Context, m *nats.Msg) (*nats.Msg, error) {
	p, err := r.send(m, 0)
	if err != nil {
		return nil, err
	}
	return r.wait(ctx, p)
}

// slice is do with errLate after a slice.
func (r *requester) slice(ctx context.Context, m *nats.Msg) (*nats.Msg, error) {
	p, err := r.send(m, sliceBeats)
	if err != nil {
		return nil, err
	}
	return r.wait(ctx, p)
}

// send sends m with a reply subject. What it returns must be given to wait. The wait ends after so many beats; 0: never.
func (r *requester) send(m *nats.Msg, beats uint32) (pending, error) {
	p := pending{w: waiters.Get().(*waiter)}
	r.mu.Lock()
	if p.w.until = 0; beats > 0 {
		p.w.until = r.beat + beats
	}
	r.next++
	p.id = r.next
	r.waiting[p.id] = p.w
	r.mu.Unlock()
	m.Reply = r.prefix + strconv.FormatUint(p.id, 36)
	if err := r.nc.PublishMsg(m); err != nil {
		r.forget(p)
		return pending{}, err
	}
	return p, nil
}

func (r *requester) wait(ctx context.Context, p pending) (*nats.Msg, error) {
	select {
	case reply := <-p.w.ch:
		waiters.Put(p.w)
		switch reply {
		case nil:
			return nil, nats.ErrDisconnected
		case late:
			return nil, errLate
		}
		if status(reply) == "503" {
			return nil, nats.ErrNoResponders
		}
		return reply, nil
	case <-ctx.Done():
		r.forget(p)
		return nil, ctx.Err()
	}
}

// forget ends a wait without an answer. If the answer is just being delivered, the waiter cannot be used again.
func (r *requester) forget(p pending) {
	r.mu.Lock()
	_, still := r.waiting[p.id]
	delete(r.waiting, p.id)
	r.mu.Unlock()
	if still {
		waiters.Put(p.w)
	}
}

// close ends the sweep; who still waits is woken.
func (r *requester) close() {
	_ = r.sub.Unsubscribe()
	close(r.done)
	<-r.over
	r.failAll()
}

// pubAck is what a stream answers to a message.
type pubAck struct {
	Seq   uint64    `json:"seq"`
	Dup   bool      `json:"duplicate"`
	Error *apiFault `json:"error"`
}

type apiFault struct {
	Code        int    `json:"code"`
	ErrCode     int    `json:"err_code"`
	Description string `json:"description"`
}

// parseAck reads {"stream":"X","seq":12} by hand and everything else with encoding/json.
func parseAck(b []byte) (pubAck, error) {
	const mark = `"seq":`
	if s := string(b); !strings.Contains(s, `"error"`) {
		if _, rest, ok := strings.Cut(s, mark); ok {
			n := 0
			for n < len(rest) && rest[n] >= '0' && rest[n] <= '9' {
				n++
			}
			if seq, err := strconv.ParseUint(rest[:n], 10, 64); err == nil {
				return pubAck{Seq: seq, Dup: strings.Contains(rest[n:], `"duplicate":true`)}, nil
			}
		}
	}
	var a pubAck
	if err := json.Unmarshal(b, &a); err != nil {
		return pubAck{}, fmt.Errorf("decode acknowledgement: %w", err)
	}
	if a.Error == nil && a.Seq == 0 {
		return pubAck{}, fmt.Errorf("acknowledgement without a sequence: %.100q", b)
	}
	return a, nil
}

// withDeadline gives ctx a deadline if it has none, so that nothing waits for ever.
func withDeadline(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, d)
}
