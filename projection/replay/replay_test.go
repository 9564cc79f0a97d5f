package replay_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"rtpjet/events"
	"rtpjet/projection/history"
	"rtpjet/projection/history/historytest"
	"rtpjet/projection/replay"
)

var keys = func() (out []string) {
	for i := range 4 {
		out = append(out, base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{byte(0xa0 + i), 0xff, 0x3f}, 10)))
	}
	return out
}()

// plain is a call with forks, a hold, another address, a takeover, blocks and a delete.
func plain() *historytest.Story {
	s := historytest.New()
	s.Do("offer", "from-tag", "a", "sdp", historytest.SDP("198.51.100.1", 4000), "direction", []string{"priv", "pub"}, "replace", []string{"origin", "sdp-version"})
	s.Do("answer", "from-tag", "a", "to-tag", "b", "sdp", historytest.SDP("198.51.100.2", 6000, "a=rtcp-mux"), "replace", []string{"origin", "sdp-version"})
	s.Learn(0, 0, "203.0.113.9:4711")
	s.Do("offer", "from-tag", "b", "to-tag", "a", "sdp", historytest.SDP("198.51.100.7", 6100, "a=sendonly"), "flags", []string{"loop-protect"}, "replace", []string{"origin", "sdp-version"})
	s.Do("answer", "from-tag", "b", "to-tag", "a", "sdp", historytest.SDP("198.51.100.1", 4000, "a=recvonly"), "replace", []string{"origin", "sdp-version"})
	s.TakeOver("n2", "owner gone")
	s.Do("offer", "from-tag", "a", "to-tag", "b", "sdp", historytest.SDP("198.51.100.1", 4000), "received-from", []string{"IP4", "203.0.113.9"})
	s.Do("block media", "from-tag", "a")
	s.Do("delete", "from-tag", "a", "delete-delay", 12)
	s.Do("delete", "from-tag", "a")
	s.Do("delete", "from-tag", "a", "delete-delay", 0)
	s.Do("offer", "from-tag", "c", "sdp", historytest.SDP("198.51.100.3", 4000), "address-family", "IP6")
	return s
}

// secure is a call with keys: ours on the way out, its own again in a re-offer.
func secure() *historytest.Story {
	s := historytest.New()
	s.Do("offer", "from-tag", "a", "sdp", historytest.SecureSDP("198.51.100.1", 4000, keys[0]), "replace", []string{"sdp-version"})
	s.Do("answer", "from-tag", "a", "to-tag", "b", "sdp", historytest.SecureSDP("198.51.100.2", 6000, keys[1]), "replace", []string{"sdp-version"})
	s.Note(events.RolledOver{Party: 0, SSRC: 7, Seq: 1, Key: s.Call.Parties[0].Medias[0].Keys().In.Digest()})
	for range 2 { // the same SDP: its version must not grow
		s.Do("offer", "from-tag", "a", "to-tag", "b", "sdp", historytest.SecureSDP("198.51.100.1", 4000, keys[0]), "replace", []string{"sdp-version"})
		s.Do("answer", "from-tag", "a", "to-tag", "b", "sdp", historytest.SecureSDP("198.51.100.2", 6000, keys[1]), "replace", []string{"sdp-version"})
	}
	s.TakeOver("n2", "owner gone")
	s.Do("offer", "from-tag", "b", "to-tag", "a", "sdp", historytest.SDP("198.51.100.2", 6000), "transport-protocol", "RTP/SAVP")
	s.Do("answer", "from-tag", "b", "to-tag", "a", "sdp", historytest.SecureSDP("198.51.100.1", 4000, keys[2]))
	return s
}

func same(t *testing.T, what string, entries []history.Entry) {
	t.Helper()
	r := replay.Rerun("call", entries)
	for _, o := range r.Steps {
		t.Errorf("%s: event %d, %s: %s\ndecision %v\nreply %s\nSDP\n%s", what, o.Seq, o.Command, o.Error, o.Decision,
			strings.Join(o.Reply, "\n"), strings.Join(o.SDP, "\n"))
	}
	if r.Rerun < 5 {
		t.Errorf("%s: only %d of %d events were run again", what, r.Rerun, r.Events)
	}
}

func records(t *testing.T, entries []history.Entry, sealer *events.Sealer) []replay.Record {
	t.Helper()
	var out []replay.Record
	for _, e := range entries {
		data, err := events.Encode(sealer.Seal(e.Envelope))
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, replay.Record{Seq: e.Seq, Stored: e.Stored, Data: data})
	}
	return out
}

