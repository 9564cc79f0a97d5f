package oldlogs_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"rtpjet/events"
	"rtpjet/projection/history"
	"rtpjet/projection/replay"
	"rtpjet/tests/oldlogs"
)

// newer are fields of a call that a later build derives from earlier events too, each with the reason why that changes nothing of
// what the call was. Whatever else is not zero in a state, and was no field of the build that the log is of, is a change of meaning.
var newer = map[string]string{
	"Until":                       "when the delete came; DeleteAt says as before when the sockets close",
	"Offers":                      "the offers are counted, whatever they bring about",
	"Proposals[]":                 "an offer is kept beside the parties, which are as it has them at once; later answers are measured against it",
	"Parties[].Medias[].Proposed": "says which sections nobody has answered yet; they are in force as before",
}

// derived tells whether a field is one of newer, or a part of one.
func derived(field string, known []string) bool {
	for name := range newer {
		if (field == name || strings.HasPrefix(field, name+".")) && !slices.Contains(known, field) {
			return true
		}
	}
	return false
}

// lasting are the fields that mean something once a call has ended.
var lasting = map[string]bool{
	"ID": true, "Gen": true, "First": true, "Seq": true, "Ended": true, "EndedAt": true, "Owner": true, "Commands[].Cookie": true, "Commands[].Seq": true,
}

// corpora are the directories of testdata.
func corpora(t *testing.T) []string {
	t.Helper()
	dirs, err := filepath.Glob("testdata/*")
	if err != nil || len(dirs) == 0 {
		t.Fatalf("no corpus: %v", err)
	}
	return dirs
}

// each calls f for each file with histories of a corpus.
func each(t *testing.T, dir string, f func(t *testing.T, file string, calls []oldlogs.Call)) {
	t.Helper()
	files, err := oldlogs.Files(dir)
	if err != nil || len(files) == 0 {
		t.Fatalf("no histories in %s: %v", dir, err)
	}
	for _, file := range files {
		calls, err := oldlogs.Calls(file)
		if err != nil {
			t.Fatal(err)
		}
		t.Run(file, func(t *testing.T) { f(t, file, calls) })
	}
}

// An earlier build's events make the same calls as it made of them itself.
func TestSameCalls(t *testing.T) {
	for _, dir := range corpora(t) {
		text, err := os.ReadFile(filepath.Join(dir, "fields.txt"))
		if err != nil {
			t.Fatal(err)
		}
		known := strings.Fields(string(text))
		each(t, dir, func(t *testing.T, file string, calls []oldlogs.Call) {
			data, err := os.ReadFile(oldlogs.StateFile(file))
			if err != nil {
				t.Fatal(err)
			}
			told, err := oldlogs.States(data)
			if err != nil {
				t.Fatal(err)
			}
			if len(told) != len(calls) {
				t.Fatalf("%d calls, and that build had %d", len(calls), len(told))
			}
			for i := range calls {
				for _, d := range differences(known, &told[i], &calls[i]) {
					t.Error(d)
				}
			}
		})
	}
}

// differences are what this build makes otherwise of a call, the first event of it that has any.
func differences(known []string, told *oldlogs.Told, c *oldlogs.Call) (out []string) {
	if told.ID != c.ID || len(told.Seqs) != len(c.Entries) {
		return []string{fmt.Sprintf("call %q with %d events, and that build had %q with %d", c.ID, len(c.Entries), told.ID, len(told.Seqs))}
	}
	then := oldlogs.State{}
	for i, now := range c.Fold() {
		then.Apply(told.Changes[i])
		for _, d := range oldlogs.Changes(then, now) {
			field := oldlogs.Field(d.Path)
			if derived(field, known) || now["Ended"] == "true" && !lasting[strings.TrimSuffix(field, "[]")] {
				continue
			}
			out = append(out, fmt.Sprintf("%q, event %d %s: %s is %q, and was %q", c.ID, told.Seqs[i], events.KindOf(c.Entries[i].Event), d.Path, d.Value, then[d.Path]))
		}
		if len(out) > 0 {
			return out
		}
	}
	return nil
}

