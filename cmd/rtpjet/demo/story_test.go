package demo

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"rtpjet/ngserver/bencode"
)

// TestRunWithDouble tells the whole story in this process, with nodes that are doubles: what is told, and what is left behind.
func TestRunWithDouble(t *testing.T) {
	temp := emptyTemp(t)
	c := newCluster(t, temp)
	var out, errs bytes.Buffer
	if code := Run(t.Context(), []string{"--calls=4"}, &out, &errs); code != exitOK || errs.Len() > 0 {
		t.Fatalf("exit code %d: %s\n%s", code, &errs, &out)
	}
	told, last := strings.Join(strings.Fields(out.String()), " "), 0 // without the breaks between lines
	for _, want := range []string{
		`0\.\d s Starting three nodes: n1 on [\d.]+:\d+, n2 on [\d.]+:\d+ and n3 on [\d.]+:\d+\.`,
		`All three answer, and are one cluster\.`, `Watch it in a browser: http://[\d.]+:\d+/`,
		`Placing 4 calls\. Chance decides`, `All are up: n1 relays \d, n2 relays \d and n3 relays \d\.`,
		`An offer or an answer took \d.* at the median`, `Voice goes both ways through all of them: [\d,]+ packets heard, [\d,]+ lost\.`,
		`Any node is asked for each call, and knows it\. \d+ of 12 commands so far reached a node`,
		`One of them in detail, call [1-4]:`, `offer at n[123]: relayed by n[123], callee sends to [\d.]+:\d+`, `query at n[123]: knows both addresses`,
		`Killing n[123] \(kill -9, process \d+\), which relays \d calls?\.`, `were asked at once for all calls, and know 4 of 4\.`,
		`signalled anew, by a re-INVITE through any survivor: of these, n\d relays \d and n\d relays \d now\.`, `From the kill until both ends heard each other again: `, `Call [1-4] again:`, `now relayed by n[123]`, `silent for`,
		`Starting n[123] again\.`, `answered after .*\. Asked for all 4 calls`, `All calls have been deleted, and no node lists any\.`,
		`4 calls, \d of them relayed by n[123] when it was killed\.`, `knew 4 of 4; n[123], started again, agreed on 4\.`, `none failed`, `It took \d+\.\d s\.`,
		`the nodes have been ended and their files removed`,
	} {
		at := regexp.MustCompile(want).FindStringIndex(told[last:])
		if at == nil {
			t.Errorf("%q is not told, or not then:\n%s", want, &out)
			break
		}
		last += at[0]
	}
	for line := range strings.Lines(out.String()) {
		if strings.Contains(line, tie) || len(strings.TrimRight(line, "\n")) > columns {
			t.Errorf("%q", line)
		}
	}
	if err := os.Remove(filepath.Join(temp, controlFile)); err != nil {
		t.Fatal(err)
	}
	mustBeEmpty(t, temp)
	count := map[string]int{}
	for _, o := range c.ordered() {
		name, _, _ := strings.Cut(o, " ")
		count[name]++
	}
	// Each call is offered and answered once, and once more if it was of the killed node; asked for twice while all are up, after the
	// kill, and by the node that is back.
	if count["offer"] <= 4 || count["offer"] != count["answer"] || count["query"] != 12 || count["delete"] != 4 || count["list"] < nodeCount {
		t.Errorf("commands: %v", count)
	}
}

