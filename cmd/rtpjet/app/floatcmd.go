package app

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
)

// FloatOptions are those of the float commands.
type FloatOptions struct {
	// Name is the float that is meant: one of its addresses, or an interface that only it has.
	Name string
	// To is the node that it has to move to; empty: the one with the least to do.
	To string
}

// FloatRow is one line of float list.
type FloatRow struct {
	FloatStatus
	// Seen is the holder by the word of each node that answers, if they differ.
	Seen map[string]string `json:"seen,omitempty"`
	Warm []string          `json:"warm"` // nodes that have all calls ready
}

// floatRows puts together what all nodes say of the floats: the holder's own word counts most.
func floatRows(ctx context.Context, link Link) ([]FloatRow, error) {
	nodes, err := nodeRows(ctx, link)
	if err != nil {
		return nil, err
	}
	return floatsOf(nodes), nil
}

// floatsOf puts together what nodes say of the floats.
func floatsOf(nodes []NodeRow) []FloatRow {
	rows := make(map[string]*FloatRow)
	for _, n := range nodes {
		if n.Status == nil {
			continue
		}
		for _, s := range n.Status.Floats {
			r := rows[s.Float]
			if r == nil {
				r = &FloatRow{FloatStatus: s, Seen: map[string]string{}}
				rows[s.Float] = r
			}
			r.Seen[n.Node] = s.Holder
			if s.Warm && !s.Holding {
				r.Warm = append(r.Warm, n.Node)
			}
			if s.Holding || !r.Holding && (s.Epoch > r.Epoch || r.Holder == "") {
				r.FloatStatus = s
			}
		}
	}
	var out []FloatRow
	for _, r := range rows {
		agreed := true
		for _, h := range r.Seen {
			agreed = agreed && h == r.Holder
		}
		if agreed {
			r.Seen = nil
		}
		out = append(out, *r)
	}
	slices.SortFunc(out, func(a, b FloatRow) int { return cmp.Compare(a.Float, b.Float) })
	return out
}

// FloatList prints the floating addresses of a region.
func FloatList(ctx context.Context, link Link, w io.Writer, asJSON bool) error {
	rows, err := floatRows(ctx, link)
	if err != nil {
		return err
	}
	if asJSON {
		return json.NewEncoder(w).Encode(rows)
	}
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "FLOAT\tADDRESSES\tHOLDER\tSUCCESSOR\tEPOCH\tCALLS\tNOTE")
	for _, r := range rows {
		var notes []string
		switch {
		case r.Holder == "":
			notes = append(notes, "nobody holds it")
		case r.Successor == "":
			notes = append(notes, "no successor")
		case !slices.Contains(r.Warm, r.Successor):
			notes = append(notes, r.Successor+" is not ready yet")
		}
		if r.Moves != "" {
			notes = append(notes, "moves to "+r.Moves)
		}
		if r.Seen != nil {
			notes = append(notes, fmt.Sprintf("the nodes do not agree: %v", r.Seen))
		}
		fmt.Fprintf(tw, "%s\t%s\t%s\t%s\t%d\t%d\t%s\n", r.Float, strings.Join(r.Addresses, " "), cmp.Or(r.Holder, "-"), cmp.Or(r.Successor, "-"),
			r.Epoch, r.Calls, strings.Join(notes, "; "))
	}
	return tw.Flush()
}

// named finds the float that an operator means.
func named(rows []FloatRow, name string) (FloatRow, error) {
	if len(rows) == 0 {
		return FloatRow{}, errors.New("the cluster has no floating address; give its nodes a --float")
	}
	var found []FloatRow
	for _, r := range rows {
		match := r.Float == name || slices.ContainsFunc(r.Addresses, func(a string) bool {
			iface, addr, _ := strings.Cut(a, "/")
			return a == name || iface == name || addr == name
		})
		if match {
			found = append(found, r)
		}
	}
	switch {
	case len(found) == 0:
		return FloatRow{}, fmt.Errorf("there is no floating address %s; rtpjet float list shows them", name)
	case len(found) > 1:
		return FloatRow{}, fmt.Errorf("%s stands for %d floating addresses; name one by its address, as in rtpjet float list", name, len(found))
	}
	return found[0], nil
}

// FloatMove gives a float to another node, and waits until that has it.
func FloatMove(ctx context.Context, link Link, o FloatOptions, w io.Writer) error {
	rows, err := floatRows(ctx, link)
	if err != nil {
		return err
	}
	r, err := named(rows, o.Name)
	if err != nil {
		return err
	}
	switch r.Holder {
	case "":
		return fmt.Errorf("nobody holds %s now; it is taken by a node as soon as enough of them hear each other", r.Float)
	case o.To:
		fmt.Fprintf(w, "%s is at %s already.\n", r.Float, r.Holder)
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, moveTime+askTime)
	defer cancel()
	var reply adminReply
	if err := askNode(ctx, link, r.Holder, verbMove, moveRequest{Float: r.Float, To: o.To}, &reply); err != nil {
		return err
	}
	if reply.Error != "" {
		return errors.New(reply.Error)
	}
	fmt.Fprintf(w, "%s is at %s now, with %d calls.\n", r.Float, reply.Node, reply.Calls)
	return nil
}

// parseFloatCommand reads rtpjet float ....
func parseFloatCommand(args []string) (Command, error) {
	what := ""
	if len(args) > 0 {
		what = args[0]
	}
	switch what {
	case "list", "move":
	case "-h", "--help", "help":
		return Command{Name: "help", Topic: "float"}, nil
	default:
		return Command{}, usageError("write rtpjet float list, or rtpjet float move NAME [NODE]")
	}
	table, short := indexOptions(callOptions)
	s, rest, err := parseOptions(args[1:], table, short)
	if len(s["help"]) > 0 {
		return Command{Name: "help", Topic: "float"}, nil
	}
	var faults faultList
	faults.addErr(err)
	c := Command{Name: "float " + what, Call: readCallOptions(s, &faults)}
	switch {
	case what == "list" && len(rest) > 0:
		faults.add("float list takes no argument, but there is %s", quote(rest[0]))
	case what == "move" && len(rest) != 1 && len(rest) != 2:
		faults.add("float move takes a floating address and a node; rtpjet float list shows them")
	case what == "move":
		c.Float.Name = rest[0]
		if len(rest) == 2 {
			c.Float.To = rest[1]
		}
	}
	return c, faults.err()
}
