package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"rtpjet/embed"
	"rtpjet/projection/regions"
)

// RegionOptions are those of the region commands.
type RegionOptions struct {
	// Name is the region that is meant.
	Name string
	// Without are regions whose agreement to an adoption is not waited for.
	Without []string
}

// adoptPatience bounds an adoption; a call takes some milliseconds.
const adoptPatience = 10 * time.Minute

// RegionRow is one line of region list: another region as the node sees it that hears it best.
type RegionRow struct {
	regions.Status
	// Seen is the state by the word of each node that answers, if they differ.
	Seen map[string]string `json:"seen,omitempty"`
}

// regionRows puts together what all nodes say of the other regions.
func regionRows(nodes []NodeRow) []RegionRow {
	rows := make(map[string]*RegionRow)
	for _, n := range nodes {
		if n.Status == nil {
			continue
		}
		for _, s := range n.Status.Regions {
			r := rows[s.Region]
			if r == nil {
				r = &RegionRow{Status: s, Seen: map[string]string{}}
				rows[s.Region] = r
			}
			r.Seen[n.Node] = s.State
			if better(s, r.Status) {
				r.Status = s
			}
		}
	}
	out := make([]RegionRow, 0, len(rows))
	for _, r := range rows {
		same := true
		for _, state := range r.Seen {
			same = same && state == r.State
		}
		if same {
			r.Seen = nil
		}
		out = append(out, *r)
	}
	slices.SortFunc(out, func(a, b RegionRow) int { return strings.Compare(a.Region, b.Region) })
	return out
}

// better tells whether a node knows more of a region than another one: what speaks against a region counts before what does
// not, and then who has the younger mirror.
func better(a, b regions.Status) bool {
	rank := func(s regions.Status) int {
		return slices.Index([]string{regions.Refused, regions.Up, regions.CutOff, regions.Connecting}, s.State)
	}
	if ra, rb := rank(a), rank(b); ra != rb {
		return ra < rb
	}
	return a.AgeMS >= 0 && (b.AgeMS < 0 || a.AgeMS < b.AgeMS)
}

// RegionList prints the other regions.
func RegionList(ctx context.Context, link Link, w io.Writer, asJSON bool) error {
	nodes, err := nodeRows(ctx, link)
	if err != nil {
		return err
	}
	rows := regionRows(nodes)
	if asJSON {
		return json.NewEncoder(w).Encode(rows)
	}
	if len(rows) == 0 {
		fmt.Fprintln(w, "no other region is known here; serve --region-peer names them")
		return nil
	}
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "REGION\tSTATE\tCALLS\tAGE\tLAG\tROUND TRIP\tCLOCK\tCUTS\tADOPTED BY")
	for _, r := range rows {
		fmt.Fprintf(tw, "%s\t%s\t%d\t%s\t%d\t%.1f ms\t%+d ms\t%d\t%s\n", r.Region, r.State, r.Calls, ageColumn(r.AgeMS), r.Lag, r.RTTMS, r.SkewMS,
			r.Cuts, r.AdoptedBy)
	}
	if err := tw.Flush(); err != nil {
		return err
	}
	for _, r := range rows {
		if r.Reason != "" {
			fmt.Fprintln(w, r.Reason)
		}
	}
	return nil
}

func ageColumn(ms int64) string {
	if ms < 0 {
		return "-"
	}
	return (time.Duration(ms) * time.Millisecond).Round(100 * time.Millisecond).String()
}

// askRegionNode asks the nodes of this region, one after the other, until one answers.
func askRegionNode(ctx context.Context, link Link, verb string, req any, patience time.Duration) (adminReply, error) {
	nodes, err := nodeRows(ctx, link)
	if err != nil {
		return adminReply{}, err
	}
	for _, n := range nodes {
		if n.Status == nil {
			continue
		}
		actx, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		var reply adminReply
		if err := askNode(actx, link, n.Node, verb, req, &reply); err != nil {
			return reply, err
		}
		if reply.Error != "" {
			return reply, fmt.Errorf("node %s: %s", n.Node, reply.Error)
		}
		return reply, nil
	}
	return adminReply{}, errors.New("no node of this region runs; rtpjet node list shows them")
}

// RegionAdopt makes the calls of a lost region this one's.
func RegionAdopt(ctx context.Context, link Link, o RegionOptions, w io.Writer) error {
	reply, err := askRegionNode(ctx, link, verbAdopt, adoptRequest{Region: o.Name, Without: o.Without}, adoptPatience)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "%d calls of region %s are this region's now; each is heard again with its next offer or answer.\n", reply.Calls, o.Name)
	return nil
}

// RegionForget has the nodes forget what they have noted of a region.
func RegionForget(ctx context.Context, link Link, o RegionOptions, w io.Writer) error {
	if _, err := askRegionNode(ctx, link, verbForget, forgetRequest{Region: o.Name}, time.Minute); err != nil {
		return err
	}
	fmt.Fprintf(w, "region %s is forgotten: whoever answers by that name next is it.\n", o.Name)
	return nil
}

// regionOptions are the options of the region commands, beside those that say where the log is.
var regionOptions = []option{
	{"without", 0, list, "NAME,...", "adopt: do not wait for the agreement of these regions, which are cut off as well"},
}

// parseRegionCommand reads rtpjet region ....
func parseRegionCommand(args []string) (Command, error) {
	what := ""
	if len(args) > 0 {
		what = args[0]
	}
	switch what {
	case "list", "adopt", "forget":
	case "-h", "--help", "help":
		return Command{Name: "help", Topic: "region"}, nil
	default:
		return Command{}, usageError("write rtpjet region list, or rtpjet region adopt or forget NAME")
	}
	table, short := indexOptions(append(slices.Clone(regionOptions), callOptions...))
	s, rest, err := parseOptions(args[1:], table, short)
	if len(s["help"]) > 0 {
		return Command{Name: "help", Topic: "region"}, nil
	}
	var faults faultList
	faults.addErr(err)
	c := Command{Name: "region " + what, Call: readCallOptions(s, &faults)}
	for _, v := range s["without"] {
		for name := range strings.SplitSeq(v.value, ",") {
			if name = strings.TrimSpace(name); name != "" {
				c.Region.Without = append(c.Region.Without, name)
			}
		}
	}
	switch {
	case what == "list" && len(rest) > 0:
		faults.add("region list takes no argument, but there is %s", quote(rest[0]))
	case what != "list" && (len(rest) != 1 || !embed.ValidName(rest[0])):
		faults.add("region %s takes the name of one region; rtpjet region list shows them", what)
	case what != "list":
		c.Region.Name = rest[0]
	}
	return c, faults.err()
}
