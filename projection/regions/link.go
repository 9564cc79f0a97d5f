package regions

import (
	"fmt"
	"time"
)

// States of a link.
const (
	Connecting = "connecting" // not heard of yet
	Up         = "up"
	CutOff     = "cut"     // not heard of any more
	Refused    = "refused" // heard of, and not what it should be
)

// Limits of a link, µs.
const (
	// MaxSilence is how long a region may be silent before it counts as cut off.
	MaxSilence = 3_000_000
	// MaxSkew is how far the clock of another region may be off before people are told.
	MaxSkew = 5_000_000
)

// Config is what a region knows of itself.
type Config struct {
	Region, Instance string
	Format           int // the newest version of events that this build reads
}

// Link is what a node knows of another region. Its clock is the caller's, in µs, and does not jump. It is not safe for
// concurrent use.
type Link struct {
	cfg  Config
	name string

	last     Hello
	heardAt  int64 // when the last greeting that was answered was sent; 0: never
	refusal  string
	skew     int64 // the region's clock minus ours, µs
	rtt      int64 // µs, of the last greeting
	cuts     int
	cut      bool
	cutSince int64
	ticked   int64 // when somebody looked last
	since    int64 // from when on this node listens, without having been asleep

	known  string // the identity that was noted earlier; empty: none
	mirror uint64 // the last sequence of the mirror
	asOf   int64  // when all that the region had was in the mirror; 0: never
	// pending is a greeting whose answer the mirror has not come up to yet.
	pendingHead uint64
	pendingAt   int64
}

// NewLink returns the link to a region. known is its identity, if that was noted earlier.
func NewLink(cfg Config, name, known string) *Link { return &Link{cfg: cfg, name: name, known: known} }

// Know notes the identity of the region as the bucket has it.
func (l *Link) Know(instance string) { l.known = instance }

// Heard notes the answer to a greeting that was sent at sent; wall is the Unix time of now in µs.
func (l *Link) Heard(h Hello, sent, now, wall int64) {
	l.wake(now)
	l.last, l.heardAt, l.rtt = h, sent, now-sent
	l.skew = h.At - (wall - (now-sent)/2)
	l.refusal = l.judge(h)
	l.cut = false
	if l.refusal != "" || !h.Ready { // one that begins does not know yet how far its stream is
		return
	}
	if l.mirror >= h.Head {
		l.asOf, l.pendingAt = sent, 0
	} else if l.pendingAt == 0 {
		l.pendingHead, l.pendingAt = h.Head, sent
	}
}

// judge says why a region is not what it should be, as a sentence for the operator; empty if it is.
func (l *Link) judge(h Hello) string {
	switch {
	case h.Region == l.cfg.Region && h.Instance != l.cfg.Instance:
		return fmt.Sprintf("the region at the addresses of %s has the name of this one, %s: give each region a --region of its own", l.name, h.Region)
	case h.Region == l.cfg.Region:
		return fmt.Sprintf("the addresses of %s lead back to this region: correct --region-peer", l.name)
	case h.Region != l.name:
		return fmt.Sprintf("the region at the addresses of %s calls itself %s: correct --region-peer, or its --region", l.name, h.Region)
	case l.known != "" && h.Instance != l.known:
		return fmt.Sprintf("region %s is another one than before (%s, it was %s): there are two of that name, or it has lost all that it had; "+
			"give each a name of its own, or say rtpjet region forget %s", l.name, h.Instance, l.known, l.name)
	case h.Refused != "":
		return fmt.Sprintf("region %s refuses this one: %s", l.name, h.Refused)
	}
	return ""
}

// Mirrored notes how far the mirror is.
func (l *Link) Mirrored(seq uint64, now int64) {
	l.mirror = seq
	switch {
	case l.pendingAt > 0 && seq >= l.pendingHead:
		l.asOf, l.pendingAt = max(l.asOf, l.pendingAt), 0
	case l.refusal == "" && l.last.Ready && seq >= l.last.Head:
		l.asOf = max(l.asOf, l.heardAt)
	}
	l.Tick(now)
}

// Anew notes that the mirror is empty again.
func (l *Link) Anew() { l.mirror, l.asOf, l.pendingHead, l.pendingAt = 0, 0, 0, 0 }

