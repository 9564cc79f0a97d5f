package rewrite

import (
	"slices"
	"strconv"
	"strings"

	"rtpjet/events"
	"rtpjet/ngserver/sdp"
)

// extmaps writes the sender's header extensions, of the section or else of its session, but for those kept from the
// receiver, and then what is negotiated with the receiver alone.
func (r *renderer) extmaps(m *sdp.Media, s, o *events.Media) {
	list := m.All(sdp.KindExtmap)
	if m.First(sdp.KindExtmap) == nil {
		list = m.Session().All(sdp.KindExtmap)
	}
	first := true
	write := func(line string) {
		if first && !r.noAllowMixed(o) {
			r.out = sdp.AppendAttribute(r.out, "extmap-allow-mixed", "")
		}
		first = false
		r.out = sdp.AppendLine(r.out, 'a', line)
	}
	for a := range list {
		e, ok := sdp.ParseExtmap(a.Value)
		if ok && e.ID != 0 && !slices.ContainsFunc(s.Withholds(), func(w events.Extmap) bool {
			return w.ID == e.ID && strings.EqualFold(w.URI, e.URI)
		}) {
			write(a.Line)
		}
	}
	for _, e := range o.Withholds() {
		if e.Masked {
			write("extmap:" + strconv.Itoa(e.ID) + opposite(e.Direction) + " " + e.URI)
		}
	}
}

// noAllowMixed tells whether the receiver has listed extmaps of the section without a=extmap-allow-mixed. Events of early
// releases say so of the whole SDP only.
func (r *renderer) noAllowMixed(o *events.Media) bool {
	return o.NoAllowMixed || r.Receiver.In.NoAllowMixed && !slices.ContainsFunc(r.Receiver.Medias, func(m events.Media) bool { return m.NoAllowMixed })
}

// opposite is the direction of an extension from the other side, as it follows the number.
func opposite(direction string) string {
	switch direction {
	case "":
		return ""
	case "sendonly":
		return "/recvonly"
	case "recvonly":
		return "/sendonly"
	}
	return "/" + direction
}
