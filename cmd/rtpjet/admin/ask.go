package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"rtpjet/embed"
	"rtpjet/projection/members"
)

// Link is what whoever asks needs of NATS. *embed.Log is one.
type Link interface {
	Request(ctx context.Context, tokens string, data []byte) ([]byte, error)
	FollowLeases(ctx context.Context, entry func(lease embed.Lease, deleted bool), caughtUp func()) error
}

// Bounds of requests.
const (
	askTime = time.Second // a node that may be gone
	// MoveTime bounds the planned move of a float, for which the other node may have to open all sockets first.
	MoveTime     = 20 * time.Second
	drainTime    = 10*time.Second + MoveTime
	takeoverTime = 5 * time.Minute
	adoptTime    = 10 * time.Minute // a call takes some milliseconds
	forgetTime   = time.Minute
)

// Ask sends a request of an operator to a node, and decodes the answer.
func Ask(ctx context.Context, link Link, node, verb string, in, out any) error {
	data, err := json.Marshal(in)
	if err != nil {
		return fmt.Errorf("ask node %s: %w", node, err)
	}
	reply, err := link.Request(ctx, Tokens(node, verb), data)
	if errors.Is(err, embed.ErrNobody) {
		return fmt.Errorf("node %s does not run; rtpjet node list shows those that do", node)
	}
	if err != nil {
		return fmt.Errorf("node %s does not answer: %w", node, err)
	}
	if err := json.Unmarshal(reply, out); err != nil {
		return fmt.Errorf("ask node %s: %w", node, err)
	}
	return nil
}

// AskStatus asks a node how it is, and does not wait long.
func AskStatus(ctx context.Context, link Link, node string) (Status, error) {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	var s Status
	err := Ask(ctx, link, node, VerbStatus, nil, &s)
	return s, err
}

// AskWhy asks a node what it knows of a call.
func AskWhy(ctx context.Context, link Link, node, key string) (WhyReply, error) {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	var r WhyReply
	err := Ask(ctx, link, node, VerbWhy, WhyRequest{Key: key}, &r)
	return r, err
}

// Leases reads the leases of all nodes once, in the order of their names. What cannot be read is left out.
func Leases(ctx context.Context, link Link) ([]members.Lease, error) {
	var out []members.Lease
	done := errors.New("all leases are known")
	lctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	err := link.FollowLeases(lctx, func(in embed.Lease, deleted bool) {
		if node, ok := strings.CutPrefix(in.Key, members.LeasePrefix); !ok || node == "" || deleted {
			return
		}
		if l, err := members.DecodeLease(in.Value); err == nil {
			out = append(out, l)
		}
	}, func() { stop(done) })
	if !errors.Is(context.Cause(lctx), done) {
		return nil, fmt.Errorf("read the leases: %w", err)
	}
	slices.SortFunc(out, func(a, b members.Lease) int { return strings.Compare(a.Node, b.Node) })
	return out, nil
}
