package config

import (
	"bytes"
	goflag "flag"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = goflag.Bool("update", false, "write docs/options.md anew")

// TestManual: the manual page has all commands and options, and man finds nothing wrong with it.
func TestManual(t *testing.T) {
	var page bytes.Buffer
	WriteManual(&page)
	text := strings.NewReplacer(`\-`, "-", `\e`, `\`, `\fB`, "", `\fI`, "", `\fR`, "", `\&`, "").Replace(page.String())
	for i := range commands {
		if c := &commands[i]; !strings.Contains(text, "\n.B rtpjet "+c.name+"\n") || !strings.Contains(text, "\n.B "+c.name+" ") || !strings.Contains(text, c.help) {
			t.Errorf("the manual page does not tell of %s", c.name)
		}
	}
	for _, list := range [][]option{serveOptions, logOptions, historyOptions, nodeOptions, regionOptions} {
		for i := range list {
			if o := &list[i]; !strings.Contains(text, "--"+o.long) || !strings.Contains(text, "\n"+o.help()+"\n") {
				t.Errorf("the manual page does not tell of --%s", o.long)
			}
		}
	}
	request := regexp.MustCompile(`^\.(TH|SH|TP|B|I|br)( |$)`)
	for line := range strings.Lines(page.String()) {
		if strings.HasPrefix(line, ".") && !request.MatchString(strings.TrimRight(line, "\n")) || strings.HasPrefix(line, "'") {
			t.Errorf("a line that roff reads as a request: %s", line)
		}
	}
	groff, err := exec.LookPath("groff")
	if err != nil {
		t.Log("no groff here: the page is not formatted")
		return
	}
	cmd := exec.CommandContext(t.Context(), groff, "-man", "-Tascii", "-ww")
	var faults bytes.Buffer
	cmd.Stdin, cmd.Stderr = &page, &faults
	if err := cmd.Run(); err != nil || faults.Len() > 0 {
		t.Errorf("groff: %v\n%s", err, &faults)
	}
}

func TestManualText(t *testing.T) {
	for in, want := range map[string]string{
		"": "", "a-b": "a\\-b\n", ".x": "\\&.x\n", "'x\ny": "\\&'x\ny\n", `C:\x`: "C:\\ex\n",
	} {
		var b bytes.Buffer
		manual{&b}.text(in)
		if b.String() != want {
			t.Errorf("%q: %q, want %q", in, &b, want)
		}
	}
}

// complete asks bash what it would offer behind the words, of which the last one is not finished.
func complete(t *testing.T, words ...string) []string {
	t.Helper()
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("no bash here")
	}
	var script bytes.Buffer
	WriteCompletion(&script)
	fmt.Fprintf(&script, "COMP_WORDS=(rtpjet \"$@\")\nCOMP_CWORD=%d\n_rtpjet\nprintf '%%s\\n' \"${COMPREPLY[@]}\"\n", len(words))
	cmd := exec.CommandContext(t.Context(), bash, append([]string{"--norc", "-u", "-c", script.String(), "bash"}, words...)...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%q: %v\n%s", words, err, out)
	}
	return strings.Fields(string(out))
}

func TestCompletion(t *testing.T) {
	for _, tt := range []struct{ line, want string }{
		{"se", "serve"},
		{"re", "replay region"},
		{"call ", "list show history export why-alive"},
		{"node un", "undrain"},
		{"region ", "list adopt forget"},
		{"float m", "move"},
		{"help rep", "replay"},
		{"completion ", "bash"},
		{"version ", ""},
		{"serve --endp", "--endpoint-learning"},
		{"dev --float-", "--float-provider --float-timeout --float-settle"},
		{"serve --endpoint-learning ", "heuristic immediate delayed off"},
		{"serve --endpoint-learning d", "delayed"},
		{"serve --endpoint-learning =", "heuristic immediate delayed off"},
		{"serve --log-format = j", "json"},
		{"serve -i eth0 --log-loss s", "serve"},
		{"serve --pidfile ", ""}, // the names of files
		{"call history x --at", "--at"},
		{"call list --at", ""},
		{"node undrain n1 --w", "--wait"},
		{"replay --re", "--rerun --region"},
		{"region adopt us --with", "--without"},
	} {
		if got := strings.Join(complete(t, strings.Split(tt.line, " ")...), " "); got != tt.want {
			t.Errorf("%s: %s\nwant %s", tt.line, got, tt.want)
		}
	}
	if first := complete(t, ""); !slices.Equal(first, firstWords()) {
		t.Errorf("%q", first)
	}
}

// TestDocs: docs/options.md is made of the tables.
func TestDocs(t *testing.T) {
	const name = "../../../docs/options.md"
	var b strings.Builder
	b.WriteString("# Commands and options\n\nThis page is made of the tables in `cmd/rtpjet/config`: `go test ./cmd/rtpjet/config -run TestDocs -update`. " +
		"`rtpjet help` has the same, and so has `rtpjet man`.\n\n## Commands\n\n| command | what it does |\n|---|---|\n")
	for i := range commands {
		c := &commands[i]
		fmt.Fprintf(&b, "| `%s` | %s |\n", cell(strings.TrimSpace("rtpjet "+c.name+" "+c.args)), cell(c.help))
	}
	section := func(title, about string, list []option) {
		fmt.Fprintf(&b, "\n## %s\n\n", title)
		if about != "" {
			fmt.Fprintf(&b, "%s\n\n", about)
		}
		b.WriteString("| option | what it is for |\n|---|---|\n")
		for i := range list {
			o := &list[i]
			names := "--" + o.long
			if o.arg != "" {
				names += "=" + o.arg
			}
			if o.short != 0 {
				names = "-" + string(o.short) + ", " + names
			}
			fmt.Fprintf(&b, "| `%s` | %s |\n", cell(names), cell(o.help()))
		}
	}
	section("serve and dev", "In the configuration file the same names stand without dashes, one `NAME = VALUE` a line, in the section `["+defaultConfigSection+"]`. "+
		"What may be repeated has its values with `;` between. The command line replaces what the file says. Defaults are in parentheses.", serveOptions)
	section("call history, call export and replay", "", historyOptions)
	section("node", "", nodeOptions)
	section("region", "", regionOptions)
	section("All commands but serve and dev", "They say where the log is, and how to print what is found there.", logOptions)
	b.WriteString("\n## Options of rtpengine without effect\n\nThey are accepted, so that a configuration in use starts with rtpjet as it is, with a warning.\n\n")
	var ignored []string
	for i := range rtpengineOptions {
		ignored = append(ignored, "`--"+rtpengineOptions[i].long+"`")
	}
	slices.Sort(ignored)
	fmt.Fprintf(&b, "%s, and all that begin with %s.\n", strings.Join(ignored, ", "), "`--"+strings.Join(families, "`, `--")+"`")
	if *update {
		if err := os.WriteFile(name, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(string(have), "\n"), strings.Split(b.String(), "\n")); diff != "" {
		t.Errorf("%s (-file +tables): write it anew with -update\n%s", name, diff)
	}
}

// cell makes a text one cell of a table.
func cell(s string) string { return strings.ReplaceAll(s, "|", `\|`) }
