package cli

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"rtpjet/embed"
	"rtpjet/events"
	"rtpjet/projection/history"
)

// nearTime bounds the search for call-ids that may have been meant. It ends with what was found by then.
const nearTime = 3 * time.Second

// unknownCall is the error for a call-id that the log does not have, with those that are near it.
func unknownCall(ctx context.Context, l *embed.Log, callID string) error {
	text := fmt.Sprintf("there is no call %q in the log or the archive", callID)
	near := nearCalls(ctx, l, callID)
	if len(near) == 0 {
		return fmt.Errorf("%s%w; rtpjet call list names those that live", text, hiddenError{errUnknown})
	}
	for i := range near {
		near[i] = history.Printable(near[i])
	}
	return fmt.Errorf("%s%w; did you mean %s?", text, hiddenError{errUnknown}, strings.Join(near, ", or "))
}

// hiddenError is an error that can be asked for and is not printed.
type hiddenError struct{ error }

func (hiddenError) Error() string   { return "" }
func (h hiddenError) Unwrap() error { return h.error }

// nearCalls are up to three call-ids of the log and of the latest part of the archive that look like one.
func nearCalls(ctx context.Context, l *embed.Log, callID string) []string {
	ctx, cancel := context.WithTimeout(ctx, nearTime)
	defer cancel()
	found := map[string]int{} // call-id → distance
	look := func(e embed.Entry) {
		env, err := events.Decode(e.Data)
		if err != nil || env.Call == callID {
			return
		}
		if _, ok := found[env.Call]; ok {
			return
		}
		if d := distance(callID, env.Call); d <= max(2, len(callID)/4) {
			found[env.Call] = d
		}
	}
	// What cannot be read has no suggestions.
	_ = l.EachLive(ctx, look)
	_ = l.EachArchived(ctx, time.Now().Add(-nearSince), look)
	ids := make([]string, 0, len(found))
	for id := range found {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, func(a, b string) int {
		return cmp.Or(cmp.Compare(found[a], found[b]), strings.Compare(a, b))
	})
	return ids[:min(3, len(ids))]
}

// nearSince is how far back the archive is searched for similar call-ids.
const nearSince = 24 * time.Hour

// distance is how far two call-ids are from each other: parts of each other, in any case, are near.
func distance(a, b string) int {
	if len(a) > 200 || len(b) > 200 {
		a, b = a[:min(200, len(a))], b[:min(200, len(b))]
	}
	x, y := strings.ToLower(a), strings.ToLower(b)
	if len(x) >= 4 && (strings.Contains(y, x) || len(y) >= 4 && strings.Contains(x, y)) {
		return 1
	}
	return changes(x, y)
}

// changes is how many bytes have to be added, removed or replaced to make b of a. (editDistance is for short names, and stops
// counting early.)
func changes(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		last := row[0] // of the row before, one to the left
		row[0] = i + 1
		for j := range len(b) {
			cost := last
			if a[i] != b[j] {
				cost++
			}
			last, row[j+1] = row[j+1], min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
