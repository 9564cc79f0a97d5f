package config

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"
)

// What follows goes through the whole table: no option can be without its limits, its words or its default.

// fine are options with which a node starts.
const fine = "serve -i 10.0.0.1 -n 2223 "

// asked tells what the decoder finds wrong with one value of an option, on the command line and in the file.
func asked(t *testing.T, name, value string) error {
	t.Helper()
	_, onLine := ParseArgs(t.Context(), append(strings.Fields(fine), "--"+name+"="+value), testEnv(nil))
	file := "[rtpengine]\ninterface = 10.0.0.1\nlisten-ng = 2223\n" + name + " = " + value + "\n"
	_, inFile := ParseArgs(t.Context(), []string{"serve", "--config-file", "x.conf"}, testEnv(map[string]string{"x.conf": file}))
	if (onLine == nil) != (inFile == nil) {
		t.Errorf("--%s=%s: %v on the command line, %v in the file", name, value, onLine, inFile)
	}
	if onLine != nil && !errors.Is(onLine, ErrUsage) {
		t.Errorf("--%s=%s: %v is no error of usage", name, value, onLine)
	}
	if inFile != nil && serveTable.long[name].words == nil && !strings.Contains(inFile.Error(), "x.conf, line 4: "+name+" is ") {
		t.Errorf("%s = %s: %v does not say where it is", name, value, inFile)
	}
	return onLine
}

// also are what an option needs beside it; numbers whose limits another option narrows.
var also = map[string]bool{"port-min": true, "port-max": true, "nats-replicas": true}

func TestNumberLimits(t *testing.T) {
	seen := 0
	for i := range serveOptions {
		o := &serveOptions[i]
		if o.kind != number {
			continue
		}
		seen++
		def, err := strconv.Atoi(o.def)
		if err != nil || def < o.low || def > o.high || o.low >= o.high {
			t.Errorf("--%s: the default is %q, the limits are %d and %d", o.long, o.def, o.low, o.high)
		}
		between := fmt.Sprintf("it must be a whole number from %d to %d", o.low, o.high)
		if o.high == noLimit {
			between = fmt.Sprintf("it must be a whole number of at least %d", o.low)
		}
		for _, wrong := range []string{strconv.Itoa(o.low - 1), strconv.Itoa(o.high + 1), "", "x", "1.5", "0x10", "99999999999999999999"} {
			if err := asked(t, o.long, wrong); err == nil || !strings.Contains(err.Error(), between) {
				t.Errorf("--%s=%s: %v, want %q", o.long, wrong, err, between)
			}
		}
		if also[o.long] {
			continue
		}
		for _, right := range []string{o.def, strconv.Itoa(o.low), strconv.Itoa(o.high), " " + o.def + " "} {
			if err := asked(t, o.long, right); err != nil {
				t.Errorf("--%s=%s: %v", o.long, right, err)
			}
		}
	}
	if seen < 15 {
		t.Errorf("%d numbers", seen)
	}
}

func TestFlagWords(t *testing.T) {
	for i := range serveOptions {
		o := &serveOptions[i]
		if o.kind != flag || o.long == "help" {
			continue
		}
		for _, right := range []string{"true", "false", "1", "0", "yes", "no", "YES", " True "} {
			if err := asked(t, o.long, right); err != nil {
				t.Errorf("--%s=%s: %v", o.long, right, err)
			}
		}
		for _, wrong := range []string{"", "maybe", "2", "on"} {
			if err := asked(t, o.long, wrong); err == nil || !strings.Contains(err.Error(), "it must be true or false") {
				t.Errorf("--%s=%s: %v", o.long, wrong, err)
			}
		}
	}
}

func TestChoices(t *testing.T) {
	seen := 0
	for i := range serveOptions {
		o := &serveOptions[i]
		if o.words == nil {
			continue
		}
		seen++
		for _, right := range o.words {
			if err := asked(t, o.long, right); err != nil {
				t.Errorf("--%s=%s: %v", o.long, right, err)
			}
		}
		for _, wrong := range []string{"", "nonsense", strings.Join(o.words, ",")} {
			err := asked(t, o.long, wrong)
			if err == nil || !strings.Contains(err.Error(), "--"+o.long+" is ") || !strings.HasSuffix(err.Error(), " or "+o.words[len(o.words)-1]) {
				t.Errorf("--%s=%s: %v", o.long, wrong, err)
			}
		}
	}
	if seen != 3 {
		t.Errorf("%d choices", seen)
	}
}

