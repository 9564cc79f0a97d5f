package cli

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"rtpjet/cmd/rtpjet/config"
	"rtpjet/events"
	"rtpjet/projection"
	"rtpjet/projection/history"
	"rtpjet/projection/history/historytest"
	"rtpjet/tests/procs"
)

// TestCalls: what operators see of calls in the log.
func TestCalls(t *testing.T) {
	r := newRegion(t)
	r.write(living(), "one@example.com")
	r.write(ordinary(), "two@example.com")
	deleted := living()
	deleted.Do("delete", "from-tag", "alice")
	r.write(deleted, "odd\x1b[31m")
	golden(t, "calls.txt", r.transcript(
		"call list",
		"call show one@example.com",
		"call show one@exmaple.com", "call show nobody",
		"call history two@example.com --width 100", "call history two@example.com --full --width 100", "call history nobody",
		"call history two@example.com --at +3s", "call history two@example.com --at 10:00:02.000",
		"call history two@example.com --at 2001-01-01", "call history two@example.com --at soon",
		"call history two@example.com --diff 5 7", "call history two@example.com --diff 5..99 --full", "call history two@example.com --diff 5 7 --json",
		"call history two@example.com --diff 7 7", "call history two@example.com --diff 7 soon", "call history two@example.com --diff soon 7",
		"call why-alive two@example.com", "call why-alive two@example.com --json", "call why-alive nobody",
		"call export nobody",
	))
}

// TestCallsJSON: what scripts read of calls. The call and the events are those of projection and events, whose fields grow.
func TestCallsJSON(t *testing.T) {
	r := newRegion(t)
	r.write(living(), "one")
	r.write(ordinary(), "two")
	var list []projection.Call
	var show struct {
		Call   projection.Call
		Events []map[string]any
		Keys   []any
	}
	var at struct {
		Seq  uint64
		At   time.Time
		Call projection.Call
	}
	for line, into := range map[string]any{"call list --json": &list, "call show two --json": &show, "call history two --at 5 --json": &at} {
		out, err := r.run(line)
		if err == nil {
			err = json.Unmarshal([]byte(out), into)
		}
		if err != nil || strings.Count(out, "\n") != 1 {
			t.Errorf("%s: %v\n%s", line, err, out)
		}
	}
	if len(list) != 1 || list[0].ID != "one" || len(list[0].Parties) != 2 {
		t.Errorf("call list: %+v", list)
	}
	if show.Call.ID != "two" || len(show.Events) != 9 || show.Events[8]["kind"] != "ended" || show.Keys != nil {
		t.Errorf("call show: %+v", show)
	}
	if at.Seq != 5 || at.Call.Owner != "n1" || at.At.UnixMicro() != ordinary().History()[1].Envelope.At {
		t.Errorf("call history --at: %+v", at)
	}
}

