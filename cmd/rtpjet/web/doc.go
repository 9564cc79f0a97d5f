// Package web is the page to look at a cluster and its calls, and the JSON that the page is made of (docs/web.md). It is mounted
// on the HTTP listener of a node and asks that for everything, through [Source].
//
// Whoever looks must not slow the node: lists are searched and cut here and not in the browser, answers are made once for all
// who look at the same time, and a browser that does not read is let go. Whoever wants to change something says a token in the
// Authorization header; there is no cookie, so another site has nothing to abuse.
package web
