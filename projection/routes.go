package projection

import (
	"net/netip"
	"slices"
	"strings"

	"rtpjet/events"
	"rtpjet/relay/plan"
)

// LearningWindow is how long addresses are learned after a signalling event, in µs (docs/learning.md).
const LearningWindow = 3_000_000

// RouteDefaults are the daemon's settings that calls may override.
type RouteDefaults struct {
	Learning plan.Learning
	TOS      uint8
	Lenient  bool
}

// Routes returns the sockets of a call and what each does from now on, in a fixed order. It is empty for a call that is not
// live.
func (c *Call) Routes(def RouteDefaults, now int64) []plan.Stream {
	if !c.Live() {
		return nil
	}
	var out []plan.Stream
	var keys []*keyed // by section
	for _, p := range c.Parties {
		if p == nil {
			continue
		}
		listeners := c.Listeners(p.ID)
		for i := range p.Medias {
			for len(keys) <= i {
				keys = append(keys, c.keys(len(keys)))
			}
			out = c.mediaRoutes(out, p, i, listeners, keys[i], def, now)
		}
		out = c.proposedRoutes(out, p)
	}
	return out
}

// proposedRoutes adds the sockets that only an offer names so far: what arrives there goes where the section's packets go.
func (c *Call) proposedRoutes(out []plan.Stream, p *events.Party) []plan.Stream {
	var at map[netip.AddrPort]int // where in out the stream of a socket is
	c.eachProposed(p.ID, func(i int, m *events.Media) {
		if at == nil {
			at = make(map[netip.AddrPort]int, 2*len(out))
			for k := range out {
				at[out[k].Local] = k
			}
		}
		s, like := plan.Stream{Opaque: !IsRTP(m.Protocol), Signalled: m.Remote.RTP}, m
		if i < len(p.Medias) {
			if k, ok := at[p.Medias[i].Local.RTP]; ok {
				s, like = out[k], &p.Medias[i]
			}
		}
		eachPorts(m, func(ports events.Ports) {
			for _, add := range besides(s, like, ports) {
				if _, there := at[add.Local]; !there {
					at[add.Local] = len(out)
					out = append(out, add)
				}
			}
		})
	})
	return out
}

// besides are further sockets of a section whose stream is s, from which nothing leaves. Those whom the section listens to may send there,
// and nobody else, and that teaches nothing.
func besides(s plan.Stream, m *events.Media, p events.Ports) []plan.Stream {
	s.Local, s.MayLearn, s.PierceNAT = p.RTP, false, false
	if !p.RTCP.IsValid() {
		return []plan.Stream{s}
	}
	return []plan.Stream{s, rtcpStream(s, m, p)}
}

// rtcpStream is the stream of RTCP beside that of RTP.
func rtcpStream(s plan.Stream, m *events.Media, p events.Ports) plan.Stream {
	s.Local, s.RTCP, s.Mux = p.RTCP, true, false
	s.RTP, s.Types = p.RTP, nil
	s.Signalled, s.Learned, s.Confirmed, s.Former = m.Remote.RTCP, m.Learned.RTCP, m.Confirmed[1], m.FormerPorts().RTCP
	return s
}

