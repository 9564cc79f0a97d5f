package floats

import (
	"encoding/json"
	"fmt"
)

// Path is a way on which nodes hear each other.
type Path uint8

// The paths.
const (
	NATS Path = iota
	UDP
	paths
)

// Pulse is what a node tells all others, many times a second.
type Pulse struct {
	Node string `json:"n"`
	// Run grows with each process of the node.
	Run uint64 `json:"r"`
	// Count is one more in each pulse.
	Count uint64 `json:"c"`
	Acks  []Ack  `json:"a,omitempty"`
	// Floats is how the node sees each float.
	Floats []View `json:"f,omitempty"`
	// Draining nodes want no floats.
	Draining bool `json:"d,omitempty"`
}

// Ack says which pulse of a node was heard last, on any path.
type Ack struct {
	Node  string `json:"n"`
	Run   uint64 `json:"r"`
	Count uint64 `json:"c"`
	// UDP is true if one was heard by UDP lately.
	UDP bool `json:"u,omitempty"`
}

// View is how a node sees a float: the claim by which it stands, and what it can do itself.
type View struct {
	Float  string `json:"f"`
	Epoch  uint64 `json:"e,omitempty"` // of the claim; it grows with each new one
	Holder string `json:"h,omitempty"` // the claimant
	Run    uint64 `json:"r,omitempty"` // the claimant's process
	// Successor is whom the holder has named.
	Successor string `json:"s,omitempty"`
	// Released is for whom the holder has given the float up; Anybody if it has no one in mind.
	Released string `json:"x,omitempty"`
	// Consent says, with a claim, that the holder before gave the float to the claimant.
	Consent bool `json:"o,omitempty"`
	// Carry is true if the sender could hold the float; Warm if it has all its calls ready.
	Carry bool `json:"k,omitempty"`
	Warm  bool `json:"w,omitempty"`
}

// Anybody is whom a float is released for that nobody was named for.
const Anybody = "*"

// claims tells whether the pulse's sender claims the float of v itself.
func (p *Pulse) claims(v *View) bool {
	return v.Holder == p.Node && v.Run == p.Run && v.Released == "" && v.Epoch > 0
}

func (p *Pulse) view(float string) *View {
	for i := range p.Floats {
		if p.Floats[i].Float == float {
			return &p.Floats[i]
		}
	}
	return nil
}

// Encode returns the pulse as it goes over the wire.
func (p Pulse) Encode() []byte {
	data, err := json.Marshal(p)
	if err != nil {
		panic(err) // nothing in a Pulse can fail
	}
	return data
}

// DecodePulse reads a pulse.
func DecodePulse(data []byte) (Pulse, error) {
	var p Pulse
	if err := json.Unmarshal(data, &p); err != nil {
		return Pulse{}, fmt.Errorf("pulse: %w", err)
	}
	if p.Node == "" || p.Run == 0 {
		return Pulse{}, fmt.Errorf("pulse: it has no sender")
	}
	return p, nil
}
