package events

import (
	"encoding/json"
	"net/netip"
	"strconv"
	"unicode/utf8"
)

// The writer below gives what encoding/json would give for the same values, field for field (TestAppendMatchesJSON). Each
// offer and answer passes through here before its reply can leave, and reflection costs ten times as much.

// writer appends JSON. comma is true if a value stands before the next one.
type writer struct {
	b     []byte
	comma bool
	bad   bool // a string was not UTF-8
}

func (w *writer) open(c byte) {
	w.b = append(w.b, c)
	w.comma = false
}

func (w *writer) close(c byte) {
	w.b = append(w.b, c)
	w.comma = true
}

func (w *writer) element() {
	if w.comma {
		w.b = append(w.b, ',')
	}
	w.comma = true
}

func (w *writer) key(k string) {
	w.element()
	w.b = append(w.b, '"')
	w.b = append(w.b, k...)
	w.b = append(w.b, '"', ':')
}

const hexDigits = "0123456789abcdef"

func (w *writer) string(s string) {
	w.b = append(w.b, '"')
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' && c < utf8.RuneSelf {
			i++
			continue
		}
		if c >= utf8.RuneSelf {
			r, n := utf8.DecodeRuneInString(s[i:])
			if r == utf8.RuneError && n == 1 {
				w.bad = true
			}
			if r == '\u2028' || r == '\u2029' { // JavaScript takes these for line ends
				w.b = append(w.b, s[start:i]...)
				w.b = append(w.b, `\u202`...)
				w.b = append(w.b, hexDigits[r&0xf])
				start = i + n
			}
			i += n
			continue
		}
		w.b = append(w.b, s[start:i]...)
		switch c {
		case '"', '\\':
			w.b = append(w.b, '\\', c)
		case '\b':
			w.b = append(w.b, '\\', 'b')
		case '\f':
			w.b = append(w.b, '\\', 'f')
		case '\n':
			w.b = append(w.b, '\\', 'n')
		case '\r':
			w.b = append(w.b, '\\', 'r')
		case '\t':
			w.b = append(w.b, '\\', 't')
		default:
			w.b = append(w.b, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&0xf])
		}
		i++
		start = i
	}
	w.b = append(w.b, s[start:]...)
	w.b = append(w.b, '"')
}

func (w *writer) str(k, s string) { w.key(k); w.string(s) }

func (w *writer) optStr(k, s string) {
	if s != "" {
		w.str(k, s)
	}
}

func (w *writer) optStrs(k string, list []string) {
	if len(list) == 0 {
		return
	}
	w.key(k)
	w.open('[')
	for _, s := range list {
		w.element()
		w.string(s)
	}
	w.close(']')
}

func (w *writer) int(k string, n int64) {
	w.key(k)
	w.b = strconv.AppendInt(w.b, n, 10)
}

func (w *writer) optInt(k string, n int64) {
	if n != 0 {
		w.int(k, n)
	}
}

func (w *writer) uint(k string, n uint64) {
	w.key(k)
	w.b = strconv.AppendUint(w.b, n, 10)
}

func (w *writer) optUint(k string, n uint64) {
	if n != 0 {
		w.uint(k, n)
	}
}

func (w *writer) bool(k string, v bool) {
	w.key(k)
	w.b = strconv.AppendBool(w.b, v)
}

func (w *writer) flag(k string, v bool) {
	if v {
		w.bool(k, true)
	}
}

func (w *writer) optBool(k string, v *bool) {
	if v != nil {
		w.bool(k, *v)
	}
}

func (w *writer) addr(k string, a netip.Addr) {
	if a.IsValid() {
		w.key(k)
		w.b = append(w.b, '"')
		w.b = a.AppendTo(w.b)
		w.b = append(w.b, '"')
	}
}

// zoned tells whether the address has a zone, whose text would have to be escaped.
func zoned(a netip.Addr) bool { return a.Zone() != "" }

func (w *writer) addrPort(k string, a netip.AddrPort) {
	w.key(k)
	if zoned(a.Addr()) {
		w.string(a.String())
		return
	}
	w.b = append(w.b, '"')
	if a != (netip.AddrPort{}) {
		w.b = a.AppendTo(w.b)
	}
	w.b = append(w.b, '"')
}

func (w *writer) optAddrPort(k string, a netip.AddrPort) {
	if a != (netip.AddrPort{}) {
		w.addrPort(k, a)
	}
}

func (w *writer) ints(k string, list []int) {
	if len(list) == 0 {
		return
	}
	w.key(k)
	w.open('[')
	for _, n := range list {
		w.element()
		w.b = strconv.AppendInt(w.b, int64(n), 10)
	}
	w.close(']')
}

