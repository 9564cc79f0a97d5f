package embed

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"rtpjet/embed/internal/names"
)

// startArchive archives until the test or the returned function ends it.
func startArchive(t testing.TB, l *Log) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- l.Archive(ctx) }()
	ended := false
	stop = func() {
		if !ended {
			ended = true
			cancel()
			if err := <-done; !errors.Is(err, context.Canceled) {
				t.Errorf("archive ended with %v", err)
			}
		}
	}
	t.Cleanup(stop)
	return stop
}

func appendMany(t testing.TB, l *Log, key string, texts ...string) (last uint64) {
	t.Helper()
	for _, s := range texts {
		last = mustAppend(t, l, key, last, s)
	}
	return last
}

func texts(entries []Entry) (out []string) {
	for _, e := range entries {
		out = append(out, string(e.Data))
	}
	return out
}

func history(t testing.TB, l *Log, key string) string {
	t.Helper()
	h, err := l.History(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint(texts(h))
}

// TestRetire: entries leave the live stream only for the archive, and history is the same before and after.
func TestRetire(t *testing.T) {
	t.Parallel()
	l := newLog(t)
	a := appendMany(t, l, "a", "offer", "answer", "delete")
	appendMany(t, l, "b", "other")

	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := l.Retire(ctx, "a", a); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("retired without an archive: %v", err)
	}
	if got := lastOf(t, l, "a"); got != a {
		t.Fatalf("the live stream ends at %d", got)
	}
	if got := history(t, l, "a"); got != "[offer answer delete]" {
		t.Errorf("history while live: %s", got)
	}

	startArchive(t, l)
	if err := l.Retire(t.Context(), "a", a); err != nil {
		t.Fatal(err)
	}
	if pos, err := l.Archived(t.Context()); err != nil || pos < a {
		t.Errorf("archived up to %d, %v", pos, err)
	}
	if got := lastOf(t, l, "a"); got != 0 {
		t.Errorf("the live stream still ends at %d", got)
	}
	if got := history(t, l, "a"); got != "[offer answer delete]" {
		t.Errorf("history from the archive: %s", got)
	}
	if got := history(t, l, "b"); got != "[other]" {
		t.Errorf("history of another call: %s", got)
	}
	if got := history(t, l, "nobody"); got != "[]" {
		t.Errorf("history of nobody: %s", got)
	}
	mustAppend(t, l, "a", 0, "offer again") // the key is free
	if got := history(t, l, "a"); got != "[offer answer delete offer again]" {
		t.Errorf("history of the second life: %s", got)
	}
}

// TestTrim removes whole calls at once, and waits for the archive like Retire does.
func TestTrim(t *testing.T) {
	t.Parallel()
	l := newLog(t)
	for i := range 10 {
		appendMany(t, l, fmt.Sprint("k", i), "one", "two")
	}
	live := appendMany(t, l, "live", "offer")
	appendMany(t, l, "late", "one", "two")
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := l.Trim(ctx, live); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("trimmed without an archive: %v", err)
	}
	startArchive(t, l)
	if err := l.Trim(t.Context(), live); err != nil {
		t.Fatal(err)
	}
	if err := l.Trim(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	r := startFollow(t, l, 1)
	r.caughtUp(t)
	if got := fmt.Sprint(texts(r.all())); got != "[offer one two]" {
		t.Errorf("what stayed: %s", got)
	}
	if got := history(t, l, "k3"); got != "[one two]" {
		t.Errorf("history of a trimmed call: %s", got)
	}
	mustAppend(t, l, "live", live, "answer")
}

