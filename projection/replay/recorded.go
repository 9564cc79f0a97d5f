package replay

import (
	"errors"
	"net/netip"
	"slices"

	"rtpjet/events"
	"rtpjet/ngserver/ng"
	"rtpjet/ngserver/sdp"
	"rtpjet/projection"
	"rtpjet/relay/plan"
)

// recorded are the resources that one decision got, read off the event that it led to: the log has no list of them.
type recorded struct {
	interfaces *plan.Interfaces
	sockets    [][]netip.AddrPort // pairs, or single ones, in the order in which they were asked for
	keys       []events.Secret
	// invented counts what was asked for and had not been given then.
	invented int
}

// partiesOf are the parties that an event carries, the sender of an SDP and then its receiver first.
func partiesOf(ev events.Event) []events.Party {
	var list []events.Party
	first := func(s events.Signalling) {
		for _, id := range []int{s.From, s.To} {
			for _, p := range s.Parties {
				if p.ID == id {
					list = append(list, p)
				}
			}
		}
		for _, p := range s.Parties {
			if p.ID != s.From && p.ID != s.To {
				list = append(list, p)
			}
		}
	}
	switch e := ev.(type) {
	case events.Offered:
		first(e.Signalling)
	case events.Answered:
		first(e.Signalling)
	case events.TakenOver:
		list = slices.Clone(e.Parties)
		for i := range e.Proposals {
			list = append(list, sides(&e.Proposals[i])...)
		}
	}
	return list
}

// sides are the two parties of an offer, with the sections that it gives them.
func sides(p *events.Proposal) []events.Party {
	return []events.Party{{ID: p.From, Medias: p.FromMedias}, {ID: p.To, Medias: p.ToMedias}}
}

// record reads off an event what its decision got. req is nil for a takeover.
func record(before *projection.Call, ev events.Event, req *ng.Request) *recorded {
	r := &recorded{}
	parties := partiesOf(ev)
	had := before.Locals()
	fresh := func(m *events.Media) bool {
		return m.Local.RTP.IsValid() && !slices.Contains(had, m.Local.RTP)
	}
	r.gather(parties, fresh, req == nil)
	r.keys = freshKeys(before, parties)
	r.interfaces = interfacesThen(before, parties, fresh, req)
	return r
}

// gather lists the sockets that are new, in the order in which decisions ask for them: section by section, the sender's side
// first, or for a takeover party by party.
func (r *recorded) gather(parties []events.Party, fresh func(*events.Media) bool, byParty bool) {
	add := func(m *events.Media) {
		if !fresh(m) {
			return
		}
		if slices.ContainsFunc(r.sockets, func(s []netip.AddrPort) bool { return s[0] == m.Local.RTP }) {
			return // an offer's section may have the party's
		}
		pair := []netip.AddrPort{m.Local.RTP}
		if m.Local.RTCP.IsValid() {
			pair = append(pair, m.Local.RTCP)
		}
		r.sockets = append(r.sockets, pair)
	}
	if byParty {
		for i := range parties {
			for j := range parties[i].Medias {
				add(&parties[i].Medias[j])
			}
		}
		return
	}
	for j, more := 0, true; more; j++ {
		more = false
		for i := range parties {
			if j < len(parties[i].Medias) {
				more = true
				add(&parties[i].Medias[j])
			}
		}
	}
}

// freshKeys lists the keys that were made for the event: those that nobody had before and nobody sent. Keys of one length are
// asked for in the order of the suites of an offer.
func freshKeys(before *projection.Call, parties []events.Party) []events.Secret {
	old := map[events.Secret]bool{"": true}
	know := func(p *events.Party) {
		p.MapKeys(func(k events.Secret) events.Secret { old[k] = true; return k })
	}
	for _, p := range before.Parties {
		if p != nil {
			know(p)
		}
	}
	for i := range before.Proposals {
		for _, p := range sides(&before.Proposals[i]) {
			know(&p)
		}
	}
	for i := range parties {
		for j := range parties[i].Medias {
			for _, c := range parties[i].Medias[j].Keys().Received {
				old[c.Key] = true
			}
		}
	}
	var out []events.Secret
	for j, more := 0, true; more; j++ {
		more = false
		for i := range parties {
			if j >= len(parties[i].Medias) {
				continue
			}
			more = true
			lines := slices.Clone(parties[i].Medias[j].Keys().Sent)
			slices.SortStableFunc(lines, func(a, b events.Crypto) int { return projection.SuiteRank(a.Suite) - projection.SuiteRank(b.Suite) })
			for _, c := range lines {
				if !old[c.Key] {
					old[c.Key] = true
					out = append(out, c.Key)
				}
			}
		}
	}
	return out
}

