package config

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// mistakes are command lines of operators with a mistake each, and the whole of what they are told.
var mistakes = []struct{ args, want string }{
	{"man serve", `man takes no argument, but there is "serve"`},
	{"completion", "write rtpjet completion bash; there is none for other shells"},
	{"completion zsh", "write rtpjet completion bash; there is none for other shells"},
	{"completion bash zsh", "write rtpjet completion bash; there is none for other shells"},
	{"-x", `the first word must be a command, not "-x"; did you mean rtpjet serve -x?`},
	{"help nothing at all", `there is no command "nothing at all"; rtpjet help lists the commands`},
	{"help call lst", `there is no command "call lst"; did you mean rtpjet call?`},
	{"serve now", `serve takes no argument, but there is "now"; options begin with a dash`},
	{"dev now", `dev takes no argument, but there is "now"; options begin with a dash`},
	{"serve --codecs", "--codecs lists what can be transcoded, and rtpjet transcodes nothing: it relays any codec"},
	{"serve -fZ", `there is no option -Z, in "-fZ"; rtpjet help COMMAND lists the options`},
	{"serve --interface", "--interface has no value; write it behind the option"},
	{"serve -fn", "-n has no value; write it behind the option"},

	{"call list abc", `call list takes no argument, but there is "abc"; rtpjet call show shows one call`},
	{"call show", "call show takes one call-id, and there are 0; rtpjet call list lists them, and a call-id that begins with a dash goes behind --"},
	{"call history a b", "call history takes one call-id, and there are 2; rtpjet call list lists them, and a call-id that begins with a dash goes behind --"},
	{"call why-alive", "call why-alive takes one call-id, and there are 0; rtpjet call list lists them, and a call-id that begins with a dash goes behind --"},
	{"call history a --follow --at 12", "--follow shows what happens, --at and --diff what has happened; leave one of them out"},
	{"call history a --follow --diff 1 2", "--follow shows what happens, --at and --diff what has happened; leave one of them out"},
	{"call history a --diff=12", "--diff takes two moments: --diff 12 40, or --diff 12..40"},
	{"call history a --diff=..12", "--diff takes two moments: --diff 12 40, or --diff 12..40"},
	{"call history a --diff=12..", "--diff takes two moments: --diff 12 40, or --diff 12..40"},
	{"call history a --width=39", `--width is a number of columns from 40 on, not "39"`},
	{"call history a --width=wide", `--width is a number of columns from 40 on, not "wide"`},
	{"call history a --interface=x", "there is no option --interface; rtpjet help COMMAND lists the options"},
	{"call list --jsn", "there is no option --jsn; did you mean --json?"},
	{"call list --nats=:4222", `--nats is ":4222"; it must be a URL such as nats://192.0.2.1:4222`},
	{"call list --nats=http://x:1", `--nats is "http://x:1"; its scheme must be nats, tls, ws or wss`},
	{"call list --nats-user=u", "--nats-user and --nats-password-file belong together; give both, or none"},
	{"call list --nats-tls-key=k", "--nats-tls-cert and --nats-tls-key belong together; give both, or none"},

	{"replay", "replay takes one file or one call-id, and there are 0; with --all it takes none"},
	{"replay a b", "replay takes one file or one call-id, and there are 2; with --all it takes none"},
	{"replay a --all", `replay --all takes no call-id, but there is "a"`},
	{"replay --all --rerun=false", "replay --all makes every decision again; leave --rerun=false out"},
	{"replay a --since 1h", "--since goes with --all"},
	{"replay --all --since soon", `--since is a time like 30m, 1h or 7d, not "soon"`},
	{"replay --all --since -1h", `--since is a time like 30m, 1h or 7d, not "-1h"`},
	{"replay --all --since 0d", `--since is a time like 30m, 1h or 7d, not "0d"`},
	{"replay --all --since 99999d", `--since is a time like 30m, 1h or 7d, not "99999d"`},

	{"node list n1", `node list takes no argument, but there is "n1"`},
	{"node drain", "node drain takes the id of one node, and there are 0; rtpjet node list shows them"},
	{"node takeover n1 n2", "node takeover takes the id of one node, and there are 2; rtpjet node list shows them"},
	{"node drain n.1", `"n.1" is no node id`},
	{"node drain >", `">" is no node id`},
	{"node drain n1 --deadline=-1", `--deadline is a number of seconds, not "-1"`},
	{"node drain n1 --deadline=1m", `--deadline is a number of seconds, not "1m"`},
	{"node drain n1 --deadline=soon", `--deadline is a number of seconds, not "soon"`},
	{"float list pub", `float list takes no argument, but there is "pub"`},
	{"float move", "float move takes a floating address and a node; rtpjet float list shows them"},
	{"float move a b c", "float move takes a floating address and a node; rtpjet float list shows them"},

	{fine + "--nats-replicas=3", "--nats-replicas is 3, and a server that stands alone has 1; give --nats-cluster-listen, or leave it out"},
	{fine + "--nats-cluster-listen=10.0.0.1:0", `--nats-cluster-listen is "10.0.0.1:0"; it must be ADDR:PORT`},
	{fine + "--nats-routes=:6222 --nats-cluster-listen=10.0.0.1:6222", `--nats-routes is ":6222"; it must be ADDR:PORT, such as 192.0.2.1:6222`},
	{fine + "--nats-listen=4222", `--nats-listen is "4222"; it must be ADDR:PORT, or none`},
	{fine + "--nats-user=u", "--nats-user and --nats-password-file belong together; give both, or none\n--nats-user has no meaning without --nats; give the URL, or leave it out"},
	{fine + "--nats=x:1 --nats-creds=f --nats-user=u --nats-password-file=/pw", "--nats-user and --nats-creds exclude each other; leave one out"},
	{fine + "--nats-tls-ca=ca", "--nats-tls-ca alone has no meaning for the embedded NATS; give --nats-tls-cert and --nats-tls-key as well"},
	{fine + "--cluster-key-file=/pw", "--cluster-key-file: /pw has a key of 6 bytes; each line must be a secret of at least 16, for example from openssl rand -hex 32"},
	{fine + "--archive-age=59s", `--archive-age is "59s"; it must be days such as 7d, or a time such as 36h, of at least a minute`},
	{fine + "--node-id=a.b", `--node-id is "a.b"; it must consist of letters, digits, - and _`},
	{fine + "--region=", `--region is ""; it must consist of letters, digits, - and _`},
	{fine + "--float-provider=exec:script", `--float-provider is "exec:script"; it must be netlink, none, or exec:/PATH/OF/A/SCRIPT`},
	{fine + "--templates=t", `--templates is "t", and the configuration file has no section [t]; write one, with a line NAME = FLAGS for each template`},
	{fine + "--interfaces-config=i", `--interfaces-config is "i", and no section of the configuration file begins with [i-; write one for each interface`},
	{"serve -n 2223", "there is no --interface: name the address for media, such as --interface 192.0.2.1, a network card, or any"},
	{"serve -i 10.0.0.1", "there is no --listen-ng: name the address and port on which the SIP proxy sends its commands, such as 127.0.0.1:2223"},
}

