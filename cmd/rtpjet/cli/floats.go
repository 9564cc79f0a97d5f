package cli

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"rtpjet/cmd/rtpjet/admin"
)

// printFloats prints the floating addresses of a region.
func printFloats(w io.Writer, floats []admin.Float) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "FLOAT\tADDRESSES\tHOLDER\tSUCCESSOR\tEPOCH\tCALLS\tNOTE")
	for _, r := range floats {
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
