package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sort"
	"text/tabwriter"
	"time"

	"rtpjet/embed"
	"rtpjet/events"
	"rtpjet/projection"
)

// viewTime bounds the reading of the log for a command line.
const viewTime = 30 * time.Second

// readCalls folds the live stream of a region up to its present end. fold is false for keys that do not matter.
func readCalls(ctx context.Context, l *embed.Log, fold func(key string) bool) (map[string]*projection.Call, error) {
	ctx, cancel := context.WithTimeout(ctx, viewTime)
	defer cancel()
	calls := make(map[string]*projection.Call)
	done := errors.New("caught up")
	var unreadable error
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	err := l.Follow(ctx, 1, embed.Follower{
		Entry: func(in embed.Entry) {
			if !fold(in.Key) {
				return
			}
			env, err := events.Decode(in.Data)
			if err != nil {
				unreadable = errors.Join(unreadable, fmt.Errorf("event %d: %w", in.Seq, err))
				return
			}
			c := calls[in.Key]
			if c == nil {
				c = &projection.Call{ID: env.Call}
				calls[in.Key] = c
			}
			c.Apply(in.Seq, env)
		},
		CaughtUp: func(uint64) { stop(done) },
	})
	if !errors.Is(context.Cause(ctx), done) {
		return nil, fmt.Errorf("read the event log: %w", err)
	}
	return calls, unreadable
}

// CallList prints the live calls of a region, oldest first.
func CallList(ctx context.Context, l *embed.Log, w io.Writer, asJSON bool) error {
	calls, err := readCalls(ctx, l, func(string) bool { return true })
	if calls == nil {
		return err
	}
	live := make([]*projection.Call, 0, len(calls))
	for _, c := range calls {
		if c.Live() {
			live = append(live, c)
		}
	}
	sort.Slice(live, func(i, j int) bool {
		return live[i].Created < live[j].Created || live[i].Created == live[j].Created && live[i].ID < live[j].ID
	})
	if asJSON {
		return errors.Join(json.NewEncoder(w).Encode(live), err)
	}
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "CALL-ID\tOWNER\tCREATED (UTC)\tPARTIES\tMEDIA\tSTATE")
	for _, c := range live {
		parties, media := 0, ""
		for _, p := range c.Parties {
			if p == nil {
				continue
			}
			parties++
			if media == "" {
				media = mediaTypes(p)
			}
		}
		state := "live"
		if c.Until != 0 {
			state = "being deleted"
		}
		fmt.Fprintf(tw, "%s\t%s\t%s\t%d\t%s\t%s\n", printable(c.ID), c.Owner,
			time.UnixMicro(c.Created).UTC().Format("2006-01-02 15:04:05"), parties, media, state)
	}
	if ferr := tw.Flush(); ferr != nil {
		return ferr
	}
	return err
}

func mediaTypes(p *events.Party) string {
	out := ""
	for i := range p.Medias {
		if i > 0 {
			out += "+"
		}
		out += p.Medias[i].Type
	}
	return printable(out)
}

// CallShow prints one call and the events behind it, ended ones from the archive included. SRTP keys are left out unless they
// are asked for.
func CallShow(ctx context.Context, l *embed.Log, callID string, w io.Writer, asJSON, keys bool, sealer *events.Sealer) error {
	ctx, cancel := context.WithTimeout(ctx, viewTime)
	defer cancel()
	entries, err := l.History(ctx, events.Key(callID))
	if err != nil {
		return err
	}
	if len(entries) == 0 {
		return unknownCall(ctx, l, callID)
	}
	c := &projection.Call{ID: callID}
	var lines []string
	var shown []eventView
	for _, in := range entries {
		env, err := events.Decode(in.Data)
		if err != nil {
			lines = append(lines, fmt.Sprintf("  %8d  cannot be read: %v", in.Seq, err))
			continue
		}
		if keys {
			if env, err = sealer.Open(env); err != nil {
				return fmt.Errorf("the keys of the call are sealed (%w); give --cluster-key-file, which for a node without a cluster is the file %s in its data directory",
					err, sealKeyFile)
			}
		}
		c.Apply(in.Seq, env)
		shown = append(shown, viewOf(in.Seq, env, keys))
		lines = append(lines, fmt.Sprintf("  %8d  %s  %s", in.Seq,
			time.UnixMicro(env.At).UTC().Format("2006-01-02 15:04:05.000000"), describeEvent(env)))
	}
	if asJSON {
		return json.NewEncoder(w).Encode(struct {
			Call   *projection.Call `json:"call"`
			Events []eventView      `json:"events"`
			Keys   []keyView        `json:"keys,omitempty"`
		}{c, shown, keysOf(c, keys)})
	}
	c.Describe(w)
	for _, k := range keysOf(c, keys) {
		fmt.Fprintf(w, "  key of party %d media %d %s: %s inline:%s\n", k.Party, k.Media, k.Direction, k.Suite, k.Key)
	}
	fmt.Fprintln(w, "events")
	for _, line := range lines {
		fmt.Fprintln(w, line)
	}
	return nil
}

