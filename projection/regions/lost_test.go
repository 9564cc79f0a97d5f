package regions_test

import (
	"testing"

	"rtpjet/projection/regions"
)

const sec = 1_000_000

func newLink() *regions.Link {
	return regions.NewLink(regions.Config{Region: "here", Instance: "1", Format: 1}, "there", "2")
}

func hello(head uint64, ready bool) regions.Hello {
	return regions.Hello{Region: "there", Instance: "2", Head: head, Ready: ready}
}

// A node says of a region that it is lost after it has listened for long enough, and not before.
func TestLost(t *testing.T) {
	expect := func(l *regions.Link, at int64, want bool) {
		t.Helper()
		if l.Lost(at) != want {
			t.Errorf("lost after %d s: %v", at/sec, !want)
		}
	}
	begun := newLink()
	expect(begun, 1*sec, false)
	expect(begun, 3*sec, false)
	expect(begun, 5*sec, true)

	heard := newLink()
	heard.Heard(hello(0, true), 1*sec, 1*sec, 0)
	expect(heard, 3*sec, false)
	expect(heard, 5*sec, true)
	heard.Heard(hello(0, true), 6*sec, 6*sec, 0)
	expect(heard, 6*sec, false)

	asleep := newLink()
	asleep.Heard(hello(0, true), 1*sec, 1*sec, 0)
	expect(asleep, 60*sec, false)
	expect(asleep, 62*sec, false)
	expect(asleep, 64*sec, true)
}

// The age of a mirror counts from the last greeting after whose answer the mirror had all that the answering node knew.
func TestAgeOfWhoBegins(t *testing.T) {
	expect := func(l *regions.Link, at, want int64) {
		t.Helper()
		if got := l.Age(at); got != want {
			t.Errorf("age at %d ms: %d ms, want %d", at/1000, got, want)
		}
	}
	l := newLink()
	expect(l, 1*sec, -1)
	l.Heard(hello(0, false), 1*sec, 1*sec+100_000, 0) // it begins, and does not know its stream
	expect(l, 2*sec, -1)
	l.Heard(hello(7, true), 2*sec, 2*sec+100_000, 0)
	l.Mirrored(6, 2*sec+200_000)
	expect(l, 2*sec+300_000, -1)
	l.Heard(hello(9, true), 3*sec, 3*sec+100_000, 0)
	l.Mirrored(7, 3*sec+200_000)
	expect(l, 4*sec, 2000)
	l.Mirrored(9, 4*sec)
	expect(l, 4*sec, 1000)
}
