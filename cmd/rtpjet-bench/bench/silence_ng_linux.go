package bench

import (
	"context"
	"fmt"
	"io"
	"net/netip"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// reoffered is how many calls of a run a check signals again.
const reoffered = 20

// nodes is the one NG server as a list.
func (r *silenceRun) nodes() clusterNodes { return clusterNodes{ng: []string{r.opts.ng}} }

// check queries all calls and signals some of them again, while media flows.
func (r *silenceRun) check(ctx context.Context) (*SilenceCheck, error) {
	var out SilenceCheck
	queries, reoffers := newTally(), newTally()
	asker, err := newAsker(r.nodes(), queries)
	if err != nil {
		return nil, err
	}
	defer asker.close()
	for _, c := range r.calls {
		if _, ok := asker.ask(ctx, 0, 0, "query", c.names.callID, queryRequest(c.names)); !ok && ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if queries.out.NoReply > 2 {
			break // nobody is there, and each further call would take six seconds to say so
		}
	}
	out.Queries = queries.result()
	for why, n := range out.Queries.Reasons {
		if strings.Contains(why, "nknown call") || strings.Contains(why, "not found") {
			out.Unknown += n
		}
	}
	asker.tally = reoffers
	for i := 0; i < len(r.calls); i += max(1, len(r.calls)/reoffered) {
		moved, ok := r.again(ctx, asker, r.calls[i])
		out.Moved += moved
		if !ok && reoffers.out.NoReply > 0 {
			break
		}
	}
	out.Reoffers = reoffers.result()
	return &out, ctx.Err()
}

// again carries out a re-INVITE and returns how many legs it gave another address.
func (r *silenceRun) again(ctx context.Context, a *asker, c *call) (moved int, ok bool) {
	o := r.opts.options.sdp
	o.later = uint64(time.Now().Unix())
	for _, half := range []struct {
		command  string
		from, to *leg
	}{{"offer", c.caller, c.callee}, {"answer", c.callee, c.caller}} {
		s := signalling{
			command: half.command, names: c.names, moved: true, bridge: r.opts.options.bridge, from: r.opts.local,
			sdp: phoneSDP(r.advertised(half.from), half.from.describe(o)),
		}
		reply, ok := a.ask(ctx, 0, 0, "re-"+half.command, c.names.callID, s.request())
		if !ok {
			return moved, false
		}
		m, err := readMedia(reply.SDP)
		if err == nil && half.to.srtp != nil {
			err = half.to.srtp.stillHears(m.crypto)
		}
		if err != nil {
			a.tally.failed("", c.names.callID, "re-"+half.command+": "+err.Error())
			return moved, false
		}
		if m.at != half.to.relay {
			moved++
			// The phone follows, as phones do.
			if err := unix.Connect(half.to.fd, sockaddr(m.at)); err != nil {
				a.tally.failed("", c.names.callID, "connect to the new address: "+err.Error())
				return moved, false
			}
			half.to.relay = m.at
		}
	}
	return moved, true
}

// placeMeanwhile begins and ends a call each time, until the function that it
// returns is called, which waits for those under way.
func (r *silenceRun) placeMeanwhile(ctx context.Context, t *tally) (stop func()) {
	if r.every == 0 {
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	var group sync.WaitGroup
	group.Go(func() {
		tick := time.NewTicker(r.every)
		defer tick.Stop()
		for i := 0; ; i++ {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			names := namesOf(r.run+"m", i)
			group.Go(func() { r.placeOne(ctx, t, names) })
		}
	})
	return func() {
		cancel()
		group.Wait()
	}
}

// placeOne carries out a call without media.
func (r *silenceRun) placeOne(ctx context.Context, t *tally, names callNames) {
	// Begun calls are carried through after the end of the run's media.
	ctx = context.WithoutCancel(ctx)
	a, err := newAsker(r.nodes(), t)
	if err != nil {
		t.failed("offer", names.callID, err.Error())
		return
	}
	defer a.close()
	const discard = 9
	at := netip.AddrPortFrom(r.opts.local, discard)
	s := signalling{command: "offer", names: names, from: r.opts.local, sdp: phoneSDP(at, r.opts.options.sdp)}
	if _, ok := a.askMedia(ctx, 0, 0, "offer", s); !ok {
		return
	}
	s.command = "answer"
	if _, ok := a.askMedia(ctx, 0, 0, "answer", s); ok {
		a.ask(ctx, 0, 0, "delete", names.callID, deleteRequest(names, r.opts.options))
	}
}

// newCall places one more call, lets it carry media for a moment, and says what
// was wrong with it; empty: nothing.
func (r *silenceRun) newCall(ctx context.Context) string {
	opts := r.opts
	opts.calls, opts.workers = 1, 1
	t, err := place(ctx, opts)
	if err != nil {
		return err.Error()
	}
	defer t.end(context.WithoutCancel(ctx))
	result, err := t.stream(ctx, stretch{rate: 50, duration: 400 * time.Millisecond})
	if err != nil {
		return err.Error()
	}
	if result.received < result.sent || result.received == 0 {
		return fmt.Sprintf("%d of %d packets arrived", result.received, result.sent)
	}
	return ""
}

// deleteAll ends all calls, and says how the server took it.
func (r *silenceRun) deleteAll(ctx context.Context) (CommandTally, error) {
	t := newTally()
	a, err := newAsker(r.nodes(), t)
	if err != nil {
		return CommandTally{}, err
	}
	defer a.close()
	for _, c := range r.calls {
		a.ask(ctx, 0, 0, "delete", c.names.callID, deleteRequest(c.names, r.opts.options))
		c.callee.relay = netip.AddrPort{} // for end: done
		if t.out.NoReply > 0 {
			break
		}
	}
	return t.result(), ctx.Err()
}

// recording collects the arrivals of all legs.
func (r *silenceRun) recording(start, stop int64) *Recording {
	out := &Recording{Start: start, Stop: stop}
	for i, c := range r.calls {
		fast := r.isFast(i)
		rate := r.slowRate
		if fast {
			rate = r.rate
		}
		for _, l := range []*leg{c.callee, c.caller} {
			out.Streams = append(out.Streams, Stream{
				Call: i, Back: l == c.caller, Port: l.at.Port(), Rate: rate, Fast: fast, Sent: l.peer.next, Arrivals: l.arrivals,
			})
		}
	}
	return out
}

func writeRecording(file string, r *Recording) error {
	f, err := os.Create(file)
	if err != nil {
		return fmt.Errorf("write the recording: %w", err)
	}
	if err := r.Write(f); err != nil {
		_ = f.Close()
		return err
	}
	return f.Close()
}

// sumUp fills a result from what was recorded and counted.
func (r *silenceRun) sumUp(rec *Recording) *SilenceResult {
	result := &SilenceResult{Calls: len(r.calls), PlaceSeconds: r.placed.Seconds(), Silence: rec.Summary(rec.Start)}
	result.PacketsPS = 2 * (float64(r.fast)*r.rate + float64(len(r.calls)-r.fast)*r.slowRate)
	for _, w := range r.workers {
		result.Foreign += w.foreign
		result.Skipped += w.pace.skipped
		if lag := milliseconds(time.Duration(w.pace.worstLag)); lag > result.WorstLagMS {
			result.WorstLagMS, result.WorstLagAt = lag, w.pace.worstAt
		}
	}
	for _, l := range r.legs() {
		result.Sent += l.sent
		result.Received += l.received
		result.Damaged += l.damaged
		result.Refused += l.refused
	}
	return result
}

func (r *SilenceResult) print(w io.Writer) {
	s := r.Silence
	fmt.Fprintf(w, "%d calls placed in %.2f s; %.0f packets/s offered, %d sent, %d received\n", r.Calls, r.PlaceSeconds, r.PacketsPS, r.Sent, r.Received)
	fmt.Fprintf(w, "silence    longest %.1f ms of %d streams, median of their longest %.1f ms\n", s.LongestMS, s.Fast, s.MedianLongestMS)
	fmt.Fprintf(w, "lost       %d packets; a stream %.1f in the median, %d at most\n", s.Lost, s.LostMedian, s.LostWorst)
	fmt.Fprintf(w, "dead       %.2f s with a stream dead; at the end %d streams, %d calls one way, %d both ways\n", s.DeadSeconds, s.Dead, s.OneWay, s.DeadCalls)
	fmt.Fprintf(w, "wrong      %d duplicates, %d reordered, %d damaged, %d foreign\n", s.Duplicates, s.Late, r.Damaged, r.Foreign)
	fmt.Fprintf(w, "commands   %d meanwhile, %d failed, the longest %.1f ms; %d deletes, %d failed; a new call: %s\n",
		r.Meanwhile.Commands, r.Meanwhile.Failures, r.Meanwhile.LongestUS/1000, r.Deletes.Commands, r.Deletes.Failures, orGood(r.NewCall))
	fmt.Fprintf(w, "generator  at most %.1f ms late; %d packets skipped, %d receive overflows\n", r.WorstLagMS, r.Skipped, r.Overflows)
}

func orGood(why string) string {
	if why == "" {
		return "good"
	}
	return why
}
