package sim

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// leg is one m= section of a signal.
type leg struct {
	kind string // audio, video; no two of an SDP are of one kind
	port int    // 0: refused
	pts  []int
	dir  string
}

// signal is an offer or an answer of a talk, as the parties mean it.
type signal struct {
	index    int    // of the talk's signals: they are sent in this order
	life     int    // of the call: it is deleted and begins anew
	from, to string // the tags of those who send and get the SDP; to is empty while nobody has answered
	branch   string // of the transaction
	code     int    // of the SIP response; 0: the proxy does not say
	legs     []leg
	offer    *signal // that an answer is about; nil in an offer
	last     bool    // no other answer to its offer follows
	lost     bool    // an offer that nobody will ever answer
}

func (g *signal) leg(kind string) (leg, bool) {
	if i := slices.IndexFunc(g.legs, func(l leg) bool { return l.kind == kind }); i >= 0 {
		return g.legs[i], true
	}
	return leg{}, false
}

// talk is what a client wants that negotiates: its offers are refused, of which nobody tells the relay, abandoned, crossed by others, and
// answered late, several times, by several, and with other sections than were offered.
type talk struct {
	s        *script
	signals  []*signal
	codes    bool // the proxy tells the SIP response
	branches bool // and the transactions
	now      agreed
	peer     string // the tag of alice's other side
	life     int
}

// agreed is what the parties have settled, as they see it.
type agreed struct {
	kinds map[string][]string // of the sections, in the order of the SDPs of a tag
	live  map[string]bool
	port  map[string]int // by tag, of the first section
	dir   map[string]string
	pts   []int // of audio
}

var tags = []string{"a", "b", "b1"}

func (a agreed) clone() agreed {
	b := a
	b.kinds, b.port, b.dir, b.live = map[string][]string{}, maps.Clone(a.port), maps.Clone(a.dir), maps.Clone(a.live)
	for _, tag := range tags {
		b.kinds[tag] = slices.Clone(a.kinds[tag])
	}
	return b
}

// newTalk draws a client that negotiates.
func (w *world) newTalk(s *script) {
	s.srtp = w.chance(250)
	s.talk = &talk{s: s, codes: w.chance(500), branches: w.chance(500)}
	s.plan = nil
	for range w.between(1, 2) {
		s.plan = append(s.plan, "delete")
		s.talk.life++
		s.talk.begin()
		for range w.between(1, 6) {
			s.talk.goOn()
		}
	}
	s.plan = s.plan[1:]
	if w.chance(800) {
		s.plan = append(s.plan, "delete")
	}
}

// add puts a signal behind the others.
func (t *talk) add(g *signal) *signal {
	g.index, g.life = len(t.signals), t.life
	if g.branch == "" && t.branches && g.offer == nil {
		g.branch = fmt.Sprintf("t%d", g.index)
	}
	if g.offer != nil {
		g.branch = g.offer.branch
	}
	t.signals = append(t.signals, g)
	t.s.plan = append(t.s.plan, "signal "+strconv.Itoa(g.index))
	return g
}

// offer has one party propose a change. What it would lead to is the second result.
func (t *talk) offer(from, to, change string) (*signal, agreed) {
	next := t.now.clone()
	switch change {
	case "hold":
		next.dir[from] = "sendonly"
	case "resume":
		next.dir[from] = "sendrecv"
	case "move":
		next.port[from] += 10
	case "video":
		next.live["video"] = true
		for _, tag := range tags {
			if !slices.Contains(next.kinds[tag], "video") {
				next.kinds[tag] = append(next.kinds[tag], "video")
			}
		}
	case "no video":
		next.live["video"] = false
	case "codecs":
		next.pts = [][]int{{8, 0}, {0}, {8}, {0, 8, 101}}[t.s.w.rng.IntN(4)]
	}
	g := &signal{from: from, to: to}
	for _, kind := range next.kinds[from] {
		l := leg{kind: kind, pts: []int{34}, dir: next.dir[from]}
		if kind == "audio" {
			l.pts = next.pts
		}
		if next.live[kind] {
			l.port = next.port[from] + ports[kind]
		}
		g.legs = append(g.legs, l)
	}
	return t.add(g), next
}

// ports of sections, from a party's first one.
var ports = map[string]int{"audio": 0, "video": 2}

