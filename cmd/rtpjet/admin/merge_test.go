package admin

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rtpjet/projection/members"
	"rtpjet/projection/regions"
)

// said are nodes with what each says; one without a status does not answer.
func said(list ...*Status) []Node {
	out := make([]Node, len(list))
	for i, s := range list {
		out[i] = Node{Lease: members.Lease{Node: "n" + string(rune('1'+i))}, Status: s}
	}
	return out
}

func TestFloats(t *testing.T) {
	float := func(s FloatStatus) *Status { v := holds(s); return &v }
	for name, tt := range map[string]struct {
		nodes []Node
		want  []Float
	}{
		"no node":        {nil, nil},
		"nobody answers": {said(nil, nil), nil},
		"the holder's word counts most": {
			said(
				float(FloatStatus{Float: "a", Holder: "n2", Epoch: 9, Calls: 1}),
				float(FloatStatus{Float: "a", Holder: "n2", Epoch: 3, Holding: true, Calls: 7}),
			),
			[]Float{{FloatStatus: FloatStatus{Float: "a", Holder: "n2", Epoch: 3, Holding: true, Calls: 7}}},
		},
		"then the newest": {
			said(
				float(FloatStatus{Float: "a", Holder: "n3", Epoch: 4}), float(FloatStatus{Float: "a", Holder: "n3", Epoch: 5}),
				float(FloatStatus{Float: "a", Holder: "n3", Epoch: 3}),
			),
			[]Float{{FloatStatus: FloatStatus{Float: "a", Holder: "n3", Epoch: 5}}},
		},
		"any word is better than none": {
			said(float(FloatStatus{Float: "a", Epoch: 5}), float(FloatStatus{Float: "a", Holder: "n2", Epoch: 4})),
			[]Float{{FloatStatus: FloatStatus{Float: "a", Holder: "n2", Epoch: 4}, Seen: map[string]string{"n1": "", "n2": "n2"}}},
		},
		"those that do not agree, and those that are warm": {
			said(
				float(FloatStatus{Float: "a", Holder: "n1", Holding: true, Warm: true}),
				float(FloatStatus{Float: "a", Holder: "n2", Warm: true}), float(FloatStatus{Float: "a", Holder: "n1", Warm: true}),
			),
			[]Float{{
				FloatStatus: FloatStatus{Float: "a", Holder: "n1", Holding: true, Warm: true}, Warm: []string{"n2", "n3"},
				Seen: map[string]string{"n1": "n1", "n2": "n2", "n3": "n1"},
			}},
		},
		"in the order of their names": {
			said(&Status{Floats: []FloatStatus{{Float: "b", Holder: "n1"}, {Float: "a", Holder: "n1"}}}),
			[]Float{{FloatStatus: FloatStatus{Float: "a", Holder: "n1"}}, {FloatStatus: FloatStatus{Float: "b", Holder: "n1"}}},
		},
	} {
		if diff := cmp.Diff(tt.want, Floats(tt.nodes)); diff != "" {
			t.Errorf("%s:\n%s", name, diff)
		}
	}
}

func TestRegions(t *testing.T) {
	region := func(s regions.Status) *Status { return &Status{Regions: []regions.Status{s}} }
	us := func(state string, age int64) regions.Status {
		return regions.Status{Region: "us", State: state, AgeMS: age}
	}
	for name, tt := range map[string]struct {
		nodes []Node
		want  []Region
	}{
		"none":           {nil, []Region{}},
		"nobody answers": {said(nil), []Region{}},
		"the younger mirror": {
			said(region(us(regions.Up, 20)), region(us(regions.Up, 5)), region(us(regions.Up, -1)), region(us(regions.Up, 9))),
			[]Region{{Status: us(regions.Up, 5)}},
		},
		"any mirror is better than none": {
			said(region(us(regions.Up, -1)), region(us(regions.Up, 9))), []Region{{Status: us(regions.Up, 9)}},
		},
		"one that hears it": {
			said(region(us(regions.CutOff, 1)), region(us(regions.Up, 300)), region(us(regions.Connecting, 1))),
			[]Region{{Status: us(regions.Up, 300), Seen: map[string]string{"n1": regions.CutOff, "n2": regions.Up, "n3": regions.Connecting}}},
		},
		"what speaks against it": {
			said(region(us(regions.Up, 1)), region(us(regions.Refused, -1))),
			[]Region{{Status: us(regions.Refused, -1), Seen: map[string]string{"n1": regions.Up, "n2": regions.Refused}}},
		},
		"in the order of their names": {
			said(&Status{Regions: []regions.Status{us(regions.Up, 1), {Region: "ap", State: regions.Up}}}),
			[]Region{{Status: regions.Status{Region: "ap", State: regions.Up}}, {Status: us(regions.Up, 1)}},
		},
	} {
		if diff := cmp.Diff(tt.want, Regions(tt.nodes)); diff != "" {
			t.Errorf("%s:\n%s", name, diff)
		}
	}
}

func TestNamed(t *testing.T) {
	list := []Float{
		{FloatStatus: FloatStatus{Float: "192.0.2.1", Addresses: []string{"pub/192.0.2.1", "priv/10.0.0.1"}}},
		{FloatStatus: FloatStatus{Float: "192.0.2.2", Addresses: []string{"pub/192.0.2.2", "voice/10.0.0.2"}}},
	}
	for name, want := range map[string]string{
		"192.0.2.1": "192.0.2.1", "10.0.0.2": "192.0.2.2", "priv": "192.0.2.1", "voice": "192.0.2.2", "pub/192.0.2.2": "192.0.2.2",
	} {
		if f, err := named(list, name); err != nil || f.Float != want {
			t.Errorf("%s: %s, %v", name, f.Float, err)
		}
	}
	for name, want := range map[string]string{
		"192.0.2.3": "there is no floating address 192.0.2.3; rtpjet float list shows them",
		"pub":       "pub stands for 2 floating addresses; name one by its address, as in rtpjet float list",
		"":          "there is no floating address ; rtpjet float list shows them",
	} {
		if f, err := named(list, name); err == nil || err.Error() != want {
			t.Errorf("%q: %s, %v", name, f.Float, err)
		}
	}
	if _, err := named(nil, "pub"); err == nil || !strings.Contains(err.Error(), "give its nodes a --float") {
		t.Error(err)
	}
}
