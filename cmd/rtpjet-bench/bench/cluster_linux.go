package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"sort"
	"strings"
	"time"
)

// ClusterResult is what `rtpjet-bench cluster` found, part by part; a part that was not asked for is absent.
type ClusterResult struct {
	Nodes  int              `json:"nodes"`
	Calls  *ClusterCalls    `json:"calls,omitempty"`
	AtOnce []*ClusterOnce   `json:"at_once,omitempty"`
	Update []*ClusterUpdate `json:"update,omitempty"`
	Load   *ClusterLoad     `json:"load,omitempty"`
	Held   []*ClusterHeld   `json:"held,omitempty"`
}

const clusterUsage = `rtpjet-bench cluster: use all nodes of a cluster as one.

  rtpjet-bench cluster --ng 192.0.2.1:2223,192.0.2.2:2223,192.0.2.3:2223 --calls 2000
  rtpjet-bench cluster --ng ... --at-once 1000
  rtpjet-bench cluster --ng ... --update-latency 1000
  rtpjet-bench cluster --ng ... --rate 200 --duration 30s      (kill a node meanwhile)
  rtpjet-bench cluster --ng ... --hold 10000 --name x; then --ask and --drop with the same name

Without one of these, the first three of them. Each command of a call goes to any of the nodes.
The node that has a call's ports is told by the address in its SDPs, which should be that of its --ng.

`

// clusterRun is what all parts share.
type clusterRun struct {
	nodes clusterNodes
	local netip.Addr
	name  string // of the calls
	sdp   sdpOptions
	opts  ngOptions
}

// clusterParts are the parts that can be asked for.
type clusterParts struct {
	calls, atOnce, update, hold, ask, drop, callers int
	rate, updateRate                                float64
	duration                                        time.Duration
}

// runCluster is `rtpjet-bench cluster`.
func runCluster(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	fs := newFlagSet("rtpjet-bench cluster", clusterUsage, stderr)
	var c common
	var p clusterParts
	fs.StringVar(&c.ng, "ng", "127.0.0.1:2223", "`HOST:PORT,...` of the NG servers of all nodes (UDP)")
	fs.StringVar(&c.local, "local", "", "local `ADDRESS` of the phones (default: the one that packets to the first NG server leave from)")
	fs.BoolVar(&c.jsonOut, "json", false, "print JSON")
	fs.BoolVar(&c.rtcpMux, "rtcp-mux", false, "offer and accept rtcp-mux")
	name := fs.String("name", "", "`WORD` in the call-ids (default: one at random)")
	fs.IntVar(&p.calls, "calls", 0, "`NUMBER` of calls: offer, answer, media, offer of a moved phone, answer, media, query, delete")
	fs.IntVar(&p.atOnce, "at-once", 0, "`NUMBER` of offers that each go to all nodes at the same time, with one cookie; then as many with a cookie a node")
	fs.IntVar(&p.update, "update-latency", 0, "`NUMBER` of phones moved by way of an alternate while media flows; then as many with port-latching")
	fs.Float64Var(&p.updateRate, "update-rate", 5000, "`PACKETS/S` that flow meanwhile")
	fs.Float64Var(&p.rate, "rate", 0, "`CALLS/S` to begin, whatever becomes of those before: offer, answer, delete, no media")
	fs.DurationVar(&p.duration, "duration", 30*time.Second, "for how long")
	fs.IntVar(&p.hold, "hold", 0, "`NUMBER` of calls to place and to leave, without media")
	fs.IntVar(&p.ask, "ask", 0, "`NUMBER` of calls of --name to query")
	fs.IntVar(&p.drop, "drop", 0, "`NUMBER` of calls of --name to delete")
	fs.IntVar(&p.callers, "callers", 8, "`NUMBER` of calls at a time")
	if err := fs.parse(args); err != nil {
		return err
	}
	nodes, err := parseNodes(c.ng)
	if err != nil {
		return err
	}
	c.ng = nodes.ng[0]
	at, err := c.resolve()
	if err != nil {
		return err
	}
	if err := p.check(); err != nil {
		return err
	}
	if (p.ask > 0 || p.drop > 0) && p.hold == 0 && *name == "" {
		return usageError{"--ask and --drop need the --name of the calls"}
	}
	if err := raiseFileLimit(4096); err != nil {
		return err
	}
	r := &clusterRun{nodes: nodes, local: at.local, name: *name, sdp: sdpOptions{rtcpMux: c.rtcpMux}, opts: c.options()}
	if r.name == "" {
		r.name = runName()
	}
	result, err := r.run(ctx, p)
	if err != nil {
		return err
	}
	if c.jsonOut {
		return json.NewEncoder(stdout).Encode(result)
	}
	result.print(stdout)
	return nil
}

// check refuses what makes no sense, and fills in the default.
func (p *clusterParts) check() error {
	for _, n := range []int{p.calls, p.atOnce, p.update, p.hold, p.ask, p.drop} {
		if n < 0 || n > 1e6 {
			return usageError{"numbers of calls must be between 0 and 1,000,000"}
		}
	}
	switch {
	case p.callers < 1 || p.callers > 500:
		return usageError{"--callers must be between 1 and 500"}
	case p.rate < 0 || p.rate > 20000 || p.duration <= 0 || p.duration > time.Hour:
		return usageError{"--rate must be between 0 and 20,000, --duration above 0 and at most 1h"}
	case p.updateRate < 100 || p.updateRate > 20000:
		return usageError{"--update-rate must be between 100 and 20,000"}
	}
	if p.rate == 0 && p.calls+p.atOnce+p.update+p.hold+p.ask+p.drop == 0 {
		p.calls, p.atOnce, p.update = 2000, 1000, 1000
	}
	return nil
}

