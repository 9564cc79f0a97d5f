package netaddr

import (
	"errors"
	"log/slog"
	"time"
)

// GuardArg is the first argument that makes a process a guard: main calls RunGuard before anything else.
const GuardArg = "guard"

// GuardConfig is for StartGuard.
type GuardConfig struct {
	Log *slog.Logger // nil: nothing is logged

	// Provider is the name for Open of the provider with which the guard removes addresses.
	Provider      string
	ScriptTimeout time.Duration // as in Config

	// Silence is how long the parent may say nothing while addresses are held. It says something every AliveEvery.
	Silence time.Duration
}

const (
	// AliveEvery is how often a parent calls Guard.Alive.
	AliveEvery = 10 * time.Millisecond

	// DefaultSilence is four times that, and a little for the scheduler.
	DefaultSilence = 45 * time.Millisecond
)

var (
	// ErrSilent is the error of Guard.Alive if this process has been silent for too long: the guard removes, or has removed,
	// all that was held until then.
	ErrSilent = errors.New("this process was silent for longer than the guard waits")

	// ErrNoGuard is the error of a guard that has ended, or does not read.
	ErrNoGuard = errors.New("the guard does not hear this process any more")
)

func (c GuardConfig) withDefaults() (GuardConfig, error) {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Silence == 0 {
		c.Silence = DefaultSilence
	}
	if c.Silence < 0 {
		return c, errors.New("check the guard's limit of silence: it must be positive")
	}
	if c.ScriptTimeout == 0 {
		c.ScriptTimeout = DefaultScriptTimeout
	}
	return c, nil
}
