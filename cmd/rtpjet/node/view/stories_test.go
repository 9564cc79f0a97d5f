package view_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"rtpjet/cmd/rtpjet/web"
	"rtpjet/events"
	"rtpjet/projection/history"
)

const (
	// mostStories is how many histories are kept.
	mostStories = 16
	// mostEntries is how long a history is at most that is kept.
	mostEntries = 5000
	// wholeFor is how long the archive need not be read for a call that has ended.
	wholeFor = 30 * time.Second
)

// story reads a history that has to be there, and checks that it is all that the log has.
func (w *world) story(id string) *web.Story {
	w.t.Helper()
	s, err := w.Story(context.Background(), id)
	if err != nil {
		w.t.Fatalf("the story of %s: %v", id, err)
	}
	want := w.journal.seqs(id)
	equal(w.t, "the story of "+id, seqs(s), want)
	return s
}

func seqs(s *web.Story) (out []uint64) {
	for _, m := range s.Moments {
		out = append(out, m.Seq)
	}
	return out
}

// reads checks how often the archive and the stream were read since the last time.
func (w *world) reads(what string, histories, reads int) {
	w.t.Helper()
	if h, r := w.journal.counts(); h != histories || r != reads {
		w.t.Errorf("%s: the archive was read %d times and the stream %d times, not %d and %d", what, h, r, histories, reads)
	}
}

// The archive is read once, and what comes later is read from the stream. Nothing new is nothing made anew.
func TestStoryGrows(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.journal.append("c", begins)
		s := w.story("c")
		w.reads("at first", 1, 0)
		m := s.Moments[0]
		if m.Stored != time.Now().UnixMicro() || m.Call.Owner != "n1" || m.Call.ID != "c" || m.Err != nil {
			t.Errorf("%+v", m)
		}
		if got, want := asJSON(t, s.Ladder), asJSON(t, history.NewLadder("c", s.Moments)); got != want || s.Ladder.Call != "c" {
			t.Errorf("the ladder is not that of the moments:\n%s\n%s", got, want)
		}
		if w.story("c") != s {
			t.Error("nothing has happened, and the story is another one")
		}
		w.reads("with nothing new", 0, 1)
		for _, ev := range []events.Event{offersAgain, goesOn, goesOn} {
			w.journal.append("c", ev)
			time.Sleep(time.Hour)
		}
		grown := w.story("c")
		w.reads("with something new", 0, 1)
		if grown == s || len(s.Moments) != 1 || len(grown.Ladder.Steps) != 4 {
			t.Errorf("%d moments before, %d steps now", len(s.Moments), len(grown.Ladder.Steps))
		}
		if grown.Moments[3].Call.DeleteAt != goesOn.At {
			t.Errorf("an event of the stream was not folded: %+v", grown.Moments[3].Call)
		}
	})
}

// A call that is not there is an error that says so, each time until it is there.
func TestNoStory(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		for range 2 {
			if s, err := w.Story(t.Context(), "c"); !errors.Is(err, web.ErrNoCall) || s != nil {
				t.Errorf("%v, %v", s, err)
			}
		}
		w.reads("of nothing", 2, 0)
		w.journal.append("c", begins)
		w.story("c")
	})
}

// A call that has ended leaves the stream a while later. Its story stays, and the archive is looked at now and then whether there
// was another call.
func TestStoryOfAnEndedCall(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.journal.append("c", begins)
		w.journal.append("c", ends)
		s := w.story("c")
		w.reads("while it is in the stream", 1, 0)
		w.journal.retire("c")
		for range 3 {
			time.Sleep(wholeFor/3 - 1)
			if w.story("c") != s {
				t.Error("nothing has happened, and the story is another one")
			}
		}
		w.reads("when it has left the stream", 0, 3)
		w.journal.append("c", begins) // another one has come and gone
		w.journal.append("c", ends)
		w.journal.retire("c")
		time.Sleep(3 * time.Nanosecond)
		if lives := len(w.story("c").Ladder.Lives); lives != 2 {
			t.Errorf("%d lives", lives)
		}
		w.reads("after a while", 1, 1)
		w.story("c")
		w.reads("right after that", 0, 1)
	})
}

// A call whose entries have left the stream although it has not ended, by what is known, is read from the archive: it has ended since.
func TestStoryEndsUnseen(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.journal.append("c", begins)
		w.story("c")
		w.journal.append("c", ends)
		w.journal.retire("c")
		w.story("c")
		w.reads("of both", 2, 1)
	})
}

