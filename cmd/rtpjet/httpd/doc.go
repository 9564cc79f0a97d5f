// Package httpd is the HTTP listener of a node: what its metrics, its probes and whatever else is mounted beside them are
// asked through. It is off unless --listen-http asks for it.
//
// Whoever asks must not be able to slow the node: connections are bounded, so are the time and the size of a request, and
// [Limit] bounds how many requests of one kind are at work. A handler that streams sets its own write deadline, with
// http.NewResponseController; the request's context ends when the listener does.
package httpd
