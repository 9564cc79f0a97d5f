// Package metrics says what a node tells Prometheus: the names, types, labels and help of all metrics, and how their values
// come from a [Snapshot] of the node's state. docs/metrics.md explains them to operators.
//
// Gauges are never counted up and down: each scrape takes a new snapshot. Only what happens and leaves no state (how long an
// append took, that a call was taken over) is counted when it does, in [Counters].
//
// What rtpengine has goes by its names, with its types and labels, so that dashboards made for it go on working. The rest
// begins with rtpjet_.
package metrics
