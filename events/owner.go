package events

import "strings"

// OwnerKind says what an owner of calls is.
type OwnerKind uint8

// The kinds of owners.
const (
	// OwnerNode is a node of this region; the call ends with its process, or is taken over.
	OwnerNode OwnerKind = iota
	// OwnerFloat is a floating address of this region: the call goes with it from node to node, and no event says so.
	OwnerFloat
	// OwnerForeign is a node or a floating address of another region, which was lost and whose calls were adopted.
	OwnerForeign
)

// Owner is who has a call: its addresses and ports are the owner's. Events name it by a text, which [ParseOwner] reads and
// [Owner.String] writes, and nothing else knows how it looks. An owner of kind OwnerNode is also how a node itself is named:
// as the writer of an event, and as the one that a command came to.
type Owner struct {
	Kind OwnerKind
	// Name is the id of the node or of the floating address; of an owner in another region, REGION/OWNER, where OWNER is its text
	// in that region. It is empty if nobody is named.
	Name string
}

const (
	floatPrefix     = "float." // no node's id has a dot
	regionSeparator = "/"      // no id has a slash
)

// ParseOwner reads the text of an owner. Every text is one: ParseOwner(text).String() == text.
func ParseOwner(text string) Owner {
	if strings.Contains(text, regionSeparator) {
		return Owner{OwnerForeign, text}
	}
	if id, ok := strings.CutPrefix(text, floatPrefix); ok {
		return Owner{OwnerFloat, id}
	}
	return Owner{OwnerNode, text}
}

// String is the owner's text in events.
func (o Owner) String() string {
	if o.Kind == OwnerFloat {
		return floatPrefix + o.Name
	}
	return o.Name
}

// Float returns the id of the floating address that is the owner; ok is false if that is none of this region.
func (o Owner) Float() (id string, ok bool) {
	if o.Kind != OwnerFloat {
		return "", false
	}
	return o.Name, true
}

// In is an owner of a region as other regions name it. One that was of another region already stays what it is.
func (o Owner) In(region string) Owner {
	if o == (Owner{}) || o.Kind == OwnerForeign {
		return o
	}
	return Owner{OwnerForeign, region + regionSeparator + o.String()}
}

// Home returns the region of an owner of another one, and the owner as that region names it; for one of this region, "" and itself.
func (o Owner) Home() (region string, there Owner) {
	if o.Kind != OwnerForeign {
		return "", o
	}
	region, text, _ := strings.Cut(o.Name, regionSeparator)
	return region, ParseOwner(text)
}
