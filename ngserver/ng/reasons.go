package ng

// The texts of error-reason, warning and message that clients compare or operators search for (docs/ng.md, "Replies").
// They are rtpengine's, letter by letter, with its differing capitals.
const (
	// The message itself.
	ReasonNoPayload      = "Invalid data (no payload)"
	ReasonBadBencode     = "Could not decode bencode dictionary"
	ReasonBadJSON        = "Failed to parse JSON document"
	ReasonBadJSONDict    = "Could not decode JSON dictionary"
	ReasonBadFormat      = "Invalid NG data format"
	ReasonNoCommand      = `Dictionary contains no key "command"`
	ReasonUnknownCommand = "Unrecognized command"
	ReasonNoHandler      = "No command handler"

	// Load shedding. Only ReasonSessionLimit makes Kamailio try another node.
	ReasonSessionLimit   = "Parallel session limit reached"
	ReasonCPULimit       = "CPU usage limit exceeded"
	ReasonLoadLimit      = "Load limit exceeded"
	ReasonBandwidthLimit = "Bandwidth limit exceeded"

	// Structure of sdp-attr and sdp-media-remove.
	ReasonWrongType           = "wrong type used"
	ReasonWrongContent        = "wrong content given"
	ReasonUnsupportedSection  = "unsupported sdp section"
	ReasonUnknownManipulation = "unknown manipulation command"

	// offer and answer, in the order of docs/ng.md, "Order of the checks of offer and answer".
	ReasonNoSDP           = "No SDP body in message"
	ReasonNoCallID        = "No call-id in message"
	ReasonNoFromTag       = "No from-tag in message"
	ReasonNoToTag         = "No to-tag in message"
	ReasonUnknownCallID   = "Unknown call-id" // answer, query
	ReasonParseSDP        = "Failed to parse SDP"
	ReasonIncompleteSDP   = "Incomplete SDP specification"
	ReasonInvalidDialogue = "Invalid dialogue association"
	ReasonOutOfPorts      = "Ran out of ports"
	ReasonRewriteSDP      = "Error rewriting SDP"

	// delete; also the text of its warning.
	ReasonNotFound = "Call-ID not found or tags didn't match"

	// list.
	ReasonInvalidLimit = "invalid limit, must be >= 0"

	// Party selection of the blocking commands.
	ReasonUnknownCallIDBlocking = "Unknown call-ID"
	ReasonNoSuchLabel           = "No monologue matching the given label"
	ReasonParseAddress          = "Failed to parse network address"
	ReasonMatchAddress          = "Failed to match address to any tag"
	ReasonNoSuchFromTag         = "From-tag given, but no such tag exists"

	// Ours: situations that rtpengine does not have.
	ReasonUnsupported   = "unsupported"
	ReasonInternal      = "Internal error"
	ReasonReplyTooLarge = "Reply too large for a datagram"
)

// A ReasonError is a request that is answered with an error; Reason is the text of error-reason.
type ReasonError struct{ Reason string }

func (e *ReasonError) Error() string { return "ng: " + e.Reason }

// Is makes two reason errors with the same text equal for errors.Is.
func (e *ReasonError) Is(target error) bool {
	t, ok := target.(*ReasonError)
	return ok && t.Reason == e.Reason
}

var (
	errNoPayload  = &ReasonError{ReasonNoPayload}
	errBadBencode = &ReasonError{ReasonBadBencode}
	errBadJSON    = &ReasonError{ReasonBadJSON}
	errBadFormat  = &ReasonError{ReasonBadFormat}

	// ErrNoCommand is returned by Parse for a dictionary without a command string.
	ErrNoCommand = &ReasonError{ReasonNoCommand}
	// ErrUnknownCommand is returned by Parse for a command that NG does not have.
	ErrUnknownCommand = &ReasonError{ReasonUnknownCommand}
)
