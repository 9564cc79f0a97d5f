package relay

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"rtpjet/relay/plan"
	"rtpjet/relay/srtp"
)

// secret is what decides whether two plans mean the same state of SRTP: all of plan.SRTP but what was known of its sources.
type secret struct {
	suite, key, salt, mki                string
	plainRTP, plainRTCP, unauthenticated bool
}

func secretOf(p *plan.SRTP) secret {
	return secret{p.Suite, p.Key, p.Salt, p.MKI, p.PlainRTP, p.PlainRTCP, p.Unauthenticated}
}

// maxSenders bounds the keys of a call that are remembered though no stream sends with them any more.
const maxSenders = 32

// senderOf returns the call's sender for p. Streams that send with the same keys share it, such as RTP and RTCP on two ports
// or several branches of a forked call: an index must not be used for two packets. For the same reason a sender outlives
// its streams, in case the keys come back. waited are senders of the call that have not sent and will not.
func (c *call) senderOf(p *plan.SRTP, streams []plan.Stream, waited map[secret]*srtp.Sender) (s *srtp.Sender, err error) {
	key := secretOf(p)
	if s := c.senders[key]; s != nil {
		return s, nil
	}
	if merged := mergeRollovers(streams, p); waited[key] != nil {
		s = waited[key].Anew(merged)
	} else if s, err = srtp.NewSender(merged); err != nil {
		return nil, err
	}
	if c.senders == nil {
		c.senders = make(map[secret]*srtp.Sender)
	}
	c.senders[key] = s
	return s, nil
}

// pruneSenders forgets senders that no stream uses, if there are too many.
func (c *call) pruneSenders(routes []*route) {
	for key, s := range c.senders {
		if len(c.senders) <= maxSenders {
			return
		}
		if !slices.ContainsFunc(routes, func(r *route) bool { return r != nil && r.out == s }) {
			delete(c.senders, key)
		}
	}
}

// mergeRollovers has streams with the same keys begin with all that is known of them: RTP and RTCP of a media know half each.
func mergeRollovers(streams []plan.Stream, p *plan.SRTP) *plan.SRTP {
	merged := *p
	merged.Rollovers = slices.Clone(p.Rollovers)
	for i := range streams {
		other := streams[i].Encrypt
		if other == nil || other == p || secretOf(other) != secretOf(p) {
			continue
		}
		for _, r := range other.Rollovers {
			at := slices.IndexFunc(merged.Rollovers, func(m plan.Rollover) bool { return m.SSRC == r.SSRC })
			if at < 0 {
				merged.Rollovers = append(merged.Rollovers, r)
				continue
			}
			m := &merged.Rollovers[at]
			m.Index = max(m.Index, r.Index)
			if r.ROC > m.ROC || r.ROC == m.ROC && r.Seq > m.Seq {
				m.ROC, m.Seq = r.ROC, r.Seq
			}
		}
	}
	return &merged
}

// secureRoute gives r its ends of SRTP; old is the route of the stream so far. A route that should have an end and has none
// lets nothing through. Under keys that stay, state goes on, unless the call begins anew; waited is as for senderOf.
func (c *call) secureRoute(r, old *route, streams []plan.Stream, anew bool, waited map[secret]*srtp.Sender) error {
	var inErr, outErr error
	if p := r.plan.Decrypt; p != nil {
		var before []plan.Rollover
		if old != nil && old.in != nil {
			switch same := secretOf(old.plan.Decrypt) == secretOf(p); {
			case !same:
				before = old.in.Rollovers()
			case anew:
				r.in = old.in.Anew(p)
			default:
				r.in = old.in
			}
		}
		if r.in == nil {
			r.in, inErr = srtp.NewReceiver(p, before)
		}
	}
	if p := r.plan.Encrypt; p != nil {
		r.out, outErr = c.senderOf(p, streams, waited)
	}
	return errors.Join(inErr, outErr)
}

// compile makes the routes of all streams of c that are open; the others stay nil. Those that a call on a floating address
// has had before may not be valid any more when it returns.
func (c *call) compile(name string, streams []plan.Stream, open map[netip.AddrPort]*stream) (routes []*route, faults []error) {
	if !c.begun {
		c.begun = true
		for _, s := range open {
			if s.permit != nil {
				c.gen = &generation{}
			}
		}
	} else if gen, senders := c.gen, c.senders; gen != nil && gen.waits() {
		c.gen, c.senders = &generation{}, nil
		routes, faults = c.compileAs(name, streams, open, true, senders)
		for i, r := range routes {
			if r != nil {
				if old := open[streams[i].Local].route.Load(); old != nil {
					old.next = r
				}
			}
		}
		if gen.replace() {
			return routes, faults
		}
		c.gen, c.senders = gen, senders // a packet came meanwhile
	}
	return c.compileAs(name, streams, open, false, nil)
}