// TestStray: a packet that is heard in another call is a failure, though all else is well, and all is kept for who wants to know why.
func TestStray(t *testing.T) {
	temp := emptyTemp(t)
	c := newCluster(t, temp)
	n := 0
	c.media = func(_ *relayed, _ int, packet []byte) []byte {
		if n++; n == 20 {
			binary.BigEndian.PutUint32(packet[offPhone:], 99)
		}
		return packet
	}
	var out, errs bytes.Buffer
	if code := Run(t.Context(), []string{"--calls", "2"}, &out, &errs); code != exitFailed {
		t.Fatalf("exit code %d: %s\n%s", code, &errs, &out)
	}
	kept, err := filepath.Glob(filepath.Join(temp, "rtpjet-demo-*"))
	if err != nil || len(kept) != 1 {
		t.Fatal(kept, err)
	}
	for _, want := range []string{
		"\nrtpjet demo: 1 packet heard in calls that they do not belong to\n", "\nn1, the end of n1.log:\n  a node begins\n",
		"\nn3, the end of n3.log:\n", "\nThe nodes have been ended. All they wrote is in " + kept[0] + "\n",
	} {
		if !strings.Contains(errs.String(), want) {
			t.Errorf("%s\nlacks %q", &errs, want)
		}
	}
	if strings.Contains(out.String(), "It took") {
		t.Errorf("there is a summary all the same:\n%s", &out)
	}
}

// untilBack places the calls and has them talk, as the story does, and kills a node and brings it back if that goes well.
func (d *demo) untilBack(ctx context.Context) error {
	if err := d.placeCalls(ctx); err != nil {
		return err
	}
	if err := each(d.calls, 0, func(c *call) error { _, err := c.voice(ctx); return err }); err != nil {
		return err
	}
	if err := d.askAround(ctx); err != nil {
		return err
	}
	l, err := d.loseOne(ctx)
	if err != nil {
		return err
	}
	if _, err := d.bringBack(ctx, l.victim); err != nil {
		return err
	}
	return d.deleteAll(ctx)
}

// TestFaultsAreFound plants what a cluster could do wrong. A demonstration that does not see it shows nothing.
func TestFaultsAreFound(t *testing.T) {
	t.Parallel()
	is := func(cmd *bencode.Dict, name string) bool { return text(cmd, "command") == name }
	for name, tt := range map[string]struct {
		reply func(c *cluster, at string, cmd, reply *bencode.Dict)
		want  string
	}{
		"none": {func(*cluster, string, *bencode.Dict, *bencode.Dict) {}, ""},
		"an offer is refused": {func(_ *cluster, _ string, cmd, reply *bencode.Dict) {
			if is(cmd, "offer") {
				reply.Set("result", "error").Add("error-reason", "no more ports")
			}
		}, `^call \d: offer at n[123]: the reply is error "no more ports"`},
		"an answer is refused": {func(_ *cluster, _ string, cmd, reply *bencode.Dict) {
			if is(cmd, "answer") {
				reply.Set("result", "load limit")
			}
		}, `^call \d: answer at n[123]: the reply is load limit ""`},
		"an answer without SDP": {func(_ *cluster, _ string, cmd, reply *bencode.Dict) {
			if is(cmd, "answer") {
				reply.Set("sdp", []byte("v=0\r\n"))
			}
		}, `^call \d: answer at n[123]: the SDP in the reply names no address for media`},
		"an address of nobody": {func(_ *cluster, _ string, cmd, reply *bencode.Dict) {
			if is(cmd, "offer") {
				reply.Set("sdp", []byte("c=IN IP4 192.0.2.1\r\nm=audio 4000 RTP/AVP 0\r\n"))
			}
		}, `^call \d: the SDPs name [\d.:]+ and 192\.0\.2\.1:4000, which are not addresses of one node`},
		"a query with other addresses": {func(_ *cluster, _ string, cmd, reply *bencode.Dict) {
			if stream := dig(reply, "tags", "callee1", "medias", "streams"); stream != nil {
				stream.Set("local port", 7)
			}
		}, `call 1: query at n[123] names [\d.]+:7 for callee1, and the SDP said [\d.]+:\d+`},
		"a query without addresses": {func(_ *cluster, _ string, cmd, reply *bencode.Dict) {
			if is(cmd, "query") {
				reply.Set("tags", new(bencode.Dict))
			}
		}, `call 1: query at n[123] names :<nil> for caller1, and the SDP said [\d.]+:\d+`},
		"the survivors know nothing": {func(c *cluster, _ string, cmd, reply *bencode.Dict) {
			if is(cmd, "query") && c.count("query") > 3 {
				reply.Set("result", "error").Set("error-reason", "Unknown call-id")
			}
		}, `^after n[123] was killed: call \d: query at n[123]: the reply is error "Unknown call-id"`},
		"the addresses of the killed node once more": {func(c *cluster, _ string, cmd, reply *bencode.Dict) {
			if is(cmd, "offer") || is(cmd, "answer") {
				reply.Set("sdp", []byte(c.first[text(cmd, "command")+text(cmd, "call-id")]))
			}
		}, `^after n[123] was killed: call \d: the SDPs after the kill name [\d.:]+ and [\d.:]+, which are no new addresses`},
		"one of the addresses of the killed node": {func(c *cluster, _ string, cmd, reply *bencode.Dict) {
			if is(cmd, "offer") {
				reply.Set("sdp", []byte(c.first["offer"+text(cmd, "call-id")]))
			}
		}, `^after n[123] was killed: call \d: the SDPs name [\d.:]+ and [\d.:]+, which are not addresses of one node`},
		"who comes back knows nothing": {func(c *cluster, _ string, cmd, reply *bencode.Dict) {
			if is(cmd, "query") && c.count("query") > 6 {
				reply.Set("result", "error").Set("error-reason", "Unknown call-id")
			}
		}, `^after n[123] was started again: call \d: query at n[123]: the reply is error`},
		"a delete warns": {func(_ *cluster, _ string, cmd, reply *bencode.Dict) {
			if is(cmd, "delete") {
				reply.Add("warning", "Call-ID not found or tags didn't match")
			}
		}, `^call \d: delete at n[123]: the reply warns: Call-ID not found or tags didn't match`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCluster(t, t.TempDir())
			c.reply = func(at string, cmd, reply *bencode.Dict) bool { tt.reply(c, at, cmd, reply); return true }
			d, out := c.started(3)
			err := d.untilBack(t.Context())
			switch {
			case tt.want == "" && err != nil:
				t.Errorf("%v\n%s", err, out)
			case tt.want != "" && (err == nil || !regexp.MustCompile(tt.want).MatchString(err.Error())):
				t.Errorf("%v, want %s\n%s", err, tt.want, out)
			}
		})
	}
}

