package app

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
)

// Command is what the command line asks for.
type Command struct {
	// Name is dev, serve, demo, call list, show, history, export or why-alive, replay, node list, drain, undrain or takeover,
	// float list or move, region list, adopt or forget, bench,
	// version or help.
	Name string
	// Config is set for dev and serve.
	Config *Config
	// Call is set for the call, the node and the float commands.
	Call CallOptions
	// History is set for call history, call export and replay.
	History HistoryOptions
	// Node is set for the node commands.
	Node NodeOptions
	// Float is set for the float commands.
	Float FloatOptions
	// Region is set for the region commands.
	Region RegionOptions
	// Args are what bench and demo get.
	Args []string
	// Topic is the command that help is asked for; may be empty.
	Topic string
}

// CallOptions say where to look for calls.
type CallOptions struct {
	// ID is the call-id of the call commands, and of replay, which takes a file, too.
	ID string
	// NATS is where the log is.
	NATS []string
	NATSAuth
	Region string
	// JSON asks for JSON instead of a table.
	JSON bool
	// Keys asks call show for the SRTP keys, which are hidden otherwise.
	Keys bool
}

// commands are what can be asked for, in the order of the help.
var commands = []struct{ name, args, help string }{
	{"dev", "[OPTION...]", "run one node for trying out: no option is needed"},
	{"serve", "[OPTION...]", "run a node, with rtpengine's options and its configuration file"},
	{"call list", "[--nats URL]", "list the calls that are in the log"},
	{"call show", "CALL-ID [--nats URL]", "show what has happened to a call, event by event"},
	{"call history", "CALL-ID [--at WHEN] [--follow]", "tell the life of a call as a ladder; what it was then"},
	{"call export", "CALL-ID [-o FILE]", "write what the log has of a call into a file, without its keys"},
	{"call why-alive", "CALL-ID", "say what keeps a call, or why it ended"},
	{"replay", "FILE|CALL-ID [--rerun]", "fold the history of a call; or decide all again with this build"},
	{"node list", "[--nats URL]", "list the nodes of the cluster"},
	{"node drain", "NODE [--move] [--wait] [--stop]", "have a node take no new calls; node undrain takes it back"},
	{"node takeover", "NODE", "have the calls of a node that is gone taken over"},
	{"float list", "[--nats URL]", "list the floating addresses and where they are"},
	{"float move", "NAME [NODE]", "move a floating address with its calls to another node"},
	{"region list", "[--nats URL]", "list the other regions: how they are, and how old their mirrors"},
	{"region adopt", "NAME", "make the calls of a region that is lost this one's; region forget NAME: as if never heard"},
	{"demo", "[--calls N]", "a cluster of three nodes on this machine, with calls, and one node killed"},
	{"bench", "[OPTION...]", "measure a server: calls with RTP"},
	{"bench control", "[OPTION...]", "measure a server: calls a second"},
	{"version", "", "print the version"},
	{"help", "[COMMAND]", "print this, or the options of a command"},
}

// callOptions are the options of call list and call show.
var callOptions = []option{
	{"nats", 0, list, "URL", "the NATS that has the log (nats://" + defaultNATSListen + ")"},
	{"nats-creds", 0, text, "FILE", "credentials for it"},
	{"nats-user", 0, text, "NAME", "user for it"},
	{"nats-password-file", 0, text, "FILE", "file with the password of that user"},
	{"nats-tls-ca", 0, text, "FILE", "authorities that its certificate comes from"},
	{"nats-tls-cert", 0, text, "FILE", "certificate to show it"},
	{"nats-tls-key", 0, text, "FILE", "private key of that certificate"},
	{"cluster-key-file", 0, text, "FILE", "the secret that the nodes share, if they have one"},
	{"region", 0, text, "NAME", "region of the log (default)"},
	{"json", 0, flag, "", "print JSON"},
	{"keys", 0, flag, "", "call show: print the SRTP keys, too"},
	{"help", 'h', flag, "", "print this"},
}

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
	case "bench":
		return Command{Name: name, Args: rest}, nil
	case "dev", "serve":
		return parseNode(ctx, name, rest, env)
	case "call":
		return parseCall(rest)
	case "replay":
		return parseReplay(rest)
	case "node":
		return parseNodeCommand(rest)
	case "float":
		return parseFloatCommand(rest)
	case "region":
		return parseRegionCommand(rest)
	case "demo":
		return Command{Name: name, Args: rest}, nil
	}
	if strings.HasPrefix(name, "-") {
		return Command{}, usageError(fmt.Sprintf("the first word must be a command, not %s; did you mean rtpjet serve %s?",
			quote(name), strings.Join(args, " ")))
	}
	return Command{}, usageError(fmt.Sprintf("there is no command %s%s", quote(name), suggestCommand(name)))
}