// answer has somebody answer an offer. how says what becomes of its sections.
func (t *talk) answer(o *signal, from, how string, code int) *signal {
	g := &signal{from: from, to: o.from, offer: o, last: code >= 200}
	if t.codes {
		g.code = code
	}
	order := slices.Clone(t.now.kinds[from])
	if how == "swapped" {
		slices.Reverse(order)
	}
	for _, l := range o.legs {
		a := leg{kind: l.kind, pts: l.pts[:1], dir: "sendrecv"}
		if l.dir == "sendonly" {
			a.dir = "recvonly"
		}
		refused := l.kind == "video" && how == "no video"
		if l.kind == "video" && how == "fewer" {
			continue
		}
		if l.port > 0 && !refused {
			a.port = t.now.port[from] + ports[l.kind]
		}
		g.legs = append(g.legs, a)
	}
	slices.SortStableFunc(g.legs, func(a, b leg) int { return place(order, a.kind) - place(order, b.kind) })
	return t.add(g)
}

// place is where a kind stands in a list; what is not there stands behind.
func place(order []string, kind string) int {
	if i := slices.Index(order, kind); i >= 0 {
		return i
	}
	return len(order)
}

// settle makes what an exchange has led to what is agreed.
func (t *talk) settle(next agreed, answer *signal) {
	t.now = next
	order := next.kinds[answer.from] // of its SDPs from now on; what it has left out comes last, if it comes back
	for _, l := range answer.legs {
		order = slices.DeleteFunc(order, func(kind string) bool { return kind == l.kind })
	}
	for i, l := range answer.legs {
		order = slices.Insert(order, i, l.kind)
	}
	t.now.kinds[answer.from] = order
	for _, kind := range order {
		l, ok := answer.leg(kind)
		t.now.live[kind] = ok && l.port > 0
		if kind == "audio" {
			t.now.dir[answer.from] = l.dir
			if l.dir == "recvonly" {
				t.now.dir[answer.from] = "sendrecv" // of its next offer
			}
		}
	}
}

var hows = []string{"all", "all", "all", "no video", "fewer", "swapped"}

func (t *talk) one(of []string) string { return of[t.s.w.rng.IntN(len(of))] }

// begin draws how a call begins.
func (t *talk) begin() {
	w := t.s.w
	t.peer = "b"
	t.now = agreed{
		live: map[string]bool{"audio": true}, pts: []int{8, 0},
		kinds: map[string][]string{"a": {"audio"}, "b": {"audio"}, "b1": {"audio"}},
		port:  map[string]int{"a": 4000, "b": 6000, "b1": 7000},
		dir:   map[string]string{"a": "sendrecv", "b": "sendrecv", "b1": "sendrecv"},
	}
	change := "same"
	if w.chance(600) {
		change = "video"
	}
	switch w.rng.IntN(5) {
	case 0, 1:
		o, next := t.offer("a", "", change)
		t.settle(next, t.answer(o, "b", t.one(hows), 200))
	case 2: // a provisional answer has other sections than the last one
		o, next := t.offer("a", "", change)
		t.answer(o, "b", t.one(hows), 183)
		t.settle(next, t.answer(o, "b", t.one(hows), 200))
	case 3:
		t.fork()
	case 4: // an UPDATE before the last answer
		t.update(change)
	}
}

// fork has two phones answer an offer, of which one sees no video. The proxy has told us of both branches.
func (t *talk) fork() {
	one, next := t.offer("a", "", "video")
	one.branch = fmt.Sprintf("f%d", one.index)
	two := t.add(&signal{from: "a", legs: one.legs, branch: fmt.Sprintf("g%d", len(t.signals))})
	t.answer(one, "b1", t.one([]string{"no video", "fewer"}), 183)
	if t.s.w.chance(500) {
		t.answer(two, "b", "all", 183)
	}
	if t.s.w.chance(300) { // the other one once more
		t.answer(one, "b1", "no video", 183)
	}
	t.settle(next, t.answer(two, "b", "all", 200))
}

// update has an UPDATE changed the codecs before the INVITE's last answer, which is about the INVITE's.
func (t *talk) update(change string) {
	branches := t.branches
	t.branches = true // without transactions nobody can tell whose the last answer is
	o, next := t.offer("a", "", change)
	first := t.answer(o, "b", "all", 183)
	t.settle(next, first)
	u, _ := t.offer("a", "b", "codecs")
	if t.s.w.chance(300) {
		u.lost = true
	} else {
		t.answer(u, "b", "all", 200)
	}
	t.settle(next, t.answer(o, "b", t.one(hows[:4]), 200))
	t.branches = branches
}

