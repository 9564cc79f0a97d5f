package view

import (
	"context"
	"slices"
	"sync"
	"time"

	"rtpjet/cmd/rtpjet/web"
	"rtpjet/embed"
	"rtpjet/events"
	"rtpjet/projection/history"
)

// stories keeps the histories that somebody looks at, so that the archive is read once and not at each event: what it has of a
// call does not change, and what is new is in the stream of live calls.
type stories struct {
	journal Journal

	mu   sync.Mutex
	kept []*keptStory // the one used last is the last
}

const (
	maxStories = 16
	// maxKept is the most entries of a call that are kept between two looks.
	maxKept = 5000
	// wholeEvery is how often the archive is looked at for a call that has ended: another one may have come and gone. It is less than
	// the time for which the events of an ended call stay in the stream.
	wholeEvery = 30 * time.Second
)

// keptStory is the history of one key. mu is held while the log is read: others who want it wait for the same.
type keptStory struct {
	key string

	mu      sync.Mutex
	entries []embed.Entry
	whole   time.Time // when the archive was read
	looked  time.Time // when the entries were last known to be all
	callID  string
	story   *web.Story
}

// of returns the place of a key.
func (s *stories) of(key string) *keptStory {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, k := range s.kept {
		if k.key == key {
			s.kept = append(slices.Delete(s.kept, i, i+1), k)
			return k
		}
	}
	k := &keptStory{key: key}
	if len(s.kept) >= maxStories {
		s.kept = slices.Delete(s.kept, 0, 1)
	}
	s.kept = append(s.kept, k)
	return k
}

// read is [View.Story].
func (s *stories) read(ctx context.Context, callID string) (*web.Story, error) {
	k := s.of(events.Key(callID))
	k.mu.Lock()
	defer k.mu.Unlock()
	fresh, err := k.read(ctx, s.journal)
	if err != nil {
		return nil, err
	}
	if len(k.entries) == 0 {
		return nil, web.ErrNoCall
	}
	if fresh || k.story == nil || k.callID != callID {
		list := make([]history.Entry, len(k.entries))
		for i, e := range k.entries {
			list[i] = history.Entry{Seq: e.Seq, Stored: e.Time.UnixMicro()}
			list[i].Envelope, list[i].Err = events.Decode(e.Data) // keys stay sealed
		}
		moments := history.Moments(callID, list)
		k.story, k.callID = &web.Story{Moments: moments, Ladder: history.NewLadder(callID, moments)}, callID
	}
	story := k.story
	if len(k.entries) > maxKept {
		k.entries, k.story = nil, nil
	}
	return story, nil
}

// read brings the entries up to date. It tells whether there are new ones.
func (k *keptStory) read(ctx context.Context, j Journal) (fresh bool, err error) {
	began := time.Now()
	if n := len(k.entries); n > 0 {
		was := k.entries[n-1].Seq
		more, last, err := j.Since(ctx, k.key, was)
		switch {
		case err != nil: // the stream may have begun anew
		case len(more) > 0 && k.precedes(more[0]), len(more) == 0 && last == was:
			k.entries, k.looked = append(k.entries, more...), began
			return len(more) > 0, nil
		case last == 0 && k.ended() && time.Since(k.whole) < wholeEvery:
			k.looked = began
			return false, nil // its entries are in the archive alone by now
		}
	}
	entries, err := j.History(ctx, k.key)
	if err != nil {
		return false, err
	}
	k.entries, k.whole, k.looked = entries, time.Now(), began
	return true, nil
}

// precedes tells whether there is nothing between the entries and the first one that the stream has after them: the end of a call, and
// whole calls after it, may have left the stream since the last look.
func (k *keptStory) precedes(next embed.Entry) bool {
	if k.ended() {
		return time.Since(k.looked) < wholeEvery
	}
	env, _ := events.Decode(next.Data) // what cannot be read begins nothing
	first, ok := env.Event.(events.Offered)
	return !ok || first.Owner == ""
}

// ended tells whether the last entry ends the call.
func (k *keptStory) ended() bool { return events.IsEnd(k.entries[len(k.entries)-1].Data) }
