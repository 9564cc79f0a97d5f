package sdp

import (
	"errors"
	"strconv"
)

// ErrSyntax and ErrIncomplete are the two ways in which a body can be refused; every error of this package is an *Error
// that wraps one of them.
var (
	// ErrSyntax is a body that is no session description; NG calls it "Failed to parse SDP".
	ErrSyntax = errors.New("parse session description")
	// ErrIncomplete is a well-formed body that does not say where or what to send; NG calls it "Incomplete SDP
	// specification".
	ErrIncomplete = errors.New("session description is incomplete")
)

// Error says what is wrong and where. It holds nothing of the body but numbers, so it is safe to log.
type Error struct {
	Kind    error  // ErrSyntax or ErrIncomplete
	Line    int    // from 1; 0 if the fault is not in one line
	Section int    // m= section, from 1; 0 for the session part
	Problem string // a phrase such as "port out of range"
}

func (e *Error) Error() string {
	s := e.Kind.Error()
	if e.Line > 0 {
		s += ": line " + strconv.Itoa(e.Line)
	}
	if e.Section > 0 {
		s += ": section " + strconv.Itoa(e.Section)
	}
	return s + ": " + e.Problem
}

// Unwrap returns the kind, for errors.Is.
func (e *Error) Unwrap() error { return e.Kind }
