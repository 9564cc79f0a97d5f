package unlogged

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"

	"rtpjet/events"
	"rtpjet/projection/replica"
)

// event is the num-th event of a call.
func event(t testing.TB, call string, num int) replica.Event {
	t.Helper()
	env := events.Envelope{Call: call, Gen: 1, Node: "n1", At: int64(num), Event: events.Ended{Reason: events.ReasonTimeout}}
	data, err := events.Encode(env)
	if err != nil {
		t.Fatal(err)
	}
	return replica.Event{Envelope: env, Data: data}
}

// opened are events that are kept in dir, and what they say in the log.
func opened(dir string) (*Events, *bytes.Buffer) {
	var said bytes.Buffer
	u := New(slog.New(slog.NewTextHandler(&said, nil)))
	u.Open(dir, true)
	return u, &said
}

// times are the events' own numbers.
func times(list []replica.Event) (out []int64) {
	for _, ev := range list {
		out = append(out, ev.Envelope.At)
	}
	return out
}

// Whatever comes and goes, what waits is what was added and not taken out again, in its order: in this process, and in the next one,
// however this one ends.
func TestAnyOrder(t *testing.T) {
	for seed := range uint64(50) {
		r := rand.New(rand.NewPCG(seed, 1))
		dir := t.TempDir()
		u, _ := opened(dir)
		waits := map[string][]replica.Event{}
		for num := range 80 {
			call := fmt.Sprint("call ", r.IntN(4))
			key := events.Key(call)
			switch left := waits[key]; {
			case r.IntN(10) == 0: // a restart, or a process that was killed: nothing is buffered
				u.Close()
				u, _ = opened(dir)
				for key, want := range waits {
					if got := times(u.Take(key)); !slices.Equal(got, times(want)) {
						t.Fatalf("seed %d, step %d: %v wait after a restart, want %v", seed, num, got, times(want))
					}
					if again := u.Take(key); len(again) > 0 {
						t.Fatalf("seed %d, step %d: an earlier process's events are given out twice", seed, num)
					}
				}
			case len(left) > 0 && r.IntN(2) == 0:
				n := 1 + r.IntN(len(left))
				if r.IntN(2) == 0 {
					u.Published(key, left[:n])
				} else {
					u.Dropped(key, left[:n])
				}
				if waits[key] = left[n:]; len(waits[key]) == 0 {
					delete(waits, key)
				}
			default:
				ev := event(t, call, num)
				if !u.Add(key, ev.Data) {
					t.Fatalf("seed %d, step %d: an event is refused", seed, num)
				}
				waits[key] = append(left, ev)
			}
			check(t, u, waits, fmt.Sprintf("seed %d, step %d", seed, num))
		}
		u.Close()
	}
}

func check(t *testing.T, u *Events, waits map[string][]replica.Event, when string) {
	t.Helper()
	num, bytes := 0, 0
	for _, list := range waits {
		num += len(list)
		for _, ev := range list {
			bytes += len(ev.Data)
		}
	}
	keys := u.Keys()
	slices.Sort(keys)
	if want := slices.Sorted(maps.Keys(waits)); u.Num() != int64(num) || u.bytes != bytes || !slices.Equal(keys, want) {
		t.Fatalf("%s: %d events of %d bytes of the calls %q, want %d, %d, %q", when, u.Num(), u.bytes, keys, num, bytes, want)
	}
}

// The file is as good as empty when nothing waits, so that it does not grow with each loss of the log.
func TestFileShrinks(t *testing.T) {
	dir := t.TempDir()
	u, said := opened(dir)
	defer u.Close()
	ev := event(t, "one", 1)
	for range 3 {
		u.Add(events.Key("one"), ev.Data)
		if st, err := os.Stat(filepath.Join(dir, fileName)); err != nil || st.Size() == 0 {
			t.Fatalf("an event that waits is not in the file: %v", err)
		}
		u.Published(events.Key("one"), []replica.Event{ev})
		if st, err := os.Stat(filepath.Join(dir, fileName)); err != nil || st.Size() != 0 {
			t.Fatalf("nothing waits, and the file has %d bytes, %v", st.Size(), err)
		}
	}
	for _, want := range []string{"the event log does not answer", "the event log has everything again", "published=1 dropped=0"} {
		if got := strings.Count(said.String(), want); got != 3 {
			t.Errorf("%q is said %d times, want 3:\n%s", want, got, said)
		}
	}
}

// What was dropped is told apart from what was published.
func TestDroppedIsCounted(t *testing.T) {
	u, said := opened("")
	a, b, c := event(t, "one", 1), event(t, "one", 2), event(t, "two", 3)
	for _, ev := range []replica.Event{a, b, c} {
		u.Add(events.Key(ev.Envelope.Call), ev.Data)
	}
	u.Published(events.Key("one"), []replica.Event{a})
	u.Dropped(events.Key("one"), []replica.Event{b})
	u.Published(events.Key("two"), []replica.Event{c})
	if !strings.Contains(said.String(), "published=2 dropped=1") {
		t.Errorf("the log says:\n%s", said)
	}
}