func (c *Call) mediaRoutes(out []plan.Stream, p *events.Party, i int, listeners []int, keys *keyed, def RouteDefaults, now int64) []plan.Stream {
	m := &p.Medias[i]
	if !m.Local.RTP.IsValid() {
		return out
	}
	s := plan.Stream{
		Local:         m.Local.RTP,
		Mux:           m.Mux,
		Opaque:        !IsRTP(m.Protocol),
		Signalled:     m.Remote.RTP,
		Seen:          p.Seen,
		Learned:       m.Learned.RTP,
		Former:        m.FormerPorts().RTP,
		Confirmed:     m.Confirmed[0],
		Epoch:         m.Signal,
		LearnUntil:    m.SignalAt + LearningWindow,
		Mode:          def.Learning,
		Lenient:       def.Lenient,
		MayLearn:      m.Told,
		Asymmetric:    m.Asymmetric,
		StrictSource:  m.StrictSource,
		MediaHandover: m.MediaHandover,
		NATWait:       m.NATWait,
		PierceNAT:     m.PierceNAT,
		Blocked:       c.Dropping || c.Blocked || m.Blocked || m.Echo == "blackhole",
		BlockDTMF:     c.BlockedDTMF || m.BlockedDTMF,
		Echo:          m.Echo == "echo",
		LoopCheck:     m.LoopCheck,
		TOS:           def.TOS,
		Clocks:        clocks(m),
	}
	s.MaskExtensions = withheldIDs(m)
	s.NoFeedback = c.filtersFeedback(p, i)
	if !s.Opaque {
		s.Types = payloadTypes(m)
	}
	if c.TOS >= 0 {
		s.TOS = uint8(c.TOS)
	}
	if mode, ok := plan.LearningNamed(m.Learning); ok {
		s.Mode = mode
	}
	if s.BlockDTMF || (c.Blocked || m.Blocked) && !c.Dropping && m.Echo != "blackhole" {
		s.DTMF = dtmfTypes(m) // key presses pass where media is blocked
	}
	in, usable := keys.in(p.ID, m)
	s.Decrypt = c.withRollovers(in, p.ID, i, false, false, m.Keys().In, now)
	if !usable {
		listeners, s.MayLearn = nil, false
	}
	encrypt, _ := keys.out(p.ID, m)
	s.Encrypt = c.withRollovers(encrypt, p.ID, i, false, true, m.Keys().Out, now)
	for _, id := range listeners {
		q := c.Party(id)
		if i >= len(q.Medias) || !q.Medias[i].Local.RTP.IsValid() {
			continue
		}
		if _, usable := keys.out(id, &q.Medias[i]); !usable {
			continue
		}
		o := &q.Medias[i]
		s.RTPSinks = append(s.RTPSinks, o.Local.RTP)
		if rtcp := o.Local.RTCP; o.Mux {
			s.RTCPSinks = append(s.RTCPSinks, o.Local.RTP)
		} else if rtcp.IsValid() {
			s.RTCPSinks = append(s.RTCPSinks, rtcp)
		}
	}
	out = append(out, s)
	if m.Local.RTCP.IsValid() {
		r := rtcpStream(s, m, m.Local)
		r.Decrypt = c.withRollovers(r.Decrypt, p.ID, i, true, false, m.Keys().In, now)
		r.Encrypt = c.withRollovers(r.Encrypt, p.ID, i, true, true, m.Keys().Out, now)
		out = append(out, r)
	}
	// A party keeps sending to sockets that it knew before until our SDP has reached it. It may, and nobody else, and that teaches
	// nothing: nothing leaves from there.
	for _, e := range m.Earlier {
		out = append(out, besides(s, m, e.Local)...)
	}
	return out
}

// payloadTypes are those under which the party may send RTP: what it was told, and what it says itself, for many use their own
// numbers. None: nothing is known, or a list has something that is no number.
func payloadTypes(m *events.Media) []uint8 {
	var out []uint8
	for _, list := range [][]events.Codec{m.Offered, m.Codecs} {
		for i := range list {
			pt := list[i].PT
			if pt < 0 || pt > 127 {
				return nil
			}
			if !slices.Contains(out, uint8(pt)) {
				out = append(out, uint8(pt))
			}
		}
	}
	return out
}

// dtmfTypes are the payload types under which the party may send telephone events (RFC 4733).
func dtmfTypes(m *events.Media) []uint8 {
	var out []uint8
	for _, list := range [][]events.Codec{m.Offered, m.Codecs} {
		for _, c := range list {
			if strings.EqualFold(c.Name, "telephone-event") && c.PT >= 0 && c.PT < 128 && !slices.Contains(out, uint8(c.PT)) {
				out = append(out, uint8(c.PT))
			}
		}
	}
	return out
}

// withheldIDs are the ids under which the party may send header extensions that nobody else knows of. Where the parties
// have keys of their own, nothing can be taken out of a packet.
func withheldIDs(m *events.Media) []uint8 {
	var out []uint8
	if m.EndToEnd {
		return nil
	}
	for _, e := range m.Withholds() {
		if e.ID > 0 && e.ID <= 255 && !slices.Contains(out, uint8(e.ID)) {
			out = append(out, uint8(e.ID))
		}
	}
	slices.Sort(out)
	return out
}

// filtersFeedback tells whether a party without feedback in its profile hears one that has it (RFC 4585).
func (c *Call) filtersFeedback(p *events.Party, i int) bool {
	if m := &p.Medias[i]; !IsRTP(m.Protocol) || hasFeedback(m.Protocol) || m.EndToEnd {
		return false
	}
	return slices.ContainsFunc(p.Peers, func(id int) bool {
		q := c.Party(id)
		return q != nil && i < len(q.Medias) && hasFeedback(q.Medias[i].Protocol)
	})
}

// hasFeedback tells whether a profile has RTCP feedback.
func hasFeedback(protocol string) bool { return strings.HasSuffix(strings.ToUpper(protocol), "AVPF") }

// IsRTP tells whether a transport protocol of an m= line is an RTP profile.
func IsRTP(protocol string) bool { return strings.Contains(strings.ToUpper(protocol), "RTP/") }

// Endpoint finds the party, section and component that a local socket serves; ok is false if none does.
func (c *Call) Endpoint(local netip.AddrPort) (party, media int, rtcp, ok bool) {
	if !local.IsValid() {
		return 0, 0, false, false
	}
	for _, p := range c.Parties {
		if p == nil {
			continue
		}
		for i := range p.Medias {
			switch local {
			case p.Medias[i].Local.RTP:
				return p.ID, i, false, true
			case p.Medias[i].Local.RTCP:
				return p.ID, i, true, true
			}
		}
	}
	return 0, 0, false, false
}
