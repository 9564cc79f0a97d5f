package config

import (
	"slices"
	"strings"
)

// command is one thing that can be asked for: a line of the help.
type command struct {
	name string // one word or two
	args string // what follows, for people
	help string
	also []string // commands that the same line is about
	page *page    // what more there is to say; nil: nothing
}

// page is what help says about a command, or about several that share it.
type page struct {
	usage   []string // the lines of the usage, without the program's name
	about   string   // a paragraph below; may be empty
	options [][]option
	note    string // a paragraph at the end; may be empty
}

// commands are in the order of the help.
var commands = []command{
	{"dev", "[OPTION...]", "run one node for trying out: no option is needed", nil, devPage},
	{"serve", "[OPTION...]", "run a node, with rtpengine's options and its configuration file", nil, servePage},
	{"call list", "[--nats URL]", "list the calls that are in the log", nil, callPage},
	{"call show", "CALL-ID [--nats URL]", "show what has happened to a call, event by event", nil, callPage},
	{"call history", "CALL-ID [--at WHEN] [--follow]", "tell the life of a call as a ladder; what it was then", nil, historyPage},
	{"call export", "CALL-ID [-o FILE]", "write what the log has of a call into a file, without its keys", nil, historyPage},
	{"call why-alive", "CALL-ID", "say what keeps a call, or why it ended", nil, callPage},
	{"replay", "FILE|CALL-ID [--rerun]", "fold the history of a call; or decide all again with this build", nil, replayPage},
	{"node list", "[--nats URL]", "list the nodes of the cluster", nil, nodePage},
	{"node drain", "NODE [--move] [--wait] [--stop]", "have a node take no new calls; node undrain takes it back", []string{"node undrain"}, nodePage},
	{"node takeover", "NODE", "have the calls of a node that is gone taken over", nil, nodePage},
	{"float list", "[--nats URL]", "list the floating addresses and where they are", nil, floatPage},
	{"float move", "NAME [NODE]", "move a floating address with its calls to another node", nil, floatPage},
	{"region list", "[--nats URL]", "list the other regions: how they are, and how old their mirrors", nil, regionPage},
	{"region adopt", "NAME", "make the calls of a region that is lost this one's; region forget NAME: as if never heard", []string{"region forget"}, regionPage},
	{"demo", "[--calls N]", "a cluster of three nodes on this machine, with calls, and one node killed", nil, nil},
	{"man", "", "print the manual page: rtpjet man | man -l -", nil, nil},
	{"completion", "bash", "print what bash needs to complete commands and options", nil, nil},
	{"version", "", "print the version", nil, nil},
	{"help", "[COMMAND]", "print this, or the options of a command", nil, nil},
}

var (
	servePage = &page{
		usage:   []string{"serve [OPTION...]"},
		options: [][]option{serveOptions},
		note:    "The other options of rtpengine are accepted, with a warning that they have no effect.",
	}
	devPage = &page{
		usage: []string{"dev [OPTION...]"},
		about: "One node for trying out: commands on " + defaultNG + ", media on the main address of this machine.\n" +
			"It takes the options of serve.",
		options: servePage.options, note: servePage.note,
	}
	callPage = &page{
		usage:   []string{"call list [OPTION...]", "call show|history|export|why-alive CALL-ID [OPTION...]"},
		options: [][]option{logOptions},
	}
	historyPage = &page{usage: callPage.usage, options: [][]option{historyOptions, logOptions}}
	replayPage  = &page{
		usage:   []string{"replay FILE|CALL-ID [--rerun] [OPTION...]", "replay --all [--since 1h] [OPTION...]"},
		about:   "A file that rtpjet call export has written needs neither NATS nor a configuration.",
		options: historyPage.options,
	}
	nodePage = &page{
		usage:   []string{"node list [OPTION...]", "node drain|undrain|takeover NODE [OPTION...]"},
		options: [][]option{nodeOptions, logOptions},
	}
	floatPage = &page{
		usage:   []string{"float list [OPTION...]", "float move NAME [NODE] [OPTION...]"},
		options: [][]option{logOptions},
	}
	regionPage = &page{
		usage:   []string{"region list [OPTION...]", "region adopt|forget NAME [OPTION...]"},
		options: [][]option{regionOptions, logOptions},
	}
)

