package rewrite_test

import (
	"strings"
	"testing"

	"rtpjet/events"
	"rtpjet/projection"
	"rtpjet/projection/projectiontest"
)

// TestF8: the suites with f8 are the last that we offer, are taken where a party has nothing else, and are left out while a node of
// the cluster may not have them.
func TestF8(t *testing.T) {
	for _, tt := range []struct {
		level int
		knows bool
	}{{events.Level, true}, {events.LevelFirst, false}, {0, false}} {
		d := projectiontest.NewDriver()
		d.Set.Level = tt.level
		out := send(t, d, "offer", "a", "", "m=audio 4000 RTP/SAVP 0\na=crypto:3 F8_128_HMAC_SHA1_80 inline:"+key30+"\n")
		var suites []string
		for line := range strings.SplitSeq(out, "\r\n") {
			if f := strings.Fields(line); strings.HasPrefix(line, "a=crypto:") {
				suites = append(suites, f[1])
			}
		}
		if got := strings.Contains(out, "a=crypto:3 F8_128_HMAC_SHA1_80 inline:"+key30); got != tt.knows {
			t.Errorf("level %d: the offerer's own line is passed on: %t", tt.level, got)
		}
		if got := suites[len(suites)-1] == "F8_128_HMAC_SHA1_32"; got != tt.knows {
			t.Errorf("level %d: offered %q", tt.level, suites)
		}
		if !tt.knows {
			continue
		}
		out = send(t, d, "answer", "a", "b", "m=audio 5000 RTP/SAVP 0\na=crypto:"+tagOf(out, "F8_128_HMAC_SHA1_32")+" F8_128_HMAC_SHA1_32 inline:"+key30+"\n")
		if !strings.Contains(out, "a=crypto:3 F8_128_HMAC_SHA1_80 inline:") {
			t.Errorf("the answer is\n%s", out)
		}
		streams := d.Call.Routes(projection.RouteDefaults{}, 0)
		if s := streams[0]; s.Decrypt == nil || s.Decrypt.Suite != "F8_128_HMAC_SHA1_80" || s.Encrypt == nil || s.Encrypt.Suite != "F8_128_HMAC_SHA1_80" {
			t.Errorf("the route of the offerer is %+v", s)
		}
	}
}

// tagOf is the tag of the line with a suite.
func tagOf(out, suite string) string {
	before, _, _ := strings.Cut(out, " "+suite+" ")
	return before[strings.LastIndex(before, ":")+1:]
}
