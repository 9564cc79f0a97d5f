package ngserver

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"runtime/debug"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"rtpjet/ngserver/ng"
)

// DefaultBudget is how long a command may take from its arrival to its reply. Clients resend after 1 s
// (docs/decisions/04-time-limits.md).
const DefaultBudget = 800 * time.Millisecond

// Handler executes commands. A message is the Handler's to keep. Handle is called from many goroutines at once and must return soon
// after ctx is done, which is when the time budget of the command is used up: its reply is sent even then. The zero Reply is sent as
// an internal error, and so is a panic.
type Handler interface {
	Handle(ctx context.Context, m *ng.Message) ng.Reply
}

// HandlerFunc makes a function a Handler.
type HandlerFunc func(ctx context.Context, m *ng.Message) ng.Reply

// Handle calls f.
func (f HandlerFunc) Handle(ctx context.Context, m *ng.Message) ng.Reply { return f(ctx, m) }

// DispatcherConfig is what a Dispatcher needs. Only Handler must be set.
type DispatcherConfig struct {
	Handler Handler
	Logger  *slog.Logger     // nil: slog.Default()
	Clock   func() time.Time // nil: time.Now
	Budget  time.Duration    // of a command; 0: DefaultBudget

	Templates ng.Templates // that requests name, or have by themselves

	CacheRetention time.Duration // 0: DefaultCacheRetention
	CacheBytes     int           // 0: DefaultCacheBytes

	// Observe is told of each command that was executed or refused, from the goroutine that did it: its place in
	// ng.Commands, -1 for none, its result, how long it took from its arrival, and how long its reply is. It must be quick. nil:
	// nobody.
	Observe func(command int, result string, took time.Duration, replyBytes int)
	// Trace is told of each message with a cookie and its reply, also of pings and of what came again. nil: nobody.
	Trace func(Exchange)
}

// Exchange is a message and what was answered. Its bytes are for the time of the call only.
type Exchange struct {
	Source         netip.AddrPort // of the client
	Cookie         []byte         // empty on transports without cookies
	Command        string         // empty if it could not be read, or was not because it came again
	CallID         string
	Request, Reply []byte        // without the cookie
	Took           time.Duration // from the arrival to the reply
	Repeated       bool          // the message came before, and the reply is that of then
}

// Dispatcher takes messages from any transport to the Handler and the replies back: it splits off the cookie, answers
// pings, recognises repeated commands, reads the dictionary, keeps the time budget, survives panics and counts. It is safe
// for concurrent use.
type Dispatcher struct {
	handler Handler
	log     *slog.Logger
	clock   func() time.Time
	budget  time.Duration
	cache   *Cache

	templates ng.Templates

	stats   commandStats
	observe func(command int, result string, took time.Duration, replyBytes int)
	trace   func(Exchange)

	ignored, overloaded, panics, tooLarge, stale atomic.Uint64

	badMessages rate.Sometimes // logs about messages that anybody can send
	unknown     wordLog
	buffers     sync.Pool // *[]byte, for encoding
}

// NewDispatcher returns a Dispatcher.
func NewDispatcher(cfg DispatcherConfig) (*Dispatcher, error) {
	if cfg.Handler == nil {
		return nil, errors.New("ngserver: no handler given")
	}
	d := &Dispatcher{
		handler:     cfg.Handler,
		log:         cfg.Logger,
		clock:       cfg.Clock,
		budget:      cfg.Budget,
		templates:   cfg.Templates,
		observe:     cfg.Observe,
		trace:       cfg.Trace,
		cache:       NewCache(cfg.CacheRetention, cfg.CacheBytes),
		badMessages: rate.Sometimes{First: 10, Interval: time.Second},
	}
	if d.log == nil {
		d.log = slog.Default()
	}
	if d.clock == nil {
		d.clock = time.Now
	}
	if d.budget <= 0 {
		d.budget = DefaultBudget
	}
	d.buffers.New = func() any { return new([]byte) }
	return d, nil
}

// Stats returns the counters.
func (d *Dispatcher) Stats() Stats {
	return Stats{
		Proxies:    d.stats.snapshot(),
		Cache:      d.cache.Stats(),
		Ignored:    d.ignored.Load(),
		Overloaded: d.overloaded.Load(),
		Panics:     d.panics.Load(),
		TooLarge:   d.tooLarge.Load(),
		Stale:      d.stale.Load(),
	}
}

