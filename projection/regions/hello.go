package regions

import "slices"

// Hello is what a node of one region tells a node of another, and is told in turn.
type Hello struct {
	Region   string `json:"region"`
	Instance string `json:"instance"` // of the region: another one of the same name has another
	Node     string `json:"node"`
	Format   int    `json:"format"`          // version of the events that the region writes
	Level    int    `json:"level,omitempty"` // of events that all its nodes read; absent: events.LevelFirst
	At       int64  `json:"at"`              // µs of Unix time by the node's clock
	Head     uint64 `json:"head"`            // the sequence up to which the node knows the stream of its region
	Ready    bool   `json:"ready"`           // the node answers commands
	// Records are what the region has noted of regions that were lost.
	Records []Record `json:"records,omitempty"`
	// Refused says why the answering region does not want to hear of the greeting one; empty: it does.
	Refused string `json:"refused,omitempty"`
}

// States of a record.
const (
	Promised = "promised" // to By, who may adopt the calls of the region
	Taken    = "adopted"  // by By, up to Seq
	Returned = "returned" // the region is back and has ended what was adopted
)

// Record is what a region has noted of another one, in its bucket of leases under the key that [RecordKey] makes.
type Record struct {
	Region string `json:"region"`
	// Instance is the region's identity. What calls itself so and has another one is another region.
	Instance string `json:"instance"`
	// Level is that of events that the region read when it was heard last; 0: it did not say.
	Level int `json:"level,omitempty"`
	// State is empty as long as the region was never lost.
	State string `json:"state,omitempty"`
	By    string `json:"by,omitempty"`  // the region that adopts
	Seq   uint64 `json:"seq,omitempty"` // of the lost region's stream: what began up to here is adopted
	At    int64  `json:"at,omitempty"`  // µs of Unix time, of the last change
	// Upto is the end of By's stream when it had all of these calls; 0: it has not all of them yet.
	Upto uint64 `json:"upto,omitempty"`
	// Term counts the adoptions of the region by By.
	Term uint64 `json:"term,omitempty"`
}

// RecordKey is where the record of a region is in the bucket of leases.
func RecordKey(region string) string { return "region." + region }

// Adopts tells whether calls of the region are another one's at the moment.
func (r Record) Adopts() bool { return r.State == Taken }

// Fence is what a region must end of its own: all calls that began up to the sequence, which By has adopted. They are in By's
// stream up to Upto.
type Fence struct {
	By   string
	Seq  uint64
	Upto uint64
	Term uint64
}

// FenceOf finds what records of others say of a region of this name and identity; ok is false if none of its calls is adopted, or
// not all of them yet: an adoption that was broken off must not end what nobody has. Of several the one that reaches furthest
// counts.
func FenceOf(region, instance string, records []Record) (f Fence, ok bool) {
	for _, r := range records {
		if r.Region == region && r.Instance == instance && r.Adopts() && r.Upto > 0 && (!ok || r.Seq > f.Seq) {
			f, ok = Fence{By: r.By, Seq: r.Seq, Upto: r.Upto, Term: r.Term}, true
		}
	}
	return f, ok
}

// HeirOf says which region has the calls of another one that is silent, or may have them by now: it was promised them, and what
// it has adopted is not in its mirror at once. Empty: none.
func HeirOf(region string, records []Record) string {
	if by := AdopterOf(region, records); by != "" {
		return by
	}
	i := slices.IndexFunc(records, func(r Record) bool { return r.Region == region && r.State == Promised })
	if i < 0 {
		return ""
	}
	return records[i].By
}

// AdopterOf says which region has the calls of another one now; empty: that one itself.
func AdopterOf(region string, records []Record) string {
	i := slices.IndexFunc(records, func(r Record) bool { return r.Region == region && r.Adopts() })
	if i < 0 {
		return ""
	}
	return records[i].By
}
