package main

import "testing"

// words makes a frame a millisecond for each letter of a line, from the node that it
// names (a is node 0), to the streams 1 and 2 in turn; a dot is silence.
func words(line string) (all []spoken) {
	for i, r := range line {
		if r != '.' {
			all = append(all, spoken{At: int64(i) * 1e6, Node: int(r - 'a'), Stream: uint16(1 + len(all)%2)})
		}
	}
	return all
}

func TestSpeech(t *testing.T) {
	for _, c := range []struct {
		line string
		want speech
	}{
		{"", speech{}},
		{"aaaa", speech{}},
		{"aaaa...bbbb", speech{Handovers: 1, GapMS: 4}},
		// Both spoke for a while: the ones in between are one too many, whoever they are.
		{"aaaababbbb", speech{Handovers: 3, GapMS: 1, OverlapFrames: 1, DoubleStreams: 0}},
		{"aaaababababbbb", speech{Handovers: 7, GapMS: 1, OverlapFrames: 3, DoubleStreams: 0}},
		{"aaaabbaabbbb", speech{Handovers: 3, GapMS: 1, OverlapMS: 2, OverlapFrames: 2, DoubleStreams: 2}},
		// One that was asleep speaks once more, long after.
		{"aaaa......bbbbbbaabbbb", speech{Handovers: 3, GapMS: 7, OverlapMS: 6, OverlapFrames: 2, DoubleStreams: 2}},
	} {
		if got := speechOf(words(c.line)); got != c.want {
			t.Errorf("%q: %+v, want %+v", c.line, got, c.want)
		}
	}
}

func TestAMoveThereAndBackIsNoOverlap(t *testing.T) {
	there := words("aaaa.bbbb")
	back := words("aaaa")
	for i := range back {
		back[i].At += inTurn + 100e6
	}
	if got := speechOf(append(there, back...)); got.Handovers != 2 || got.OverlapFrames != 0 || got.DoubleStreams != 0 {
		t.Errorf("%+v", got)
	}
}

func TestAClaimOfAnothersAddressIsCounted(t *testing.T) {
	all := words("aaaa...bbbb")
	for _, claim := range []spoken{
		{At: 2e6, Node: 0}, {At: 6e6, Node: 1}, {At: 8e6, Node: 1}, // who speaks, or is about to, may say so
		{At: 8e6, Node: 0}, {At: 2e6, Node: 1}, // the other one may not
	} {
		claim.ARP = true
		all = append(all, claim)
	}
	if got := speechOf(all); got.Claims != 2 || got.Handovers != 1 {
		t.Errorf("%+v", got)
	}
}
