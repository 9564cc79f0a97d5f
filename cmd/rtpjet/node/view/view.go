package view

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"rtpjet/cmd/rtpjet/admin"
	"rtpjet/cmd/rtpjet/web"
	"rtpjet/embed"
	"rtpjet/events"
	"rtpjet/projection"
	"rtpjet/projection/members"
	"rtpjet/projection/pages"
	"rtpjet/relay/plan"
)

// Host is what a view needs of its node. Its methods are safe for concurrent use.
type Host interface {
	// Status is the node's own word about itself, with what it has to do at the moment: for that it asks the log how far it is.
	Status(ctx context.Context) admin.Status
	// Cluster is what the node knows of the cluster without asking anybody: all nodes, this one too, by their leases and with what it
	// thinks of them but without what they say of themselves, in the order of their names; and the floating addresses.
	Cluster() (nodes []admin.Node, floats []admin.FloatStatus)
	// Carried counts the live calls by the node that carries them; those that nobody carries at the moment are under "".
	Carried() map[string]int64
	// Judge says how a node is, as this one sees it.
	Judge(node string) members.Verdict
	// Live calls f with the key of each live call, and the sequence of its last event, in no order. f must be quick, and must not call
	// the host.
	Live(f func(key string, last uint64))
	// Peek calls f with a live call and the sequence of its last event; f must neither keep the call nor change it. While a command
	// is at work on the call, f is not called and busy is true.
	Peek(key string, f func(c *projection.Call, last uint64)) (busy bool)
	// Last is the sequence of the last event of a call, live or not, that the node has seen; 0 if there is none.
	Last(key string) uint64
	// Counters returns a copy of a live call, nil if there is none, and what its sockets have counted by the word of its owner: of
	// those of which that is not known stats says false.
	Counters(ctx context.Context, key string) (c *projection.Call, stats func(netip.AddrPort) (plan.Stats, bool))
}

// Journal is what a view needs of the event log. *embed.Log is one, and says what the methods do.
type Journal interface {
	Since(ctx context.Context, key string, after uint64) (entries []embed.Entry, last uint64, err error)
	History(ctx context.Context, key string) ([]embed.Entry, error)
}

// Config is what makes a view.
type Config struct {
	Node    string // this node
	Host    Host
	Journal Journal
	Link    admin.Link // to the other nodes; nil: the node is alone
	News    *News      // to which the node says who has taken calls over
	Clock   func() time.Time
}

// View is a node as the web page asks it. Its methods are safe for concurrent use.
type View struct {
	cfg     Config
	host    Host
	index   index
	stories stories
}

var _ web.Source = (*View)(nil)

// New makes a view.
func New(cfg Config) *View {
	return &View{cfg: cfg, host: cfg.Host, index: index{host: cfg.Host}, stories: stories{journal: cfg.Journal}}
}

func (v *View) now() int64 { return v.cfg.Clock().UnixMicro() }

// Calls implements [web.Source].
func (v *View) Calls(search string, from, limit int) pages.Page {
	return pages.NewPage(v.index.rows(), search, from, limit)
}

// Near implements [web.Source].
func (v *View) Near(callID string) []string {
	const most = 5
	return pages.Near(v.index.rows(), callID, most)
}

// Last implements [web.Source].
func (v *View) Last(callID string) uint64 { return v.host.Last(events.Key(callID)) }

// Streams implements [web.Source].
func (v *View) Streams(ctx context.Context, callID string) []pages.Stream {
	c, stats := v.host.Counters(ctx, events.Key(callID))
	if c == nil {
		return []pages.Stream{}
	}
	return pages.Streams(c, stats)
}

// Story implements [web.Source].
func (v *View) Story(ctx context.Context, callID string) (*web.Story, error) {
	return v.stories.read(ctx, callID)
}

// News implements [web.Source].
func (v *View) News(after uint64) (items []pages.Item, last uint64) { return v.cfg.News.after(after) }

var errAlone = errors.New("this node has no cluster")

// Drain implements [web.Source].
func (v *View) Drain(ctx context.Context, node string, on, move bool) (string, error) {
	if v.cfg.Link == nil {
		return "", errAlone
	}
	return admin.Drain(ctx, v.cfg.Link, node, admin.DrainRequest{On: on, Move: move})
}

// Takeover implements [web.Source].
func (v *View) Takeover(ctx context.Context, node string) (string, error) {
	if v.host.Judge(node) == members.Alive {
		return "", fmt.Errorf("node %s is alive: drain it instead", node)
	}
	if v.cfg.Link == nil {
		return "", errAlone
	}
	return admin.Takeover(ctx, v.cfg.Link, admin.TakeoverRequest{Node: node})
}

// Move implements [web.Source].
func (v *View) Move(ctx context.Context, float, to string) (string, error) {
	if v.cfg.Link == nil {
		return "", errAlone
	}
	return admin.Move(ctx, v.cfg.Link, float, to)
}
