package cli

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"rtpjet/cmd/rtpjet/admin"
	"rtpjet/cmd/rtpjet/config"
	"rtpjet/embed"
)

// printNodes prints the nodes of a region.
func printNodes(w io.Writer, rows []admin.Node) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	zoned := slices.ContainsFunc(rows, admin.Node.Zoned)
	fmt.Fprint(tw, "NODE\tSTATE\t")
	if zoned {
		fmt.Fprint(tw, "ZONE\t")
	}
	fmt.Fprintln(tw, "EPOCH\tOWN CALLS\tKNOWN\tSINCE (UTC)\tNG\tVERSION")
	for _, r := range rows {
		state, own, known := r.Verdict, "-", "-"
		if r.Status != nil {
			own, known = fmt.Sprint(r.Status.Own), fmt.Sprint(r.Status.Own+r.Status.Foreign)
			if r.Status.Draining {
				state = "draining"
			}
		}
		fmt.Fprintf(tw, "%s\t%s\t", r.Node, state)
		if zoned {
			fmt.Fprintf(tw, "%s\t", r.Zones())
		}
		fmt.Fprintf(tw, "%d\t%s\t%s\t%s\t%s\t%s\n", r.Epoch, own, known,
			time.UnixMicro(r.Started).UTC().Format("2006-01-02 15:04:05"), strings.Join(r.NG, " "), r.Version)
	}
	if err := tw.Flush(); err != nil {
		return err
	}
	for _, r := range rows {
		if r.Status != nil && r.Status.WritesFor != "" {
			_, err := fmt.Fprintf(w, "Events are written as %s reads them (level %d): upgrade it.\n", r.Status.WritesFor, r.Status.Writes)
			return err
		}
	}
	return nil
}

// nodeDrain takes a node out of the choice for new calls, or back, and waits for its last call if that is asked for.
func nodeDrain(ctx context.Context, l *embed.Log, cmd config.Command, w io.Writer) error {
	return drain(ctx, l, cmd.Node, cmd.Name == "node drain", w)
}

func drain(ctx context.Context, link admin.Link, o config.NodeOptions, on bool, w io.Writer) error {
	text, err := admin.Drain(ctx, link, o.ID, admin.DrainRequest{On: on, Move: o.Move, Stop: o.Stop, Deadline: o.Deadline})
	if err != nil {
		return err
	}
	fmt.Fprintln(w, text)
	if !on || !o.Wait {
		return nil
	}
	if o.Deadline > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, o.Deadline)
		defer cancel()
	}
	return awaitEmpty(ctx, link, o, w)
}

// awaitEmpty waits until a node has no more calls.
func awaitEmpty(ctx context.Context, link admin.Link, o config.NodeOptions, w io.Writer) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	last := int64(-1)
	for {
		s, err := admin.AskStatus(ctx, link, o.ID)
		switch {
		case err != nil && o.Stop:
			fmt.Fprintf(w, "%s has ended.\n", o.ID)
			return nil
		case err != nil && ctx.Err() == nil:
			return err
		case err == nil && !s.Draining:
			return fmt.Errorf("node %s takes new calls again: somebody has undrained it", o.ID)
		case err == nil && s.Own == 0:
			fmt.Fprintf(w, "%s has no more calls.\n", o.ID)
			return nil
		case err == nil && s.Own != last:
			fmt.Fprintf(w, "%d calls\n", s.Own)
			last = s.Own
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the deadline is over, and node %s has %d calls", o.ID, max(last, 0))
		case <-tick.C:
		}
	}
}
