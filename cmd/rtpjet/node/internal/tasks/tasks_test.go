package tasks_test

import (
	"testing"
	"testing/synctest"

	"rtpjet/cmd/rtpjet/node/internal/tasks"
)

// The end waits for what has begun, and nothing begins after it.
func TestGroup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g tasks.Group
		leave, ran := make(chan struct{}), false
		g.Go(func() { <-leave; ran = true })
		ended := make(chan struct{})
		go func() { g.End(); close(ended) }()
		synctest.Wait()
		select {
		case <-ended:
			t.Error("the end has not waited")
		default:
		}
		g.Go(func() { t.Error("something has begun after the end") })
		close(leave)
		<-ended
		if !ran {
			t.Error("what was waited for has not run")
		}
		synctest.Wait()
	})
}
