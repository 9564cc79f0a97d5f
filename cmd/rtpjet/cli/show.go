package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"rtpjet/cmd/rtpjet/config"
	"rtpjet/embed"
	"rtpjet/events"
	"rtpjet/projection"
)

// callShow is the command call show.
func callShow(ctx context.Context, l *embed.Log, cmd config.Command, w io.Writer) error {
	sealer, err := events.NewSealer(cmd.Log.ClusterKeys...)
	if err != nil {
		return err
	}
	return CallShow(ctx, l, cmd.Call, w, cmd.Log.JSON, cmd.Log.Keys, sealer)
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
					err, config.OwnKeyFile)
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
