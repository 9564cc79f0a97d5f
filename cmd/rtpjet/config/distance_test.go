package config

import (
	"strings"
	"testing"
)

// levenshtein counts as the definition says.
func levenshtein(a, b string) int {
	switch {
	case a == "" || b == "":
		return len(a) + len(b)
	case a[0] == b[0]:
		return levenshtein(a[1:], b[1:])
	}
	return 1 + min(levenshtein(a[1:], b), levenshtein(a, b[1:]), levenshtein(a[1:], b[1:]))
}

func TestEditDistance(t *testing.T) {
	words := []string{"", "a", "b", "ab", "ba", "abc", "acb", "abcd", "xabc", "timeout", "timeuot", "tmeout", "zone", "zones"}
	for _, a := range words {
		for _, b := range words {
			got, want := editDistance(a, b), levenshtein(a, b)
			if far := len(a)-len(b) > 2 || len(b)-len(a) > 2; far && got <= 2 || !far && got != want {
				t.Errorf("%q, %q: %d, want %d", a, b, got, want)
			}
		}
	}
}

func FuzzEditDistance(f *testing.F) {
	f.Add("timeout", "timeuot")
	f.Add("", "abc")
	f.Fuzz(func(t *testing.T, a, b string) {
		if len(a) > 6 || len(b) > 6 {
			a, b = a[:min(6, len(a))], b[:min(6, len(b))]
		}
		got, want := editDistance(a, b), levenshtein(a, b)
		if (got <= 2 || want <= 2) && got != want || editDistance(b, a) != got && got <= 2 {
			t.Errorf("%q, %q: %d, want %d", a, b, got, want)
		}
	})
}

// TestSuggestions: a typing error leads to what was meant, and to no more than three names.
func TestSuggestions(t *testing.T) {
	for name, want := range map[string]string{
		"timeuot":    "; did you mean --timeout?",
		"tos-":       "; did you mean --tos or --mos?",
		"nats-cred":  "; did you mean --nats-creds?",
		"listen-gn":  "; did you mean --listen-ng?",
		"port":       "; did you mean --port-max or --port-min?",
		"homr":       "; did you mean --homer?",
		"xxxxxxxxxx": "; rtpjet help COMMAND lists the options",
		"":           "; rtpjet help COMMAND lists the options",
		"i":          "; rtpjet help COMMAND lists the options",
	} {
		if got := serveTable.suggest(name); got != want {
			t.Errorf("%q: %s", name, got)
		}
	}
	for i := range serveOptions {
		name := serveOptions[i].long
		if len(name) < 5 {
			continue
		}
		wrong := name[:2] + name[3:]
		if serveTable.long[wrong] != nil {
			continue
		}
		if got := serveTable.suggest(wrong); !strings.Contains(got, "--"+name) || strings.Count(got, "--") > 3 {
			t.Errorf("--%s, written --%s: %s", name, wrong, got)
		}
	}
	for name, want := range map[string]string{
		"sreve": "; did you mean rtpjet serve?", "noed": "; did you mean rtpjet node?", "rgion": "; did you mean rtpjet region?", "calls": "; did you mean rtpjet call?",
		"x": "; rtpjet help lists the commands", "": "; rtpjet help lists the commands", "nodelist": "; rtpjet help lists the commands",
	} {
		if got := suggestCommand(name); got != want {
			t.Errorf("%q: %s", name, got)
		}
	}
}

// TestFamilies: no option of ours begins like those that are passed over, else a typing error of it would be passed over too.
func TestFamilies(t *testing.T) {
	for i := range serveOptions {
		for _, f := range families {
			if strings.HasPrefix(serveOptions[i].long, f) && f != "log-level-" {
				t.Errorf("--%s begins with %s", serveOptions[i].long, f)
			}
		}
	}
	for _, f := range families {
		if o := serveTable.ofFamily(f + "something-quite-new"); o == nil || o.used() {
			t.Errorf("--%ssomething-quite-new is not passed over", f)
		}
	}
	for _, known := range []string{"redis-writ", "homer-idd", "log-level", "dtls-mtuu"} {
		if o := serveTable.ofFamily(known); o != nil {
			t.Errorf("--%s is passed over", known)
		}
	}
}
