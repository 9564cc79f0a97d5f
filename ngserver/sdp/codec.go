package sdp

import "strings"

// Codec is one payload type of an RTP section with all that the section says about it.
type Codec struct {
	PT uint8
	Encoding
	// Map is the text after "rtpmap:PT " as received, the static table's text if the section has no rtpmap for it, and
	// "" if nobody says what it is.
	Map string
	// Mapped tells that Map came with the section, rather than from the static table.
	Mapped bool
	// FMTP are the texts after "fmtp:PT ", Feedback those after "rtcp-fb:PT ", in order.
	FMTP     []string
	Feedback []string
}

// Encoding is what an rtpmap says.
type Encoding struct {
	Name     string // as written; "" if unknown
	Rate     int
	Channels int    // 1 if not given
	Rest     string // what follows the channels, with its slash
}

// MaxPT is the highest RTP payload type.
const MaxPT = 127

// static is the table of RFC 3551 §6 as rtpengine knows it.
var static = [MaxPT + 1]string{
	0: "PCMU/8000", 3: "GSM/8000", 4: "G723/8000", 5: "DVI4/8000", 6: "DVI4/16000", 7: "LPC/8000", 8: "PCMA/8000",
	9: "G722/8000", 10: "L16/44100", 11: "L16/44100/2", 12: "QCELP/8000", 13: "CN/8000", 14: "MPA/90000", 15: "G728/8000",
	16: "DVI4/11025", 17: "DVI4/22050", 18: "G729/8000", 25: "CelB/90000", 26: "JPEG/90000", 28: "nv/90000",
	31: "H261/90000", 32: "MPV/90000", 33: "MP2T/90000", 34: "H263/90000",
}

// ParsePT reads a payload type, 0 to 127.
func ParsePT(s string) (uint8, bool) {
	n, ok := parseUint(s, MaxPT)
	return uint8(n), ok
}

// cutPT reads the payload type at the start of an rtpmap, fmtp or rtcp-fb value and returns the text after it.
func cutPT(value string) (pt uint8, text string, ok bool) {
	f, rest := nextField(value)
	n, ok := parseUint(f, 255)
	if !ok {
		return 0, "", false
	}
	return uint8(n), strings.Trim(rest, " "), true
}

// ParseEncoding reads NAME, NAME/RATE or NAME/RATE/CHANNELS, as codec lists of NG requests have them. Rate and channels are
// 0 if not given. ok is false if the name is empty or the rate is no number.
func ParseEncoding(text string) (e Encoding, ok bool) {
	name, rest, hasRate := strings.Cut(text, "/")
	e.Name = name
	if name == "" {
		return e, false
	}
	if !hasRate {
		return e, true
	}
	rate, rest, hasChannels := strings.Cut(rest, "/")
	if e.Rate, ok = parseUint(rate, 1<<31-1); !ok {
		return e, false
	}
	if !hasChannels {
		return e, true
	}
	channels, rest, more := strings.Cut(rest, "/")
	e.Channels, _ = parseUint(channels, 255)
	if more {
		e.Rest = "/" + rest
	}
	return e, true
}

// parseEncoding reads the text of an rtpmap, which must give a rate.
func parseEncoding(text string) (e Encoding, ok bool) {
	text = strings.Trim(text, " ")
	if strings.IndexByte(text, '/') < 0 || strings.IndexByte(text, ' ') >= 0 {
		return e, false
	}
	e, ok = ParseEncoding(text)
	if e.Channels == 0 {
		e.Channels = 1
	}
	return e, ok
}

// Codecs returns the section's payload types in the order of its m= line, each once. It is nil for sections that are not
// RTP; formats that are no payload type are left out (Session.Check refuses them). Of several rtpmap lines for one payload
// type the last counts, as with rtpengine.
func (m *Media) Codecs() []Codec {
	if !m.IsRTP() || len(m.Formats) == 0 {
		return nil
	}
	out := make([]Codec, 0, min(len(m.Formats), MaxPT+1))
	var at [MaxPT + 1]uint8 // index into out, plus one
	for _, f := range m.Formats {
		pt, ok := ParsePT(f)
		if !ok || at[pt] != 0 {
			continue
		}
		c := Codec{PT: pt, Map: static[pt]}
		c.Encoding, _ = parseEncoding(c.Map)
		out = append(out, c)
		at[pt] = uint8(len(out))
	}
	// Two passes, so that all lists share one array and the cost stays linear in the number of lines.
	var fmtp, feedback [MaxPT + 1]int32
	total := 0
	for i := range m.Attributes {
		a := &m.Attributes[i]
		if a.Kind != KindRTPMap && a.Kind != KindFMTP && a.Kind != KindRTCPFB {
			continue
		}
		pt, text, ok := cutPT(a.Value)
		if !ok || pt > MaxPT || at[pt] == 0 || text == "" {
			continue
		}
		switch a.Kind {
		case KindRTPMap:
			c := &out[at[pt]-1]
			c.Map, c.Mapped = text, true
			c.Encoding, _ = parseEncoding(text)
			continue
		case KindFMTP:
			fmtp[pt]++
		case KindRTCPFB:
			feedback[pt]++
		}
		total++
	}
	if total == 0 {
		return out
	}
	slab := make([]string, total)
	cut := func(n int32) []string {
		if n == 0 {
			return nil
		}
		s := slab[:0:n]
		slab = slab[n:]
		return s
	}
	for i := range out {
		c := &out[i]
		c.FMTP, c.Feedback = cut(fmtp[c.PT]), cut(feedback[c.PT])
	}
	for i := range m.Attributes {
		a := &m.Attributes[i]
		if a.Kind != KindFMTP && a.Kind != KindRTCPFB {
			continue
		}
		pt, text, ok := cutPT(a.Value)
		if !ok || pt > MaxPT || at[pt] == 0 || text == "" {
			continue
		}
		c := &out[at[pt]-1]
		if a.Kind == KindFMTP {
			c.FMTP = append(c.FMTP, text)
		} else {
			c.Feedback = append(c.Feedback, text)
		}
	}
	return out
}
