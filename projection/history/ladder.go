package history

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"rtpjet/events"
	"rtpjet/ngserver/ng"
	"rtpjet/projection"
)

// Ladder is the life of a call-id, step by step. Its JSON form is what rtpjet call history --json prints, and what pages are
// made of; fields are added to it, and neither renamed nor removed.
type Ladder struct {
	Call  string `json:"call"`
	Lives []Life `json:"lives"`
	// Lines are the verticals of the ladder, from left to right: the first party, the nodes, the other parties.
	Lines []Line `json:"lines"`
	Steps []Step `json:"steps"`
	// Rows say how Steps are folded for people; all steps are in one row each.
	Rows []Row `json:"rows"`
	// Unreadable counts the entries that could not be read, or are of a kind that this build does not know.
	Unreadable int `json:"unreadable,omitempty"`
}

// Life is one call under the call-id, from its first offer to its end.
type Life struct {
	Gen   uint64        `json:"gen"`
	First int           `json:"first"` // index into Steps
	Last  int           `json:"last"`
	Owner string        `json:"owner"` // the first one
	Began time.Time     `json:"began"`
	Ended time.Time     `json:"ended,omitzero"` // zero while it lives
	Why   events.Reason `json:"why,omitempty"`  // it ended
	// Until is when the call was over for its parties, if that was before Ended: when the delete came whose delay it outlived,
	// or still outlives.
	Until time.Time `json:"until,omitzero"`
	// Names are what the lines of parties are called in this life, by key.
	Names map[string]string `json:"names,omitempty"`
}

// Lasted is how long the call was one for its parties; false while it lives.
func (l *Life) Lasted() (time.Duration, bool) {
	switch {
	case !l.Until.IsZero():
		return l.Until.Sub(l.Began), true
	case !l.Ended.IsZero():
		return l.Ended.Sub(l.Began), true
	}
	return 0, false
}

// Line is one vertical: a party, or a node that wrote an entry.
type Line struct {
	Key  string `json:"key"`  // "party 0", "node n1"
	Kind string `json:"kind"` // party, node
	Name string `json:"name"` // a party's is that of its last life
}

// Asked is the NG command behind a step.
type Asked struct {
	Command string `json:"command"`
	By      string `json:"by,omitempty"` // the client's address
	Cookie  string `json:"cookie,omitempty"`
	FromTag string `json:"from_tag,omitempty"`
	ToTag   string `json:"to_tag,omitempty"`
	Branch  string `json:"via_branch,omitempty"`
	// Via is the node of another region that the command had come to, as region/node.
	Via string `json:"via,omitempty"`
	// Raw is the request as it came, its keys left out. SDP is the one in it.
	Raw string `json:"raw,omitempty"`
	SDP string `json:"sdp,omitempty"`
}

// Answered is the reply to it.
type Answered struct {
	Result  string `json:"result"`
	Reason  string `json:"reason,omitempty"`
	Warning string `json:"warning,omitempty"`
	Bytes   int    `json:"bytes"`
	Raw     string `json:"raw,omitempty"`
	SDP     string `json:"sdp,omitempty"`
}

// Step is one entry of the log, told for people.
type Step struct {
	Seq  uint64    `json:"seq"`
	At   time.Time `json:"at"`
	Gen  uint64    `json:"gen"`
	Life int       `json:"life"`
	Node string    `json:"node"` // who wrote the entry
	Kind string    `json:"kind"`
	// Owner has the call after the step: a node, or a floating address as "float.ADDRESS".
	Owner string `json:"owner,omitempty"`
	Epoch uint64 `json:"epoch,omitempty"`
	// Took is how long the command had been here when its entry was written, in µs; Logged how long the log took for it, by two
	// clocks. 0: not known.
	Took   int64 `json:"took_us,omitempty"`
	Logged int64 `json:"logged_us,omitempty"`

	Asked    *Asked    `json:"asked,omitempty"`
	Answered *Answered `json:"answered,omitempty"`
	// Label is the step in a word, and Says what is to know about it, in sentences without a stop.
	Label string   `json:"label"`
	Says  []string `json:"says,omitempty"`
	// Path are the keys of the lines that the step passes.
	Path    []string `json:"path"`
	Changes []Change `json:"changes,omitempty"`
	// Error says why the entry cannot be read; Seq and At alone mean something then.
	Error string `json:"error,omitempty"`
}

// NewLadder tells the story of the moments of a call.
func NewLadder(callID string, list []Moment) *Ladder {
	b := builder{l: &Ladder{Call: callID}, carrier: map[string]string{}}
	for i := range list {
		b.step(Before(list, i), &list[i])
	}
	b.lines()
	b.l.Rows = fold(b.l.Steps)
	return b.l
}

type builder struct {
	l       *Ladder
	nodes   []string
	parties int               // how many lines parties need
	carrier map[string]string // float → the node that acted for it last
	names   map[string]string // of the present life
	client  netip.Addr        // who asked last
}

func partyKey(id int) string   { return fmt.Sprintf("party %d", id) }
func nodeKey(id string) string { return "node " + id }

