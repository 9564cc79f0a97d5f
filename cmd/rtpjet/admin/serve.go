package admin

import (
	"context"
	"encoding/json"
	"sync"

	"rtpjet/embed"
)

// Server is a node as operators ask it. Its methods are called by several goroutines at once; ctx ends with the node.
type Server interface {
	// Status tells how the node is, and what it thinks of its peers.
	Status(ctx context.Context) Status
	// Why tells what is known of a call.
	Why(req WhyRequest) WhyReply
	// Drain takes the node out of the choice for new calls, or back. It answers once, and may go on after that: until the node
	// has no more calls.
	Drain(ctx context.Context, req DrainRequest, answer func(Reply))
	// Takeover takes over the calls of a node, spread over those with room.
	Takeover(ctx context.Context, req TakeoverRequest) Reply
	// Move gives a float to another node, and returns when that holds it.
	Move(ctx context.Context, req MoveRequest) Reply
	// Adopt makes the calls of a lost region this one's.
	Adopt(ctx context.Context, req AdoptRequest) Reply
	// Forget forgets a region.
	Forget(ctx context.Context, req ForgetRequest) Reply
}

// handler answers the requests of one verb. respond is called once, or not at all if nobody is to wait for an answer.
type handler func(ctx context.Context, s Server, data []byte, respond func(any))

var handlers = map[string]handler{
	VerbStatus: func(ctx context.Context, s Server, _ []byte, respond func(any)) { respond(s.Status(ctx)) },
	VerbWhy: func(_ context.Context, s Server, data []byte, respond func(any)) {
		var req WhyRequest
		if json.Unmarshal(data, &req) == nil {
			respond(s.Why(req))
		}
	},
	VerbDrain: func(ctx context.Context, s Server, data []byte, respond func(any)) {
		var req DrainRequest
		if err := json.Unmarshal(data, &req); err != nil {
			respond(Reply{Error: err.Error()})
			return
		}
		s.Drain(ctx, req, func(r Reply) { respond(r) })
	},
	VerbTakeover: answering(Server.Takeover),
	VerbMove:     answering(Server.Move),
	VerbAdopt:    answering(Server.Adopt),
	VerbForget:   answering(Server.Forget),
}

// answering makes a handler of a method that has one request and one reply.
func answering[R any](method func(Server, context.Context, R) Reply) handler {
	return func(ctx context.Context, s Server, data []byte, respond func(any)) {
		var req R
		if err := json.Unmarshal(data, &req); err != nil {
			respond(Reply{Error: err.Error()})
			return
		}
		respond(method(s, ctx, req))
	}
}

// Verbs are all verbs of operators.
func Verbs() []string {
	out := make([]string, 0, len(handlers))
	for verb := range handlers {
		out = append(out, verb)
	}
	return out
}

// Handle answers one request. It returns when the node has nothing more to do for it, which may be hours after the answer.
func Handle(ctx context.Context, s Server, verb string, data []byte, respond func([]byte) error) {
	handlers[verb](ctx, s, data, func(v any) {
		answer, err := json.Marshal(v)
		if err != nil {
			return
		}
		_ = respond(answer) // who asked gives up by himself
	})
}

// Subscriber is what a node needs of NATS to be asked. *embed.Log is one.
type Subscriber interface {
	Subscribe(tokens string, f func(embed.Msg)) (stop func(), err error)
}

// Listen has a node answer operators. What it returns ends that, and waits for what was begun, which ctx ends.
func Listen(ctx context.Context, link Subscriber, node string, s Server) (stop func(), err error) {
	var (
		mu    sync.Mutex
		ended bool
		work  sync.WaitGroup
		undo  []func()
	)
	stop = func() {
		for _, f := range undo {
			f()
		}
		mu.Lock()
		ended = true // a message may still be on its way
		mu.Unlock()
		work.Wait()
	}
	for _, verb := range Verbs() {
		un, err := link.Subscribe(Tokens(node, verb), func(m embed.Msg) {
			mu.Lock()
			defer mu.Unlock()
			if !ended {
				work.Go(func() { Handle(ctx, s, verb, m.Data, m.Respond) })
			}
		})
		if err != nil {
			stop()
			return nil, err
		}
		undo = append(undo, un)
	}
	return stop, nil
}