func TestMistakes(t *testing.T) {
	env := testEnv(map[string]string{"/pw": "secret"})
	for _, m := range mistakes {
		_, err := parse(t, env, m.args)
		if err == nil || err.Error() != m.want || !errors.Is(err, ErrUsage) {
			t.Errorf("%s:\n%v\nwant\n%s", m.args, err, m.want)
		}
	}
}

// TestSentences: each sentence names what it is about, and says what to do or what there has to be. It fits a line of a log, and has
// nothing that a terminal would take for a command.
func TestSentences(t *testing.T) {
	advice := regexp.MustCompile(`; |: |must |takes |goes with|belong together|lists what|is no node id|is a number|has no value|is a time|two moments`)
	about := regexp.MustCompile(`--?[a-z]|rtpjet |interface|"[^"]+"`)
	for _, m := range mistakes {
		for line := range strings.Lines(m.want) {
			if line = strings.TrimSuffix(line, "\n"); !advice.MatchString(line) || !about.MatchString(line) || len(line) > 240 || strings.HasSuffix(line, ".") {
				t.Errorf("no sentence for an operator: %s", line)
			}
		}
	}
	for _, odd := range []string{"\x1b[2J", "a\nb", "\r", "\u202eexe", "\u009b31m", strings.Repeat("x", 5000)} {
		for _, words := range [][]string{
			{"serve", "-i", odd, "-n", odd, "--timeout", odd, "--region", odd, "--zone", odd, "--nats-listen", odd, "--log-format", odd, "--archive-age", odd, "--float", odd},
			{"call", "list", odd}, {"node", "drain", odd + ">"}, {"replay", "--all", odd}, {"call", "history", "a", "--width", odd}, {odd}, {"help", odd}, {"completion", odd},
			{"region", "adopt", odd}, {"node", "drain", "n", "--deadline", odd},
		} {
			_, err := ParseArgs(t.Context(), words, testEnv(nil))
			if err == nil {
				if !strings.HasPrefix(odd, "xxx") { // a name, though a long one
					t.Errorf("%q is taken", words)
				}
				continue
			}
			for line := range strings.Lines(err.Error()) {
				line = strings.TrimSuffix(line, "\n")
				if strings.ContainsFunc(line, func(r rune) bool { return r < ' ' || r >= 0x7f && r < 0xa0 || r == '\u202e' }) {
					t.Errorf("%.80q: the error has %q", words, line)
				}
				if len(line) > 400 && words[0] != odd {
					t.Errorf("%.80q: %d bytes of error: %.200s", words, len(line), line)
				}
			}
		}
	}
}

