package cli

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"rtpjet/cmd/rtpjet/admin"
)

// printRegions prints the other regions.
func printRegions(w io.Writer, rows []admin.Region) error {
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
