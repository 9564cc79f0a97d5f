package config

import (
	"math"
	"strconv"
	"strings"

	"rtpjet/relay/plan"
)

// kind is the type of an option's value.
type kind uint8

const (
	flag   kind = iota // present or not; true or false in a file
	number             // a whole number
	text               // anything
	list               // text that may be given more than once; separated by ; in a file
	// reserved is text that we have no use for, and whose form we do not check.
	reserved
	// reservedFlag and reservedList likewise.
	reservedFlag
	reservedList
)

// noLimit is the highest number where there is no other limit.
const noLimit = math.MaxInt32

// option is one option: what the command line and the configuration file are read by, and what help, the manual page, shell
// completion and docs/options.md say about it.
type option struct {
	long  string
	short byte // 0 if there is none
	kind  kind
	arg   string   // what the value is called in the help
	about string   // a sentence for the help, with %s for the default; empty: not in the help
	def   string   // the default, as an operator would write it; empty: none
	low   int      // the lowest number
	high  int      // the highest one
	words []string // all that the text may be; nil: anything
}

func (o *option) used() bool   { return o.kind < reserved }
func (o *option) isFlag() bool { return o.kind == flag || o.kind == reservedFlag }
func (o *option) isList() bool { return o.kind == list || o.kind == reservedList }

// help is what the help says about the option.
func (o *option) help() string { return strings.Replace(o.about, "%s", o.def, 1) }

func flagOption(long string, short byte, about string) option {
	return option{long: long, short: short, kind: flag, about: about}
}

func numberOption(long string, short byte, arg string, def, low, high int, about string) option {
	return option{long: long, short: short, kind: number, arg: arg, def: strconv.Itoa(def), low: low, high: high, about: about}
}

func textOption(long string, short byte, arg, def, about string) option {
	return option{long: long, short: short, kind: text, arg: arg, def: def, about: about}
}

func choiceOption(long string, short byte, arg, def string, words []string, about string) option {
	return option{long: long, short: short, kind: text, arg: arg, def: def, words: words, about: about}
}

func listOption(long string, short byte, arg, about string) option {
	return option{long: long, short: short, kind: list, arg: arg, about: about}
}

// optionTable finds options by their names.
type optionTable struct {
	long  map[string]*option
	short map[byte]*option
	// families has the table take all options that begin as rtpengine's do.
	families bool
}

func newTable(lists ...[]option) *optionTable {
	t := &optionTable{long: map[string]*option{}, short: map[byte]*option{}}
	for _, list := range lists {
		for i := range list {
			o := &list[i]
			t.long[o.long] = o
			if o.short != 0 {
				t.short[o.short] = o
			}
		}
	}
	return t
}

// learningModes are the words of --endpoint-learning in the order of its help.
var learningModes = []string{
	plan.LearnHeuristic.String(), plan.LearnImmediate.String(), plan.LearnDelayed.String(), plan.LearnOff.String(),
}

