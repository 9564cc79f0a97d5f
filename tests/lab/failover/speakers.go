package main

import "time"

// spoken is a frame that a node sent from the floating address.
type spoken struct {
	At     int64
	Node   int
	Stream uint16 // the port that it went to
	ARP    bool   // it says who has the address
}

// speech is who spoke from the floating address.
type speech struct {
	// Handovers counts the changes of the speaker.
	Handovers int `json:"handovers"`
	// OverlapMS is the time in which two nodes spoke in turn, and OverlapFrames
	// what the one that spoke less had to say in it.
	OverlapMS     float64 `json:"overlap_ms"`
	OverlapFrames int     `json:"overlap_frames"`
	// DoubleStreams counts the streams that two nodes sent to in turn.
	DoubleStreams int `json:"double_streams"`
	// GapMS is the time between the last word of the first speaker and the first
	// word of the next one at the first handover; negative: they overlapped.
	GapMS float64 `json:"gap_ms"`
	// Claims counts ARP frames by which a node claimed the address while another
	// one spoke from it.
	Claims int `json:"claims"`
}

// inTurn is how soon a speaker must speak again for the words of another one in
// between to be an overlap: a planned move back takes longer.
const inTurn = int64(time.Second)

// turn is frames of one node with none of another in between.
type turn struct {
	node     int
	from, to int64
	frames   int
}

func turnsOf(frames []spoken) (turns []turn) {
	for _, f := range frames {
		if n := len(turns); n > 0 && turns[n-1].node == f.Node {
			turns[n-1].to = f.At
			turns[n-1].frames++
			continue
		}
		turns = append(turns, turn{f.Node, f.At, f.At, 1})
	}
	return turns
}

// interrupted returns the turns that lie within another node's speech.
func interrupted(turns []turn) (inside []turn) {
	for i := 1; i+1 < len(turns); i++ {
		before, after := turns[i-1], turns[i+1]
		if before.node == after.node && after.from-before.to < inTurn {
			inside = append(inside, turns[i])
		}
	}
	return inside
}

// claims counts ARP frames that lie within the turns of another node than their sender.
func claims(arp []spoken, turns []turn) (n int) {
	for _, f := range arp {
		for _, t := range turns {
			if t.node != f.Node && t.from < f.At && f.At < t.to {
				n++
			}
		}
	}
	return n
}

// speechOf says who spoke; frames are in the order of time.
func speechOf(all []spoken) (s speech) {
	var frames, arp []spoken
	for _, f := range all {
		if f.ARP {
			arp = append(arp, f)
		} else {
			frames = append(frames, f)
		}
	}
	turns := turnsOf(frames)
	s.Claims = claims(arp, turns)
	s.Handovers = max(0, len(turns)-1)
	if len(turns) > 1 {
		s.GapMS = ms(turns[1].from - turns[0].to)
	}
	var overlap int64
	count := map[int]int{}
	for _, t := range interrupted(turns) {
		overlap += t.to - t.from
		count[t.node] += t.frames
	}
	s.OverlapMS = ms(overlap)
	for _, n := range count {
		if s.OverlapFrames == 0 || n < s.OverlapFrames {
			s.OverlapFrames = n
		}
	}
	streams := map[uint16][]spoken{}
	for _, f := range frames {
		if f.Stream != 0 {
			streams[f.Stream] = append(streams[f.Stream], f)
		}
	}
	for _, one := range streams {
		if len(interrupted(turnsOf(one))) > 0 {
			s.DoubleStreams++
		}
	}
	return s
}

func ms(ns int64) float64 { return float64(ns) / float64(time.Millisecond) }
