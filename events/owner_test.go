package events_test

import (
	"testing"

	"rtpjet/events"
)

func TestOwner(t *testing.T) {
	for _, tt := range []struct {
		text    string
		want    events.Owner
		float   string // the id of one of this region
		in      string // as others name it, if this region is "eu"
		region  string
		atThere string // its text in its own region
	}{
		{text: "n1", want: events.Owner{Kind: events.OwnerNode, Name: "n1"}, in: "eu/n1", atThere: "n1"},
		{text: "", want: events.Owner{}},
		{
			text: "float.192.0.2.100", want: events.Owner{Kind: events.OwnerFloat, Name: "192.0.2.100"},
			float: "192.0.2.100", in: "eu/float.192.0.2.100", atThere: "float.192.0.2.100",
		},
		{
			text: "float.2001_db8__1", want: events.Owner{Kind: events.OwnerFloat, Name: "2001_db8__1"},
			float: "2001_db8__1", in: "eu/float.2001_db8__1", atThere: "float.2001_db8__1",
		},
		{text: "us/n1", want: events.Owner{Kind: events.OwnerForeign, Name: "us/n1"}, in: "us/n1", region: "us", atThere: "n1"},
		{
			text: "us/float.192.0.2.100", want: events.Owner{Kind: events.OwnerForeign, Name: "us/float.192.0.2.100"},
			in: "us/float.192.0.2.100", region: "us", atThere: "float.192.0.2.100",
		},
		{text: "floating", want: events.Owner{Kind: events.OwnerNode, Name: "floating"}, in: "eu/floating", atThere: "floating"},
	} {
		o := events.ParseOwner(tt.text)
		if o != tt.want || o.String() != tt.text {
			t.Errorf("%q is %+v, and its text %q", tt.text, o, o)
		}
		if id, ok := o.Float(); id != tt.float || ok != (tt.float != "") {
			t.Errorf("%q: float %q, %v", tt.text, id, ok)
		}
		if got := o.In("eu"); got.String() != tt.in || tt.in != "" && got.Kind != events.OwnerForeign {
			t.Errorf("%q is %+v for other regions, want %q", tt.text, got, tt.in)
		}
		if region, there := o.Home(); region != tt.region || there.String() != tt.atThere {
			t.Errorf("%q is %q in region %q", tt.text, there, region)
		}
	}
}

// Whatever an event says of an owner stays what it was when it is written again, here and in another region.
func FuzzOwner(f *testing.F) {
	for _, s := range []string{"n1", "float.192.0.2.1", "us/n1", "us/float.192.0.2.1", "", "/", "float.", "us/", "/n1", "float./"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		o := events.ParseOwner(text)
		if o.String() != text {
			t.Fatalf("%q became %q", text, o)
		}
		if again := o.In("eu").In("us"); o != (events.Owner{}) && again != o.In("eu") {
			t.Fatalf("%q: %+v in two regions", text, again)
		}
		if o.Kind == events.OwnerForeign || o == (events.Owner{}) {
			return
		}
		if region, there := o.In("eu").Home(); region != "eu" || there != o {
			t.Fatalf("%q came back as %+v of %q", text, there, region)
		}
	})
}
