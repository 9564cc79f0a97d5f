package report

import (
	"net/netip"

	"rtpjet/events"
	"rtpjet/ngserver/ng"
	"rtpjet/projection"
	"rtpjet/relay/plan"
)

// stream fills the dictionary of one component of a section. Both components are listed, with or without a socket. known says
// whether st was measured.
func stream(o *ng.Object, m *events.Media, rtcp bool, st plan.Stats, known bool) {
	local, remote, learned, confirmed := m.Local.RTP, m.Remote.RTP, m.Learned.RTP, m.Confirmed[0]
	if rtcp {
		local, remote, learned, confirmed = m.Local.RTCP, m.Remote.RTCP, m.Learned.RTCP, m.Confirmed[1]
	}
	if local.IsValid() {
		o.Int("local port", int64(local.Port()))
		o.Str("local address", local.Addr().Unmap().String())
		o.Str("family", family(local.Addr()))
	}
	// Where packets go now: what the relay found out last, what an event says that it found out, what the SDP says.
	now := remote
	switch {
	case m.Asymmetric:
	case st.Remote.IsValid():
		now = st.Remote
	case learned.IsValid():
		now = learned
	}
	endpoint(o.Obj("endpoint"), now)
	endpoint(o.Obj("advertised endpoint"), remote)

	if s := suite(m); s != "" {
		o.Str("crypto suite", s)
	}
	if known { // these begin at the time of signalling, as rtpengine has it; nothing goes through a kernel module
		last := max(m.SignalAt, st.LastPacket) / 1e6
		o.Int("last packet", last)
		o.Int("last kernel packet", m.SignalAt/1e6)
		o.Int("last user packet", last)
	}
	if s := st.IngressSSRC; s.Seen {
		o.Int("SSRC", int64(s.SSRC))
	}
	o.Strs("flags", streamFlags(m, rtcp, now.IsValid(), confirmed || st.Confirmed)...)
	if known {
		counters(o.Obj("stats"), st.In)
		counters(o.Obj("stats_out"), st.Out)
		if !rtcp && st.Received.Counted {
			reception(o.Obj("reception"), st.Received) // no key of rtpengine
		}
	}
}

// suite is how we encrypt towards the party, or would if it took what we put first.
func suite(m *events.Media) string {
	k := m.Keys()
	if k.Out.Suite == "" && len(k.Sent) > 0 {
		return k.Sent[0].Suite
	}
	return k.Out.Suite
}

func endpoint(o *ng.Object, a netip.AddrPort) {
	if !a.IsValid() {
		return
	}
	o.Str("family", family(a.Addr()))
	o.Str("address", a.Addr().Unmap().String())
	o.Int("port", int64(a.Port()))
}

func family(a netip.Addr) string {
	if a.Unmap().Is4() {
		return "IPv4"
	}
	return "IPv6"
}

// named is a flag of a reply, in a list whose order is rtpengine's.
type named struct {
	on   bool
	name string
}

func names(flags []named) []string {
	var out []string
	for _, f := range flags {
		if f.on {
			out = append(out, f.name)
		}
	}
	return out
}

func streamFlags(m *events.Media, rtcp, filled, confirmed bool) []string {
	return names([]named{
		{!rtcp, "RTP"},
		{rtcp || m.Mux, "RTCP"},
		{rtcp && m.Mux, "fallback RTCP"},
		{filled, "filled"},
		{confirmed, "confirmed"},
		{m.StrictSource, "strict source address"},
		{m.MediaHandover, "media handover"},
	})
}

// mediaFlags are those of a section that a relay can have. send and recv are from our point of view: we send to a party that
// wants to receive, as far as the other side sends.
func mediaFlags(c *projection.Call, p *events.Party, i int) []string {
	m := &p.Medias[i]
	send, recv := m.Direction.Receives(), m.Direction.Sends()
	peer := c.Peer(p)
	if peer != nil && i < len(peer.Medias) {
		d := peer.Medias[i].Direction
		send, recv = send && d.Sends(), recv && d.Receives()
	}
	return names([]named{
		{m.Remote.RTP.IsValid() || projection.IsRTP(m.Protocol) && len(m.Formats) > 0, "initialized"},
		{m.Asymmetric, "asymmetric"},
		{send, "send"},
		{recv, "recv"},
		{m.Mux, "rtcp-mux"},
		{m.EndToEnd, "passthrough"},
		{m.SRTP != nil, "SDES"},
		{m.Controlling, "ICE controlling"}, // set on the callee's side even without ICE, as rtpengine does
		{m.Unidirectional, "unidirectional"},
		{m.LoopCheck, "loop check"},
		{m.Echo == "echo", "echo"},
		{m.Echo == "blackhole", "blackhole"},
		{m.Twin != 0, "legacy OSRTP"},
		{m.Twin == events.TwinSecure, "reverse legacy OSRTP"},
	})
}
