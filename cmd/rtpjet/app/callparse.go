package app

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
)

// historyOptions are the options of call history, call export and replay, beside those that say where the log is.
var historyOptions = []option{
	{"at", 0, text, "WHEN", "history: the call as it was then: an event's number, a time (UTC), or +90s after its begin"},
	{"diff", 0, text, "A B", "history: what differs between two such moments"},
	{"follow", 'f', flag, "", "history: go on with what happens"},
	{"full", 0, flag, "", "history, replay: fold nothing, and show what is kept for later decisions"},
	{"width", 0, number, "COLUMNS", "history, replay: width of the lines (that of the terminal)"},
	{"output", 'o', text, "FILE", "export: where to write; - is the standard output (call-KEY.rtpjet)"},
	{"sealed", 0, flag, "", "export: leave the keys in, sealed with the cluster key"},
	{"rerun", 0, flag, "", "replay: make every decision again, and show what comes out otherwise"},
	{"all", 0, flag, "", "replay: all calls of the log and the archive, with --rerun"},
	{"since", 0, text, "TIME", "replay --all: those of the last 1h, 30m, 7d (all)"},
}

// callCommands are the words behind rtpjet call, and whether they take a call-id.
var callCommands = []string{"list", "show", "history", "export", "why-alive"}

func parseCall(args []string) (Command, error) {
	what := ""
	if len(args) > 0 {
		what = args[0]
	}
	switch {
	case what == "-h" || what == "--help" || what == "help":
		return Command{Name: "help", Topic: "call"}, nil
	case !slices.Contains(callCommands, what):
		return Command{}, usageError("write rtpjet call list, or rtpjet call show, history, export or why-alive CALL-ID")
	}
	name := "call " + what
	own := callOptions
	if what == "history" || what == "export" {
		own = append(append([]option(nil), historyOptions...), callOptions...)
	}
	table, short := indexOptions(own)
	s, rest, err := parseOptions(joinDiff(args[1:]), table, short)
	if len(s["help"]) > 0 {
		return Command{Name: "help", Topic: name}, nil
	}
	var faults faultList
	faults.addErr(err)
	c := Command{Name: name, Call: readCallOptions(s, &faults), History: readHistoryOptions(s, &faults)}
	switch {
	case what == "list" && len(rest) > 0:
		faults.add("call list takes no argument, but there is %s; rtpjet call show shows one call", quote(rest[0]))
	case what != "list" && len(rest) != 1:
		faults.add("%s takes one call-id, and there are %d; rtpjet call list lists them, and a call-id that begins with a dash goes behind --", name, len(rest))
	case what != "list":
		c.Call.ID = rest[0]
	}
	if h := &c.History; h.Follow && (h.At != "" || h.Diff[0] != "") {
		faults.add("--follow shows what happens, --at and --diff what has happened; leave one of them out")
	}
	return c, faults.err()
}

// parseReplay reads rtpjet replay ....
func parseReplay(args []string) (Command, error) {
	table, short := indexOptions(append(append([]option(nil), historyOptions...), callOptions...))
	s, rest, err := parseOptions(args, table, short)
	if len(s["help"]) > 0 {
		return Command{Name: "help", Topic: "replay"}, nil
	}
	var faults faultList
	faults.addErr(err)
	c := Command{Name: "replay", Call: readCallOptions(s, &faults), History: readHistoryOptions(s, &faults)}
	switch {
	case c.History.All && len(rest) > 0:
		faults.add("replay --all takes no call-id, but there is %s", quote(rest[0]))
	case c.History.All && !c.History.Rerun && len(s["rerun"]) > 0:
		faults.add("replay --all makes every decision again; leave --rerun=false out")
	case c.History.All:
		c.History.Rerun = true
	case len(rest) != 1:
		faults.add("replay takes one file or one call-id, and there are %d; with --all it takes none", len(rest))
	default:
		c.Call.ID = rest[0]
	}
	if c.History.Since != 0 && !c.History.All {
		faults.add("--since goes with --all")
	}
	return c, faults.err()
}

// joinDiff makes one value of the two behind --diff.
func joinDiff(args []string) []string {
	for i, a := range args {
		if a == "--" {
			break
		}
		if a == "--diff" && i+2 < len(args) && !strings.Contains(args[i+1], diffMark) {
			joined := append(slices.Clone(args[:i]), "--diff="+args[i+1]+diffMark+args[i+2])
			return append(joined, args[i+3:]...)
		}
	}
	return args
}

// diffMark stands between two moments in one word.
const diffMark = ".."

func readHistoryOptions(s settings, faults *faultList) HistoryOptions {
	on := func(name string) bool { return s.one(name, "") == "true" }
	o := HistoryOptions{
		At: s.one("at", ""), Follow: on("follow"), Full: on("full"), File: s.one("output", ""), Sealed: on("sealed"), Rerun: on("rerun"), All: on("all"),
	}
	if v := s.one("diff", ""); v != "" {
		a, b, ok := strings.Cut(v, diffMark)
		if o.Diff = [2]string{a, b}; !ok || a == "" || b == "" {
			faults.add("--diff takes two moments: --diff 12 40, or --diff 12..40")
		}
	}
	if v := s.one("width", ""); v != "" {
		n, err := strconv.Atoi(v)
		if o.Width = n; err != nil || n < 40 {
			faults.add("--width is a number of columns from 40 on, not %s", quote(v))
		}
	}
	if v := s.one("since", ""); v != "" {
		d, err := parseSince(v)
		if o.Since = d; err != nil || d <= 0 {
			faults.add("--since is a time like 30m, 1h or 7d, not %s", quote(v))
		}
	}
	return o
}

// parseSince reads a duration, which may be in days.
func parseSince(v string) (time.Duration, error) {
	if days, ok := strings.CutSuffix(v, "d"); ok {
		n, err := strconv.ParseFloat(days, 64)
		if err != nil || n > 36500 {
			return 0, fmt.Errorf("no number of days: %q", v)
		}
		return time.Duration(n * 24 * float64(time.Hour)), nil
	}
	return time.ParseDuration(v)
}

// writeCallHelp prints the options of the commands about calls.
func writeCallHelp(w io.Writer, topic string) {
	if topic == "replay" {
		fmt.Fprint(w, "Usage: rtpjet replay FILE|CALL-ID [--rerun] [OPTION...]\n       rtpjet replay --all [--since 1h] [OPTION...]\n\n"+
			"A file that rtpjet call export has written needs neither NATS nor a configuration.\n\n")
	} else {
		fmt.Fprint(w, "Usage: rtpjet call list [OPTION...]\n       rtpjet call show|history|export|why-alive CALL-ID [OPTION...]\n\n")
	}
	if topic != "call list" && topic != "call show" && topic != "call why-alive" {
		writeOptions(w, historyOptions)
	}
	writeOptions(w, callOptions)
}
