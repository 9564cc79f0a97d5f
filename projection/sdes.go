package projection

import (
	"slices"
	"strings"

	"rtpjet/events"
	"rtpjet/ngserver/ng"
)

// secured tells whether a profile is an SRTP one.
func secured(protocol string) bool { return strings.Contains(strings.ToUpper(protocol), "SAVP") }

// overTLS tells whether a profile has its keys from DTLS.
func overTLS(protocol string) bool {
	return len(protocol) > 8 && strings.EqualFold(protocol[:8], "UDP/TLS/")
}

// endToEnd tells whether an offered section is secured by DTLS, which this relay does not do: the parties have to agree by
// themselves, and nothing of it changes on its way. If there are keys beside a fingerprint, the keys are what is used.
func endToEnd(sec *Section) bool {
	return sec.RTP && (overTLS(sec.Protocol) || sec.DTLS && len(sec.Crypto) == 0)
}

// sdesOptions are the values of SDES (docs/ng.md, "Transport protocols and keys").
type sdesOptions struct {
	off, nonew, static    bool
	no, only, order, pref []string
	session               []func(*events.Crypto) // what the options say about session parameters
}

func sdesOptionsOf(req *ng.Request) (o sdesOptions) {
	set := func(field func(*events.Crypto) *bool, v bool) {
		o.session = append(o.session, func(c *events.Crypto) { *field(c) = v })
	}
	srtp := func(c *events.Crypto) *bool { return &c.UnencryptedSRTP }
	srtcp := func(c *events.Crypto) *bool { return &c.UnencryptedSRTCP }
	unauth := func(c *events.Crypto) *bool { return &c.UnauthenticatedSRTP }
	for _, w := range req.SDES {
		switch w {
		case "off":
			o.off = true
		case "nonew":
			o.nonew = true
		case "static":
			o.static = true
		case "unencrypted_srtp", "encrypted_srtp":
			set(srtp, w[0] == 'u')
		case "unencrypted_srtcp", "encrypted_srtcp":
			set(srtcp, w[0] == 'u')
		case "unauthenticated_srtp", "authenticated_srtp":
			set(unauth, w[0] == 'u')
		default:
			for _, list := range []struct {
				prefix string
				to     *[]string
			}{{"no-", &o.no}, {"only-", &o.only}, {"order:", &o.order}, {"offerer_pref:", &o.pref}} {
				if v, ok := strings.CutPrefix(w, list.prefix); ok {
					*list.to = append(*list.to, strings.Split(v, ";")...)
				}
			}
		}
	}
	return o
}

// allows tells whether a suite may be offered; only- beats no-.
func (o *sdesOptions) allows(suite string) bool {
	if len(o.only) > 0 {
		return named(o.only, suite) >= 0
	}
	return named(o.no, suite) < 0
}

// passes is allows for what the sender has offered itself, which nonew lets through whatever it is.
func (o *sdesOptions) passes(suite string) bool { return o.nonew || o.allows(suite) }

// named finds a suite in a list of names in any case; -1 if it is not there.
func named(list []string, suite string) int {
	return slices.IndexFunc(list, func(n string) bool { return strings.EqualFold(strings.TrimSpace(n), suite) })
}

// byPreference puts the lines whose suites are named first, in that order; the others stay as they are.
func byPreference(list []events.Crypto, names []string) {
	if len(names) == 0 {
		return
	}
	rank := func(c events.Crypto) int {
		if i := named(names, c.Suite); i >= 0 {
			return i
		}
		return len(names)
	}
	slices.SortStableFunc(list, func(a, b events.Crypto) int { return rank(a) - rank(b) })
}

func cloneCryptos(in []events.Crypto) []events.Crypto {
	out := slices.Clone(in)
	for i := range out {
		out[i].MKI, out[i].Lifetime = strings.Clone(out[i].MKI), strings.Clone(out[i].Lifetime)
	}
	return out
}

