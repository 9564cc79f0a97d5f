package ng_test

import (
	"testing"

	"rtpjet/ngserver/ng"
)

// TestCommandTable: what the rows of the table say fits together, and they are found by their names.
func TestCommandTable(t *testing.T) {
	names := map[string]bool{}
	for i, c := range ng.Commands {
		if c.Name == "" || c.Short == "" || names[c.Name] || names["short "+c.Short] {
			t.Errorf("%q, %q: a name is missing or there twice", c.Name, c.Short)
		}
		names[c.Name], names["short "+c.Short] = true, true
		d := &ng.Dict{}
		d.Set("command", c.Name)
		r, err := ng.Parse(d)
		if err != nil || r.Info() != &ng.Commands[i] || ng.CommandOf(c.Name) != &ng.Commands[i] || ng.CommandIndex(c.Name) != i {
			t.Errorf("%s is not found: %v", c.Name, err)
			continue
		}
		switch about := c.ConcernsCall(); {
		case c.Action.Changes() && !about:
			t.Errorf("%s may change a call, and is about none", c.Name)
		case c.Action.Changes() && c.Answerer == ng.HomeOrMirror:
			t.Errorf("%s may change a call, and a mirror answers it", c.Name)
		case c.Begins && c.Action != ng.ActionSignal:
			t.Errorf("%s begins calls, and sets up no media", c.Name)
		case c.Action == ng.ActionRefuse && about:
			t.Errorf("%s is refused, and sent to another region first", c.Name)
		}
		// What a command lacks without any option is said of it whether it is refused or not; what is refused lacks something.
		for _, refused := range []bool{false, true} {
			if got := ng.NotDone(r, ng.Situation{Refused: refused}); got != c.Lacks {
				t.Errorf("%s, refused %v: %v is not done, want %v", c.Name, refused, got.Labels(), c.Lacks.Labels())
			}
		}
		if c.Action == ng.ActionRefuse && c.Lacks == 0 && c.Name != "cli" {
			t.Errorf("%s is refused, and nothing says what is missing", c.Name)
		}
	}
	if c := ng.CommandOf("no command"); c.Action != ng.ActionRefuse || c.ConcernsCall() || c.Name != "" {
		t.Errorf("what is no command: %+v", c)
	}
}
