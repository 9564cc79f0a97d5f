package ng_test

import (
	"os"
	"strings"
	"testing"

	"rtpjet/ngserver/ng"
)

// TestNotDone: what is asked for and not done, in the spellings of rtpp-flags, and what is no matter for a warning.
func TestNotDone(t *testing.T) {
	var (
		none   ng.Situation
		ice    = ng.Situation{ICE: true}
		dtls   = ng.Situation{ICE: true, DTLS: true, Bundle: true}
		answer = ng.Situation{Answer: true, ICE: true, DTLS: true, Bundle: true}
		pcmu   = ng.Situation{Codecs: []string{"PCMU/8000", "opus/48000"}}
	)
	for _, c := range []struct {
		command, flags string
		s              ng.Situation
		want           string
	}{
		{"offer", "", none, ""},
		{"offer", "replace-origin trust-address symmetric asymmetric strict-source media-handover port-latching", none, ""},
		{"offer", "rtcp-mux-demux SDES-off OSRTP-offer generate-mid no-rtcp-attribute", none, ""},
		{"offer", "ICE=remove", ice, ""},
		{"offer", "reject-ICE", ice, ""},
		{"offer", "ICE=default", none, ""},
		{"offer", "", ice, "ice"},
		{"offer", "ICE=default", ice, "ice"},
		{"offer", "ICE=force", none, "ice"},
		{"offer", "ICE=optional", none, "ice"},
		{"offer", "ICE=force-relay", ice, "ice"},
		{"offer", "passthrough=on", ice, "ice"},
		{"answer", "ICE=force", answer, ""}, // an answer cannot switch it on
		{"offer", "DTLS=passive DTLS-fingerprint=SHA-256", none, ""},
		{"offer", "ICE=remove DTLS=passive", dtls, "dtls"},
		{"offer", "ICE=remove DTLS=off", dtls, ""},
		{"offer", "transport-protocol=RTP/AVP", none, ""},
		{"offer", "transport-protocol=RTP/AVP", ng.Situation{KeptProfile: true, KeptDTLS: true}, "dtls"},
		{"offer", "transport-protocol=RTP/AVP", ng.Situation{KeptProfile: true}, "transport_protocol"},
		{"offer", "transport-protocol=RTP/QUIC", none, "transport_protocol"},
		{"offer", "WebRTC", none, "ice bundle"},
		{"offer", "codec-strip-all codec-offer-PCMA codec-except-PCMU codec-ignore-G722", pcmu, ""},
		{"offer", "codec-transcode-PCMU codec-transcode-OPUS/48000/2", pcmu, ""},
		{"offer", "transcode-PCMA", pcmu, "transcoding"},
		{"offer", "codec-transcode-opus/16000", pcmu, "transcoding"},
		{"answer", "codec-transcode-PCMA", answer, ""}, // of offers only
		{"offer", "codec-mask-PCMU", pcmu, "transcoding"},
		{"offer", "codec-consume-PCMU", pcmu, "transcoding"},
		{"answer", "codec-accept-PCMU", answer, "transcoding"},
		{"offer", "codec-set-opus/48000/2/32000", pcmu, "transcoding"},
		{"offer", "always-transcode", pcmu, "transcoding"},
		{"offer", "allow-transcoding single-codec allow-no-codec-media", pcmu, ""},
		{"offer", "ptime=20", none, "repacketizing"},
		{"offer", "ptime-reverse=30", none, "repacketizing"},
		{"answer", "ptime=20", answer, ""},
		{"offer", "reuse-codecs", none, "codec_reuse"},
		{"offer", "static-codecs", none, "codec_reuse"},
		{"offer", "generate-RTCP", none, "generate_rtcp"},
		{"offer", "generate-RTCP=off", none, ""},
		{"offer", "bundle-accept", none, ""},
		{"offer", "bundle-accept ICE=remove", dtls, "bundle"},
		{"offer", "bundle-reject ICE=remove", dtls, ""},
		{"offer", "bundle-offer", none, "bundle"},
		{"offer", "T38-decode", none, "t38_gateway"},
		{"offer", "T.38=force", none, "t38_gateway"},
		{"offer", "T.38=stop T.38=no-ECM", none, ""},
		{"offer", "delay-buffer=200", none, "delay_buffer"},
		{"offer", "delay-buffer=0", none, ""},
		{"offer", "record-call", none, "recording"},
		{"offer", "record-call=off recording-dir=/x", none, ""},
		{"offer", "audio-player=always", none, "playback"},
		{"offer", "audio-player=off no-player", none, ""},
		{"offer", "inject-DTMF", none, "dtmf"},
		{"answer", "dtmf-log-dest=192.0.2.1:99", none, "dtmf"},
		{"offer", "block-DTMF", none, ""},
		{"offer", "block-DTMF DTMF-security=tone", none, "dtmf"},
		{"offer", "DTMF-delay=100", none, ""}, // with block-DTMF only
		{"offer", "block-short debug", none, "block_short debug"},
		{"offer", "no-redis-update no-jitter-buffer loop-protect", none, ""},
		{"offer", "what-is-this", none, ""},
		{"block DTMF", "DTMF-security=drop", none, ""},
		{"block DTMF", "DTMF-security=silence", none, "dtmf"},
		{"block DTMF", "trigger=1", none, "dtmf"},
		{"unblock DTMF", "", none, ""},
		{"block media", "", none, ""},
		{"block media", "all=flows", none, ""},
		{"block media", "all=flows", ng.Situation{Refused: true}, "flows"},
		{"start recording", "", none, "recording"},
		{"stop recording", "", none, ""},
		{"play media", "file=x", none, "playback"},
		{"play DTMF", "code=1", none, "dtmf"},
		{"silence media", "", none, "silence"},
		{"subscribe request", "", none, "subscriptions"},
		{"publish", "", none, "subscriptions"},
		{"connect", "", none, "connect"},
		{"inject start", "", none, "connect"},
		{"start forwarding", "", none, "forwarding"},
		{"transform", "", none, "transform"},
		{"ping", "", none, ""},
		{"query", "", none, ""},
		{"delete", "delete-delay=0", none, ""},
	} {
		d := &ng.Dict{}
		d.Set("command", c.command)
		d.Set("rtpp-flags", c.flags)
		r, err := ng.Parse(d)
		if err != nil {
			t.Fatal(err)
		}
		u := ng.NotDone(r, c.s)
		if got := strings.Join(u.Labels(), " "); got != c.want {
			t.Errorf("%s with %q in %+v: %q, want %q", c.command, c.flags, c.s, got, c.want)
		}
		if text := u.Warning(); (text == "") != (c.want == "") || strings.ContainsAny(text, "_\n") {
			t.Errorf("%s with %q: the warning %q", c.command, c.flags, text)
		}
	}
}

// TestUndoneDocs: each feature is told of in the table for operators, and the table knows no other ones.
func TestUndoneDocs(t *testing.T) {
	b, err := os.ReadFile("../../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(b), "\n| feature | asked for by |\n|---|---|\n")
	table, _, _ = strings.Cut(table, "\n\n")
	var have []string
	for line := range strings.Lines(table) {
		name, _, _ := strings.Cut(strings.TrimPrefix(line, "| `"), "`")
		have = append(have, name)
	}
	if got, want := strings.Join(have, " "), strings.Join(ng.AllUndone.Labels(), " "); got != want {
		t.Errorf("the table has\n%s\nand there are\n%s", got, want)
	}
}