// parseHelp finds what help is wanted about.
func parseHelp(words []string) (Command, error) {
	topic := strings.Join(words, " ")
	if topic == "" {
		return Command{Name: "help"}, nil
	}
	if words[0] == "bench" || words[0] == "demo" { // they know their options
		return Command{Name: words[0], Args: append(slices.Clone(words[1:]), "--help")}, nil
	}
	for _, c := range commands {
		if first, _, _ := strings.Cut(c.name, " "); c.name == topic || first == topic {
			return Command{Name: "help", Topic: topic}, nil
		}
	}
	if slices.Contains([]string{"node undrain", "region forget"}, topic) { // they stand with their opposites
		return Command{Name: "help", Topic: topic}, nil
	}
	return Command{}, usageError(fmt.Sprintf("there is no command %s%s", quote(topic), suggestCommand(words[0])))
}

func suggestCommand(name string) string {
	for _, c := range commands {
		if first, _, _ := strings.Cut(c.name, " "); editDistance(name, first) <= 2 && len(name) > 2 {
			return "; did you mean rtpjet " + first + "?"
		}
	}
	return "; rtpjet help lists the commands"
}

func parseNode(ctx context.Context, name string, args []string, env Env) (Command, error) {
	s, rest, err := parseOptions(args, optionByName, optionByShort)
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
		return Command{}, usageError(fmt.Sprintf("%s takes no argument, but there is %s; options begin with a dash", name, quote(rest[0])))
	}
	c, err := loadConfig(ctx, s, name == "dev", env)
	if err != nil {
		return Command{}, err
	}
	return Command{Name: name, Config: c}, nil
}

// readCallOptions reads where the log is.
func readCallOptions(s settings, faults *faultList) CallOptions {
	o := CallOptions{
		Region: s.one("region", "default"),
		JSON:   s.one("json", "") == "true",
		Keys:   s.one("keys", "") == "true",
	}
	d := &decoder{s: s}
	o.NATSAuth = d.natsAuth(Env{ReadFile: os.ReadFile}, true)
	for _, v := range s["nats"] {
		for u := range strings.SplitSeq(v.value, ",") {
			o.NATS = append(o.NATS, d.natsURL(strings.TrimSpace(u), v.where))
		}
	}
	if len(o.NATS) == 0 {
		o.NATS = []string{"nats://" + defaultNATSListen}
	}
	faults.addErr(d.faults.err())
	return o
}

// WriteHelp prints the commands, or the options of one of them.
func WriteHelp(w io.Writer, topic string) {
	switch topic {
	case "dev", "serve":
		fmt.Fprintf(w, "Usage: rtpjet %s [OPTION...]\n\n", topic)
		if topic == "dev" {
			fmt.Fprintf(w, "One node for trying out: commands on %s, media on the main address of this machine.\nIt takes the options of serve.\n\n", defaultNG)
		}
		writeOptions(w, options)
		fmt.Fprintf(w, "\nThe other options of rtpengine are accepted, with a warning that they have no effect.\n")
	case "node", "node list", "node drain", "node undrain", "node takeover":
		fmt.Fprintf(w, "Usage: rtpjet node list [OPTION...]\n       rtpjet node drain|undrain|takeover NODE [OPTION...]\n\n")
		writeOptions(w, nodeOptions)
		writeOptions(w, callOptions)
	case "float", "float list", "float move":
		fmt.Fprintf(w, "Usage: rtpjet float list [OPTION...]\n       rtpjet float move NAME [NODE] [OPTION...]\n\n")
		writeOptions(w, callOptions)
	case "region", "region list", "region adopt", "region forget":
		fmt.Fprintf(w, "Usage: rtpjet region list [OPTION...]\n       rtpjet region adopt|forget NAME [OPTION...]\n\n")
		writeOptions(w, regionOptions)
		writeOptions(w, callOptions)
	case "call", "call list", "call show", "call history", "call export", "call why-alive", "replay":
		writeCallHelp(w, topic)
	default:
		fmt.Fprintf(w, "rtpjet relays RTP for SIP proxies that speak rtpengine's NG protocol.\n\nUsage: rtpjet COMMAND\n\n")
		for _, c := range commands {
			fmt.Fprintf(w, "  %-36s %s\n", strings.TrimSpace(c.name+" "+c.args), c.help)
		}
	}
}

func writeOptions(w io.Writer, list []option) {
	for o := range slices.Values(list) {
		if o.help == "" {
			continue
		}
		name := "    --" + o.long
		if o.short != 0 {
			name = "-" + string(o.short) + ", --" + o.long
		}
		if o.arg != "" {
			name += "=" + o.arg
		}
		if len(name) > 40 {
			fmt.Fprintf(w, "  %s\n  %-40s %s\n", name, "", o.help)
			continue
		}
		fmt.Fprintf(w, "  %-40s %s\n", name, o.help)
	}
}
