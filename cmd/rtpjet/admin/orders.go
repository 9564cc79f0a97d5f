package admin

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// What operators have done. Each returns a sentence about what has come of it.

// Drain takes a node out of the choice for new calls, or back.
func Drain(ctx context.Context, link Link, node string, req DrainRequest) (string, error) {
	r, err := order(ctx, link, node, VerbDrain, req, drainTime)
	switch {
	case err != nil:
		return "", err
	case r.Error != "":
		return "", errors.New(r.Error)
	case !req.On:
		return fmt.Sprintf("%s takes new calls again; it has %d.", node, r.Calls), nil
	}
	return fmt.Sprintf("%s takes no new calls; it has %d.", node, r.Calls), nil
}

// Takeover has the calls of a node taken over by its peers: the first of them that answers does it.
func Takeover(ctx context.Context, link Link, req TakeoverRequest) (string, error) {
	nodes, err := Nodes(ctx, link)
	if err != nil {
		return "", err
	}
	known, peer := false, ""
	for _, n := range nodes {
		switch {
		case n.Node == req.Node:
			known = true
		case n.Status != nil && peer == "":
			peer = n.Node
		}
	}
	switch {
	case !known:
		return "", fmt.Errorf("there is no node %s; rtpjet node list shows all", req.Node)
	case peer == "":
		return "", errors.New("no other node runs that could take the calls over")
	}
	r, err := order(ctx, link, peer, VerbTakeover, req, takeoverTime)
	switch {
	case err != nil:
		return "", err
	case r.Error != "":
		return "", fmt.Errorf("node %s: %s (%d calls were taken over)", peer, r.Error, r.Calls)
	}
	return fmt.Sprintf("%d calls of %s have other owners now; each is heard again with its next offer or answer.", r.Calls, req.Node), nil
}

// Move gives the float that a name stands for to another node, and waits until that has it. to may be empty: the node with the
// least to do.
func Move(ctx context.Context, link Link, name, to string) (string, error) {
	nodes, err := Nodes(ctx, link)
	if err != nil {
		return "", err
	}
	f, err := named(Floats(nodes), name)
	if err != nil {
		return "", err
	}
	switch f.Holder {
	case "":
		return "", fmt.Errorf("nobody holds %s now; it is taken by a node as soon as enough of them hear each other", f.Float)
	case to:
		return fmt.Sprintf("%s is at %s already.", f.Float, f.Holder), nil
	}
	r, err := order(ctx, link, f.Holder, VerbMove, MoveRequest{Float: f.Float, To: to}, MoveTime+askTime)
	switch {
	case err != nil:
		return "", err
	case r.Error != "":
		return "", errors.New(r.Error)
	}
	return fmt.Sprintf("%s is at %s now, with %d calls.", f.Float, r.Node, r.Calls), nil
}

// Adopt makes the calls of a lost region this one's.
func Adopt(ctx context.Context, link Link, req AdoptRequest) (string, error) {
	r, err := orderAny(ctx, link, VerbAdopt, req, adoptTime)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%d calls of region %s are this region's now; each is heard again with its next offer or answer.", r.Calls, req.Region), nil
}

// Forget has the nodes forget what they have noted of a region.
func Forget(ctx context.Context, link Link, region string) (string, error) {
	if _, err := orderAny(ctx, link, VerbForget, ForgetRequest{Region: region}, forgetTime); err != nil {
		return "", err
	}
	return fmt.Sprintf("region %s is forgotten: whoever answers by that name next is it.", region), nil
}

// order has a node do something, and waits for its answer for a time.
func order(ctx context.Context, link Link, node, verb string, req any, patience time.Duration) (Reply, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var r Reply
	err := Ask(ctx, link, node, verb, req, &r)
	return r, err
}

// orderAny has the first node of the region do something that answers.
func orderAny(ctx context.Context, link Link, verb string, req any, patience time.Duration) (Reply, error) {
	nodes, err := Nodes(ctx, link)
	if err != nil {
		return Reply{}, err
	}
	for _, n := range nodes {
		if n.Status == nil {
			continue
		}
		r, err := order(ctx, link, n.Node, verb, req, patience)
		if err == nil && r.Error != "" {
			err = fmt.Errorf("node %s: %s", n.Node, r.Error)
		}
		return r, err
	}
	return Reply{}, errors.New("no node of this region runs; rtpjet node list shows them")
}