func (b *builder) step(before *projection.Call, m *Moment) {
	if m.Err != nil {
		b.l.Unreadable++
		b.l.Steps = append(b.l.Steps, Step{
			Seq: m.Seq, At: time.UnixMicro(m.Stored).UTC(), Life: m.Life, Kind: "unreadable", Label: "cannot be read", Error: m.Err.Error(),
			Says: []string{m.Err.Error()},
		})
		return
	}
	s := Step{
		Seq: m.Seq, At: time.UnixMicro(m.At).UTC(), Gen: m.Gen, Life: m.Life, Node: Printable(m.Node), Kind: string(events.KindOf(m.Event)),
		Owner: m.Call.Owner, Epoch: m.Call.Epoch,
	}
	copied := events.ParseOwner(m.Node).Kind == events.OwnerForeign // an adopted event: it was stored elsewhere when it happened
	if !copied && m.Stored > m.At && m.Stored-m.At < int64(time.Minute/time.Microsecond) {
		s.Logged = m.Stored - m.At
	}
	if begins(m.Event) {
		before = &projection.Call{}
	}
	s.Changes = Diff(before, m.Call)
	if m.Cause != nil {
		s.asked(m.Cause)
	}
	b.life(&s, m)
	b.node(m.Node)
	b.describe(&s, before, m)
	b.via(&s, m)
	if note := b.carried(m); note != "" {
		s.Says = append([]string{note}, s.Says...)
	}
	if a := s.Asked; a != nil && m.Cause.From.Addr() != b.client { // it is the same one nearly always
		b.client = m.Cause.From.Addr()
		s.Says = append([]string{"asked by " + a.By}, s.Says...)
	}
	for _, p := range m.Call.Parties {
		if p != nil {
			b.parties = max(b.parties, p.ID+1)
			b.names[partyKey(p.ID)] = tagName(p)
		}
	}
	b.l.Steps = append(b.l.Steps, s)
}

// via has a command that came to another region pass that one's node first.
func (b *builder) via(s *Step, m *Moment) {
	if m.Cause == nil || m.Cause.Via == "" {
		return
	}
	via := Printable(m.Cause.Via)
	s.Asked.Via = via
	b.node(via)
	at := max(0, slices.Index(s.Path, nodeKey(m.Node)))
	s.Path = slices.Insert(slices.Clone(s.Path), at, nodeKey(via))
	s.Says = append([]string{"came to " + via + ", in another region, which asked " + Printable(m.Node)}, s.Says...)
}

// asked reads the command and its reply.
func (s *Step) asked(c *events.Cause) {
	a := &Asked{Cookie: Printable(c.Cookie), Raw: events.HideKeys(string(c.Request), "[hidden]")}
	if c.From.IsValid() {
		a.By = c.From.String()
	}
	s.Asked, s.Took = a, c.Took
	if d, _, err := ng.DecodeDict(c.Request); err == nil {
		if req, err := ng.Parse(d); err == nil {
			a.Command, a.FromTag, a.ToTag, a.Branch = req.Command, Printable(req.FromTag), Printable(req.ToTag), Printable(req.ViaBranch)
			a.SDP = events.HideKeys(string(req.SDP), "[hidden]")
		}
	}
	r := &Answered{Bytes: len(c.Reply), Raw: events.HideKeys(string(c.Reply), "[hidden]")}
	s.Answered = r
	if d, _, err := ng.DecodeDict(c.Reply); err == nil {
		word := func(key string) string {
			v, _ := d.Get(key)
			t, _ := ng.Text(v)
			return t
		}
		r.Result, r.Reason, r.Warning = Printable(word("result")), Printable(word("error-reason")), Printable(word("warning"))
		r.SDP = events.HideKeys(word("sdp"), "[hidden]")
	}
}

// life notes where calls begin and end.
func (b *builder) life(s *Step, m *Moment) {
	n := len(b.l.Lives)
	if n == 0 || m.Life != b.l.Steps[len(b.l.Steps)-1].Life && begins(m.Event) {
		b.names = map[string]string{}
		b.l.Lives = append(b.l.Lives, Life{Gen: m.Gen, First: len(b.l.Steps), Owner: m.Call.Owner, Began: s.At, Names: b.names})
		n++
	}
	life := &b.l.Lives[n-1]
	life.Last = len(b.l.Steps)
	life.Until = time.Time{}
	if u := m.Call.Until; u != 0 {
		life.Until = time.UnixMicro(u).UTC()
	}
	if end, ok := m.Event.(events.Ended); ok {
		life.Ended, life.Why = s.At, end.Reason
	}
}

func (b *builder) node(id string) {
	if id != "" && !slices.Contains(b.nodes, id) {
		b.nodes = append(b.nodes, id)
	}
}

// carried notices that a floating address is with another node. No event says so: what a node found out by itself about a call
// of a float, only the float's holder can have found out.
func (b *builder) carried(m *Moment) string {
	owner := m.Call.Owner
	if _, float := events.ParseOwner(owner).Float(); !float || m.Cause != nil {
		return ""
	}
	switch m.Event.(type) {
	case events.EndpointLearned, events.RolledOver:
	default:
		return ""
	}
	was := b.carrier[owner]
	b.carrier[owner] = m.Node
	if was == "" || was == m.Node {
		return ""
	}
	return fmt.Sprintf("%s is with %s now, and was with %s: the call went with it", owner, m.Node, was)
}

// lines orders the verticals.
func (b *builder) lines() {
	party := func(id int) {
		name := ""
		for _, life := range b.l.Lives {
			if n := life.Names[partyKey(id)]; n != "" {
				name = n
			}
		}
		b.l.Lines = append(b.l.Lines, Line{partyKey(id), "party", name})
	}
	if b.parties > 0 {
		party(0)
	}
	for _, n := range b.nodes {
		b.l.Lines = append(b.l.Lines, Line{nodeKey(n), "node", Printable(n)})
	}
	for id := 1; id < b.parties; id++ {
		party(id)
	}
}
