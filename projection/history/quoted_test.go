package history

import "testing"

func TestQuoted(t *testing.T) {
	for in, want := range map[string]string{
		"": "", "alice": "alice", "a b": "a b", "日本": "日本", "a\x1b[2J": `"a\x1b[2J"`, "\u009b2J": `"\u009b2J"`, "\u202egpj": `"\u202egpj"`, "a\u200bb": `"a\u200bb"`,
		"\xff": `"\xff"`, "a\nb": `"a\nb"`,
	} {
		if got := quoted(in); got != want {
			t.Errorf("%q: %s, want %s", in, got, want)
		}
	}
}
