package sim

import (
	"errors"

	"rtpjet/events"
	"rtpjet/projection"
	"rtpjet/projection/members"
	"rtpjet/projection/transact"
)

// Slices of a command's time, as in cmd/rtpjet/app.
const (
	commandTime = 800 * ms
	ownTime     = 400 * ms
	askTime     = 250 * ms // what a peer is asked
	sliceTime   = 200 * ms // one attempt at the log
	grantTime   = 2 * sec
)

var _ transact.Effects = (*proc)(nil)

var (
	errTooLate = errors.New("the deadline was over before anything was written")
	errNoPorts = errors.New("no port left")
)

func (p *proc) Now() int64             { return p.n.wall() }
func (p *proc) Call() *projection.Call { return &p.h.call }

// answer is what the log says to an append. The zero answer is none.
type answer struct {
	seq uint64
	ok  bool // it was stored
	got bool
}

func (p *proc) Append(env events.Envelope) error {
	w, n := p.n.w, p.n
	data, err := events.Encode(env)
	if err != nil {
		return err
	}
	if p.left(sec) <= 0 {
		return errTooLate
	}
	last := p.h.call.Seq
	_, takeover := env.Event.(events.TakenOver)
	fenced := !takeover || w.bug != bugLostFence && w.bug != bugEpoch
	attempt := func(done func(answer)) {
		w.toLog(n, func() {
			seq, ok := w.log.append(n, p.h.key, last, data, fenced)
			w.fromLog(n, func() { done(answer{seq, ok, true}) })
		})
	}
	if w.bug == bugReplyFirst && w.chance(100) {
		n.after(w.between(ms, 5*ms), func() { attempt(func(answer) {}) })
		return nil
	}
	for p.left(sec) > 0 {
		got := ask(p, p.left(sliceTime), answer{}, attempt)
		if got.got && !got.ok { // perhaps an earlier attempt of ours was stored
			got = ask(p, p.left(sliceTime), answer{}, func(done func(answer)) {
				w.toLog(n, func() {
					seq, ok := w.log.ours(p.h.key, last, data)
					w.fromLog(n, func() { done(answer{seq, ok, true}) })
				})
			})
			if got.got && !got.ok {
				w.stats.conflicts++
				w.trace.add(w.now, n.id, "%s: conflict after %d", w.short(p.h.key), last)
				return transact.ErrConflict
			}
		}
		if got.ok {
			p.acknowledged(got.seq, data, env)
			return nil
		}
	}
	w.stats.uncertain++
	w.trace.add(w.now, n.id, "%s: the log does not answer", w.short(p.h.key))
	return transact.ErrUncertain
}

// acknowledged puts an event into effect that is in the log, and tells the owners of it, past the stream.
func (p *proc) acknowledged(seq uint64, data []byte, env events.Envelope) {
	w, n := p.n.w, p.n
	w.checkAcknowledged(seq, p.h.key, data)
	was := p.h.call.Owner
	p.wrote = true
	n.apply(p.h, seq, env)
	n.route(p.h)
	if is := p.h.call.Owner; is != "" && is != n.id {
		n.nudge(is, p.h.key, seq)
	}
	if was != "" && was != p.h.call.Owner && was != n.id {
		n.nudge(was, p.h.key, seq)
	}
}

func (n *node) nudge(id, key string, seq uint64) {
	to := n.w.nodes[n.w.index(id)]
	n.tell(to, func() {
		if to.serving {
			to.deliver(key, arrival{seq: seq, early: true})
		}
	})
}

// read reads the call's entries after a sequence. It tries for as long as there is time, or once.
func (p *proc) read(after uint64, once bool) ([]uint64, error) {
	w, n := p.n.w, p.n
	type result struct {
		seqs []uint64
		ok   bool
	}
	for p.left(sec) > 0 {
		got := ask(p, p.left(sliceTime), result{}, func(done func(result)) {
			w.toLog(n, func() {
				seqs := w.log.since(p.h.key, after)
				if w.bug == bugStaleRead { // a lagging replica answers
					seqs = nil
				}
				w.fromLog(n, func() { done(result{seqs, true}) })
			})
		})
		if got.ok {
			return got.seqs, nil
		}
		if once {
			break
		}
	}
	return nil, transact.ErrUncertain
}

func (p *proc) CatchUp() error {
	seqs, err := p.read(p.h.call.Seq, false)
	for _, seq := range seqs {
		p.n.foldOne(p.h, arrival{seq: seq})
	}
	p.n.route(p.h)
	if err == nil && len(seqs) == 0 && p.n.w.bug != bugStaleRead {
		p.n.lost(p.h)
	}
	return err
}

func (p *proc) Since(after uint64) ([]transact.Entry, error) {
	if p.n.w.bug == bugNoLookup {
		return nil, nil
	}
	seqs, err := p.read(after, p.n.w.chance(500)) // the log may also say at once that it cannot
	out := make([]transact.Entry, len(seqs))
	for i, seq := range seqs {
		out[i] = transact.Entry{Seq: seq, Envelope: p.n.w.log.entry(seq).env}
	}
	return out, err
}

func (p *proc) Judge(node string) transact.Verdict { return p.n.judge(node) }

func (p *proc) Await(node string) transact.Verdict {
	for {
		if v := p.n.judge(node); v != members.Silent || p.left(sec) < fenceTime+50*ms {
			return v
		}
		p.sleep(beatEvery / 2)
	}
}

func (p *proc) Fence(node string) error {
	w, n, i := p.n.w, p.n, p.n.w.index(node)
	known := n.view[i]
	if known.Epoch > 0 && known.State != members.Up {
		return nil // a peer was faster
	}
	type lease struct {
		members.Lease
		rev uint64
		ok  bool
	}
	until := min(w.now+fenceTime, p.deadline)
	have := ask(p, max(until-w.now, 0), lease{}, func(done func(lease)) {
		w.toLog(n, func() {
			l := lease{w.leases.have[i], w.leases.rev[i], true}
			w.fromLog(n, func() { done(l) })
		})
	})
	switch {
	case !have.ok:
		return transact.ErrUncertain
	case have.State != members.Up:
		return nil
	case have.Epoch > known.Epoch && known.Epoch > 0:
		return transact.ErrConflict // it is back
	}
	l := members.Lease{Node: node, Epoch: have.Epoch + 1, State: members.Lost, By: n.id, At: n.wall()}
	put := ask(p, max(until-w.now, 0), answer{}, func(done func(answer)) {
		w.toLog(n, func() {
			ok := w.leases.put(i, l, have.rev)
			w.fromLog(n, func() { done(answer{ok: ok, got: true}) })
		})
	})
	switch {
	case !put.got:
		return transact.ErrUncertain
	case !put.ok:
		return transact.ErrConflict
	}
	n.watch(i, l)
	return nil
}