// TestShowKeys: keys are shown to who asks for them and can open them.
func TestShowKeys(t *testing.T) {
	const key = "d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj"
	s := historytest.New()
	s.Do("offer", "from-tag", "alice", "sdp", historytest.SecureSDP("198.51.100.3", 4000, key))
	s.Do("answer", "from-tag", "alice", "to-tag", "bob", "sdp", historytest.SecureSDP("198.51.100.4", 4000, strings.ToUpper(key)))
	r := newRegion(t)
	r.write(s, "secret")
	file := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(file, []byte("a secret that is long enough for this\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for line, want := range map[string]bool{"call show secret": false, "call show secret --json": false, "call show secret --keys": true, "call show secret --json --keys": true} {
		out, err := r.run(line)
		if got := strings.Contains(out, key[:20]); err != nil || got != want {
			t.Errorf("%s: %v, the key is shown: %v\n%s", line, err, got, out)
		}
	}
	sealer, err := events.NewSealer([]byte("a secret that is long enough for this"))
	if err != nil {
		t.Fatal(err)
	}
	env := s.History()[0].Envelope
	env.Call = "sealed"
	data, err := events.Encode(sealer.Seal(env))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.log.Append(t.Context(), events.Key("sealed"), 0, data); err != nil {
		t.Fatal(err)
	}
	if _, err := r.run("call show sealed --keys"); err == nil || !strings.Contains(err.Error(), "give --cluster-key-file") || !strings.Contains(err.Error(), "cluster.key in its data directory") {
		t.Errorf("without the key: %v", err)
	}
	if out, err := r.run("call show sealed"); err != nil || strings.Contains(out, key[:20]) {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestUnreadable: an event that this build cannot read is shown as such, and the rest all the same.
func TestUnreadable(t *testing.T) {
	r := newRegion(t)
	r.write(living(), "one")
	_, last, err := r.log.Since(t.Context(), events.Key("one"), 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.log.Append(t.Context(), events.Key("one"), last, []byte(`{"v":99}`)); err != nil {
		t.Fatal(err)
	}
	if out, err := r.run("call list"); err == nil || !strings.Contains(out, "one") {
		t.Errorf("%v\n%s", err, out)
	}
	if out, err := r.run("call show one"); err != nil || !strings.Contains(out, "cannot be read") {
		t.Errorf("%v\n%s", err, out)
	}
	if out, err := r.run("replay one"); err == nil || !strings.Contains(out, "offered") {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestFollow: call history --follow goes on with what happens, until it is ended.
func TestFollow(t *testing.T) {
	for _, line := range []string{"call history later --follow --width 100", "call history later --follow --json"} {
		r := newRegion(t)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		cmd, err := config.ParseArgs(ctx, append(strings.Fields(line), "--nats", r.url), config.Env{})
		if err != nil {
			t.Fatal(err)
		}
		var out lines
		ended := make(chan error, 1)
		go func() { ended <- Run(ctx, cmd, &out) }()
		r.write(living(), "another") // of which nothing is to be seen
		r.write(ordinary(), "later")
		out.await(t, "ended")
		cancel()
		if err := <-ended; err != nil && !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", line, err)
		}
		text := out.String()
		if n := strings.Count(text, "taken"); n == 0 || strings.Contains(text, "another") {
			t.Errorf("%s:\n%s", line, text)
		}
	}
}

// lines are what a command has printed so far.
type lines struct{ procs.Output }

// await waits until a word was printed.
func (l *lines) await(t *testing.T, word string) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !strings.Contains(l.String(), word); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%q is not printed:\n%s", word, l.String())
		}
	}
}

// TestExport: a file of one call can be replayed without a log, and its keys are not in it.
func TestExport(t *testing.T) {
	const key = "d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj"
	r := newRegion(t)
	r.write(ordinary(), "two@example.com")
	secure := historytest.New()
	secure.Do("offer", "from-tag", "alice", "sdp", historytest.SecureSDP("198.51.100.3", 4000, key))
	r.write(secure, "secret")
	t.Chdir(t.TempDir())

	out, err := r.run("call export two@example.com -o two.rtpjet")
	if err != nil || !strings.HasPrefix(out, "two.rtpjet: 9 events; its keys are replaced") {
		t.Fatalf("%q, %v", out, err)
	}
	if out, err = r.run("call export secret"); err != nil || !strings.HasPrefix(out, "call-") {
		t.Fatalf("%q, %v", out, err)
	}
	name, _, _ := strings.Cut(out, ":")
	data, err := os.ReadFile(name)
	if err != nil || strings.Contains(string(data), key[:20]) {
		t.Errorf("%v, or the key is in the file", err)
	}
	if out, err := r.run("call export secret -o -"); err != nil || out != string(data) && len(out) < 100 {
		t.Errorf("%v: %d bytes", err, len(out))
	}
	if _, err := r.run("call export secret --sealed"); err == nil || !strings.Contains(err.Error(), "give --cluster-key-file") {
		t.Errorf("sealed without a key: %v", err)
	}
	if _, err := r.run("call export secret -o no/such/place"); err == nil || !strings.Contains(err.Error(), "cannot write no/such/place: no such file or directory") {
		t.Errorf("into nowhere: %v", err)
	}

	r.url = "nats://127.0.0.1:1" // nothing is needed of it
	for _, line := range []string{"replay two.rtpjet --rerun", "replay " + name + " --rerun"} {
		if out, err := r.run(line); err != nil || !strings.Contains(out, "no difference") {
			t.Errorf("%s: %v\n%s", line, err, out)
		}
	}
	if out, err := r.run("replay two.rtpjet --width 100"); err != nil || !strings.Contains(out, "takenover") && !strings.Contains(out, "taken") {
		t.Errorf("%v\n%s", err, out)
	}
	if _, err := r.run("replay three.rtpjet"); err == nil || !strings.Contains(err.Error(), `there is no file "three.rtpjet", and no log to look for a call of that name`) {
		t.Errorf("%v", err)
	}
	whole, err := os.ReadFile("two.rtpjet")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile("cut.rtpjet", whole[:len(whole)*2/3], 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := r.run("replay cut.rtpjet"); err == nil || !strings.Contains(err.Error(), "events before that place") || out == "" {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestReplayLog: the calls of a log are decided again.
func TestReplayLog(t *testing.T) {
	r := newRegion(t)
	r.write(ordinary(), "call")
	other := living()
	r.write(other, "other")
	golden(t, "replay.txt", r.transcript("replay call --width 100", "replay call --rerun", "replay call --rerun --json", "replay nobody",
		"replay --all", "replay --all --json", "replay --all --since 1h"))

	// An answer that this build would not give.
	wrong := living().History()
	env := wrong[0].Envelope
	cause := *env.Cause
	cause.Reply = []byte(strings.Replace(string(cause.Reply), "RTP/AVP 8", "RTP/AVP 9", 1))
	env.Cause, env.Call = &cause, "wrong"
	data, err := events.Encode(env)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.log.Append(t.Context(), events.Key("wrong"), 0, data); err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"replay wrong --rerun", "replay --all", "replay --all --json"} {
		out, err := r.run(line)
		if err == nil || !strings.Contains(err.Error(), "come out otherwise in this build") || out == "" {
			t.Errorf("%s: %v\n%s", line, err, out)
		}
	}
}

func TestMomentAt(t *testing.T) {
	list := history.Moments("call", ordinary().History()) // from 10:00:00, by 1001, 1004, …
	for text, want := range map[string]int{
		"1001": 0, "1005": 1, "9999": len(list) - 1, "+0s": 0, "2.4s": 5, "10:00:00": 0, "10:00:02.5": 5, "10:00": 0, "2026-08-01 10:00:00": 0,
		"2026-08-01T10:00:02.4Z": 5, "2026-08-01 10:00": 0, "09:59": len(list) - 1,
	} {
		if i, err := momentAt(list, text); err != nil || i != want {
			t.Errorf("%s: %d %v, want %d", text, i, err, want)
		}
	}
	for text, want := range map[string]string{
		"soon": "neither an event's number nor a time", "": "neither an event's number nor a time",
		"7": "nothing had happened yet; the first event is 1001, at 2026-08-01 10:00:00.000", "-1s": "nothing had happened yet",
		"2026-07-31 10:00": "nothing had happened yet",
	} {
		if i, err := momentAt(list, text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %d %v", text, i, err)
		}
	}
}

func FuzzMomentAt(f *testing.F) {
	list := history.Moments("call", ordinary().History())
	for _, text := range []string{"", "1001", "+90s", "10:00", "2026-08-01T10:00:02.4Z", "99:99", "1e9h"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if i, err := momentAt(list, text); err == nil && (i < 0 || i >= len(list)) {
			t.Errorf("%q: moment %d of %d", text, i, len(list))
		}
	})
}

func TestNear(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		want int
	}{
		{"abc", "abc", 0}, {"", "", 0}, {"", "ab", 2}, {"abc", "abd", 1}, {"abc", "xabc", 1}, {"abcd", "xxABCDxxxx", 1}, {"one@example.com", "one@exmaple.com", 2},
		{"kitten", "sitting", 3},
	} {
		if got := distance(tt.a, tt.b); got != tt.want || distance(tt.b, tt.a) != got {
			t.Errorf("%q, %q: %d and %d, want %d", tt.a, tt.b, got, distance(tt.b, tt.a), tt.want)
		}
	}
	long := strings.Repeat("x", 5000)
	if got := distance(long, long+"y"); got > 1 {
		t.Error(got)
	}
}

func TestSpan(t *testing.T) {
	for us, want := range map[int64]string{
		-1: "no time", 0: "0s", 1_234_567: "1.23s", 59_600_000: "1m0s", 3_599_000_000: "59m59s", 3_630_000_000: "1h1m0s",
	} {
		if got := span(us); got != want {
			t.Errorf("%d: %s, want %s", us, got, want)
		}
	}
}

// TestUnknownError: the error for a call that is not there can be asked for, and its text is said once.
func TestUnknownError(t *testing.T) {
	r := newRegion(t)
	_, err := r.run("call show nobody")
	if !errors.Is(err, errUnknown) || strings.Count(err.Error(), "there is no") != 1 {
		t.Error(err)
	}
}

// TestViewJSON: an event as JSON has the names that scripts read.
func TestViewJSON(t *testing.T) {
	env := living().History()[0].Envelope
	b, err := json.Marshal(viewOf(7, env, false))
	if err != nil {
		t.Fatal(err)
	}
	var v map[string]any
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"seq", "at", "node", "kind", "event", "cookie", "request", "reply"} {
		if v[name] == nil {
			t.Errorf("there is no %s in %s", name, b)
		}
	}
	if at, err := time.Parse(time.RFC3339Nano, v["at"].(string)); err != nil || at.UnixMicro() != env.At {
		t.Errorf("%v %v", at, err)
	}
}
