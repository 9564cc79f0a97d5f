// Package bencode reads and writes bencode as rtpengine's NG protocol uses it (docs/ng.md, "Envelope").
//
// It differs from the BitTorrent rules where NG clients do: keys may come in any order and more than once, what follows
// a value is the caller's, and the encoder keeps the order in which keys were added. Decoding is bounded: no allocation is sized by a
// number from the input, and nesting ends at MaxDepth. Byte strings are not copied: they alias the input.
//
// The package is pure. Its values are not safe for concurrent use while somebody changes them.
package bencode

// Dict is an ordered dictionary. Keys[i] belongs to Values[i]; a key may occur several times.
//
// A decoded Dict holds []byte, int64, List and *Dict. Encoding takes string, int and bool (as 1 or 0) as well.
type Dict struct {
	Keys   []string
	Values []any
}

// List is a list of the values that a Dict can hold.
type List []any

// Len is the number of entries, repeated keys counted each time.
func (d *Dict) Len() int { return len(d.Keys) }

// Get returns the value of key. Of a repeated key the last one counts. A nil Dict has no keys.
func (d *Dict) Get(key string) (any, bool) {
	if d == nil {
		return nil, false
	}
	for i := len(d.Keys) - 1; i >= 0; i-- {
		if d.Keys[i] == key {
			return d.Values[i], true
		}
	}
	return nil, false
}

// Add appends an entry, also if the key is there already, and returns d.
func (d *Dict) Add(key string, value any) *Dict {
	d.Keys = append(d.Keys, key)
	d.Values = append(d.Values, value)
	return d
}

// Set replaces the value of key in its place, or appends it, and returns d.
func (d *Dict) Set(key string, value any) *Dict {
	for i := len(d.Keys) - 1; i >= 0; i-- {
		if d.Keys[i] == key {
			d.Values[i] = value
			return d
		}
	}
	return d.Add(key, value)
}