// TestArchiveFromFollower: what a follower of the same log gets is archived without being read again, and so is what it
// had before the archiver began, or what only another follower gets.
func TestArchiveFromFollower(t *testing.T) {
	t.Parallel()
	l := newLog(t)
	var last uint64
	for i := range 50 {
		last = appendMany(t, l, fmt.Sprint("before", i), "1", "2")
	}
	r := startFollow(t, l, 1)
	r.caughtUp(t)
	startArchive(t, l)
	half := startFollow(t, l, last+1)
	half.caughtUp(t)
	for i := range 50 {
		last = appendMany(t, l, fmt.Sprint("after", i), "1", "2")
	}
	r.until(t, 200) // before what is retired is gone
	if err := l.Retire(t.Context(), "after49", last); err != nil {
		t.Fatal(err)
	}
	for i := range 50 {
		for _, when := range []string{"before", "after"} {
			if got := history(t, l, fmt.Sprint(when, i)); got != "[1 2]" {
				t.Errorf("history of %s%d: %s", when, i, got)
			}
		}
	}
	l.pos.mu.Lock()
	defer l.pos.mu.Unlock()
	if l.pos.seq != last {
		t.Errorf("archived up to %d, want %d", l.pos.seq, last)
	}
}

// TestRetireRevived: a call that came back to life after its end loses the first life only.
func TestRetireRevived(t *testing.T) {
	t.Parallel()
	l := newLog(t)
	end := appendMany(t, l, "a", "offer", "delete")
	second := mustAppend(t, l, "a", end, "offer 2")
	startArchive(t, l)
	if err := l.Retire(t.Context(), "a", end); err != nil {
		t.Fatal(err)
	}
	got, last, err := l.Since(t.Context(), "a", 0)
	if err != nil || fmt.Sprint(texts(got)) != "[offer 2]" || last != second {
		t.Errorf("%s up to %d, %v", show(got), last, err)
	}
	if got := history(t, l, "a"); got != "[offer delete offer 2]" {
		t.Errorf("history: %s", got)
	}
}

