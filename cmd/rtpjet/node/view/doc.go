// Package view is a node as the web page shows it: a [View] is the [web.Source] of that page. It has the list of live calls, as long
// as somebody looks at it; the histories that are looked at, so that the archive is read once and not at each event; and what has
// happened in the cluster lately, which it finds by looking a few times a second, and never by asking another node.
//
// Data flows one way. What is shown comes from the node by [Host], which takes no lock that a command may hold for long, from the log
// by [Journal], and from other nodes by [admin.Ask]. The node knows nothing of the page, with one exception: each time a call gets
// another owner it says so to [News.TakenOver], which counts and returns.
package view