// TestDefaults: what the help calls the default is what comes of saying it.
func TestDefaults(t *testing.T) {
	without := mustParse(t, testEnv(nil), fine)
	for i := range serveOptions {
		o := &serveOptions[i]
		if o.def == "" || o.long == "config-file" || o.long == "config-section" {
			continue
		}
		if o.long != "num-threads" && !strings.Contains(o.about, "%s") || strings.Contains(o.help(), "%s") {
			t.Errorf("--%s: the help does not name the default %q: %s", o.long, o.def, o.help())
		}
		with := mustParse(t, testEnv(nil), fine+"--"+o.long+"="+o.def)
		with.Interfaces = without.Interfaces
		if got, want := fmt.Sprintf("%+v", *with), fmt.Sprintf("%+v", *without); got != want {
			t.Errorf("--%s=%s differs from leaving it out:\n%s\n%s", o.long, o.def, got, want)
		}
	}
}

// TestReserved: what rtpengine has and rtpjet has not is taken in each form, on the command line and in the file, with one warning.
func TestReserved(t *testing.T) {
	for i := range rtpengineOptions {
		o := &rtpengineOptions[i]
		if o.long == "codecs" {
			continue // which asks for a list, and then an end
		}
		args := append(strings.Fields(fine), "--"+o.long)
		if !o.isFlag() {
			args = append(args, "-1")
		}
		if o.short != 0 {
			args = append(args, "-"+string(o.short))
			if !o.isFlag() {
				args = append(args, "x y")
			}
		}
		cmd, err := ParseArgs(t.Context(), args, testEnv(nil))
		if err != nil || len(cmd.Config.Warnings) != 1 || !strings.HasSuffix(cmd.Config.Warnings[0], " has no effect in rtpjet") {
			t.Errorf("%q: %v, %+v", args, err, cmd.Config)
			continue
		}
		file := "[rtpengine]\ninterface = 10.0.0.1\nlisten-ng = 2223\n" + o.long + " = a;b\n"
		cmd, err = ParseArgs(t.Context(), []string{"serve", "--config-file", "x.conf"}, testEnv(map[string]string{"x.conf": file}))
		if err != nil || len(cmd.Config.Warnings) != 1 || cmd.Config.Warnings[0] != "x.conf, line 4: "+o.long+" has no effect in rtpjet" {
			t.Errorf("%s in the file: %v, %+v", o.long, err, cmd.Config)
		}
	}
}

// TestGroups: each command of operators takes its options and no other, and says what it wants.
func TestGroups(t *testing.T) {
	arguments := map[string]string{"list": "", "forget": "us", "adopt": "us"}
	for first := range groups {
		for _, verb := range verbs(first) {
			argument, known := arguments[verb]
			if !known {
				argument = "x"
			}
			name := first + " " + verb
			line := strings.Fields(name + " " + argument)
			if cmd, err := ParseArgs(t.Context(), line, Env{}); err != nil || cmd.Name != name || len(cmd.Log.NATS) != 1 {
				t.Errorf("%s: %+v, %v", name, cmd, err)
			}
			for _, word := range []string{"--help", "-h"} {
				if cmd, err := ParseArgs(t.Context(), append(line[:len(line):len(line)], word), Env{}); err != nil || cmd.Name != "help" || cmd.Topic != name {
					t.Errorf("%s %s: %+v, %v", name, word, cmd, err)
				}
			}
			for _, wrong := range []string{"--interface=x", "--no-such", "-Z"} {
				if _, err := ParseArgs(t.Context(), append(line[:len(line):len(line)], wrong), Env{}); !errors.Is(err, ErrUsage) {
					t.Errorf("%s %s: %v", name, wrong, err)
				}
			}
			if _, err := ParseArgs(t.Context(), append(line[:len(line):len(line)], "a", "b"), Env{}); !errors.Is(err, ErrUsage) {
				t.Errorf("%s with two arguments too many: %v", name, err)
			}
		}
		for _, line := range [][]string{{first}, {first, "no-such"}, {first, ""}} {
			_, err := ParseArgs(t.Context(), line, Env{})
			if !errors.Is(err, ErrUsage) || !strings.HasPrefix(err.Error(), "write rtpjet "+first+" list") {
				t.Errorf("%q: %v", line, err)
			}
			for _, verb := range verbs(first) {
				if err != nil && !strings.Contains(err.Error(), verb) {
					t.Errorf("%q: %v does not name %s", line, err, verb)
				}
			}
		}
	}
}

