package netaddr

import "time"

// repeats is when an announcement is sent again, counted from the first one, which is sent at once. A frame can get lost,
// and a switch may need a while until it forwards for a port that came up.
var repeats = []time.Duration{
	20 * time.Millisecond, 100 * time.Millisecond, 500 * time.Millisecond, time.Second, 2 * time.Second,
}

// tooLate is how late a repeat may be. This process was frozen, or nearly, if it is later, and another node may have
// announced the address since.
const tooLate = 40 * time.Millisecond

// repeatAt is when the n-th repeat (from 0) is due, if there is one.
func repeatAt(first time.Time, n int) (time.Time, bool) {
	if n >= len(repeats) {
		return time.Time{}, false
	}
	return first.Add(repeats[n]), true
}
