package config

import (
	"slices"
	"strings"
	"testing"
)

func TestOptionTable(t *testing.T) {
	all := slices.Concat(serveOptions, versionOption, rtpengineOptions)
	if len(serveTable.long) != len(all) {
		t.Errorf("%d names for %d options", len(serveTable.long), len(all))
	}
	shorts := 0
	for _, o := range all {
		if o.short != 0 {
			shorts++
		}
		if o.used() == (o.help() == "") && o.long != "version" {
			t.Errorf("--%s: used %v, help %q", o.long, o.used(), o.help())
		}
	}
	if len(serveTable.short) != shorts {
		t.Errorf("%d letters for %d options", len(serveTable.short), shorts)
	}
}

func TestParseOptions(t *testing.T) {
	tests := []struct {
		args string
		want string // name=value|value …, sorted
		rest string
	}{
		{"", "", ""},
		{"-t -1", "table=-1", ""},
		{"-t-1", "table=-1", ""},
		{"--table=-1", "table=-1", ""},
		{"--table -1", "table=-1", ""},
		{"-i 10.0.0.1 --interface=pub/10.0.0.2!1.2.3.4 -ipriv/10.0.0.3", "interface=10.0.0.1|pub/10.0.0.2!1.2.3.4|priv/10.0.0.3", ""},
		{"-fE -n2223", "foreground=true listen-ng=2223 log-stderr=true", ""},
		{"-fEL 7", "foreground=true log-level=7 log-stderr=true", ""},
		{"-fEL7", "foreground=true log-level=7 log-stderr=true", ""},
		{"-o 10 -o 20", "timeout=20", ""},
		{"--foreground=false", "foreground=false", ""},
		{"--software-id=", "software-id=", ""},
		{"a -- --timeout -x", "", "a --timeout -x"},
		{"-", "", "-"},
	}
	for _, tt := range tests {
		s, rest, err := serveTable.parse(strings.Fields(tt.args))
		if err != nil {
			t.Errorf("%s: %v", tt.args, err)
		}
		var got []string
		for name := range s {
			got = append(got, name+"="+strings.Join(s.values(name), "|"))
		}
		slices.Sort(got)
		if strings.Join(got, " ") != tt.want || strings.Join(rest, " ") != tt.rest {
			t.Errorf("%s: %q and %q", tt.args, got, rest)
		}
	}
}

func TestParseOptionsFaults(t *testing.T) {
	tests := []struct {
		args string
		want []string
	}{
		{"--interfce=x", []string{"--interfce", "did you mean --interface?"}},
		{"--time=3", []string{"--timeout", "--timer-accuracy"}},
		{"--zzzzzzz", []string{"rtpjet help"}},
		{"-Z", []string{"-Z"}},
		{"-fZ", []string{"-Z", `"-fZ"`}},
		{"--timeout", []string{"--timeout has no value"}},
		{"-o", []string{"-o has no value"}},
		{"--a --b", []string{"--a", "--b"}},
	}
	for _, tt := range tests {
		_, _, err := serveTable.parse(strings.Fields(tt.args))
		if err == nil {
			t.Errorf("%s: no error", tt.args)
			continue
		}
		for _, w := range tt.want {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%s: %v does not say %q", tt.args, err, w)
			}
		}
	}
}

func (s settings) values(name string) []string {
	var out []string
	for _, v := range s[name] {
		out = append(out, v.value)
	}
	return out
}
