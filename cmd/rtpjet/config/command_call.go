package config

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// HistoryOptions are those of call history, call export and replay.
type HistoryOptions struct {
	// At asks for the call as it was then: a sequence, or a time. Diff are two of them.
	At   string
	Diff [2]string
	// Follow goes on with what happens.
	Follow bool
	// Width is that of the terminal, 0: as it is. Full folds nothing.
	Width int
	Full  bool

	// File is what call export writes; "-" is the standard output.
	File   string
	Sealed bool

	// Rerun makes the decisions again. All does so for every call since a while ago.
	Rerun, All bool
	Since      time.Duration
}

func readCall(c *Command, verb string, s settings, rest []string, faults *faultList) {
	c.History = readHistoryOptions(s, faults)
	switch {
	case verb == "list" && len(rest) > 0:
		faults.add("call list takes no argument, but there is %s; rtpjet call show shows one call", Quote(rest[0]))
	case verb != "list" && len(rest) != 1:
		faults.add("call %s takes one call-id, and there are %d; rtpjet call list lists them, and a call-id that begins with a dash goes behind --", verb, len(rest))
	case verb != "list":
		c.Call = rest[0]
	}
	if h := &c.History; h.Follow && (h.At != "" || h.Diff[0] != "") {
		faults.add("--follow shows what happens, --at and --diff what has happened; leave one of them out")
	}
}

// parseReplay reads rtpjet replay ....
func parseReplay(args []string) (Command, error) {
	s, rest, err := replayPage.table().parse(args)
	if len(s["help"]) > 0 {
		return Command{Name: "help", Topic: "replay"}, nil
	}
	var faults faultList
	faults.addErr(err)
	c := Command{Name: "replay", Log: readLogOptions(s, &faults), History: readHistoryOptions(s, &faults)}
	switch {
	case c.History.All && len(rest) > 0:
		faults.add("replay --all takes no call-id, but there is %s", Quote(rest[0]))
	case c.History.All && !c.History.Rerun && len(s["rerun"]) > 0:
		faults.add("replay --all makes every decision again; leave --rerun=false out")
	case c.History.All:
		c.History.Rerun = true
	case len(rest) != 1:
		faults.add("replay takes one file or one call-id, and there are %d; with --all it takes none", len(rest))
	default:
		c.Call = rest[0]
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
	o := HistoryOptions{
		At: s.one("at", ""), Follow: s.on("follow"), Full: s.on("full"), File: s.one("output", ""), Sealed: s.on("sealed"), Rerun: s.on("rerun"), All: s.on("all"),
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
			faults.add("--width is a number of columns from 40 on, not %s", Quote(v))
		}
	}
	if v := s.one("since", ""); v != "" {
		d, err := parseSince(v)
		if o.Since = d; err != nil || d <= 0 {
			faults.add("--since is a time like 30m, 1h or 7d, not %s", Quote(v))
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
