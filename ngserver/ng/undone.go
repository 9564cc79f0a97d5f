package ng

import (
	"math/bits"
	"strings"
)

// Undone is a set of features that a command asked for and that this build does not have.
type Undone uint32

// The features. What they are called in metrics and logs is what [Undone.Names] says.
const (
	UndoneICE Undone = 1 << iota
	UndoneDTLS
	UndoneTransport
	UndoneTranscoding
	UndoneRepacketizing
	UndoneCodecReuse
	UndoneGenerateRTCP
	UndoneBundle
	UndoneT38Gateway
	UndoneDelayBuffer
	UndoneRecording
	UndonePlayback
	UndoneDTMF
	UndoneBlockShort
	UndoneDebug
	UndoneSilence
	UndoneFlows
	UndoneSubscriptions
	UndoneConnect
	UndoneForwarding
	UndoneTransform

	numUndone = iota
)

// undoneFeatures has the label of each feature in metrics, and what it is for people, in the order of the constants.
var undoneFeatures = [numUndone]struct{ label, text string }{
	{"ice", "ICE"},
	{"dtls", "DTLS between a party and the relay"},
	{"transport_protocol", "the transport protocol that was asked for"},
	{"transcoding", "transcoding"},
	{"repacketizing", "another ptime"},
	{"codec_reuse", "keeping the codecs of before"},
	{"generate_rtcp", "RTCP of the relay's own"},
	{"bundle", "BUNDLE"},
	{"t38_gateway", "the T.38 gateway"},
	{"delay_buffer", "delayed media"},
	{"recording", "recording"},
	{"playback", "playback"},
	{"dtmf", "sending, replacing or reporting DTMF"},
	{"block_short", "blocking short packets"},
	{"debug", "a log of its own for one call"},
	{"silence", "silenced media"},
	{"flows", "blocking the media from one party to another"},
	{"subscriptions", "publications and subscriptions"},
	{"connect", "connecting and injecting"},
	{"forwarding", "forwarding to a recorder"},
	{"transform", "transforming"},
}

// each calls f with each feature's index.
func (u Undone) each(f func(i int)) {
	for u != 0 {
		i := bits.TrailingZeros32(uint32(u))
		f(i)
		u &^= 1 << i
	}
}

// Labels are the names of the features, for metrics: lower case and underscores.
func (u Undone) Labels() (out []string) {
	u.each(func(i int) { out = append(out, undoneFeatures[i].label) })
	return out
}

// AllUndone has all features.
const AllUndone Undone = 1<<numUndone - 1

// Warning says in one sentence what was not done; empty if there is nothing.
func (u Undone) Warning() string {
	if u == 0 {
		return ""
	}
	var out []string
	u.each(func(i int) { out = append(out, undoneFeatures[i].text) })
	return "Not supported and not done: " + strings.Join(out, ", ")
}

// Situation is what a command met: some options have an effect with some SDPs only.
type Situation struct {
	Answer bool
	// Refused is true if the command was refused since it is not supported.
	Refused bool
	// ICE, DTLS and Bundle say that the SDP offers that.
	ICE, DTLS, Bundle bool
	// KeptProfile is true if a section goes out with another profile than the one that was asked for; KeptDTLS, if one of the two
	// is a profile of DTLS.
	KeptProfile, KeptDTLS bool
	// Codecs are the encodings of the SDP as NAME/RATE.
	Codecs []string
}

// NotDone returns which features a command asks for and does not get. It says nothing of options that would have no effect on
// rtpengine either.
func NotDone(r *Request, s Situation) Undone {
	switch info := r.Info(); info.Action {
	case ActionSignal:
		return r.notSignalled(s)
	case ActionBlock:
		return r.notBlocked(s)
	default:
		return info.Lacks
	}
}