// eventView is an event as JSON output has it.
type eventView struct {
	Seq     uint64       `json:"seq"`
	At      time.Time    `json:"at"`
	Node    string       `json:"node"`
	Kind    events.Kind  `json:"kind"`
	Event   events.Event `json:"event"`
	Cookie  string       `json:"cookie,omitempty"`
	Request string       `json:"request,omitempty"`
	Reply   string       `json:"reply,omitempty"`
}

func viewOf(seq uint64, env events.Envelope, keys bool) eventView {
	v := eventView{
		Seq: seq, At: time.UnixMicro(env.At).UTC(), Node: env.Node, Kind: events.KindOf(env.Event), Event: env.Event,
	}
	if env.Cause != nil {
		v.Cookie, v.Request, v.Reply = env.Cause.Cookie, string(env.Cause.Request), string(env.Cause.Reply)
		if !keys {
			v.Request, v.Reply = events.HideKeys(v.Request, "[hidden]"), events.HideKeys(v.Reply, "[hidden]")
		}
	}
	return v
}

func describeEvent(env events.Envelope) string {
	text := fmt.Sprintf("%-18s by %s", events.KindOf(env.Event), env.Node)
	if env.Cause != nil {
		text += fmt.Sprintf(", asked by %s with cookie %q", env.Cause.From, env.Cause.Cookie)
	}
	switch ev := env.Event.(type) {
	case events.EndpointLearned:
		text += fmt.Sprintf(", party %d media %d sends from %s", ev.Party, ev.Media+1, ev.Remote)
	case events.Ended:
		text += fmt.Sprintf(", %s, RTP %d packets, RTCP %d packets", ev.Reason, ev.RTP.Packets, ev.RTCP.Packets)
	case events.DeletionScheduled:
		text += ", for " + time.UnixMicro(ev.At).UTC().Format("15:04:05.000")
	}
	return text
}

// printable quotes a text that would upset a terminal.
func printable(s string) string {
	for _, r := range s {
		if r < ' ' || r == 0x7f || r == '\uFFFD' {
			return fmt.Sprintf("%q", s)
		}
	}
	return s
}

// attach opens the log of a region, or the mirror that the region at that NATS has of it. The caller says when he is done.
func attach(ctx context.Context, o *CallOptions) (l *embed.Log, done func(), err error) {
	cfg := embed.Config{Region: o.Region, Logger: slog.New(slog.DiscardHandler)}
	nc, err := embed.Connect(ctx, "call", o.NATS, o.credentials())
	if err != nil {
		return nil, nil, err
	}
	if l, err = embed.Attach(ctx, nc, cfg); errors.Is(err, embed.ErrNoRegion) && len(o.ClusterKey) > 0 {
		if mirror, cerr := embed.Connect(ctx, "call", o.NATS, o.credentials().ForRegion(o.Region)); cerr == nil {
			nc.Close()
			nc = mirror
			l, err = embed.Attach(ctx, nc, cfg)
		}
	}
	if err != nil {
		nc.Close()
		return nil, nil, err
	}
	return l, func() { l.Close(); nc.Close() }, nil
}

// Call carries out the commands that look at a region from outside, and those that tell its nodes what to do.
func Call(ctx context.Context, cmd Command, w io.Writer) error {
	l, done, err := attach(ctx, &cmd.Call)
	if err != nil {
		return err
	}
	defer done()
	sealer, err := events.NewSealer(cmd.Call.ClusterKeys...)
	if err != nil {
		return err
	}
	switch cmd.Name {
	case "call list":
		return CallList(ctx, l, w, cmd.Call.JSON)
	case "call history":
		return CallHistory(ctx, l, cmd, w)
	case "call export":
		return CallExport(ctx, l, cmd, w, sealer)
	case "call why-alive":
		return CallWhyAlive(ctx, l, cmd, w)
	case "node list":
		return NodeList(ctx, l, w, cmd.Call.JSON)
	case "node drain", "node undrain":
		return NodeDrain(ctx, l, cmd.Node, cmd.Name == "node drain", w)
	case "float list":
		return FloatList(ctx, l, w, cmd.Call.JSON)
	case "float move":
		return FloatMove(ctx, l, cmd.Float, w)
	case "region list":
		return RegionList(ctx, l, w, cmd.Call.JSON)
	case "region adopt":
		return RegionAdopt(ctx, l, cmd.Region, w)
	case "region forget":
		return RegionForget(ctx, l, cmd.Region, w)
	case "node takeover":
		return NodeTakeover(ctx, l, cmd.Node, w)
	}
	return CallShow(ctx, l, cmd.Call.ID, w, cmd.Call.JSON, cmd.Call.Keys, sealer)
}
