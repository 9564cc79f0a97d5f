package demo

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// loss is what the death of a node did.
type loss struct {
	victim  *node
	orphans []*call         // that it relayed
	others  []*call         // that it did not
	silence []time.Duration // of each orphan, from the kill until both ends heard each other again
	known   int             // calls that survivors knew
	during  traffic         // in the others, from the kill until the last orphan was heard again
	asked   []time.Duration // from the kill until each call was known to a survivor
	resent  int64
}

// loseOne kills the node with the most calls and has its calls signalled anew, as the phones or the proxy would.
func (d *demo) loseOne(ctx context.Context) (*loss, error) {
	victim := slices.MaxFunc(d.nodes, func(a, b *node) int {
		return len(ownedBy(d.calls, a, true)) - len(ownedBy(d.calls, b, true))
	})
	l := &loss{victim: victim, orphans: ownedBy(d.calls, victim, true), others: ownedBy(d.calls, victim, false)}
	one := l.orphans[0]
	d.out.more("One of them in detail, call %d:", one.num)
	d.tellSignalling(one, "")
	d.out.item("query  at %s: knows both addresses", one.queryAt.id)

	survivors := slices.DeleteFunc(slices.Clone(d.nodes), func(n *node) bool { return n == victim })
	d.out.say("Killing %s (kill -9, process %d), which relays %s.", victim.id, victim.cmd.Process.Pid, counted(len(l.orphans), "call"))
	for _, c := range d.calls {
		c.took = nil
	}
	before, resent := listen(l.others, true), d.ng.resent.Load()
	killed := time.Now()
	if err := victim.cmd.Process.Kill(); err != nil {
		return nil, fmt.Errorf("kill %s: %w", victim.id, err)
	}
	d.up = survivors
	l.asked = make([]time.Duration, len(d.calls))
	heard := make([]time.Time, len(d.calls))
	// The query comes first, to show that the call is known before anybody touches it. What it costs is part of the silence.
	err := each(d.calls, 0, func(c *call) error {
		if err := d.query(ctx, c, d.pick()); err != nil {
			return err
		}
		l.asked[c.num-1] = time.Since(killed)
		if c.owner != victim {
			return nil
		}
		old := c.told
		if err := d.signal(ctx, c); err != nil {
			return err
		}
		if c.owner == victim || c.told[caller] == old[caller] || c.told[callee] == old[callee] {
			return fmt.Errorf("call %d: the SDPs after the kill name %s and %s, which are no new addresses", c.num, c.told[caller], c.told[callee])
		}
		var err error
		heard[c.num-1], err = c.voice(ctx)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("after %s was killed: %w", victim.id, err)
	}
	l.resent = d.ng.resent.Load() - resent
	after := listen(l.others, false)
	l.during = traffic{sent: after.sent - before.sent, lost: after.lost - before.lost, pause: after.pause}
	for _, c := range l.orphans {
		l.silence = append(l.silence, heard[c.num-1].Sub(killed))
	}
	l.known = len(d.calls)
	d.tellLoss(l, survivors)
	return l, nil
}

// tellLoss says what happened after the kill.
func (d *demo) tellLoss(l *loss, survivors []*node) {
	d.out.say("%s were asked at once for all calls, and know %d of %d. The last reply came %s after the kill.",
		listed(ids(survivors)), l.known, len(d.calls), ms(slices.Max(l.asked)))
	d.out.more("Its %s signalled anew, by a re-INVITE through any survivor: of these, %s now.",
		counted(len(l.orphans), "call")+wasOrWere(len(l.orphans)), d.spreadOut(l.orphans, survivors))
	d.out.more("From the kill until both ends heard each other again: %s.", spread(l.silence))
	if l.resent > 0 {
		d.out.more("%s had to be sent again after %v, as a proxy does.", counted(int(l.resent), "command"), resendAfter)
	}
	one := l.orphans[0]
	d.out.more("Call %d again:", one.num)
	d.tellSignalling(one, "now ")
	d.out.item("silent for %s after the kill", ms(l.silence[0]))
	if len(l.others) > 0 {
		d.out.more("The %s: %s of %s packets lost meanwhile, longest pause %s.", counted(len(l.others), "other call"),
			number(l.during.lost), number(l.during.sent), ms(l.during.pause))
	}
}

// tellSignalling says what the last offer and answer of a call led to.
func (d *demo) tellSignalling(c *call, now string) {
	d.out.item("offer  at %s: %srelayed by %s, callee sends to %s", c.offerAt.id, now, c.owner.id, c.told[callee])
	d.out.item("answer at %s: caller sends to %s", c.answerAt.id, c.told[caller])
}

// comeback is what the killed node did after its restart.
type comeback struct {
	answered time.Duration // from its start to its first pong
	agreed   int           // calls
}

// bringBack starts the killed node again and asks it for every call.
func (d *demo) bringBack(ctx context.Context, n *node) (comeback, error) {
	var b comeback
	n.await(endTime)
	d.out.say("Starting %s again.", n.id)
	began := time.Now()
	if err := n.start(d.exe, d.routes); err != nil {
		return b, err
	}
	if err := n.answering(ctx, &d.ng); err != nil {
		return b, err
	}
	b.answered = time.Since(began)
	if err := each(d.calls, atOnce, func(c *call) error { return d.query(ctx, c, n) }); err != nil {
		return b, fmt.Errorf("after %s was started again: %w", n.id, err)
	}
	b.agreed = len(d.calls)
	d.up = d.nodes
	d.out.say("%s answered after %s. Asked for all %s, it names the addresses that the phones use.",
		n.id, ms(b.answered), counted(b.agreed, "call"))
	return b, nil
}

// summary says it once more, in short.
func (d *demo) summary(l *loss, b comeback) {
	total := counted(len(d.calls), "call")
	fmt.Fprintln(d.out.w)
	write := func(format string, args ...any) { d.out.lines("  ", "    ", fmt.Sprintf(format, args...)) }
	write("%s, %d of them relayed by %s when it was killed.", total, len(l.orphans), l.victim.id)
	again := "It was"
	if n := len(l.orphans); n > 1 {
		again = fmt.Sprintf("All %d were", n)
	}
	write("%s heard again in both directions after %s, through another node and new ports.", again, spread(l.silence))
	if len(l.others) > 0 {
		write("The others went on: %s of %s packets lost, longest pause %s.", number(l.during.lost), number(l.during.sent), ms(l.during.pause))
	}
	write("The survivors knew %d of %d; %s, started again, agreed on %d.", l.known, len(d.calls), l.victim.id, b.agreed)
	write("%s commands, each to any node that was up; none failed.", number(d.ng.asked.Load()))
	write("It took %.1f s.", time.Since(d.out.began).Seconds())
	fmt.Fprintln(d.out.w)
}

func ids(nodes []*node) []string {
	var out []string
	for _, n := range nodes {
		out = append(out, n.id)
	}
	return out
}

func wasOrWere(n int) string {
	if n == 1 {
		return " was"
	}
	return " were"
}
