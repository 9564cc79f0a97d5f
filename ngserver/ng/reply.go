package ng

// Values of the key result (docs/ng.md, "Replies").
const (
	ResultOK        = "ok"
	ResultPong      = "pong"
	ResultError     = "error"
	ResultLoadLimit = "load limit"
)

// Reply is what a command is answered with: a result, and the command's own keys in front of it. Make one with OK, Pong,
// Error, LoadLimit or Raw, and add keys through the embedded Object's methods:
//
//	r := ng.OK()
//	r.Bytes("sdp", sdp)
//	return r
//
// A Reply is a small handle: copies share their keys. It is not safe for concurrent use.
type Reply struct {
	*Object
	result string
	reason string // of an error
	raw    []byte
}

// OK is a success. Its keys are added by the caller.
func OK() Reply { return Reply{Object: NewObject(), result: ResultOK} }

// Warning is a success with a warning, delete's answer for a call that is not there.
func Warning(text string) Reply {
	r := OK()
	r.Str("warning", text)
	return r
}

// Pong is the answer to ping.
func Pong() Reply { return Reply{Object: NewObject(), result: ResultPong} }

// Error is a failure. reason should be one of the Reason constants: clients compare some of them.
func Error(reason string) Reply {
	r := Reply{Object: NewObject(), result: ResultError, reason: reason}
	return r
}

// LoadLimit is the answer of a node that takes no new calls. text is one of the load reasons. A client that did not say
// that it knows this result (Request.SupportsLoadLimit) gets the error of a session limit, whatever the limit was, since
// that text is what makes it try another node.
func LoadLimit(r *Request, text string) Reply {
	if r == nil || !r.SupportsLoadLimit() {
		return Error(ReasonSessionLimit)
	}
	return Reply{Object: NewObject().Str("message", text), result: ResultLoadLimit}
}

// Raw is a reply that was encoded before, on this node or another one, and is sent again byte for byte. payload is without
// cookie and must be in the encoding of the request.
func Raw(payload []byte) Reply { return Reply{Object: NewObject(), raw: payload} }

// Encoded returns the reply with what Append has made of it for the request's encoding, so that it is encoded once.
func (r Reply) Encoded(payload []byte) Reply {
	r.raw = payload
	return r
}

// Result is the value of the key result, "" for a Raw reply.
func (r Reply) Result() string { return r.result }

// Reason is the text of error-reason, "" if the reply is no error.
func (r Reply) Reason() string { return r.reason }

// Append appends the reply in the given encoding to dst. The result comes after the command's keys, and the reason of an
// error after that, as rtpengine prints them. The zero Reply is an internal error.
func (r Reply) Append(dst []byte, enc Encoding) []byte {
	if r.raw != nil {
		return append(dst, r.raw...)
	}
	result, reason := r.result, r.reason
	if result == "" {
		result, reason = ResultError, ReasonInternal
	}
	var tail Object
	tail.Str("result", result)
	if result == ResultError {
		tail.Str("error-reason", reason)
	}
	if enc == JSON {
		dst = append(dst, '{')
		if r.Object != nil && r.Len() > 0 {
			dst = r.appendJSON(dst)
			dst = append(dst, ',')
		}
		dst = tail.appendJSON(dst)
		return append(dst, '}')
	}
	dst = append(dst, 'd')
	if r.Object != nil {
		dst = r.appendBencode(dst)
	}
	dst = tail.appendBencode(dst)
	return append(dst, 'e')
}
