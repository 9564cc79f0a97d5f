package bench

import "bytes"

// template is the datagram of a request that is sent again and again, with another call's number and port each time. Its
// dictionary is written by the library once: that takes longer than all else that a call costs the client, and a call has three.
type template struct {
	datagram []byte
	numbers  []int // where the number stands
	port     int   // where the port of the m= line stands; 0: there is none
}

// What stands in a template's request in the place of what changes. No other part of a request has as many nines.
const (
	anyNumber = "99999999999"
	anyPort   = 55555
)

// newTemplate makes a template of a request whose identifiers, and whose cookie, have anyNumber in them, and whose SDP has
// anyPort.
func newTemplate(r request, cookie string) *template {
	t := &template{datagram: r.append(nil, cookie)}
	for at := 0; ; at += len(anyNumber) {
		next := bytes.Index(t.datagram[at:], []byte(anyNumber))
		if next < 0 {
			break
		}
		at += next
		t.numbers = append(t.numbers, at)
	}
	const line = "m=audio "
	if at := bytes.Index(t.datagram, []byte(line+"55555 ")); at >= 0 {
		t.port = at + len(line)
	}
	return t
}

// with returns the datagram for a call, until the next one is asked for. number has at most as many digits as anyNumber, and
// port five.
func (t *template) with(number int, port uint16) []byte {
	for _, at := range t.numbers {
		writeDigits(t.datagram[at:at+len(anyNumber)], uint64(number))
	}
	if t.port > 0 {
		writeDigits(t.datagram[t.port:t.port+5], uint64(port))
	}
	return t.datagram
}

// writeDigits fills b with a number, with zeros in front.
func writeDigits(b []byte, n uint64) {
	for i := len(b) - 1; i >= 0; i-- {
		b[i] = byte('0' + n%10)
		n /= 10
	}
}
