package sim

import (
	"bytes"
	"maps"
	"slices"

	"rtpjet/events"
	"rtpjet/projection"
	"rtpjet/projection/replica"
)

// Nodes that serve their calls while the log is away (--log-loss=serve), and what has to be true of the events that wait for it.

// How long the log is waited for then, as in cmd/rtpjet/node.
const (
	serveFirst = 500 * ms
	serveAway  = 200 * ms
	// publishTime is for all that waits of a call.
	publishTime = 5 * sec
	// fullAt is how many events may wait at a node.
	fullAt = 40
)

// kept is an event that took effect without the log.
type kept struct {
	node *node
	data []byte
	// after is the sequence that it follows by what the node knew; last is the one that it follows, if that waited, too.
	after uint64
	last  *kept
	seq   uint64 // in the log; 0: not yet
	gone  bool   // it did not fit any more, or left with the disk of its machine
}

// outage lets all nodes lose the log now and then, or one of them its answers.
func (w *world) outage() {
	if w.calm {
		return
	}
	w.after(w.between(sec, 4*sec), w.outage)
	d := w.between(300*ms, 3*sec)
	if w.chance(500) {
		for _, n := range w.nodes {
			w.cut(n, true, false, d)
		}
		return
	}
	n := w.nodes[w.rng.IntN(len(w.nodes))]
	w.trace.add(w.now, n.id, "does not hear the log for %d ms", d/ms)
	n.deaf++
	w.after(d, func() {
		n.deaf = max(0, n.deaf-1)
		n.wake()
	})
}

// logAnswered notes whether the log answers (node/effects_log.go).
func (n *node) logAnswered(answers bool) {
	switch {
	case !answers && n.logAway == 0:
		n.logAway = n.w.now
	case answers && n.logAway != 0:
		n.logAway = 0
		n.rouse()
	}
}

// until is when an operation on the log is given up.
func (p *proc) until(ours bool) int64 {
	now := p.n.w.now
	switch {
	case p.limit > 0:
		return min(p.deadline, now+p.limit)
	case !ours || !p.n.core.ServeUnlogged:
		return p.deadline
	case p.n.logAway != 0:
		return min(p.deadline, now+serveAway)
	}
	return min(p.deadline, now+serveFirst)
}

// Unattended implements [replica.Effects].
func (p *proc) Unattended() bool {
	alone := p.n.logAway != 0 && p.n.waits() > 0
	p.served = p.served || alone
	return alone
}

// waits counts the events that wait at the node.
func (n *node) waits() (num int) {
	for _, list := range n.disk {
		num += len(list)
	}
	return num
}

// Wait implements [replica.Effects]: the event is in the file that outlives the process.
func (p *proc) Wait(data []byte) bool {
	n, w, key := p.n, p.n.w, p.h.key
	if n.waits() >= fullAt {
		return false
	}
	w.trace.add(w.now, n.id, "%s: %d events wait for the log", w.short(key), len(n.disk[key])+1)
	w.stats.kept++
	k := &kept{node: n, data: data, after: p.h.Logged().Seq}
	if num := len(n.disk[key]); num > 0 {
		k.last = w.keptAs(key, n.disk[key][num-1])
	}
	k.seq, _ = w.log.find(key, k.after, data) // the answer was lost
	w.kept[key] = append(w.kept[key], k)
	n.disk[key] = append(n.disk[key], data)
	return true
}

func (w *world) keptAs(key string, data []byte) *kept {
	for _, k := range w.kept[key] {
		if bytes.Equal(k.data, data) {
			return k
		}
	}
	return nil
}

// unwait takes note of events that do not wait any more.
func (n *node) unwait(h *held, ch replica.Change) {
	w := n.w
	for _, ev := range ch.Published {
		if k := w.keptAs(h.key, ev.Data); k == nil || k.seq == 0 {
			w.fail("%s takes an event of %s for published that is not in the log", n.id, w.short(h.key))
		}
	}
	for _, ev := range ch.Dropped {
		w.trace.add(w.now, n.id, "%s: an event that the log did not get is dropped", w.short(h.key))
		if k := w.keptAs(h.key, ev.Data); k != nil {
			k.gone = true
		}
		if follows(h.Logged(), n.id, ev.Envelope) {
			w.fail("%s drops an event of %s that the log should get", n.id, w.short(h.key))
		}
	}
	n.disk[h.key] = n.disk[h.key][len(ch.Published)+len(ch.Dropped):]
	if len(n.disk[h.key]) == 0 {
		delete(n.disk, h.key)
	}
	if h.Waiting() { // sockets that a reply may name
		for _, a := range h.Call.Locals() {
			w.log.subject(h.key).ports[a] = true
		}
	}
}

// follows tells whether an event of a node may follow what the log has of its call.
func follows(c *projection.Call, id string, env events.Envelope) bool {
	if ev, ok := env.Event.(events.Offered); ok && ev.Owner != "" {
		return ev.Owner == id && !c.Live() && env.Gen > c.Gen
	}
	return c.Live() && c.Gen == env.Gen && c.Owner == id
}

