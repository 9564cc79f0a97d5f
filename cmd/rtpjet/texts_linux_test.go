package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// What operators read when they ask for help or make a mistake is a part of what the program promises: scripts match exit codes,
// and people search for sentences. Whoever changes one changes the file of testdata with it, on purpose.

var update = flag.Bool("update", false, "write the golden files anew")

// topics are all that help can be asked for, as a newcomer may write it.
var topics = []string{
	"", "--help", "help", "help help", "help version", "version --help",
	"serve --help", "dev --help", "help serve",
	"call --help", "call list --help", "call show --help", "call history --help", "call export --help", "call why-alive --help",
	"replay --help", "node --help", "node drain --help", "help node undrain", "float --help", "help float move",
	"region --help", "help region adopt", "help region forget", "demo --help", "help demo", "man --help", "completion --help",
}

// filesAtHand are in the directory where the mistakes are made.
var filesAtHand = map[string]string{
	"broken.conf":   "[rtpengine]\nlisten-ng = 127.0.0.1:2223\ninterface 127.0.0.1\n",
	"nogroup.conf":  "interface = 127.0.0.1\n",
	"noname.conf":   "[rtpengine\ninterface = 127.0.0.1\n",
	"other.conf":    "[rtpengine-testing]\ninterface = 127.0.0.1\n",
	"comment.conf":  "[rtpengine]\ninterface = 127.0.0.1\nlisten-ng = 2223\ntimeout = 60 # seconds\n",
	"section.conf":  "[rtpengine]\nlisten-ng = 2223\ninterfaces-config = media\n[media-a]\naddres = 127.0.0.1\n",
	"template.conf": "[rtpengine]\ninterface = 127.0.0.1\nlisten-ng = 2223\ntemplates = flags\n",
	"short.key":     "secret\n",
	"empty.key":     "\n",
	"notes.rtpjet":  "these are no events\n",
	"a-file":        "",
}

