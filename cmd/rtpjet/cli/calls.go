package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sort"
	"text/tabwriter"
	"time"

	"rtpjet/cmd/rtpjet/config"
	"rtpjet/embed"
	"rtpjet/events"
	"rtpjet/projection"
	"rtpjet/projection/history"
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

// callList is the command call list.
func callList(ctx context.Context, l *embed.Log, cmd config.Command, w io.Writer) error {
	return CallList(ctx, l, w, cmd.Log.JSON)
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
		fmt.Fprintf(tw, "%s\t%s\t%s\t%d\t%s\t%s\n", history.Printable(c.ID), c.Owner,
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
	return history.Printable(out)
}