// checkKept looks at an event that the log takes: one that has waited comes once, after those that waited before it, and while
// the call is its node's. It returns true if it is one of these.
func (w *world) checkKept(key string, s *subject, seq uint64, data []byte, env events.Envelope) bool {
	list := w.kept[key]
	i := slices.IndexFunc(list, func(k *kept) bool { return bytes.Equal(k.data, data) })
	if i < 0 {
		return false
	}
	k := list[i]
	if k.seq != 0 {
		w.fail("an event of %s that waited is in the log twice, as %d and %d", w.short(key), k.seq, seq)
	}
	k.seq = seq
	for _, before := range list[:i] {
		if before.node == k.node && before.seq == 0 && !before.gone {
			w.fail("event %d of %s is in the log before one that %s wrote earlier", seq, w.short(key), k.node.id)
		}
	}
	if len(s.seqs) > 1 && !follows(&s.call, k.node.id, env) { // else its subject begins anew
		w.fail("%s publishes event %d of %s, which is not its call any more", k.node.id, seq, w.short(key))
	}
	after := k.after
	if k.last != nil {
		after = k.last.seq
	}
	if after != w.log.entry(seq).prev { // it was decided on another call
		w.log.mixed[key] = true
	}
	return true
}

// find looks for data among a call's entries after a sequence.
func (l *eventLog) find(key string, after uint64, data []byte) (uint64, bool) {
	for _, seq := range l.since(key, after) {
		if bytes.Equal(l.entry(seq).data, data) {
			return seq, true
		}
	}
	return 0, false
}

// publishEach has the events that wait published, each second.
func (n *node) publishEach() {
	n.after(sec, n.publishEach)
	n.publish()
}

// rouse has them published at once.
func (n *node) rouse() {
	if !n.roused && len(n.disk) > 0 {
		n.roused = true
		n.after(0, n.publish)
	}
}

func (n *node) publish() {
	n.roused = false
	for _, key := range slices.Sorted(maps.Keys(n.disk)) {
		if h := n.held(key); !h.publishing {
			h.publishing = true
			n.lock(key, publishTime, func(p *proc) {
				p.limit = ownTime
				_ = p.h.Publish(p) // what still waits is tried again
				h.publishing = false
			})
		}
	}
}

// inherit has a call go on with the events that the process before could not publish.
func (n *node) inherit(h *held, batch []replica.Entry) {
	if len(n.disk[h.key]) == 0 || n.w.bug == bugForgetWaiting {
		return
	}
	var left []replica.Event
	for _, data := range n.disk[h.key] {
		env, err := events.Decode(data)
		if err != nil {
			n.w.fail("an event that waits cannot be read: %v", err)
		}
		left = append(left, replica.Event{Envelope: env, Data: data})
	}
	n.took(h, events.Envelope{}, h.Inherit(left, batch))
}

// loseDisk forgets what waits, with the machine.
func (n *node) loseDisk() {
	for key, list := range n.disk {
		for _, data := range list {
			if k := n.w.keptAs(key, data); k.seq == 0 {
				k.gone, n.forgets = true, true
			}
		}
	}
	clear(n.disk)
}

// checkPublished: all that took effect without the log is in it, unless another writer was faster or a machine has gone.
func (w *world) checkPublished() {
	for _, key := range slices.Sorted(maps.Keys(w.kept)) {
		for _, k := range w.kept[key] {
			if k.seq == 0 && !k.gone && k.node.serving {
				w.fail("an event of %s took effect at %s, and the log never got it", w.short(key), k.node.id)
			}
		}
	}
}

// garble has something write an entry that no node can read.
func (w *world) garble() {
	if w.calm {
		return
	}
	w.after(w.between(sec, 3*sec), w.garble)
	var live []string
	for _, key := range w.log.keys {
		if w.log.subjects[key].call.Live() {
			live = append(live, key)
		}
	}
	if len(live) > 0 {
		w.log.garble(live[w.rng.IntN(len(live))])
	}
}

// garble stores an entry that nobody can read.
func (l *eventLog) garble(key string) {
	s := l.subject(key)
	l.entries = append(l.entries, logEntry{key: key, prev: l.last(key), data: []byte("?"), at: l.w.now, unreadable: true})
	seq := uint64(len(l.entries))
	s.seqs = append(s.seqs, seq)
	l.w.trace.add(l.w.now, "log", "%d: nobody can read it, of %s", seq, l.w.short(key))
	l.mixed[key] = true
	s.call.Seq = seq
	l.entries[seq-1].sum = summary(&s.call)
	for _, n := range l.w.nodes {
		n.wake()
	}
}

// checkRetired: what is removed from the stream is a call that ended a while ago, all of whose events the node could read and
// none of whose wait.
func (w *world) checkRetired(n *node, h *held) {
	switch last := h.Call.Seq; {
	case last == 0:
	case h.garbled:
		w.fail("%s retires %s, of which it could not read an event", n.id, w.short(h.key))
	case len(n.disk[h.key]) > 0:
		w.fail("%s retires %s, of which events wait", n.id, w.short(h.key))
	case w.now-w.log.entry(last).at < sec/20:
		w.fail("%s retires %s as soon as it has ended", n.id, w.short(h.key))
	}
}

// checkOrphan: a call is ended for want of an owner only if the owner has been away for long enough.
func (w *world) checkOrphan(by *node, key string, c *projection.Call, env events.Envelope) {
	end, ok := env.Event.(events.Ended)
	if !ok || end.Reason != events.ReasonOrphaned {
		return
	}
	w.stats.orphans++
	owner := w.nodes[w.index(c.Owner)]
	inTouch := func(n *node) bool { return n.serving && !n.paused && !n.cutNATS && w.now-n.hears > orphanAfter+sec }
	if inTouch(owner) && inTouch(by) {
		w.fail("%s ends %s for want of an owner, and %s is there", by.id, w.short(key), owner.id)
	}
}
