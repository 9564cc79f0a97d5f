package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"
	"time"

	"rtpjet/cmd/rtpjet/config"
	"rtpjet/embed"
	"rtpjet/events"
	"rtpjet/projection/history"
	"rtpjet/projection/replay"
)

// runReplay folds the history of a call, from a file or from the log, or makes its decisions again. A file needs neither NATS nor
// a configuration.
func runReplay(ctx context.Context, cmd config.Command, w io.Writer) error {
	if !cmd.History.All {
		data, err := os.ReadFile(cmd.Call)
		switch {
		case err == nil:
			return replayFile(cmd, data, w)
		case !errors.Is(err, os.ErrNotExist):
			return fmt.Errorf("cannot read %s: %w", history.Printable(cmd.Call), config.PathReason(err))
		}
	}
	nc, err := embed.Connect(ctx, "replay", cmd.Log.NATS, cmd.Log.Credentials())
	if err != nil {
		if !cmd.History.All {
			return fmt.Errorf("there is no file %s, and no log to look for a call of that name: %w", config.Quote(cmd.Call), err)
		}
		return err
	}
	defer nc.Close()
	l, err := embed.Attach(ctx, nc, embed.Config{Region: cmd.Log.Region, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	defer l.Close()
	if cmd.History.All {
		return replayAll(ctx, l, cmd, w)
	}
	list, err := callRecords(ctx, l, cmd.Call)
	if err != nil {
		return err
	}
	if len(list) == 0 {
		return fmt.Errorf("there is no file of that name, and %w", unknownCall(ctx, l, cmd.Call))
	}
	return replayEntries(cmd, cmd.Call, replay.Entries(list), w)
}

// replayFile replays a bundle. One that is damaged is shown up to there.
func replayFile(cmd config.Command, data []byte, w io.Writer) error {
	b, err := replay.Parse(data)
	if err != nil {
		err = fmt.Errorf("%s, %w", history.Printable(cmd.Call), err)
	}
	if b == nil {
		return err
	}
	rerr := replayEntries(cmd, b.Call, b.Entries(), w)
	if err != nil && len(b.Records) > 0 {
		err = fmt.Errorf("%w; what is shown are the %d events before that place", err, len(b.Records))
	}
	return errors.Join(rerr, err)
}

func replayEntries(cmd config.Command, callID string, entries []history.Entry, w io.Writer) error {
	if cmd.History.Rerun {
		r := replay.Rerun(callID, entries)
		if cmd.Log.JSON {
			if err := json.NewEncoder(w).Encode(r); err != nil {
				return err
			}
		} else {
			writeReport(w, r)
		}
		return differs(r)
	}
	list := history.Moments(callID, entries)
	ladder := history.NewLadder(callID, list)
	if cmd.Log.JSON {
		if err := json.NewEncoder(w).Encode(ladder); err != nil {
			return err
		}
	} else {
		for i := range list {
			if err := ladder.DrawSteps(w, history.Layout{Width: cmp0(cmd.History.Width, terminalWidth(w)), Only: true}, i); err != nil {
				return err
			}
			if err := writeChanges(w, "    ", ladder.Steps[i].Changes, cmd.History.Full); err != nil {
				return err
			}
		}
		if len(list) > 0 {
			fmt.Fprintln(w)
			list[len(list)-1].Call.Describe(w)
		}
	}
	var unread []error
	for _, e := range entries {
		if e.Err != nil {
			unread = append(unread, fmt.Errorf("event %d: %w", e.Seq, e.Err))
		}
	}
	return errors.Join(unread...)
}

func cmp0(a, b int) int {
	if a != 0 {
		return a
	}
	return b
}

// differs is the error for decisions that come out otherwise.
func differs(r *replay.Report) error {
	if !r.Differs() {
		return nil
	}
	return fmt.Errorf("%d of %d decisions come out otherwise in this build", len(r.Steps), r.Rerun)
}

// writeReport prints what came out when a history was run again.
func writeReport(w io.Writer, r *replay.Report) {
	fmt.Fprintf(w, "call %s: %d events, %d decisions made again", history.Printable(r.Call), r.Events, r.Rerun)
	if !r.Differs() {
		fmt.Fprintln(w, ": no difference")
		return
	}
	fmt.Fprintf(w, ": %d differ\n", len(r.Steps))
	for i := range r.Steps {
		s := &r.Steps[i]
		fmt.Fprintf(w, "  event %d, %s at %s, %s\n", s.Seq, s.Command, history.Printable(s.Node), time.UnixMicro(s.At).UTC().Format("2006-01-02 15:04:05.000"))
		if s.Error != "" {
			fmt.Fprintf(w, "    %s\n", history.Printable(s.Error))
		}
		for _, d := range s.Decision {
			fmt.Fprintf(w, "    %s: %s then, %s now\n", d.Path, orNothing(d.Then), orNothing(d.Now))
		}
		writeLines(w, "reply", s.Reply)
		writeLines(w, "SDP", s.SDP)
	}
}

func orNothing(s string) string {
	if s == "" {
		return "nothing"
	}
	return s
}

// writeLines prints lines that differ, with those around them.
func writeLines(w io.Writer, what string, lines []string) {
	if len(lines) == 0 {
		return
	}
	fmt.Fprintf(w, "    %s (- then, + now)\n", what)
	const around = 2
	near := func(i int) bool {
		for _, l := range lines[max(0, i-around):min(len(lines), i+around+1)] {
			if !strings.HasPrefix(l, " ") {
				return true
			}
		}
		return false
	}
	skipped := false
	for i, l := range lines {
		if !near(i) {
			skipped = true
			continue
		}
		if skipped {
			fmt.Fprintln(w, "      …")
			skipped = false
		}
		fmt.Fprintf(w, "      %s\n", l)
	}
}

// Tally is what came out when many histories were run again.
type Tally struct {
	Calls    int `json:"calls"`
	Events   int `json:"events"`
	Rerun    int `json:"rerun"`
	Differ   int `json:"differ"` // decisions
	In       int `json:"in"`     // so many calls
	Headless int `json:"headless,omitempty"`
}

// replayAll makes every decision of a region again, since a while ago.
func replayAll(ctx context.Context, l *embed.Log, cmd config.Command, w io.Writer) error {
	t, err := ReplayAll(ctx, l, cmd.History.Since, cmd.Log.JSON, w)
	switch {
	case err != nil:
		return err
	case cmd.Log.JSON:
		return json.NewEncoder(w).Encode(t)
	}
	fmt.Fprintf(w, "%d calls, %d events, %d decisions made again: no difference\n", t.Calls, t.Events, t.Rerun)
	t.headless(w)
	return nil
}

// ReplayAll makes every decision of a region again, of the calls of the time since, 0: of all. What comes out otherwise goes to w,
// and is an error.
func ReplayAll(ctx context.Context, l *embed.Log, since time.Duration, asJSON bool, w io.Writer) (Tally, error) {
	t := Tally{}
	enc := json.NewEncoder(w)
	s := sweeper{calls: map[string][]replay.Record{}, done: map[string]uint64{}, rerun: func(callID string, list []replay.Record) error {
		r := replay.Rerun(callID, replay.Entries(list))
		t.Calls++
		t.Events += r.Events
		t.Rerun += r.Rerun
		if r.Rerun == 0 {
			t.Headless++
		}
		if !r.Differs() {
			return nil
		}
		t.Differ += len(r.Steps)
		t.In++
		if asJSON {
			return enc.Encode(r)
		}
		writeReport(w, r)
		return nil
	}}
	if since > 0 {
		s.since = time.Now().Add(-since)
	}
	if err := s.read(ctx, l); err != nil {
		return t, err
	}
	if t.Differ == 0 {
		return t, nil
	}
	if asJSON {
		if err := enc.Encode(t); err != nil {
			return t, err
		}
	}
	return t, fmt.Errorf("%d of %d decisions, in %d of %d calls, come out otherwise in this build", t.Differ, t.Rerun, t.In, t.Calls)
}

func (t *Tally) headless(w io.Writer) {
	if t.Headless > 0 {
		fmt.Fprintf(w, "%d of the calls had no decision to make again: they began before that time, or their events cannot be read\n", t.Headless)
	}
}

// sweeper puts the entries of many calls together. It holds those of calls that have not ended yet, and no more.
type sweeper struct {
	since time.Time
	calls map[string][]replay.Record // by key
	done  map[string]uint64          // key → sequence of the last end that was run
	rerun func(callID string, list []replay.Record) error
	err   error
}

func (s *sweeper) read(ctx context.Context, l *embed.Log) error {
	if err := l.EachArchived(ctx, s.since, s.add); err != nil {
		return err
	}
	if err := l.EachLive(ctx, s.add); err != nil {
		return err
	}
	for key := range s.calls {
		s.run(key)
	}
	return s.err
}

func (s *sweeper) add(e embed.Entry) {
	if s.err != nil || e.Seq <= s.done[e.Key] {
		return
	}
	s.calls[e.Key] = append(s.calls[e.Key], recordOf(e))
	if events.IsEnd(e.Data) {
		s.run(e.Key)
		s.done[e.Key] = e.Seq
	}
}

func (s *sweeper) run(key string) {
	list := s.calls[key]
	delete(s.calls, key)
	slices.SortStableFunc(list, func(a, b replay.Record) int { return int(int64(a.Seq - b.Seq)) })
	list = slices.CompactFunc(list, func(a, b replay.Record) bool { return a.Seq == b.Seq })
	fresh := s.since.IsZero() || slices.ContainsFunc(list, func(r replay.Record) bool { return r.Stored >= s.since.UnixMicro() })
	if len(list) == 0 || !fresh || s.err != nil {
		return
	}
	callID := key
	for i := range list {
		if env, err := events.Decode(list[i].Data); err == nil {
			callID = env.Call
			break
		}
	}
	s.err = s.rerun(callID, list)
}
