package floats

import (
	"encoding/json"
	"fmt"

	"rtpjet/projection/members"
	"rtpjet/relay/plan"
)

// RecordPrefix stands before a float's id in the keys of the bucket of leases.
const RecordPrefix = "float."

// Record is what the bucket of leases says of a float, for people, for nodes that start, and for those that do not have it
// among their own. Nobody waits for it: the holder writes it when the log takes writes.
type Record struct {
	Float     string `json:"float"`
	Epoch     uint64 `json:"epoch"`
	Holder    string `json:"holder"`
	Successor string `json:"successor,omitempty"`
	At        int64  `json:"at"` // µs of Unix time, of the last change

	// Interfaces are the addresses as calls see them, and Aliases other names of the interfaces.
	Interfaces []members.LeaseInterface `json:"interfaces,omitempty"`
	Aliases    map[string]string        `json:"aliases,omitempty"`
}

// Same tells whether two records say the same but for the time.
func (r Record) Same(o Record) bool {
	return r.Epoch == o.Epoch && r.Holder == o.Holder && r.Successor == o.Successor
}

// Encode returns the record as it stands in the bucket.
func (r Record) Encode() []byte {
	data, err := json.Marshal(r)
	if err != nil {
		panic(err) // nothing in a Record can fail
	}
	return data
}

// DecodeRecord reads a record.
func DecodeRecord(data []byte) (Record, error) {
	var r Record
	if err := json.Unmarshal(data, &r); err != nil {
		return Record{}, fmt.Errorf("record of a float: %w", err)
	}
	return r, nil
}

// Describe puts the addresses into the record.
func (r *Record) Describe(t *plan.Interfaces) {
	var l members.Lease
	l.Describe(t)
	r.Interfaces, r.Aliases = l.Interfaces, l.Aliases
}

// Table makes the table of the addresses.
func (r *Record) Table() (*plan.Interfaces, error) {
	l := members.Lease{Interfaces: r.Interfaces, Aliases: r.Aliases}
	return l.Table()
}