// Do handles one message with its cookie (docs/ng.md, "Envelope"), for transports that have a goroutine for it to wait
// in. The result has the cookie in front and must not be changed. It is nil if there is nothing to send: no cookie, or
// ctx ended while an equal command was waited for. data is kept by the Handler.
func (d *Dispatcher) Do(ctx context.Context, data []byte, source netip.AddrPort) []byte {
	now := d.clock()
	cookie, payload, ok := splitCookie(data)
	if !ok {
		d.ignore(data, source)
		return nil
	}
	if isPing(payload) {
		return d.appendPong(nil, cookie, source)
	}
	w := make(chanWaiter, 1)
	outcome, ticket, reply := d.cache.Claim(cookie, payload, now, w)
	switch outcome {
	case Known:
		d.traceRepeated(source, cookie, payload, reply)
		return reply
	case Joined:
		select {
		case reply = <-w:
			return reply
		case <-ctx.Done():
			return nil
		}
	case Refused:
		return nil
	}
	m := ng.Message{Source: source, Cookie: string(cookie), Raw: payload, Received: now}
	return d.execute(ctx, &m, cookie, ticket, 0)
}

// DoPlain handles one message of a transport without cookies (ng-plain, over HTTP and WebSocket), which has no
// protection against repetition either. The result is the reply; it is never nil.
func (d *Dispatcher) DoPlain(ctx context.Context, payload []byte, source netip.AddrPort) []byte {
	m := ng.Message{Source: source, Raw: payload, Received: d.clock()}
	return d.execute(ctx, &m, nil, Ticket{}, 0)
}

// chanWaiter waits for a joined command; its capacity is 1.
type chanWaiter chan []byte

func (w chanWaiter) Deliver(reply []byte) { w <- reply }

// execute runs the command and finishes its ticket, if there is one. The reply has the cookie in front, if there is one,
// and is at most limit bytes long unless limit is 0.
func (d *Dispatcher) execute(ctx context.Context, m *ng.Message, cookie []byte, ticket Ticket, limit int) []byte {
	finished := false
	defer func() {
		if !finished && ticket.cache != nil { // not executed: a repetition may try again
			ticket.Drop()
		}
	}()
	reply, index, kept := d.run(ctx, m)
	buf := d.buffers.Get().(*[]byte)
	b := appendEnvelope((*buf)[:0], cookie)
	b = reply.Append(b, m.Encoding)
	if limit > 0 && len(b) > limit {
		d.tooLarge.Add(1)
		d.log.Warn("NG reply does not fit into a datagram", "call-id", callID(m), "bytes", len(b), "source", m.Source)
		reply = shorten(m, reply)
		b = appendEnvelope(b[:0], cookie)
		b = reply.Append(b, m.Encoding)
	}
	out := bytes.Clone(b)
	if cap(b) <= 1<<16 {
		*buf = b
	}
	d.buffers.Put(buf)
	now := d.clock()
	if ticket.cache != nil && kept {
		ticket.Finish(out, now)
		finished = true
	}
	took := now.Sub(m.Received)
	d.count(m.Source, index, reply.Result(), took, len(out))
	if d.trace != nil {
		x := Exchange{Source: m.Source, Cookie: cookie, CallID: callID(m), Request: m.Raw, Reply: body(out, cookie), Took: took}
		if m.Request != nil {
			x.Command = m.Command
		}
		d.trace(x)
	}
	return out
}

// traceRepeated tells of a message that came again, and of the reply that is kept for it.
func (d *Dispatcher) traceRepeated(source netip.AddrPort, cookie, payload, reply []byte) {
	if d.trace != nil {
		d.trace(Exchange{Source: source, Cookie: cookie, Request: payload, Reply: body(reply, cookie), Repeated: true})
	}
}

// body is a reply without its envelope.
func body(reply, cookie []byte) []byte {
	if cookie == nil {
		return reply
	}
	return reply[len(cookie)+1:]
}

// callID is that of a message, empty if it could not be read.
func callID(m *ng.Message) string {
	if m.Request == nil {
		return ""
	}
	return m.CallID
}

// shorten replaces a reply that does not fit. What a delete did is done, and its client must not take it for failed.
func shorten(m *ng.Message, reply ng.Reply) ng.Reply {
	if m.Request != nil && m.Info().Action == ng.ActionDelete && reply.Result() == ng.ResultOK {
		return ng.Warning(ng.ReasonReplyTooLarge)
	}
	return ng.Error(ng.ReasonReplyTooLarge)
}

// run reads the message and calls the handler. index is the command's place in ng.Commands, -1 if there is none; kept is
// false for a command that was not executed for lack of time.
func (d *Dispatcher) run(ctx context.Context, m *ng.Message) (reply ng.Reply, index int, kept bool) {
	dict, enc, err := ng.DecodeDict(m.Raw)
	m.Encoding = enc
	index = -1
	if err == nil {
		m.Request, err = d.templates.Parse(dict)
		if m.Request != nil {
			index = ng.CommandIndex(m.Command)
		}
	}
	if err != nil {
		d.badMessages.Do(func() {
			d.log.Warn("NG message refused", "call-id", callID(m), "err", err, "source", m.Source, "message", excerpt(m.Raw))
		})
		return errorReply(err), index, true
	}
	if len(m.Unknown) > 0 {
		d.unknown.log(d.log, m)
	}
	if m.Info().Action == ng.ActionPing {
		return ng.Pong(), index, true
	}
	left := d.budget - d.clock().Sub(m.Received)
	if left <= 0 {
		d.overloaded.Add(1)
		return ng.Error(ng.ReasonLoadLimit), index, false
	}
	ctx, cancel := context.WithTimeout(ctx, left)
	defer cancel()
	return d.call(ctx, m), index, true
}

