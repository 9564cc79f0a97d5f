package cluster

import (
	"testing"

	"github.com/anishathalye/porcupine"
)

// The check finds what it is there to find.
func TestModel(t *testing.T) {
	op := func(from, to int64, what string, port int, got saw) porcupine.Operation {
		return porcupine.Operation{Input: asked{what, port}, Call: from, Output: got, Return: to}
	}
	there := func(a, b int) saw { return saw{exists: true, a: a, b: b} }
	for name, test := range map[string]struct {
		history []porcupine.Operation
		want    porcupine.CheckResult
	}{
		"one after the other": {[]porcupine.Operation{
			op(1, 2, "query", 0, saw{}), op(3, 4, "offer", 1, saw{}), op(5, 6, "answer", 2, saw{exists: true}),
			op(7, 8, "query", 0, there(1, 2)), op(9, 10, "delete", 0, saw{exists: true}), op(11, 12, "query", 0, saw{}),
		}, porcupine.Ok},
		"a stale query": {[]porcupine.Operation{
			op(1, 2, "offer", 1, saw{}), op(3, 4, "offer", 2, saw{}), op(5, 6, "query", 0, there(1, 0)),
		}, porcupine.Illegal},
		"a query meanwhile": {[]porcupine.Operation{
			op(1, 2, "offer", 1, saw{}), op(3, 6, "offer", 2, saw{}), op(4, 5, "query", 0, there(1, 0)),
		}, porcupine.Ok},
		"an offer after an answer waits for its own": {[]porcupine.Operation{
			op(1, 2, "offer", 1, saw{}), op(3, 4, "answer", 2, saw{exists: true}), op(5, 6, "offer", 3, saw{}),
			op(7, 8, "query", 0, there(1, 2)), op(9, 10, "answer", 4, saw{exists: true}), op(11, 12, "query", 0, there(3, 4)),
		}, porcupine.Ok},
		"an offer in force that nobody has answered": {[]porcupine.Operation{
			op(1, 2, "offer", 1, saw{}), op(3, 4, "answer", 2, saw{exists: true}), op(5, 6, "offer", 3, saw{}),
			op(7, 8, "query", 0, there(3, 2)),
		}, porcupine.Illegal},
		"a lost offer": {[]porcupine.Operation{
			op(1, 2, "offer", 1, saw{}), op(3, 4, "answer", 0, saw{}),
		}, porcupine.Illegal},
		"deleted twice": {[]porcupine.Operation{
			op(1, 2, "offer", 1, saw{}), op(3, 5, "delete", 0, saw{exists: true}), op(4, 6, "delete", 0, saw{exists: true}),
		}, porcupine.Illegal},
		"unknown, and it happened later": {[]porcupine.Operation{
			op(1, 2, "offer", 1, saw{}), op(3, 20, "delete", 0, saw{unknown: true}),
			op(5, 6, "query", 0, there(1, 0)), op(7, 8, "query", 0, saw{}),
		}, porcupine.Ok},
		"unknown, and it did not happen": {[]porcupine.Operation{
			op(1, 2, "offer", 1, saw{}), op(3, 20, "delete", 0, saw{unknown: true}), op(5, 6, "query", 0, there(1, 0)),
		}, porcupine.Ok},
		"unknown, and it happened twice": {[]porcupine.Operation{
			op(1, 2, "offer", 1, saw{}), op(3, 20, "delete", 0, saw{unknown: true}), op(5, 6, "query", 0, saw{}),
			op(7, 8, "offer", 2, saw{}), op(9, 10, "query", 0, saw{}),
		}, porcupine.Illegal},
	} {
		if got := linearizable(test.history); got != test.want {
			t.Errorf("%s: %v, want %v", name, got, test.want)
		}
	}
}
