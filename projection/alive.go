package projection

import (
	"net/netip"

	"rtpjet/events"
)

// Classes of streams, by what their silence means: see Timeout.
const (
	ClassMedia  = "media"  // packets are expected
	ClassOffer  = "offer"  // the address of the peer is not known yet
	ClassSilent = "silent" // nothing is expected: muted, on hold
)

// StreamTimer is the timer of one section of a party.
type StreamTimer struct {
	Party int
	Media int // position, from 0
	Class string
	Limit int64 // µs; 0: it is switched off
	// Last is the time of the last packet or signalling, in µs of Unix time. Packet is false if it was signalling.
	Last   int64
	Packet bool
	// RTP and RTCP are the sockets, and the times of the last packets there, 0 for none.
	RTP, RTCP         netip.AddrPort
	LastRTP, LastRTCP int64
	// Counts is false for a section whose silence is of no interest, since packets are expected in others.
	Counts bool
}

// Left is how long the timer still runs, in µs; 0 if it has run out. ok is false if it is switched off.
func (t *StreamTimer) Left(now int64) (left int64, ok bool) {
	return max(0, t.Limit-(now-t.Last)), t.Limit > 0
}

// streamTimers lists the timers of all sections.
func (c *Call) streamTimers(t Timeouts, last func(netip.AddrPort) int64) []StreamTimer {
	var out []StreamTimer
	for _, p := range c.Parties {
		if p == nil {
			continue
		}
		for i := range p.Medias {
			m := &p.Medias[i]
			s := StreamTimer{Party: p.ID, Media: i, Last: c.signalled(m), RTP: m.Local.RTP, RTCP: m.Local.RTCP, Counts: true}
			s.Class, s.Limit = classOf(m, t)
			for _, l := range []struct {
				local netip.AddrPort
				at    *int64
			}{{m.Local.RTP, &s.LastRTP}, {m.Local.RTCP, &s.LastRTCP}} {
				if l.local.IsValid() {
					*l.at = last(l.local)
				}
				if *l.at > s.Last {
					s.Last, s.Packet = *l.at, true
				}
			}
			out = append(out, s)
		}
	}
	return out
}

// classOf tells which timer a section has.
func classOf(m *events.Media, t Timeouts) (class string, limit int64) {
	switch {
	case !m.Local.RTP.IsValid():
	case !m.Remote.RTP.IsValid():
		return ClassOffer, t.Offer
	case m.Direction.Sends() && !m.Remote.RTP.Addr().IsUnspecified():
		return ClassMedia, t.Media
	}
	return ClassSilent, t.Silent
}

// Alive is what keeps a call, and for how long.
type Alive struct {
	Streams []StreamTimer
	// Ends is when the call ends if nothing happens, in µs of Unix time; 0 if it does not. Why is the reason that it would have.
	Ends int64
	Why  events.Reason
	// Final is when the call has had its longest life, DeleteAt when it is to be deleted; 0: never.
	Final, DeleteAt int64
}

// WhyAlive says what keeps a live call. last is that of Timeout.
func (c *Call) WhyAlive(t Timeouts, last func(netip.AddrPort) int64) Alive {
	a := Alive{Streams: c.streamTimers(t, last), DeleteAt: c.DeleteAt}
	if t.Final > 0 {
		a.Final = c.Created + t.Final
	}
	var expected, unknown bool
	for i := range a.Streams {
		expected = expected || a.Streams[i].Class == ClassMedia
		unknown = unknown || a.Streams[i].Class == ClassOffer
	}
	// The call ends when the last of the streams that count runs out; one whose timer is off keeps it for ever.
	never := false
	for i := range a.Streams {
		s := &a.Streams[i]
		// A silent section counts if packets are expected nowhere.
		s.Counts = s.Class != ClassSilent || !expected && !unknown
		if !s.Counts {
			continue
		}
		if s.Limit == 0 {
			never = true
		}
		a.Ends = max(a.Ends, s.Last+s.Limit)
	}
	switch {
	case unknown:
		a.Why = events.ReasonOfferTimeout
	case expected:
		a.Why = events.ReasonTimeout
	case len(a.Streams) > 0:
		a.Why = events.ReasonSilentTimeout
	default: // a call that never had a section
		a.Why, a.Ends, never = events.ReasonOfferTimeout, c.LastSignal+t.Offer, t.Offer == 0
	}
	if never {
		a.Ends, a.Why = 0, ""
	}
	for _, other := range []struct {
		at  int64
		why events.Reason
	}{{a.Final, events.ReasonFinalTimeout}, {a.DeleteAt, events.ReasonDeleted}} {
		if other.at > 0 && (a.Ends == 0 || other.at < a.Ends) {
			a.Ends, a.Why = other.at, other.why
		}
	}
	if a.Ends > 0 && c.Until != 0 {
		a.Why = events.ReasonDeleted
	}
	return a
}