// A call-id that is used again: the new call's entries are in the stream, and what came between is not left out.
func TestStoryOfAUsedCallID(t *testing.T) {
	for name, last := range map[string][]events.Event{"that had ended": {begins, ends}, "that lived": {begins}} {
		for _, between := range []int{0, 1, 2} {
			for _, later := range []time.Duration{0, wholeFor - 1, wholeFor, time.Hour} {
				if later < wholeFor && between > 0 {
					continue // so soon nothing leaves the stream
				}
				inBubble(t, func(t *testing.T, w *world) {
					for _, ev := range last {
						w.journal.append("c", ev)
					}
					w.story("c")
					time.Sleep(later)
					if len(last) == 1 {
						w.journal.append("c", ends)
					}
					for range between {
						w.journal.append("c", begins)
						w.journal.append("c", ends)
					}
					if later >= wholeFor {
						w.journal.retire("c")
					}
					w.journal.append("c", begins)
					if lives := len(w.story("c").Ladder.Lives); lives != 2+between {
						t.Errorf("a call %s, %d others, %v later: %d lives", name, between, later, lives)
					}
					if histories, _ := w.journal.counts(); later < wholeFor && histories > 1 {
						t.Errorf("a call %s, %v later: the archive was read again, and all was in the stream", name, later)
					}
					w.journal.append("c", goesOn)
					w.story("c")
					w.reads("and then", 0, 1)
				})
			}
		}
	}
}

// A stream that was begun anew counts anew: what there was before is in the archive.
func TestStoryOfANewStream(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		for range 5 {
			w.journal.append("another", begins)
		}
		w.journal.append("c", begins)
		w.story("c")
		w.journal.mu.Lock()
		w.journal.last = 0
		w.journal.mu.Unlock()
		w.journal.retire("c")
		w.journal.append("c", begins)
		if lives := len(w.story("c").Ladder.Lives); lives != 2 {
			t.Errorf("%d lives", lives)
		}
		w.reads("of both", 2, 1)
		w.journal.append("c", goesOn)
		w.story("c")
		w.reads("from then on", 0, 1)
	})
}

// What the log does not answer is an error of that moment, and what was known is not lost by it.
func TestStoryWithoutTheLog(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		away := errors.New("the log is away")
		w.journal.append("c", begins)
		for _, known := range []bool{false, true} {
			w.journal.away = away
			if s, err := w.Story(t.Context(), "c"); !errors.Is(err, away) || s != nil {
				t.Errorf("known before %v: %v, %v", known, s, err)
			}
			w.journal.away = nil
			w.journal.append("c", goesOn)
			w.journal.counts()
			w.story("c")
			if known {
				w.reads("when the log is back", 0, 1)
			} else {
				w.reads("for the first time", 1, 0)
			}
		}
	})
}

// An entry that cannot be read has its place in the story, with the reason.
func TestStoryWithAnUnreadableEntry(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.journal.append("c", begins)
		w.journal.put("c", []byte("nothing that anybody wrote"))
		w.journal.append("c", goesOn)
		s := w.story("c")
		if err := s.Moments[1].Err; !errors.Is(err, events.ErrMalformed) || s.Moments[2].Err != nil || s.Ladder.Unreadable != 1 {
			t.Errorf("%v, %v, %d unreadable", err, s.Moments[2].Err, s.Ladder.Unreadable)
		}
	})
}

// So many stories are kept, and those that were looked at last. One that is very long is not.
func TestStoriesAreBounded(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		id := func(i int) string { return fmt.Sprint("call-", i) }
		for i := range mostStories + 1 {
			w.journal.append(id(i), begins)
		}
		for i := range mostStories {
			w.story(id(i))
		}
		w.reads("of all that are kept", mostStories, 0)
		for i := range mostStories {
			w.story(id(i))
		}
		w.reads("again", 0, mostStories)
		w.story(id(0))
		w.story(id(mostStories)) // has the place of that which nobody has looked at for the longest time
		w.story(id(0))
		w.reads("of one more", 1, 2)
		for i := 2; i <= mostStories; i++ {
			w.story(id(i))
		}
		w.reads("of those that have stayed", 0, mostStories-1)
		w.story(id(1))
		w.reads("of the one that had to go", 1, 0)
	})
	inBubble(t, func(t *testing.T, w *world) {
		w.journal.append("long", begins)
		for range mostEntries - 1 {
			w.journal.append("long", goesOn)
		}
		w.story("long")
		w.story("long")
		w.reads("of as many entries as are kept", 1, 1)
		w.journal.append("long", goesOn)
		w.story("long")
		w.reads("of one more", 0, 1)
		w.story("long")
		w.reads("again", 1, 0)
	})
}

