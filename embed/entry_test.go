package embed

import (
	"fmt"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
)

// TestParseDelivery: both forms of the reply subject of a delivery (NATS's ADR-15).
func TestParseDelivery(t *testing.T) {
	want := delivery{streamSeq: 712, consumerSeq: 3, pending: 9, time: 1700000000123456789}
	for _, reply := range []string{
		"$JS.ACK.CALLS_r.c1.1.712.3.1700000000123456789.9",
		"$JS.ACK._.account.CALLS_r.c1.1.712.3.1700000000123456789.9",
		"$JS.ACK.domain.account.CALLS_r.c1.1.712.3.1700000000123456789.9.random",
	} {
		if got, ok := parseDelivery(reply); !ok || got != want {
			t.Errorf("%s: %+v, %v", reply, got, ok)
		}
	}
	for _, reply := range []string{
		"", "$JS.ACK.", "_INBOX.x.1", "$JS.ACK.CALLS_r.c1.1.712.3.17",
		"$JS.ACK.CALLS_r.c1.1.712.3.17.9.more", "$JS.ACK.CALLS_r.c1.1.x.3.17.9", "$JS.ACK.CALLS_r.c1.1.-7.3.17.9", "$JS.ACK.CALLS_r.c1.1.7.3.17.",
	} {
		if got, ok := parseDelivery(reply); ok {
			t.Errorf("%q: %+v", reply, got)
		}
	}
}

func FuzzParseDelivery(f *testing.F) {
	f.Add("$JS.ACK.CALLS_r.c1.1.712.3.1700000000123456789.9")
	f.Add("$JS.ACK._.account.CALLS_r.c1.1.712.3.1700000000123456789.9")
	f.Fuzz(func(t *testing.T, reply string) {
		d, ok := parseDelivery(reply)
		if !ok {
			return
		}
		again := fmt.Sprintf("$JS.ACK.s.c.1.%d.%d.%d.%d", d.streamSeq, d.consumerSeq, d.time, d.pending)
		if got, ok := parseDelivery(again); !ok || got != d {
			t.Errorf("%q is %+v, and %s is %+v", reply, d, again, got)
		}
	})
}

func FuzzParseAck(f *testing.F) {
	for _, s := range []string{`{"stream":"X","seq":12}`, `{"stream":"X","seq":12,"duplicate":true}`, `{"error":{"code":400,"err_code":10071}}`, "", "{"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if a, err := parseAck(b); err == nil && a.Error == nil && a.Seq == 0 && !strings.Contains(string(b), `"seq":`) {
			t.Errorf("%q is an acknowledgement of nothing", b)
		}
	})
}

// TestParseAck: the quick way and the long one.
func TestParseAck(t *testing.T) {
	for _, c := range []struct {
		text string
		seq  uint64
		dup  bool
		code int // of an error
	}{
		{`{"stream":"CALLS_r","seq":712}`, 712, false, 0},
		{`{"stream":"CALLS_r","domain":"eu","seq":712,"duplicate":true}`, 712, true, 0},
		{`{"stream":"CALLS_r", "seq": 712}`, 712, false, 0}, // not as the server writes it
		{`{"error":{"code":400,"err_code":10071,"description":"wrong last sequence: 7"},"stream":"CALLS_r","seq":0}`, 0, false, 10071},
	} {
		a, err := parseAck([]byte(c.text))
		code := 0
		if a.Error != nil {
			code = a.Error.ErrCode
		}
		if err != nil || a.Seq != c.seq || a.Dup != c.dup || code != c.code {
			t.Errorf("%s: %+v, %v", c.text, a, err)
		}
	}
	for _, text := range []string{"", "{", `{"stream":"CALLS_r"}`, `{"seq":-1}`, `{"seq":99999999999999999999}`} {
		if a, err := parseAck([]byte(text)); err == nil {
			t.Errorf("%q: %+v", text, a)
		}
	}
}

// TestStatus: a message of the server on its own account has a status and no data.
func TestStatus(t *testing.T) {
	with := func(data string) *nats.Msg {
		return &nats.Msg{Header: nats.Header{"Status": []string{"404"}}, Data: []byte(data)}
	}
	if got := status(with("")); got != "404" {
		t.Errorf("%q", got)
	}
	if got := status(with("an entry")) + status(&nats.Msg{}); got != "" {
		t.Errorf("%q", got)
	}
}
