package projection

import (
	"slices"
	"strconv"
	"strings"

	"rtpjet/events"
	"rtpjet/ngserver/ng"
)

// offerCodecs returns the list to offer to the receiver, made from the sender's by the codec options, and what was left
// out of it (docs/ng.md, "codec"). ok is false if nothing is left and the options allow that: the section is to be rejected.
// Without a transcoder mask, consume and ignore come down to strip, and transcode to offer.
func offerCodecs(list []events.Codec, req *ng.Request) (offered, stripped []events.Codec, ok bool) {
	o := &req.Codec
	out := slices.Concat(o.Strip, o.Mask, o.Consume, o.Ignore)
	if len(out) == 0 {
		return list, nil, true
	}
	for _, c := range list {
		if codecIn(c, out) && !codecNamed(c, o.Except) {
			stripped = append(stripped, c)
		} else {
			offered = append(offered, c)
		}
	}
	readded := false
	for _, name := range slices.Concat(o.Offer, o.Transcode) { // in the order in which the options name them
		stripped = slices.DeleteFunc(stripped, func(c events.Codec) bool {
			if !codecMatches(c, name) {
				return false
			}
			offered, readded = append(offered, c), true
			return true
		})
	}
	if readded {
		// What rides along with speech stays behind it.
		slices.SortStableFunc(offered, func(a, b events.Codec) int {
			switch sa, sb := supplemental(a), supplemental(b); {
			case sa == sb:
				return 0
			case sb:
				return -1
			}
			return 1
		})
	}
	if len(offered) == 0 && len(list) > 0 {
		if req.AllowNoCodecMedia {
			return nil, stripped, false
		}
		return list, nil, true
	}
	return offered, stripped, true
}

// codecIn tells whether any of the names matches; "all" and "full" match every codec.
func codecIn(c events.Codec, names []string) bool {
	return codecNamed(c, names) || slices.Contains(names, "all") || slices.Contains(names, "full")
}

func codecNamed(c events.Codec, names []string) bool {
	return slices.ContainsFunc(names, func(n string) bool { return codecMatches(c, n) })
}

// codecMatches compares a codec with NAME, NAME/RATE or NAME/RATE/CHANNELS; what follows (bit rate, ptime, fmtp) does not
// matter for matching. A number is a payload type.
func codecMatches(c events.Codec, name string) bool {
	parts := strings.SplitN(name, "/", 4)
	if c.Name == "" || !strings.EqualFold(parts[0], c.Name) {
		return c.Name == "" && parts[0] == strconv.Itoa(c.PT)
	}
	if len(parts) > 1 && parts[1] != "" && parts[1] != strconv.Itoa(c.Rate) {
		return false
	}
	channels := "1" // a rate without channels means one
	if len(parts) > 2 && parts[2] != "" {
		channels = parts[2]
	}
	return len(parts) == 1 || channels == strconv.Itoa(max(c.Channels, 1))
}

// supplemental codecs ride along with a real one.
func supplemental(c events.Codec) bool {
	return strings.EqualFold(c.Name, "telephone-event") || strings.EqualFold(c.Name, "CN")
}

// answerCodecs returns the payload types of an answer that may go back to the offerer: those that were offered, with the
// same number and a compatible encoding. The order is the answerer's.
func answerCodecs(answer, offeredToAnswerer, offerer []events.Codec, req *ng.Request) []events.Codec {
	var out []events.Codec
	real := false
	for _, a := range answer {
		if !slices.ContainsFunc(offerer, func(o events.Codec) bool { return codecAccepts(o, a, req.AllowAsymmetricCodecs) }) ||
			!slices.ContainsFunc(offeredToAnswerer, func(o events.Codec) bool { return codecAccepts(o, a, req.AllowAsymmetricCodecs) }) {
			continue
		}
		if codecIn(a, req.Codec.Strip) && !codecNamed(a, req.Codec.Except) && !codecNamed(a, req.Codec.Offer) {
			continue
		}
		if req.SingleCodec && real && !supplemental(a) {
			continue
		}
		real = real || !supplemental(a)
		out = append(out, a)
	}
	if len(out) == 0 && len(offeredToAnswerer) > 0 {
		// The sides do not agree and a relay cannot make them; the best guess is what was offered first.
		out = append(out, offeredToAnswerer[0])
	}
	return out
}

// codecAccepts tells whether the payload type of an answer is the one of an offer.
func codecAccepts(offer, answer events.Codec, anyPT bool) bool {
	if offer.PT != answer.PT && !anyPT {
		return false
	}
	if offer.Name == "" || answer.Name == "" {
		return offer.PT == answer.PT
	}
	if !strings.EqualFold(offer.Name, answer.Name) || offer.Rate != answer.Rate ||
		max(offer.Channels, 1) != max(answer.Channels, 1) {
		return false
	}
	return fmtpCompatible(offer, answer)
}

// fmtpCompatible compares what two fmtp lines say about the packet format, for the encodings where it matters
// (RFC 4867 §8.1: octet-align decides the layout of the payload).
func fmtpCompatible(offer, answer events.Codec) bool {
	switch strings.ToUpper(offer.Name) {
	case "AMR", "AMR-WB":
		return octetAligned(offer.Fmtp) == octetAligned(answer.Fmtp)
	case "GSM": // has no parameters, so nobody knows what these mean
		return offer.Fmtp == answer.Fmtp
	}
	return true
}

func octetAligned(fmtp string) bool {
	for f := range strings.FieldsFuncSeq(fmtp, func(r rune) bool { return r == ';' || r == ' ' }) {
		if strings.EqualFold(f, "octet-align=1") {
			return true
		}
	}
	return false
}

func cloneCodecs(in []events.Codec) []events.Codec {
	out := slices.Clone(in)
	for i := range out {
		out[i].Name = strings.Clone(out[i].Name)
		out[i].Fmtp = strings.Clone(out[i].Fmtp)
	}
	return out
}