func (r *clusterRun) run(ctx context.Context, p clusterParts) (out *ClusterResult, err error) {
	out = &ClusterResult{Nodes: len(r.nodes.ng)}
	if p.calls > 0 {
		if out.Calls, err = r.calls(ctx, p.calls, p.callers); err != nil {
			return nil, err
		}
	}
	for _, variant := range []bool{true, false} {
		if p.atOnce == 0 {
			break
		}
		o, err := r.atOnce(ctx, p.atOnce, p.callers, variant)
		if err != nil {
			return nil, err
		}
		out.AtOnce = append(out.AtOnce, o)
	}
	for _, latched := range []bool{false, true} {
		if p.update == 0 {
			break
		}
		u, err := r.update(ctx, p.update, p.updateRate, latched)
		if err != nil {
			return nil, err
		}
		out.Update = append(out.Update, u)
	}
	if p.rate > 0 {
		if out.Load, err = r.load(ctx, p.rate, p.duration); err != nil {
			return nil, err
		}
	}
	for _, part := range []struct {
		what string
		n    int
	}{{"hold", p.hold}, {"ask", p.ask}, {"drop", p.drop}} {
		if part.n == 0 {
			continue
		}
		h, err := r.held(ctx, part.what, part.n, p.callers)
		if err != nil {
			return nil, err
		}
		out.Held = append(out.Held, h)
	}
	return out, nil
}

func (r *ClusterResult) print(w io.Writer) {
	if c := r.Calls; c != nil {
		fmt.Fprintf(w, "%d calls in %.1f s through %d nodes, %d without any failure; on %d of %d ways the first packet was lost, on %d it came from an old port\n",
			c.Calls, c.Seconds, r.Nodes, c.Good, c.FirstWay, c.Ways, c.OldPorts)
		c.CommandTally.print(w)
	}
	for _, o := range r.AtOnce {
		fmt.Fprintf(w, "%d offers to %d nodes at the same time, %s cookies: %d different SDPs, %d calls with more than one; %d calls owned\n",
			o.Calls, r.Nodes, o.Cookies, o.SDPs, o.Divided, o.Owned)
		fmt.Fprintf(w, "ports      %d in use, %d of them %.2f s after the last delete\n", o.PortsHeld, o.PortsLeft, o.RestS)
		o.CommandTally.print(w)
	}
	for _, u := range r.Update {
		fmt.Fprintf(w, "%d phones moved by way of alternates, %.0f packets/s, %s ports; from the reply to the first packet:\n", u.Updates, u.Rate, u.Ports)
		fmt.Fprintf(w, "           p50 %.0f µs, p90 %.0f, p99 %.0f, p99.9 %.0f, max %.0f; %d before the reply, %d silent, %d failures\n",
			u.Latency.P50, u.Latency.P90, u.Latency.P99, u.Latency.P999, u.Latency.Max, u.Ahead, u.Silent, u.Failures)
		printReasons(w, u.Reasons)
	}
	if l := r.Load; l != nil {
		fmt.Fprintf(w, "%d calls at %.0f/s, %d of them at once; %.3f %% of %d commands answered within 1 s, the longest took %.0f ms\n",
			l.Calls, l.Rate, l.AtOnce, 100*float64(l.WithinS)/float64(max(l.Commands, 1)), l.Commands, l.LongestUS/1000)
		l.CommandTally.print(w)
	}
	for _, h := range r.Held {
		fmt.Fprintf(w, "%s: %d calls in %.1f s\n", h.What, h.Calls, h.Seconds)
		h.CommandTally.print(w)
	}
}

func (t *CommandTally) print(w io.Writer) {
	fmt.Fprintf(w, "commands   %d, %d of them answered by alternates\n", t.Commands, t.Alternates)
	var names []string
	width := 10
	for name := range t.Latency {
		names = append(names, name)
		width = max(width, len(name))
	}
	sort.Strings(names)
	for _, name := range names {
		l := t.Latency[name]
		fmt.Fprintf(w, "%-*s p50 %.0f µs, p90 %.0f, p99 %.0f, p99.9 %.0f, max %.0f\n", width, name, l.P50, l.P90, l.P99, l.P999, l.Max)
	}
	fmt.Fprintf(w, "trouble    %d failures, %d resends, %d without any reply\n", t.Failures, t.Resends, t.NoReply)
	if t.First != "" {
		fmt.Fprintf(w, "           the first: %s\n", t.First)
	}
	printReasons(w, t.Reasons)
}

// printReasons prints failures, the same each time.
func printReasons(w io.Writer, reasons map[string]uint64) {
	lines := make([]string, 0, len(reasons))
	for why, n := range reasons {
		lines = append(lines, fmt.Sprintf("           %d times: %s\n", n, why))
	}
	slices.Sort(lines)
	fmt.Fprint(w, strings.Join(lines, ""))
}
