package relay

import "testing"

func TestModerator(t *testing.T) {
	type look struct {
		n    int
		now  int64
		want step
	}
	for _, tt := range []struct {
		name     string
		interval int64
		looks    []look
	}{
		{"off", 0, []look{{5, 1, stepWait}, {5, 2, stepWait}, {200, 3, stepWait}}},
		{"a few packets are not held back", 250, []look{{1, 10_000, stepWait}, {1, 10_300, stepWait}, {2, 20_000, stepWait}, {1, 30_000, stepWait}}},
		{"a burst now and then is not held back", 250, []look{{9, 20_000, stepWait}, {9, 40_000, stepWait}, {9, 60_000, stepWait}}},
		{"many packets gather", 250, []look{
			{1, 10_000, stepWait},
			{1, 10_040, stepPoll}, {2, 10_050, stepPoll}, {0, 10_060, stepSleep},
			{8, 10_330, stepPoll}, {1, 10_350, stepPoll}, {0, 10_360, stepSleep},
			{8, 10_630, stepPoll}, {0, 10_640, stepSleep},
			{1, 19_000, stepWait}, // and no longer, once they are fewer
		}},
		{"a backlog is never slept on", 250, []look{
			{1, 10_000, stepWait}, {1, 10_010, stepPoll}, {1, 10_020, stepPoll}, {1, 10_030, stepPoll}, {1, 90_000, stepPoll},
		}},
		{"a clock that jumps back", 250, []look{{1, 10_000, stepWait}, {1, 5_000, stepPoll}, {0, 5_001, stepSleep}}},
	} {
		m := moderator{interval: tt.interval}
		for i, l := range tt.looks {
			if got := m.served(l.n, l.now); got != l.want {
				t.Errorf("%s: look %d: %d, want %d", tt.name, i, got, l.want)
			}
		}
	}
}

func TestTurns(t *testing.T) {
	var turn turns
	ends := func(every, length int64) (n int) {
		for now := int64(0); now < length; now += every {
			if turn.served(1, now+1_000_000) {
				n++
			}
		}
		return n
	}
	if n := ends(20_000, 1_000_000); n != 0 {
		t.Errorf("50 packets in a second ended %d turns", n)
	}
	turn = turns{}
	if n := ends(500, 1_000_000); n != 124 { // the first packet begins the first one
		t.Errorf("2,000 packets in a second ended %d turns, want 124", n)
	}
	turn = turns{}
	if turn.served(200, 5) != true || turn.served(200, 6) || turn.served(1, turnLength+6) != true || turn.served(1, 3*turnLength) {
		t.Error("a burst has not ended its turn and the one that it began, and no more")
	}
}