func TestArchiveAge(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"1d": 24 * time.Hour, "7d": 7 * 24 * time.Hour, "36500d": 36500 * 24 * time.Hour, " 7d ": 7 * 24 * time.Hour, "1m": time.Minute, "36h": 36 * time.Hour, "1h30m": 90 * time.Minute,
	} {
		d := &decoder{s: settings{"archive-age": {{value: text}}}}
		if got := d.age(); got != want || d.faults.err() != nil {
			t.Errorf("%q: %v %v", text, got, d.faults.err())
		}
	}
	for _, text := range []string{"", "d", "0d", "-1d", "36501d", "1.5d", "7", "59s", "-1h", "1w", "99999999999999999999d", "9999999999h"} {
		d := &decoder{s: settings{"archive-age": {{value: text}}}}
		if got := d.age(); got != 0 || d.faults.err() == nil || !strings.HasPrefix(d.faults.err().Error(), "--archive-age is "+Quote(text)) {
			t.Errorf("%q: %v %v", text, got, d.faults.err())
		}
	}
}

func FuzzTimes(f *testing.F) {
	for _, text := range []string{"7d", "1.5d", "36h", "-1d", "nand", "1e9d", "infd", ""} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		d := &decoder{s: settings{"archive-age": {{value: text}}}}
		if age := d.age(); age != 0 && age < time.Minute || (age == 0) == (d.faults.err() == nil) {
			t.Errorf("archive-age %q: %v, %v", text, age, d.faults.err())
		}
		var faults faultList
		o := readHistoryOptions(settings{"since": {{value: text}}}, &faults)
		if since := o.Since; text != "" && faults.err() == nil && (since <= 0 || since > 36500*24*time.Hour && strings.HasSuffix(text, "d")) {
			t.Errorf("since %q: %v", text, since)
		}
	})
}

func TestHostnames(t *testing.T) {
	for host, want := range map[string]string{
		"media-1": "media-1", "media-1.example.com": "media-1", "Media_1": "Media_1", "10.0.0.1": "10", "médiä": "m-di-", "a b": "a-b", "": "node", ".example.com": "node",
	} {
		env := testEnv(nil)
		env.Hostname = func() (string, error) { return host, nil }
		if c := mustParse(t, env, fine); c.NodeID != want {
			t.Errorf("%q: %s", host, c.NodeID)
		}
	}
	env := testEnv(nil)
	env.Hostname = func() (string, error) { return "half-known", errors.New("no name") }
	if c := mustParse(t, env, fine); c.NodeID != "node" {
		t.Errorf("a machine without a name: %s", c.NodeID)
	}
	if c := mustParse(t, env, fine+"--node-id=here"); c.NodeID != "here" {
		t.Error(c.NodeID)
	}
}

func TestPathReason(t *testing.T) {
	_, err := os.ReadFile(filepath.Join(t.TempDir(), "missing"))
	if got := PathReason(err); strings.Contains(got.Error(), "missing") || !errors.Is(got, fs.ErrNotExist) {
		t.Errorf("%v", got)
	}
	if plain := errors.New("full"); PathReason(plain) != plain {
		t.Error("another error is changed")
	}
	var faults faultList
	if faults.addErr(nil); faults.err() != nil {
		t.Errorf("a fault without one: %v", faults.err())
	}
	faults.add("%s is wrong", "--a")
	faults.addErr(errors.New("b is not to be read"))
	if err := faults.err(); err.Error() != "--a is wrong\nb is not to be read" || !errors.Is(err, ErrUsage) {
		t.Errorf("%v", err)
	}
}

// TestSyslogLevels: the numbers are syslog's.
func TestSyslogLevels(t *testing.T) {
	for level, want := range map[string]string{"0": "ERROR", "3": "ERROR", "4": "WARN", "5": "INFO", "6": "INFO", "7": "DEBUG", "8": "DEBUG"} {
		if c := mustParse(t, testEnv(nil), fine+"-L "+level); c.LogLevel.String() != want {
			t.Errorf("-L %s is %s", level, c.LogLevel)
		}
	}
}

// TestNoBackground: who asks for a daemon is told that a service manager does that.
func TestNoBackground(t *testing.T) {
	for args, want := range map[string]int{"": 0, "-f": 0, "--foreground": 0, "--foreground=false": 1, "--foreground=no": 1} {
		c := mustParse(t, testEnv(nil), fine+args)
		if len(c.Warnings) != want || want > 0 && !strings.Contains(c.Warnings[0], "a service manager keeps it running") {
			t.Errorf("%s: %q", args, c.Warnings)
		}
	}
}