// event appends the body of an event.
func (w *writer) event(e Event) error {
	switch e := e.(type) {
	case Offered:
		w.signalling(&e.Signalling)
	case Answered:
		w.signalling(&e.Signalling)
	case EndpointLearned:
		w.open('{')
		w.int("party", int64(e.Party))
		w.int("media", int64(e.Media))
		w.flag("rtcp", e.RTCP)
		w.addrPort("remote", e.Remote)
		w.uint("signal", e.Signal)
		w.flag("confirmed", e.Confirmed)
		w.close('}')
	case TakenOver:
		w.open('{')
		w.str("owner", e.Owner)
		w.str("from", e.From)
		w.uint("epoch", e.Epoch)
		w.optStr("why", e.Why)
		w.parties(e.Parties)
		w.proposals(e.Proposals)
		w.close('}')
	case LegSilent:
		w.open('{')
		w.int("party", int64(e.Party))
		w.int("media", int64(e.Media))
		w.optStr("tag", e.Tag)
		w.int("since", e.Since)
		w.optUint("packets", e.Packets)
		w.close('}')
	case Ended:
		w.open('{')
		w.str("reason", string(e.Reason))
		w.optInt("created", e.Created)
		w.optInt("until", e.Until)
		w.counters("rtp", e.RTP)
		w.counters("rtcp", e.RTCP)
		w.optInt("zero_way", int64(e.ZeroWay))
		w.optInt("one_way", int64(e.OneWay))
		w.optUint("lost", e.Lost)
		w.close('}')
	case Unknown:
		body, err := compact(e.Body)
		w.b = append(w.b, body...)
		w.comma = true
		return err
	default: // rare ones
		body, err := json.Marshal(e)
		w.b = append(w.b, body...)
		w.comma = true
		return err
	}
	return nil
}

func (w *writer) counters(k string, c Counters) {
	if c == (Counters{}) {
		return
	}
	w.key(k)
	w.open('{')
	w.uint("packets", c.Packets)
	w.uint("bytes", c.Bytes)
	w.uint("errors", c.Errors)
	w.close('}')
}

func (w *writer) signalling(s *Signalling) {
	w.open('{')
	w.flag("pending", s.Pending)
	w.optInt("answers", int64(s.Answers))
	w.optStr("branch", s.Branch)
	w.optStr("owner", s.Owner)
	w.parties(s.Parties)
	w.int("from", int64(s.From))
	w.int("to", int64(s.To))
	w.optUint("request", s.Request)
	w.flag("final", s.Final)
	if s.TOS != nil {
		w.int("tos", int64(*s.TOS))
	}
	w.optBool("drop_traffic", s.DropTraffic)
	w.optStr("metadata", s.Metadata)
	w.close('}')
}

func (w *writer) parties(list []Party) {
	w.key("parties")
	if list == nil {
		w.b = append(w.b, "null"...)
		w.comma = true
		return
	}
	w.open('[')
	for i := range list {
		w.element()
		w.party(&list[i])
	}
	w.close(']')
}

func (w *writer) proposals(list []Proposal) {
	if len(list) == 0 {
		return
	}
	w.key("proposals")
	w.open('[')
	for i := range list {
		p := &list[i]
		w.element()
		w.open('{')
		w.int("number", int64(p.Number))
		w.int("at", p.At)
		w.optStr("branch", p.Branch)
		w.int("from", int64(p.From))
		w.int("to", int64(p.To))
		w.medias("from_medias", p.FromMedias)
		w.medias("to_medias", p.ToMedias)
		w.flag("pending", p.Pending)
		w.flag("answered", p.Answered)
		w.flag("first", p.First)
		w.optStr("said", p.Said)
		w.flag("outdated", p.Outdated)
		w.close('}')
	}
	w.close(']')
}

func (w *writer) party(p *Party) {
	w.open('{')
	w.int("id", int64(p.ID))
	w.optStr("tag", p.Tag)
	w.optStrs("aliases", p.Aliases)
	w.optStrs("branches", p.Branches)
	w.optStr("label", p.Label)
	w.optStr("metadata", p.Metadata)
	w.int("created", p.Created)
	w.ints("peers", p.Peers)
	w.medias("medias", p.Medias)
	if p.Out != (Out{}) {
		w.key("out")
		w.open('{')
		w.flag("sent", p.Out.Sent)
		w.optStr("username", p.Out.Username)
		w.optStr("sess_id", p.Out.SessID)
		w.optStr("version", p.Out.Version)
		w.optStr("address", p.Out.Address)
		w.optUint("digest", p.Out.Digest)
		w.close('}')
	}
	if p.In != (In{}) {
		w.key("in")
		w.open('{')
		w.optStr("session_name", p.In.SessionName)
		w.flag("no_allow_mixed", p.In.NoAllowMixed)
		w.close('}')
	}
	w.optStr("key", p.Key)
	w.addr("seen", p.Seen)
	w.close('}')
}

