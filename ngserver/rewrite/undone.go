package rewrite

import (
	"bytes"
	"strconv"
	"strings"

	"rtpjet/ngserver/ng"
	"rtpjet/ngserver/sdp"
	"rtpjet/projection"
)

// situation is what an offer or answer has met, and what became of the profile that it asked for in the SDP for the other side.
func situation(s *sdp.Session, desc *projection.Description, req *ng.Request, answer bool, written []byte) ng.Situation {
	out := ng.Situation{Answer: answer}
	if len(req.Bundle) > 0 {
		for _, g := range s.Groups() {
			out.Bundle = out.Bundle || strings.EqualFold(g.Semantics, "BUNDLE")
		}
	}
	for i := range desc.Sections {
		sec := &desc.Sections[i]
		if sec.Rejected {
			continue
		}
		out.ICE = out.ICE || sec.ICE
		out.DTLS = out.DTLS || sec.DTLS
		if len(req.Codec.Transcode) > 0 {
			for _, c := range sec.Codecs {
				out.Codecs = append(out.Codecs, c.Name+"/"+strconv.Itoa(c.Rate))
			}
		}
	}
	out.KeptProfile, out.KeptDTLS = keptProfile(written, req)
	return out
}

// keptProfile tells whether a section has another profile than the one that was asked for, and whether DTLS has to do with it.
// The older form of OSRTP has two sections for one, of which one is plain on purpose.
func keptProfile(written []byte, req *ng.Request) (kept, dtls bool) {
	want := req.TransportProtocol
	if !projection.IsRTP(want) || len(req.OSRTP) > 0 {
		return false, false
	}
	for line := range bytes.Lines(written) {
		text, section := bytes.CutPrefix(line, []byte("m="))
		if !section {
			continue
		}
		f := bytes.Fields(text)
		if len(f) < 3 || string(f[1]) == "0" || !projection.IsRTP(string(f[2])) || strings.EqualFold(string(f[2]), want) {
			continue
		}
		kept = true
		dtls = dtls || sdp.LookupProto(string(f[2])).IsDTLS() || sdp.LookupProto(want).IsDTLS() || desiresKeys(req)
	}
	return kept, dtls
}

// desiresKeys tells whether SRTP was asked for without SDES, so that its keys could come from DTLS only.
func desiresKeys(req *ng.Request) bool {
	for _, w := range req.SDES {
		if w == "off" {
			return strings.Contains(req.TransportProtocol, "SAVP")
		}
	}
	return false
}
