package server

import (
	"bytes"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"rtpjet/embed"
	"rtpjet/embed/internal/names"
	"rtpjet/tests/lab"
)

// TestFeedKeeps: an entry in a mirror is what it is at home, the largest one as well.
func TestFeedKeeps(t *testing.T) {
	t.Parallel()
	r := startRegions(t, 1, "eu", "us")
	home, m := r.logs["us"], openMirror(t, r.servers["eu"][0], "us")
	stream := func(l *testLog) jetstream.Stream {
		t.Helper()
		s, err := l.js.Stream(t.Context(), l.calls)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	// A header that is the writer's stays, and what NATS checks at home only does not.
	if _, err := home.js.PublishMsg(t.Context(), natsMsg(names.CallSubject("us", "k"), "with a header", "Two", "b", "Two", "c", "one", "a")); err != nil {
		t.Fatal(err)
	}
	mustAppend(t, home, "k", 1, "")
	largest := strings.Repeat("x", embed.MaxEntry-100) // and its header
	last := mustAppend(t, home, "k", 2, largest)
	if err := home.Purge(t.Context(), "nothing", 1); err != nil {
		t.Fatal(err)
	}
	for range feedBatch + 1 { // more than one answer has
		last = mustAppend(t, home, fmt.Sprint("k", last), 0, "x")
	}
	has(t, m, fmt.Sprint("k", last-1), last)
	there, here := stream(home), stream(m)
	for seq := uint64(1); seq <= last; seq++ {
		a, err := there.GetMsg(t.Context(), seq)
		if err != nil {
			t.Fatal(err)
		}
		b, err := here.GetMsg(t.Context(), seq)
		if err != nil {
			t.Fatal(err)
		}
		a.Header.Del(jetstream.ExpectedLastSubjSeqHeader)
		if a.Subject != b.Subject || !a.Time.Equal(b.Time) || !bytes.Equal(a.Data, b.Data) || fmt.Sprint(a.Header) != fmt.Sprint(b.Header) {
			t.Fatalf("%d: %s %v %v, %d bytes became %s %v %v, %d bytes", seq, a.Subject, a.Time, a.Header, len(a.Data), b.Subject, b.Time, b.Header, len(b.Data))
		}
	}
}

// TestFeedHole: the stream at home begins with a high sequence, as after years. A new mirror does not count up to it.
func TestFeedHole(t *testing.T) {
	lab.Only(t, "waits for the times of the server")
	t.Parallel()
	for _, n := range []int{1, 3} {
		t.Run(fmt.Sprint(n, " servers"), func(t *testing.T) {
			const first = 50_000_000
			r := startRegions(t, n, "eu", "us")
			home := r.logs["us"]
			sc := home.info(t, home.calls).Config
			if err := home.js.DeleteStream(t.Context(), home.calls); err != nil {
				t.Fatal(err)
			}
			sc.FirstSeq = first
			if _, err := home.js.CreateStream(t.Context(), sc); err != nil {
				t.Fatal(err)
			}
			if seq := appendTo(t, home, "k", 0, "x"); seq != first {
				t.Fatalf("it begins with %d", seq)
			}
			m := openMirror(t, r.servers["eu"][0], "us")
			has(t, m, "k", first)
			seq := appendTo(t, home, "k", first, "y")
			has(t, m, "k", seq)
			if st := mirrorState(t, m); st.First != first || st.Last != first+1 || st.Messages != 2 {
				t.Errorf("%+v", st)
			}
		})
	}
}

// TestFeedAfterUpgrade: mirrors of a release before there were feeds are made anew.
func TestFeedAfterUpgrade(t *testing.T) {
	lab.Only(t, "waits for the times of the server")
	t.Parallel()
	r := startRegions(t, 1, "eu", "us")
	seq := mustAppend(t, r.logs["us"], "k", 0, "x")
	js, err := jetstream.New(connectRegion(t, r.servers["eu"][0], "us"))
	if err != nil {
		t.Fatal(err)
	}
	sc := r.logs["us"].info(t, names.Calls("us")).Config
	sc.Subjects, sc.AllowAtomicPublish, sc.Duplicates = nil, false, 0
	sc.Mirror = &jetstream.StreamSource{Name: sc.Name, Domain: "us"}
	if _, err := js.CreateStream(t.Context(), sc); err != nil {
		t.Fatal(err)
	}
	for range 2 { // and once only
		m := openMirror(t, r.servers["eu"][0], "us")
		has(t, m, "k", seq)
		created := m.info(t, m.calls).Created
		if again := openMirror(t, r.servers["eu"][0], "us").info(t, m.calls).Created; !again.Equal(created) {
			t.Errorf("made anew at %v, it was there since %v", again, created)
		}
	}
	eventually(t, "NATS has given up the consumer of the old mirror", func() bool {
		stacks := make([]byte, 1<<20)
		return !bytes.Contains(stacks[:runtime.Stack(stacks, true)], []byte("tryDeleteSourcingConsumer"))
	})
}

// TestRawHeader: what a feed writes is what the client library reads.
func TestRawHeader(t *testing.T) {
	m := natsMsg("s", "", "Two", "b", "Two", "c", "one", "a:b")
	if got, want := string(rawHeader(m.Header)), "NATS/1.0\r\nTwo: b\r\nTwo: c\r\none: a:b\r\n\r\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if got := rawHeader(nil); got != nil {
		t.Errorf("%q for nothing", got)
	}
}

// natsMsg is a message with a header of names and values.
func natsMsg(subject, data string, header ...string) *nats.Msg {
	m := &nats.Msg{Subject: subject, Header: nats.Header{}, Data: []byte(data)}
	for i := 0; i < len(header); i += 2 {
		m.Header[header[i]] = append(m.Header[header[i]], header[i+1])
	}
	return m
}
