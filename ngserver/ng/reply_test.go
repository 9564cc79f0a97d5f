package ng

import (
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rtpjet/ngserver/bencode"
)

func TestReply(t *testing.T) {
	query := OK()
	query.Int("created", 1700000000).Str("metadata", "x\x00\"y").Bool("recording", true)
	query.Obj("totals").Obj("RTP").Int("packets", 1).Int("bytes", -2)
	query.List("flags", Str("RTP"), Int64(5), ListOf(), NewObject().Value())
	query.Objs("tags", NewObject().Str("tag", "a")).Strs("none").Float("mos", 4.3)
	twice := OK()
	twice.Str("a", "1").Str("b", "2").Str("a", "3")
	shed := &Request{Supports: []string{"load limit"}}
	tests := []struct {
		name          string
		reply         Reply
		bencode, json string
	}{
		{"ok", OK(), "d6:result2:oke", `{"result":"ok"}`},
		{"pong", Pong(), "d6:result4:ponge", `{"result":"pong"}`},
		{"warning", Warning("w"), "d7:warning1:w6:result2:oke", `{"warning":"w","result":"ok"}`},
		{"error", Error("why"), "d6:result5:error12:error-reason3:whye", `{"result":"error","error-reason":"why"}`},
		{"zero", Reply{}, "d6:result5:error12:error-reason14:Internal errore", `{"result":"error","error-reason":"Internal error"}`},
		{"raw", Raw([]byte("de")), "de", "de"},
		{"load limit", LoadLimit(shed, ReasonCPULimit), "d7:message24:CPU usage limit exceeded6:result10:load limite", ""},
		{"load limit for others", LoadLimit(&Request{}, ReasonCPULimit), "d6:result5:error12:error-reason30:Parallel session limit reachede", ""},
		{"twice", twice, "d1:a1:31:b1:26:result2:oke", `{"a":"3","b":"2","result":"ok"}`},
		{
			"tree", query,
			"d7:createdi1700000000e8:metadata4:x\x00\"y9:recordingi1e6:totalsd3:RTPd7:packetsi1e5:bytesi-2eee" +
				"5:flagsl3:RTPi5eledee4:tagsld3:tag1:aee4:nonele3:mos8:4.3000006:result2:oke",
			`{"created":1700000000,"metadata":"x\u0000\"y","recording":1,"totals":{"RTP":{"packets":1,"bytes":-2}},` +
				`"flags":["RTP",5,[],{}],"tags":[{"tag":"a"}],"none":[],"mos":"4.300000","result":"ok"}`,
		},
	}
	for _, tt := range tests {
		if got := string(tt.reply.Append([]byte("c "), Bencode)); got != "c "+tt.bencode {
			t.Errorf("%s:\n got %q\nwant %q", tt.name, got, "c "+tt.bencode)
		}
		if got := string(tt.reply.Append(nil, JSON)); tt.json != "" && got != tt.json {
			t.Errorf("%s:\n got %s\nwant %s", tt.name, got, tt.json)
		}
	}
	if r := Error("why"); r.Result() != ResultError || r.Reason() != "why" {
		t.Errorf("error says %q, %q", r.Result(), r.Reason())
	}
}

func TestJSONStrings(t *testing.T) {
	for in, want := range map[string]string{
		"": "", "plain": "plain", "\"\\/\b\f\n\r\t\x01\x7f": "\"\\/\b\f\n\r\t\x01\x7f", "ünï – 😀": "ünï – 😀",
		"\u2028<&>": "\u2028<&>", "a\xffb\xc3": "a\ufffdb\ufffd", "\xf0\x9f": "\ufffd\ufffd",
	} {
		got := Str(in).AppendJSON(nil)
		var back string
		if err := json.Unmarshal(got, &back); err != nil || back != want {
			t.Errorf("%q: %s, which is %q, %v", in, got, back, err)
		}
	}
	out, err := json.Marshal(map[string]any{"v": NewObject().Int("n", 1).Value()})
	if err != nil || string(out) != `{"v":{"n":1}}` {
		t.Errorf("through encoding/json: %s, %v", out, err)
	}
}

