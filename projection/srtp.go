package projection

import (
	"slices"

	"rtpjet/events"
	"rtpjet/relay/plan"
)

// keyed tells which directions of a section the relay has to decrypt and encrypt, by party. Where both sides of a direction
// have the same key, packets pass as they are, unless the client wants otherwise, or another listener or source of the same
// party has another key.
type keyed struct{ decrypt, encrypt map[int]bool }

// keys looks at the section i of all parties. It is nil if nobody has keys there.
func (c *Call) keys(i int) *keyed {
	type edge struct{ from, to int }
	var edges []edge
	any := slices.ContainsFunc(c.Parties, func(p *events.Party) bool { return p != nil && i < len(p.Medias) && p.Medias[i].SRTP != nil })
	if !any {
		return nil
	}
	k := keyed{decrypt: map[int]bool{}, encrypt: map[int]bool{}}
	for _, p := range c.Parties {
		if p == nil || i >= len(p.Medias) {
			continue
		}
		m := &p.Medias[i]
		for _, id := range c.Listeners(p.ID) {
			q := c.Party(id)
			if i >= len(q.Medias) {
				continue
			}
			o := &q.Medias[i]
			if !m.Remote.RTP.IsValid() || !o.Remote.RTP.IsValid() {
				continue // a fork that has not answered has no keys yet, and says nothing about those of others
			}
			edges = append(edges, edge{p.ID, id})
			if m.Recrypt || o.Recrypt || alters(m, o) || !m.Keys().In.SameKey(o.Keys().Out) {
				k.decrypt[p.ID], k.encrypt[id] = true, true
			}
		}
	}
	for changed := true; changed; { // what is decrypted for one listener is plain for all, and must be encrypted for each
		changed = slices.ContainsFunc(edges, func(e edge) bool {
			if k.decrypt[e.from] == k.encrypt[e.to] {
				return false
			}
			k.decrypt[e.from], k.encrypt[e.to] = true, true
			return true
		})
	}
	return &k
}

// alters tells whether packets are not the same on their way from m to o, so that they have to be authenticated anew.
func alters(m, o *events.Media) bool {
	return len(withheldIDs(m)) > 0 || hasFeedback(m.Protocol) && !hasFeedback(o.Protocol)
}

// in is how packets of a party are protected, nil if the relay has not to know. usable is false if it has to and does not: the
// key may be sealed with a cluster key that is not at hand. Then nothing may pass, least of all in the clear.
func (k *keyed) in(party int, m *events.Media) (p *plan.SRTP, usable bool) {
	if k == nil || !k.decrypt[party] {
		return nil, true
	}
	return protectionOf(m.Keys().In)
}

// out is in for packets to a party.
func (k *keyed) out(party int, m *events.Media) (p *plan.SRTP, usable bool) {
	if k == nil || !k.encrypt[party] {
		return nil, true
	}
	return protectionOf(m.Keys().Out)
}

func protectionOf(c events.Crypto) (p *plan.SRTP, usable bool) {
	p = srtp(c)
	return p, p != nil || c == (events.Crypto{})
}