// Memory and file are bounded: what comes beyond is refused, and is not in the file either.
func TestBounded(t *testing.T) {
	u, _ := opened("")
	big := make([]byte, maxBytes/4)
	for range 4 {
		if !u.Add("k", big) {
			t.Fatal("an event within the bound is refused")
		}
	}
	if u.Add("k", []byte{1}) {
		t.Error("an event beyond the bound is taken")
	}
	if u.Num() != 4 {
		t.Errorf("%d events", u.Num())
	}
	u.Dropped("k", []replica.Event{{Data: big}})
	if !u.Add("k", []byte{1}) {
		t.Error("an event is refused, although there is room again")
	}
}

// Rouse wakes the publisher once, however often it is called before that looks, and not while nothing waits.
func TestRouse(t *testing.T) {
	u, _ := opened("")
	u.Rouse()
	select {
	case <-u.Wake():
		t.Error("woken for nothing")
	default:
	}
	u.Add("k", []byte("x"))
	u.Rouse()
	u.Rouse()
	<-u.Wake()
	select {
	case <-u.Wake():
		t.Error("woken twice")
	default:
	}
}

// A file that cannot be written to any more is said once, and what is in it stays whole. Events go on in memory.
func TestFileBreaks(t *testing.T) {
	dir := t.TempDir()
	u, said := opened(dir)
	first := event(t, "one", 1)
	u.Add(events.Key("one"), first.Data)
	_ = u.file.f.Close() // as good as a disk that is gone
	for num := range 3 {
		if !u.Add(events.Key("one"), event(t, "one", 2+num).Data) {
			t.Fatal("an event is refused because of the file")
		}
	}
	if got := strings.Count(said.String(), "no longer written to disk"); got != 1 {
		t.Errorf("said %d times:\n%s", got, said)
	}
	if u.Num() != 4 {
		t.Errorf("%d events wait", u.Num())
	}
	u.Close()
	if !strings.Contains(said.String(), "the node ends with events that the log did not get") || !strings.Contains(said.String(), `"on disk"=false`) {
		t.Errorf("the end does not say that events are lost:\n%s", said)
	}
	again, _ := opened(dir)
	defer again.Close()
	if got := times(again.Take(events.Key("one"))); !slices.Equal(got, []int64{1}) {
		t.Errorf("the file has %v, want the one event that was written", got)
	}
}

// A second process waits for the file for a while, and then does without it; it never writes where the first one does.
func TestFileTaken(t *testing.T) {
	dir := t.TempDir()
	first, _ := opened(dir)
	defer first.Close()
	first.Add("k", []byte("x"))
	synctest.Test(t, func(t *testing.T) { // the waiting costs nothing
		second, said := opened(dir)
		defer second.Close()
		if second.file != nil {
			t.Error("two processes have the file")
		}
		if !second.Add("k", []byte("y")) || !strings.Contains(said.String(), "in memory only") {
			t.Errorf("the second one says:\n%s", said)
		}
	})
	if _, _, err := openFileNow(dir); !errors.Is(err, syscall.EWOULDBLOCK) {
		t.Errorf("the file is not locked: %v", err)
	}
}

// openFileNow is openFile without waiting for the lock.
func openFileNow(dir string) (*os.File, bool, error) {
	f, err := os.OpenFile(filepath.Join(dir, fileName), os.O_RDWR, 0)
	if err != nil {
		return nil, false, err
	}
	defer f.Close()
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	return f, err == nil, err
}

// Where the setting is off, no file is made; one that an earlier process left is read all the same.
func TestNotServing(t *testing.T) {
	dir := t.TempDir()
	u := New(slog.New(slog.DiscardHandler))
	u.Open(dir, false)
	u.Close()
	if list, err := os.ReadDir(dir); err != nil || len(list) > 0 {
		t.Fatalf("%v, %v", list, err)
	}
	before, _ := opened(dir)
	before.Add(events.Key("one"), event(t, "one", 7).Data)
	before.Close()
	u = New(slog.New(slog.DiscardHandler))
	u.Open(dir, false)
	defer u.Close()
	if got := times(u.Take(events.Key("one"))); !slices.Equal(got, []int64{7}) || u.Num() != 1 {
		t.Errorf("%v, %d events", got, u.Num())
	}
}

// A directory that cannot be had is said, and events are kept in memory.
func TestNoDirectory(t *testing.T) {
	inTheWay := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(inTheWay, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	u, said := opened(filepath.Join(inTheWay, "data"))
	defer u.Close()
	if !u.Add("k", []byte("x")) || u.Num() != 1 || !strings.Contains(said.String(), "in memory only") {
		t.Errorf("%d events, and the log says:\n%s", u.Num(), said)
	}
}
