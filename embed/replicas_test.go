package embed

import (
	"slices"
	"testing"
)

// TestReplicasFor is the table of the documentation.
func TestReplicasFor(t *testing.T) {
	var got []int
	for n := range 8 {
		got = append(got, replicasFor(n))
	}
	if want := []int{1, 1, 1, 3, 3, 5, 5, 5}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}
