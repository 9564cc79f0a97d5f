package config

import (
	"strconv"
	"strings"
	"time"

	"rtpjet/embed"
)

// NodeOptions are those of the node commands.
type NodeOptions struct {
	// ID is the node that is meant.
	ID string
	// Stop has the drained node end, Wait has the command wait for that it has no more calls. Deadline bounds both; 0: none.
	Stop, Wait bool
	// Move has the floats of the drained node move to others.
	Move     bool
	Deadline time.Duration
	// Force takes over the calls of a node that is alive.
	Force bool
}

func readNode(c *Command, verb string, s settings, rest []string, faults *faultList) {
	c.Node = NodeOptions{Stop: s.on("stop"), Move: s.on("move"), Wait: s.on("wait"), Force: s.on("force")}
	if text := s.one("deadline", ""); text != "" {
		n, err := strconv.ParseFloat(text, 64)
		if err != nil || !(n >= 0 && n <= noLimit) {
			faults.add("--deadline is a number of seconds, not %s", Quote(text))
			n = 0
		}
		c.Node.Deadline = time.Duration(n * float64(time.Second))
	}
	switch {
	case verb == "list" && len(rest) > 0:
		faults.add("node list takes no argument, but there is %s", Quote(rest[0]))
	case verb != "list" && len(rest) != 1:
		faults.add("node %s takes the id of one node, and there are %d; rtpjet node list shows them", verb, len(rest))
	case verb != "list":
		c.Node.ID = rest[0]
		if strings.ContainsAny(c.Node.ID, ".*> \t") {
			faults.add("%s is no node id", Quote(c.Node.ID))
		}
	}
}

// FloatOptions are those of the float commands.
type FloatOptions struct {
	// Name is the float that is meant: one of its addresses, or an interface that only it has.
	Name string
	// To is the node that it has to move to; empty: the one with the least to do.
	To string
}

func readFloat(c *Command, verb string, rest []string, faults *faultList) {
	switch {
	case verb == "list" && len(rest) > 0:
		faults.add("float list takes no argument, but there is %s", Quote(rest[0]))
	case verb == "move" && len(rest) != 1 && len(rest) != 2:
		faults.add("float move takes a floating address and a node; rtpjet float list shows them")
	case verb == "move":
		c.Float.Name = rest[0]
		if len(rest) == 2 {
			c.Float.To = rest[1]
		}
	}
}

// RegionOptions are those of the region commands.
type RegionOptions struct {
	// Name is the region that is meant.
	Name string
	// Without are regions whose agreement to an adoption is not waited for.
	Without []string
}

func readRegion(c *Command, verb string, s settings, rest []string, faults *faultList) {
	for _, v := range s["without"] {
		for name := range strings.SplitSeq(v.value, ",") {
			if name = strings.TrimSpace(name); name != "" {
				c.Region.Without = append(c.Region.Without, name)
			}
		}
	}
	switch {
	case verb == "list" && len(rest) > 0:
		faults.add("region list takes no argument, but there is %s", Quote(rest[0]))
	case verb != "list" && (len(rest) != 1 || !embed.ValidName(rest[0])):
		faults.add("region %s takes the name of one region; rtpjet region list shows them", verb)
	case verb != "list":
		c.Region.Name = rest[0]
	}
}