var changes = []string{"hold", "resume", "move", "move", "video", "video", "no video", "codecs", "same"}

// goOn draws what happens next.
func (t *talk) goOn() {
	w := t.s.w
	x, y := "a", t.peer
	if w.chance(400) {
		x, y = y, x
	}
	lost := func(from, to string) { // an offer that is refused, or never answered
		o, _ := t.offer(from, to, t.one(changes))
		o.lost = true
	}
	switch w.rng.IntN(9) {
	case 0, 1:
		lost(x, y)
	case 2: // glare: both are refused
		lost(x, y)
		lost(y, x)
	case 3: // glare: the first is answered behind the other
		o, next := t.offer(x, y, t.one(changes))
		lost(y, x)
		t.settle(next, t.answer(o, y, t.one(hows), 200))
	case 4: // an offer in place of the one before
		lost(x, y)
		o, next := t.offer(x, y, t.one(changes))
		t.settle(next, t.answer(o, y, t.one(hows), 200))
	case 5:
		o, next := t.offer(x, y, t.one(changes))
		t.answer(o, y, t.one(hows), 183)
		how := t.one(hows)
		if !t.codes && !t.branches && how != "all" {
			how = "no video" // whether it is about this offer or about the call's first, nobody can tell
		}
		t.settle(next, t.answer(o, y, how, 200))
	case 6:
		t.s.plan = append(t.s.plan, "block media", "unblock media")
		lost(x, y)
	default:
		o, next := t.offer(x, y, t.one(changes))
		t.settle(next, t.answer(o, y, t.one(hows), 200))
	}
}

// build makes the message of a step; nil if it is none of the talk's own.
func (t *talk) build(step string) *message {
	if step == "offer" { // of the end, when every call is asked for: alice says again what is agreed
		o, _ := t.offer("a", t.peer, "same")
		o.lost = true
		step = t.s.plan[len(t.s.plan)-1]
		t.s.plan = t.s.plan[:len(t.s.plan)-1]
	}
	number, ok := strings.CutPrefix(step, "signal ")
	if !ok {
		return nil
	}
	i, err := strconv.Atoi(number)
	if err != nil {
		panic(err)
	}
	g := t.signals[i]
	m := t.s.newMessage(g.command(), append(t.words(g), "sdp", t.sdp(g))...)
	m.sig = g
	t.s.w.signals[string(m.raw)] = g
	return m
}

func (g *signal) command() string {
	if g.offer != nil {
		return "answer"
	}
	return "offer"
}

// words are the keys of a signal's command.
func (t *talk) words(g *signal) []string {
	from, to := g.from, g.to
	if g.offer != nil {
		from, to = to, from
	}
	out := []string{"from-tag", from}
	if to != "" {
		out = append(out, "to-tag", to)
	}
	if g.branch != "" {
		out = append(out, "via-branch", g.branch)
	}
	if g.code != 0 {
		out = append(out, "sip-message-type", "reply", "sip-code", strconv.Itoa(g.code))
	}
	if g.offer == nil {
		return append(out, t.s.toward(g.from)...)
	}
	return out
}

func (t *talk) sdp(g *signal) string {
	addr := map[string]string{"a": "198.51.100.1", "b": "203.0.113.1", "b1": "203.0.113.2"}[g.from]
	var b strings.Builder
	fmt.Fprintf(&b, "v=0\r\no=%s 1 %d IN IP4 %s\r\ns=-\r\nc=IN IP4 %s\r\nt=0 0\r\n", g.from, g.index+1, addr, addr)
	for _, l := range g.legs {
		t.s.section(&b, g.from, l.kind, l.port, l.dir, l.pts...)
	}
	return b.String()
}

func (g *signal) String() string {
	what := fmt.Sprintf("%s %d from %s to %q, branch %q, code %d", g.command(), g.index, g.from, g.to, g.branch, g.code)
	if g.offer != nil {
		what += fmt.Sprintf(", about %d", g.offer.index)
	}
	if g.lost {
		what += ", never answered"
	}
	for _, l := range g.legs {
		what += fmt.Sprintf(", %s %d %v %s", l.kind, l.port, l.pts, l.dir)
	}
	return what
}
