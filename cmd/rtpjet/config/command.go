package config

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
)

// Command is what the command line asks for.
type Command struct {
	// Name is one or two words: serve, call list; rtpjet help lists them.
	Name string
	// Config is set for dev and serve.
	Config *Config
	// Log is where the log is: set for replay and for the call, node, float and region commands.
	Log LogOptions
	// Call is the call-id that the call commands and replay are about; for replay it may be the name of a file.
	Call string
	// History is set for call history, call export and replay.
	History HistoryOptions
	// Node is set for the node commands.
	Node NodeOptions
	// Float is set for the float commands.
	Float FloatOptions
	// Region is set for the region commands.
	Region RegionOptions
	// Args are what demo gets.
	Args []string
	// Topic is the command that help is asked for; may be empty.
	Topic string
}

// LogOptions say where the log of a region is, and how to print what is found there.
type LogOptions struct {
	// NATS are the URLs of the NATS that has the log.
	NATS []string
	NATSAuth
	Region string
	// JSON asks for JSON instead of a table.
	JSON bool
	// Keys asks call show for the SRTP keys, which are hidden otherwise.
	Keys bool
}

// errBench is for those who know the command of earlier builds.
const errBench usageError = "bench is a program of its own now, rtpjet-bench, with the same options: go build -o bin/rtpjet-bench ./cmd/rtpjet-bench"

// ParseArgs reads a command line, without the program's name, and the configuration file that it leads to. Its error says
// everything that is wrong, one sentence a line; errors of the operator match [ErrUsage].
func ParseArgs(ctx context.Context, args []string, env Env) (Command, error) {
	if len(args) == 0 {
		return Command{Name: "help"}, nil
	}
	name, rest := args[0], args[1:]
	switch name {
	case "help", "-h", "--help", "-?":
		return parseHelp(rest)
	case "version", "-v", "--version":
		return Command{Name: "version"}, nil
	case "man":
		return parseMan(rest)
	case "completion":
		return parseCompletion(rest)
	case "bench":
		return Command{}, errBench
	case "demo":
		return Command{Name: name, Args: rest}, nil
	case "dev", "serve":
		return parseServe(ctx, name, rest, env)
	case "replay":
		return parseReplay(rest)
	}
	if groups[name] != nil {
		return parseGroup(name, rest)
	}
	if strings.HasPrefix(name, "-") {
		return Command{}, usageError(fmt.Sprintf("the first word must be a command, not %s; did you mean rtpjet serve %s?",
			Quote(name), strings.Join(args, " ")))
	}
	return Command{}, usageError(fmt.Sprintf("there is no command %s%s", Quote(name), suggestCommand(name)))
}

func parseMan(words []string) (Command, error) {
	switch {
	case len(words) == 0:
		return Command{Name: "man"}, nil
	case isHelp(words[0]):
		return Command{Name: "help", Topic: "man"}, nil
	}
	return Command{}, usageError("man takes no argument, but there is " + Quote(words[0]))
}

func parseCompletion(words []string) (Command, error) {
	switch {
	case len(words) == 1 && words[0] == "bash":
		return Command{Name: "completion"}, nil
	case len(words) > 0 && isHelp(words[0]):
		return Command{Name: "help", Topic: "completion"}, nil
	}
	return Command{}, usageError("write rtpjet completion bash; there is none for other shells")
}

func isHelp(word string) bool { return word == "-h" || word == "--help" || word == "help" }

// parseHelp finds what help is wanted about.
func parseHelp(words []string) (Command, error) {
	topic := strings.Join(words, " ")
	if topic == "" {
		return Command{Name: "help"}, nil
	}
	switch words[0] {
	case "bench":
		return Command{}, errBench
	case "demo": // it knows its options
		return Command{Name: words[0], Args: append(slices.Clone(words[1:]), "--help")}, nil
	}
	if commandNamed(topic) != nil || groups[topic] != nil {
		return Command{Name: "help", Topic: topic}, nil
	}
	return Command{}, usageError(fmt.Sprintf("there is no command %s%s", Quote(topic), suggestCommand(words[0])))
}

func suggestCommand(name string) string {
	for i := range commands {
		if first := commands[i].first(); editDistance(name, first) <= 2 && len(name) > 2 {
			return "; did you mean rtpjet " + first + "?"
		}
	}
	return "; rtpjet help lists the commands"
}

// parseServe reads the options of serve or dev.
func parseServe(ctx context.Context, name string, args []string, env Env) (Command, error) {
	s, rest, err := serveTable.parse(args)
	switch { // as with rtpengine, these win over anything else
	case len(s["help"]) > 0:
		return Command{Name: "help", Topic: name}, nil
	case len(s["version"]) > 0:
		return Command{Name: "version"}, nil
	case len(s["codecs"]) > 0:
		return Command{}, usageError("--codecs lists what can be transcoded, and rtpjet transcodes nothing: it relays any codec")
	case err != nil:
		return Command{}, err
	case len(rest) > 0:
		return Command{}, usageError(fmt.Sprintf("%s takes no argument, but there is %s; options begin with a dash", name, Quote(rest[0])))
	}
	c, err := load(ctx, s, name == "dev", env)
	if err != nil {
		return Command{}, err
	}
	return Command{Name: name, Config: c}, nil
}

// corrections are for who writes the first word of several commands and no second one of them.
var corrections = map[string]usageError{
	"call":   "write rtpjet call list, or rtpjet call show, history, export or why-alive CALL-ID",
	"node":   "write rtpjet node list, or rtpjet node drain, undrain or takeover NODE",
	"float":  "write rtpjet float list, or rtpjet float move NAME [NODE]",
	"region": "write rtpjet region list, or rtpjet region adopt or forget NAME",
}

// parseGroup reads a command of two words, whose first one is known.
func parseGroup(first string, args []string) (Command, error) {
	verb := ""
	if len(args) > 0 {
		verb = args[0]
	}
	switch {
	case isHelp(verb):
		return Command{Name: "help", Topic: first}, nil
	case !slices.Contains(verbs(first), verb):
		return Command{}, corrections[first]
	}
	name, args := first+" "+verb, args[1:]
	if first == "call" {
		args = joinDiff(args)
	}
	s, rest, err := pageOf(name).table().parse(args)
	if len(s["help"]) > 0 {
		return Command{Name: "help", Topic: name}, nil
	}
	var faults faultList
	faults.addErr(err)
	c := Command{Name: name, Log: readLogOptions(s, &faults)}
	switch first {
	case "call":
		readCall(&c, verb, s, rest, &faults)
	case "node":
		readNode(&c, verb, s, rest, &faults)
	case "float":
		readFloat(&c, verb, rest, &faults)
	case "region":
		readRegion(&c, verb, s, rest, &faults)
	}
	return c, faults.err()
}

// readLogOptions reads where the log is.
func readLogOptions(s settings, faults *faultList) LogOptions {
	o := LogOptions{Region: s.one("region", defaultRegion), JSON: s.on("json"), Keys: s.on("keys")}
	d := &decoder{s: s}
	o.NATSAuth = d.natsAuth(Env{ReadFile: os.ReadFile}, true)
	for _, v := range s["nats"] {
		for u := range strings.SplitSeq(v.value, ",") {
			o.NATS = append(o.NATS, d.natsURL(strings.TrimSpace(u), v.where))
		}
	}
	if len(o.NATS) == 0 {
		o.NATS = []string{"nats://" + DefaultNATSListen}
	}
	faults.addErr(d.faults.err())
	return o
}
