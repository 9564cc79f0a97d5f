package regions_test

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"rtpjet/events"
	"rtpjet/projection/regions"
)

func taken(region, by string, seq, term uint64) regions.Record {
	return regions.Record{Region: region, Instance: region + "1", State: regions.Taken, By: by, Seq: seq, Upto: 50, Term: term, At: 5}
}

func TestDecide(t *testing.T) {
	us, ap := regions.Sighting{Region: "us", First: 1}, regions.Sighting{Region: "ap", First: 1}
	all := []regions.Sighting{us, ap}
	for name, tt := range map[string]struct {
		live, known, begins bool
		others              []regions.Sighting
		records             []regions.Record
		want                regions.Route
	}{
		"lives here":                {live: true, known: true},
		"lives here and elsewhere":  {live: true, known: true, others: all},
		"new":                       {begins: true},
		"new, and it was here once": {known: true, begins: true},
		"was here once":             {known: true},
		"nobody knows it":           {want: regions.Route{AskAll: true}},
		"elsewhere":                 {others: []regions.Sighting{us}, want: regions.Route{Home: "us"}},
		"offered again, elsewhere":  {begins: true, others: []regions.Sighting{us}, want: regions.Route{Home: "us"}},
		"was here, is elsewhere":    {known: true, others: []regions.Sighting{us}, want: regions.Route{Home: "us"}},
		"twins, one of them silent": {
			others: []regions.Sighting{{Region: "ap", First: 1, Silent: true}, us}, want: regions.Route{Home: "us"},
		},
		"twins, the other one silent": {
			others: []regions.Sighting{ap, {Region: "us", First: 1, Silent: true}}, want: regions.Route{Home: "ap"},
		},
		"twins, both silent": {
			others: []regions.Sighting{{Region: "us", First: 1, Silent: true}, {Region: "ap", First: 1, Silent: true}}, want: regions.Route{Home: "ap"},
		},
		"twins":                         {others: all, want: regions.Route{Home: "ap"}},
		"adopted, by whose mirror":      {others: all, records: []regions.Record{taken("ap", "us", 1, 1)}, want: regions.Route{Home: "us"}},
		"adopted, not mirrored yet":     {others: []regions.Sighting{us}, records: []regions.Record{taken("us", "ap", 1, 1)}, want: regions.Route{AskAll: true}},
		"adopted by this one, and over": {known: true, others: []regions.Sighting{us}, records: []regions.Record{taken("us", "eu", 1, 1)}},
		"adopted by this one, offered":  {begins: true, others: []regions.Sighting{us}, records: []regions.Record{taken("us", "eu", 1, 1)}},
		"promised is not adopted": {
			others: []regions.Sighting{us}, records: []regions.Record{{Region: "us", State: regions.Promised, By: "ap"}}, want: regions.Route{Home: "us"},
		},
		"returned": {
			others: []regions.Sighting{us}, records: []regions.Record{{Region: "us", State: regions.Returned, By: "ap"}}, want: regions.Route{Home: "us"},
		},
	} {
		if got := regions.Decide(tt.live, tt.known, tt.begins, tt.others, tt.records); got != tt.want {
			t.Errorf("%s: %+v, want %+v", name, got, tt.want)
		}
	}
}

func TestPromise(t *testing.T) {
	record := func(state, by string) regions.Record {
		return regions.Record{Region: "us", Instance: "u1", State: state, By: by, Seq: 3, Term: 2, At: 5}
	}
	for name, tt := range map[string]struct {
		have    regions.Record
		heard   bool
		refusal string
		state   string // afterwards, by eu
	}{
		"never lost":               {have: record("", ""), state: regions.Promised},
		"promised to it":           {have: record(regions.Promised, "eu"), state: regions.Promised},
		"returned from it":         {have: record(regions.Returned, "eu"), state: regions.Promised},
		"returned from another":    {have: record(regions.Returned, "ap"), state: regions.Promised},
		"adopted by it":            {have: record(regions.Taken, "eu"), state: regions.Taken},
		"heard":                    {have: record("", ""), heard: true, refusal: "it hears the region, or has not listened for it long enough"},
		"heard, promised to it":    {have: record(regions.Promised, "eu"), heard: true, refusal: "it hears the region, or has not listened for it long enough"},
		"promised to another":      {have: record(regions.Promised, "ap"), refusal: "it has promised the region to ap"},
		"adopted by another":       {have: record(regions.Taken, "ap"), refusal: "the region was adopted by ap"},
		"adopted, by another once": {have: record(regions.Taken, "ap"), heard: true, refusal: "it hears the region, or has not listened for it long enough"},
	} {
		want, refusal := regions.Promise(tt.have, "eu", !tt.heard, nil, 77)
		if refusal != tt.refusal {
			t.Errorf("%s: %q, want %q", name, refusal, tt.refusal)
		}
		expect := tt.have
		if tt.refusal == "" {
			if expect.State != regions.Taken {
				expect.At = 77
			}
			expect.State, expect.By = tt.state, "eu"
		}
		if want != expect {
			t.Errorf("%s: %+v, want %+v", name, want, expect)
		}
	}
}

