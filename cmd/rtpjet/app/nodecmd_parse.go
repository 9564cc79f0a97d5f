package app

import (
	"fmt"
	"strings"
	"time"
)

// nodeOptions are the options of the node commands, beside those that say where the log is.
var nodeOptions = []option{
	{"wait", 0, flag, "", "drain: wait until the node has no more calls"},
	{"stop", 0, flag, "", "drain: have the node end when it has no more calls"},
	{"move", 0, flag, "", "drain: have the floating addresses of the node move to others now, with their calls"},
	{"deadline", 0, number, "SECONDS", "drain: wait no longer, and end the node then (0: for ever)"},
	{"force", 0, flag, "", "takeover: although the node is alive"},
}

// parseNodeCommand reads rtpjet node ....
func parseNodeCommand(args []string) (Command, error) {
	what := ""
	if len(args) > 0 {
		what = args[0]
	}
	switch what {
	case "list", "drain", "undrain", "takeover":
	case "-h", "--help", "help":
		return Command{Name: "help", Topic: "node"}, nil
	default:
		return Command{}, usageError("write rtpjet node list, or rtpjet node drain, undrain or takeover NODE")
	}
	name := "node " + what
	table, short := indexOptions(append(append([]option(nil), nodeOptions...), callOptions...))
	s, rest, err := parseOptions(args[1:], table, short)
	if len(s["help"]) > 0 {
		return Command{Name: "help", Topic: "node"}, nil
	}
	var faults faultList
	faults.addErr(err)
	c := Command{Name: name, Call: readCallOptions(s, &faults), Node: NodeOptions{
		Stop: s.one("stop", "") == "true", Move: s.one("move", "") == "true", Wait: s.one("wait", "") == "true", Force: s.one("force", "") == "true",
	}}
	if text := s.one("deadline", ""); text != "" {
		d, err := time.ParseDuration(text + "s")
		if err != nil || d < 0 {
			faults.add("--deadline is a number of seconds, not %s", quote(text))
		}
		c.Node.Deadline = d
	}
	switch {
	case what == "list" && len(rest) > 0:
		faults.add("node list takes no argument, but there is %s", quote(rest[0]))
	case what != "list" && len(rest) != 1:
		faults.add("node %s takes the id of one node, and there are %d; rtpjet node list shows them", what, len(rest))
	case what != "list":
		c.Node.ID = rest[0]
		if strings.ContainsAny(c.Node.ID, ".*> \t") {
			faults.add("%s is no node id", fmt.Sprintf("%q", c.Node.ID))
		}
	}
	return c, faults.err()
}
