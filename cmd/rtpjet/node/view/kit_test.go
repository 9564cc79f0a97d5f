package view_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"rtpjet/cmd/rtpjet/admin"
	"rtpjet/cmd/rtpjet/node/view"
	"rtpjet/embed"
	"rtpjet/events"
	"rtpjet/projection"
	"rtpjet/projection/members"
	"rtpjet/relay/plan"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// call is one of a node, and whether a command is at work on it.
type call struct {
	projection.Call
	last uint64
	busy bool
}

// host is a node of which a test says how it is. It is safe for concurrent use.
type host struct {
	mu       sync.Mutex
	calls    map[string]*call // by call-id
	last     uint64           // sequence of the latest event
	lists    int              // how often the calls were listed
	peeked   []string         // the call-ids of those that were looked at
	onPeek   func()           // is called before the next look at a call, under mu
	counters map[netip.AddrPort]plan.Stats

	status   admin.Status
	nodes    []admin.Node
	floats   []admin.FloatStatus
	carried  map[string]int64
	verdicts map[string]members.Verdict // of nodes that are not alive
}

func newHost() *host {
	return &host{calls: map[string]*call{}, carried: map[string]int64{}, verdicts: map[string]members.Verdict{}}
}

func (h *host) Status(context.Context) admin.Status {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.status
}

func (h *host) Cluster() ([]admin.Node, []admin.FloatStatus) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.nodes), slices.Clone(h.floats)
}

func (h *host) Carried() map[string]int64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return maps.Clone(h.carried)
}

func (h *host) Judge(node string) members.Verdict {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.verdicts[node]
}

func (h *host) Live(f func(key string, last uint64)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.lists++
	for id, c := range h.calls {
		if c.Live() {
			f(events.Key(id), c.last)
		}
	}
}

func (h *host) find(key string) *call {
	for id, c := range h.calls {
		if events.Key(id) == key {
			return c
		}
	}
	return nil
}

func (h *host) Peek(key string, f func(c *projection.Call, last uint64)) (busy bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.onPeek != nil {
		h.onPeek()
		h.onPeek = nil
	}
	c := h.find(key)
	if c == nil {
		return false
	}
	h.peeked = append(h.peeked, c.ID)
	if c.busy {
		return true
	}
	if c.Live() {
		f(&c.Call, c.last)
	}
	return false
}

func (h *host) Last(key string) uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	if c := h.find(key); c != nil {
		return c.last
	}
	return 0
}

func (h *host) Counters(_ context.Context, key string) (*projection.Call, func(netip.AddrPort) (plan.Stats, bool)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	c := h.find(key)
	if c == nil || !c.Live() {
		return nil, nil
	}
	counters := maps.Clone(h.counters)
	return c.Snapshot(), func(a netip.AddrPort) (plan.Stats, bool) { st, ok := counters[a]; return st, ok }
}

// begin has a call begin that a node owns.
func (h *host) begin(id, owner string, created int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	c := h.calls[id]
	if c == nil {
		c = &call{Call: projection.Call{ID: id}}
		h.calls[id] = c
	}
	h.last++
	c.last = h.last
	c.Gen, c.Ended, c.Owner, c.Created = c.Gen+1, false, owner, created
	c.Parties = []*events.Party{{Tag: fmt.Sprintf("tag-%s-%d", id, c.Gen)}}
}

// change has an event reach a call.
func (h *host) change(id string, f func(c *projection.Call)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.changeLocked(id, f)
}

func (h *host) changeLocked(id string, f func(c *projection.Call)) {
	h.last++
	h.calls[id].last = h.last
	f(&h.calls[id].Call)
}

func end(c *projection.Call) { c.Ended = true }

// looks returns which calls were looked at since the last time, in order, and how often all were listed.
func (h *host) looks() (peeked []string, lists int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	peeked, lists = h.peeked, h.lists
	h.peeked, h.lists = nil, 0
	slices.Sort(peeked)
	return peeked, lists
}

// journal is an event log. What was retired is in the archive alone. It is safe for concurrent use.
type journal struct {
	mu        sync.Mutex
	all       map[string][]embed.Entry // by key
	live      map[string]int           // from where on they are in the stream
	last      uint64
	histories int
	reads     int                    // of the stream
	away      error                  // the answer to everything
	waits     map[string]chan string // whoever reads the archive of a key receives from it, twice
}

func newJournal() *journal {
	return &journal{all: map[string][]embed.Entry{}, live: map[string]int{}, waits: map[string]chan string{}}
}

