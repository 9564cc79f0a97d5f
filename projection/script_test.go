package projection_test

import (
	"fmt"
	"net/netip"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"rtpjet/events"
	"rtpjet/projection"
	"rtpjet/projection/projectiontest"
)

// TestScripts compares what becomes of a call. Sockets that the last command took or freed are listed after the parties.
func TestScripts(t *testing.T) {
	open := map[*projectiontest.Driver][]netip.AddrPort{}
	projectiontest.RunScripts(t, filepath.Join("testdata", "*.txt"), func(d *projectiontest.Driver, command, _ string) string {
		var b strings.Builder
		switch command {
		case "describe":
			d.Call.Describe(&b)
			return b.String()
		case "routes":
			for _, s := range d.Call.Routes(projection.RouteDefaults{}, 0) {
				fmt.Fprintln(&b, route(s))
			}
			return b.String()
		}
		dump(&b, &d.Call)
		now := d.Call.Locals()
		list(&b, "took", now, open[d])
		list(&b, "freed", open[d], now)
		open[d] = now
		return b.String()
	})
}

func list(b *strings.Builder, what string, from, without []netip.AddrPort) {
	var out []string
	for _, a := range from {
		if !slices.Contains(without, a) {
			out = append(out, short(a))
		}
	}
	if len(out) > 0 {
		fmt.Fprintf(b, "%s %s\n", what, strings.Join(out, " "))
	}
}

// short names the addresses of the scripts: local ones by their interface, remote ones by their last number.
func short(a netip.AddrPort) string {
	host := a.Addr().String()
	names := map[string]string{
		"10.0.0.1": "pub", "10.0.0.2": "priv", "fd00::1": "pub6", "fd00::2": "priv6",
		"198.51.100.1": "alice", "198.51.100.2": "bob", "198.51.100.3": "carol",
	}
	if n, ok := names[host]; ok {
		host = n
	}
	if !a.IsValid() {
		return "-"
	}
	return host + ":" + strconv.Itoa(int(a.Port()))
}

func pair(p events.Ports) string {
	s := short(p.RTP)
	if p.RTCP.IsValid() {
		if p.RTCP.Addr() == p.RTP.Addr() {
			s += "+" + strconv.Itoa(int(p.RTCP.Port()))
		} else {
			s += "+" + short(p.RTCP)
		}
	}
	return s
}

func dump(b *strings.Builder, c *projection.Call) {
	switch {
	case c.Ended:
		fmt.Fprintf(b, "ended, generation %d\n", c.Gen)
		return
	case !c.Live():
		fmt.Fprintln(b, "no call")
		return
	}
	if c.DeleteAt != 0 {
		fmt.Fprintf(b, "ends in %ds\n", (c.DeleteAt-c.LastSignal)/1e6)
	}
	if c.Blocked || c.BlockedDTMF || c.Dropping {
		fmt.Fprintf(b, "blocked: media %t, DTMF %t, all %t\n", c.Blocked, c.BlockedDTMF, c.Dropping)
	}
	for _, p := range c.Parties {
		if p == nil {
			continue
		}
		fmt.Fprintf(b, "%d %q hears %v", p.ID, p.Tag, p.Peers)
		for _, f := range []struct {
			name string
			list []string
		}{{"aliases", p.Aliases}, {"branches", p.Branches}, {"label", nonEmpty(p.Label)}, {"key", nonEmpty(p.Key)}} {
			if len(f.list) > 0 {
				fmt.Fprintf(b, ", %s %s", f.name, strings.Join(f.list, " "))
			}
		}
		if at, ok := c.PartyDeleteAt[p.ID]; ok {
			fmt.Fprintf(b, ", leaves in %ds", (at-c.LastSignal)/1e6)
		}
		b.WriteByte('\n')
		for i := range p.Medias {
			media(b, &p.Medias[i])
		}
	}
	for _, p := range c.Proposals {
		proposal(b, c, &p)
	}
}

// proposal shows an offer that may still be answered: those of its sections that are not as the parties have them.
func proposal(b *strings.Builder, c *projection.Call, p *events.Proposal) {
	if p.FromMedias == nil {
		return
	}
	var other strings.Builder
	for _, side := range []struct {
		id   int
		list []events.Media
	}{{p.From, p.FromMedias}, {p.To, p.ToMedias}} {
		for i, m := range side.list {
			now := events.Media{}
			if q := c.Party(side.id); q != nil && i < len(q.Medias) {
				now = q.Medias[i]
			}
			m.Proposed, now.Proposed, m.Signal, now.Signal, m.SignalAt, now.SignalAt = 0, 0, 0, 0, 0, 0
			if !reflect.DeepEqual(m, now) {
				fmt.Fprintf(&other, "  %d:", side.id)
				media(&other, &m)
			}
		}
	}
	if other.Len() == 0 {
		return
	}
	fmt.Fprintf(b, "offer %d of %d to %d", p.Number, p.From, p.To)
	if p.Answered {
		b.WriteString(", answered")
	}
	b.WriteString("\n" + other.String())
}

func nonEmpty(s string) []string {
	if s == "" {
		return nil
	}
	return []string{s}
}

func media(b *strings.Builder, m *events.Media) {
	fmt.Fprintf(b, "  %s", m.Type)
	switch {
	case m.Hidden:
		b.WriteString(" hidden\n")
		return
	case m.Rejected:
		b.WriteString(" rejected\n")
		return
	}
	fmt.Fprintf(b, " %s %s", m.Direction, pair(m.Local))
	if m.Remote.RTP.IsValid() {
		fmt.Fprintf(b, " to %s", pair(m.Remote))
	}
	if m.Learned.RTP.IsValid() || m.Learned.RTCP.IsValid() {
		fmt.Fprintf(b, " learned %s", pair(m.Learned))
		fmt.Fprintf(b, " %v", m.Confirmed)
	}
	for _, e := range m.Earlier {
		fmt.Fprintf(b, " (%s for %s)", pair(e.Local), short(e.Remote))
	}
	for _, f := range []struct {
		on   bool
		name string
	}{
		{m.Mux, "mux"}, {m.MuxOffered, "mux-offered"}, {m.MuxSent, "mux-sent"}, {m.Blocked, "blocked"}, {m.BlockedDTMF, "blocked-dtmf"},
	} {
		if f.on {
			b.WriteString(" " + f.name)
		}
	}
	fmt.Fprintf(b, " speaks %s", codecs(m.Codecs))
	if len(m.Offered)+len(m.Stripped) > 0 {
		fmt.Fprintf(b, " was told %s", codecs(m.Offered))
	}
	if len(m.Stripped) > 0 {
		fmt.Fprintf(b, " but not %s", codecs(m.Stripped))
	}
	b.WriteByte('\n')
}

func codecs(list []events.Codec) string {
	out := make([]string, len(list))
	for i, c := range list {
		out[i] = strconv.Itoa(c.PT)
	}
	return "[" + strings.Join(out, " ") + "]"
}