// call calls the handler and turns a panic into an error reply.
func (d *Dispatcher) call(ctx context.Context, m *ng.Message) (reply ng.Reply) {
	defer func() {
		if p := recover(); p != nil {
			d.panics.Add(1)
			d.log.Error("NG handler panicked", "panic", p, "command", m.Command, "call-id", m.CallID,
				"source", m.Source, "stack", string(debug.Stack()))
			reply = ng.Error(ng.ReasonInternal)
		}
	}()
	return d.handler.Handle(ctx, m)
}

// refuse answers a command that there is no room for. The answer is not kept, so that a repetition may succeed.
func (d *Dispatcher) refuse(cookie, payload []byte, source netip.AddrPort) []byte {
	d.overloaded.Add(1)
	d.badMessages.Do(func() { d.log.Error("NG commands refused: too many at once", "source", source) })
	reply := ng.Error(ng.ReasonLoadLimit).Append(appendEnvelope(nil, cookie), ng.DetectEncoding(payload))
	if d.trace != nil {
		d.trace(Exchange{Source: source, Cookie: cookie, Request: payload, Reply: body(reply, cookie)})
	}
	d.count(source, -1, ng.ResultError, 0, len(reply))
	return reply
}

// ignore counts a message without a cookie.
func (d *Dispatcher) ignore(data []byte, source netip.AddrPort) {
	d.ignored.Add(1)
	d.badMessages.Do(func() {
		d.log.Warn("NG message without a cookie ignored", "source", source, "message", excerpt(data))
	})
}

const (
	pingPayload = "d7:command4:pinge" // what Kamailio sends, byte for byte
	pongPayload = "d6:result4:ponge"
)

var pingIndex = ng.CommandIndex(ng.CommandPing)

func isPing(payload []byte) bool { return string(payload) == pingPayload }

// appendPong answers a ping without the cache: there is nothing to execute twice.
func (d *Dispatcher) appendPong(dst, cookie []byte, source netip.AddrPort) []byte {
	dst = append(appendEnvelope(dst, cookie), pongPayload...)
	if d.trace != nil {
		d.trace(Exchange{Source: source, Cookie: cookie, Command: ng.CommandPing, Request: []byte(pingPayload), Reply: []byte(pongPayload)})
	}
	d.count(source, pingIndex, ng.ResultPong, 0, len(dst))
	return dst
}

// count counts one command that was answered.
func (d *Dispatcher) count(source netip.AddrPort, index int, result string, took time.Duration, size int) {
	d.stats.of(source.Addr()).command(index, took, result == ng.ResultError)
	if d.observe != nil {
		d.observe(index, result, took, size)
	}
}

// splitCookie splits a message at its first blank.
func splitCookie(data []byte) (cookie, payload []byte, ok bool) {
	i := bytes.IndexByte(data, ' ')
	if i <= 0 {
		return nil, nil, false
	}
	return data[:i:i], data[i+1:], true
}

func appendEnvelope(dst, cookie []byte) []byte {
	if cookie == nil {
		return dst
	}
	dst = append(dst, cookie...)
	return append(dst, ' ')
}

func errorReply(err error) ng.Reply {
	var re *ng.ReasonError
	if errors.As(err, &re) {
		return ng.Error(re.Reason)
	}
	return ng.Error(ng.ReasonInternal)
}

// excerpt is the beginning of a message that may be anything, printable.
// excerpt is the beginning of a message, for the log; it ends before the first SRTP key.
func excerpt(b []byte) string {
	b, _, _ = bytes.Cut(b, []byte("inline:"))
	return strconv.QuoteToASCII(string(b[:min(len(b), 120)]))
}

// wordLog logs each word that was not understood once. When it has seen too many different ones it is silent.
type wordLog struct {
	mu   sync.Mutex
	seen map[string]struct{}
}

const maxLoggedWords = 500

func (w *wordLog) log(log *slog.Logger, m *ng.Message) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.seen == nil {
		w.seen = make(map[string]struct{})
	}
	for _, word := range m.Unknown {
		if _, ok := w.seen[word]; ok || len(w.seen) >= maxLoggedWords {
			continue
		}
		w.seen[word] = struct{}{}
		log.Info("NG word not understood and ignored", "word", word, "call-id", m.CallID, "command", m.Command, "source", m.Source)
	}
}
