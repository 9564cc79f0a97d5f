package projection

import (
	"slices"
	"strings"

	"rtpjet/events"
)

// extmaps decides which header extensions of the sender's section the receiver is not told of: those that the client wants
// stripped or masked. A masked one stays negotiated with the sender, in our answer to it and in later offers, and the relay
// deletes it from what it forwards.
func (d *mediaDecision) extmaps(sec *Section, m, o *events.Media) {
	m.Extmaps, m.NoAllowMixed = len(sec.Extmaps) > 0, sec.NoAllowMixed
	before := m.Withholds()
	m.Withheld = nil
	if len(sec.Extmaps) == 0 || sec.Rejected {
		return
	}
	var kept []events.Extmap
	for _, e := range sec.Extmaps {
		maskable := !m.EndToEnd && e.ID <= 255 // the other numbers are to be chosen by who answers (RFC 8285 §7)
		switch {
		case nameListed(d.Req.ExtmapStrip, e.URI):
		case nameListed(d.Req.ExtmapMask, e.URI):
			e.Masked = maskable
		case d.Answer && slices.ContainsFunc(before, func(b events.Extmap) bool { return b.Masked && sameExtmap(b, e) }):
			e.Masked = maskable // it is the relay that offered it
		case d.Answer && slices.ContainsFunc(o.Withholds(), func(w events.Extmap) bool { return strings.EqualFold(w.URI, e.URI) }):
			// It answers what it was not offered.
		default:
			continue
		}
		e.URI, e.Direction = strings.Clone(e.URI), strings.Clone(e.Direction)
		kept = append(kept, e)
	}
	m.Withhold(kept)
	if !d.Answer {
		d.keepMasked(sec, kept, o)
	}
}

// keepMasked drops what the receiver has masked where the sender's offer now uses the number or the name.
func (d *mediaDecision) keepMasked(sec *Section, kept []events.Extmap, o *events.Media) {
	o.Withhold(slices.DeleteFunc(slices.Clone(o.Withholds()), func(w events.Extmap) bool {
		return !w.Masked || slices.ContainsFunc(sec.Extmaps, func(e events.Extmap) bool {
			passes := !slices.ContainsFunc(kept, func(k events.Extmap) bool { return sameExtmap(k, e) })
			return passes && (e.ID == w.ID || strings.EqualFold(e.URI, w.URI))
		})
	}))
}

func sameExtmap(a, b events.Extmap) bool { return a.ID == b.ID && strings.EqualFold(a.URI, b.URI) }

// nameListed tells whether a list of extmap names means one.
func nameListed(list []string, uri string) bool {
	return slices.ContainsFunc(list, func(s string) bool { return s == "all" || strings.EqualFold(s, uri) })
}
