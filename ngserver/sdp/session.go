package sdp

import "net/netip"

// Session is one v= block: its session lines and its media sections.
type Session struct {
	// Origin is nil if there was no o= line.
	Origin *Origin
	// Name is the text of s=, of the first one if there were several. HasName tells an empty s= from none.
	Name    string
	HasName bool
	// Info, URI, Email and Phone are the texts of the i=, u=, e= and p= lines, in order.
	Info, URI, Email, Phone []string
	// Connection is the session's c= line, nil if there was none.
	Connection *Connection
	// Bandwidth are the session's b= lines.
	Bandwidth []Bandwidth
	// Timing are the texts of the t= lines. The r= and z= lines that belong to them are dropped.
	Timing []string
	// Attributes are the session's a= lines.
	Attributes []Attribute
	// Media are the sections of this block and of all blocks after it. Each section looks session attributes and the
	// session's c= up in the block that it stands in.
	Media []Media
	// Next is the next v= block of the body, nil for the last.
	Next *Session

	have  kindSet
	first *[numKinds]int32 // index of each kind's first attribute, if have says that there is one
}

// Media is one m= section.
type Media struct {
	// Type is the media type as written: audio, video, image, message, application, text or anything else.
	Type string
	// Port is the port of the m= line; 0 marks a rejected or disabled section.
	Port uint16
	// Ports is the number of port pairs, 1 to MaxPorts; 1 if the line did not say.
	Ports int
	// Protocol is the transport as written, Proto what it means. It is "" if a section with port 0 has none.
	Protocol string
	Proto    Proto
	// Formats are the formats of the m= line: payload types for RTP.
	Formats []string
	// Info are the texts of the section's i= lines.
	Info []string
	// Connection is the section's own c= line, nil if there was none; Address knows the session's too.
	Connection *Connection
	// Bandwidth are the section's b= lines.
	Bandwidth []Bandwidth
	// Attributes are the section's a= lines.
	Attributes []Attribute
	// Line is the text after "m=".
	Line string

	session *Session
	have    kindSet
}

// MaxPorts is the largest number of port pairs that an m= line may ask for.
const MaxPorts = 10

// Origin is the o= line. Numbers stay text, because real ones exceed any integer; the address need not be one.
type Origin struct {
	Username  string // may hold spaces, may be empty
	SessionID string
	Version   string
	NetType   string
	AddrType  string
	Address   string
	Line      string // the text after "o="
}

// Connection is a c= line.
type Connection struct {
	NetType  string // as written
	AddrType string // as written
	Address  string // as written
	// Addr is the address. It is always valid; an IPv4 address that is mapped into IPv6 appears as IPv4.
	Addr netip.Addr
	Line string // the text after "c="
}

// Bandwidth is a b= line, well-formed or not.
type Bandwidth struct {
	Type  string // AS, RR, RS, CT, TIAS, …
	Value string
	Line  string // the text after "b="
}

// Attribute is an a= line.
type Attribute struct {
	Kind  Kind
	Name  string // up to the first colon
	Value string // after the first colon; "" if there was no colon
	Line  string // the text after "a=", as it came
}

// Session returns the v= block that the section stands in.
func (m *Media) Session() *Session { return m.session }

// Class returns the media type as NG's options name it: audio, video, image, message, text or application, and "other"
// for everything else. Case does not matter.
func (m *Media) Class() string {
	for _, c := range [...]string{"audio", "video", "image", "message", "text", "application"} {
		if equalFold(m.Type, c) {
			return c
		}
	}
	return "other"
}

// IsRTP reports whether the section's transport is one of the RTP profiles.
func (m *Media) IsRTP() bool { return m.Proto.IsRTP() }
