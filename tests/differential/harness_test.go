package differential

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseStep(t *testing.T) {
	p := &scriptParser{file: "x.txt", templates: map[string]template{
		"one": {params: []arg{{"port", int64(4000)}, {"extra", ""}}, lines: []string{"v=0", "m=audio $port RTP/AVP 0", "$extra"}},
	}}
	tests := []struct {
		in   string
		body []string
		want string
	}{
		{in: `ping %no-call-id`, want: "d7:command4:pinge"},
		{in: `ping`, want: "d7:command4:ping7:call-id1:Se"},
		{in: `list limit=-1`, want: "d7:command4:list5:limiti-1e7:call-id1:Se"},
		{in: `list limit="0"`, want: "d7:command4:list5:limit1:07:call-id1:Se"},
		{in: `"block media" call-id=x`, want: "d7:command11:block media7:call-id1:xe"},
		{in: `o flags=[a "b c"] codec={strip=[X]}`, want: "d7:command1:o5:flagsl1:a3:b ce5:codecd5:stripl1:Xee7:call-id1:Se"},
		{in: `o @one`, want: "d7:command1:o7:call-id1:S3:sdp29:v=0\r\nm=audio 4000 RTP/AVP 0\r\ne"},
		{in: `o @one(port=5 extra="a=x|a=y")`, want: "d7:command1:o7:call-id1:S3:sdp36:v=0\r\nm=audio 5 RTP/AVP 0\r\na=x\r\na=y\r\ne"},
		{in: `o %lf`, body: []string{"v=0", "(blank)", "a=x(noeol)"}, want: "d7:command1:o7:call-id1:S3:sdp8:v=0\n\na=xe"},
		{in: `o %json n=1 s="1"`, want: `{"command":"o","n":1,"s":"1","call-id":"S"}`},
		{in: `o sdp=$1.sdp`, want: "d7:command1:o3:sdp3:OLD7:call-id1:Se"},
	}
	for _, tt := range tests {
		st, err := p.parseStep("S", tt.in, tt.body)
		if err != nil {
			t.Errorf("%s: %v", tt.in, err)
			continue
		}
		got, err := st.payload([]map[string]any{{"sdp": "OLD"}})
		if err != nil {
			t.Errorf("%s: %v", tt.in, err)
			continue
		}
		if string(got) != tt.want {
			t.Errorf("%s:\n got %q\nwant %q", tt.in, got, tt.want)
		}
	}
}

func TestNormaliserNamesPorts(t *testing.T) {
	n := newNormaliser("s", 20000, 20999)
	sdp := func(c, m, rtcp string) []string {
		return n.sdp("v=0\r\nc=IN IP4 " + c + "\r\nm=audio " + m + " RTP/AVP 0\r\na=rtcp:" + rtcp + "\r\n")[2:]
	}
	tests := []struct{ c, m, rtcp, wantM, wantRTCP string }{
		{"203.0.113.1", "20010", "20011", "P1", "P1+1"},
		{"127.0.0.2", "20010", "20011", "P2", "P2+1"}, // same number on another interface
		{"203.0.113.1", "20010", "20010", "P1", "P1"},
		{"0.0.0.0", "20013", "20013", "P3", "P3"},
		{"203.0.113.1", "20013", "20014", "P3", "P3+1(odd RTP port)"},
		{"203.0.113.1", "4000", "4001", "4000", "4001"},
	}
	for _, tt := range tests {
		want := []string{"m=audio " + tt.wantM + " RTP/AVP 0", "a=rtcp:" + tt.wantRTCP}
		if d := cmp.Diff(want, sdp(tt.c, tt.m, tt.rtcp)); d != "" {
			t.Errorf("%v (-want +got):\n%s", tt, d)
		}
	}
}

func TestArrange(t *testing.T) {
	in := strings.Split("v=0\no=x\nb=TIAS:1\nb=AS:2\nc=IN IP4 A\nt=0 0\na=one\nm=audio P1 RTP/AVP 8 0\na=x:1\na=rtpmap:0 P\na=fmtp:8 f\na=rtpmap:8 P\na=mid:1\na=y\na=rtcp:1\na=sendrecv\nm=video 0 RTP/AVP 34\nc=IN IP4 B", "\n")
	want := strings.Split("v=0\no=x\nb=AS:2\nb=TIAS:1\nt=0 0\na=one\nm=audio P1 RTP/AVP 8 0\nc=IN IP4 A\na=mid:1\na=rtpmap:8 P\na=fmtp:8 f\na=rtpmap:0 P\na=x:1\na=y\na=sendrecv\na=rtcp:1\nm=video 0 RTP/AVP 34\nc=IN IP4 B", "\n")
	if d := cmp.Diff(want, arrange(in)); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	ordered := append([]string{"sdp:"}, want...)
	if got := disorder(ordered); got != nil {
		t.Errorf("disorder of an ordered SDP: %q", got)
	}
	if got := disorder(append([]string{"sdp:"}, in...)); len(got) == 0 {
		t.Error("disorder does not see the order of the input")
	}
}

func TestLineDiff(t *testing.T) {
	removed, added := lineDiff([]string{"a", "b", "c"}, []string{"a", "c", "d"})
	if d := cmp.Diff([]string{"b"}, removed); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]string{"d"}, added); d != "" {
		t.Error(d)
	}
}