func sealer(t *testing.T) *events.Sealer {
	t.Helper()
	s, err := events.NewSealer([]byte("a cluster key"))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestRerun(t *testing.T) {
	for name, s := range map[string]*historytest.Story{"plain": plain(), "secure": secure()} {
		entries := s.History()
		same(t, name, entries)
		same(t, name+", sealed", replay.Entries(records(t, entries, sealer(t))))
		for _, log := range []*events.Sealer{nil, sealer(t)} {
			b, err := replay.Export("call", records(t, entries, log), replay.Options{})
			if err != nil {
				t.Fatal(err)
			}
			text := b.Append(nil)
			for _, k := range keys {
				if raw, _ := base64.StdEncoding.DecodeString(k); bytes.Contains(text, []byte(strings.TrimRight(k, "="))) || bytes.Contains(text, raw) {
					t.Errorf("%s: a key is in the bundle", name)
				}
			}
			back, err := replay.Parse(text)
			if err != nil {
				t.Fatal(err)
			}
			same(t, name+", exported", back.Entries())
		}
	}
}

// TestRerunFinds changes what the log says, as another build would have decided otherwise.
func TestRerunFinds(t *testing.T) {
	entries := plain().History()
	find := func(what string, change func(*history.Entry)) {
		t.Helper()
		list := make([]history.Entry, len(entries))
		copy(list, entries)
		change(&list[1])
		r := replay.Rerun("call", list)
		if len(r.Steps) == 0 || r.Steps[0].Seq != list[1].Seq {
			t.Errorf("%s: not found: %+v", what, r.Steps)
			return
		}
		if d := fmt.Sprint(r.Steps[0]); !strings.Contains(d, what) {
			t.Errorf("%s: found as %s", what, d)
		}
	}
	find("session-of-then", func(e *history.Entry) {
		c := *e.Cause
		c.Reply = bytes.Replace(c.Reply, []byte("s=-"), []byte("s=session-of-then"), 1)
		e.Cause = &c
	})
	find("warning", func(e *history.Entry) {
		c := *e.Cause
		c.Reply = bytes.Replace(c.Reply, []byte(`{"`), []byte(`{"warning":"then","`), 1)
		e.Cause = &c
	})
	find("direction", func(e *history.Entry) {
		a := e.Event.(events.Answered)
		a.Parties = append([]events.Party{}, a.Parties...)
		for i := range a.Parties {
			a.Parties[i].Medias = append([]events.Media{}, a.Parties[i].Medias...)
			a.Parties[i].Medias[0].Direction = events.Inactive
		}
		e.Event = a
	})
	find("refuses", func(e *history.Entry) {
		c := *e.Cause
		c.Request = bytes.Replace(c.Request, []byte("m=audio"), []byte("x=audio"), 1)
		e.Cause = &c
	})
}

func TestBundle(t *testing.T) {
	b, err := replay.Export("caf\xe9 \"1\"\n", records(t, secure().History(), sealer(t)), replay.Options{Sealed: true, By: "rtpjet test", Exported: "today"})
	if err != nil {
		t.Fatal(err)
	}
	b.Records = append(b.Records, replay.Record{Seq: 9999, Stored: 5, Lost: "of a kind that nobody knows"})
	text := b.Append(nil)
	back, err := replay.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(b, back) {
		t.Errorf("read back:\n%+v\nwas\n%+v", back, b)
	}
	if crlf, err := replay.Parse(bytes.ReplaceAll(text, []byte("\n"), []byte("\r\n"))); err != nil || !reflect.DeepEqual(crlf, b) {
		t.Errorf("with the line ends of another system: %v", err)
	}
	lines := strings.SplitAfter(strings.TrimSuffix(string(text), "\n"), "\n")
	for i := range lines {
		broken := append(append([]string{}, lines[:i]...), strings.Replace(lines[i], " ", "  ", 1))
		broken = append(broken, lines[i+1:]...)
		damage(t, fmt.Sprintf("line %d changed", i+1), strings.Join(broken, ""), i+1, b)
		missing := append(append([]string{}, lines[:i]...), lines[i+1:]...)
		damage(t, fmt.Sprintf("line %d missing", i+1), strings.Join(missing, ""), i+1, b)
		damage(t, fmt.Sprintf("cut before line %d", i+1), strings.Join(lines[:i], ""), i+1, b)
	}
	newer := strings.Replace(string(text), "rtpjet-bundle 1", "rtpjet-bundle 2", 1)
	if _, err := replay.Parse([]byte(newer)); !errors.Is(err, replay.ErrDamaged) && !errors.Is(err, replay.ErrNewer) {
		t.Errorf("a newer version: %v", err)
	}
	if _, err := replay.Parse([]byte("INVITE sip:bob@example.org SIP/2.0\r\n")); !errors.Is(err, replay.ErrNoBundle) {
		t.Errorf("something else: %v", err)
	}
}

// damage checks that a broken bundle says where, and gives what precedes the place.
func damage(t *testing.T, what, text string, line int, whole *replay.Bundle) {
	t.Helper()
	got, err := replay.Parse([]byte(text))
	var d *replay.DamageError
	if !errors.As(err, &d) || d.Line < min(line, 1) || d.Line > line+1 || d.Line != line && line > 1 {
		t.Errorf("%s: %v", what, err)
		return
	}
	n := 0
	if got != nil {
		n = len(got.Records)
	}
	if n > len(whole.Records) || n > 0 && !reflect.DeepEqual(got.Records, whole.Records[:n]) {
		t.Errorf("%s: %d events are given, and they are not those of before", what, n)
	}
	if want := (line - 6) / 3; n < min(want, len(whole.Records))-1 {
		t.Errorf("%s: only %d events of what precedes it are given", what, n)
	}
}

// TestNewerBundle: what can be read of a bundle of a newer version is shown, and it is said that it is one.
func TestNewerBundle(t *testing.T) {
	b, err := replay.Export("call", records(t, plain().History(), nil), replay.Options{})
	if err != nil {
		t.Fatal(err)
	}
	text := b.AppendVersion(nil, 2, 3)
	got, err := replay.Parse(text)
	var d *replay.DamageError
	if !errors.As(err, &d) || !errors.Is(err, replay.ErrNewer) {
		t.Fatal(err)
	}
	if got == nil || len(got.Records) != 3 {
		t.Errorf("of three events before a line of a new kind: %+v", got)
	}
}

// TestExportHides: what cannot be read may have secrets in it.
func TestExportHides(t *testing.T) {
	list := []replay.Record{
		{Seq: 1, Data: []byte(`{"v":2,"kind":"offered","call":"call","secret":"abc"}` + "\n")},
		{Seq: 2, Data: []byte("rubbish")},
		{Seq: 3, Data: []byte(`{"v":1,"kind":"teleported","call":"call","gen":1,"node":"n1","at":1,"event":{"key":"abc"}}` + "\n")},
	}
	b, err := replay.Export("call", list, replay.Options{})
	if err != nil {
		t.Fatal(err)
	}
	text := string(b.Append(nil))
	if strings.Contains(text, "abc") || strings.Contains(text, "rubbish") {
		t.Errorf("it got through:\n%s", text)
	}
	if len(b.Records) != 3 || b.Records[0].Lost == "" || b.Records[1].Lost == "" || b.Records[2].Lost != "" {
		t.Errorf("%+v", b.Records)
	}
	if _, err := replay.Export("call", records(t, secure().History(), nil), replay.Options{Sealed: true}); err == nil {
		t.Error("keys that are not sealed were exported as sealed ones")
	}
	b, err = replay.Export("call", records(t, secure().History(), nil), replay.Options{Sealed: true, Sealer: sealer(t)})
	if err != nil {
		t.Fatal(err)
	}
	if text := b.Append(nil); bytes.Contains(text, []byte(keys[0])) {
		t.Error("a key got through")
	}
}

func FuzzBundle(f *testing.F) {
	b, err := replay.Export("call", func() (out []replay.Record) {
		for _, e := range plain().History()[:3] { // small inputs change faster
			data, _ := events.Encode(e.Envelope)
			out = append(out, replay.Record{Seq: e.Seq, Stored: e.Stored, Data: data})
		}
		return out
	}(), replay.Options{By: "fuzz"})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b.Append(nil))
	f.Add(b.AppendVersion(nil, 2, 1))
	f.Add((&replay.Bundle{Call: "x", Records: []replay.Record{{Seq: 1, Lost: "y"}}}).Append(nil))
	f.Fuzz(func(t *testing.T, data []byte) {
		data = replay.WithChecksums(data) // or nothing gets past them
		got, err := replay.Parse(data)
		if err != nil {
			var d *replay.DamageError
			if !errors.As(err, &d) {
				t.Fatalf("an error without a place: %v", err)
			}
		}
		if got == nil {
			return
		}
		again, err := replay.Parse(got.Append(nil))
		if err != nil {
			t.Fatalf("written and read: %v", err)
		}
		if len(again.Records) != len(got.Records) || again.Call != got.Call {
			t.Fatalf("%d records were written, and %d read", len(got.Records), len(again.Records))
		}
		replay.Rerun(got.Call, got.Entries())
	})
}
