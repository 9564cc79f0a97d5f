package history

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"rtpjet/events"
	"rtpjet/projection"
)

// describe writes what there is to know about a step, and which lines it passes.
func (b *builder) describe(s *Step, before *projection.Call, m *Moment) {
	here := nodeKey(m.Node)
	s.Path = []string{here}
	switch ev := m.Event.(type) {
	case events.Offered:
		s.signalled(here, before, m, ev.Signalling, "offer")
	case events.Answered:
		s.signalled(here, before, m, ev.Signalling, "answer")
	case events.EndpointLearned:
		s.Label = "learned"
		s.Path = []string{partyKey(ev.Party), here}
		s.say("%s %s really comes from %s%s", name(m.Call, ev.Party), stream(m.Call, ev.Party, ev.Media, ev.RTCP), ev.Remote,
			ifElse(ev.Confirmed, "", ", not confirmed yet"))
	case events.MediaBlocked:
		s.Label = cmp.Or(s.command(), "block")
		s.Path = append(s.asker(m.Call), here)
		s.blocked(m.Call, ev)
	case events.DeletionScheduled:
		s.Label = cmp.Or(s.command(), "delete")
		s.Path = append(s.asker(before), here)
		s.say("%s to be deleted %s", whom(before, ev.Parties), clock(ev.At))
	case events.PartiesRemoved:
		s.Label = cmp.Or(s.command(), "removed")
		s.Path = append(s.asker(before), here)
		s.say("gone: %s", whom(before, ev.Parties))
	case events.TakenOver:
		b.tookOver(s, m, ev)
	case events.RolledOver:
		s.Label = "rollover"
		s.Path = []string{partyKey(ev.Party), here}
		if ev.Out {
			s.Path = []string{here, partyKey(ev.Party)}
		}
		s.say("%s %s, source %08x: at %d:%d", name(m.Call, ev.Party), stream(m.Call, ev.Party, ev.Media, ev.RTCP), ev.SSRC, ev.ROC, ev.Seq)
	case events.LegSilent:
		s.Label = "silent"
		s.Path = []string{partyKey(ev.Party), here}
		s.say("%s %s: silent since %s, after %d packets", name(m.Call, ev.Party), stream(m.Call, ev.Party, ev.Media, false), clock(ev.Since), ev.Packets)
	case events.Ended:
		s.Label = cmp.Or(s.command(), "ended")
		s.Path = append(s.asker(before), here)
		s.say("ended: %s; received RTP %d packets, RTCP %d", reasonText(ev.Reason), ev.RTP.Packets, ev.RTCP.Packets)
		switch {
		case ev.ZeroWay > 0:
			s.say("in %s nobody was heard", count(ev.ZeroWay, "section"))
		case ev.OneWay > 0:
			s.say("in %s only one side was heard", count(ev.OneWay, "section"))
		}
	default:
		b.l.Unreadable++
		s.Label = Printable(s.Kind)
		s.say("an event of a kind that this build does not know; it leaves it alone")
	}
	if a := s.Answered; a != nil {
		switch {
		case a.Result != "" && a.Result != "ok":
			s.say("answered %s %s", a.Result, a.Reason)
		case a.Warning != "":
			s.say("answered with the warning %s", a.Warning)
		}
	}
}

func (s *Step) say(format string, args ...any) {
	s.Says = append(s.Says, strings.TrimSpace(fmt.Sprintf(format, args...)))
}

func (s *Step) command() string {
	if s.Asked == nil {
		return ""
	}
	return s.Asked.Command
}

// asker is the line of the party on whose behalf a command came, as far as the command says.
func (s *Step) asker(c *projection.Call) []string {
	if s.Asked == nil {
		return nil
	}
	if p := c.ByTag(s.Asked.FromTag); p != nil {
		return []string{partyKey(p.ID)}
	}
	return nil
}

func (s *Step) signalled(here string, before *projection.Call, m *Moment, sig events.Signalling, label string) {
	s.Label = label
	s.Path = []string{partyKey(sig.From), here, partyKey(sig.To)}
	if sig.Owner != "" {
		owner := sig.Owner
		if addr, ok := events.ParseOwner(owner).Float(); ok {
			owner += " (the floating address " + addr + ", wherever it is)"
		}
		s.say("a new call, owner %s", owner)
	}
	n := len(s.Says)
	from, to := m.Call.Party(sig.From), m.Call.Party(sig.To)
	if sig.Pending { // the call goes on as it was, and this is what it may become
		from, to = sig.Party(sig.From), sig.Party(sig.To)
	}
	if from == nil || to == nil {
		return
	}
	wasFrom, wasTo := before.Party(sig.From), before.Party(sig.To)
	waits := false
	for i := range min(len(from.Medias), len(to.Medias)) {
		a, z := &from.Medias[i], &to.Medias[i]
		was, wasZ := mediaOf(wasFrom, i), mediaOf(wasTo, i)
		inForce := sig.Pending && was.Type != "" && was.Proposed == 0
		if is := ReceivedSection(a); is != ReceivedSection(was) {
			s.say("%s %s%s: %s", tagName(from), ifElse(inForce, "would have ", ""), a.Type, is)
			waits = waits || inForce
		}
		if is := sentSection(z); is != sentSection(wasZ) || z.Told && !wasZ.Told {
			s.say("%s is told %s: %s", ifElse(to.Tag == "", "the other side", tagName(to)), z.Type, is)
		}
		if is := ReceivedSection(z); label == "answer" && is != ReceivedSection(wasZ) {
			s.say("%s %s, as offered: %s", tagName(to), z.Type, is)
		}
	}
	if waits {
		s.say("what was in force goes on until the answer")
	}
	if len(s.Says) == n && sig.Owner == "" && !slices.ContainsFunc(s.Changes, func(c Change) bool { return !c.Minor }) {
		s.say("nothing changed")
	}
}