// TestDeadline: seconds and nothing else, since 1m could be read as a minute.
func TestDeadline(t *testing.T) {
	for _, text := range []string{"1m", "1m30", "2h", "1s", "-1", "nan", "inf", "1e300", "soon", " "} {
		cmd, err := ParseArgs(t.Context(), []string{"node", "drain", "n1", "--deadline=" + text}, Env{})
		if want := "--deadline is a number of seconds, not " + Quote(text); err == nil || err.Error() != want {
			t.Errorf("%q: %v, %v", text, cmd.Node.Deadline, err)
		}
	}
}

func TestOperatorOptions(t *testing.T) {
	for line, check := range map[string]func(Command) bool{
		"node drain n1 --move --wait --stop --deadline 90": func(c Command) bool {
			n := c.Node
			return n.ID == "n1" && n.Move && n.Wait && n.Stop && n.Deadline.Seconds() == 90
		},
		"node drain n1 --deadline 1.5":          func(c Command) bool { return c.Node.Deadline == 1500*time.Millisecond },
		"node drain n1 --deadline=0":            func(c Command) bool { return c.Node.Deadline == 0 },
		"node takeover n1 --force":              func(c Command) bool { return c.Node.ID == "n1" && c.Node.Force },
		"float move pub n2":                     func(c Command) bool { return c.Float.Name == "pub" && c.Float.To == "n2" },
		"float move pub":                        func(c Command) bool { return c.Float.Name == "pub" && c.Float.To == "" },
		"call history x --at +90s --full":       func(c Command) bool { return c.Call == "x" && c.History.At == "+90s" && c.History.Full },
		"call history x --diff 12 40":           func(c Command) bool { return c.History.Diff == [2]string{"12", "40"} },
		"call history x --diff=12..40 --json":   func(c Command) bool { return c.History.Diff == [2]string{"12", "40"} && c.Log.JSON },
		"call history --diff 12..40 x":          func(c Command) bool { return c.History.Diff == [2]string{"12", "40"} && c.Call == "x" },
		"call history x -f --width 80":          func(c Command) bool { return c.History.Follow && c.History.Width == 80 },
		"call export x -o - --sealed":           func(c Command) bool { return c.History.File == "-" && c.History.Sealed },
		"call show x --keys":                    func(c Command) bool { return c.Log.Keys },
		"call show -- --diff":                   func(c Command) bool { return c.Call == "--diff" },
		"replay --all --since 1.5d":             func(c Command) bool { return c.History.All && c.History.Rerun && c.History.Since.Hours() == 36 },
		"replay x --rerun":                      func(c Command) bool { return c.Call == "x" && c.History.Rerun },
		"replay --help":                         func(c Command) bool { return c.Name == "help" && c.Topic == "replay" },
		"region list --nats a:1,b:2 --nats c:3": func(c Command) bool { return len(c.Log.NATS) == 3 && c.Log.NATS[2] == "nats://c:3" },
		"region adopt us --without ap,,sa":      func(c Command) bool { return len(c.Region.Without) == 2 },
		"man":                                   func(c Command) bool { return c.Name == "man" },
		"man --help":                            func(c Command) bool { return c.Name == "help" && c.Topic == "man" },
		"completion bash":                       func(c Command) bool { return c.Name == "completion" },
		"completion -h":                         func(c Command) bool { return c.Name == "help" && c.Topic == "completion" },
		"demo --calls 3":                        func(c Command) bool { return c.Name == "demo" && len(c.Args) == 2 },
	} {
		cmd, err := parse(t, testEnv(nil), line)
		if err != nil || !check(cmd) {
			t.Errorf("%s: %+v, %v", line, cmd, err)
		}
	}
}

