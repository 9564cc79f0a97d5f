package report_test

import (
	"strings"
	"testing"

	"rtpjet/ngserver/ng"
	"rtpjet/ngserver/report"
	"rtpjet/projection/projectiontest"
)

// TestLoopCheck: a section in which one of our own addresses was offered says so, until the party names another.
func TestLoopCheck(t *testing.T) {
	d := projectiontest.NewDriver()
	signal := func(command, body string, keys ...any) {
		keys = append(keys, "from-tag", "a", "sdp", []byte(projectiontest.SDP(command, body)))
		if _, err := d.Do(request(t, command, keys...)); err != nil {
			t.Fatal(err)
		}
		d.Now += 1_000_000
	}
	flagged := func() int {
		o := ng.NewObject()
		report.Query(o, &d.Call, request(t, "query"), nil, report.Env{})
		return strings.Count(string(o.Value().AppendJSON(nil)), `"loop check"`)
	}
	const phone = "m=audio 4000 RTP/AVP 8\n"
	for _, step := range []struct {
		offer string
		want  int
	}{
		{phone, 0},
		{"c=IN IP4 203.0.113.1\nm=audio 30100 RTP/AVP 8\n", 1},
		{"c=IN IP4 203.0.113.1\nm=audio 30100 RTP/AVP 8\nm=video 30102 RTP/AVP 34\n", 2},
		{"c=IN IP4 203.0.113.1\nm=audio 4000 RTP/AVP 8\nm=video 0 RTP/AVP 34\n", 0}, // somebody else behind our NAT
		{"c=IN IP6 fd00::2\nm=audio 30100 RTP/AVP 8\nm=video 0 RTP/AVP 34\n", 1},
		{phone + "m=video 0 RTP/AVP 34\n", 0},
	} {
		signal("offer", step.offer)
		signal("answer", phone+strings.Repeat("m=video 5002 RTP/AVP 34\n", strings.Count(step.offer, "m=video 30")), "to-tag", "b")
		if got := flagged(); got != step.want {
			t.Errorf("%q: %d sections, want %d", step.offer, got, step.want)
		}
	}
}
