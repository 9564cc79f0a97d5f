//go:build race

package server

// raceEnabled says whether the race detector runs, which slows everything down by a factor of ten or so.
const raceEnabled = true
