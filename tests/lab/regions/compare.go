package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
)

// differences says, for a few calls, what the second list has otherwise than the first one.
func differences(want, got map[string]json.RawMessage) (all []string) {
	const most = 5
	say := func(format string, args ...any) bool {
		all = append(all, fmt.Sprintf(format, args...))
		return len(all) < most
	}
	if len(want) != len(got) {
		say("%d calls instead of %d", len(got), len(want))
	}
	for _, id := range slices.Sorted(maps.Keys(want)) {
		g, ok := got[id]
		if !ok && !say("%s is missing", id) {
			return all
		}
		if ok && !bytes.Equal(want[id], g) && !say("%s: %s", id, fields(want[id], g)) {
			return all
		}
	}
	for _, id := range slices.Sorted(maps.Keys(got)) {
		if _, ok := want[id]; !ok && !say("%s is not there at home", id) {
			return all
		}
	}
	return all
}

// fields names the fields in which two calls differ.
func fields(want, got json.RawMessage) string {
	var a, b map[string]json.RawMessage
	if json.Unmarshal(want, &a) != nil || json.Unmarshal(got, &b) != nil {
		return "it is no call"
	}
	var names []string
	for name := range a {
		if !bytes.Equal(a[name], b[name]) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return fmt.Sprintf("%v differ", names)
}
