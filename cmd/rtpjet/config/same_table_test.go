package config

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// What follows holds together what is made of the one table: help, manual page, completion and docs, for each command.

// written are the pages as they are printed.
func written(t *testing.T, topic string) (help, man, completion, docs string) {
	t.Helper()
	var h, m, c bytes.Buffer
	WriteHelp(&h, topic)
	WriteManual(&m)
	WriteCompletion(&c)
	d, err := os.ReadFile(filepath.Join("..", "..", "..", "docs", "options.md"))
	if err != nil {
		t.Fatal(err)
	}
	return h.String(), strings.ReplaceAll(m.String(), `\-`, "-"), c.String(), string(d)
}

// TestOneTable: each option of each command is in its help, in the manual page, in the completion of this command, and in the docs,
// with the same words.
func TestOneTable(t *testing.T) {
	options := 0
	for i := range commands {
		c := &commands[i]
		if c.page == nil {
			continue
		}
		for _, name := range c.names() {
			help, man, completion, docs := written(t, name)
			_, words, found := strings.Cut(completion, "'"+name+" '")
			_, words, _ = strings.Cut(words, "words='")
			words, _, _ = strings.Cut(words, "'")
			if !found {
				t.Errorf("nothing completes the options of %s", name)
			}
			offered := strings.Fields(words)
			for _, list := range c.page.options {
				for j := range list {
					o := &list[j]
					options++
					if !slices.Contains(offered, "--"+o.long) {
						t.Errorf("%s: completion does not offer --%s", name, o.long)
					}
					label := "--" + o.long
					if o.arg != "" {
						label += "=" + o.arg
					}
					if o.short != 0 {
						label = "-" + string(o.short) + ", " + label
					}
					if !strings.Contains(help, label) || !strings.Contains(help, o.help()) {
						t.Errorf("%s: the help does not have %s with its words", name, label)
					}
					if !strings.Contains(man, `\fB--`+o.long+`\fR`) || !strings.Contains(strings.ReplaceAll(man, `\e`, `\`), o.help()) {
						t.Errorf("%s: the manual page does not have --%s with its words", name, o.long)
					}
					if !strings.Contains(docs, "| `"+cell(label)+"` | "+cell(o.help())+" |") {
						t.Errorf("%s: the docs do not have %s with its words", name, label)
					}
				}
			}
			for _, word := range offered {
				if c.page.table().long[strings.TrimPrefix(word, "--")] == nil {
					t.Errorf("%s: completion offers %s, which it does not understand", name, word)
				}
			}
		}
	}
	if options < 200 {
		t.Errorf("%d options of all commands", options)
	}
}

// TestTablesOfCommands: within a command, no two options have one name or letter, and each takes what its help says.
func TestTablesOfCommands(t *testing.T) {
	for i := range commands {
		c := &commands[i]
		if c.page == nil {
			continue
		}
		long, short := map[string]bool{}, map[byte]bool{}
		for _, list := range c.page.options {
			for j := range list {
				o := &list[j]
				if long[o.long] || o.short != 0 && short[o.short] {
					t.Errorf("%s: --%s or its letter is there twice", c.name, o.long)
				}
				long[o.long], short[o.short] = true, true
				if o.isFlag() != (o.arg == "") {
					t.Errorf("%s: --%s is a flag: %v, and takes %q", c.name, o.long, o.isFlag(), o.arg)
				}
				if strings.HasSuffix(o.help(), ".") || strings.Contains(o.about, "\n") || o.long != strings.ToLower(o.long) {
					t.Errorf("%s: --%s: %s", c.name, o.long, o.about)
				}
			}
		}
		if !long["help"] {
			t.Errorf("%s has no --help", c.name)
		}
	}
}

// TestHelpFits: the list of commands fits a wide terminal, and each line of help begins alike.
func TestHelpFits(t *testing.T) {
	var b bytes.Buffer
	WriteHelp(&b, "")
	for line := range strings.Lines(b.String()) {
		if len(strings.TrimSuffix(line, "\n")) > 132 {
			t.Errorf("%d columns: %s", len(line), line)
		}
	}
	for i := range commands {
		if !strings.Contains(b.String(), "  "+strings.TrimSpace(commands[i].name+" "+commands[i].args)+" ") {
			t.Errorf("the help does not list %s", commands[i].name)
		}
	}
	for _, topic := range []string{"dev", "serve", "call", "call list", "call export", "replay", "node drain", "node undrain", "float", "region forget"} {
		b.Reset()
		WriteHelp(&b, topic)
		if p := pageOf(topic); !strings.HasPrefix(b.String(), "Usage: rtpjet "+p.usage[0]+"\n") || strings.Count(b.String(), "\n  ") < 5 {
			t.Errorf("%s:\n%s", topic, &b)
		}
	}
	for _, topic := range []string{"man", "completion", "version", "help"} {
		b.Reset()
		if WriteHelp(&b, topic); !strings.HasPrefix(b.String(), "rtpjet relays RTP") {
			t.Errorf("%s:\n%s", topic, &b)
		}
	}
}

// TestLongNames: an option whose name does not fit its column has its words on a line of their own, below the others'.
func TestLongNames(t *testing.T) {
	for want, o := range map[string]option{
		"  -x, --short=ARG                          words (7)\n":                                    {long: "short", short: 'x', arg: "ARG", about: "words (%s)", def: "7"},
		"      --flag                               words\n":                                        {long: "flag", about: "words"},
		"      --a-name-that-is-quite-long=AND-ARGUMENT\n  " + strings.Repeat(" ", 40) + " words\n": {long: "a-name-that-is-quite-long", arg: "AND-ARGUMENT", about: "words"},
	} {
		var b bytes.Buffer
		if o.write(&b); b.String() != want {
			t.Errorf("%q, want %q", &b, want)
		}
	}
}

// TestCompletionScript: bash takes it without a complaint, more than once, and it leaves no variable behind.
func TestCompletionScript(t *testing.T) {
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("no bash here")
	}
	var script bytes.Buffer
	WriteCompletion(&script)
	check := exec.CommandContext(t.Context(), bash, "--norc", "-n")
	check.Stdin = bytes.NewReader(script.Bytes())
	if out, err := check.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("bash -n: %v\n%s", err, out)
	}
	run := exec.CommandContext(t.Context(), bash, "--norc", "-e", "-u", "-c", script.String()+script.String()+`
COMP_WORDS=(rtpjet serve --log-l) COMP_CWORD=2
_rtpjet
echo "${COMPREPLY[@]}"
echo "${cur-} ${prev-} ${option-} ${words-}"
complete -p rtpjet`)
	out, err := run.CombinedOutput()
	if want := "--log-level --log-loss\n   \ncomplete -o default -F _rtpjet rtpjet\n"; err != nil || string(out) != want {
		t.Errorf("%v\n%q, want\n%q", err, out, want)
	}
	for _, command := range firstWords() {
		if strings.ContainsAny(command, "'\"$` ") {
			t.Errorf("a command that the shell would read otherwise: %s", command)
		}
	}
}

// ExampleSplitKeys: the first line is the key in use, the others open what was sealed with earlier ones.
func ExampleSplitKeys() {
	for _, key := range SplitKeys("today's secret of the cluster\n\nyesterday's secret\n") {
		fmt.Printf("%s\n", key)
	}
	// Output:
	// today's secret of the cluster
	// yesterday's secret
}

func ExampleWriteHelp() {
	WriteHelp(os.Stdout, "float")
	// Output:
	// Usage: rtpjet float list [OPTION...]
	//        rtpjet float move NAME [NODE] [OPTION...]
	//
	//       --nats=URL                           the NATS that has the log (nats://127.0.0.1:4222)
	//       --nats-creds=FILE                    credentials for it
	//       --nats-user=NAME                     user for it
	//       --nats-password-file=FILE            file with the password of that user
	//       --nats-tls-ca=FILE                   authorities that its certificate comes from
	//       --nats-tls-cert=FILE                 certificate to show it
	//       --nats-tls-key=FILE                  private key of that certificate
	//       --cluster-key-file=FILE              the secret that the nodes share, if they have one
	//       --region=NAME                        region of the log (default)
	//       --json                               print JSON
	//       --keys                               call show: print the SRTP keys, too
	//   -h, --help                               print this
}
