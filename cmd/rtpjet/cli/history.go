package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"rtpjet/cmd/rtpjet/config"
	"rtpjet/embed"
	"rtpjet/events"
	"rtpjet/projection"
	"rtpjet/projection/history"
	"rtpjet/projection/replay"
)

// callRecords reads all that the log has of a call-id.
func callRecords(ctx context.Context, l *embed.Log, callID string) ([]replay.Record, error) {
	ctx, cancel := context.WithTimeout(ctx, viewTime)
	defer cancel()
	entries, err := l.History(ctx, events.Key(callID))
	if err != nil {
		return nil, err
	}
	out := make([]replay.Record, 0, len(entries))
	for _, e := range entries {
		out = append(out, recordOf(e))
	}
	return out, nil
}

func recordOf(e embed.Entry) replay.Record {
	return replay.Record{Seq: e.Seq, Stored: e.Time.UnixMicro(), Data: e.Data}
}

// callHistory prints the life of a call-id.
func callHistory(ctx context.Context, l *embed.Log, cmd config.Command, w io.Writer) error {
	o := &cmd.History
	head := uint64(0)
	if o.Follow {
		var err error
		if head, err = l.Head(ctx); err != nil { // before the history: nothing may fall in between
			return err
		}
	}
	list, err := callRecords(ctx, l, cmd.Call)
	if err != nil {
		return err
	}
	if len(list) == 0 && !o.Follow {
		return unknownCall(ctx, l, cmd.Call)
	}
	v := viewer{id: cmd.Call, o: o, json: cmd.Log.JSON, w: w, entries: replay.Entries(list)}
	if err := v.print(); err != nil || !o.Follow {
		return err
	}
	return v.follow(ctx, l, head+1)
}

// viewer prints the history of a call.
type viewer struct {
	id      string
	o       *config.HistoryOptions
	json    bool
	w       io.Writer
	entries []history.Entry
}

func (v *viewer) layout() history.Layout {
	width := v.o.Width
	if width == 0 {
		width = terminalWidth(v.w)
	}
	return history.Layout{Width: width, Unfolded: v.o.Full}
}

func (v *viewer) print() error {
	list := history.Moments(v.id, v.entries)
	switch {
	case v.o.At != "":
		i, err := momentAt(list, v.o.At)
		if err != nil {
			return err
		}
		return v.state(list, i)
	case v.o.Diff[0] != "":
		return v.diff(list)
	}
	ladder := history.NewLadder(v.id, list)
	switch {
	case v.json && v.o.Follow:
		return v.lines(ladder, 0)
	case v.json:
		return json.NewEncoder(v.w).Encode(ladder)
	}
	return ladder.Draw(v.w, v.layout())
}

// lines prints steps as one line of JSON each.
func (v *viewer) lines(l *history.Ladder, from int) error {
	enc := json.NewEncoder(v.w)
	for i := from; i < len(l.Steps); i++ {
		if err := enc.Encode(&l.Steps[i]); err != nil {
			return err
		}
	}
	return nil
}

// state prints the call as it was at a moment.
func (v *viewer) state(list []history.Moment, i int) error {
	if v.json {
		return json.NewEncoder(v.w).Encode(struct {
			Seq  uint64           `json:"seq"`
			At   time.Time        `json:"at"`
			Call *projection.Call `json:"call"`
		}{list[i].Seq, time.UnixMicro(list[i].At).UTC(), list[i].Call})
	}
	fmt.Fprintf(v.w, "after event %d of %d (%d), %s\n", i+1, len(list), list[i].Seq,
		time.UnixMicro(list[i].At).UTC().Format("2006-01-02 15:04:05.000000"))
	list[i].Call.Describe(v.w)
	return nil
}

// diff prints what is otherwise at the second moment.
func (v *viewer) diff(list []history.Moment) error {
	a, err := momentAt(list, v.o.Diff[0])
	if err != nil {
		return err
	}
	b, err := momentAt(list, v.o.Diff[1])
	if err != nil {
		return err
	}
	changes := history.Diff(list[a].Call, list[b].Call)
	if v.json {
		return json.NewEncoder(v.w).Encode(struct {
			From    uint64           `json:"from"`
			To      uint64           `json:"to"`
			Changes []history.Change `json:"changes"`
		}{list[a].Seq, list[b].Seq, changes})
	}
	fmt.Fprintf(v.w, "from event %d to event %d\n", list[a].Seq, list[b].Seq)
	return writeChanges(v.w, "  ", changes, v.o.Full)
}

