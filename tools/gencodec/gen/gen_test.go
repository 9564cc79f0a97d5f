package gen

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// generate makes a codec of a source.
func generate(t *testing.T, src string) (map[string][]byte, error) {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "x.go"), []byte("package x\n"+src), 0o600); err != nil {
		t.Fatal(err)
	}
	return Generate(dir)
}

// What has no codec is refused, where it stands and with what to do about it.
func TestFaults(t *testing.T) {
	for src, want := range map[string]string{
		"type T struct{}": "no type is marked",
		"//gencodec:root\ntype T struct { A map[string]int `json:\"a\"` }":                                    "x.go:3:19: no codec for this type",
		"//gencodec:root\ntype T struct { A float64 `json:\"a\"` }":                                           "no codec for this type",
		"//gencodec:root\ntype T struct { A time.Time `json:\"a\"` }":                                         "no codec for this type",
		"//gencodec:root\ntype T struct { A []byte `json:\"a\"` }":                                            "base64",
		"//gencodec:root\ntype T struct { A [][]int `json:\"a\"` }":                                           "lists of lists",
		"//gencodec:root\ntype T struct { A []*int `json:\"a\"` }":                                            "lists of lists or pointers",
		"//gencodec:root\ntype T struct { A **int `json:\"a\"` }":                                             "pointer to a pointer",
		"//gencodec:root\ntype T struct { A [N]int `json:\"a\"` }":                                            "length of an array",
		"//gencodec:root\ntype T struct { A [0]int `json:\"a\"` }":                                            "array of length 0",
		"//gencodec:root\ntype T struct { A int }":                                                            "A needs a json tag",
		"//gencodec:root\ntype T struct { A int `json:\"é\"` }":                                               "A needs a json tag",
		"//gencodec:root\ntype T struct { a int `json:\"a\"` }":                                               "a is not exported",
		"//gencodec:root\ntype T struct { A int `json:\"a,string\"` }":                                        "option string",
		"//gencodec:root\ntype T struct { A int `json:\"a\"`; B int `json:\"a\"` }":                           "has the field a twice",
		"//gencodec:root\ntype T struct { A U `json:\"a,omitempty\"` }\ntype U struct{}":                      "use omitzero",
		"//gencodec:root\ntype T struct { A U `json:\"a,omitzero\"` }\ntype U struct{ B []int `json:\"b\"` }": "cannot be compared",
		"//gencodec:root\ntype T struct { A int `json:\"a\" read:\"f\"` }":                                    "the decoder has no method f",
		"//gencodec:root\ntype T struct { A *T `json:\"a\"` }":                                                "T holds itself",
		"//gencodec:root\ntype T struct { A U `json:\"a\"` }\ntype U []int":                                   "named list",
		"//gencodec:root\ntype T struct { A U `json:\"a\"` }\ntype U int\nfunc (U) MarshalText() {}":          "U has MarshalText",
		"//gencodec:root\ntype T struct { *U }\ntype U struct{}":                                              "only structs of the package",
		"//gencodec:root\ntype T interface { k() K }\ntype K string":                                          "T has no types",
		"//gencodec:root\ntype T interface { k() K; l() }\ntype K string":                                     "T needs one method",
		"//gencodec:root\ntype T struct {" + strings.Repeat("\nA int `json:\"-\"`", 200) + "}":                "",
		"//gencodec:root\ntype T struct { A U `json:\"a,omitzero\"` }\ntype U struct{ B uint8 `json:\"b\"` }": "",
	} {
		_, err := generate(t, src)
		switch {
		case want == "" && err != nil, want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("%s\ngot  %v\nwant %s", src, err, want)
		}
	}
}

// A new field is one line: nothing but the struct says that it is there.
func TestNewField(t *testing.T) {
	before, err := generate(t, "//gencodec:root\ntype T struct {\n}")
	if err != nil {
		t.Fatal(err)
	}
	after, err := generate(t, "//gencodec:root\ntype T struct {\nNew string `json:\"new,omitempty\"`\n}")
	if err != nil {
		t.Fatal(err)
	}
	for name, word := range map[string]string{"encode_gen.go": "e.OptString(`\"new\":`, v.New)", "decode_gen.go": "bit, v.New = 1<<0, string(d.Text())"} {
		if strings.Contains(string(before[name]), word) || !strings.Contains(string(after[name]), word) {
			t.Errorf("%s:\n%s", name, after[name])
		}
	}
}

func TestLower(t *testing.T) {
	for in, want := range map[string]string{"Party": "party", "SRTP": "srtp", "SRTPKeys": "srtpKeys", "TakenOver": "takenOver", "Range": "rangeValue", "A": "a", "x": "x"} {
		if got := lower(in); got != want {
			t.Errorf("%s became %s, want %s", in, got, want)
		}
	}
}
