package history

import "testing"

func TestPrintable(t *testing.T) {
	for in, want := range map[string]string{
		"": "", "alice": "alice", "a b": "a b", "日本": "日本", "a\x1b[2J": `"a\x1b[2J"`, "\u009b2J": `"\u009b2J"`, "\u202egpj": `"\u202egpj"`, "a\u200bb": `"a\u200bb"`,
		"\xff": `"\xff"`, "a\nb": `"a\nb"`, "call-1@example.com": "call-1@example.com", "é": "é", "a\tb": `"a\tb"`, "\x1b[31m": `"\x1b[31m"`,
		"a\x7f": `"a\x7f"`, "\u009b31m": `"\u009b31m"`, "\u202egpj.exe": `"\u202egpj.exe"`, "\ufeff": `"\ufeff"`, "\u2066x": `"\u2066x"`,
		"a\u00a0b": `"a\u00a0b"`, "é\u0301": "é\u0301",
	} {
		if got := Printable(in); got != want {
			t.Errorf("%q: %s, want %s", in, got, want)
		}
	}
}
