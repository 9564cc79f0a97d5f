package projection

import (
	"slices"
	"testing"

	"rtpjet/events"
	"rtpjet/relay/plan"
)

func TestClocks(t *testing.T) {
	m := &events.Media{
		Offered: []events.Codec{{PT: 8, Name: "PCMA", Rate: 8000}, {PT: 101, Name: "Telephone-Event", Rate: 8000}, {PT: 111, Name: "opus", Rate: 48000, Channels: 2}, {PT: 200, Name: "x", Rate: 1}},
		Codecs:  []events.Codec{{PT: 0, Name: "PCMU", Rate: 8000}, {PT: 101, Name: "G726-32", Rate: 8000}, {PT: 111, Name: "VP8", Rate: 90000}, {PT: 99}},
	}
	want := []plan.Clock{{PT: 8, Rate: 8000}, {PT: 111, Rate: 48000}, {PT: 0, Rate: 8000}}
	if got := clocks(m); !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	if got := clocks(&events.Media{}); got != nil {
		t.Errorf("without codecs: %v", got)
	}
}
