package bench

import (
	"net/netip"
	"testing"

	"github.com/zeebo/bencode"
)

func TestClusterSignallingIsBencode(t *testing.T) {
	for _, c := range []struct {
		s       signalling
		toTag   bool
		message string
		flags   int
	}{
		{signalling{command: "offer"}, false, "sip_request", 1},
		{signalling{command: "offer", moved: true}, true, "sip_request", 1},
		{signalling{command: "answer", latched: true}, true, "sip_reply", 2},
	} {
		c.s.names, c.s.from, c.s.sdp = namesOf("X", 7), netip.MustParseAddr("192.0.2.1"), []byte("v=0\r\n")
		var d map[string]any
		if err := bencode.DecodeBytes(c.s.append(nil), &d); err != nil {
			t.Errorf("%s: %v", c.s.command, err)
			continue
		}
		_, toTag := d["to-tag"]
		flags, _ := d["flags"].([]any)
		if d["command"] != c.s.command || d["call-id"] != c.s.names.callID || d["sdp"] != "v=0\r\n" ||
			toTag != c.toTag || d["sip-message-type"] != c.message || len(flags) != c.flags {
			t.Errorf("%+v: %v", c.s, d)
		}
	}
	var d map[string]any
	if err := bencode.DecodeBytes(appendStatistics(nil), &d); err != nil || d["command"] != "statistics" {
		t.Errorf("statistics: %v, %v", d, err)
	}
}

func TestScanStatistics(t *testing.T) {
	reply := "d10:statisticsd17:currentstatisticsd11:sessionsowni7e15:sessionsforeigni3ee10:interfacesl" +
		"d5:portsd4:usedi12e8:used_pct4:0.01eed5:portsd4:usedi30eeeee6:result2:oke"
	u, err := scanStatistics([]byte(reply))
	if err != nil || u.own != 7 || u.ports != 42 {
		t.Errorf("%+v, %v", u, err)
	}
	for _, bad := range []string{"", "d6:result5:errore", "d11:sessionsowni7", "d11:sessionsownixe4:usedi1ee", "d11:sessionsowni7ee"} {
		if u, err := scanStatistics([]byte(bad)); err == nil {
			t.Errorf("%q is read as %+v", bad, u)
		}
	}
}

func FuzzScanStatistics(f *testing.F) {
	f.Add([]byte("d11:sessionsowni7e4:usedi12ee"))
	f.Fuzz(func(_ *testing.T, b []byte) { _, _ = scanStatistics(b) })
}
