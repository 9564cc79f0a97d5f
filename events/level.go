package events

// Levels of the format, one for each thing that builds before it do not understand though they can decode it: they pass over
// fields that they do not know, and then take an event for what it is without them. What is written is what all its readers
// understand: see members.Table.Level. A build that announces no level reads [LevelFirst].
//
// A new [Version] is for what builds before cannot decode at all.
const (
	// LevelFirst is that of all builds before levels were announced.
	LevelFirst = 1
	// LevelProposals: an offer is a proposal until it is answered, and keys may be of the suites with f8. A build before applies
	// such an offer at once, and lets nothing pass under such keys.
	LevelProposals = 2
	// Level is the highest that this build reads, and writes if all others read it too.
	Level = LevelProposals
)
