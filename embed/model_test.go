package embed

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
)

// logModel is what a log has, as two maps.
type logModel struct {
	live, all map[string][]Entry // by key: what is in the live stream, and what ever was
	last      uint64             // of the stream
}

// end is where a key ends.
func (m *logModel) end(key string) uint64 {
	if list := m.live[key]; len(list) > 0 {
		return list[len(list)-1].Seq
	}
	return 0
}

func (m *logModel) add(key string, data []byte) {
	m.last++
	e := Entry{Seq: m.last, Key: key, Data: data}
	m.live[key], m.all[key] = append(m.live[key], e), append(m.all[key], e)
}

// remove drops the live entries of a key before a sequence.
func (m *logModel) remove(key string, below uint64) {
	m.live[key] = slices.DeleteFunc(slices.Clone(m.live[key]), func(e Entry) bool { return e.Seq < below })
}

// entries are the live ones in their order.
func (m *logModel) entries() []Entry {
	var list []Entry
	for _, l := range m.live {
		list = append(list, l...)
	}
	slices.SortFunc(list, func(a, b Entry) int { return int(int64(a.Seq - b.Seq)) })
	return list
}

// TestLogModel does things at random to a log and to a model of it, from seeds. Whichever way the log is read, it is the model.
func TestLogModel(t *testing.T) {
	t.Parallel()
	nc := connect(t, startServer(t, t.TempDir(), ""))
	for seed := range uint64(6) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			runModel(t, nc, seed)
		})
	}
}

func runModel(t *testing.T, nc *nats.Conn, seed uint64) {
	l, err := Open(t.Context(), nc, Config{Region: fmt.Sprint("r", seed), Logger: testLogger(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	rnd := rand.New(rand.NewPCG(seed, 0))
	m := &logModel{live: map[string][]Entry{}, all: map[string][]Entry{}}
	f := startFollow(t, l, 1)
	var appended []Entry
	for i := range 150 {
		key := fmt.Sprint("k", rnd.IntN(6))
		end := m.end(key)
		switch rnd.IntN(10) {
		case 0, 1, 2, 3: // append where it ends
			data := fmt.Append(nil, i)
			if seq, err := l.Append(t.Context(), key, end, data); err != nil || seq != m.last+1 {
				t.Fatalf("%d: append to %s after %d: %d, %v", i, key, end, seq, err)
			}
			m.add(key, data)
		case 4: // append all or nothing
			list := [][]byte{fmt.Append(nil, i, " a"), fmt.Append(nil, i, " b"), fmt.Append(nil, i, " c")}
			if seq, err := l.AppendAll(t.Context(), key, end, list); err != nil || seq != m.last+3 {
				t.Fatalf("%d: append three to %s after %d: %d, %v", i, key, end, seq, err)
			}
			for _, data := range list {
				m.add(key, data)
			}
		case 5: // append after what is not the end
			var c *ConflictError
			if _, err := l.Append(t.Context(), key, end+1, []byte("lost")); !errors.As(err, &c) || c.Last != end {
				t.Fatalf("%d: append to %s after %d: %v", i, key, end+1, err)
			}
		case 6: // the same once more
			if list := m.live[key]; len(list) > 0 {
				before := uint64(0)
				if len(list) > 1 {
					before = list[len(list)-2].Seq
				}
				if seq, err := l.Append(t.Context(), key, before, list[len(list)-1].Data); err != nil || seq != end {
					t.Fatalf("%d: append to %s once more: %d, %v", i, key, seq, err)
				}
			}
		case 7: // remove what a key had up to a point
			if list := m.live[key]; len(list) > 1 {
				upto := list[rnd.IntN(len(list)-1)].Seq
				f.until(t, int(m.last)) // it is gone for a follower as well
				if err := l.Purge(t.Context(), key, upto); err != nil {
					t.Fatal(err)
				}
				m.remove(key, upto+1)
			}
		default: // read from a point that the key has been at
			after := rnd.Uint64N(end + 1)
			got, last, err := l.Since(t.Context(), key, after)
			want := slices.DeleteFunc(slices.Clone(m.live[key]), func(e Entry) bool { return e.Seq <= after })
			if err != nil || show(got) != show(want) || last != end {
				t.Fatalf("%d: %s since %d: %s up to %d, %v; want %s up to %d", i, key, after, show(got), last, err, show(want), end)
			}
		}
	}
	for _, list := range m.all {
		appended = append(appended, list...)
	}
	slices.SortFunc(appended, func(a, b Entry) int { return int(int64(a.Seq - b.Seq)) })
	if got := show(f.until(t, len(appended))); got != show(appended) {
		t.Errorf("followed %s, want %s", got, show(appended))
	}
	compareWhole(t, l, m, "before the archive")

	startArchive(t, l)
	below := rnd.Uint64N(m.last) + 1
	for key := range m.live {
		m.all[key] = slices.Clone(m.live[key]) // what was purged before there was an archive is gone
	}
	if err := l.Trim(t.Context(), below); err != nil {
		t.Fatal(err)
	}
	for key := range m.live {
		m.remove(key, below)
	}
	compareWhole(t, l, m, fmt.Sprint("archived, and trimmed below ", below))
}

// compareWhole reads all of the log in all ways.
func compareWhole(t *testing.T, l *Log, m *logModel, when string) {
	t.Helper()
	var live []Entry
	if err := l.EachLive(t.Context(), func(e Entry) { live = append(live, e) }); err != nil || show(live) != show(m.entries()) {
		t.Errorf("%s: the live stream has %s, %v; want %s", when, show(live), err, show(m.entries()))
	}
	want := map[string]uint64{}
	for key, list := range m.live {
		if len(list) > 0 {
			want[key] = uint64(len(list))
		}
		got, err := l.History(t.Context(), key)
		whole := m.live[key]
		if when != "before the archive" {
			whole = m.all[key]
		}
		if err != nil || show(got) != show(whole) {
			t.Errorf("%s: the history of %s is %s, %v; want %s", when, key, show(got), err, show(whole))
		}
	}
	if got, err := l.Keys(t.Context()); err != nil || !maps.Equal(got, want) {
		t.Errorf("%s: keys %v, %v; want %v", when, got, err, want)
	}
	if head, err := l.Head(t.Context()); err != nil || head != m.last {
		t.Errorf("%s: it ends at %d, %v; want %d", when, head, err, m.last)
	}
	next, found, err := l.Next(t.Context(), 1)
	if list := m.entries(); err != nil || found != (len(list) > 0) || found && next.Seq != list[0].Seq {
		t.Errorf("%s: it begins at %d, %v, %v", when, next.Seq, found, err)
	}
	if found && time.Since(next.Time).Abs() > time.Hour {
		t.Errorf("%s: an entry of %v", when, next.Time)
	}
}
