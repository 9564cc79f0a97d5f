package plan

import "testing"

func TestLearningNames(t *testing.T) {
	for mode, name := range map[Learning]string{
		LearnHeuristic: "heuristic", LearnOff: "off", LearnImmediate: "immediate", LearnDelayed: "delayed",
	} {
		if got, ok := LearningNamed(name); !ok || got != mode || mode.String() != name {
			t.Errorf("%s: %d, %v; its name is %s", name, got, ok, mode)
		}
	}
	for _, word := range []string{"", "Off", "often", "unknown"} {
		if mode, ok := LearningNamed(word); ok || mode != LearnHeuristic {
			t.Errorf("%q is mode %d", word, mode)
		}
	}
	if got := Learning(200).String(); got != "unknown" {
		t.Error(got)
	}
}
