package regions_test

import (
	"testing"

	"rtpjet/events"
	"rtpjet/projection/regions"
)

// Who has a mirror reads what is written, too.
func TestLevel(t *testing.T) {
	const own = 5
	peers := []string{"us", "ap"}
	note := func(region string, level int) regions.Record {
		return regions.Record{Region: region, Instance: "i", Level: level}
	}
	for _, tt := range []struct {
		name    string
		peers   []string
		said    map[string]int
		records []regions.Record
		level   int
		who     string
	}{
		{"no other", nil, nil, nil, own, ""},
		{"none was ever heard", peers, nil, nil, own, ""},
		{"all say as much", peers, map[string]int{"us": own, "ap": own + 1}, nil, own, ""},
		{"one says less", peers, map[string]int{"us": 3, "ap": own}, nil, 3, "us"},
		{"one says nothing", peers, map[string]int{"us": own, "ap": 0}, nil, events.LevelFirst, "ap"},
		{"the lowest counts, by its name", peers, map[string]int{"us": 2, "ap": 2}, nil, 2, "ap"},
		{"silent since this node began", peers, nil, []regions.Record{note("us", 3)}, 3, "us"},
		{"and was as new when it was heard", peers, nil, []regions.Record{note("us", own)}, own, ""},
		{"noted by a build without levels", peers, nil, []regions.Record{note("us", 0)}, events.LevelFirst, "us"},
		{"its word is newer than the note", peers, map[string]int{"us": own}, []regions.Record{note("us", 2)}, own, ""},
		{"a note without an identity", peers, nil, []regions.Record{{Region: "us"}}, own, ""},
		{"it is none of ours any more", nil, nil, []regions.Record{note("us", 2)}, own, ""},
		{"it greets, and is no peer", nil, map[string]int{"us": 2}, nil, 2, "us"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if level, who := regions.Level(own, tt.peers, tt.said, tt.records); level != tt.level || who != tt.who {
				t.Errorf("level %d because of %q, want %d because of %q", level, who, tt.level, tt.who)
			}
		})
	}
}
