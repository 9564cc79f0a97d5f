//go:build race

package embedtest

// raceEnabled says whether the race detector runs, which slows everything down by a factor of ten or so.
const raceEnabled = true
