// Package sample has a type of each shape that gencodec knows, so that what it makes of them can be held against encoding/json.
package sample

import (
	"encoding/json"
	"net/netip"
	"strings"

	"rtpjet/events/compactjson"
)

//go:generate go run rtpjet/tools/gencodec

type encoder struct{ compactjson.Writer }

type decoder struct{ compactjson.Reader }

// Fact is a root whose types are told apart by a constant.
//
//gencodec:root
type Fact interface{ name() Name }

// Name tells them apart.
type Name string

// The names.
const (
	NameScalars Name = "scalars"
	NameNested  Name = "nested"
	NameAlone   Name = "alone"
	NameMany    Name = "many"
	NameRange   Name = "range"
)

func (Scalars) name() Name { return NameScalars }
func (Nested) name() Name  { return NameNested }
func (Alone) name() Name   { return NameAlone }
func (Many) name() Name    { return NameMany }
func (Range) name() Name   { return NameRange }
func (o Other) name() Name { return o.Name }

// Other is of a name that is not known: it has no codec.
type Other struct{ Name Name }

// Colour and Size are named kinds.
type (
	Colour string
	Size   uint16
	Depth  int8
	On     bool
)

// Scalars has each kind, as it is, unless it is empty, and unless it is zero.
type Scalars struct {
	String  string         `json:"string"`
	Colour  Colour         `json:"colour"`
	Bool    bool           `json:"bool"`
	On      On             `json:"on"`
	Int     int            `json:"int"`
	Int8    int8           `json:"int8"`
	Int16   int16          `json:"int16"`
	Int32   int32          `json:"int32"`
	Int64   int64          `json:"int64"`
	Uint    uint           `json:"uint"`
	Uint8   uint8          `json:"uint8"`
	Uint16  uint16         `json:"uint16"`
	Uint32  uint32         `json:"uint32"`
	Uint64  uint64         `json:"uint64"`
	Size    Size           `json:"size"`
	Depth   Depth          `json:"depth"`
	Addr    netip.Addr     `json:"addr"`
	Port    netip.AddrPort `json:"port"`
	Skipped string         `json:"-"`

	OptString string `json:"opt_string,omitempty"`
	OptColour Colour `json:"opt_colour,omitempty"`
	OptBool   bool   `json:"opt_bool,omitempty"`
	OptInt    int    `json:"opt_int,omitempty"`
	OptInt64  int64  `json:"opt_int64,omitempty"`
	OptUint   uint   `json:"opt_uint,omitempty"`
	OptSize   Size   `json:"opt_size,omitempty"`

	ZeroString string         `json:"zero_string,omitzero"`
	ZeroBool   On             `json:"zero_bool,omitzero"`
	ZeroInt    Depth          `json:"zero_int,omitzero"`
	ZeroBoth   uint32         `json:"zero_both,omitempty,omitzero"`
	ZeroAddr   netip.Addr     `json:"zero_addr,omitzero"`
	ZeroPort   netip.AddrPort `json:"zero_port,omitzero"`
	ZeroDay    Day            `json:"zero_day,omitzero"`
}

// Day says itself when it is zero.
type Day int

// IsZero tells whether there is no day.
func (d Day) IsZero() bool { return d <= 0 }

// Pair is small and can be compared.
type Pair struct {
	A int    `json:"a,omitempty"`
	B string `json:"b"`
}

// Large is too large for the stack, and holds a list.
type Large struct {
	Pairs [8]Pair  `json:"pairs,omitzero"`
	Names []string `json:"names"`
}

// Nested has all that holds something else.
type Nested struct {
	Pair    Pair  `json:"pair"`
	OptPair Pair  `json:"opt_pair,omitzero"`
	Large   Large `json:"large"`

	Strings    []string     `json:"strings"`
	OptStrings []string     `json:"opt_strings,omitempty"`
	Ints       []int        `json:"ints,omitempty"`
	AllInts    []int        `json:"all_ints"`
	Sizes      []Size       `json:"sizes,omitempty"`
	ZeroSizes  []Size       `json:"zero_sizes,omitzero"`
	Addrs      []netip.Addr `json:"addrs,omitempty"`
	Pairs      []Pair       `json:"pairs"`
	OptPairs   []Pair       `json:"opt_pairs,omitempty"`
	Larges     []Large      `json:"larges,omitempty"`
	Codes      []Code       `json:"codes,omitempty"`

	Flags    [3]bool `json:"flags"`
	OptFlags [3]bool `json:"opt_flags,omitzero"`

	Int      *int      `json:"int,omitempty"`
	NullInt  *int      `json:"null_int"`
	Bool     *bool     `json:"bool,omitzero"`
	PairAt   *Pair     `json:"pair_at,omitempty"`
	NullPair *Pair     `json:"null_pair"`
	PairsAt  *[]Pair   `json:"pairs_at,omitempty"`
	NamesAt  *[]string `json:"names_at,omitempty"`
	IntsAt   *[]int    `json:"ints_at,omitempty"`
	CodeAt   *Code     `json:"code_at,omitempty"`

	Upper string `json:"upper" read:"upper"` // by a method of its own
	Code  Code   `json:"code"`
	Zero  Code   `json:"zero,omitzero"`
}

// Alone consists of another struct, as [Range] has one among its own fields.
type Alone struct{ Pair }

