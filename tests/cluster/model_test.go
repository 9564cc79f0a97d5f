package cluster

import (
	"fmt"
	"time"

	"github.com/anishathalye/porcupine"
)

// What clients saw of one call-id, as a register that offers and answers write, queries read, and a delete empties. Each
// offer and each answer says a port of its own, so that a query tells which of them came last. Once there was an answer, an
// offer is a proposal: a query tells what it says as soon as it is answered (RFC 3264 §8).

// asked is what a client wanted.
type asked struct {
	what string // offer, answer, query, delete
	port int    // of an offer or answer
}

// saw is what it got.
type saw struct {
	// unknown: no reply, or one that says that the node does not know. It may have happened, then or at any time later.
	unknown bool
	exists  bool // the call was there; of an offer it does not matter
	a, b    int  // ports that a query told; 0: none
}

// register is the state of one call-id.
type register struct {
	exists  bool
	a, b    int // what is in force
	offered int // by the last offer
}

// next returns the states that an operation may lead to with what was seen; none if it could not have been seen.
func next(s register, op asked, got saw) []register {
	then, exists := s, s.exists
	switch op.what {
	case "offer":
		then.exists, then.offered, exists = true, op.port, true
		if s.b == 0 { // its media may come before any answer (RFC 3264 §5.1)
			then.a = op.port
		}
	case "answer":
		if s.exists {
			then.a, then.b = s.offered, op.port
		}
	case "delete":
		then = register{}
	}
	switch {
	case got.unknown:
		if then == s {
			return []register{s}
		}
		return []register{s, then}
	case op.what == "offer":
	case got.exists != exists, op.what == "query" && exists && (got.a != s.a || got.b != s.b):
		return nil
	}
	return []register{then}
}

// model is what porcupine checks with.
var model = (&porcupine.NondeterministicModel{
	Init: func() []any { return []any{register{}} },
	Step: func(state, input, output any) []any {
		var out []any
		for _, s := range next(state.(register), input.(asked), output.(saw)) {
			out = append(out, s)
		}
		return out
	},
	Equal: func(a, b any) bool { return a == b },
	DescribeOperation: func(input, output any) string {
		op, got := input.(asked), output.(saw)
		text := op.what
		if op.port > 0 {
			text += fmt.Sprint(" ", op.port)
		}
		switch {
		case got.unknown:
			return text + ": unknown"
		case op.what == "query" && got.exists:
			return fmt.Sprintf("%s: ports %d and %d", text, got.a, got.b)
		case op.what == "offer":
			return text
		case got.exists:
			return text + ": there"
		}
		return text + ": not there"
	},
}).ToModel()

// linearizable checks the history of one call-id. Without an answer in time it counts as one that is.
func linearizable(history []porcupine.Operation) porcupine.CheckResult {
	return porcupine.CheckOperationsTimeout(model, history, 30*time.Second)
}
