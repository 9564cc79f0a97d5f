package app

import "testing"

func TestFloatOwner(t *testing.T) {
	if got := floatOwner("192.0.2.100"); got != "float.192.0.2.100" {
		t.Error(got)
	}
	if id, ok := cutFloat("float.192.0.2.100"); !ok || id != "192.0.2.100" {
		t.Error(id, ok)
	}
	if id, ok := cutFloat("n1"); ok {
		t.Errorf("the node n1 is the float %q", id)
	}
}