// groups are the pages of words that have several commands behind them.
var groups = map[string]*page{"call": historyPage, "node": nodePage, "float": floatPage, "region": regionPage}

// logOptions say where the log is, to all commands of operators.
var logOptions = []option{
	listOption("nats", 0, "URL", "the NATS that has the log (nats://"+DefaultNATSListen+")"),
	textOption("nats-creds", 0, "FILE", "", "credentials for it"),
	textOption("nats-user", 0, "NAME", "", "user for it"),
	textOption("nats-password-file", 0, "FILE", "", "file with the password of that user"),
	textOption("nats-tls-ca", 0, "FILE", "", "authorities that its certificate comes from"),
	textOption("nats-tls-cert", 0, "FILE", "", "certificate to show it"),
	textOption("nats-tls-key", 0, "FILE", "", "private key of that certificate"),
	textOption("cluster-key-file", 0, "FILE", "", "the secret that the nodes share, if they have one"),
	textOption("region", 0, "NAME", defaultRegion, "region of the log (%s)"),
	flagOption("json", 0, "print JSON"),
	flagOption("keys", 0, "call show: print the SRTP keys, too"),
	flagOption("help", 'h', "print this"),
}

// historyOptions are the options of call history, call export and replay, beside those that say where the log is.
var historyOptions = []option{
	textOption("at", 0, "WHEN", "", "history: the call as it was then: an event's number, a time (UTC), or +90s after its begin"),
	textOption("diff", 0, "A B", "", "history: what differs between two such moments"),
	flagOption("follow", 'f', "history: go on with what happens"),
	flagOption("full", 0, "history, replay: fold nothing, and show what is kept for later decisions"),
	textOption("width", 0, "COLUMNS", "", "history, replay: width of the lines (that of the terminal)"),
	textOption("output", 'o', "FILE", "", "export: where to write; - is the standard output (call-KEY.rtpjet)"),
	flagOption("sealed", 0, "export: leave the keys in, sealed with the cluster key"),
	flagOption("rerun", 0, "replay: make every decision again, and show what comes out otherwise"),
	flagOption("all", 0, "replay: all calls of the log and the archive, with --rerun"),
	textOption("since", 0, "TIME", "", "replay --all: those of the last 1h, 30m, 7d (all)"),
}

// nodeOptions are the options of the node commands, beside those that say where the log is.
var nodeOptions = []option{
	flagOption("wait", 0, "drain: wait until the node has no more calls"),
	flagOption("stop", 0, "drain: have the node end when it has no more calls"),
	flagOption("move", 0, "drain: have the floating addresses of the node move to others now, with their calls"),
	textOption("deadline", 0, "SECONDS", "", "drain: wait no longer, and end the node then (0: for ever)"),
	flagOption("force", 0, "takeover: although the node is alive"),
}

// regionOptions are the options of the region commands, beside those that say where the log is.
var regionOptions = []option{
	listOption("without", 0, "NAME,...", "adopt: do not wait for the agreement of these regions, which are cut off as well"),
}

// table has the options of the page.
func (p *page) table() *optionTable { return newTable(p.options...) }

// first is the first word of the command.
func (c *command) first() string {
	word, _, _ := strings.Cut(c.name, " ")
	return word
}

// names are all commands that the line is about.
func (c *command) names() []string { return append([]string{c.name}, c.also...) }

// commandNamed finds a command of the table by its words.
func commandNamed(name string) *command {
	for i := range commands {
		if slices.Contains(commands[i].names(), name) {
			return &commands[i]
		}
	}
	return nil
}

// pageOf finds what help has on a topic: a command, or the first word of several. nil: nothing of its own.
func pageOf(topic string) *page {
	if c := commandNamed(topic); c != nil {
		return c.page
	}
	return groups[topic]
}

// verbs are the second words of the commands that begin with a word.
func verbs(first string) []string {
	var out []string
	for i := range commands {
		for _, name := range commands[i].names() {
			if word, verb, two := strings.Cut(name, " "); two && word == first {
				out = append(out, verb)
			}
		}
	}
	return out
}