// writeChanges prints changes; what is kept for later decisions only if everything is asked for.
func writeChanges(w io.Writer, indent string, list []history.Change, full bool) error {
	shown := 0
	for _, c := range list {
		if c.Minor && !full {
			continue
		}
		shown++
		switch {
		case c.Was == "":
			fmt.Fprintf(w, "%s+ %s: %s\n", indent, c.Path, c.Is)
		case c.Is == "":
			fmt.Fprintf(w, "%s- %s: %s\n", indent, c.Path, c.Was)
		default:
			fmt.Fprintf(w, "%s~ %s: %s, now %s\n", indent, c.Path, c.Was, c.Is)
		}
	}
	if n := len(list) - shown; n > 0 {
		fmt.Fprintf(w, "%s(%d things that count or remember; --full shows them)\n", indent, n)
	} else if shown == 0 {
		fmt.Fprintf(w, "%snothing differs\n", indent)
	}
	return nil
}

// follow prints what happens from a sequence on.
func (v *viewer) follow(ctx context.Context, l *embed.Log, from uint64) error {
	key := events.Key(v.id)
	shown := len(v.entries)
	var failed error
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	err := l.Follow(ctx, from, embed.Follower{Pace: -1, Entry: func(e embed.Entry) {
		if e.Key != key || failed != nil {
			return
		}
		r := recordOf(e)
		for i := range v.entries {
			if v.entries[i].Seq == r.Seq && v.entries[i].Stored == r.Stored {
				return
			}
		}
		v.entries = append(v.entries, replay.Entries([]replay.Record{r})...)
		ladder := history.NewLadder(v.id, history.Moments(v.id, v.entries))
		switch {
		case v.json:
			failed = v.lines(ladder, shown)
		case shown == 0:
			failed = ladder.Draw(v.w, v.layout())
		default:
			failed = ladder.DrawSteps(v.w, v.layout(), shown)
		}
		shown = len(v.entries)
		if failed != nil {
			cancel()
		}
	}})
	if failed != nil {
		return failed
	}
	return err
}

// momentAt finds the moment that somebody means: a sequence, a time in UTC, a time of the day, or a duration since the begin.
func momentAt(list []history.Moment, text string) (int, error) {
	none := func(i int) (int, error) {
		if i < 0 {
			return 0, fmt.Errorf("at %s nothing had happened yet; the first event is %d, at %s", text, list[0].Seq,
				time.UnixMicro(list[0].At).UTC().Format("2006-01-02 15:04:05.000"))
		}
		return i, nil
	}
	if seq, err := strconv.ParseUint(text, 10, 64); err == nil {
		return none(history.AtSeq(list, seq))
	}
	if d, err := time.ParseDuration(strings.TrimPrefix(text, "+")); err == nil {
		return none(history.AtTime(list, list[0].At+d.Microseconds()))
	}
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02 15:04:05.999999", "2006-01-02T15:04:05.999999", "2006-01-02 15:04"} {
		if t, err := time.Parse(layout, text); err == nil {
			return none(history.AtTime(list, t.UnixMicro()))
		}
	}
	for _, layout := range []string{"15:04:05.999999", "15:04"} {
		t, err := time.Parse(layout, text)
		if err != nil {
			continue
		}
		// On the first day of the call, or on the next if that was before its begin.
		began := time.UnixMicro(list[0].At).UTC()
		at := time.Date(began.Year(), began.Month(), began.Day(), t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), time.UTC)
		if at.Before(began) {
			at = at.AddDate(0, 0, 1)
		}
		return none(history.AtTime(list, at.UnixMicro()))
	}
	return 0, fmt.Errorf("%s is neither an event's number nor a time: write 1024, 15:04:05.000, 2006-01-02 15:04:05 (UTC) or +90s", config.Quote(text))
}

// errUnknown is behind the error for a call-id that the log does not have.
var errUnknown = errors.New("there is no such call in the log")
