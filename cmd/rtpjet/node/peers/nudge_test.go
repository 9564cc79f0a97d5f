package peers

import (
	"bytes"
	"context"
	"encoding/binary"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"rtpjet/cmd/rtpjet/node/notetest"
	"rtpjet/embed"
)

// event is one that follows another.
var event = Event{Key: "k", Prev: 7, Seq: 300, Data: []byte("data")}

// TestNudge: who is sent an event, in what order, and whom the writer waits for.
func TestNudge(t *testing.T) {
	for name, tc := range map[string]struct {
		to   Carriers
		want string // nodes, in the order in which they are sent it; ! after the one that is waited for
	}{
		"a call of this node":             {Carriers{Now: "n1", Before: "n1"}, ""},
		"a call of another one":           {Carriers{Now: "n2", Before: "n2"}, "n2!"},
		"a new call of another one":       {Carriers{Now: "n2"}, "n2!"},
		"taken over by this node":         {Carriers{Now: "n1", Before: "n2"}, "n2"},
		"taken over by another one":       {Carriers{Now: "n3", Before: "n2"}, "n2 n3!"},
		"given away":                      {Carriers{Now: "n2", Before: "n1"}, "n2!"},
		"a float of this node":            {Carriers{Now: "n1", Before: "n1", Next: "n2"}, "n2"},
		"a float of another one":          {Carriers{Now: "n2", Before: "n2", Next: "n3"}, "n3 n2!"},
		"a float that comes here next":    {Carriers{Now: "n2", Before: "n2", Next: "n1"}, "n2!"},
		"a float that nobody has":         {Carriers{Next: "n2"}, "n2"},
		"from a node to a float":          {Carriers{Now: "n3", Before: "n2", Next: "n4"}, "n4 n2 n3!"},
		"nobody has it now, one did once": {Carriers{Before: "n2"}, "n2"},
	} {
		t.Run(name, func(t *testing.T) {
			play(t, func(w *world) {
				n := w.join("n1")
				var sent notetest.Journal
				for _, id := range []string{"n1", "n2", "n3", "n4"} {
					if id != "n1" {
						w.join(id)
					}
				}
				n.link.disturb(func(verb, tokens string) error {
					if id, ok := strings.CutSuffix(tokens, ".entry"); ok {
						id = strings.TrimPrefix(id, "node.")
						if verb == "request" {
							id += "!"
						}
						sent.Note("%s", id)
					}
					return nil
				})
				for _, m := range w.nodes {
					m.host.Take()
				}
				n.Nudge(w.t.Context(), tc.to, "call", event)
				w.want("sent to", sent.Take(), strings.Fields(tc.want)...)
				synctest.Wait()
				for _, m := range w.nodes {
					got := m.host.Take()
					if strings.Contains(tc.want, m.id) {
						w.want(m.id, got, "deliver k 300 after 7: data")
					} else {
						w.want(m.id, got)
					}
				}
			})
		})
	}
}

// TestNudgeWaits: the writer waits until the event is in effect, and not for longer than a moment.
func TestNudgeWaits(t *testing.T) {
	for name, tc := range map[string]struct {
		effect time.Duration // until the event is in effect; negative: never
		limit  time.Duration // of the command; 0: none
		takes  time.Duration
		fails  bool
	}{
		"at once":               {0, 0, 0, false},
		"a command is at work":  {30 * time.Millisecond, 0, 30 * time.Millisecond, false},
		"the stream is faster":  {-1, 0, nudgeTime, true},
		"the command's time is": {-1, 20 * time.Millisecond, 20 * time.Millisecond, true},
	} {
		t.Run(name, func(t *testing.T) {
			play(t, func(w *world) {
				a, b := w.join("n1"), w.join("n2")
				b.host.set(func(h *fakeHost) {
					h.behind = tc.effect < 0
					if tc.effect > 0 {
						h.await = func() { time.Sleep(tc.effect) }
					}
				})
				ctx := w.t.Context()
				if tc.limit > 0 {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(ctx, tc.limit)
					defer cancel()
				}
				began := time.Now()
				a.Nudge(ctx, Carriers{Now: "n2", Before: "n2"}, "call", event)
				if took := time.Since(began); took != tc.takes {
					t.Errorf("it took %v", took)
				}
				got := having(a.log.Take(), `level=DEBUG msg="the owner of a call has to wait for an event" call-id=call owner=n2 seq=300 err=`)
				if (len(got) == 1) != tc.fails {
					t.Errorf("logged %q", got)
				}
			})
		})
	}
}

