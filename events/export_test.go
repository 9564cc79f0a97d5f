package events

// The two ways to read an entry, for the tests that hold them against each other.
var (
	FastDecode = fastDecode
	SlowDecode = slowDecode
)
