package projectiontest

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"rtpjet/events"
	"rtpjet/ngserver/ng"
	"rtpjet/projection"
)

var rewriteScripts = flag.Bool("rewrite", false, "write the outputs of scripts anew")

// RunScripts runs each script that matches the pattern as a subtest, with a Driver of its own. A script is a list of blocks,
// divided by empty lines; the lines after ---- are the output that is wanted:
//
//	# comment
//	offer from=a | generate-mid replace=[origin]
//	m=audio 4000 RTP/AVP 0
//	----
//	…
//
// Before the bar stand from, to, branch, label; behind it whatever rtpp-flags may hold. An SDP that does not begin with v=0
// gets a session part. Other commands: answer, delete, block media and its kind, "learned PARTY MEDIA rtp|rtcp ADDRESS
// [confirmed] [stale]", "wait DURATION", "due", and those that show knows. What is shown after the command is up to show; the
// rules of Check are tested after each, and that a replay of the log gives the same call.
func RunScripts(t *testing.T, pattern string, show func(d *Driver, command, sdp string) string) {
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts %s: %v", pattern, err)
	}
	for _, f := range files {
		t.Run(strings.TrimSuffix(filepath.Base(f), ".txt"), func(t *testing.T) { runScript(t, f, show) })
	}
}

func runScript(t *testing.T, file string, show func(d *Driver, command, sdp string) string) {
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	d := NewDriver()
	var all []string
	for block := range strings.SplitSeq(strings.Trim(string(data), "\n"), "\n\n") {
		input, want, ok := strings.Cut(block+"\n", "----\n")
		if !ok { // a comment
			all = append(all, block)
			continue
		}
		got := strings.TrimRight(d.block(t, input, show), "\n")
		all = append(all, strings.TrimRight(input+"----\n"+got, "\n"))
		if err := Check(&d.Call, d.Res); err != nil {
			t.Errorf("after\n%s%v", input, err)
		}
		if !reflect.DeepEqual(d.Replay(), &d.Call) {
			t.Errorf("after\n%sreplay gives %#v\nlive is %#v", input, d.Replay(), &d.Call)
		}
		if want = strings.TrimRight(want, "\n"); want != got && !*rewriteScripts {
			t.Errorf("%s\ngot:\n%s\n\nwant:\n%s", input, got, want)
		}
	}
	if *rewriteScripts {
		if err := os.WriteFile(file, []byte(strings.Join(all, "\n\n")+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// block carries out one block and returns its output.
func (d *Driver) block(t *testing.T, input string, show func(d *Driver, command, sdp string) string) string {
	var command, body string
	for line := range strings.SplitAfterSeq(input, "\n") {
		switch {
		case command != "":
			body += line
		case !strings.HasPrefix(line, "#"):
			command = strings.TrimSpace(line)
		}
	}
	head, flags, _ := strings.Cut(command, "|")
	words := strings.Fields(head)
	switch words[0] {
	case "offer", "answer", "delete", "block", "unblock", "silence":
		req, err := scriptRequest(words, flags, body)
		if err != nil {
			return "error: " + err.Error()
		}
		before := len(d.Log)
		text, err := d.Do(req)
		if err != nil {
			if len(d.Log) != before {
				t.Error("a refused command changed the call")
			}
			return "error: " + err.Error()
		}
		return show(d, words[0], strings.ReplaceAll(text, "\r\n", "\n"))
	case "learned":
		d.Append(d.learned(t, words[1:]))
	case "wait":
		w, err := time.ParseDuration(words[1])
		if err != nil {
			t.Fatal(err)
		}
		d.Now += w.Microseconds()
		return ""
	case "due":
		d.Append(projection.DecideDue(&d.Call, d.Now))
	}
	return show(d, words[0], "")
}

func (d *Driver) learned(t *testing.T, words []string) events.Event {
	ev := events.EndpointLearned{RTCP: words[2] == "rtcp", Confirmed: slices.Contains(words, "confirmed")}
	ev.Party, _ = strconv.Atoi(words[0])
	ev.Media, _ = strconv.Atoi(words[1])
	if err := ev.Remote.UnmarshalText([]byte(words[3])); err != nil {
		t.Fatal(err)
	}
	if p := d.Call.Party(ev.Party); p != nil && ev.Media < len(p.Medias) {
		ev.Signal = p.Medias[ev.Media].Signal
	}
	if slices.Contains(words, "stale") {
		ev.Signal--
	}
	return ev
}

func scriptRequest(words []string, flags, body string) (*ng.Request, error) {
	var command []string
	var keys []any
	names := map[string]string{"from": "from-tag", "to": "to-tag", "branch": "via-branch", "label": "label"}
	for _, w := range words {
		k, v, ok := strings.Cut(w, "=")
		switch name := names[k]; {
		case !ok:
			command = append(command, w)
		case name != "":
			keys = append(keys, name, v)
		default:
			keys = append(keys, k, v)
		}
	}
	if flags != "" {
		keys = append(keys, "rtpp-flags", strings.TrimSpace(flags))
	}
	if body != "" {
		keys = append(keys, "sdp", SDP(command[0], body))
	}
	return Request(strings.Join(command, " "), keys...)
}

// SDP completes a body that does not begin with v=0 by a session part, of alice for an offer and of bob for an answer. Lines
// end in CRLF.
func SDP(command, body string) string {
	if !strings.HasPrefix(body, "v=0") {
		who := "alice 1000 1 IN IP4 198.51.100.1"
		addr := "198.51.100.1"
		if command == "answer" {
			who, addr = "bob 2000 1 IN IP4 198.51.100.2", "198.51.100.2"
		}
		connection := fmt.Sprintf("c=IN IP4 %s\n", addr)
		if strings.HasPrefix(body, "c=") {
			connection, body, _ = strings.Cut(body, "\n")
			connection += "\n"
		}
		body = fmt.Sprintf("v=0\no=%s\ns=-\n%st=0 0\n%s", who, connection, body)
	}
	return strings.ReplaceAll(body, "\n", "\r\n")
}
