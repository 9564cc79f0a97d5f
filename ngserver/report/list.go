package report

import "rtpjet/ngserver/ng"

// DefaultLimit is the limit of list if the request names none, as rtpengine's documentation has it ("list" message).
const DefaultLimit = 32

// Limit returns how many calls the request wants to see. The error is a *ng.ReasonError.
func Limit(req *ng.Request) (int, error) {
	switch {
	case req.Limit == ng.LimitUnset:
		return DefaultLimit, nil
	case req.Limit < 0:
		return 0, &ng.ReasonError{Reason: ng.ReasonInvalidLimit}
	}
	return req.Limit, nil
}

// List fills o with the reply of list: the first limit ids, all of them if limit is negative.
func List(o *ng.Object, ids []string, limit int) {
	if limit >= 0 && limit < len(ids) {
		ids = ids[:limit]
	}
	o.Strs("calls", ids...)
}
