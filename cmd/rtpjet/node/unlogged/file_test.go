package unlogged

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"rtpjet/events"
	"rtpjet/projection/replica"
)

// fileText is a file with two events of one call and one of another.
func fileText(t testing.TB) string {
	t.Helper()
	var out strings.Builder
	for i, id := range []string{"one", "other", "one"} {
		data, err := events.Encode(events.Envelope{
			Call: id, Gen: 1, Node: "n1", At: int64(i), Event: events.Ended{Reason: events.ReasonTimeout},
		})
		if err != nil {
			t.Fatal(err)
		}
		line, err := json.Marshal(line{Key: events.Key(id), Data: data})
		if err != nil {
			t.Fatal(err)
		}
		out.Write(append(line, '\n'))
	}
	return out.String()
}

func count(left map[string][]replica.Event) string {
	return fmt.Sprint(len(left[events.Key("one")]), len(left[events.Key("other")]))
}

func TestParse(t *testing.T) {
	text := fileText(t)
	done := fmt.Sprintf(`{"key":%q,"done":1}`+"\n", events.Key("one"))
	for name, c := range map[string]struct {
		text string
		tail int // bytes that cannot be read
		want string
	}{
		"empty":           {"", 0, "0 0"},
		"whole":           {text, 0, "2 1"},
		"done":            {text + done, 0, "1 1"},
		"all done":        {text + done + done + done, 0, "0 1"},
		"torn":            {text[:len(text)-5], len(text[strings.LastIndex(text, "{"):]) - 5, "1 1"},
		"no line end":     {text + done[:len(done)-1], len(done) - 1, "2 1"},
		"zeros":           {text + "\x00\x00\x00", 3, "2 1"},
		"noise within":    {text + "noise\n" + done, 6 + len(done), "2 1"},
		"another's event": {strings.Replace(text, events.Key("one"), "0", 1), len(strings.Replace(text, events.Key("one"), "0", 1)), "0 0"},
	} {
		left, good := parse([]byte(c.text))
		if got := count(left); got != c.want || len(c.text)-good != c.tail {
			t.Errorf("%s: %s events, a tail of %d bytes, want %s and %d", name, got, len(c.text)-good, c.want, c.tail)
		}
	}
}

// The file is read after any damage, what was readable is kept, and what was not is moved aside.
func TestFileDamaged(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, fileName)
	text := fileText(t)
	if err := os.WriteFile(file, []byte(text+"torn"), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 { // as good as new afterwards
		u, left, err := openFile(dir, slog.New(slog.DiscardHandler))
		if err != nil || count(left) != "2 1" {
			t.Fatalf("%s, %v", count(left), err)
		}
		u.close()
	}
	aside, err := filepath.Glob(file + ".unreadable-*")
	if err != nil || len(aside) != 1 {
		t.Fatalf("moved aside: %q, %v", aside, err)
	}
	if b, err := os.ReadFile(aside[0]); err != nil || string(b) != "torn" {
		t.Errorf("moved aside: %q, %v", b, err)
	}
	u, _, err := openFile(dir, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	u.done(events.Key("one"), 2)
	u.close()
	u, left, err := openFile(dir, slog.New(slog.DiscardHandler))
	if err != nil || count(left) != "0 1" {
		t.Errorf("%s, %v", count(left), err)
	}
	u.empty()
	u.close()
	if st, err := os.Stat(file); err != nil || st.Size() != 0 {
		t.Errorf("%v, %v", st, err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(fileText(f)))
	f.Fuzz(func(t *testing.T, data []byte) {
		left, good := parse(data)
		if good < 0 || good > len(data) {
			t.Fatalf("%d of %d bytes", good, len(data))
		}
		again, all := parse(data[:good])
		if all != good || len(again) != len(left) {
			t.Errorf("what can be read cannot be read again: %d of %d", all, good)
		}
	})
}
