package pages

import (
	"net/netip"

	"rtpjet/projection"
	"rtpjet/relay/plan"
)

// Stream is a socket of a call, and what it has counted.
type Stream struct {
	Party  int    `json:"party"`
	Media  int    `json:"media"` // from 0
	Type   string `json:"type"`
	RTCP   bool   `json:"rtcp,omitempty"`
	Local  string `json:"local"`
	Remote string `json:"remote"`
	Known  bool   `json:"known"` // the owner has told what it counted

	PacketsIn  uint64 `json:"packets_in"`
	PacketsOut uint64 `json:"packets_out"`
	BytesIn    uint64 `json:"bytes_in"`
	BytesOut   uint64 `json:"bytes_out"`
	Errors     uint64 `json:"errors"`
	LastPacket int64  `json:"last_packet,omitempty"` // µs of Unix time

	// RateIn and RateOut are packets a second since the look before, and Loss the share of packets that did not come in that time.
	// Lost is their number since the socket was opened. -1: not known.
	RateIn  float64 `json:"rate_in"`
	RateOut float64 `json:"rate_out"`
	Loss    float64 `json:"loss"`
	Lost    int64   `json:"lost"`

	opaque bool
}

// Streams lists the sockets of a call with their counters.
func Streams(c *projection.Call, stats func(netip.AddrPort) (plan.Stats, bool)) []Stream {
	out := []Stream{}
	for _, p := range c.Parties {
		if p == nil {
			continue
		}
		for i := range p.Medias {
			m := &p.Medias[i]
			for _, rtcp := range []bool{false, true} {
				local, remote, learned := m.Local.RTP, m.Remote.RTP, m.Learned.RTP
				if rtcp {
					local, remote, learned = m.Local.RTCP, m.Remote.RTCP, m.Learned.RTCP
				}
				if !local.IsValid() {
					continue
				}
				if learned.IsValid() {
					remote = learned
				}
				s := Stream{
					Party: p.ID, Media: i, Type: m.Type, RTCP: rtcp, Local: addrText(local), Remote: addrText(remote),
					RateIn: -1, RateOut: -1, Loss: -1, Lost: -1, opaque: rtcp || m.Protocol == "udptl",
				}
				if st, ok := stats(local); ok {
					s.count(st)
				}
				out = append(out, s)
			}
		}
	}
	return out
}

func (s *Stream) count(st plan.Stats) {
	s.Known, s.LastPacket = true, st.LastPacket
	if !s.opaque && st.Received.Counted && st.IngressSSRC.Seen {
		s.Lost = int64(st.Received.Lost)
	}
	s.PacketsIn, s.PacketsOut, s.BytesIn, s.BytesOut = st.In.Packets, st.Out.Packets, st.In.Bytes, st.Out.Bytes
	s.Errors = st.In.Errors + st.Out.Errors
}

// Rate fills in what two looks at the streams of a call tell, us µs apart. before may be nil.
func Rate(before, now []Stream, us int64) {
	old := make(map[string]*Stream, len(before))
	for i := range before {
		old[before[i].Local] = &before[i]
	}
	for i := range now {
		s := &now[i]
		b := old[s.Local]
		if b == nil || !b.Known || !s.Known || us <= 0 || s.PacketsIn < b.PacketsIn || s.PacketsOut < b.PacketsOut {
			continue // new, or with another owner: counted from the next look on
		}
		s.RateIn = perSecond(s.PacketsIn-b.PacketsIn, us)
		s.RateOut = perSecond(s.PacketsOut-b.PacketsOut, us)
		s.lose(b)
	}
}

func perSecond(n uint64, us int64) float64 {
	return float64(int64(float64(n)*1e7/float64(us)+0.5)) / 10
}

// lose tells how many of the packets since b did not come. One that came late after all was told before, and is not taken off again.
func (s *Stream) lose(b *Stream) {
	if s.Lost < 0 || b.Lost < 0 {
		return
	}
	missing, came := max(0, s.Lost-b.Lost), int64(s.PacketsIn-b.PacketsIn)
	if missing+came > 0 {
		s.Loss = float64(missing) / float64(missing+came)
	}
}