// serveOptions are the options of serve and dev that have a use here, in the order of the help.
var serveOptions = []option{
	listOption("interface", 'i', "[NAME/]ADDR[!ADVERTISED]", "media address: an IP address, a network card, a host name, or any; repeatable; ALIAS=NAME for another name"),
	textOption("interfaces-config", 0, "PREFIX", "", "media addresses from the sections [PREFIX-NAME] of the configuration file"),
	numberOption("port-min", 'm', "PORT", 30000, 1, 65534, "first port for media (%s)"),
	numberOption("port-max", 'M', "PORT", 39999, 2, 65535, "last port for media (%s)"),
	listOption("float", 0, "NAME/ADDR/PREFIX@DEVICE", "media address that the cluster owns and that moves to another node with its calls; NAME is the interface; repeatable"),
	textOption("float-provider", 0, "PROVIDER", providerNetlink, "who puts floating addresses on this machine: netlink, none, or exec:SCRIPT (%s)"),
	numberOption("float-timeout", 0, "MS", 60, 30, 10_000, "silence after which the holder of a floating address is replaced (%s)"),
	numberOption("float-settle", 0, "SECONDS", 30, 0, 3600, "how long a node must have been back before floating addresses move to it again; 0: they do not by themselves (%s)"),
	listOption("listen-ng", 'n', "[ADDR:]PORT", "where NG commands are answered, over UDP; float:NAME:PORT for floating addresses; repeatable"),
	listOption("listen-http", 0, "[ADDR:]PORT", "where the web page (/), metrics (/metrics) and probes (/healthz, /readyz) are answered, over HTTP; repeatable (nowhere)"),
	textOption("http-token-file", 0, "FILE", "", "file with a secret that lets its owner drain nodes and move floating addresses on the web page; without it the page is for looking only"),
	numberOption("timeout", 'o', "SECONDS", 60, 1, noLimit, "end a call that has received no media for so long (%s)"),
	numberOption("silent-timeout", 's', "SECONDS", 3600, 1, noLimit, "the same for a call that is muted or on hold (%s)"),
	numberOption("final-timeout", 'a', "SECONDS", 0, 0, noLimit, "end every call after so long (%s: never)"),
	numberOption("offer-timeout", 0, "SECONDS", 3600, 1, noLimit, "end a call that was never answered (%s)"),
	numberOption("delete-delay", 'd', "SECONDS", 30, 0, noLimit, "keep a call for so long after its delete (%s)"),
	numberOption("leg-silence", 0, "SECONDS", 20, 0, noLimit, "write an event about a party that should be sending and has not for so long (%s; 0: never)"),
	numberOption("tos", 'T', "0-255", 0, 0, 255, "TOS byte of media packets (%s)"),
	numberOption("control-tos", 0, "0-255", 0, 0, 255, "TOS byte of NG replies (%s)"),
	choiceOption("endpoint-learning", 0, "MODE", plan.LearnHeuristic.String(), learningModes, "how the addresses of senders are learned: heuristic, immediate, delayed or off (%s)"),
	textOption("templates", 0, "SECTION", "", "section of the configuration file with flags for NG commands: NAME = FLAGS; default and those named like a command apply by themselves"),
	flagOption("lenient-learning", 0, "believe any sender by its first packet and pass on what others send, as rtpengine does; whoever finds a media port then hears a party that is silent, and can talk into every call (docs/learning.md)"),
	flagOption("sip-source", 0, "trust the address that SIP came from before that in the SDP"),
	numberOption("max-sessions", 0, "CALLS", -1, -1, noLimit, "refuse new calls beyond so many (%s: no limit)"),
	numberOption("num-threads", 0, "THREADS", 0, 0, 1024, "threads that move media (the number of processors); while media flows, GOMAXPROCS is raised by as many for the whole process, so that neither they nor what answers commands wait for each other"),
	flagOption("reject-invalid-sdp", 0, "refuse an SDP that is not quite right"),
	textOption("software-id", 0, "TEXT", "", "how this software calls itself"),
	numberOption("log-level", 'L', "0-7", 6, 0, noLimit, "how much to log: 3 errors, 4 warnings, 6 events, 7 and above everything, each command too (%s)"),
	choiceOption("log-format", 0, "FORMAT", "text", []string{"text", "json"}, "lines of the log: text or json (%s)"),
	flagOption("log-stderr", 'E', "log to the standard error output, as it always does"),
	flagOption("foreground", 'f', "stay in the foreground, as it always does"),
	textOption("pidfile", 'p', "FILE", "", "write the process id there"),
	textOption("config-file", 0, "FILE", defaultConfigFile, "configuration file; none: none (%s if it exists)"),
	textOption("config-section", 0, "NAME", defaultConfigSection, "section of the file (%s)"),
	textOption("node-id", 0, "NAME", "", "name of this node in its cluster (the host's name)"),
	textOption("zone", 0, "NAME/NAME/...", "", "where this node is, from the widest to the narrowest, such as eu/fra/a; new calls stay in the zone of the node that is asked, or go to the nearest one"),
	listOption("interface-zone", 0, "NAME=ZONE", "where a media address is, if elsewhere than the node; repeatable"),
	textOption("region", 0, "NAME", defaultRegion, "region whose log this node writes (%s)"),
	textOption("region-listen", 0, "ADDR:PORT", "", "where the embedded NATS takes the servers of other regions"),
	listOption("region-peer", 0, "NAME=ADDR:PORT,...", "another region, and where its servers take this one's; repeatable"),
	textOption("data-dir", 0, "DIR", defaultDataDir, "where the embedded NATS keeps the log (%s)"),
	choiceOption("log-loss", 0, "MODE", "refuse", []string{"refuse", "serve"}, "commands for the calls of this node while the log does not answer: refuse, or serve them from memory and write the log later (%s)"),
	listOption("nats", 0, "URL", "NATS cluster to use instead of the embedded one; repeatable"),
	textOption("nats-creds", 0, "FILE", "", "credentials for it"),
	textOption("nats-user", 0, "NAME", "", "user for it"),
	textOption("nats-password-file", 0, "FILE", "", "file with the password of that user"),
	textOption("nats-listen", 0, "ADDR:PORT", DefaultNATSListen, "where the embedded NATS takes clients; none: nowhere (%s)"),
	textOption("nats-cluster-listen", 0, "ADDR:PORT", "", "where the embedded NATS takes the other nodes of its cluster; without it, it stands alone"),
	listOption("nats-routes", 0, "ADDR:PORT,...", "where the embedded NATS finds the nodes of its cluster, this one included or not; repeatable"),
	textOption("nats-tls-ca", 0, "FILE", "", "authorities that the certificates of NATS come from, as PEM"),
	textOption("nats-tls-cert", 0, "FILE", "", "certificate for NATS: of the embedded one and of its routes, or to show the one elsewhere"),
	textOption("nats-tls-key", 0, "FILE", "", "private key of that certificate"),
	numberOption("nats-replicas", 0, "SERVERS", 0, 0, 5, "on how many servers of NATS the log is (%s: 1, 3 or 5, by how many there are)"),
	textOption("cluster-key-file", 0, "FILE", "", "file with a secret of at least 16 bytes that all nodes share and without which NATS lets nobody in"),
	textOption("archive-age", 0, "DURATION", "7d", "keep the events of ended calls for so long: 36h, 7d (%s)"),
	flagOption("help", 'h', "print this"),
}

// versionOption is for who knows it from rtpengine; rtpjet version is what the help names.
var versionOption = []option{{long: "version", short: 'v', kind: flag}}

// serveTable has all that serve and dev understand.
var serveTable = func() *optionTable {
	t := newTable(serveOptions, versionOption, rtpengineOptions)
	t.families = true
	return t
}()
