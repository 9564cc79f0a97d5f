package netaddr

import (
	"slices"
	"time"
)

// watch is what a guard knows, without doing anything about it. Times are those that the parent wrote into its messages, so
// that a guard which itself had to wait for a processor does not take its own delay for the parent's silence. And a parent
// whose messages are too far apart was silent even if it speaks again: another node may have acted on that.
type watch struct {
	limit time.Duration
	last  time.Duration // the parent's latest sign of life
	held  []Address

	failed  []Address // those that could not be removed
	retryAt time.Duration
	backoff time.Duration
}

const (
	firstBackoff = 100 * time.Millisecond
	maxBackoff   = 5 * time.Second
)

// heard takes a sign of life. overdue: it came too late for what is held.
func (w *watch) heard(at time.Duration) (overdue bool) {
	overdue = w.overdue(at)
	w.last = max(w.last, at)
	return overdue
}

// overdue says whether the parent has been silent for too long.
func (w *watch) overdue(now time.Duration) bool {
	return len(w.held) > 0 && now-w.last > w.limit
}

// wait is how long there is nothing to do unless a message comes. ok: not for ever.
func (w *watch) wait(now time.Duration) (d time.Duration, ok bool) {
	if len(w.held) > 0 {
		d, ok = w.last+w.limit-now+1, true // +1: overdue is when the limit is exceeded
	}
	if len(w.failed) > 0 {
		if r := w.retryAt - now; !ok || r < d {
			d, ok = r, true
		}
	}
	return max(d, 0), ok
}

func (w *watch) hold(addrs []Address) {
	for _, a := range addrs {
		if !slices.Contains(w.held, a) {
			w.held = append(w.held, a)
		}
	}
	w.failed = without(w.failed, addrs)
}

func (w *watch) let(addrs []Address) {
	w.held = without(w.held, addrs)
	w.failed = without(w.failed, addrs)
}

// take hands over all that is to be removed.
func (w *watch) take() []Address {
	addrs := append(w.held, w.failed...)
	w.held, w.failed = nil, nil
	return addrs
}

// takeFailed hands over what is to be tried again.
func (w *watch) takeFailed(now time.Duration) []Address {
	if len(w.failed) == 0 || now < w.retryAt {
		return nil
	}
	addrs := w.failed
	w.failed = nil
	return addrs
}

// fail keeps what could not be removed for later. again: it is not the first time.
func (w *watch) fail(now time.Duration, addrs []Address, again bool) {
	if again {
		w.backoff = min(2*w.backoff, maxBackoff)
	} else {
		w.backoff = firstBackoff
	}
	w.failed = append(w.failed, addrs...)
	w.retryAt = now + w.backoff
}

func without(from, addrs []Address) []Address {
	return slices.DeleteFunc(from, func(a Address) bool { return slices.Contains(addrs, a) })
}
