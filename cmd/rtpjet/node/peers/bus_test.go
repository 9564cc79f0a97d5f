package peers

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"rtpjet/embed"
	"rtpjet/projection/members"
)

// bus is a bucket of leases, and subjects with requests, as NATS has them: one at a time and in order for each subscription.
type bus struct {
	mu       sync.Mutex
	leases   map[string]embed.Lease
	rev      uint64
	watchers map[chan leaseChange]bool
	subs     map[string]map[chan embed.Msg]bool
}

type leaseChange struct {
	embed.Lease
	deleted bool
	through bool // instead of a change: all that there is was told
}

func newBus() *bus {
	return &bus{leases: map[string]embed.Lease{}, watchers: map[chan leaseChange]bool{}, subs: map[string]map[chan embed.Msg]bool{}}
}

func (b *bus) changeLocked(key string, value []byte, deleted bool) uint64 {
	b.rev++
	l := embed.Lease{Key: key, Value: value, Revision: b.rev}
	if deleted {
		delete(b.leases, key)
	} else {
		b.leases[key] = l
	}
	for w := range b.watchers {
		w <- leaseChange{Lease: l, deleted: deleted}
	}
	return b.rev
}

// put writes whatever is there.
func (b *bus) put(key string, value []byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.changeLocked(key, value, false)
}

func (b *bus) remove(key string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.changeLocked(key, nil, true)
}

// lease is what the bucket says of a node; false if nothing.
func (b *bus) lease(t *testing.T, node string) (members.Lease, bool) {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	l, ok := b.leases[members.LeasePrefix+node]
	if !ok {
		return members.Lease{}, false
	}
	out, err := members.DecodeLease(l.Value)
	if err != nil {
		t.Fatal(err)
	}
	return out, true
}

// listen calls f with each message to tokens until stop is called.
func (b *bus) listen(tokens string, f func(embed.Msg)) (stop func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	in := make(chan embed.Msg, 1000)
	if b.subs[tokens] == nil {
		b.subs[tokens] = map[chan embed.Msg]bool{}
	}
	b.subs[tokens][in] = true
	go func() {
		for msg := range in {
			f(msg)
		}
	}()
	return func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		if b.subs[tokens][in] {
			delete(b.subs[tokens], in)
			close(in)
		}
	}
}

// send tells how many listen.
func (b *bus) send(tokens string, data []byte, answer func([]byte) error) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	for in := range b.subs[tokens] {
		in <- embed.NewMsg(tokens, slices.Clone(data), answer)
	}
	return len(b.subs[tokens])
}

func (b *bus) request(ctx context.Context, tokens string, data []byte) ([]byte, error) {
	answers := make(chan []byte, 10)
	if b.send(tokens, data, func(data []byte) error { answers <- data; return nil }) == 0 {
		return nil, fmt.Errorf("ask %s: %w", tokens, embed.ErrNobody)
	}
	select {
	case a := <-answers:
		return a, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("ask %s: %w: %w", tokens, embed.ErrUnavailable, ctx.Err())
	}
}

// link is a node's connection to a bus.
type link struct {
	*bus
	mu     sync.Mutex
	cut    bool                            // nothing passes
	before func(verb, what string) error   // is called before each request and each look at or change of a lease; nil: nothing is in the way
	after  func(key string)                // is called after each change of a lease; nil: nothing happens then
	kept   func(ctx context.Context) error // of KeepReplicas
}

var errCut = fmt.Errorf("%w: no connection", embed.ErrUnavailable)

// errHangs, of what disturbs a link, has a write wait for as long as its writer does.
var errHangs = errors.New("it hangs")

func (l *link) passes(verb, what string) error {
	l.mu.Lock()
	cut, before := l.cut, l.before
	l.mu.Unlock()
	if before != nil {
		if err := before(verb, what); err != nil {
			return err
		}
	}
	if cut {
		return errCut
	}
	return nil
}

// disturb has f called before each request, and each look at or change of a lease.
func (l *link) disturb(f func(verb, what string) error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.before = f
}

func (l *link) setCut(cut bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cut = cut
}

func (l *link) Connected() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return !l.cut
}

func (l *link) Publish(tokens string, data []byte) error {
	if err := l.passes("publish", tokens); err != nil {
		return err
	}
	l.send(tokens, data, nil)
	return nil
}

func (l *link) Subscribe(tokens string, f func(embed.Msg)) (func(), error) {
	if err := l.passes("subscribe", tokens); err != nil {
		return nil, err
	}
	return l.listen(tokens, func(msg embed.Msg) {
		if l.Connected() {
			f(msg)
		}
	}), nil
}

func (l *link) Request(ctx context.Context, tokens string, data []byte) ([]byte, error) {
	if err := l.passes("request", tokens); err != nil {
		return nil, err
	}
	return l.request(ctx, tokens, data)
}

func (l *link) GetLease(_ context.Context, key string) (embed.Lease, error) {
	if err := l.passes("get", key); err != nil {
		return embed.Lease{}, err
	}
	l.bus.mu.Lock()
	defer l.bus.mu.Unlock()
	have := l.leases[key]
	have.Key = key
	return have, nil
}

func (l *link) PutLease(ctx context.Context, key string, value []byte, revision uint64) (uint64, error) {
	err := l.passes("put", key)
	if errors.Is(err, errHangs) {
		<-ctx.Done()
	}
	if err = errors.Join(err, ctx.Err()); err != nil {
		return 0, err
	}
	rev, err := l.change(key, value, revision)
	if err == nil && l.after != nil {
		l.after(key)
	}
	return rev, err
}

func (b *bus) change(key string, value []byte, revision uint64) (uint64, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.leases[key].Revision != revision {
		return 0, fmt.Errorf("lease %s: %w", key, embed.ErrConflict)
	}
	return b.changeLocked(key, value, false), nil
}

func (l *link) KeepReplicas(ctx context.Context) error {
	if l.kept != nil {
		return l.kept(ctx)
	}
	<-ctx.Done()
	return nil
}

func (l *link) FollowLeases(ctx context.Context, entry func(embed.Lease, bool), caughtUp func()) error {
	if err := l.passes("follow", ""); err != nil {
		return err
	}
	w := make(chan leaseChange, 1000)
	l.bus.mu.Lock()
	all := slices.Collect(maps.Values(l.leases))
	l.watchers[w] = true
	l.bus.mu.Unlock()
	defer func() {
		l.bus.mu.Lock()
		defer l.bus.mu.Unlock()
		delete(l.watchers, w)
	}()
	slices.SortFunc(all, func(a, b embed.Lease) int { return strings.Compare(a.Key, b.Key) })
	for _, in := range all {
		entry(in, false)
	}
	caughtUp()
	for {
		select {
		case <-ctx.Done():
			return nil
		case in := <-w:
			if in.through {
				caughtUp()
			} else {
				entry(in.Lease, in.deleted)
			}
		}
	}
}
