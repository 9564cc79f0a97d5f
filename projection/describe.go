package projection

import (
	"cmp"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"time"

	"rtpjet/events"
)

// Describe writes a call for people: the same form wherever a call is printed. Times are in UTC.
func (c *Call) Describe(w io.Writer) {
	p := func(format string, args ...any) { fmt.Fprintf(w, format, args...) }
	if !c.Live() {
		p("call %q: ended %s, generation %d, event %d\n", c.ID, clock(cmp.Or(c.Until, c.EndedAt)), c.Gen, c.Seq)
		return
	}
	p("call %q\n", c.ID)
	p("  owner %s, generation %d, event %d\n", c.Owner, c.Gen, c.Seq)
	p("  created %s, last signalling %s\n", clock(c.Created), clock(c.LastSignal))
	if c.DeleteAt != 0 {
		p("  to be deleted %s\n", clock(c.DeleteAt))
	}
	if c.Dropping || c.Blocked || c.BlockedDTMF {
		p("  blocked: all traffic %t, media %t, DTMF %t\n", c.Dropping, c.Blocked, c.BlockedDTMF)
	}
	if c.Metadata != "" {
		p("  metadata %q\n", c.Metadata)
	}
	for _, q := range c.Parties {
		if q == nil {
			continue
		}
		p("  party %d %s", q.ID, tagName(q))
		if len(q.Aliases) > 0 {
			p(", earlier tags %q", q.Aliases)
		}
		if len(q.Branches) > 0 {
			p(", via-branches %q", q.Branches)
		}
		if q.Label != "" {
			p(", label %q", q.Label)
		}
		for _, id := range q.Peers {
			if peer := c.Party(id); peer != nil {
				p(", hears party %d %s", peer.ID, tagName(peer))
			}
		}
		if at, ok := c.PartyDeleteAt[q.ID]; ok {
			p(", to be deleted %s", clock(at))
		}
		p("\n")
		for i := range q.Medias {
			describeMedia(p, i, &q.Medias[i])
		}
		c.WouldBe(q.ID, func(i int, o *events.Proposal, m *events.Media) {
			p("    with offer %d of party %d, which nobody has answered:\n", o.Number, o.From)
			describeMedia(p, i, m)
		})
	}
}

func describeMedia(p func(string, ...any), i int, m *events.Media) {
	p("    %d %s %s", i+1, m.Type, m.Protocol)
	switch {
	case m.Hidden:
		p(", not in its SDPs\n")
		return
	case m.Rejected:
		p(", rejected\n")
		return
	}
	p(" %s", m.Direction)
	if m.Proposed != 0 {
		p(", offered and not answered yet")
	}
	if m.Mux {
		p(", rtcp-mux")
	}
	for _, f := range []struct {
		on   bool
		name string
	}{
		{m.Asymmetric, "asymmetric"}, {m.StrictSource, "strict source"}, {m.MediaHandover, "media handover"},
		{m.LoopCheck, "loop check"},
		{m.Blocked, "media blocked"}, {m.BlockedDTMF, "DTMF blocked"},
	} {
		if f.on {
			p(", %s", f.name)
		}
	}
	var codecs []string
	for _, c := range m.Codecs {
		codecs = append(codecs, strings.TrimSpace(fmt.Sprintf("%d %s", c.PT, c.Name)))
	}
	if len(codecs) > 0 {
		p(", %s", strings.Join(codecs, ", "))
	}
	p("\n")
	if k := m.Keys(); k.In.Suite != "" {
		p("      SRTP in %s, out %s\n", k.In, k.Out)
	}
	describeStream(p, "RTP ", m.Local.RTP, m.Remote.RTP, m.Learned.RTP, m.Advertised, m.Interface)
	describeStream(p, "RTCP", m.Local.RTCP, m.Remote.RTCP, m.Learned.RTCP, m.Advertised, m.Interface)
}

func describeStream(p func(string, ...any), name string, local, remote, learned netip.AddrPort, adv netip.Addr, iface string) {
	if !local.IsValid() {
		return
	}
	p("      %s %s", name, local)
	if adv.IsValid() && adv != local.Addr() {
		p(" (advertised %s)", adv)
	}
	p(" on %s", iface)
	if remote.IsValid() {
		p(", SDP says %s", remote)
	}
	if learned.IsValid() {
		p(", learned %s", learned)
	}
	p("\n")
}

func tagName(p *events.Party) string {
	if p.Tag == "" {
		return "(no tag yet)"
	}
	return fmt.Sprintf("%q", p.Tag)
}

func clock(us int64) string {
	return time.UnixMicro(us).UTC().Format("2006-01-02 15:04:05.000")
}
