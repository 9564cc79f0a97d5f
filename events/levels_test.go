package events

import (
	"maps"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// words are all that an entry may have, as the version history of docs/events.md names it: entry.at, offered, offered.tos, Media.type,
// and ended:timeout for a reason.
func words() (out []string) {
	seen := map[reflect.Type]bool{}
	var add func(name string, typ reflect.Type)
	add = func(name string, typ reflect.Type) {
		fields(typ, func(field string, typ reflect.Type) {
			out = append(out, name+"."+field)
			if _, inner := typeWord(typ); inner != nil && !seen[inner] {
				seen[inner] = true
				add(inner.Name(), inner)
			}
		})
	}
	add("entry", reflect.TypeFor[header]())
	for kind, e := range kinds {
		out = append(out, string(kind))
		add(string(kind), reflect.TypeOf(e))
	}
	for _, r := range reasons {
		out = append(out, "ended:"+string(r))
	}
	slices.Sort(out)
	return out
}

// What was there before levels is in testdata/level1.txt, and never changes. Whatever came later has a row in the version history,
// with the level from which it is written: an earlier build passes over what it does not know.
func TestVersionHistory(t *testing.T) {
	page, err := os.ReadFile("../docs/events.md")
	if err != nil {
		t.Fatal(err)
	}
	text := section(t, string(page), "## Version history")
	first, err := os.ReadFile("testdata/level1.txt")
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]bool{}
	for _, w := range strings.Fields(string(first)) {
		want[w] = true
	}
	before, later, ok := strings.Cut(text, "**Since there are levels**")
	if !ok {
		t.Fatal("the version history does not say what came since there are levels")
	}
	for w := range rows(before) {
		if !want[w] {
			t.Errorf("%s was there before there were levels, says the page", w)
		}
	}
	levels := map[int]bool{}
	for w, level := range rows(later) {
		n, err := strconv.Atoi(level)
		if err != nil || n < LevelFirst || n > Level {
			t.Errorf("%s is of the level %q", w, level)
		}
		if want[w] {
			t.Errorf("%s is in the version history twice", w)
		}
		want[w], levels[n] = true, true
	}
	for _, w := range words() {
		if !want[w] {
			t.Errorf("docs/events.md: the version history has no row for %s", w)
		}
		delete(want, w)
	}
	for _, w := range slices.Sorted(maps.Keys(want)) {
		t.Errorf("%s is in the version history and not in this build", w)
	}
	for level := LevelFirst; level <= Level; level++ {
		if !levels[level] || !strings.Contains(text, "level "+strconv.Itoa(level)) {
			t.Errorf("the version history does not say what level %d is", level)
		}
	}
}

// Each level has a name, and the highest is that of the build.
func TestLevels(t *testing.T) {
	src, err := os.ReadFile("level.go")
	if err != nil {
		t.Fatal(err)
	}
	highest := 0
	for i, m := range regexp.MustCompile(`(?m)^\tLevel\w+ = (\d+)$`).FindAllStringSubmatch(string(src), -1) {
		n, err := strconv.Atoi(m[1])
		if err != nil || n != i+1 {
			t.Errorf("level %s is the %d. in the file", m[1], i+1)
		}
		highest = n
	}
	if highest != Level {
		t.Errorf("the highest level is %d, and the build reads %d", highest, Level)
	}
}
