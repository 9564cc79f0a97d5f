package projection_test

import (
	"net/netip"
	"reflect"
	"testing"

	"rtpjet/events"
	"rtpjet/projection"
	"rtpjet/relay/plan"
)

// Events and the relay's plan know nothing of each other, so what a section's flags mean for its stream is copied, by hand: each flag
// that has the same name in both.
func TestFlagsReachTheRelay(t *testing.T) {
	media, stream := reflect.TypeFor[events.Media](), reflect.TypeFor[plan.Stream]()
	copied := 0
	for i := range media.NumField() {
		name := media.Field(i).Name
		f, ok := stream.FieldByName(name)
		if !ok || f.Type.Kind() != reflect.Bool || media.Field(i).Type.Kind() != reflect.Bool {
			continue
		}
		copied++
		for _, on := range []bool{false, true} {
			c := flagged(t, name, on)
			for _, s := range c.Routes(projection.RouteDefaults{}, 0) {
				want := on && !(name == "Mux" && s.RTCP)
				if got := reflect.ValueOf(s).FieldByName(name).Bool(); got != want {
					t.Errorf("%s is %v in the section, and %v in its stream at %v", name, on, got, s.Local)
				}
			}
		}
	}
	if copied < 7 {
		t.Errorf("%d flags have the same name in both", copied)
	}
}

// flagged is a call of one party with one section, of which one flag is set.
func flagged(t *testing.T, name string, on bool) *projection.Call {
	t.Helper()
	ap := netip.MustParseAddrPort
	m := events.Media{
		Type: "audio", Protocol: "RTP/AVP", Formats: []string{"0"}, Told: true,
		Local:  events.Ports{RTP: ap("192.0.2.1:1000"), RTCP: ap("192.0.2.1:1001")},
		Remote: events.Ports{RTP: ap("198.51.100.1:4000"), RTCP: ap("198.51.100.1:4001")},
	}
	reflect.ValueOf(&m).Elem().FieldByName(name).SetBool(on)
	c := &projection.Call{Gen: 1, Created: 1, Parties: []*events.Party{{ID: 1, Medias: []events.Media{m}}}}
	if len(c.Routes(projection.RouteDefaults{}, 0)) == 0 {
		t.Fatal("the section has no stream")
	}
	return c
}
