package web

import (
	"context"
	"errors"

	"rtpjet/projection/history"
	"rtpjet/projection/pages"
)

// Source is what the pages ask the node for. Its methods are safe for concurrent use.
type Source interface {
	// Cluster asks all nodes how they are.
	Cluster(ctx context.Context) pages.Cluster
	// Calls is a part of the live calls, of the whole cluster, the newest first.
	Calls(search string, from, limit int) pages.Page
	// Story is a call's life, from the log and the archive; an error that matches ErrNoCall if there is none.
	Story(ctx context.Context, callID string) (*Story, error)
	// Near finds live calls with a call-id that looks like one.
	Near(callID string) []string
	// Last is the sequence of the last event of a call that this node has seen; 0 if there is none.
	Last(callID string) uint64
	// Streams tells what the sockets of a call have counted, by the word of its owner.
	Streams(ctx context.Context, callID string) []pages.Stream
	// News is what has happened after an item, the oldest first, and the last item's id.
	News(after uint64) (items []pages.Item, last uint64)

	// What operators can do. What is returned is a sentence for them.
	Drain(ctx context.Context, node string, on, move bool) (string, error)
	Takeover(ctx context.Context, node string) (string, error)
	Move(ctx context.Context, float, to string) (string, error)
}

// Story is the history of a call.
type Story struct {
	Moments []history.Moment
	Ladder  *history.Ladder
}

// ErrNoCall says that the log has nothing under a call-id.
var ErrNoCall = errors.New("there is no such call in the log")
