package config

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"rtpjet/relay/plan"
)

// What follows sets each option of the table to something: an option that is read and reaches nothing, or that one spelling does not
// have, is found.

// sample are two values of an option, both other than its default, and what else they need to make sense.
type sample struct {
	a, b string
	with string // options for the command line
}

// samples has every option of serve that changes a [Config].
var samples = map[string]sample{
	"interface":           {a: "10.0.0.7", b: "pub/10.0.0.8!192.0.2.8"},
	"interfaces-config":   {a: "ma", b: "mb"},
	"port-min":            {a: "31000", b: "32000"},
	"port-max":            {a: "38999", b: "37999"},
	"float":               {a: "192.0.2.100/24@eth0", b: "192.0.2.101/25@eth1"},
	"float-provider":      {a: "none", b: "exec:/usr/lib/float"},
	"float-timeout":       {a: "30", b: "10000"},
	"float-settle":        {a: "0", b: "31"},
	"listen-ng":           {a: "2224", b: "127.0.0.1:2225"},
	"listen-http":         {a: "8081", b: "[::1]:8082"},
	"http-token-file":     {a: "/token/a", b: "/token/b"},
	"timeout":             {a: "61", b: "62"},
	"silent-timeout":      {a: "61", b: "62"},
	"final-timeout":       {a: "61", b: "62"},
	"offer-timeout":       {a: "61", b: "62"},
	"delete-delay":        {a: "0", b: "62"},
	"leg-silence":         {a: "0", b: "62"},
	"tos":                 {a: "184", b: "255"},
	"control-tos":         {a: "104", b: "255"},
	"endpoint-learning":   {a: "delayed", b: "off"},
	"templates":           {a: "ta", b: "tb"},
	"lenient-learning":    {a: "true"},
	"sip-source":          {a: "true"},
	"reject-invalid-sdp":  {a: "true"},
	"max-sessions":        {a: "0", b: "1000"},
	"num-threads":         {a: "999", b: "1000"},
	"software-id":         {a: "one", b: "two words"},
	"log-level":           {a: "3", b: "7"},
	"log-format":          {a: "json"},
	"pidfile":             {a: "/run/a", b: "/run/b"},
	"node-id":             {a: "a", b: "b_2"},
	"zone":                {a: "eu", b: "eu/fra/a"},
	"interface-zone":      {a: "default=eu", b: "default=us"},
	"region":              {a: "eu", b: "us-1"},
	"region-listen":       {a: "192.0.2.1:7422", b: "192.0.2.1:7423", with: "--region here --cluster-key-file /key/a"},
	"region-peer":         {a: "us=192.0.2.1:7422", b: "ap=192.0.2.2:7422", with: "--region here --cluster-key-file /key/a"},
	"data-dir":            {a: "/a", b: "b"},
	"log-loss":            {a: "serve"},
	"nats":                {a: "nats://192.0.2.1:4222", b: "tls://192.0.2.2:4222"},
	"nats-creds":          {a: "/creds/a", b: "/creds/b", with: "--nats x:1"},
	"nats-user":           {a: "a", b: "b", with: "--nats x:1 --nats-password-file /key/a"},
	"nats-password-file":  {a: "/key/a", b: "/key/b", with: "--nats x:1 --nats-user u"},
	"nats-listen":         {a: "127.0.0.1:4223", b: "none"},
	"nats-cluster-listen": {a: "192.0.2.1:6222", b: "192.0.2.1:6223"},
	"nats-routes":         {a: "192.0.2.1:6222", b: "192.0.2.2:6222", with: "--nats-cluster-listen 192.0.2.1:6222"},
	"nats-tls-ca":         {a: "/ca/a", b: "/ca/b", with: "--nats x:1"},
	"nats-tls-cert":       {a: "/cert/a", b: "/cert/b", with: "--nats x:1 --nats-tls-key /k"},
	"nats-tls-key":        {a: "/k/a", b: "/k/b", with: "--nats x:1 --nats-tls-cert /cert"},
	"nats-replicas":       {a: "1", b: "3", with: "--nats-cluster-listen 192.0.2.1:6222"},
	"cluster-key-file":    {a: "/key/a", b: "/key/b"},
	"archive-age":         {a: "36h", b: "8d"},
}

// noField are the options that change no field, with the reason.
var noField = map[string]string{
	"log-stderr":     "it is so always",
	"foreground":     "it is so always; false is warned of",
	"config-file":    "it says what is read",
	"config-section": "it says what is read",
	"help":           "it is a command",
}

