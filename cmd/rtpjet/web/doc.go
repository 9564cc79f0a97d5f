// Package web is the page to look at a cluster and its calls, and the JSON that the page is made of (docs/web.md). It is mounted
// on the HTTP listener of a node and asks that for everything, through [Source].
//
// Whoever looks must not slow the node: lists are searched and cut here and not in the browser, answers are made once for all
// who look at the same time, and a browser that does not read is let go. Whoever wants to change something says a token in the
// Authorization header; there is no cookie, so another site has nothing to abuse.
//
// The page is plain modules without a build step; assets/dom.js changes the document in place, so that focus and selection stay
// while news come in. A tab has one connection of server-sent events, since browsers have six for each host. Nothing queues
// up in it: each second the handler compares what is with what it sent last. The history of a call is read from the archive
// once, and then from the stream of live calls.
package web
