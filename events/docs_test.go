package events

import (
	"encoding/json"
	"maps"
	"net/netip"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// docs/events.md is what applications rely on: each kind, field and type of this package has its row there, and nothing else has.

// kinds has an event of each kind.
var kinds = map[Kind]Event{
	KindOffered: Offered{}, KindAnswered: Answered{}, KindEndpointLearned: EndpointLearned{}, KindMediaBlocked: MediaBlocked{},
	KindDeletionScheduled: DeletionScheduled{}, KindPartiesRemoved: PartiesRemoved{}, KindTakenOver: TakenOver{},
	KindRolledOver: RolledOver{}, KindLegSilent: LegSilent{}, KindEnded: Ended{},
}

var reasons = []Reason{ReasonDeleted, ReasonTimeout, ReasonSilentTimeout, ReasonOfferTimeout, ReasonFinalTimeout, ReasonOrphaned, ReasonAdopted}

// row is a row of a table: its first cell, without quotes, and its second one.
var row = regexp.MustCompile("(?m)^\\| `([^`]*)` \\| ([^|]*?) *\\|")

// section returns the text below a heading.
func section(t *testing.T, text, heading string) string {
	t.Helper()
	_, text, ok := strings.Cut(text, "\n"+heading+"\n")
	if !ok {
		t.Fatalf("docs/events.md has no %q", heading)
	}
	if i := strings.Index(text, "\n#"); i >= 0 {
		text = text[:i]
	}
	return text
}

func rows(text string) map[string]string {
	out := map[string]string{}
	for _, m := range row.FindAllStringSubmatch(text, -1) {
		out[m[1]] = m[2]
	}
	return out
}

func TestDocs(t *testing.T) {
	b, err := os.ReadFile("../docs/events.md")
	if err != nil {
		t.Fatal(err)
	}
	text := string(b)
	if !strings.Contains(text, "This is version "+strconv.Itoa(Version)) {
		t.Errorf("the page is not about version %d", Version)
	}

	listed := rows(section(t, text, "## The kinds"))
	for kind, e := range kinds {
		if KindOf(e) != kind {
			t.Errorf("%T is a %s", e, KindOf(e))
		}
		if _, ok := listed[string(kind)]; !ok {
			t.Errorf("the list of kinds has no %s", kind)
		}
		delete(listed, string(kind))
	}
	for kind := range listed {
		t.Errorf("there is no kind %s", kind)
	}

	ended := rows(section(t, text, "### `ended`"))
	for _, r := range reasons {
		if _, ok := ended[string(r)]; !ok {
			t.Errorf("the reason %s is not told", r)
		}
		delete(ended, string(r))
	}

	seen := map[reflect.Type]bool{}
	var check func(what string, typ reflect.Type, have map[string]string)
	check = func(what string, typ reflect.Type, have map[string]string) {
		want := map[string]string{}
		var nested []reflect.Type
		fields(typ, func(name string, typ reflect.Type) {
			word, inner := typeWord(typ)
			want[name] = word
			if inner != nil && !seen[inner] {
				seen[inner] = true
				nested = append(nested, inner)
			}
		})
		for _, name := range slices.Sorted(maps.Keys(want)) {
			if have[name] != want[name] {
				t.Errorf("%s: field %s is %q, and the page says %q", what, name, want[name], have[name])
			}
		}
		for name := range have {
			if _, ok := want[name]; !ok {
				t.Errorf("%s has no field %s", what, name)
			}
		}
		for _, inner := range nested {
			check(inner.Name(), inner, rows(section(t, text, "### "+inner.Name())))
		}
	}
	check("the entry", reflect.TypeFor[header](), rows(section(t, text, "## The entry")))
	for kind, e := range kinds {
		have := rows(section(t, text, "### `"+string(kind)+"`"))
		if kind == KindEnded {
			have = ended
		}
		check(string(kind), reflect.TypeOf(e), have)
	}
}

// TestDocsKnowAllKinds: a kind that is decoded and stands in no list here would be on no page.
func TestDocsKnowAllKinds(t *testing.T) {
	src, err := os.ReadFile("event.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`(?m)^\tKind\w+ +Kind = "(\w+)"$`).FindAllStringSubmatch(string(src), -1) {
		if _, ok := kinds[Kind(m[1])]; !ok {
			t.Errorf("kinds has no %s", m[1])
		}
	}
	for _, m := range regexp.MustCompile(`(?m)^\tReason\w+ +Reason = "(\w+)"`).FindAllStringSubmatch(string(src), -1) {
		if !slices.Contains(reasons, Reason(m[1])) {
			t.Errorf("reasons has no %s", m[1])
		}
	}
}

// fields calls f with the JSON fields of a struct, those of embedded structs included.
func fields(typ reflect.Type, f func(name string, typ reflect.Type)) {
	for i := range typ.NumField() {
		field := typ.Field(i)
		if field.Anonymous {
			fields(field.Type, f)
			continue
		}
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		f(name, field.Type)
	}
}

// typeWord is what the page calls a type, and the struct that it is made of, if there is one.
func typeWord(typ reflect.Type) (word string, inner reflect.Type) {
	switch typ {
	case reflect.TypeFor[netip.AddrPort]():
		return "address and port", nil
	case reflect.TypeFor[netip.Addr]():
		return "address", nil
	case reflect.TypeFor[Secret]():
		return "base64", nil
	case reflect.TypeFor[json.RawMessage]():
		return "object", nil
	}
	switch typ.Kind() {
	case reflect.String:
		return "string", nil
	case reflect.Bool:
		return "boolean", nil
	case reflect.Int, reflect.Int64, reflect.Uint64, reflect.Uint32, reflect.Uint16, reflect.Uint8:
		return "integer", nil
	case reflect.Pointer:
		return typeWord(typ.Elem())
	case reflect.Slice, reflect.Array:
		word, inner = typeWord(typ.Elem())
		return "list of " + word, inner
	case reflect.Struct:
		return "[" + typ.Name() + "](#" + strings.ToLower(typ.Name()) + ")", typ
	default:
		return "no word for " + typ.String(), nil
	}
}
