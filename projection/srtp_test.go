package projection_test

import (
	"testing"

	"rtpjet/events"
	"rtpjet/projection"
	"rtpjet/projection/projectiontest"
	"rtpjet/relay/plan"
)

// Another owner goes on with the keys that the parties know.
func TestTakeoverKeepsKeys(t *testing.T) {
	const line = "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz\n"
	d := projectiontest.NewDriver()
	do(t, d, "offer", "a", "", "RTP/AVP", "m=audio 4000 RTP/SAVP 0\n"+line)
	do(t, d, "answer", "a", "b", "", "m=audio 5000 RTP/AVP 0\n")
	keys := func() (out [][2]plan.SRTP) {
		for _, s := range d.Call.Routes(projection.RouteDefaults{}, 0) {
			if s.Decrypt != nil && s.Encrypt != nil {
				out = append(out, [2]plan.SRTP{*s.Decrypt, *s.Encrypt})
			}
		}
		return out
	}
	before := keys()
	ev, err := projection.DecideTakeover(&d.Call, "n2", "test", d.Res, d.Now)
	if err != nil {
		t.Fatal(err)
	}
	d.Append(ev)
	after := keys()
	if len(before) != 2 || len(after) != 2 {
		t.Fatalf("%d protected sockets before, %d after, want 2", len(before), len(after))
	}
	for i := range before {
		for j := range before[i] {
			if b, a := before[i][j], after[i][j]; a.Suite != b.Suite || a.Key != b.Key || a.Salt != b.Salt || len(a.Key) != 16 || len(a.Salt) != 14 {
				t.Errorf("%d %d: another key: %+v, was %+v", i, j, a, b)
			}
		}
	}
}

// Nothing passes where a key is not usable, least of all in the clear: a log may hold it sealed.
func TestRoutesWithOddKeys(t *testing.T) {
	d := projectiontest.NewDriver()
	do(t, d, "offer", "a", "", "RTP/SAVP", "m=audio 4000 RTP/AVP 0\n")
	do(t, d, "answer", "a", "b", "", "m=audio 5000 RTP/SAVP 0\na=crypto:7 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz\n")
	p := *d.Call.Parties[1]
	p = *p.MapKeys(func(k events.Secret) events.Secret { return "odd" + k })
	d.Call.Parties[1] = &p
	for _, s := range d.Call.Routes(projection.RouteDefaults{}, 0) {
		if s.Decrypt != nil || s.Encrypt != nil || len(s.RTPSinks)+len(s.RTCPSinks) > 0 {
			t.Errorf("%s has a key or a sink: %+v", s.Local, s)
		}
	}
}

// What a process may have sent in SRTCP and could not tell the log is left out by the next one, and by the one after that.
func TestRoutesSkipUnreportedIndices(t *testing.T) {
	d := projectiontest.NewDriver()
	do(t, d, "offer", "a", "", "RTP/AVP", "m=audio 4000 RTP/SAVP 0\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz\n")
	do(t, d, "answer", "a", "b", "", "m=audio 5000 RTP/AVP 0\n")
	began, out := d.Call.Created, []plan.Stream(nil)
	secured := func(now int64) (first uint32, known []plan.Rollover) {
		t.Helper()
		for _, s := range d.Call.Routes(projection.RouteDefaults{}, now) {
			if s.Encrypt != nil && !s.RTCP {
				out = append(out, s)
				first, known = s.Encrypt.FirstIndex, s.Encrypt.Rollovers
			}
			if s.Decrypt != nil && s.Decrypt.FirstIndex != 0 {
				t.Errorf("%s: what is received begins with %d", s.Local, s.Decrypt.FirstIndex)
			}
		}
		return first, known
	}
	for _, test := range []struct {
		now   int64
		first uint32
	}{
		{began, 0}, {began - 5_000_000, 0}, {began + 70_000, 70}, {began + 60_000_000, 60_000}, {began + 1e15, 1 << 30},
	} {
		if first, known := secured(test.now); first != test.first || len(known) != 0 {
			t.Errorf("after %d µs: %d and %+v, want %d and nothing", test.now-began, first, known, test.first)
		}
	}
	x := plan.Crossed{Local: out[0].Local, Out: true, Rollover: plan.Rollover{SSRC: 9, ROC: 1, Seq: 7, Index: 300}}
	ev, ok := d.Call.RolledOver(x)
	if !ok {
		t.Fatal("a crossing makes no event")
	}
	d.Append(ev)
	if _, ok := d.Call.RolledOver(x); ok {
		t.Error("it makes another one")
	}
	at := d.Call.Rolled[0].At
	for later, want := range map[int64]uint32{0: 300, -1_000_000: 300, 45_000: 345} {
		if _, known := secured(at + later); len(known) != 1 || known[0] != (plan.Rollover{SSRC: 9, ROC: 1, Seq: 7, Index: want}) {
			t.Errorf("%d µs after the event: %+v, want index %d", later, known, want)
		}
	}
}