func TestTake(t *testing.T) {
	us := func(state string, at int64) regions.Record {
		return regions.Record{Region: "us", Instance: "u1", State: state, By: "eu", Seq: 4, Term: 1, At: at}
	}
	other := us(regions.Promised, 70)
	other.By = "ap"
	first, again := us(regions.Taken, 77), us(regions.Taken, 77)
	first.Seq, first.Term, again.Seq, again.Term = 9, 2, 9, 2
	for name, tt := range map[string]struct {
		have, want regions.Record
		asked      int64
		refusal    string
	}{
		"first":               {have: us(regions.Promised, 70), want: first},
		"said once more":      {have: us(regions.Taken, 5), want: us(regions.Taken, 5)},
		"lost again":          {have: us(regions.Returned, 5), want: again},
		"promised to another": {have: other, want: other, refusal: "this region has promised us to ap"},
		"too late":            {have: us(regions.Promised, 70), want: us(regions.Promised, 70), asked: -regions.TakeTime, refusal: "the others have taken too long to promise it; say it once more"},
	} {
		if got, refusal := regions.Take(tt.have, "eu", 9, tt.asked, 77); got != tt.want || refusal != tt.refusal {
			t.Errorf("%s: %+v %q, want %+v %q", name, got, refusal, tt.want, tt.refusal)
		}
	}
}

func TestFence(t *testing.T) {
	for name, tt := range map[string]struct {
		records []regions.Record
		want    regions.Fence
		ok      bool
	}{
		"nothing":                 {},
		"another region":          {records: []regions.Record{taken("ap", "eu", 9, 1)}},
		"another one of its name": {records: []regions.Record{{Region: "us", Instance: "us2", State: regions.Taken, By: "eu", Seq: 9}}},
		"promised":                {records: []regions.Record{{Region: "us", Instance: "us1", State: regions.Promised, By: "eu", Seq: 9}}},
		"returned":                {records: []regions.Record{{Region: "us", Instance: "us1", State: regions.Returned, By: "eu", Seq: 9}}},
		"adopted":                 {records: []regions.Record{taken("us", "eu", 9, 2)}, want: regions.Fence{By: "eu", Seq: 9, Upto: 50, Term: 2}, ok: true},
		"the furthest of two":     {records: []regions.Record{taken("us", "eu", 9, 2), taken("us", "ap", 12, 1)}, want: regions.Fence{By: "ap", Seq: 12, Upto: 50, Term: 1}, ok: true},
		"in whatever order":       {records: []regions.Record{taken("us", "ap", 12, 1), taken("us", "eu", 9, 2)}, want: regions.Fence{By: "ap", Seq: 12, Upto: 50, Term: 1}, ok: true},
	} {
		if got, ok := regions.FenceOf("us", "us1", tt.records); got != tt.want || ok != tt.ok {
			t.Errorf("%s: %+v %v, want %+v %v", name, got, ok, tt.want, tt.ok)
		}
	}
}

// What one region has adopted says of each node where it is, and nothing else changes.
func TestAdopted(t *testing.T) {
	signalling := func(owner string) events.Signalling {
		return events.Signalling{Owner: owner, From: 0, To: 1, Request: 5}
	}
	ports := cmpopts.EquateComparable(netip.AddrPort{})
	for _, tt := range []struct{ have, want events.Event }{
		{events.Offered{Signalling: signalling("n1")}, events.Offered{Signalling: signalling("us/n1")}},
		{events.Offered{Signalling: signalling("")}, events.Offered{Signalling: signalling("")}},
		{events.Answered{Signalling: signalling("float.192.0.2.1")}, events.Answered{Signalling: signalling("us/float.192.0.2.1")}},
		{events.TakenOver{Owner: "n2", From: "n1"}, events.TakenOver{Owner: "us/n2", From: "us/n1"}},
		{events.TakenOver{Owner: "n2", From: "ap/n1"}, events.TakenOver{Owner: "us/n2", From: "ap/n1"}}, // adopted twice
		{events.EndpointLearned{Party: 1}, events.EndpointLearned{Party: 1}},
		{events.Ended{Reason: events.ReasonAdopted}, events.Ended{Reason: events.ReasonAdopted}},
	} {
		env := events.Envelope{Call: "c", Gen: 2, Node: "n1", At: 9, Event: tt.have, Cause: &events.Cause{Cookie: "k", Via: "ap/n3"}}
		want := env
		want.Node, want.Event = "us/n1", tt.want
		if diff := cmp.Diff(want, regions.Adopted(env, "us"), ports); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff(want, regions.Adopted(want, "us"), ports); diff != "" {
			t.Errorf("once more: %s", diff)
		}
	}
}

func TestNames(t *testing.T) {
	for _, tt := range []struct{ region, id, want string }{
		{"us", "n1", "us/n1"}, {"us", "", ""}, {"us", "ap/n1", "ap/n1"}, {"us", "float.192.0.2.1", "us/float.192.0.2.1"},
	} {
		if got := regions.Qualify(tt.region, tt.id); got != tt.want || (events.ParseOwner(got).Kind == events.OwnerForeign) != (tt.want != "") {
			t.Errorf("%s of %s is %s, %+v", tt.id, tt.region, got, events.ParseOwner(got))
		}
	}
}

func TestHeir(t *testing.T) {
	promised := regions.Record{Region: "us", State: regions.Promised, By: "ap"}
	taken := regions.Record{Region: "us", State: regions.Taken, By: "eu"}
	for name, tt := range map[string]struct {
		records []regions.Record
		want    string
	}{
		"nothing known":         {nil, ""},
		"another region":        {[]regions.Record{{Region: "ap", State: regions.Taken, By: "eu"}}, ""},
		"back again":            {[]regions.Record{{Region: "us", State: regions.Returned, By: "eu"}}, ""},
		"promised":              {[]regions.Record{promised}, "ap"},
		"adopted":               {[]regions.Record{taken}, "eu"},
		"promised, and adopted": {[]regions.Record{promised, taken}, "eu"},
	} {
		if got := regions.HeirOf("us", tt.records); got != tt.want {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
}
