package replica_test

import (
	"testing"

	"rtpjet/events"
	"rtpjet/projection"
	"rtpjet/projection/replica"
)

// BenchmarkFold folds the events of one call, as a node that starts does: with what a replica notes of them, and without.
func BenchmarkFold(b *testing.B) {
	l := &fakeLog{}
	n := newFakeNode(l)
	n.other(offered("n1", 100))
	n.other(moved(104))
	n.other(blocked(true))
	n.other(events.Ended{Reason: events.ReasonDeleted})
	var envs []events.Envelope
	for _, in := range l.entries {
		env, err := events.Decode(in.Data)
		if err != nil {
			b.Fatal(err)
		}
		envs = append(envs, env)
	}
	b.Run("replica", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			r := replica.New(&n.core)
			for i, env := range envs {
				r.Fold(uint64(i+1), env, nil, false)
			}
		}
	})
	b.Run("call", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			var c projection.Call
			for i, env := range envs {
				c.ID = env.Call
				c.Apply(uint64(i+1), env)
			}
		}
	})
}