// Tick notices that the region is silent; changed is true if it was not before.
func (l *Link) Tick(now int64) (changed bool) {
	l.wake(now)
	if l.heardAt > 0 && !l.cut && now-max(l.heardAt, l.since) > MaxSilence {
		l.cut, l.cutSince, changed = true, now, true
		l.cuts++
	}
	return changed
}

// wake notices that this node has just begun or was asleep: what was said meanwhile it has not heard.
func (l *Link) wake(now int64) {
	if l.ticked == 0 || now-l.ticked > MaxSilence {
		l.since = now
	}
	l.ticked = now
}

// Lost tells whether the region is silent by the word of a node that has listened for long enough. One that has just begun knows
// of no region that it is there, and of none that it is not.
func (l *Link) Lost(now int64) bool {
	l.Tick(now)
	return l.cut || l.heardAt == 0 && now-l.since > MaxSilence
}

// Status is how a link is, for people and for programs.
type Status struct {
	Region   string `json:"region"`
	Instance string `json:"instance,omitempty"`
	State    string `json:"state"`
	// Reason says in a sentence what is wrong, and what to do; empty if nothing is.
	Reason string `json:"reason,omitempty"`
	// AgeMS is how old the mirror is, ms; -1: it was never complete.
	AgeMS int64 `json:"age_ms"`
	// Lag is how many entries the mirror was behind when the region was heard last.
	Lag    uint64  `json:"lag"`
	SkewMS int64   `json:"skew_ms"` // its clock minus ours
	RTTMS  float64 `json:"rtt_ms"`  // of the last greeting
	Cuts   int     `json:"cuts"`    // how often it was cut off since this node began
	// SilentMS is for how long it has been silent, ms; -1: it was never heard.
	SilentMS int64 `json:"silent_ms"`
	// AdoptedBy is the region that has its calls; empty: it has them itself.
	AdoptedBy string `json:"adopted_by,omitempty"`
	Ready     bool   `json:"ready"` // commands are answered there
	Calls     int    `json:"calls"` // live in its mirror
}

// Status says how the link is.
func (l *Link) Status(now int64) Status {
	l.Tick(now)
	s := Status{Region: l.name, Instance: l.last.Instance, State: Up, AgeMS: l.Age(now), SilentMS: -1, Cuts: l.cuts,
		SkewMS: l.skew / 1000, RTTMS: float64(l.rtt) / 1000, Ready: l.last.Ready}
	if l.last.Head > l.mirror {
		s.Lag = l.last.Head - l.mirror
	}
	if l.heardAt > 0 {
		s.SilentMS = (now - l.heardAt) / 1000
	}
	switch {
	case l.heardAt == 0:
		s.State, s.Reason = Connecting, fmt.Sprintf("region %s was not heard of since this node began: check --region-peer, the network, and that it runs", l.name)
	case l.cut:
		s.State = CutOff
		s.Reason = fmt.Sprintf("region %s is silent: its calls can be looked at in the mirror, and not changed from here; calls of this region go on", l.name)
	case l.refusal != "":
		s.State, s.Reason = Refused, l.refusal
	case l.last.Format > l.cfg.Format:
		s.Reason = fmt.Sprintf("region %s writes events of version %d, and this node reads up to %d: it can be asked, and its mirror not be read; "+
			"run its release here, too", l.name, l.last.Format, l.cfg.Format)
	case l.skew > MaxSkew || l.skew < -MaxSkew:
		s.Reason = fmt.Sprintf("the clock of region %s is %v off from the one here: set the clocks (NTP); its calls are relayed as ever, times in their history are not comparable",
			l.name, (time.Duration(l.skew) * time.Microsecond).Round(time.Second))
	}
	return s
}

// Age is how old the mirror is, ms; -1 if it was never complete.
func (l *Link) Age(now int64) int64 {
	if l.asOf == 0 {
		return -1
	}
	return (now - l.asOf) / 1000
}

// Reachable tells whether the region can be asked.
func (l *Link) Reachable(now int64) bool {
	l.Tick(now)
	return l.heardAt > 0 && !l.cut && l.refusal == ""
}

// Last is what the region said last.
func (l *Link) Last() Hello { return l.last }
