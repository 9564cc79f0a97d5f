package sim

import (
	"errors"

	"rtpjet/events"
	"rtpjet/projection"
	"rtpjet/projection/members"
	"rtpjet/projection/replica"
	"rtpjet/projection/transact"
)

// Slices of a command's time, as in cmd/rtpjet/node.
const (
	commandTime = 800 * ms
	ownTime     = 400 * ms
	askTime     = 250 * ms // what a peer is asked
	sliceTime   = 200 * ms // one attempt at the log
	grantTime   = 2 * sec
)

var (
	_ transact.Effects = (*proc)(nil)
	_ replica.Effects  = (*proc)(nil)
)

var (
	errTooLate = errors.New("the deadline was over before anything was written")
	errNoPorts = errors.New("no port left")
)

func (p *proc) Now() int64             { return p.n.wall() }
func (p *proc) Call() *projection.Call { return &p.h.Call }

// answer is what the log says to an append. The zero answer is none.
type answer struct {
	seq uint64
	ok  bool // it was stored
	got bool
}

// Append implements [transact.Effects].
func (p *proc) Append(env events.Envelope) error {
	w, n := p.n.w, p.n
	_, takeover := env.Event.(events.TakenOver)
	p.unfenced = takeover && (w.bug == bugLostFence || w.bug == bugEpoch)
	if w.bug == bugReplyFirst && w.chance(100) {
		data, err := events.Encode(env)
		last := p.h.Call.Seq
		n.after(w.between(ms, 5*ms), func() { p.attempt(last, data, func(answer) {}) })
		return err
	}
	if p.guessed {
		w.log.mixed[p.h.key] = true
		if env.Cause != nil {
			w.log.twice[causeID(env.Cause)] = true
		}
	}
	was := p.h.Call.Owner
	at, err := p.h.Append(p, env)
	if err != nil {
		return err
	}
	p.wrote = true
	if at.Seq == 0 {
		p.served = true
		return nil
	}
	w.checkAcknowledged(at.Seq, p.h.key, at.Data)
	if is := p.h.Call.Owner; is != "" && is != n.id {
		n.nudge(is, p.h.key, at)
	}
	if was != "" && was != p.h.Call.Owner && was != n.id {
		n.nudge(was, p.h.key, at)
	}
	return nil
}

// nudge tells the owner of a call of an event, past the stream.
func (n *node) nudge(id, key string, at replica.Stored) {
	to := n.w.nodes[n.w.index(id)]
	n.tell(to, func() {
		if to.serving {
			to.deliver(key, replica.Entry{Seq: at.Seq, Data: at.Data, Prev: at.Last, Early: true})
		}
	})
}

// Encode implements [replica.Effects].
func (p *proc) Encode(env events.Envelope) ([]byte, error) { return events.Encode(env) }

// Decode implements [replica.Effects].
func (p *proc) Decode(data []byte) (events.Envelope, error) { return events.Decode(data) }

// attempt sends an event to the log.
func (p *proc) attempt(last uint64, data []byte, done func(answer)) {
	w, n, key, unfenced := p.n.w, p.n, p.h.key, p.unfenced
	w.toLog(n, func() {
		seq, ok := w.log.append(n, key, last, data, !unfenced)
		w.fromLog(n, func() { done(answer{seq, ok, true}) })
	})
}

// Store implements [replica.Effects].
func (p *proc) Store(last uint64, data []byte, ours bool) (uint64, error) {
	w, n := p.n.w, p.n
	if p.left(sec) <= 0 && !(ours && n.core.ServeUnlogged) {
		return 0, errTooLate
	}
	if list := n.disk[p.h.key]; w.bug == bugPublishOrder && p.limit > 0 && len(list) > 1 {
		data = list[1]
	}
	for until := p.until(ours); w.now < until; {
		slice := min(sliceTime, until-w.now)
		got := ask(p, slice, answer{}, func(done func(answer)) { p.attempt(last, data, done) })
		if got.got && !got.ok { // perhaps an earlier attempt of ours was stored
			got = ask(p, slice, answer{}, func(done func(answer)) {
				w.toLog(n, func() {
					seq, ok := w.log.ours(p.h.key, last, data)
					w.fromLog(n, func() { done(answer{seq, ok, true}) })
				})
			})
			if got.got && !got.ok {
				w.stats.conflicts++
				w.trace.add(w.now, n.id, "%s: conflict after %d", w.short(p.h.key), last)
				n.logAnswered(true)
				return 0, transact.ErrConflict
			}
		}
		if got.ok {
			n.logAnswered(true)
			return got.seq, nil
		}
	}
	w.stats.uncertain++
	w.trace.add(w.now, n.id, "%s: the log does not answer", w.short(p.h.key))
	n.logAnswered(false)
	p.served = p.served || ours && n.core.ServeUnlogged
	return 0, transact.ErrUncertain
}

// Read implements [replica.Effects]. It tries for as long as there is time, or once.
func (p *proc) Read(after uint64, ours bool) ([]replica.Entry, uint64, error) {
	w, n := p.n.w, p.n
	type result struct {
		seqs []uint64
		last uint64
		ok   bool
	}
	for until := p.until(ours); w.now < until; {
		got := ask(p, min(sliceTime, until-w.now), result{}, func(done func(result)) {
			w.toLog(n, func() {
				r := result{w.log.since(p.h.key, after), w.log.last(p.h.key), true}
				if w.bug == bugStaleRead { // a lagging replica answers
					r.seqs, r.last = nil, after
				}
				w.fromLog(n, func() { done(r) })
			})
		})
		if got.ok {
			n.logAnswered(true)
			out := make([]replica.Entry, len(got.seqs))
			for i, seq := range got.seqs {
				out[i] = replica.Entry{Seq: seq, Data: w.log.entry(seq).data}
			}
			return out, got.last, nil
		}
		if p.once {
			break
		}
	}
	n.logAnswered(false)
	p.served = p.served || ours && n.core.ServeUnlogged
	return nil, 0, transact.ErrUncertain
}

// Fold implements [replica.Effects].
func (p *proc) Fold(in replica.Entry) { p.n.foldOne(p.h, in) }

// Took implements [replica.Effects].
func (p *proc) Took(env events.Envelope, ch replica.Change) { p.n.took(p.h, env, ch) }

// CatchUp implements [transact.Effects].
func (p *proc) CatchUp() error { return p.h.Refresh(p) }

// Since implements [transact.Effects].
func (p *proc) Since(after uint64) ([]transact.Entry, error) {
	if p.n.w.bug == bugNoLookup {
		return nil, nil
	}
	p.once = p.n.w.chance(500) // the log may also say at once that it cannot
	out, err := p.h.Since(p, after)
	p.once, p.guessed = false, p.guessed || err == nil && p.n.logAway != 0
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