// together are options that cannot be given without each other: what differs is seen between two values only.
var together = []string{"nats-user", "nats-password-file", "nats-tls-cert", "nats-tls-key"}

const sections = "[ma]\n[ma-x]\naddress=10.0.1.1\n[mb-y]\naddress=10.0.2.1\n[ta]\noffer=a\n[tb]\noffer=b\n"

// sampled reads the options of the samples: inFile are lines of the file, line are words of the command line.
func sampled(t *testing.T, inFile string, line ...string) map[string]string {
	t.Helper()
	env := testEnv(map[string]string{
		"x.conf":   "[rtpengine]\ninterface = 10.0.0.1\nlisten-ng = 2223\n" + inFile + "\n" + sections,
		"/token/a": strings.Repeat("a", 32), "/token/b": strings.Repeat("b", 32), "/key/a": strings.Repeat("a", 32), "/key/b": strings.Repeat("b", 32),
	})
	cmd, err := ParseArgs(t.Context(), append([]string{"serve", "--config-file", "x.conf"}, line...), env)
	if err != nil {
		t.Fatalf("%q and %q: %v", inFile, line, err)
	}
	return fieldsOf(cmd.Config)
}

// fieldsOf writes the fields of a configuration, those of embedded structs among them.
func fieldsOf(c *Config) map[string]string {
	table := func(i *plan.Interfaces) string { return fmt.Sprint(i.All(), i.Aliases()) }
	out := map[string]string{}
	v := reflect.ValueOf(c).Elem()
	for _, f := range reflect.VisibleFields(v.Type()) {
		if f.Anonymous {
			continue
		}
		switch x := v.FieldByIndex(f.Index).Interface().(type) {
		case *plan.Interfaces:
			out[f.Name] = table(x)
		case []Float:
			for _, one := range x {
				out[f.Name] += fmt.Sprint(one.ID, one.Addrs, table(one.Interfaces))
			}
		default:
			out[f.Name] = fmt.Sprintf("%#v", x)
		}
	}
	return out
}

