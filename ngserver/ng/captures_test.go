package ng

import (
	"flag"
	"fmt"
	"net/netip"
	"os"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files")

// describe prints the fields of a request that say something, one per line.
func describe(r *Request) string {
	var b strings.Builder
	empty := base("")
	v, e := reflect.ValueOf(*r), reflect.ValueOf(empty)
	for i := range v.NumField() {
		name := v.Type().Field(i).Name
		if name == "Dict" || reflect.DeepEqual(v.Field(i).Interface(), e.Field(i).Interface()) {
			continue
		}
		switch f := v.Field(i).Interface().(type) {
		case netip.Addr:
			fmt.Fprintf(&b, "  %s: %s\n", name, f)
		case []byte, string, []string:
			fmt.Fprintf(&b, "  %s: %q\n", name, f)
		case *Dict:
			for j, k := range f.Keys {
				text, _ := Text(f.Values[j])
				fmt.Fprintf(&b, "  %s: %s=%q\n", name, k, text)
			}
		default:
			fmt.Fprintf(&b, "  %s: %+v\n", name, f)
		}
	}
	return b.String()
}

// Captured messages of real clients, and what is read from them.
func TestCaptures(t *testing.T) {
	file, err := os.ReadFile("testdata/captures.txt")
	if err != nil {
		t.Fatal(err)
	}
	var got strings.Builder
	for line := range strings.Lines(string(file)) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "## ") {
			got.WriteString(line[3:] + "\n")
		}
		if line == "" || line[0] == '#' {
			continue
		}
		payload, err := strconv.Unquote(line)
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		r, err := parse(t, payload)
		if err != nil {
			t.Errorf("%s: %v", line, err)
			continue
		}
		if len(r.Unknown) > 0 {
			t.Errorf("not understood: %q in %s", r.Unknown, line)
		}
		got.WriteString(describe(r))
	}
	const golden = "testdata/captures.golden"
	if *update {
		if err := os.WriteFile(golden, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got.String()); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}