// Those who want the same story at the same time wait for the same look at the log; others do not wait for them.
func TestStoriesConcurrently(t *testing.T) {
	w := newWorld(t)
	w.journal.append("slow", begins)
	w.journal.append("quick", begins)
	open := make(chan string)
	w.journal.waits[events.Key("slow")] = open
	var readers sync.WaitGroup
	got := make([]*web.Story, 5)
	for i := range got {
		readers.Go(func() { got[i], _ = w.Story(context.Background(), "slow") })
	}
	open <- "one of them reads the archive"
	w.story("quick")
	close(open)
	readers.Wait()
	for _, s := range got {
		if s == nil || s != got[0] {
			t.Errorf("%d readers got different stories", len(got))
		}
	}
	w.reads("for all", 2, len(got)-1)
	inBubble(t, func(t *testing.T, w *world) {
		var all sync.WaitGroup
		for i := range 4 {
			id := fmt.Sprint("call-", i%2)
			w.journal.append(id, begins)
			all.Go(func() {
				for range 50 {
					w.journal.append(id, goesOn)
					time.Sleep(time.Millisecond)
				}
			})
			all.Go(func() {
				var before int
				for range 50 {
					time.Sleep(time.Millisecond)
					s, err := w.Story(context.Background(), id)
					if err != nil || len(s.Moments) < before || len(s.Moments) != len(s.Ladder.Steps) || !slices.IsSorted(seqs(s)) {
						t.Errorf("after %d moments: %v, %v", before, err, s)
						return
					}
					before = len(s.Moments)
				}
			})
		}
		all.Wait()
		w.story("call-0")
		w.story("call-1")
	})
}

// A reader who gives up does not spoil the story for the next one.
func TestStoryReaderGivesUp(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.journal.append("c", begins)
		open := make(chan string)
		w.journal.waits[events.Key("c")] = open
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if s, err := w.Story(ctx, "c"); !errors.Is(err, context.DeadlineExceeded) || s != nil {
			t.Errorf("%v, %v", s, err)
		}
		close(open)
		w.story("c")
	})
}

// Whatever happens to a call, and whoever looks when: a story is what the log has. The archive is read at most once for as long as
// the call is looked at every few seconds.
func TestStoryIsTheLog(t *testing.T) {
	for seed := range uint64(60) {
		inBubble(t, func(t *testing.T, w *world) {
			r := rand.New(rand.NewPCG(seed, 3))
			live, ended := false, time.Time{}
			often := 2 + r.IntN(8)
			var looked time.Time // when the story was whole
			for i := range 80 {
				switch n := r.IntN(10); {
				case !live && n < 2:
					w.journal.append("c", begins)
					live = true
				case live && n < 4:
					w.journal.append("c", goesOn)
				case live && n < 5:
					w.journal.append("c", ends)
					live, ended = false, time.Now()
				case n < 7:
					time.Sleep(time.Duration(r.IntN(40)) * time.Second)
				}
				if !live && time.Since(ended) >= time.Minute {
					w.journal.retire("c")
				}
				if r.IntN(often) > 0 {
					continue
				}
				want := w.journal.seqs("c")
				w.journal.counts()
				s, err := w.Story(context.Background(), "c")
				histories, _ := w.journal.counts()
				if len(want) == 0 {
					if !errors.Is(err, web.ErrNoCall) {
						t.Fatalf("seed %d, step %d: %v", seed, i, err)
					}
					continue
				}
				if err != nil || !slices.Equal(seqs(s), want) {
					t.Fatalf("seed %d, step %d: %v, %v, and the log has %v", seed, i, err, s, want)
				}
				if soon := !looked.IsZero() && time.Since(looked) < wholeFor; soon && live && histories > 0 {
					t.Fatalf("seed %d, step %d: the archive was read again after %v", seed, i, time.Since(looked))
				}
				looked = time.Now()
			}
		})
	}
}