// interfacesThen makes a table of interfaces in which every name leads to the address that it led to then.
func interfacesThen(before *projection.Call, parties []events.Party, fresh func(*events.Media) bool, req *ng.Request) *plan.Interfaces {
	var list []plan.Interface
	alias := map[string]string{}
	add := func(m *events.Media) {
		a := plan.Interface{Name: m.Interface, Addr: m.Local.RTP.Addr(), Advertised: m.Advertised, Ports: noPorts}
		if a.Name == "" || !a.Addr.IsValid() || a.Addr.IsUnspecified() || a.Addr.IsMulticast() || slices.ContainsFunc(list, func(b plan.Interface) bool {
			return a.Name == b.Name && a.Addr == b.Addr
		}) {
			return
		}
		list = append(list, a)
	}
	each := func(p *events.Party, want func(*events.Media) bool) {
		for i := range p.Medias {
			if want(&p.Medias[i]) {
				add(&p.Medias[i])
			}
		}
	}
	order := slices.Clone(parties)
	if req != nil && len(order) > 1 && !byDefault(req.Direction[0], &order[0]) && byDefault(req.Direction[1], &order[1]) {
		order[0], order[1] = order[1], order[0] // it is the receiver whose interface is the default
	}
	for i := range order {
		each(&order[i], fresh)
	}
	for i := range order {
		each(&order[i], func(*events.Media) bool { return true })
	}
	for _, p := range before.Parties {
		if p != nil {
			each(p, func(*events.Media) bool { return true })
		}
	}
	if len(list) == 0 {
		return nil
	}
	list = own(list, parties)
	known := func(name string) bool {
		return slices.ContainsFunc(list, func(a plan.Interface) bool { return a.Name == name })
	}
	name := func(asked string, m *events.Media) {
		if asked != "" && !known(asked) && m.Local.RTP.IsValid() && m.Interface != "" && alias[asked] == "" {
			alias[asked] = m.Interface
		}
	}
	for i := range parties {
		for j := range parties[i].Medias {
			m := &parties[i].Medias[j]
			switch {
			case req == nil: // the new owner may call its interfaces otherwise
				if p := before.Party(parties[i].ID); p != nil && j < len(p.Medias) {
					name(p.Medias[j].Interface, m)
				}
			case i < 2 && !byDefault(req.Direction[i], &parties[i]):
				name(req.Direction[i], m)
			}
		}
	}
	t, err := plan.NewInterfaces(list, alias)
	if err != nil { // a name that is a group here: it stands for its members without our help
		t, _ = plan.NewInterfaces(list, nil)
	}
	return t
}

// noPorts is a range that no party has a port of: which ones the node had, the log does not say.
var noPorts = plan.PortRange{Min: 1, Max: 2}

// own makes the addresses of parties that were found to be the node's own ones of the table.
func own(list []plan.Interface, parties []events.Party) []plan.Interface {
	for _, p := range parties {
		for i := range p.Medias {
			at := p.Medias[i].Remote.RTP
			if !p.Medias[i].LoopCheck || at.Port() < 2 {
				continue
			}
			ports := plan.PortRange{Min: at.Port() - 1, Max: at.Port()}
			k := slices.IndexFunc(list, func(a plan.Interface) bool { return a.Addr == at.Addr() || a.Advertised == at.Addr() })
			switch {
			case k < 0:
				list = append(list, plan.Interface{Name: "its own address", Addr: at.Addr(), Ports: ports})
			case list[k].Ports == noPorts:
				list[k].Ports = ports
			default:
				list[k].Ports = plan.PortRange{Min: min(list[k].Ports.Min, ports.Min), Max: max(list[k].Ports.Max, ports.Max)}
			}
		}
	}
	return list
}

// byDefault tells whether a party got the default interface: no name asks for it, and so do two old names for its families
// (see transact), where nothing has these names.
func byDefault(asked string, p *events.Party) bool {
	family := map[string]string{"internal": "IP4", "external": "IP6"}[asked]
	return asked == "" || family != "" && !slices.ContainsFunc(p.Medias, func(m events.Media) bool {
		return m.Local.RTP.IsValid() && (m.Interface == asked || plan.Family(m.Local.RTP.Addr()) != family)
	})
}

// errNone is what a decision hears that asks for more than there can be.
var errNone = errors.New("no port left")

// reserve gives the next sockets on an address that were given then.
func (r *recorded) reserve(bind netip.Addr, n int) ([]netip.AddrPort, error) {
	i := slices.IndexFunc(r.sockets, func(s []netip.AddrPort) bool { return s[0].Addr() == bind && len(s) == n })
	if i < 0 {
		i = slices.IndexFunc(r.sockets, func(s []netip.AddrPort) bool { return s[0].Addr() == bind })
	}
	if i < 0 {
		r.invented++
		if r.invented > 500 {
			return nil, errNone
		}
		return pair(netip.AddrPortFrom(bind, uint16(64000+2*r.invented)), n), nil
	}
	got := pair(r.sockets[i][0], n)
	r.sockets = slices.Delete(r.sockets, i, i+1)
	return got, nil
}

func pair(first netip.AddrPort, n int) []netip.AddrPort {
	out := make([]netip.AddrPort, n)
	for i := range out {
		out[i] = netip.AddrPortFrom(first.Addr(), first.Port()+uint16(i))
	}
	return out
}