// mistakes are what goes wrong most often, by the experience of those who begin with rtpjet, or come from rtpengine. PORT is one
// that another program has.
var mistakes = []string{
	// the command
	"srve", "start", "--interface=127.0.0.1 -n 2223", "help srve", "help call lst",
	// options
	"serve NODE --interfce=eth0", "serve NODE --time=3", "serve NODE --zzzzzzz", "serve NODE -Z", "serve NODE --timeout", "serve NODE -o",
	"serve NODE extra", "serve NODE --codecs", "serve NODE --foreground=perhaps",
	// what is missing
	"serve --config-file none", "serve --config-file none -i 127.0.0.1", "serve --config-file none -n 2223",
	// addresses
	"serve --config-file none -n 2223 -i no-such-card0", "serve --config-file none -n 2223 -i 0.0.0.0", "serve --config-file none -n 2223 -i pub/",
	"serve --config-file none -n 2223 -i /127.0.0.1", "serve --config-file none -n 2223 -i 127.0.0.1!nat.example.com",
	"serve --config-file none -n 2223 -i 127.0.0.1 -i 127.0.0.1", "serve --config-file none -n 2223 -i a/127.0.0.1 -i x=b",
	"serve --config-file none -n 2223 -i 192.0.2.1",
	"serve --config-file none -i 127.0.0.1 -n nonsense", "serve --config-file none -i 127.0.0.1 -n 99999",
	"serve NODE --listen-http nonsense", "serve NODE --listen-http 127.0.0.1:PORT",
	// ports
	"serve NODE --port-min 5000 --port-max 4000", "serve NODE -m 70000", "serve NODE -m low",
	// the configuration file
	"serve --config-file missing.conf", "serve --config-file broken.conf", "serve --config-file nogroup.conf", "serve --config-file noname.conf",
	"serve --config-file other.conf", "serve --config-file comment.conf", "serve --config-file section.conf", "serve --config-file template.conf",
	"serve NODE --interfaces-config media",
	// values
	"serve NODE -o 0 --tos 256 --endpoint-learning often --log-format xml", "serve NODE --log-loss ignore", "serve NODE --archive-age 3",
	"serve NODE --node-id a.b --region x/y", "serve NODE --zone eu//a", "serve NODE --interface-zone pub=eu",
	// NATS, clusters and regions
	"serve NODE --nats http://127.0.0.1", "serve NODE --nats 127.0.0.1:4222 --nats-listen 127.0.0.1:1", "serve NODE --nats-listen 4222",
	"serve NODE --nats-creds f", "serve NODE --nats-tls-cert c", "serve NODE --nats-routes 127.0.0.1:6222", "serve NODE --nats-replicas 3",
	"serve NODE --nats-cluster-listen 127.0.0.1:6222 --nats-routes 127.0.0.2",
	"serve NODE --cluster-key-file short.key", "serve NODE --cluster-key-file empty.key", "serve NODE --cluster-key-file missing.key",
	"serve NODE --region-listen 127.0.0.1:7422", "serve NODE --region eu --cluster-key-file missing.key --region-peer us",
	// floating addresses
	"serve NODE --float 192.0.2.100", "serve NODE --float 127.0.0.1/8@lo", "serve NODE --float-provider script", "serve NODE --float-timeout 5",
	"serve NODE --listen-ng float:pub:2223",
	// operators' commands
	"call", "call lst", "call show", "call list x", "call show a b", "call list --nats ftp://127.0.0.1", "call list --nats 127.0.0.1:1",
	"call history a --at 1 --follow", "call history a --diff 1", "call history a --width 3", "call list --at 3",
	"replay", "replay --all x", "replay a --since 1h", "replay --all --since yesterday", "replay notes.rtpjet", "replay missing.rtpjet --nats 127.0.0.1:1",
	"node", "node list x", "node drain", "node drain a.b", "node drain a --deadline soon", "node list --nats 127.0.0.1:1",
	"float", "float list x", "float move", "region", "region list x", "region adopt", "region adopt a.b",
	"demo --calls 0", "demo --cals 3", "demo x",
	"man serve", "completion", "completion zsh",
}

// aNode is what NODE stands for in the mistakes: options that are right.
const aNode = "--config-file none -i 127.0.0.1 -n 127.0.0.1:2223 --data-dir a-file/data"

func TestHelpTexts(t *testing.T) {
	var out strings.Builder
	for _, topic := range topics {
		transcript(t, &out, topic, topic)
	}
	golden(t, "help.txt", out.String())
}

func TestMistakes(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	_, port, err := net.SplitHostPort(taken.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	for name, text := range filesAtHand {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var out strings.Builder
	for _, line := range mistakes {
		transcript(t, &out, line, strings.NewReplacer("NODE", aNode, "PORT", port).Replace(line))
	}
	t.Chdir(here)
	golden(t, "mistakes.txt", strings.ReplaceAll(out.String(), port, "PORT"))
}

// transcript writes what a terminal would show: the command line, what comes of it, and the exit code.
func transcript(t *testing.T, w *strings.Builder, shown, line string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var stdout, stderr bytes.Buffer
	code := run(ctx, strings.Fields(line), &stdout, &stderr)
	if ctx.Err() != nil {
		t.Errorf("rtpjet %s does not end", line)
	}
	fmt.Fprintf(w, "$ %s\n%s", strings.TrimSpace("rtpjet "+shown), &stdout)
	for text := range strings.Lines(stderr.String()) {
		fmt.Fprintf(w, "! %s", text)
	}
	fmt.Fprintf(w, "= %d\n\n", code)
}

// golden compares a text with the file of testdata that has it.
func golden(t *testing.T, name, got string) {
	t.Helper()
	name = filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(name, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got, "\n")); diff != "" {
		t.Errorf("%s (-file +now); if this is meant, write it anew with -update:\n%s", name, diff)
	}
}