// count is how often a command was given. The cluster is locked.
func (c *cluster) count(name string) int {
	n := 0
	for _, o := range c.order {
		if strings.HasPrefix(o, name+" ") {
			n++
		}
	}
	return n
}

// TestLostCommand: a command whose reply is lost is sent again with the same cookie, as a proxy does, and told of.
func TestLostCommand(t *testing.T) {
	t.Parallel()
	c := newCluster(t, t.TempDir())
	lost := 0
	c.reply = func(_ string, cmd, _ *bencode.Dict) bool {
		if text(cmd, "to-tag") != "" && text(cmd, "command") == "offer" && lost == 0 {
			lost++
			return false
		}
		return true
	}
	d, out := c.started(2)
	if err := d.untilBack(t.Context()); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	// More than the one that was lost, if this machine is slow.
	if !regexp.MustCompile(`1 command had|\d+ commands had`).MatchString(out.String()) || d.ng.resent.Load() == 0 || lost != 1 {
		t.Errorf("sent again: %d\n%s", d.ng.resent.Load(), out)
	}
}

// TestStillListed: calls that a node goes on listing are not told to be gone.
func TestStillListed(t *testing.T) {
	t.Parallel()
	c := newCluster(t, t.TempDir())
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	enough := errors.New("enough")
	lists := 0
	c.reply = func(_ string, cmd, reply *bencode.Dict) bool {
		if text(cmd, "command") == "list" {
			if lists++; lists == 3 {
				cancel(enough)
			}
			reply.Set("calls", bencode.List{"one", "two"})
		}
		return true
	}
	d, out := c.started(1)
	if err := d.deleteAll(ctx); !errors.Is(err, enough) || out.Len() > 0 {
		t.Errorf("%v\n%s", err, out)
	}
}
