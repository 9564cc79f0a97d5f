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
	"time"

	"rtpjet/embed"
	"rtpjet/projection/members"
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

// askTime bounds a request to a node that may be gone.
const askTime = time.Second

// NodeRow is one line of node list.
type NodeRow struct {
	members.Lease
	Verdict string  `json:"verdict"` // alive, silent or gone, as its peers see it; the state of its lease if it gave that back
	Status  *Status `json:"status,omitempty"`
}

// zoned tells whether the node has a zone, or one of its interfaces has.
func (r NodeRow) zoned() bool {
	return r.Zone != "" || slices.ContainsFunc(r.Interfaces, func(i members.LeaseInterface) bool { return i.Zone != "" })
}

// zones are the node's zone, and those of the interfaces that are elsewhere: eu/fra/a pub=eu/fra/b.
func (r NodeRow) zones() string {
	out := []string{cmp.Or(r.Zone, "-")}
	for _, i := range r.Interfaces {
		if text := i.Name + "=" + i.Zone; i.Zone != r.Zone && !slices.Contains(out, text) {
			out = append(out, text)
		}
	}
	return strings.Join(out, " ")
}

// nodeRows reads the leases and asks each node.
func nodeRows(ctx context.Context, link Link) ([]NodeRow, error) {
	leases, err := nodeLeases(ctx, link)
	if err != nil {
		return nil, err
	}
	rows := make([]NodeRow, len(leases))
	for i, l := range leases {
		rows[i].Lease = l
	}
	for i := range rows {
		actx, cancel := context.WithTimeout(ctx, askTime)
		var s Status
		err := askNode(actx, link, rows[i].Node, verbStatus, nil, &s)
		cancel()
		if err == nil {
			rows[i].Status = &s
		}
	}
	for i := range rows {
		rows[i].Verdict = verdict(rows, i)
	}
	return rows, nil
}

// verdict is how a node is, by its own word, or else by that of its peers.
func verdict(rows []NodeRow, i int) string {
	if rows[i].Status != nil {
		return members.Alive.String()
	}
	if rows[i].State != members.Up {
		return rows[i].State
	}
	for _, r := range rows {
		if r.Status == nil {
			continue
		}
		for _, p := range r.Status.Peers {
			if p.Node == rows[i].Node {
				return p.Verdict.String()
			}
		}
	}
	return "unknown"
}

// NodeList prints the nodes of a region.
func NodeList(ctx context.Context, link Link, w io.Writer, asJSON bool) error {
	rows, err := nodeRows(ctx, link)
	if err != nil {
		return err
	}
	if asJSON {
		return json.NewEncoder(w).Encode(rows)
	}
	return printNodes(w, rows)
}

func printNodes(w io.Writer, rows []NodeRow) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	zoned := slices.ContainsFunc(rows, NodeRow.zoned)
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
			fmt.Fprintf(tw, "%s\t", r.zones())
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

// askNode sends a request of an operator to a node.
func askNode(ctx context.Context, link Link, id, verb string, in, out any) error {
	data, err := json.Marshal(in)
	if err != nil {
		return fmt.Errorf("ask node %s: %w", id, err)
	}
	reply, err := link.Request(ctx, nodeTokens(id, verb), data)
	if errors.Is(err, embed.ErrNobody) {
		return fmt.Errorf("node %s does not run; rtpjet node list shows those that do", id)
	}
	if err != nil {
		return fmt.Errorf("node %s does not answer: %w", id, err)
	}
	if err := json.Unmarshal(reply, out); err != nil {
		return fmt.Errorf("ask node %s: %w", id, err)
	}
	return nil
}

// NodeDrain takes a node out of the choice for new calls, or back, and waits for its last call if that is asked for.
func NodeDrain(ctx context.Context, link Link, o NodeOptions, on bool, w io.Writer) error {
	var r adminReply
	actx, cancel := context.WithTimeout(ctx, 10*time.Second+moveTime)
	defer cancel()
	if err := askNode(actx, link, o.ID, verbDrain, drainRequest{On: on, Move: o.Move, Stop: o.Stop, Deadline: o.Deadline}, &r); err != nil {
		return err
	}
	if r.Error != "" {
		return errors.New(r.Error)
	}
	if !on {
		fmt.Fprintf(w, "%s takes new calls again; it has %d.\n", o.ID, r.Calls)
		return nil
	}
	fmt.Fprintf(w, "%s takes no new calls; it has %d.\n", o.ID, r.Calls)
	if !o.Wait {
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
func awaitEmpty(ctx context.Context, link Link, o NodeOptions, w io.Writer) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	last := int64(-1)
	for {
		actx, cancel := context.WithTimeout(ctx, askTime)
		var s Status
		err := askNode(actx, link, o.ID, verbStatus, nil, &s)
		cancel()
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

// NodeTakeover has the calls of a node taken over by its peers.
func NodeTakeover(ctx context.Context, link Link, o NodeOptions, w io.Writer) error {
	rows, err := nodeRows(ctx, link)
	if err != nil {
		return err
	}
	known := false
	for _, r := range rows {
		known = known || r.Node == o.ID
	}
	if !known {
		return fmt.Errorf("there is no node %s; rtpjet node list shows all", o.ID)
	}
	for _, r := range rows {
		if r.Node == o.ID || r.Status == nil {
			continue
		}
		ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
		defer cancel()
		var reply adminReply
		if err := askNode(ctx, link, r.Node, verbTakeover, takeoverRequest{Node: o.ID, Force: o.Force}, &reply); err != nil {
			return err
		}
		if reply.Error != "" {
			return fmt.Errorf("node %s: %s (%d calls were taken over)", r.Node, reply.Error, reply.Calls)
		}
		fmt.Fprintf(w, "%d calls of %s have other owners now; each is heard again with its next offer or answer.\n", reply.Calls, o.ID)
		return nil
	}
	return errors.New("no other node runs that could take the calls over")
}