func (j *journal) Since(_ context.Context, key string, after uint64) (entries []embed.Entry, last uint64, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.reads++
	if j.away != nil {
		return nil, 0, j.away
	}
	for _, e := range j.all[key][j.live[key]:] {
		last = e.Seq
		if e.Seq > after {
			entries = append(entries, e)
		}
	}
	if last > 0 && last < after {
		return nil, 0, errors.New("the stream ends before that")
	}
	return entries, last, nil
}

func (j *journal) History(ctx context.Context, key string) ([]embed.Entry, error) {
	j.mu.Lock()
	j.histories++
	wait := j.waits[key]
	j.mu.Unlock()
	for range 2 { // the first one says that somebody reads
		if wait == nil {
			break
		}
		select {
		case <-wait:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.away != nil {
		return nil, j.away
	}
	return slices.Clone(j.all[key]), nil
}

// append has the log take an event; the first one of a call begins it.
func (j *journal) append(id string, ev events.Event) {
	data, err := events.Encode(events.Envelope{Call: id, Gen: 1, Node: "n1", At: time.Now().UnixMicro(), Event: ev})
	if err != nil {
		panic(err)
	}
	j.put(id, data)
}

func (j *journal) put(id string, data []byte) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.last++
	key := events.Key(id)
	j.all[key] = append(j.all[key], embed.Entry{Seq: j.last, Key: key, Data: data, Time: time.Now()})
}

// retire leaves what there is of a call to the archive.
func (j *journal) retire(id string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	key := events.Key(id)
	j.live[key] = len(j.all[key])
}

// seqs are the sequences of all entries of a call.
func (j *journal) seqs(id string) (out []uint64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, e := range j.all[events.Key(id)] {
		out = append(out, e.Seq)
	}
	return out
}

func (j *journal) counts() (histories, reads int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	histories, reads = j.histories, j.reads
	j.histories, j.reads = 0, 0
	return histories, reads
}

var (
	begins      = events.Offered{Signalling: events.Signalling{Owner: "n1", Parties: []events.Party{{Tag: "a"}, {ID: 1}}, To: 1}}
	offersAgain = events.Offered{Signalling: events.Signalling{Parties: begins.Parties, To: 1}}
	goesOn      = events.DeletionScheduled{At: 1_785_578_400_000_000}
	ends        = events.Ended{Reason: events.ReasonDeleted}
)

// link leads to nodes that answer what a test says; others do not run. It is safe for concurrent use.
type link struct {
	mu      sync.Mutex
	answers map[string]func(ctx context.Context, verb string) (any, error) // by node
	asked   []string                                                       // NODE VERB BODY
	leases  []members.Lease
}

func (l *link) Request(ctx context.Context, tokens string, data []byte) ([]byte, error) {
	words := strings.SplitN(tokens, ".", 3)
	l.mu.Lock()
	l.asked = append(l.asked, words[1]+" "+words[2]+" "+string(data))
	answer := l.answers[words[1]]
	l.mu.Unlock()
	if answer == nil {
		return nil, embed.ErrNobody
	}
	v, err := answer(ctx, words[2])
	if err != nil {
		return nil, err
	}
	if text, ok := v.(string); ok {
		return []byte(text), nil
	}
	return json.Marshal(v)
}

func (l *link) FollowLeases(ctx context.Context, entry func(lease embed.Lease, deleted bool), caughtUp func()) error {
	for _, lease := range l.leases {
		entry(embed.Lease{Key: members.LeasePrefix + lease.Node, Value: lease.Encode(), Revision: 1}, false)
	}
	caughtUp()
	<-ctx.Done()
	return nil
}

// requests returns what was asked since the last time, sorted.
func (l *link) requests() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := l.asked
	l.asked = nil
	slices.Sort(out)
	return out
}

// world is a view of node n1, with all that is around it.
type world struct {
	t testing.TB
	*view.View
	host    *host
	journal *journal
	link    *link
	news    *view.News
}

func newWorld(t testing.TB) *world {
	w := &world{t: t, host: newHost(), journal: newJournal(), link: &link{answers: map[string]func(context.Context, string) (any, error){}}, news: new(view.News)}
	w.View = view.New(view.Config{Node: "n1", Host: w.host, Journal: w.journal, Link: w.link, News: w.news, Clock: time.Now})
	return w
}

// inBubble makes a view for f, where time passes as soon as nobody has anything to do.
func inBubble(t *testing.T, f func(t *testing.T, w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { f(t, newWorld(t)) })
}

func equal[T comparable](t testing.TB, what string, got, want []T) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s:\ngot  %v\nwant %v", what, got, want)
	}
}

func asJSON(t testing.TB, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
