package cli

import (
	"encoding/json"
	"strconv"
	"strings"
	"testing"

	"rtpjet/events"
	"rtpjet/projection/history/historytest"
)

// hostile are texts that a stranger may choose for a call-id or a tag: they clear the screen, turn the direction of writing, and
// forge a line.
var hostile = []string{"a\x1b[2Jb", "a\u202eb", "a\u009b2Jb", "a\nforged  n1", "a\rb", "a\tb", "a\x00b", "a\u200bb"}

// TestHostileNames: nothing that a stranger has chosen reaches the terminal as it is, and JSON has it nevertheless.
func TestHostileNames(t *testing.T) {
	r := newRegion(t)
	for _, name := range hostile {
		s := historytest.New()
		s.Do("offer", "from-tag", name, "sdp", historytest.SDP("198.51.100.1", 4000), "label", name)
		s.Do("answer", "from-tag", name, "to-tag", name+"2", "sdp", historytest.SDP("198.51.100.2", 6000))
		r.write(s, name)
	}
	clean := func(what, text string) {
		t.Helper()
		for _, c := range text {
			if c != '\n' && !strconv.IsPrint(c) {
				t.Errorf("%s prints %q:\n%q", what, c, text)
				return
			}
		}
		if strings.Contains(text, "\nforged") {
			t.Errorf("%s prints a forged line:\n%s", what, text)
		}
	}
	out, err := r.run("call list")
	if err != nil || strings.Count(out, "\n") != 1+len(hostile) {
		t.Errorf("%v\n%s", err, out)
	}
	clean("call list", out)
	for _, name := range hostile {
		for _, words := range [][]string{
			{"call", "show"}, {"call", "why-alive"}, {"call", "history"}, {"call", "history", "--full"}, {"call", "history", "--at", "1"},
			{"call", "history", "--diff", "1..9999"}, {"call", "history", "--diff", "1..9999", "--full"}, {"replay"}, {"replay", "--rerun"},
		} {
			out, err := r.runWords(t.Context(), append(words, "--", name)...)
			clean(strings.Join(words, " "), out)
			if err != nil {
				clean(strings.Join(words, " ")+"'s error", err.Error())
			}
		}
		// Those that are near what was not found.
		for _, verb := range []string{"show", "history", "why-alive", "export"} {
			_, err := r.runWords(t.Context(), "call", verb, "--", "x"+name)
			if err == nil {
				t.Errorf("call %s of nobody", verb)
				continue
			}
			clean("call "+verb, err.Error())
		}
	}
	for _, name := range hostile {
		out, err := r.runWords(t.Context(), "call", "show", "--json", "--", name)
		var show struct {
			Call struct {
				ID string `json:"id"`
			} `json:"call"`
			Events []struct{ Kind string }
		}
		if err != nil || json.Unmarshal([]byte(out), &show) != nil || len(show.Events) != 2 || strings.Count(out, "\n") != 1 {
			t.Errorf("%q: %v\n%s", name, err, out)
		}
	}
}

// TestSuggestions: up to three call-ids that are near, the nearest first, those of the archive and the living alike.
func TestSuggestions(t *testing.T) {
	r := newRegion(t)
	for _, id := range []string{"call-0001@example.com", "call-0011@example.com", "call-0111@example.com", "call-1111@example.com", "other"} {
		r.write(living(), id)
	}
	for id, want := range map[string]string{
		"call-0000@example.com": `"call-0000@example.com" in the log or the archive; did you mean call-0001@example.com, or call-0011@example.com, or call-0111@example.com?`,
		"CALL-1111":             `"CALL-1111" in the log or the archive; did you mean call-1111@example.com?`,
		"othre":                 `"othre" in the log or the archive; did you mean other?`,
		"nothing-like-it":       `"nothing-like-it" in the log or the archive; rtpjet call list names those that live`,
	} {
		_, err := r.run("call show " + id)
		if err == nil || err.Error() != "there is no call "+want {
			t.Errorf("%s: %v", id, err)
		}
	}
	// A call that cannot be read is nobody's suggestion, and no failure.
	if _, err := r.log.Append(t.Context(), events.Key("odd"), 0, []byte("{")); err != nil {
		t.Fatal(err)
	}
	if _, err := r.run("call show otherr"); err == nil || !strings.HasSuffix(err.Error(), "did you mean other?") {
		t.Error(err)
	}
}