func mediaOf(p *events.Party, i int) *events.Media {
	if p == nil || i >= len(p.Medias) {
		return &events.Media{}
	}
	return &p.Medias[i]
}

// ReceivedSection is a section as its party's SDP describes it, in words.
func ReceivedSection(m *events.Media) string {
	switch {
	case m.Hidden:
		return "not in its SDPs"
	case m.Rejected:
		return "rejected"
	}
	out := []string{cmp.Or(m.Protocol, "-")}
	if m.Remote.RTP.IsValid() {
		out = append(out, "at "+m.Remote.RTP.String())
	}
	if m.Remote.RTP.Addr().IsUnspecified() && m.Remote.RTP.IsValid() {
		out = append(out, "on hold")
	}
	out = append(out, string(m.Direction))
	var names []string
	for _, c := range m.Codecs {
		names = append(names, cmp.Or(c.Name, fmt.Sprint(c.PT)))
	}
	if len(names) > 0 {
		out = append(out, Printable(strings.Join(names, " ")))
	}
	if k := m.Keys(); len(k.Received) > 0 {
		out = append(out, "keys for "+k.Received[0].Suite+ifElse(len(k.Received) > 1, fmt.Sprintf(" and %d more", len(k.Received)-1), ""))
	}
	return strings.Join(slices.DeleteFunc(out, func(w string) bool { return w == "" }), ", ")
}

// sentSection is a section as our SDP to a party describes it.
func sentSection(m *events.Media) string {
	switch {
	case m.Hidden:
		return "nothing"
	case m.Rejected && !m.Local.RTP.IsValid():
		return "rejected"
	}
	out := cmp.Or(m.Protocol, "-")
	if l := m.Local.RTP; l.IsValid() {
		out += ", to send to " + l.String()
		if m.Advertised.IsValid() && m.Advertised != l.Addr() {
			out += " as " + netip.AddrPortFrom(m.Advertised, l.Port()).String()
		}
		if m.Mux {
			out += ", RTCP too"
		}
	}
	return out
}

func (s *Step) blocked(c *projection.Call, ev events.MediaBlocked) {
	for _, b := range []struct {
		what string
		on   *bool
	}{{"media", ev.Media}, {"DTMF", ev.DTMF}} {
		if b.on != nil {
			s.say("%s of %s %s", b.what, whom(c, ev.Parties), ifElse(*b.on, "blocked", "let through"))
		}
	}
}

func (b *builder) tookOver(s *Step, m *Moment, ev events.TakenOver) {
	s.Label = "taken over"
	kind := func(owner string) string {
		if addr, ok := events.ParseOwner(owner).Float(); ok {
			return "the floating address " + addr
		}
		return owner
	}
	b.node(ev.From)
	s.Path = []string{nodeKey(ev.From)}
	if m.Node != ev.From {
		s.Path = append(s.Path, nodeKey(m.Node))
	}
	if _, float := events.ParseOwner(ev.Owner).Float(); !float && ev.Owner != m.Node {
		b.node(ev.Owner)
		s.Path = append(s.Path, nodeKey(ev.Owner))
	}
	if ev.Epoch != m.Call.Epoch || ev.Owner != m.Call.Owner {
		s.say("%s claimed the call for %s and came too late: nothing changed", m.Node, kind(ev.Owner))
		return
	}
	s.say("from %s to %s: %s (owner number %d)", kind(ev.From), kind(ev.Owner), cmp.Or(Printable(ev.Why), "no reason given"), ev.Epoch)
	for i := range ev.Parties {
		p := &ev.Parties[i]
		for j := range p.Medias {
			if l := p.Medias[j].Local.RTP; l.IsValid() {
				s.say("%s %s has to learn of %s by its next SDP", tagName(p), p.Medias[j].Type, l)
			}
		}
	}
}

func name(c *projection.Call, id int) string {
	if p := c.Party(id); p != nil {
		return tagName(p)
	}
	return partyKey(id)
}

// stream names a stream of a party.
func stream(c *projection.Call, party, media int, rtcp bool) string {
	kind := fmt.Sprintf("media %d", media+1)
	if p := c.Party(party); p != nil && media >= 0 && media < len(p.Medias) {
		kind = Printable(p.Medias[media].Type)
	}
	return kind + ifElse(rtcp, " RTCP", " RTP")
}

func whom(c *projection.Call, ids []int) string {
	if len(ids) == 0 {
		return "the whole call"
	}
	var out []string
	for _, id := range ids {
		out = append(out, name(c, id))
	}
	return strings.Join(out, ", ")
}

// reasonText says why a call ended.
func reasonText(r events.Reason) string {
	switch r {
	case events.ReasonDeleted:
		return "deleted"
	case events.ReasonTimeout:
		return "no media for --timeout"
	case events.ReasonSilentTimeout:
		return "on hold, and no media for --silent-timeout"
	case events.ReasonOfferTimeout:
		return "never answered: --offer-timeout"
	case events.ReasonFinalTimeout:
		return "as old as --final-timeout allows"
	case events.ReasonOrphaned:
		return "its owner was gone, and nobody asked for it"
	case events.ReasonAdopted:
		return "its region was taken for lost, and another one has it now"
	}
	return Printable(string(r))
}

// ReasonText says in words why a call ended.
func ReasonText(r events.Reason) string { return reasonText(r) }

func ifElse(on bool, yes, no string) string {
	if on {
		return yes
	}
	return no
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