// compileAs is compile with SRTP anew, or not; waited is as for senderOf.
func (c *call) compileAs(
	name string, streams []plan.Stream, open map[netip.AddrPort]*stream, anew bool, waited map[secret]*srtp.Sender,
) (routes []*route, faults []error) {
	routes = make([]*route, len(streams))
	var senders map[*stream]*srtp.Sender
	for i := range streams {
		s := open[streams[i].Local]
		if s == nil {
			continue
		}
		r := newRoute(name, &streams[i], streams, open)
		r.gen = c.gen
		if err := c.secureRoute(r, s.route.Load(), streams, anew, waited); err != nil {
			faults = append(faults, fmt.Errorf("protect media of %v: %w", s.local, err))
		}
		if r.out != nil {
			if senders == nil {
				senders = make(map[*stream]*srtp.Sender)
			}
			senders[s] = r.out
		}
		routes[i] = r
	}
	if len(senders) > 1 {
		for _, r := range routes {
			if r != nil {
				groupSinks(r.rtp, senders)
				groupSinks(r.rtcp, senders)
			}
		}
	}
	c.pruneSenders(routes)
	return routes, faults
}

// groupSinks puts sinks with the same sender next to each other, so that a packet is protected once for all of them.
func groupSinks(sinks []*stream, senders map[*stream]*srtp.Sender) {
	for i := range sinks {
		for k := i + 2; k < len(sinks); k++ {
			if s := senders[sinks[i]]; s != nil && senders[sinks[i+1]] != s && senders[sinks[k]] == s {
				sinks[i+1], sinks[k] = sinks[k], sinks[i+1]
			}
		}
	}
}

// unprotect opens what has arrived on s. ok is false if it is refused: a stream that decrypts takes nothing else.
func (s *stream) unprotect(h *shard, r *route, k kind, pkt []byte, now int64) (plain []byte, ok bool) {
	if r.in == nil || k != kindRTP && k != kindRTCP {
		return nil, false
	}
	plain, news, err := r.in.Unprotect(h.opened[:0], pkt)
	if err != nil {
		return nil, false
	}
	if news != nil {
		h.crossing(crossing{s, news, false}, now)
	}
	return plain, true
}

// protect closes what is to leave from sink; nil if it must not leave.
func (h *shard) protect(sink *stream, out *srtp.Sender, k kind, plain []byte, now int64) []byte {
	if out == nil || k != kindRTP && k != kindRTCP {
		return nil
	}
	sealed, news, err := out.Protect(h.sealed[:0], plain)
	if err != nil {
		return nil
	}
	if news != nil {
		h.crossing(crossing{sink, news, true}, now)
	}
	return sealed
}

// crossing is a source with news that was not reported yet.
type crossing struct {
	s   *stream
	src *srtp.Source
	out bool
}

// crossing reports a source, now or later. What is reported later is the state at that time, so a source waits once at
// most.
func (h *shard) crossing(c crossing, now int64) {
	if c.src.Queued || h.tryCrossing(c, now) {
		return
	}
	c.src.Queued = true
	h.crossings = append(h.crossings, c)
	h.due = earlier(h.due, c.s.crossDue)
}

// tryCrossing returns false if the report has to be tried again.
func (h *shard) tryCrossing(c crossing, now int64) bool {
	r := c.s.cur.Load()
	if c.s.route.Load() == nil || r == nil || c.out && r.out == nil || !c.out && r.in == nil {
		return true
	}
	if c.out && !r.out.Has(c.src) || !c.out && !r.in.Has(c.src) {
		return true // under keys that are no longer in use, and the event would be about those that are
	}
	if now < c.s.crossDue {
		return false
	}
	news := plan.Crossed{Call: r.call, Local: c.s.local, Out: c.out, Epoch: r.plan.Epoch, Rollover: c.src.Rollover()}
	select {
	case h.news.crossed <- news:
		if now-c.s.crossSince >= reportInterval {
			c.s.crossSince, c.s.crossed = now, 0
		}
		if c.s.crossed++; c.s.crossed == crossBurst {
			c.s.crossDue = c.s.crossSince + reportInterval
		}
		return true
	default:
		c.s.crossDue = now + reportRetry
		return false
	}
}

// crossBurst is how many crossings of a stream are reported in one reportInterval. Sequence numbers from an unprotected side
// may be anything, and must not flood the log.
const crossBurst = 8

// Rollovers implements Engine.
func (e *Sockets) Rollovers(local netip.AddrPort) (in, out []plan.Rollover) {
	e.mu.RLock()
	defer e.mu.RUnlock()
	s := e.streams[local]
	if s == nil {
		return nil, nil
	}
	if r := s.route.Load(); r != nil {
		if r.in != nil {
			in = r.in.Rollovers()
		}
		if r.out != nil {
			out = r.out.Rollovers()
		}
	}
	return in, out
}
