package plan

// learningNames are the words for the modes, of the configuration, of NG's endpoint-learning and of events alike.
var learningNames = [...]string{
	LearnHeuristic: "heuristic", LearnOff: "off", LearnImmediate: "immediate", LearnDelayed: "delayed",
}

// String is rtpengine's name of the mode.
func (l Learning) String() string {
	if int(l) < len(learningNames) {
		return learningNames[l]
	}
	return "unknown"
}

// LearningNamed finds a mode by rtpengine's name; ok is false for any other word.
func LearningNamed(name string) (mode Learning, ok bool) {
	for l, n := range learningNames {
		if n == name {
			return Learning(l), true
		}
	}
	return LearnHeuristic, false
}
