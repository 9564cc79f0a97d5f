package netaddr

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"
)

// Provider brings addresses to this machine and takes them away. All of its methods are safe for concurrent use.
//
// An error is a sentence for the operator. Several addresses that fail are joined into one error.
type Provider interface {
	// Prepare finds out beforehand what Add would have to look up: devices, their numbers and hardware addresses, the
	// script. A missing device or right is told here, at the node's start.
	Prepare(ctx context.Context, addrs ...Address) error

	// Add has the addresses on this machine and announces them, in this order: the first is announced before the second is
	// added. One that is there already is announced again. All or nothing: where one cannot be had, those of this call that
	// were not there before are removed again, and an error is returned.
	//
	// A deadline of ctx is the moment until which this node may take the address. It is looked at before and after, with a
	// clock and not with a timer: a process that was frozen in the middle of Add gives the address back, unannounced.
	Add(ctx context.Context, addrs ...Address) error

	// Remove takes the addresses away; one that is not there is no error. It goes on to the next one after a failure, and
	// netlink and none do not look at ctx: this is the fence.
	Remove(ctx context.Context, addrs ...Address) error

	// Renew is called every RenewEvery while addresses are held. For one that is no longer there the error is ErrGone, and
	// nothing brings it back: whoever still has the right to it calls Add.
	Renew(ctx context.Context, addrs ...Address) error

	// Announce tells the network once more, at once and a few times over the next two seconds. An address that is not held
	// is not announced.
	Announce(addrs ...Address)

	// Check says whether the address is on this machine.
	Check(ctx context.Context, addr Address) (bool, error)

	// Sweep removes at the node's start what an earlier process has left behind.
	Sweep(ctx context.Context, addrs ...Address) error

	// Close stops announcing and frees what the provider holds open. It leaves the addresses where they are; sockets that
	// were bound to removed ones must be closed before.
	Close() error
}

// ErrGone is the error of Renew for an address that is no longer on this machine.
var ErrGone = errors.New("the address is no longer on this machine")

// ErrForeign is the error for an address that the device has for good, or for long: rtpjet has not put it there, and does not
// remove it.
var ErrForeign = errors.New("the device has it already, and not from rtpjet")

// RenewEvery is how often a holder calls Renew.
const RenewEvery = 500 * time.Millisecond

// Config is what the providers need.
type Config struct {
	Log *slog.Logger // nil: nothing is logged

	// Lifetime is how long the kernel keeps an address that nobody renews, in whole seconds; for netlink. 0 means
	// DefaultLifetime. The address is gone at most a second later than that, see the package comment.
	Lifetime time.Duration

	// May tells whether an address may be announced at this very moment; for netlink. It is asked before an announcement is
	// repeated: a process that was frozen meanwhile must not call packets to itself that go to another holder by now. nil: it
	// may. It is called from any goroutine, under a lock of the provider.
	May func(Address) bool

	// ScriptTimeout is how long a script may take; for exec. 0 means DefaultScriptTimeout.
	ScriptTimeout time.Duration
}

const (
	// DefaultLifetime stands three renewals that fail. One second, the shortest that the kernel knows, is not enough on a machine
	// that is very busy: a renewal waits for the kernel's lock on network settings, which others hold for up to a second.
	DefaultLifetime = 2 * time.Second

	maxLifetime = 10 * time.Second

	// DefaultScriptTimeout is long for a program and short for the interface of a cloud.
	DefaultScriptTimeout = 10 * time.Second
)

func (c Config) withDefaults() (Config, error) {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Lifetime == 0 {
		c.Lifetime = DefaultLifetime
	}
	if c.Lifetime < time.Second || c.Lifetime > maxLifetime || c.Lifetime%time.Second != 0 {
		return c, fmt.Errorf("check lifetime %s: the kernel counts whole seconds, and it may be 1 to %d", c.Lifetime, maxLifetime/time.Second)
	}
	if c.ScriptTimeout == 0 {
		c.ScriptTimeout = DefaultScriptTimeout
	}
	if c.ScriptTimeout < 0 {
		return c, fmt.Errorf("check script timeout %s: it must be positive", c.ScriptTimeout)
	}
	return c, nil
}

// Open opens the provider that an option names: "netlink", "exec:/path/of/script" or "none".
func Open(name string, cfg Config) (Provider, error) {
	script, isExec := strings.CutPrefix(name, "exec:")
	switch {
	case isExec:
		return opened(OpenExec(script, cfg))
	case name == "netlink":
		return opened(OpenNetlink(cfg))
	case name == "none":
		return opened(OpenNone(cfg))
	}
	return nil, fmt.Errorf("open provider %q: it is none of netlink, exec:/path/of/script and none", name)
}

// opened keeps a nil pointer from becoming a provider that is not nil.
func opened[P Provider](p P, err error) (Provider, error) {
	if err != nil {
		return nil, err
	}
	return p, nil
}

// each calls f for every address and joins what fails.
func each(addrs []Address, f func(Address) error) error {
	var errs []error
	for _, a := range addrs {
		if err := f(a); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// mayAct refuses once ctx has ended, and once its deadline has passed though its timer has not fired yet: after a freeze
// timers are late.
func mayAct(ctx context.Context, now time.Time) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if deadline, ok := ctx.Deadline(); ok && !now.Before(deadline) {
		return context.DeadlineExceeded
	}
	return nil
}
