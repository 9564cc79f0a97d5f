package pause_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"rtpjet/cmd/rtpjet/node/internal/pause"
)

func TestFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		began := time.Now()
		if !pause.For(ctx, 2*time.Second) || time.Since(began) != 2*time.Second {
			t.Errorf("not waited for, or for %v", time.Since(began))
		}
		if pause.For(ctx, 2*time.Second) || time.Since(began) != 3*time.Second {
			t.Errorf("the context's end at 3 s was noticed after %v, or not at all", time.Since(began))
		}
		if pause.For(ctx, time.Hour) || time.Since(began) != 3*time.Second {
			t.Error("waited although the context had ended")
		}
	})
}
