package config

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

func TestParseINI(t *testing.T) {
	f, err := parseINI("x.conf", []byte("\xef\xbb\xbf# c\r\n; d\r\n[ one ]\r\na=1\r\n  b = two words # no comment\r\nb=\r\n\r\n[two]\r\n[one]\r\nc = x = y\r\n"))
	if err != nil {
		t.Fatal(err)
	}
	want := []iniKey{{"a", "1", 4}, {"b", "two words # no comment", 5}, {"b", "", 6}, {"c", "x = y", 10}}
	if g := f.group("one"); g == nil || !slices.Equal(g.keys, want) {
		t.Errorf("group one: %+v", g)
	}
	if g := f.group("two"); g == nil || len(g.keys) != 0 {
		t.Errorf("group two: %+v", g)
	}
	if f.group("three") != nil {
		t.Error("there is a third group")
	}
}

func TestParseINIFaults(t *testing.T) {
	_, err := parseINI("x.conf", []byte("a = 1\n[one\nfoo\n[]\n= 2\n"+strings.Repeat("x", 500)))
	if !errors.Is(err, ErrUsage) {
		t.Fatalf("%v", err)
	}
	lines := strings.Split(err.Error(), "\n")
	for i, want := range []string{"line 1:", "line 2:", "line 3:", "line 4:", "line 5:", "line 6:"} {
		if i >= len(lines) || !strings.Contains(lines[i], want) || len(lines[i]) > 200 {
			t.Errorf("fault %d: %q", i, lines)
		}
	}
}

func TestINIList(t *testing.T) {
	tests := map[string][]string{
		"":                 nil,
		";":                {""},
		"a":                {"a"},
		"a;b":              {"a", "b"},
		" a ; b ; ":        {"a", "b"},
		`a\;b;c`:           {"a;b", "c"},
		`one\stwo;\\;\t\x`: {"one two", `\`, "\t" + `\x`},
	}
	for in, want := range tests {
		if got := iniList(in); !slices.Equal(got, want) {
			t.Errorf("iniList(%q) = %q, want %q", in, got, want)
		}
	}
}

func FuzzINI(f *testing.F) {
	f.Add([]byte("[rtpengine]\ninterface = a/1.2.3.4!5.6.7.8;any\nlisten-ng=2223\n"))
	f.Add([]byte("[a]\nb\\;=c;d\\"))
	f.Fuzz(func(t *testing.T, text []byte) {
		file, err := parseINI("x", text)
		if err != nil {
			return
		}
		for _, g := range file.groups {
			if file.group(g.name) != g {
				t.Errorf("two groups %q", g.name)
			}
			fromGroup(file, g)
		}
	})
}

func FuzzInterface(f *testing.F) {
	for _, s := range []string{"1.2.3.4", "pub/1.2.3.4!5.6.7.8", "x/[2001:db8::1]!::1", "any", "a=b", "g:1/eth0"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		spec, alias, err := parseInterface(s)
		if err != nil {
			return
		}
		if !validName(spec.name) || alias == "" && spec.host == "" || alias != "" && !validName(alias) {
			t.Errorf("%q gives %+v, alias %q", s, spec, alias)
		}
		if alias != "" {
			return
		}
		again := spec.name + "/" + spec.host
		if spec.advertised.IsValid() {
			again += "!" + spec.advertised.String()
		}
		if other, _, err := parseInterface(again); err != nil || other.name != spec.name || other.host != spec.host || other.advertised != spec.advertised {
			t.Errorf("%q and %q differ: %+v, %+v, %v", s, again, spec, other, err)
		}
	})
}