// changed are the fields in which two configurations differ.
func changed(a, b map[string]string) []string {
	var out []string
	for name := range a {
		if a[name] != b[name] {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

// TestEveryOptionReachesConfig: an option that is in the table and that nobody reads is found, and so is a field that nobody sets.
func TestEveryOptionReachesConfig(t *testing.T) {
	reached := map[string]bool{"Warnings": true}
	for i := range serveOptions {
		name := serveOptions[i].long
		s, known := samples[name]
		if _, none := noField[name]; known == none {
			t.Errorf("--%s has a sample: %v, changes nothing: %v; it must be one of both", name, known, none)
			continue
		}
		if !known {
			continue
		}
		with := strings.Fields(s.with)
		a := sampled(t, "", append(with, "--"+name+"="+s.a)...)
		others := []map[string]string{}
		if !slices.Contains(together, name) {
			others = append(others, sampled(t, "", with...))
		}
		if s.b != "" {
			others = append(others, sampled(t, "", append(with, "--"+name+"="+s.b)...))
		}
		for _, other := range others {
			fields := changed(a, other)
			if len(fields) == 0 {
				t.Errorf("--%s=%s changes nothing", name, s.a)
			}
			for _, f := range fields {
				reached[f] = true
			}
		}
	}
	for _, field := range slices.Concat(
		changed(sampled(t, "", "--float=192.0.2.100/24@eth0"), sampled(t, "", "--float=192.0.2.100/24@eth0", "-n", "float:default:2223")),
		changed(sampled(t, "", "--nats=x:1"), sampled(t, "", "--nats=x:1", "--data-dir=/d")),
	) {
		reached[field] = true // which takes two options
	}
	for name := range samples {
		if serveTable.long[name] == nil {
			t.Errorf("there is no option --%s", name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(fieldsOf(&Config{Interfaces: &plan.Interfaces{}}))) {
		if !reached[name] {
			t.Errorf("no option changes Config.%s", name)
		}
	}
}

// TestSpellings: every way to write an option says the same.
func TestSpellings(t *testing.T) {
	for name, s := range samples {
		o := serveTable.long[name]
		with := strings.Fields(s.with)
		on := func(words ...string) map[string]string { return sampled(t, "", append(with, words...)...) }
		want := on("--" + name + "=" + s.a)
		delete(want, "Warnings")
		spelt := map[string]map[string]string{}
		if o.isFlag() {
			spelt["alone"] = on("--" + name)
		} else {
			spelt["in two words"] = on("--"+name, s.a)
		}
		if o.short != 0 {
			letter := "-" + string(o.short)
			spelt["by its letter"], spelt["by its letter and ="], spelt["by its letter, in two words"] = on(letter+s.a), on(letter+"="+s.a), on(letter, s.a)
		}
		if name != "interface" && name != "listen-ng" { // which the file has already
			spelt["in the file"] = sampled(t, name+" = "+s.a, with...)
			spelt["in the file, without space"] = sampled(t, name+"="+s.a, with...)
			spelt["in the file, with more space"] = sampled(t, "\t"+name+"\t =  "+s.a+" \r", with...)
		}
		for how, got := range spelt {
			delete(got, "Warnings")
			if fields := changed(want, got); len(fields) > 0 {
				t.Errorf("--%s=%s %s is something else: %q", name, s.a, how, fields)
			}
		}
	}
}

// TestPrecedence: what the command line says replaces what the file says, and what is said last what was said before. Lists grow
// within one of both.
func TestPrecedence(t *testing.T) {
	for name, s := range samples {
		if s.b == "" {
			s.b = "false"
			if o := serveTable.long[name]; o.words != nil {
				s.b = o.def
			}
		}
		with := strings.Fields(s.with)
		same := func(how string, got, want map[string]string) {
			t.Helper()
			delete(got, "Warnings")
			delete(want, "Warnings")
			if fields := changed(got, want); len(fields) > 0 {
				t.Errorf("--%s, %s: %q", name, how, fields)
			}
		}
		a, b := "--"+name+"="+s.a, "--"+name+"="+s.b
		only := func(words ...string) map[string]string { return sampled(t, "", append(with, words...)...) }
		same("the line over the file", sampled(t, name+"="+s.a, append(with, b)...), only(b))
		if name == "float" || name == "interface-zone" {
			continue // of which these two exclude each other
		}
		if !serveTable.long[name].isList() {
			same("the last one", only(a, b), only(b))
			same("the last line", sampled(t, name+"="+s.a+"\n"+name+"="+s.b, with...), sampled(t, name+"="+s.b, with...))
			continue
		}
		both := only(a, b)
		if len(changed(both, only(a))) == 0 || len(changed(both, only(b))) == 0 {
			t.Errorf("--%s: of two values, one counts", name)
		}
		if name != "interface" && name != "listen-ng" {
			same("two in a line of the file", sampled(t, name+"="+s.a+";"+s.b, with...), both)
			same("two lines of the file", sampled(t, name+"="+s.a+"\n"+name+" = "+s.b+" ;", with...), both)
		}
	}
}

// TestSectionsOfTheFile: only the section that is named counts, and sections of one name are one.
func TestSectionsOfTheFile(t *testing.T) {
	const file = "[rtpengine]\ninterface=10.0.0.1\nlisten-ng=2223\ntos=1\n[other]\ntos=2\n[rtpengine]\ncontrol-tos=3\ntos=4\n[other]\ninterface=10.0.0.2\nlisten-ng=2224\n"
	env := testEnv(map[string]string{defaultConfigFile: file, "/tmp/x.conf": file})
	for args, want := range map[string]string{
		"serve":                            "10.0.0.1 4 3",
		"serve --config-section rtpengine": "10.0.0.1 4 3",
		"serve --config-section=other":     "10.0.0.2 2 0",
		"serve --config-file=/tmp/x.conf --config-section=other --tos=9": "10.0.0.2 9 0",
		"dev --config-file=/tmp/x.conf":                                  "10.0.0.1 4 3",
		"dev":                                                            "192.168.1.120 0 0", // it reads no file by itself
		"dev --config-section=other":                                     "192.168.1.120 0 0",
		"serve --config-file none -i 10.0.0.3 -n 1":                      "10.0.0.3 0 0",
		"serve --config-file x --config-file /tmp/x.conf":                "10.0.0.1 4 3",
	} {
		c := mustParse(t, env, args)
		if got := fmt.Sprint(c.Interfaces.All()[0].Addr, c.TOS, c.ControlTOS); got != want {
			t.Errorf("%s: %s, want %s", args, got, want)
		}
	}
	for args, want := range map[string]string{
		"serve --config-section=Rtpengine": "has no section [Rtpengine]; write one, or name another with --config-section",
		"dev --config-file=/nowhere":       "cannot read the configuration file /nowhere: file does not exist; name another with --config-file, or none",
		"serve --config-file=":             "cannot read the configuration file : file does not exist; name another with --config-file, or none",
	} {
		if _, err := parse(t, env, args); err == nil || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("%s: %v", args, err)
		}
	}
}