// TestNudgeInOrder: an event does not wait for the one before to be in effect, and a membership that ends does.
func TestNudgeInOrder(t *testing.T) {
	play(t, func(w *world) {
		n := w.join("n1")
		n.host.Take()
		effect := make(chan struct{})
		n.host.set(func(h *fakeHost) { h.await = func() { <-effect } })
		answered := make(chan string, 10)
		for i := range uint64(3) {
			e := Event{Key: "k", Prev: i, Seq: i + 1}
			w.send("node.n1.entry", e.encode(), func([]byte) error { answered <- e.Key; return nil })
		}
		synctest.Wait()
		w.want("delivered", n.host.Take(), "deliver k 1 after 0: ", "deliver k 2 after 1: ", "deliver k 3 after 2: ")
		if len(answered) > 0 {
			t.Error("answered before it was in effect")
		}
		n.stop()
		pass(time.Minute)
		if len(n.done) > 0 {
			t.Error("it has ended, and something waits yet")
		}
		close(effect)
		if err := n.end(); err != nil || len(answered) != 3 {
			t.Errorf("%v; %d answers", err, len(answered))
		}
		n.awaits.Go(func() { t.Error("something runs after the end") })
		synctest.Wait()
	})
}

// TestNudgeMalformed: bytes that are no event are neither delivered nor answered.
func TestNudgeMalformed(t *testing.T) {
	play(t, func(w *world) {
		n := w.join("n1")
		n.host.Take()
		good := event.encode()
		answered := 0
		answer := func([]byte) error { answered++; return nil }
		for _, data := range [][]byte{nil, good[:1], good[:3], {1, 2, 200}, {1, 2, 9, 'k'}, bytes.Repeat([]byte{0xff}, 30)} {
			w.send("node.n1.entry", data, answer)
		}
		w.send("node.n1.entry", good, answer)
		synctest.Wait()
		w.want("delivered", n.host.Take(), "deliver k 300 after 7: data")
		if answered != 1 {
			t.Errorf("%d answers", answered)
		}
	})
}

// TestNudgeBytes holds the form in which builds send events to each other: prev, seq and the key's length as uvarints, the key, the event.
func TestNudgeBytes(t *testing.T) {
	if got, want := string(event.encode()), "\x07\xac\x02\x01kdata"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	empty := Event{}
	if got, want := string(empty.encode()), "\x00\x00\x00"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	for _, e := range []Event{empty, {Key: "k"}, {Data: []byte("data")}} {
		if got, ok := decodeEvent(e.encode()); !ok || got.Key != e.Key || string(got.Data) != string(e.Data) {
			t.Errorf("%+v became %+v %v", e, got, ok)
		}
	}
}

// FuzzNudge: what is decoded is encoded to the same event, and nothing else is decoded.
func FuzzNudge(f *testing.F) {
	f.Add([]byte(nil))
	f.Add(event.encode())
	f.Add([]byte{1, 2, 3, 'k', 'e'})
	f.Add(binary.AppendUvarint([]byte{0, 0}, 1<<63))
	f.Add([]byte{0x80, 0, 0, 0}) // longer than it need be
	f.Add(bytes.Repeat([]byte{0xff}, 11))
	f.Fuzz(func(t *testing.T, data []byte) {
		e, ok := decodeEvent(data)
		if !ok {
			if e.Key != "" || e.Data != nil || e.Prev != 0 || e.Seq != 0 {
				t.Errorf("no event: %+v", e)
			}
			return
		}
		if !bytes.HasSuffix(data, append([]byte(e.Key), e.Data...)) {
			t.Errorf("%q and %q are not the end of %q", e.Key, e.Data, data)
		}
		again, ok := decodeEvent(e.encode())
		if !ok || again.Key != e.Key || again.Prev != e.Prev || again.Seq != e.Seq || !bytes.Equal(again.Data, e.Data) {
			t.Errorf("%+v became %+v %v", e, again, ok)
		}
	})
}

var _ Link = (*embed.Log)(nil)