func (w *writer) medias(k string, list []Media) {
	if len(list) == 0 {
		return
	}
	w.key(k)
	w.open('[')
	for i := range list {
		w.element()
		w.media(&list[i])
	}
	w.close(']')
}

func (w *writer) media(m *Media) {
	w.open('{')
	w.str("type", m.Type)
	w.str("protocol", m.Protocol)
	w.optStrs("formats", m.Formats)
	w.optStr("mid", m.Mid)
	w.flag("rejected", m.Rejected)
	w.flag("hidden", m.Hidden)
	w.optUint("place", uint64(m.Place))
	w.optUint("proposed", uint64(m.Proposed))
	w.optStr("interface", m.Interface)
	w.addr("advertised", m.Advertised)
	w.ports("local", m.Local, true)
	w.optAddrPort("serves", m.Serves)
	if len(m.Earlier) > 0 {
		w.key("earlier")
		w.open('[')
		for i := range m.Earlier {
			w.element()
			w.earlier(&m.Earlier[i])
		}
		w.close(']')
	}
	w.flag("told", m.Told)
	w.ports("remote", m.Remote, true)
	w.ports("learned", m.Learned, true)
	if m.Confirmed != ([2]bool{}) {
		w.key("confirmed")
		w.open('[')
		for _, c := range m.Confirmed {
			w.element()
			w.b = strconv.AppendBool(w.b, c)
		}
		w.close(']')
	}
	w.optStr("direction", string(m.Direction))
	w.codecs("codecs", m.Codecs)
	w.codecs("offered", m.Offered)
	w.codecs("stripped", m.Stripped)
	w.flag("mux", m.Mux)
	w.flag("mux_offered", m.MuxOffered)
	w.flag("mux_sent", m.MuxSent)
	w.flag("mux_accept", m.MuxAccept)
	w.flag("mux_reject", m.MuxReject)
	w.flag("asymmetric", m.Asymmetric)
	w.flag("unidirectional", m.Unidirectional)
	w.flag("strict_source", m.StrictSource)
	w.flag("media_handover", m.MediaHandover)
	w.flag("port_latching", m.PortLatching)
	w.flag("nat_wait", m.NATWait)
	w.flag("pierce_nat", m.PierceNAT)
	w.optStr("learning", m.Learning)
	w.optStr("echo", m.Echo)
	w.flag("blocked", m.Blocked)
	w.flag("blocked_dtmf", m.BlockedDTMF)
	w.optUint("signal", m.Signal)
	w.optInt("signal_at", m.SignalAt)
	w.flag("extmaps", m.Extmaps)
	w.flag("no_allow_mixed", m.NoAllowMixed)
	w.flag("loop_check", m.LoopCheck)
	w.flag("ice", m.ICE)
	w.flag("controlling", m.Controlling)
	w.flag("recrypt", m.Recrypt)
	w.flag("end_to_end", m.EndToEnd)
	w.optUint("twin", uint64(m.Twin))
	if m.Withheld != nil {
		w.key("withheld")
		w.extmaps(*m.Withheld)
	}
	if m.SRTP != nil {
		w.key("srtp")
		w.srtp(m.SRTP)
	}
	if m.Former != nil {
		w.ports("former", *m.Former, false)
	}
	w.close('}')
}

func (w *writer) earlier(e *Earlier) {
	w.open('{')
	w.optStr("interface", e.Interface)
	w.addr("advertised", e.Advertised)
	w.ports("local", e.Local, false)
	w.addrPort("remote", e.Remote)
	w.close('}')
}

func (w *writer) ports(k string, p Ports, optional bool) {
	if optional && p == (Ports{}) {
		return
	}
	w.key(k)
	w.open('{')
	w.optAddrPort("rtp", p.RTP)
	w.optAddrPort("rtcp", p.RTCP)
	w.close('}')
}

func (w *writer) extmaps(list []Extmap) {
	w.open('[')
	for i := range list {
		e := &list[i]
		w.element()
		w.open('{')
		w.int("id", int64(e.ID))
		w.str("uri", e.URI)
		w.optStr("direction", e.Direction)
		w.flag("masked", e.Masked)
		w.close('}')
	}
	w.close(']')
}

func (w *writer) codecs(k string, list []Codec) {
	if len(list) == 0 {
		return
	}
	w.key(k)
	w.open('[')
	for i := range list {
		c := &list[i]
		w.element()
		w.open('{')
		w.int("pt", int64(c.PT))
		w.optStr("name", c.Name)
		w.optInt("rate", int64(c.Rate))
		w.optInt("channels", int64(c.Channels))
		w.optStr("fmtp", c.Fmtp)
		w.close('}')
	}
	w.close(']')
}
