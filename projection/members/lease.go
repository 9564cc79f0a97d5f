package members

import (
	"encoding/json"
	"fmt"
	"net/netip"

	"rtpjet/relay/plan"
)

// LeasePrefix stands before a node's id in the keys of the bucket of leases.
const LeasePrefix = "node."

// States of a lease.
const (
	Up   = "up"   // held by the node
	Down = "down" // given back: the node ended as it should
	Lost = "lost" // claimed by a peer, because the node was gone
)

// Lease is a node's claim to its name and to the calls that it owns, as it stands in the bucket. Epoch is the fencing token:
// it grows with each claim, whoever makes it. A node that finds another epoch than its own has lost the lease.
type Lease struct {
	Format   int    `json:"format"`          // version of the events that the node writes
	Level    int    `json:"level,omitempty"` // of the events that it reads; absent: events.LevelFirst
	Node     string `json:"node"`
	Epoch    uint64 `json:"epoch"`
	State    string `json:"state"`
	Instance string `json:"instance"`     // of the process
	By       string `json:"by,omitempty"` // who claimed a lost one
	At       int64  `json:"at"`           // µs of Unix time, of the last change
	Version  string `json:"version"`      // of the program
	Started  int64  `json:"started"`      // µs of Unix time
	Draining bool   `json:"draining,omitempty"`
	Zone     string `json:"zone,omitempty"` // where the node is

	NG         []string         `json:"ng,omitempty"`
	UDP        netip.AddrPort   `json:"udp,omitzero"`    // where it hears heartbeats
	Keeper     netip.AddrPort   `json:"keeper,omitzero"` // where its keeper of floating addresses hears others
	Interfaces []LeaseInterface `json:"interfaces,omitempty"`
	// Aliases are other names of interfaces.
	Aliases map[string]string `json:"aliases,omitempty"`
}

// LeaseInterface is one media address of a node.
type LeaseInterface struct {
	Name       string     `json:"name"`
	Addr       netip.Addr `json:"addr"`
	Advertised netip.Addr `json:"advertised"`
	Min        uint16     `json:"min"`
	Max        uint16     `json:"max"`
	Zone       string     `json:"zone,omitempty"`
}

// Encode returns the lease as it stands in the bucket.
func (l Lease) Encode() []byte {
	data, err := json.Marshal(l)
	if err != nil {
		panic(err) // nothing in a Lease can fail
	}
	return data
}

// DecodeLease reads a lease.
func DecodeLease(data []byte) (Lease, error) {
	var l Lease
	if err := json.Unmarshal(data, &l); err != nil {
		return Lease{}, fmt.Errorf("lease: %w", err)
	}
	return l, nil
}

// Describe puts a node's media addresses into the lease.
func (l *Lease) Describe(t *plan.Interfaces) {
	l.Interfaces, l.Aliases = nil, t.Aliases()
	for _, i := range t.All() {
		l.Interfaces = append(l.Interfaces, LeaseInterface{i.Name, i.Addr, i.Advertised, i.Ports.Min, i.Ports.Max, i.Zone})
	}
}

// Table makes the table of the node's media addresses.
func (l *Lease) Table() (*plan.Interfaces, error) {
	var list []plan.Interface
	for _, i := range l.Interfaces {
		list = append(list, plan.Interface{
			Name: i.Name, Addr: i.Addr, Advertised: i.Advertised, Ports: plan.PortRange{Min: i.Min, Max: i.Max}, Zone: i.Zone,
		})
	}
	return plan.NewInterfaces(list, l.Aliases)
}