// offerKeys notes the sender's crypto lines and makes those for the receiver. What is in use stays in use until the answer.
func (d *mediaDecision) offerKeys(sec *Section, m, o *events.Media) {
	m.Recrypt, o.Recrypt = d.Req.Recrypt, d.Req.Recrypt
	if m.EndToEnd || !sec.RTP {
		m.SRTP, o.SRTP = nil, nil
		return
	}
	opt := sdesOptionsOf(d.Req)
	from, to := m.Keys(), o.Keys()
	received := slices.DeleteFunc(cloneCryptos(sec.Crypto), func(c events.Crypto) bool { return !d.knows(c.Suite) })
	byPreference(received, opt.pref)
	from.Received = slices.DeleteFunc(slices.Clone(received), func(c events.Crypto) bool { return !opt.passes(c.Suite) })
	if len(from.Received) == 0 && len(received) > 0 {
		from.Received = received[:1:1] // options leave nothing: the answer has to take something nevertheless
	}
	from.OffererPref = len(opt.pref) > 0
	from.OSRTP = !secured(m.Protocol) && !opt.off && len(received) > 0

	twins := !secured(o.Protocol) && !opt.off && d.offersTwins(o)
	to.OSRTP = !secured(o.Protocol) && !opt.off && (twins || d.offersOSRTP(from, to))
	if twins && o.Twin == 0 && !slices.Contains(d.Req.OSRTP, "offer") && !slices.Contains(d.Req.OSRTP, "offer-RFC") {
		o.Twin = events.TwinPlain
	}
	if to.OSRTP || secured(o.Protocol) && !opt.off {
		to.Sent = d.offerLines(&opt, from.Received, to.Sent)
	} else {
		to.Sent = nil
	}
	if len(to.Sent) == 0 && secured(o.Protocol) && !secured(m.Protocol) {
		o.Protocol = m.Protocol // nothing to have keys from
	}
	m.SetKeys(from)
	o.SetKeys(to)
}

// offersOSRTP tells whether a receiver with a plain profile is offered keys: because the client wants it, because the sender
// did the same, or because that is how the two of us have been talking.
func (d *mediaDecision) offersOSRTP(from, to events.SRTP) bool {
	for _, w := range d.Req.OSRTP {
		if w == "offer" || w == "offer-RFC" {
			return true
		}
	}
	return d.Req.TransportProtocol == "" && (from.OSRTP || to.OSRTP && to.Out != (events.Crypto{}))
}

// offerLines are the sender's own suites, keys and all, so that packets may pass as they are; then those of our last offer,
// whose keys stay; then all others.
func (d *mediaDecision) offerLines(opt *sdesOptions, received, sent []events.Crypto) []events.Crypto {
	const unassigned = -1
	var list []events.Crypto
	has := func(suite string) bool {
		return slices.ContainsFunc(list, func(c events.Crypto) bool { return c.Suite == suite })
	}
	for _, c := range received {
		if opt.passes(c.Suite) {
			list = append(list, c)
		}
	}
	for _, c := range sent {
		if has(c.Suite) || !opt.allows(c.Suite) {
			continue
		}
		if slices.ContainsFunc(list, func(l events.Crypto) bool { return l.Tag == c.Tag }) {
			c.Tag = unassigned
		}
		list = append(list, c)
	}
	for _, s := range suites {
		if !opt.nonew && !has(s.Name) && opt.allows(s.Name) && d.knows(s.Name) {
			list = append(list, events.Crypto{Tag: unassigned, Suite: s.Name, Key: d.freshKey(s)})
		}
	}
	byPreference(list, opt.order)
	tag := 0
	for i := range list {
		tag = max(tag, list[i].Tag)
		for _, set := range opt.session {
			set(&list[i])
		}
	}
	for i := range list {
		if list[i].Tag == unassigned {
			tag++
			list[i].Tag = tag
		}
	}
	return list
}

func (d *mediaDecision) freshKey(s Suite) events.Secret {
	return events.Secret(d.res.Random(s.Key + s.Salt))
}