// TestCredentials: what a connection shows is what the operator gave.
func TestCredentials(t *testing.T) {
	a := NATSAuth{NATSCreds: "f", NATSUser: "u", NATSPassword: "p", NATSTLSCA: "ca", NATSTLSCert: "cert", NATSTLSKey: "key", ClusterKey: []byte("k")}
	c := a.Credentials()
	if c.File != "f" || c.User != "u" || c.Password != "p" || string(c.ClusterKey) != "k" || c.TLS != a.TLS() || c.TLS.CA != "ca" || c.TLS.Cert != "cert" || c.TLS.Key != "key" {
		t.Errorf("%+v", c)
	}
	for text, want := range map[string]int{"": 0, "\n \n": 0, "a": 1, "a\n\n b \n": 2} {
		if got := len(SplitKeys(text)); got != want {
			t.Errorf("%q: %d keys, want %d", text, got, want)
		}
	}
}

func TestQuote(t *testing.T) {
	for in, want := range map[string]string{"": `""`, "a b": `"a b"`, "\x1b": `"\x1b"`, strings.Repeat("é", 40): `"` + strings.Repeat("é", 30) + `…"`} {
		if got := Quote(in); got != want {
			t.Errorf("%q: %s, want %s", in, got, want)
		}
	}
}

// FuzzParseArgs: no command line and no file makes the program fail otherwise than with sentences for the operator.
func FuzzParseArgs(f *testing.F) {
	for _, line := range []string{
		"serve -i 10.0.0.1 -n 2223", "serve --config-file x.conf", "serve -fEL7 -t-1", "dev", "call history a --diff 1 2", "replay --all --since 1h", "node drain n1 --deadline 3",
		"region adopt us --without=a,b", "float move a b", "serve --float pub/192.0.2.1/24@eth0 --listen-ng float:pub:2223 -i pub/10.0.0.1", "help call list", "completion bash",
	} {
		f.Add(line, "[rtpengine]\ninterface = pub/10.0.0.1!192.0.2.1;priv/10.0.0.2\nlisten-ng = 2223\n")
	}
	f.Add("serve --config-file x.conf", "[rtpengine]\ninterfaces-config=m\ntemplates=t\n[m-a]\naddress=10.0.0.1\nexclude-ports=1-2 7\nport-min=x\n[t]\na=\\s\\;b\n")
	f.Fuzz(func(t *testing.T, line, file string) {
		env := testEnv(map[string]string{"x.conf": file})
		cmd, err := ParseArgs(t.Context(), strings.Fields(line), env)
		switch {
		case err != nil && !errors.Is(err, ErrUsage):
			t.Errorf("%q: %v is no error of usage", line, err)
		case err != nil && strings.TrimSpace(err.Error()) == "":
			t.Errorf("%q: an error without words", line)
		case err == nil && cmd.Name == "":
			t.Errorf("%q: nothing to do", line)
		case err == nil && (cmd.Name == "serve" || cmd.Name == "dev") && (cmd.Config.Interfaces == nil || len(cmd.Config.Listen)+len(cmd.Config.ListenFloat) == 0):
			t.Errorf("%q: a node without addresses: %+v", line, cmd.Config)
		}
	})
}

func FuzzFloat(f *testing.F) {
	for _, s := range []string{"pub/192.0.2.100/24@eth0", "192.0.2.100/24@eth0", "pub/192.0.2.100!203.0.113.1/24@eth0", "[2001:db8::1]/64@eth0", "@", "a/b/c@d"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		spec, err := parseFloat(s)
		if err != nil {
			return
		}
		if !validName(spec.name) || spec.addr.Device == "" || spec.addr.Addr().Is4In6() || spec.addr.Prefix.Bits() > spec.addr.Addr().BitLen() {
			t.Errorf("%q: %+v", s, spec)
		}
		if again, err := parseFloat(spec.name + "/" + strings.ReplaceAll(spec.addr.String(), " ", "")); err == nil && again.addr != spec.addr {
			t.Errorf("%q: %+v, and written again %+v", s, spec, again)
		}
	})
}