// Range has a name that as a method would be a keyword.
type Range struct {
	Pair
	From int `json:"from"`
	To   int `json:"to"`
}

// Code is written in letters, by hand; so encoding/json needs methods too.
type Code struct{ n uint8 }

// MarshalJSON writes the letters.
func (c Code) MarshalJSON() ([]byte, error) { return json.Marshal(c.letters()) }

// UnmarshalJSON reads what MarshalJSON writes.
func (c *Code) UnmarshalJSON(data []byte) error {
	var s string
	err := json.Unmarshal(data, &s)
	c.n = uint8(len(s))
	return err
}

// IsZero tells whether there are no letters.
func (c Code) IsZero() bool { return c.n == 0 }

func (c Code) letters() string { return strings.Repeat("x", int(c.n)) }

func (e *encoder) code(c *Code) { e.String(c.letters()) }

func (d *decoder) code(c *Code) { c.n = uint8(len(d.Text())) }

func (d *decoder) upper(s *string) { *s = string(d.Text()) }

// Encode writes a fact as {"name":…,"fact":…}; nil if a string in it is not UTF-8.
func Encode(f Fact) []byte {
	var e encoder
	e.Open('{')
	e.StringField(`"name":`, string(f.name()))
	e.Key(`"fact":`)
	e.fact(f)
	e.Close('}')
	if e.Invalid() {
		return nil
	}
	return e.Bytes()
}

// Decode reads what Encode writes. ok is false for all else.
func Decode(data []byte) (f Fact, ok bool) {
	d := decoder{compactjson.NewReader(data)}
	if !d.Literal(`{"name":`) {
		return nil, false
	}
	name := d.Text()
	if !d.Literal(`,"fact":`) {
		return nil, false
	}
	if f = d.fact(name); f == nil {
		return nil, false
	}
	d.Want('}')
	return f, !d.Bad() && len(d.Rest()) == 0
}

func unmarshal[F Fact](body json.RawMessage) (Fact, error) {
	var f F
	err := json.Unmarshal(body, &f)
	return f, err
}

// Many has more fields than a word has bits.
type Many struct {
	F0  int `json:"f0,omitempty"`
	F1  int `json:"f1,omitempty"`
	F2  int `json:"f2,omitempty"`
	F3  int `json:"f3,omitempty"`
	F4  int `json:"f4,omitempty"`
	F5  int `json:"f5,omitempty"`
	F6  int `json:"f6,omitempty"`
	F7  int `json:"f7,omitempty"`
	F8  int `json:"f8,omitempty"`
	F9  int `json:"f9,omitempty"`
	F10 int `json:"f10,omitempty"`
	F11 int `json:"f11,omitempty"`
	F12 int `json:"f12,omitempty"`
	F13 int `json:"f13,omitempty"`
	F14 int `json:"f14,omitempty"`
	F15 int `json:"f15,omitempty"`
	F16 int `json:"f16,omitempty"`
	F17 int `json:"f17,omitempty"`
	F18 int `json:"f18,omitempty"`
	F19 int `json:"f19,omitempty"`
	F20 int `json:"f20,omitempty"`
	F21 int `json:"f21,omitempty"`
	F22 int `json:"f22,omitempty"`
	F23 int `json:"f23,omitempty"`
	F24 int `json:"f24,omitempty"`
	F25 int `json:"f25,omitempty"`
	F26 int `json:"f26,omitempty"`
	F27 int `json:"f27,omitempty"`
	F28 int `json:"f28,omitempty"`
	F29 int `json:"f29,omitempty"`
	F30 int `json:"f30,omitempty"`
	F31 int `json:"f31,omitempty"`
	F32 int `json:"f32,omitempty"`
	F33 int `json:"f33,omitempty"`
	F34 int `json:"f34,omitempty"`
	F35 int `json:"f35,omitempty"`
	F36 int `json:"f36,omitempty"`
	F37 int `json:"f37,omitempty"`
	F38 int `json:"f38,omitempty"`
	F39 int `json:"f39,omitempty"`
	F40 int `json:"f40,omitempty"`
	F41 int `json:"f41,omitempty"`
	F42 int `json:"f42,omitempty"`
	F43 int `json:"f43,omitempty"`
	F44 int `json:"f44,omitempty"`
	F45 int `json:"f45,omitempty"`
	F46 int `json:"f46,omitempty"`
	F47 int `json:"f47,omitempty"`
	F48 int `json:"f48,omitempty"`
	F49 int `json:"f49,omitempty"`
	F50 int `json:"f50,omitempty"`
	F51 int `json:"f51,omitempty"`
	F52 int `json:"f52,omitempty"`
	F53 int `json:"f53,omitempty"`
	F54 int `json:"f54,omitempty"`
	F55 int `json:"f55,omitempty"`
	F56 int `json:"f56,omitempty"`
	F57 int `json:"f57,omitempty"`
	F58 int `json:"f58,omitempty"`
	F59 int `json:"f59,omitempty"`
	F60 int `json:"f60,omitempty"`
	F61 int `json:"f61,omitempty"`
	F62 int `json:"f62,omitempty"`
	F63 int `json:"f63,omitempty"`
	F64 int `json:"f64,omitempty"`
	F65 int `json:"f65,omitempty"`
	F66 int `json:"f66,omitempty"`
	F67 int `json:"f67,omitempty"`
	F68 int `json:"f68,omitempty"`
	F69 int `json:"f69,omitempty"`
}
