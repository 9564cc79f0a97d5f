package main

import (
	"os"
	"slices"
	"testing"
)

func TestLaboratories(t *testing.T) {
	for _, test := range []struct {
		source string
		want   []string
		bad    bool
	}{
		{"", nil, false},
		{`func TestA(t *testing.T) { lab.Only(t, "") }; func TestB(t *testing.T) {}; func TestC(t *testing.T) { if true { lab.Only(t, "") } }`, []string{"TestA", "TestC"}, false},
		{`func TestA(t *testing.T) { t.Run("x", func(t *testing.T) { lab.Only(t, "") }); lab.Only(t, "") }`, []string{"TestA"}, false},
		{`func TestA(t *testing.T) { lab.Other(t); other.Only(t) }`, nil, false},
		{`func helper(t *testing.T) { lab.Only(t, "") }`, nil, true},
		{`func (s *suite) TestA(t *testing.T) { lab.Only(t, "") }`, nil, true},
		{`var helper = func(t *testing.T) { lab.Only(t, "") }`, nil, true},
		{`func`, nil, true},
	} {
		got, err := laboratories("x_test.go", []byte("package x;"+test.source))
		if !slices.Equal(got, test.want) || (err != nil) != test.bad {
			t.Errorf("%s: %v, %v", test.source, got, err)
		}
	}
}

// All laboratories of this module are found, that of no helper is hidden.
func TestFind(t *testing.T) {
	all, err := find(os.DirFS("../../.."))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range all {
		if p.dir == "tests/cluster" && slices.Contains(p.tests, "TestRollingRestart") {
			return
		}
	}
	t.Errorf("TestRollingRestart is not among %v", all)
}