// random gives the next key of a length that was made then.
func (r *recorded) random(n int) []byte {
	i := slices.IndexFunc(r.keys, func(k events.Secret) bool { return len(k) == n })
	if i < 0 {
		r.invented++
		out := make([]byte, n)
		for j := range out {
			out[j] = byte(r.invented)
		}
		return out
	}
	k := r.keys[i]
	r.keys = slices.Delete(r.keys, i, i+1)
	return []byte(k)
}

// instanceOf is the id by which the node knew its own SDPs, if the reply has it.
func instanceOf(reply []byte) string {
	s, err := sdp.Parse(replySDP(reply))
	if err != nil {
		return ""
	}
	id, _ := s.LoopProtect()
	return id
}

// counted reads the counters of sockets off a reply that has them, as those of a delete do.
func counted(reply []byte) func(netip.AddrPort) (plan.Stats, bool) {
	found := map[netip.AddrPort]plan.Stats{}
	d, _, err := ng.DecodeDict(reply)
	if err == nil {
		for _, party := range dicts(d, "tags") {
			for _, media := range items(party, "medias") {
				streams := items(media, "streams")
				for i, s := range streams {
					st, local, ok := statsOf(s)
					if ok && i == 0 {
						ssrcOf(media, "ingress SSRCs", &st.IngressSSRC)
						ssrcOf(media, "egress SSRCs", &st.EgressSSRC)
					}
					if ok {
						found[local] = st
					}
				}
			}
		}
	}
	return func(a netip.AddrPort) (plan.Stats, bool) {
		st, ok := found[netip.AddrPortFrom(a.Addr().Unmap(), a.Port())]
		return st, ok
	}
}

// statsOf is false for a socket whose counters were not known.
func statsOf(s *ng.Dict) (st plan.Stats, local netip.AddrPort, ok bool) {
	addr := ng.ParseAddr(word(s, "local address"))
	if !addr.IsValid() || dict(s, "stats") == nil {
		return st, local, false
	}
	local = netip.AddrPortFrom(addr.Unmap(), uint16(number(s, "local port")))
	st.LastPacket = number(s, "last packet") * 1e6
	if e := dict(s, "endpoint"); e != nil {
		if a := ng.ParseAddr(word(e, "address")); a.IsValid() {
			st.Remote = netip.AddrPortFrom(a, uint16(number(e, "port")))
		}
	}
	if v, has := s.Get("SSRC"); has {
		n, _ := ng.Int(v)
		st.IngressSSRC = plan.SSRC{SSRC: uint32(n), Seen: true}
	}
	v, _ := s.Get("flags")
	st.Confirmed = slices.Contains(ng.Strings(v), "confirmed")
	st.In, st.Out = countersOf(dict(s, "stats")), countersOf(dict(s, "stats_out"))
	if r := dict(s, "reception"); r != nil {
		st.Received = plan.Reception{
			Counted: true, Lost: uint64(number(r, "packets_lost")), Duplicates: uint64(number(r, "rtp_duplicates")), Gaps: uint64(number(r, "rtp_skips")),
			Resets: uint64(number(r, "rtp_seq_resets")), Reordered: uint64(number(r, "rtp_reordered")),
		}
	}
	return st, local, true
}

func ssrcOf(media *ng.Dict, key string, to *plan.SSRC) {
	for _, s := range items(media, key) {
		*to = plan.SSRC{
			SSRC: uint32(number(s, "SSRC")), Seen: true, Packets: uint64(number(s, "packets")), Bytes: uint64(number(s, "bytes")),
			LastTimestamp: uint32(number(s, "last RTP timestamp")), LastSeq: uint16(number(s, "last RTP seq")),
			Jitter: number(s, "jitter us"),
		}
		_, to.JitterKnown = s.Get("jitter us")
		if _, counted := s.Get("cumulative loss"); counted {
			to.Received = plan.Reception{Counted: true, Lost: uint64(number(s, "cumulative loss"))}
		}
	}
}

func countersOf(d *ng.Dict) plan.Counters {
	if d == nil {
		return plan.Counters{}
	}
	return plan.Counters{Packets: uint64(number(d, "packets")), Bytes: uint64(number(d, "bytes")), Errors: uint64(number(d, "errors"))}
}

func word(d *ng.Dict, key string) string {
	v, _ := d.Get(key)
	s, _ := ng.Text(v)
	return s
}

func number(d *ng.Dict, key string) int64 {
	v, _ := d.Get(key)
	n, _ := ng.Int(v)
	return n
}

func dict(d *ng.Dict, key string) *ng.Dict {
	v, _ := d.Get(key)
	sub, _ := v.(*ng.Dict)
	return sub
}

// dicts are the dictionaries in a dictionary, items those in a list.
func dicts(d *ng.Dict, key string) []*ng.Dict {
	sub := dict(d, key)
	if sub == nil {
		return nil
	}
	return only(sub.Values)
}

func items(d *ng.Dict, key string) []*ng.Dict {
	v, _ := d.Get(key)
	list, _ := v.(ng.List)
	return only(list)
}

func only(list []any) []*ng.Dict {
	var out []*ng.Dict
	for _, v := range list {
		if d, ok := v.(*ng.Dict); ok {
			out = append(out, d)
		}
	}
	return out
}
