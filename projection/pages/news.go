package pages

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// View is what a node sees of its cluster without asking anybody.
type View struct {
	Nodes  map[string]NodeView
	Floats map[string]FloatView
	// Taken are calls that got another owner since the view before.
	Taken []Taken
}

// NodeView is a node in a View.
type NodeView struct {
	State    string // alive, silent, gone, down
	Draining bool
	Epoch    uint64
	Calls    int64
}

// FloatView is a float in a View.
type FloatView struct {
	Holder, Successor string
	Epoch             uint64
	Calls             int64
	Moves, Why        string
	Silence           int64 // µs; 0: not known
}

// Taken counts calls that went from one owner to another.
type Taken struct {
	From, To, Why string
	Calls         int
	Call          string // one of them
}

// Item is something that has happened.
type Item struct {
	ID    uint64 `json:"id"`
	At    int64  `json:"at"`    // µs of Unix time
	Kind  string `json:"kind"`  // node, float, drain, takeover, action
	Level string `json:"level"` // good, bad, plain
	Text  string `json:"text"`
	Node  string `json:"node,omitempty"`
	Float string `json:"float,omitempty"`
	Call  string `json:"call,omitempty"`
}

// News tells what has happened between two views. A first view, before without nodes, is no news.
func News(before, now View, at int64) []Item {
	if len(before.Nodes) == 0 {
		return nil
	}
	var out []Item
	say := func(it Item) {
		it.At = at
		out = append(out, it)
	}
	for _, id := range keys(now.Nodes) {
		was, known := before.Nodes[id]
		nodeNews(id, was, now.Nodes[id], known, say)
	}
	for _, id := range keys(now.Floats) {
		if was, known := before.Floats[id]; known {
			floatNews(id, was, now.Floats[id], say)
		}
	}
	for _, t := range now.Taken {
		calls := "a call"
		if t.Calls > 1 {
			calls = fmt.Sprintf("%d calls", t.Calls)
		}
		it := Item{Kind: "takeover", Level: "plain", Node: t.To, Text: fmt.Sprintf("%s took over %s of %s: %s", t.To, calls, t.From, cmp.Or(t.Why, "no reason given"))}
		if t.Calls == 1 {
			it.Call = t.Call
		}
		say(it)
	}
	return out
}

func nodeNews(id string, was, is NodeView, known bool, say func(Item)) {
	it := Item{Kind: "node", Node: id, Level: "plain"}
	switch {
	case !known && is.State == "alive":
		it.Level, it.Text = "good", id+" has joined the cluster"
	case !known:
	case was.State != is.State && is.State == "alive":
		it.Level, it.Text = "good", id+" is back"
		if was.State == "silent" {
			it.Text = id + " is heard again"
		}
	case was.State != is.State && is.State == "gone":
		it.Level, it.Text = "bad", id+" is gone"
		if was.Calls > 0 { // those of floating addresses have often moved before that is said
			it.Text += "; it had " + counted(was.Calls, "call")
		}
	case was.State != is.State && is.State == "silent":
		it.Level, it.Text = "bad", id+" is not heard by NATS"
	case was.State != is.State && is.State == "down":
		it.Text = id + " has ended as it should"
	case is.Epoch > was.Epoch && is.State == "alive":
		it.Text = id + " was started again"
	}
	if it.Text != "" {
		say(it)
	}
	if known && was.Draining != is.Draining {
		d := Item{Kind: "drain", Node: id, Level: "plain", Text: id + " takes new calls again"}
		if is.Draining {
			d.Text = fmt.Sprintf("%s is draining: it takes no new calls, and has %s", id, counted(is.Calls, "call"))
		}
		say(d)
	}
}

func floatNews(id string, was, is FloatView, say func(Item)) {
	it := Item{Kind: "float", Float: id, Node: is.Holder, Level: "plain"}
	switch is.Holder {
	case was.Holder:
	case "":
		it.Level, it.Text = "bad", fmt.Sprintf("nobody holds %s now; it was with %s", id, was.Holder)
	default:
		it.Level, it.Text = "good", fmt.Sprintf("%s is with %s now, with %s", id, is.Holder, counted(is.Calls, "call"))
		if is.Why != "" {
			it.Text += ": " + Why(is.Why, is.Holder)
		}
		if is.Silence > 0 {
			it.Text += fmt.Sprintf(" (silent for %d ms at most)", (is.Silence+999)/1000)
		}
	}
	if it.Text != "" {
		say(it)
	}
	if is.Moves != "" && is.Moves != was.Moves {
		say(Item{Kind: "float", Float: id, Node: is.Moves, Level: "plain", Text: fmt.Sprintf("%s moves to %s", id, is.Moves)})
	}
}

// Why has a holder's reason name the holder, for those who read it elsewhere.
func Why(reason, holder string) string { return strings.ReplaceAll(reason, "this node", holder) }

func counted(n int64, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func keys[V any](m map[string]V) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}