// Setting a key of a small dictionary again replaces it; a large one (tags, SSRCs) is filled without looking.
func TestObjectSet(t *testing.T) {
	o := NewObject()
	for i := range 10_000 {
		o.Int(strconv.Itoa(i), 1)
	}
	if o.Len() != 10_000 {
		t.Errorf("%d entries", o.Len())
	}
	if o = NewObject().Int("a", 1).Int("a", 2); o.Len() != 1 {
		t.Errorf("%d entries for one key", o.Len())
	}
}

func TestDecodeDict(t *testing.T) {
	tests := []struct {
		in     string
		enc    Encoding
		reason string
	}{
		{"", Bencode, ReasonNoPayload},
		{"x", Bencode, ReasonBadFormat},
		{"[1]", Bencode, ReasonBadFormat},
		{"d", Bencode, ReasonBadBencode},
		{"de", Bencode, ""},
		{"d1:ai1eetrailer", Bencode, ""},
		{"{", JSON, ReasonBadJSON},
		{"{}", JSON, ""},
		{"{} \n", JSON, ""},
		{"{}{}", JSON, ReasonBadJSON},
		{`{"a":1,}`, JSON, ReasonBadJSON},
		{`{"a" 1}`, JSON, ReasonBadJSON},
		{`{"a":[1,2}`, JSON, ReasonBadJSON},
		{`{a:1}`, JSON, ReasonBadJSON},
		{"{\"a\":\"\xff\"}", JSON, ReasonBadJSON},
		{`{"a":` + strings.Repeat("[", bencode.MaxDepth) + strings.Repeat("]", bencode.MaxDepth) + "}", JSON, ReasonBadJSON},
		{`{"a":` + strings.Repeat("[", bencode.MaxDepth-1) + strings.Repeat("]", bencode.MaxDepth-1) + "}", JSON, ""},
	}
	for _, tt := range tests {
		_, enc, err := DecodeDict([]byte(tt.in))
		if enc != tt.enc {
			t.Errorf("%.40q: encoding %v", tt.in, enc)
		}
		var re *ReasonError
		if tt.reason == "" && err != nil || tt.reason != "" && (!errors.As(err, &re) || re.Reason != tt.reason) {
			t.Errorf("%.40q: %v, want %q", tt.in, err, tt.reason)
		}
	}
	d, _, err := DecodeDict([]byte(`{"b":[1,-2,3.5,"x",true,null],"a":{"n":12345678901234567890}}`))
	if err != nil {
		t.Fatal(err)
	}
	want := &Dict{Keys: []string{"b", "a"}, Values: []any{
		List{int64(1), int64(-2), 3.5, "x", true},
		&Dict{Keys: []string{"n"}, Values: []any{int64(1<<63 - 1)}},
	}}
	if diff := cmp.Diff(want, d); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

func TestParseAddr(t *testing.T) {
	for in, want := range map[string]string{
		"192.0.2.1": "192.0.2.1", " 192.0.2.1\t": "192.0.2.1", "[::1]": "::1", "IP4 192.0.2.1": "192.0.2.1",
		"ip6:2001:db8::1": "2001:db8::1", "IP6 [::1]": "::1", "::ffff:192.0.2.1": "192.0.2.1", "fe80::1%eth0": "fe80::1",
	} {
		if got := ParseAddr(in); got.String() != want {
			t.Errorf("%q: %v, want %s", in, got, want)
		}
	}
	for _, in := range []string{"", "IP4", "IP4 ", "192.0.2", "192.0.2.256", "host", "[", "[]", "1.2.3.4:5", "1.2.3.4/24"} {
		if got := ParseAddr(in); got.IsValid() {
			t.Errorf("%q: %v", in, got)
		}
	}
}