// The comparison finds what it is for: each of these is a change of meaning somewhere in a fold.
func TestComparisonFinds(t *testing.T) {
	known := []string{"Owner", "Parties[].Medias[].Direction"}
	c := func(seq uint64, owner string) oldlogs.Call {
		s := events.Signalling{Owner: owner, Parties: []events.Party{{Tag: "a", Created: 1, Medias: []events.Media{{Type: "audio", Direction: events.SendOnly}}}}}
		return oldlogs.Call{ID: "x", Entries: []history.Entry{{Seq: seq, Envelope: events.Envelope{Call: "x", Gen: 1, At: 1, Event: events.Offered{Signalling: s}}}}}
	}
	was := c(7, "n1")
	data := string(oldlogs.AppendStates(nil, []oldlogs.Call{was}))
	for name, change := range map[string]func(*string){
		"nothing":         func(*string) {},
		"another value":   func(s *string) { *s = strings.Replace(*s, `Direction "sendonly"`, `Direction "inactive"`, 1) },
		"it had more":     func(s *string) { *s += "\tBlocked true\n" },
		"it had less":     func(s *string) { *s = strings.Replace(*s, "\tOwner \"n1\"\n", "", 1) },
		"an event less":   func(s *string) { *s = strings.Replace(*s, "event 7", "event 6 offered\nevent 7", 1) },
		"another call-id": func(s *string) { *s = strings.Replace(*s, `"x"`, `"y"`, 1) },
	} {
		text := data
		change(&text)
		told, err := oldlogs.States([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		if found := len(differences(known, &told[0], &was)) > 0; found != (name != "nothing") {
			t.Errorf("%s: found %v in\n%s", name, found, text)
		}
	}
}

// The corpus has all that an earlier build could write.
func TestWhole(t *testing.T) {
	kinds := []events.Kind{
		events.KindOffered, events.KindAnswered, events.KindEndpointLearned, events.KindMediaBlocked, events.KindDeletionScheduled,
		events.KindPartiesRemoved, events.KindTakenOver, events.KindRolledOver, events.KindLegSilent, events.KindEnded,
	}
	dir := "testdata/1"
	have := map[events.Kind]int{}
	seen := map[string]bool{}
	var sealed, plain, calls, entries int
	each(t, dir, func(_ *testing.T, _ string, list []oldlogs.Call) {
		calls += len(list)
		for i := range list {
			for j, s := range list[i].Fold() {
				entries++
				have[events.KindOf(list[i].Entries[j].Event)]++
				for path, value := range s {
					seen[oldlogs.Field(path)] = true
					seen[oldlogs.Field(path)+" "+value] = true
				}
				if raw, err := events.Decode(list[i].Raw[j].Data); err == nil && events.Exposed(raw) {
					plain++
				} else if err == nil && events.Exposed(list[i].Entries[j].Envelope) {
					sealed++
				}
			}
		}
	})
	t.Logf("%d calls, %d events, %d with sealed keys, %d with open ones: %v", calls, entries, sealed, plain, have)
	for _, k := range kinds {
		if have[k] == 0 {
			t.Errorf("no %s", k)
		}
	}
	if sealed == 0 || plain == 0 {
		t.Errorf("%d events with sealed keys, and %d with open ones", sealed, plain)
	}
	for _, want := range []string{
		"Parties[].Aliases[]", "Parties[].Branches[]", "Parties[].Key", "PartyDeleteAt[]", "DeleteAt", "Parties[].Medias[].Hidden true", "Parties[].Medias[].Rejected true",
		"Parties[].Medias[].Twin 1", `Parties[].Medias[].Protocol "udptl"`, `Parties[].Medias[].Direction "sendonly"`, `Parties[].Medias[].Direction "inactive"`,
		"Parties[].Medias[].Earlier[]", "Parties[].Medias[].SRTP.OSRTP true", "Parties[].Medias[].EndToEnd true", "Parties[].Medias[].Mux true",
		"Parties[].Medias[].Confirmed[] true", "Rolled[].Out true", "Rolled[].RTCP true", "Silent[].Since", "Blocked true", "Dropping true", "TOS 184", "Gen 2",
		`Owner "float.127.77.4.100"`, `Owner "us/n1"`, "Epoch 2",
	} {
		if !seen[want] {
			t.Errorf("no call has %s", want)
		}
	}
}

// Whatever an earlier build has logged can be told.
func TestTold(t *testing.T) {
	for _, dir := range corpora(t) {
		each(t, dir, func(t *testing.T, _ string, calls []oldlogs.Call) {
			for _, c := range calls {
				list := history.Moments(c.ID, c.Entries)
				ladder := history.NewLadder(c.ID, list)
				for _, unfolded := range []bool{false, true} {
					var out bytes.Buffer
					if err := ladder.Draw(&out, history.Layout{Width: 120, Unfolded: unfolded}); err != nil || out.Len() == 0 {
						t.Errorf("%q: %v, %d bytes are told", c.ID, err, out.Len())
					}
				}
				var out bytes.Buffer
				if list[len(list)-1].Call.Describe(&out); out.Len() == 0 {
					t.Errorf("%q is not described", c.ID)
				}
			}
		})
	}
}

// Every decision of an earlier build can be made again: with what outcome is a matter of what this build has mended.
func TestRerun(t *testing.T) {
	for _, dir := range corpora(t) {
		each(t, dir, func(t *testing.T, _ string, calls []oldlogs.Call) {
			for _, c := range calls {
				r := replay.Rerun(c.ID, c.Entries)
				if r.Events != len(c.Entries) || r.Rerun == 0 {
					t.Errorf("%q: %d decisions of %d events were made again", c.ID, r.Rerun, r.Events)
				}
			}
		})
	}
}