// TestArchiveGoesOn: another archiver takes up where the last one stopped, whether that finished its round or not.
func TestArchiveGoesOn(t *testing.T) {
	t.Parallel()
	l := newLog(t)
	stop := startArchive(t, l)
	for i := range 20 {
		appendMany(t, l, fmt.Sprint("k", i), "one", "two")
	}
	end := appendMany(t, l, "x", "one", "two", "three")
	if err := l.Retire(t.Context(), "x", end); err != nil {
		t.Fatal(err)
	}
	stop()
	pos, err := l.Archived(t.Context()) // from the stream now
	if err != nil || pos != end {
		t.Fatalf("archived up to %d, %v; want %d", pos, err, end)
	}

	// A round that was cut off before its last message: the next archiver writes it again.
	late := mustAppend(t, l, "k0", lastOf(t, l, "k0"), "three")
	m := &nats.Msg{Subject: names.ArchiveSubject("r", partition("k0"))}
	m.Data = appendArchived([]byte{archiveFormat}, Entry{Seq: late, Key: "k0", Data: []byte("three"), Time: entryTime(t, l, "k0", late)})
	if _, err := l.req.do(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	if pos, err = l.Archived(t.Context()); err != nil || pos != end {
		t.Errorf("a round without an end moved the position to %d, %v", pos, err)
	}
	startArchive(t, l)
	if err := l.Retire(t.Context(), "k0", late); err != nil {
		t.Fatal(err)
	}
	for i := range 20 {
		want := "[one two]"
		if i == 0 {
			want = "[one two three]"
		}
		if got := history(t, l, fmt.Sprint("k", i)); got != want {
			t.Errorf("history of k%d: %s", i, got)
		}
	}
}

func entryTime(t testing.TB, l *Log, key string, seq uint64) time.Time {
	t.Helper()
	got, _, err := l.Since(t.Context(), key, seq-1)
	if err != nil || len(got) == 0 {
		t.Fatalf("no entry %d: %v", seq, err)
	}
	return got[0].Time
}

// TestArchiveLarge: more than a round, and more than a message, at once.
func TestArchiveLarge(t *testing.T) {
	t.Parallel()
	l := newLog(t)
	data := string(make([]byte, 200<<10))
	const n = 60 // 12 MB, all of one key
	var last uint64
	for range n {
		last = mustAppend(t, l, "big", last, data)
	}
	startArchive(t, l)
	if err := l.Retire(t.Context(), "big", last); err != nil {
		t.Fatal(err)
	}
	h, err := l.History(t.Context(), "big")
	if err != nil || len(h) != n {
		t.Fatalf("%d entries of %d, %v", len(h), n, err)
	}
	for i, e := range h {
		if e.Seq != uint64(i+1) || len(e.Data) != len(data) {
			t.Fatalf("entry %d: sequence %d, %d bytes", i, e.Seq, len(e.Data))
		}
	}
}

// TestArchiveStreamReplaced: a live stream that begins anew is archived from its beginning, although the archive is
// further, and the two lives of a key that had the same sequences are both there.
func TestArchiveStreamReplaced(t *testing.T) {
	t.Parallel()
	nc := connect(t, startServer(t, t.TempDir(), ""))
	l := openLog(t, nc)
	stop := startArchive(t, l)
	end := appendMany(t, l, "a", "one", "two", "three")
	if err := l.Retire(t.Context(), "a", end); err != nil {
		t.Fatal(err)
	}
	stop()
	if err := l.js.DeleteStream(t.Context(), names.Calls("r")); err != nil {
		t.Fatal(err)
	}
	l2 := openLog(t, nc)
	startArchive(t, l2)
	end = appendMany(t, l2, "a", "uno", "due")
	if err := l2.Retire(t.Context(), "a", end); err != nil {
		t.Fatal(err)
	}
	if got := history(t, l2, "a"); got != "[one two three uno due]" {
		t.Errorf("history: %s", got)
	}
}

func TestEachArchivedMalformed(t *testing.T) {
	whole := appendArchived([]byte{archiveFormat}, Entry{Seq: 300, Key: "key", Data: []byte("data"), Time: time.Now()})
	for n := range whole {
		err := eachArchived(whole[:n], func(Entry) {})
		if n != 1 && !errors.Is(err, errArchiveMessage) { // the first byte alone is a message without entries
			t.Errorf("%d bytes of %d: %v", n, len(whole), err)
		}
	}
}

func FuzzEachArchived(f *testing.F) {
	f.Add(appendArchived([]byte{archiveFormat}, Entry{Seq: 300, Key: "key", Data: []byte("data"), Time: time.Now()}))
	f.Fuzz(func(_ *testing.T, b []byte) { _ = eachArchived(b, func(Entry) {}) })
}

// TestSourcing keeps what archive.go says about streams that source another: it is why the archive is not one.
func TestSourcing(t *testing.T) {
	t.Parallel()
	nc := connect(t, startServer(t, t.TempDir(), ""))
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	create := func(sc jetstream.StreamConfig) jetstream.Stream {
		t.Helper()
		s, err := js.CreateStream(ctx, sc)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	source := create(jetstream.StreamConfig{Name: "SOURCE", Subjects: []string{"s.>"}, AllowRollup: true, AllowMsgTTL: true})
	put := func(subject, text string, header ...string) {
		t.Helper()
		m := nats.NewMsg(subject)
		m.Data = []byte(text)
		for i := 0; i < len(header); i += 2 {
			m.Header.Set(header[i], header[i+1])
		}
		if _, err := js.PublishMsg(ctx, m); err != nil {
			t.Fatal(err)
		}
	}
	texts := func(s jetstream.Stream) string {
		t.Helper()
		info, err := s.Info(ctx)
		if err != nil {
			t.Fatal(err)
		}
		var out []string
		for seq := info.State.FirstSeq; seq <= info.State.LastSeq && info.State.Msgs > 0; seq++ {
			if m, err := s.GetMsg(ctx, seq); err == nil {
				out = append(out, string(m.Data))
			}
		}
		return fmt.Sprint(out)
	}
	// until waits for a state that the server reaches by itself.
	until := func(s jetstream.Stream, want string) {
		t.Helper()
		var got string
		for end := time.Now().Add(20 * time.Second); time.Now().Before(end); {
			if got = texts(s); got == want {
				return
			}
		}
		t.Fatalf("%s has %s, want %s", s.CachedInfo().Config.Name, got, want)
	}

	// What is purged before it is copied is lost.
	put("s.a", "lost")
	put("s.b", "kept")
	if err := source.Purge(ctx, jetstream.WithPurgeSubject("s.a")); err != nil {
		t.Fatal(err)
	}
	from := []*jetstream.StreamSource{{Name: "SOURCE"}}
	plain := create(jetstream.StreamConfig{Name: "PLAIN", Sources: from})
	obedient := create(jetstream.StreamConfig{Name: "OBEDIENT", Sources: from, AllowRollup: true, AllowMsgTTL: true})
	until(plain, "[kept]")
	until(obedient, "[kept]")

	// A purge of the source is not copied.
	if err := source.Purge(ctx, jetstream.WithPurgeSubject("s.b")); err != nil {
		t.Fatal(err)
	}
	put("s.c", "1")
	put("s.c", "2")
	until(plain, "[kept 1 2]")
	until(obedient, "[kept 1 2]")

	// A roll-up is copied; it is obeyed where that is allowed. So is a TTL.
	put("s.c", "end", "Nats-Rollup", "sub", "Nats-TTL", "1s")
	until(plain, "[kept 1 2 end]")
	until(source, "[]")
	until(obedient, "[kept]")
	if got := texts(plain); got != "[kept 1 2 end]" {
		t.Errorf("after the TTL the stream without TTLs has %s", got)
	}
}

// TestHistoryByIndex: the index leads to the entries of a call, and what it does not know is found all the same.
func TestHistoryByIndex(t *testing.T) {
	t.Parallel()
	l := newLog(t)
	keys := fillArchive(t, l, 9000, 100)
	want := func(what string) {
		t.Helper()
		for _, key := range []string{keys[0], keys[len(keys)/2], keys[len(keys)-1]} {
			if found, err := l.History(t.Context(), key); err != nil || len(found) != 3 {
				t.Errorf("%s: %d entries: %v", what, len(found), err)
			}
		}
		if found, err := l.History(t.Context(), "nobody"); err != nil || len(found) != 0 {
			t.Errorf("%s: %d entries of nobody: %v", what, len(found), err)
		}
	}
	known := func() found {
		t.Helper()
		s, err := l.js.Stream(t.Context(), names.Archive(l.cfg.Region))
		if err != nil {
			t.Fatal(err)
		}
		st := s.CachedInfo().State
		f, err := l.lookUp(t.Context(), keys[0], st.FirstSeq, st.LastSeq)
		for range archivedTries { // as a reader of a history does
			if !errors.Is(err, jetstream.ErrNoHeartbeat) {
				break
			}
			f, err = l.lookUp(t.Context(), keys[0], st.FirstSeq, st.LastSeq)
		}
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	want("all indexed")
	if f := known(); len(f.gaps) != 0 || len(f.seqs) != 3 {
		t.Errorf("the index names the messages %d, and does not know %d", f.seqs, f.gaps)
	}
	index, err := l.js.Stream(t.Context(), names.Index(l.cfg.Region))
	if err != nil {
		t.Fatal(err)
	}
	st := index.CachedInfo().State
	for _, seq := range []uint64{st.FirstSeq, st.FirstSeq + 20, st.LastSeq} {
		if err := index.DeleteMsg(t.Context(), seq); err != nil {
			t.Fatal(err)
		}
	}
	if f := known(); len(f.gaps) != 3 {
		t.Errorf("without the index of three rounds, it does not know %d", f.gaps)
	}
	want("three rounds not indexed")
	if _, err := l.js.Publish(t.Context(), names.IndexSubject(l.cfg.Region), []byte("rubbish")); err != nil {
		t.Fatal(err)
	}
	want("an index that cannot be read")
	if err := l.js.DeleteStream(t.Context(), names.Index(l.cfg.Region)); err != nil {
		t.Fatal(err)
	}
	want("no index")
}

func FuzzIndexMessage(f *testing.F) {
	b, _ := appendIndex([]byte{indexFormat}, 300, appendArchived([]byte{archiveFormat}, Entry{Seq: 1, Key: "a", Data: []byte("x")}))
	f.Add(b)
	f.Add([]byte{indexFormat, 1, 200, 1})
	f.Fuzz(func(t *testing.T, data []byte) {
		_ = eachIndexed(data, indexHash("a"), func(uint64, bool) {})
	})
}
