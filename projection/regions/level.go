package regions

import (
	"maps"
	"slices"

	"rtpjet/events"
)

// Level is what level of events may be written when a region has others, own being what its nodes read; who is the region that reads
// less, empty if none does. peers are the regions of the configuration, said is what each region that was heard says that it reads,
// 0 if it says nothing, and records are what is noted of regions that were heard earlier. A region that was never heard has no mirror
// of this one.
func Level(own int, peers []string, said map[string]int, records []Record) (level int, who string) {
	reads := maps.Clone(said)
	if reads == nil {
		reads = map[string]int{}
	}
	for _, r := range records {
		if _, heard := reads[r.Region]; !heard && r.Instance != "" && slices.Contains(peers, r.Region) {
			reads[r.Region] = r.Level
		}
	}
	level = own
	for _, region := range slices.Sorted(maps.Keys(reads)) {
		if l := max(reads[region], events.LevelFirst); l < level {
			level, who = l, region
		}
	}
	return level, who
}