func (r *Request) notSignalled(s Situation) (u Undone) {
	add := func(on bool, feature Undone) {
		if on {
			u |= feature
		}
	}
	add(r.wantsICE(s), UndoneICE)
	add(s.KeptDTLS || s.DTLS && (r.DTLS == "passive" || r.DTLS == "active" || r.DTLSFingerprint != ""), UndoneDTLS)
	add(r.UnknownTransport || s.KeptProfile && !s.KeptDTLS, UndoneTransport)
	add(r.wantsTranscoding(s), UndoneTranscoding)
	add(!s.Answer && (r.Ptime > 0 || r.PtimeReverse > 0), UndoneRepacketizing)
	add(!s.Answer && (r.ReuseCodecs || r.StaticCodecs), UndoneCodecReuse)
	add(r.GenerateRTCP, UndoneGenerateRTCP)
	add(r.wantsBundle(s), UndoneBundle)
	for _, w := range r.T38 {
		add(w == "decode" || w == "force", UndoneT38Gateway)
	}
	add(r.KeyInt("delay-buffer", 0) > 0, UndoneDelayBuffer)
	add(r.RecordCall == "on", UndoneRecording)
	add(r.has("moh") || r.wantsPlayer(), UndonePlayback)
	add(r.Flag("inject-dtmf") || r.Flag("detect-dtmf") || r.KeyText("dtmf-log-dest") != "" || r.BlockDTMF && r.wantsDTMF(), UndoneDTMF)
	add(r.Flag("block-short"), UndoneBlockShort)
	add(r.Debug, UndoneDebug)
	return u
}

// wantsICE: an answer cannot switch ICE on. Where an offer says nothing, its sender's ICE counts.
func (r *Request) wantsICE(s Situation) bool {
	switch {
	case s.Answer:
		return false
	case r.KeyText("passthrough") == "on":
		return s.ICE
	}
	switch r.ICE {
	case "force", "optional", "force-relay":
		return true
	case "", "default":
		return s.ICE && !r.RejectICE
	}
	return false
}

// wantsTranscoding: a codec to transcode to that the sender offers itself only has to be passed on.
func (r *Request) wantsTranscoding(s Situation) bool {
	c := &r.Codec
	if len(c.Mask)+len(c.Consume)+len(c.Accept)+len(c.Set) > 0 || r.Flag("force-transcoding") || r.Flag("always-transcode") {
		return true
	}
	for _, want := range c.Transcode {
		if !s.Answer && !s.offers(want) {
			return true
		}
	}
	return false
}

// offers tells whether the SDP has a codec, which is given as NAME[/RATE[/…]].
func (s Situation) offers(codec string) bool {
	name, rest, _ := strings.Cut(codec, "/")
	rate, _, _ := strings.Cut(rest, "/")
	for _, have := range s.Codecs {
		n, r, _ := strings.Cut(have, "/")
		if strings.EqualFold(n, name) && (rate == "" || rate == r) {
			return true
		}
	}
	return false
}

// wantsBundle: what is not offered cannot be accepted, and is broken up anyway.
func (r *Request) wantsBundle(s Situation) bool {
	for _, w := range r.Bundle {
		switch w {
		case "accept":
			if s.Bundle {
				return true
			}
		case "offer", "require", "strict":
			if !s.Answer {
				return true
			}
		}
	}
	return false
}

func (r *Request) wantsPlayer() bool {
	switch strings.ToLower(r.KeyText("audio-player")) {
	case "", "off", "no", "default", "transcoding": // the last two only where there is transcoding
		return r.Flag("audio-player")
	}
	return true
}

// has tells whether the request has one of the keys that have no field.
func (r *Request) has(key string) bool {
	_, ok := r.Key(key)
	return ok
}

// wantsDTMF tells whether something else is to become of key presses than to be dropped or passed on.
func (r *Request) wantsDTMF() bool {
	switch r.KeyText("dtmf-security") {
	case "", "drop", "off":
	default:
		return true
	}
	for _, k := range [...]string{
		"dtmf-security-trigger", "dtmf-security-trigger-end", "dtmf-delay", "trigger", "trigger-end", "trigger-end-time", "trigger-end-digits",
	} {
		if r.has(k) {
			return true
		}
	}
	return false
}

func (r *Request) notBlocked(s Situation) (u Undone) {
	if s.Refused && r.All == "flows" { // of a party that several others hear
		u |= UndoneFlows
	}
	if r.Command == "block DTMF" && r.wantsDTMF() {
		u |= UndoneDTMF
	}
	return u
}
