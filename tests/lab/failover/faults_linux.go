package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"rtpjet/tests/lab"
)

// fault is something that is broken while media flows.
type fault struct {
	name string // titles has it for people
	// strike breaks it, on the node that has the floating address, and returns when
	// it has been broken.
	strike func(ctx context.Context, r *run, holder int) error
	// settle is how long nothing else happens after it.
	settle time.Duration
	// heal mends it again; nil: nothing to mend.
	heal func(ctx context.Context, r *run, holder int) error
	// prepare sets the stage before media flows; nil: as it is.
	prepare func(ctx context.Context, r *run, holder int) error
	// outside has the nodes use a store outside of them.
	outside bool
}

// faults are in the order of the table.
var faults = []fault{
	{
		name: "none", settle: 4 * time.Second,
		strike: func(context.Context, *run, int) error { return nil },
	},
	{
		name: "kill", settle: 4 * time.Second,
		strike: func(_ context.Context, r *run, holder int) error { return r.system.kill(holder) },
	},
	{
		name: "leader", settle: 5 * time.Second,
		prepare: func(ctx context.Context, r *run, holder int) error { return r.system.leader(ctx, holder) },
		strike:  func(_ context.Context, r *run, holder int) error { return r.system.kill(holder) },
	},
	{
		name: "freeze", settle: 4 * time.Second,
		strike: func(_ context.Context, r *run, holder int) error { return r.nodes[holder].Freeze() },
		heal:   func(_ context.Context, r *run, holder int) error { return r.nodes[holder].Thaw() },
	},
	{
		name: "cut", settle: 4 * time.Second,
		strike: func(_ context.Context, r *run, holder int) error { return r.nodes[holder].Cut() },
		heal:   func(_ context.Context, r *run, holder int) error { return r.nodes[holder].Mend() },
	},
	{
		name: "isolate", settle: 4 * time.Second,
		strike: func(_ context.Context, r *run, holder int) error { return r.nodes[holder].Isolate() },
		heal:   func(_ context.Context, r *run, holder int) error { return r.nodes[holder].Rejoin() },
	},
	{
		name: "move", settle: 3 * time.Second,
		strike: func(ctx context.Context, r *run, holder int) error { return r.system.move(ctx, holder) },
	},
	{
		name: "drain", settle: 3 * time.Second,
		strike: func(ctx context.Context, r *run, holder int) error { return r.system.drain(ctx, holder) },
	},
	{
		name: "upgrade", settle: 2 * time.Second,
		strike: upgrade,
	},
	{
		name: "store", settle: time.Minute, outside: true,
		strike: func(_ context.Context, r *run, _ int) error { return r.system.storeDown() },
		heal:   func(ctx context.Context, r *run, _ int) error { return r.system.storeUp(ctx) },
	},
}

func faultNamed(name string) (fault, error) {
	for _, f := range faults {
		if f.name == name {
			return f, nil
		}
	}
	return fault{}, fmt.Errorf("there is no fault %q", name)
}

// upgrade restarts all nodes, one by one, each time the one that has the address
// unless that has been done: the address moves as often as it can.
func upgrade(ctx context.Context, r *run, _ int) error {
	done := make([]bool, len(r.nodes))
	for range r.nodes {
		next, err := r.holder(ctx)
		if err != nil {
			return err
		}
		if done[next] {
			next = slices.Index(done, false)
		}
		if err := r.system.restart(ctx, next); err != nil {
			return fmt.Errorf("restart n%d: %w", next+1, err)
		}
		done[next] = true
		if err := lab.Pause(ctx, 2*time.Second); err != nil {
			return err
		}
	}
	return nil
}

// run is one run.
type run struct {
	*world
	system system
}

// settleBefore is how long media flows before the fault, and settleCall how much
// longer for each call: long enough for relays to have learned their streams and to
// have told the others. rtpengine writes each call to Redis again after three
// seconds of media, and its packets wait for that.
var settleBefore = 6 * time.Second

const settleCall = 5 * time.Millisecond

const (
	control     = 2 * time.Second // of that, the last part shows whether the machine has time for us
	settleAfter = 3 * time.Second // after it was healed
)

// carryOut lets media flow, strikes, heals, and measures.
func (r *run) carryOut(ctx context.Context, self string, f fault, s scene) (o *outcome, err error) {
	if err := r.system.start(ctx); err != nil {
		return nil, err
	}
	defer r.system.stop()
	holder, err := r.holder(ctx)
	if err != nil {
		return nil, err
	}
	if f.prepare != nil {
		if err := f.prepare(ctx, r, holder); err != nil {
			return nil, err
		}
	}
	g, err := startGenerator(ctx, r.world, self, s)
	if err != nil {
		return nil, err
	}
	defer g.close()
	capture, err := r.sw.Capture(r.captured(), r.nodes...)
	if err != nil {
		return nil, err
	}
	if err := lab.Pause(ctx, settleBefore+time.Duration(s.Calls)*settleCall); err != nil {
		_, _ = capture.Stop()
		return nil, err
	}
	canary := lab.NewCanary()
	defer canary.Stop()
	struck := time.Now().UnixNano()
	o = &outcome{Fault: f.name, scene: s}
	err = r.strikeAndHeal(ctx, g, f, holder, o)
	o.CanaryMS = ms(int64(canary.Stop()))
	frames, cerr := capture.Stop()
	if err == nil {
		err = cerr
	}
	if err != nil {
		return nil, err
	}
	recording, err := g.recording()
	if err != nil {
		return nil, err
	}
	o.SilenceSummary = recording.Summary(struck)
	o.BeforeMS = recording.Longest(struck-int64(min(control, settleBefore/2)), struck)
	words := make([]spoken, 0, len(frames))
	for _, f := range frames {
		words = append(words, spoken{At: f.At, Node: f.Port, Stream: f.To, ARP: f.ARP})
	}
	o.speech = speechOf(words)
	return o, nil
}

// strikeAndHeal is the middle of a run, after which the generator has ended.
func (r *run) strikeAndHeal(ctx context.Context, g *generator, f fault, holder int, o *outcome) error {
	if err := f.strike(ctx, r, holder); err != nil {
		return err
	}
	if err := lab.Pause(ctx, f.settle); err != nil {
		return err
	}
	if f.heal != nil {
		if err := f.heal(ctx, r, holder); err != nil {
			return err
		}
		if err := lab.Pause(ctx, settleAfter); err != nil {
			return err
		}
	}
	checked, err := g.do(ctx, "check", "checked")
	if err != nil {
		return err
	}
	if err := lab.Pause(ctx, 2*time.Second); err != nil {
		return err
	}
	has, err := r.holders()
	if err != nil {
		return err
	}
	o.Holders = len(has)
	done, err := g.do(ctx, "stop", "done")
	if err != nil {
		return err
	}
	c, d := checked.Check, done.Result
	if c == nil || d == nil {
		return fmt.Errorf("read the generator's results: they are empty")
	}
	o.Unknown = c.Unknown
	o.commands(c.Queries, c.Reoffers, d.Meanwhile, d.Deletes)
	o.NewCall, o.Foreign, o.Damaged, o.WorstLagMS, o.Skipped = d.NewCall, d.Foreign, d.Damaged, d.WorstLagMS, d.Skipped
	return nil
}
