package embed

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"rtpjet/embed/internal/names"
)

// home answers questions about the streams of a region as that does, and says what a test wants it to.
type home struct {
	mu      sync.Mutex
	created time.Time
	last    []uint64 // one for each question, the last one again and again
	fault   *apiFault
}

func startHome(t *testing.T, nc *nats.Conn, region string) *home {
	t.Helper()
	h := &home{created: time.Unix(1_700_000_000, 0), last: []uint64{0}}
	sub, err := nc.Subscribe("$JS."+region+".API.STREAM.INFO.*", func(m *nats.Msg) {
		h.mu.Lock()
		defer h.mu.Unlock()
		answer := map[string]any{"created": h.created, "state": map[string]any{"last_seq": h.last[0]}}
		if h.fault != nil {
			answer = map[string]any{"error": map[string]any{"code": h.fault.Code, "err_code": h.fault.ErrCode, "description": h.fault.Description}}
		}
		if len(h.last) > 1 {
			h.last = h.last[1:]
		}
		b, err := json.Marshal(answer)
		if err != nil {
			t.Error(err)
		}
		_ = m.Respond(b)
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = sub.Unsubscribe() })
	return h
}

func (h *home) set(f func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	f()
}

// openMirror opens the mirrors of region us in region eu. Nobody fills them.
func openMirror(t *testing.T, nc *nats.Conn) *Log {
	t.Helper()
	m, err := OpenMirror(t.Context(), nc, Config{Region: "us", Here: "eu", Replicas: 1, Logger: testLogger(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Close)
	return m
}

// TestMirrorHome: what a region says of its streams, and whether a mirror has a copy of those. Package embed/server has the same with
// regions that lose their stores.
func TestMirrorHome(t *testing.T) {
	t.Parallel()
	nc := connect(t, startServer(t, t.TempDir(), ""))
	h := startHome(t, nc, "us")
	m := openMirror(t, nc)
	ask := func() string {
		t.Helper()
		why, err := m.MirrorReplaced(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return why
	}
	marked := func() string {
		t.Helper()
		s, err := m.js.Stream(t.Context(), names.Index("us"))
		if err != nil {
			t.Fatal(err)
		}
		return s.CachedInfo().Config.Metadata[metaHome]
	}
	if got := marked(); got != "" {
		t.Errorf("marked with %s before anybody was asked", got)
	}
	if why := ask(); why != "" {
		t.Errorf("the first time: %s", why)
	}
	if got := marked(); got != "1700000000000000000" {
		t.Errorf("marked with %s", got)
	}
	if s, err := m.js.Stream(t.Context(), names.Calls("us")); err != nil || s.CachedInfo().Config.Metadata[metaFormat] == "" {
		t.Errorf("the mark takes the place of other metadata: %v", err)
	}
	h.set(func() { h.last = []uint64{712} })
	if why := ask(); why != "" {
		t.Errorf("the same, with more in it: %s", why)
	}
	openMirror(t, nc)
	if got := marked(); got != "1700000000000000000" {
		t.Errorf("opened again, it is marked with %q", got)
	}
	h.set(func() { h.created = h.created.Add(time.Hour) })
	if why := ask(); why != "the stream CALLS_us was created anew at "+time.Unix(1_700_003_600, 0).UTC().Format(time.RFC3339) {
		t.Errorf("another stream: %q", why)
	}
	h.set(func() {
		h.fault = &apiFault{Code: 404, ErrCode: codeStreamNotFound, Description: "stream not found"}
	})
	if _, err := m.MirrorReplaced(t.Context()); !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), "ask region us for CALLS_us") {
		t.Errorf("a stream that is being made: %v", err)
	}
	h.set(func() { h.fault = &apiFault{Code: 400, ErrCode: 10003, Description: "bad request"} })
	if _, err := m.MirrorReplaced(t.Context()); err == nil || errors.Is(err, ErrUnavailable) {
		t.Errorf("a fault: %v", err)
	}
	h.set(func() { h.fault = nil })
	if err := m.ResetMirror(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := marked(); got != "" {
		t.Errorf("made anew, it is marked with %s", got)
	}
	if why := ask(); why != "" {
		t.Errorf("after the reset: %s", why)
	}
}

// TestMirrorAway: a region that nobody leads to.
func TestMirrorAway(t *testing.T) {
	t.Parallel()
	nc := connect(t, startServer(t, t.TempDir(), ""))
	m := openMirror(t, nc)
	if _, err := m.MirrorReplaced(t.Context()); !errors.Is(err, ErrUnavailable) {
		t.Errorf("is it replaced: %v", err)
	}
	if _, err := m.HomeKeys(t.Context()); !errors.Is(err, ErrUnavailable) {
		t.Errorf("its keys: %v", err)
	}
	if st, err := m.MirrorState(t.Context()); err != nil || st != (MirrorState{}) {
		t.Errorf("the mirror itself: %+v, %v", st, err)
	}
	if keys, err := m.Keys(t.Context()); err != nil || len(keys) != 0 {
		t.Errorf("the mirror's keys: %v, %v", keys, err)
	}
	own := openLog(t, nc)
	if err := own.ResetMirror(t.Context()); err == nil || err.Error() != "region r is at home here, and no mirror" {
		t.Errorf("a reset of one's own region: %v", err)
	}
	if _, err := OpenMirror(t.Context(), nc, Config{Region: "us", Here: "a.b"}); err == nil || !strings.Contains(err.Error(), `the region "a.b"`) {
		t.Errorf("mirrored in a region that cannot be: %v", err)
	}
}

// TestMirrorConfigs: a mirror has the limits of the stream at home, takes what its feed sends, and loses the oldest for want of room:
// it is a copy.
func TestMirrorConfigs(t *testing.T) {
	home := Config{Region: "us", Here: "eu", MaxBytes: 1 << 30, ArchiveMaxBytes: 1 << 34, ArchiveAge: time.Hour}
	list := mirrorConfigs(home)
	if len(list) != len(names.Mirrored("us")) {
		t.Fatalf("%d mirrors", len(list))
	}
	for i, sc := range list {
		if sc.Name != names.Mirrored("us")[i] || sc.Mirror.Name != sc.Name || len(sc.Subjects) != 0 || sc.AllowAtomicPublish {
			t.Errorf("%+v", sc)
		}
		if got := fmt.Sprintf("%s %v", sc.Mirror.External.APIPrefix, sc.Mirror.SubjectTransforms); got != "rtpjet.feed.us.eu [{rtpjet.feed.us.eu.*.> >}]" {
			t.Errorf("%s is filled from %s", sc.Name, got)
		}
		if sc.Discard != archiveConfig(home).Discard || sc.MaxBytes <= 0 {
			t.Errorf("%s: %v, %d bytes", sc.Name, sc.Discard, sc.MaxBytes)
		}
	}
}
